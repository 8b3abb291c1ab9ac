package publish

import (
	"context"
	"fmt"
	"io"
	"time"

	"socialqueue/models"
	"socialqueue/platform"
	"socialqueue/platform/instagram"
)

const (
	// publishMargin is how long a media_publish whose answer was lost may still
	// be under way at Instagram. Only a container that is unpublished after it
	// may be published again.
	publishMargin = 15 * time.Second
	// matchSlack forgives the clocks when a post is looked for by its time.
	matchSlack = 2 * time.Minute
	// recentMedia is how many of the account's newest posts are looked through.
	recentMedia = 25
	// notReadyLimit is how often media_publish may say "not ready" before the
	// container is given up.
	notReadyLimit = 10
)

// instagramPublish makes the container live: the one call that cannot be taken
// back.
func (r *run) instagramPublish(ctx context.Context) (outcome, error) {
	entry, err := r.intend(ctx, models.LedgerPublish)
	if err != nil {
		return outcome{}, err
	}
	id, err := r.Instagram.Publish(ctx, r.token.Access, r.token.ProviderAccountID, *r.post.ContainerID)
	if err == nil {
		entry.ExternalID = &id
		if err := r.settle(ctx, entry, models.Done); err != nil {
			return outcome{}, err
		}
		return r.instagramLive(ctx, entry)
	}
	if platform.KindOf(err) == platform.Unknown {
		return r.sent(models.Uncertain, describe(err)), nil
	}
	if err := r.settle(ctx, entry, models.Void); err != nil {
		return outcome{}, err
	}
	return r.instagramRefused(ctx, err)
}

// instagramRefused is for a media_publish that surely did nothing.
func (r *run) instagramRefused(ctx context.Context, err error) (outcome, error) {
	switch platform.KindOf(err) {
	case platform.NotReady:
		if r.refusals() >= notReadyLimit {
			return r.renewContainer(ctx, err.Error())
		}
		return r.lookLater(err.Error()), nil
	case platform.Gone:
		return r.renewContainer(ctx, err.Error())
	case platform.Rejected:
		return r.fail(codeOf(err), err), nil
	case platform.Transient:
		return r.retry(err), nil
	default:
		return outcome{}, err
	}
}

// refusals counts the vain calls to publish the current container.
func (r *run) refusals() int {
	container := r.ledger.Latest(models.LedgerContainer)
	n := 0
	for _, e := range r.ledger {
		if e.Op == models.LedgerPublish && e.ID > container.ID && e.State == models.Void {
			n++
		}
	}
	return n
}

// instagramSettle finds out what became of a media_publish whose answer was
// lost. It only reads.
func (r *run) instagramSettle(ctx context.Context, published *models.LedgerEntry, status instagram.ContainerStatus) (outcome, error) {
	if published.State == models.Done {
		return r.instagramLive(ctx, published)
	}
	if status.State == instagram.StatePublished {
		return r.instagramLive(ctx, published)
	}
	found, err := r.findMedia(ctx, published)
	if err != nil {
		return outcome{}, err
	}
	if found != nil {
		return r.live(ctx, published, found)
	}
	if r.Now().Before(published.CreatedAt.Add(publishMargin)) {
		return r.uncertain("the answer to media_publish was lost; the container says: " + status.Text), nil
	}
	switch status.State {
	case instagram.StateFinished:
		if err := r.void(ctx, models.LedgerPublish); err != nil {
			return outcome{}, err
		}
		return r.anew(r.retry(&platform.Error{
			Provider: platform.Instagram, Op: "instagram.publish", Kind: platform.Transient, Code: platform.CodePublishFailed,
			Message: "media_publish did not get through: the container is still unpublished",
		})), nil
	case instagram.StateExpired, instagram.StateErrored:
		if err := r.void(ctx, models.LedgerPublish, models.LedgerContainer); err != nil {
			return outcome{}, err
		}
		return r.fail(platform.CodePublishFailed, fmt.Errorf("the container ended unpublished: %s", status.Text)), nil
	}
	return r.uncertain("the answer to media_publish was lost; the container says: " + status.Text), nil
}

// uncertain has the post looked at again.
func (r *run) uncertain(message string) outcome {
	o := r.lookLater(message)
	if !o.last && models.CanMove(r.stored, models.Uncertain) {
		o.status = models.Uncertain
	}
	return o
}

