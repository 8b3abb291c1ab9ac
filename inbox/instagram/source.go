// Package instagram is the source of Meta's webhooks about Instagram accounts.
package instagram

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"net/url"
	"time"

	"socialqueue/db"
	"socialqueue/inbox"
	"socialqueue/models"
	"socialqueue/observe"
	"socialqueue/platform/instagram"
	"socialqueue/secrets"
)

// Deps holds the dependencies of a Source.
type Deps struct {
	DB *db.DB
	// Secret is the key of Meta's webhook signatures.
	Secret secrets.Secret
	// VerifyToken is the token that Meta must send in its handshake.
	VerifyToken secrets.Secret
	Now         func() time.Time
}

// Source is Instagram's inbox.Source. It is safe for concurrent use.
type Source struct {
	Deps
}

// New returns a Source.
func New(deps Deps) *Source {
	now := deps.Now
	deps.Now = func() time.Time { return models.Time(now()) }
	return &Source{Deps: deps}
}

// Platform returns Instagram.
func (*Source) Platform() models.Platform { return models.Instagram }

// maxBody has room for the 1,000 notifications that Meta puts into one request.
const maxBody = 4 << 20

// MaxBody returns the size in bytes of the largest request that is accepted.
func (*Source) MaxBody() int64 { return maxBody }

// Handshake returns Meta's challenge if the verify token is ours (Webhooks, Verification
// Requests).
func (s *Source) Handshake(query url.Values) (challenge string, err error) {
	want, got := sha256.Sum256([]byte(s.VerifyToken.Reveal())), sha256.Sum256([]byte(query.Get("hub.verify_token")))
	if s.VerifyToken.Empty() || query.Get("hub.mode") != "subscribe" || subtle.ConstantTimeCompare(want[:], got[:]) != 1 {
		return "", errors.New("wrong hub.mode or hub.verify_token")
	}
	return query.Get("hub.challenge"), nil
}

// CheckHeader checks that the header that Verify uses has a signature.
func (s *Source) CheckHeader(header http.Header) error {
	if s.Secret.Empty() {
		return errors.New("INSTAGRAM_WEBHOOK_SECRET is not set")
	}
	return instagram.CheckHubSignatureForm(header.Get("X-Hub-Signature-256"), header.Get("X-Hub-Signature"))
}

// Verify checks the header X-Hub-Signature-256, or else X-Hub-Signature.
func (s *Source) Verify(header http.Header, body []byte) error {
	if s.Secret.Empty() {
		return errors.New("INSTAGRAM_WEBHOOK_SECRET is not set")
	}
	return instagram.VerifyHubSignature(header.Get("X-Hub-Signature-256"), header.Get("X-Hub-Signature"), body, s.Secret)
}

// Parse reads the notifications of a request.
func (*Source) Parse(body []byte) ([]inbox.Event, error) {
	notices, err := instagram.ParseNotices(body)
	if err != nil {
		return nil, err
	}
	events := make([]inbox.Event, len(notices))
	for i, n := range notices {
		events[i] = inbox.Event{Name: n.Field, Account: n.AccountID, At: n.At, Key: n.DedupeKey(), Payload: n.Raw}
	}
	return events, nil
}

// Apply stores comments and reports them to the app. It also stores the media and the story
// numbers in a notification.
func (s *Source) Apply(ctx context.Context, e *models.WebhookEvent) (inbox.Outcome, error) {
	notices, err := instagram.ParseNotices(e.Payload)
	if err != nil || len(notices) != 1 {
		return inbox.Unknown("the notification cannot be read"), nil
	}
	n := notices[0]
	switch n.Field {
	case instagram.FieldComments, instagram.FieldLiveComments, instagram.FieldStoryInsights, instagram.FieldMedia:
	case instagram.FieldMentions, instagram.FieldMessages:
		return inbox.Processed("the notification is stored"), nil
	default:
		return inbox.Unknown("notifications of this kind are ignored"), nil
	}
	account, err := s.DB.Accounts.InstagramAccountOf(ctx, n.AccountID)
	if errors.Is(err, db.ErrNotFound) {
		return inbox.Early("no account with this id is connected"), nil
	}
	if err != nil {
		return inbox.Outcome{}, err
	}
	o, err := s.applyTo(ctx, account, e, n)
	return o.With(observe.Instagram(account)), err
}

func (s *Source) applyTo(ctx context.Context, account *models.InstagramAccount, e *models.WebhookEvent, n instagram.Notice) (inbox.Outcome, error) {
	if n.Field == instagram.FieldStoryInsights || n.Field == instagram.FieldMedia {
		return s.media(ctx, account, n)
	}
	return s.comment(ctx, account, e, n)
}

// maxID is the longest of Instagram's ids that is stored.
const maxID = 255

func (s *Source) media(ctx context.Context, account *models.InstagramAccount, n instagram.Notice) (inbox.Outcome, error) {
	id := n.MediaID()
	if id == "" || len(id) > maxID {
		return inbox.Unknown("the notification has no media id"), nil
	}
	var metrics map[string]int64
	if n.Field == instagram.FieldStoryInsights {
		metrics = n.Metrics()
	}
	return inbox.Processed("media " + id + " is stored"), s.DB.Accounts.NoteIGMedia(ctx, account.ID, id, metrics, s.Now())
}
