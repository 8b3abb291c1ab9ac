package inbox

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"

	"socialqueue/db"
	"socialqueue/models"
	"socialqueue/observe"
	"socialqueue/platform/instagram"
)

// Handshake answers Meta's question whether this is the right address: it gives the
// challenge back if the token is ours. Its error is ErrNotAuthentic.
func (s *Service) Handshake(mode, token, challenge string) (string, error) {
	want, got := sha256.Sum256([]byte(s.InstagramToken.Reveal())), sha256.Sum256([]byte(token))
	if s.InstagramToken.Empty() || mode != "subscribe" || subtle.ConstantTimeCompare(want[:], got[:]) != 1 {
		return "", s.refuse(models.Instagram, errors.New("hub.verify_token is not INSTAGRAM_WEBHOOK_VERIFY_TOKEN"))
	}
	return challenge, nil
}

// ReceiveInstagram takes a webhook of Meta with its headers X-Hub-Signature-256 and
// X-Hub-Signature. Its errors are ErrNotAuthentic and those of the database; after any
// of them nothing is stored.
func (s *Service) ReceiveInstagram(ctx context.Context, sha256Header, sha1Header string, body []byte) error {
	if s.InstagramSecret.Empty() {
		return s.refuse(models.Instagram, errors.New("INSTAGRAM_WEBHOOK_SECRET is not set"))
	}
	if err := instagram.VerifyHubSignature(sha256Header, sha1Header, body, s.InstagramSecret); err != nil {
		return s.refuse(models.Instagram, err)
	}
	notices, err := instagram.ParseNotices(body)
	if err != nil {
		return s.refuse(models.Instagram, err)
	}
	events := make([]models.WebhookEvent, len(notices))
	for i, n := range notices {
		events[i] = models.WebhookEvent{
			Platform: models.Instagram, DedupeKey: dedupeKey(n.DedupeKey(), n.Raw), Name: n.Field, Account: n.AccountID,
			OccurredAt: timeOrNil(n.At), Payload: n.Raw,
		}
	}
	return s.keep(ctx, events)
}

// instagram gives a notice of Instagram's its effect.
func (s *Service) instagram(ctx context.Context, e *models.WebhookEvent) (outcome, error) {
	notices, err := instagram.ParseNotices(e.Payload)
	if err != nil || len(notices) != 1 {
		return unknown("it cannot be read"), nil
	}
	n := notices[0]
	switch n.Field {
	case instagram.FieldComments, instagram.FieldLiveComments, instagram.FieldStoryInsights, instagram.FieldMedia:
	case instagram.FieldMentions, instagram.FieldMessages:
		return processed("it is kept"), nil
	default:
		return unknown("nothing is done about notices of this kind"), nil
	}
	account, err := s.DB.Accounts.InstagramAccountOf(ctx, n.AccountID)
	if errors.Is(err, db.ErrNotFound) {
		return early(e, "no account with this id is connected"), nil
	}
	if err != nil {
		return outcome{}, err
	}
	o, err := s.notice(ctx, e, account, n)
	o.whose = observe.Instagram(account)
	return o, err
}

func (s *Service) notice(ctx context.Context, e *models.WebhookEvent, account *models.InstagramAccount, n instagram.Notice) (outcome, error) {
	if n.Field == instagram.FieldStoryInsights || n.Field == instagram.FieldMedia {
		return s.mediaNotice(ctx, account, n)
	}
	return s.comment(ctx, e, account, n)
}

func (s *Service) mediaNotice(ctx context.Context, account *models.InstagramAccount, n instagram.Notice) (outcome, error) {
	id := n.MediaID()
	if id == "" || len(id) > maxID {
		return unknown("it names no post"), nil
	}
	var metrics map[string]int64
	if n.Field == instagram.FieldStoryInsights {
		metrics = n.Metrics()
	}
	return processed("post " + id + " is noted"), s.DB.Accounts.NoteIGMedia(ctx, account.ID, id, metrics, s.Now())
}

// maxID is the longest of Instagram's ids that is stored.
const maxID = 255

func (s *Service) comment(ctx context.Context, e *models.WebhookEvent, account *models.InstagramAccount, n instagram.Notice) (outcome, error) {
	c, ok := n.Comment()
	if !ok || len(c.ID) > maxID || len(c.MediaID) > maxID || len(c.ParentID) > maxID {
		return unknown("it names no comment"), nil
	}
	received, err := s.DB.Inbox.ReceiveComment(ctx, account, &models.InstagramComment{
		InstagramAccountID: account.ID, IGCommentID: c.ID, IGMediaID: textOrNil(c.MediaID), ParentID: textOrNil(c.ParentID),
		FromID: cut(c.FromID, maxAccount), Username: cut(c.Username, maxAccount), Text: c.Text, Own: c.Own,
		Timestamp: timeOrNil(n.At), CreatedAt: s.Now(),
	}, e.CorrelationID, s.Now())
	switch {
	case err != nil:
		return outcome{}, err
	case !received:
		return processed("the comment is known"), nil
	case c.Own:
		return processed("a comment of the account itself; the app is not told"), nil
	}
	return processed("the comment is stored"), nil
}

func textOrNil(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
