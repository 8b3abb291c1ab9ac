package inbox

import (
	"context"
	"errors"
	"time"

	"socialqueue/db"
	"socialqueue/models"
	"socialqueue/platform/tiktok"
	"socialqueue/publish"
)

// ReceiveTikTok takes a webhook of TikTok with the header TikTok-Signature. Its errors
// are ErrNotAuthentic and those of the database; after any other nothing is stored.
func (s *Service) ReceiveTikTok(ctx context.Context, signature string, body []byte) error {
	if err := s.verifyTikTok(signature, body); err != nil {
		return err
	}
	event, err := tiktok.ParseEvent(body)
	if err != nil {
		return s.refuse(models.TikTok, err)
	}
	return s.keep(ctx, []models.WebhookEvent{{
		Platform: models.TikTok, DedupeKey: dedupeKey(event.DedupeKey(), body), Name: event.Name, Account: event.OpenID,
		OccurredAt: timeOrNil(event.CreatedAt), Payload: body,
	}})
}

func (s *Service) verifyTikTok(signature string, body []byte) error {
	if s.TikTokSecret.Empty() {
		return s.refuse(models.TikTok, errors.New("TIKTOK_WEBHOOK_SECRET is not set"))
	}
	err := tiktok.VerifySignature(signature, body, s.TikTokSecret, s.Now(), s.TikTokTolerance)
	if err != nil && s.TikTokPlain && tiktok.VerifyPlainSignature(signature, body, s.TikTokSecret) == nil {
		return nil
	}
	if err != nil {
		return s.refuse(models.TikTok, err)
	}
	return nil
}

// tiktok gives an event of TikTok its effect.
func (s *Service) tiktok(ctx context.Context, e *models.WebhookEvent) (outcome, error) {
	event, err := tiktok.ParseEvent(e.Payload)
	if err != nil {
		return unknown("it cannot be read: " + err.Error()), nil
	}
	switch event.Name {
	case tiktok.EventAuthorizationRemoved:
		known, err := s.Accounts.TikTokRemoved(ctx, event.OpenID, event.Reason, event.CreatedAt)
		if err != nil || known {
			return processed("the accounts of " + event.OpenID + " are disconnected, unless they were connected since"), err
		}
		return unmatched("nobody connected this account"), nil
	case tiktok.EventPublishComplete, tiktok.EventPublishFailed, tiktok.EventInboxDelivered:
		p, heard, err := s.Posts.LookNow(ctx, event.PublishID, event.Name)
		return s.heard(e, p, heard), err
	case tiktok.EventPubliclyAvailable, tiktok.EventNoLongerAvailable:
		p, heard, err := s.Posts.Available(ctx, db.Availability{
			PublishID: event.PublishID, Public: event.Name == tiktok.EventPubliclyAvailable, At: happened(e),
		}, event.PostID)
		return s.heard(e, p, heard), err
	}
	return unknown("nothing is done about events of this kind"), nil
}

// happened is when an event happened; what does not say so did when it came.
func happened(e *models.WebhookEvent) time.Time {
	if e.OccurredAt != nil {
		return *e.OccurredAt
	}
	return e.ReceivedAt
}

// heard turns what TikTok's word met into what comes next.
func (s *Service) heard(e *models.WebhookEvent, p *models.Post, h publish.Heard) outcome {
	switch h {
	case publish.HeardAndLooks:
		return processed("the post is looked at now").about(p)
	case publish.HeardAndNoted:
		return processed("it is noted").about(p)
	case publish.HeardLate:
		return processed("it is nothing new").about(p)
	case publish.HeardWhileBusy:
		return again(busyWaits[min(e.Attempts, len(busyWaits)-1)], "a worker has the post").about(p)
	}
	return early(e, "no post of this upload is known")
}
