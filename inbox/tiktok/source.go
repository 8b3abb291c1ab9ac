// Package tiktok is the source of TikTok's webhooks.
package tiktok

import (
	"context"
	"errors"
	"net/http"
	"time"

	"socialqueue/db"
	"socialqueue/inbox"
	"socialqueue/models"
	"socialqueue/oauth"
	"socialqueue/platform/tiktok"
	"socialqueue/publish"
	"socialqueue/secrets"
)

// Deps holds the dependencies of a Source.
type Deps struct {
	DB       *db.DB
	Posts    *publish.Service
	Accounts *oauth.Service
	// Secret is the key of TikTok's webhook signatures.
	Secret secrets.Secret
	// Plain also accepts signatures without a time.
	Plain bool
	// Tolerance is how far the time in a signature may differ from ours.
	Tolerance time.Duration
	Now       func() time.Time
}

// Source is TikTok's inbox.Source. It is safe for concurrent use.
type Source struct {
	Deps
}

// New returns a Source.
func New(deps Deps) *Source {
	now := deps.Now
	deps.Now = func() time.Time { return models.Time(now()) }
	return &Source{Deps: deps}
}

// Platform returns TikTok.
func (*Source) Platform() models.Platform { return models.TikTok }

// maxBody is far above what TikTok sends: one event per request.
const maxBody = 1 << 20

// MaxBody returns the size in bytes of the largest request that is accepted.
func (*Source) MaxBody() int64 { return maxBody }

const signatureHeader = "TikTok-Signature"

// CheckHeader checks that the header TikTok-Signature has a signature, of about now.
func (s *Source) CheckHeader(header http.Header) error {
	if s.Secret.Empty() {
		return errors.New("TIKTOK_WEBHOOK_SECRET is not set")
	}
	signature := header.Get(signatureHeader)
	err := tiktok.CheckSignatureForm(signature, s.Now(), s.Tolerance)
	if err != nil && s.Plain && tiktok.IsPlainSignature(signature) {
		return nil
	}
	return err
}

// Verify checks the header TikTok-Signature.
func (s *Source) Verify(header http.Header, body []byte) error {
	if s.Secret.Empty() {
		return errors.New("TIKTOK_WEBHOOK_SECRET is not set")
	}
	signature := header.Get(signatureHeader)
	err := tiktok.VerifySignature(signature, body, s.Secret, s.Now(), s.Tolerance)
	if err != nil && s.Plain && tiktok.VerifyPlainSignature(signature, body, s.Secret) == nil {
		return nil
	}
	return err
}

// Parse reads the one event of a request.
func (*Source) Parse(body []byte) ([]inbox.Event, error) {
	event, err := tiktok.ParseEvent(body)
	if err != nil {
		return nil, err
	}
	return []inbox.Event{{Name: event.Name, Account: event.OpenID, At: event.CreatedAt, Key: event.DedupeKey(), Payload: body}}, nil
}

// Apply disconnects accounts whose authorization was removed, makes the next poll of a
// post due, and stores who can see a video.
func (s *Source) Apply(ctx context.Context, e *models.WebhookEvent) (inbox.Outcome, error) {
	event, err := tiktok.ParseEvent(e.Payload)
	if err != nil {
		return inbox.Unknown("the event cannot be read: " + err.Error()), nil
	}
	switch event.Name {
	case tiktok.EventAuthorizationRemoved:
		return s.authorizationRemoved(ctx, event)
	case tiktok.EventPublishComplete, tiktok.EventPublishFailed, tiktok.EventInboxDelivered,
		tiktok.EventPubliclyAvailable, tiktok.EventNoLongerAvailable:
		return s.postEvent(ctx, e, event)
	}
	return inbox.Unknown("events of this kind are ignored"), nil
}

func (s *Source) authorizationRemoved(ctx context.Context, event tiktok.Event) (inbox.Outcome, error) {
	known, err := s.Accounts.Removed(ctx, models.TikTok, event.OpenID, event.RemovedReason(), event.CreatedAt)
	switch {
	case err != nil:
		return inbox.Outcome{}, err
	case !known:
		return inbox.Unmatched("this account is not connected"), nil
	}
	return inbox.Processed("the accounts of " + event.OpenID + " are disconnected, unless they were connected since"), nil
}
