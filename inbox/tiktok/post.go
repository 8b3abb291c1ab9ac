package tiktok

import (
	"context"
	"errors"
	"strings"

	"socialqueue/db"
	"socialqueue/inbox"
	"socialqueue/models"
	"socialqueue/platform/tiktok"
	"socialqueue/publish"
	posts "socialqueue/publish/tiktok"
)

// postEvent applies an event about an upload to its post. While a worker holds the post,
// nothing is changed.
func (s *Source) postEvent(ctx context.Context, e *models.WebhookEvent, event tiktok.Event) (inbox.Outcome, error) {
	p, err := s.DB.Runs.PostOfUpload(ctx, event.PublishID)
	if errors.Is(err, db.ErrNotFound) {
		return s.adopt(ctx, event)
	}
	if err != nil {
		return inbox.Outcome{}, err
	}
	o, err := s.applyTo(ctx, p, e, event)
	return o.OfPost(p), err
}

// fetched are the posts whose files TikTok fetches, by the beginning of their publish_ids (seen
// in the field, 2026). A lost publish_id of an upload needs no adoption: the upload is lost with
// it.
var fetched = []struct {
	ids     string
	op      models.LedgerOp
	toInbox bool
}{
	{"p_pub_", posts.OpPhotos, false}, {"p_inbox_", posts.OpPhotos, true},
	{"v_pub_url", posts.OpPull, false}, {"v_inbox_url", posts.OpPull, true},
}

// adopt gives the publish_id to the one post whose answer was lost. An event that says that
// something failed is not about it: by a wrong guess the files would be sent again.
func (s *Source) adopt(ctx context.Context, event tiktok.Event) (inbox.Outcome, error) {
	early := inbox.Early("no post has this publish_id yet")
	switch event.Name {
	case tiktok.EventPublishComplete, tiktok.EventInboxDelivered, tiktok.EventPubliclyAvailable:
	default:
		return early, nil
	}
	kind := -1
	for i := range fetched {
		if strings.HasPrefix(event.PublishID, fetched[i].ids) {
			kind = i
		}
	}
	if kind < 0 {
		return early, nil
	}
	p, effect, err := s.Posts.Adopt(ctx, publish.Sighting{
		Platform: models.TikTok, ProviderAccountID: event.OpenID, Op: fetched[kind].op, PublishID: event.PublishID,
		At: event.CreatedAt, Why: "TikTok sent " + event.Name,
		Fits: func(p *models.Post) bool {
			options, err := posts.Of(p)
			return err == nil && (options.Mode == posts.ModeInbox) == fetched[kind].toInbox
		},
	})
	if err != nil || p == nil {
		return early, err
	}
	return outcomeOf(effect).OfPost(p), nil
}

func (s *Source) applyTo(ctx context.Context, p *models.Post, e *models.WebhookEvent, event tiktok.Event) (inbox.Outcome, error) {
	if s.Posts.Held(p) {
		return held(), nil
	}
	switch event.Name {
	case tiktok.EventPubliclyAvailable, tiktok.EventNoLongerAvailable:
		return s.availability(ctx, p, e, event)
	}
	effect, err := s.poll(ctx, p, event)
	return outcomeOf(effect), err
}

func held() inbox.Outcome { return inbox.Busy("a worker holds the post") }

// poll makes the next poll of a post due now, unless the event is about an upload that a
// newer one replaced.
func (s *Source) poll(ctx context.Context, p *models.Post, event tiktok.Event) (publish.Effect, error) {
	if !current(p, event) {
		return publish.EffectNone, nil
	}
	return s.Posts.PollNow(ctx, p, "TikTok sent "+event.Name)
}

// current reports whether an event is about the post's latest upload.
func current(p *models.Post, event tiktok.Event) bool {
	return p.PublishID != nil && *p.PublishID == event.PublishID
}

// identify takes the id of a published post from an event. Any other post is polled.
func (s *Source) identify(ctx context.Context, p *models.Post, event tiktok.Event) (publish.Effect, error) {
	switch {
	case p.Status != models.Published || event.PostID == "" || !current(p, event):
		return s.poll(ctx, p, event)
	case p.PlatformPostID != nil:
		return publish.EffectNone, nil
	}
	account, err := s.DB.Accounts.OAuthAccount(ctx, p.OAuthAccountID)
	if err != nil {
		return publish.EffectNone, err
	}
	link := posts.Permalink(p, account.Username, event.PostID)
	return s.Posts.Identify(ctx, p, event.PostID, link, "live on TikTok as "+event.PostID+", according to "+event.Name)
}

func outcomeOf(effect publish.Effect) inbox.Outcome {
	switch effect {
	case publish.EffectHeld:
		return held()
	case publish.EffectPolling:
		return inbox.Processed("the post is polled now")
	case publish.EffectIdentified:
		return inbox.Processed("the post's id is stored")
	}
	return inbox.Processed("the event changes nothing")
}

// availability stores that everybody can see a video, or no longer can. A published post
// takes its id from the event; any other post is polled.
func (s *Source) availability(ctx context.Context, p *models.Post, e *models.WebhookEvent, event tiktok.Event) (inbox.Outcome, error) {
	a := db.Availability{PublishID: event.PublishID, Public: event.Name == tiktok.EventPubliclyAvailable, At: inbox.OccurredAt(e)}
	stored, err := s.DB.Runs.NoteAvailability(ctx, a, s.timelineEntry(p, a))
	if err != nil {
		return inbox.Outcome{}, err
	}
	effect, err := s.identify(ctx, p, event)
	if effect == publish.EffectNone && stored {
		return inbox.Processed("the availability is stored"), err
	}
	return outcomeOf(effect), err
}

func (s *Source) timelineEntry(p *models.Post, a db.Availability) models.PostEvent {
	message := "TikTok reports that the video is visible to everybody"
	if !a.Public {
		message = "TikTok reports that the video is no longer visible to everybody"
	}
	return models.PostEvent{PostID: p.ID, At: s.Now(), Type: models.EventNote, Message: message, Fence: p.Fence}
}