// instagramLive is for a container that is published. The entry of the call
// that did it may lack the media id, or be nil.
func (r *run) instagramLive(ctx context.Context, published *models.LedgerEntry) (outcome, error) {
	if published != nil && published.ExternalID != nil {
		media, err := r.Instagram.Media(ctx, r.token.Access, *published.ExternalID)
		if err != nil { // the permalink is a courtesy: the post is live
			media = instagram.Media{ID: *published.ExternalID}
		}
		return r.live(ctx, published, &media)
	}
	found, err := r.findMedia(ctx, published)
	if err != nil {
		r.log.WithError(err).Info("could not look for the id of a live post")
	}
	if found != nil {
		return r.live(ctx, published, found)
	}
	return r.live(ctx, published, nil)
}

// live concludes a post that is live. Without an id it is asked for again for a
// while.
func (r *run) live(ctx context.Context, published *models.LedgerEntry, media *instagram.Media) (outcome, error) {
	now, p := r.Now(), r.post
	if published != nil && published.State != models.Done {
		if media != nil {
			published.ExternalID = &media.ID
		}
		if err := r.settle(ctx, published, models.Done); err != nil {
			return outcome{}, err
		}
	}
	if p.PublishedAt == nil {
		p.PublishedAt, p.WaitingSince, p.Looks = &now, &now, 0
	}
	if media == nil && r.waited() < time.Hour {
		return outcome{
			status: models.Published, step: models.StepPublish, in: r.lookWait(), look: true,
			message: "live on Instagram; its id is not known yet",
		}, nil
	}
	o := outcome{status: models.Published, last: true, message: "live on Instagram"}
	if media == nil {
		return o, nil
	}
	p.PlatformPostID = &media.ID
	if media.Permalink != "" {
		p.Permalink = &media.Permalink
	}
	o.message = "live on Instagram as " + media.ID
	o.rows.IGMedia = r.mediaRow(media)
	return o, nil
}

func (r *run) mediaRow(media *instagram.Media) *models.IGMedia {
	now := r.Now()
	kind := "IMAGE"
	if r.post.Kind == models.Reel {
		kind = "VIDEO" // a reel reads so in the guide's table and at Instagram
	}
	row := &models.IGMedia{
		InstagramAccountID: *r.post.InstagramAccountID, IGID: media.ID, MediaType: kind, Permalink: r.post.Permalink,
		Caption: r.post.Content.Instagram.Caption, CreatedAt: now, UpdatedAt: now,
	}
	if !media.Timestamp.IsZero() {
		at := models.Time(media.Timestamp)
		row.Timestamp = &at
	}
	return row
}

// findMedia looks for the post among the account's newest by caption and time.
// One that we know already is another post. More than one match is none: a
// wrong id would be worse than a missing one.
func (r *run) findMedia(ctx context.Context, published *models.LedgerEntry) (*instagram.Media, error) {
	if published == nil {
		return nil, nil
	}
	recent, err := r.Instagram.RecentMedia(ctx, r.token.Access, r.token.ProviderAccountID, recentMedia)
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(recent))
	for i, m := range recent {
		ids[i] = m.ID
	}
	known, err := r.DB.KnownIGMedia(ctx, ids)
	if err != nil {
		return nil, err
	}
	return match(recent, known, r.post.Content.Instagram.Caption, published.CreatedAt), nil
}

func match(recent []instagram.Media, known map[string]bool, caption string, sentAt time.Time) *instagram.Media {
	var found *instagram.Media
	for i, m := range recent {
		if known[m.ID] || m.Caption != caption || m.Timestamp.Before(sentAt.Add(-matchSlack)) {
			continue
		}
		if found != nil {
			return nil
		}
		found = &recent[i]
	}
	return found
}

// openFrom opens a post's file at an offset.
func (r *run) openFrom(ctx context.Context, file *models.Media) func(offset int64) (io.ReadCloser, error) {
	return func(offset int64) (io.ReadCloser, error) { return r.openChunk(ctx, offset, file.Bytes-offset) }
}

// untilDrain ends a long call when the process stops: what it transferred so
// far stays, and another worker goes on from there.
func (r *run) untilDrain(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	done := make(chan struct{})
	go func() {
		select {
		case <-r.drain:
			cancel(errDraining)
		case <-done:
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		close(done)
		cancel(context.Canceled)
	}
}
