package publish

import (
	"context"
	"errors"
	"io"
	"time"

	"socialqueue/models"
	"socialqueue/platform"
	"socialqueue/platform/instagram"
)

const (
	// matchSlack forgives the clocks when a post is looked for by its time, and
	// matchSpan is how long after the call it may have gone live.
	matchSlack = 10 * time.Second
	matchSpan  = 10 * time.Minute
	// recentMedia is how many of the account's newest posts are looked through.
	recentMedia = 25
	// notReadyLimit is how often media_publish may say "not ready" before the
	// container is given up.
	notReadyLimit = 10
	// idPatience is how long the id of a live post is looked for.
	idPatience = time.Hour
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
	if unanswered(err) {
		return r.sent(models.Uncertain, describe(err)), nil
	}
	return r.instagramRefused(ctx, entry, err)
}

// unanswered reports whether a call ended without a word of the platform about
// it.
func unanswered(err error) bool {
	e, ok := errors.AsType[*platform.Error](err)
	return !ok || e.Kind == platform.Unknown && e.PlatformCode == ""
}

// instagramRefused is for a media_publish that was answered with an error. Such
// answers have been seen for posts that were live all the same, so the
// container is read before anything is concluded.
func (r *run) instagramRefused(ctx context.Context, entry *models.LedgerEntry, refusal error) (outcome, error) {
	status, err := r.readContainer(ctx, *r.post.ContainerID)
	if err != nil || status.State == instagram.StateUnreadable {
		return r.sent(models.Uncertain, describe(refusal)), nil
	}
	if status.State == instagram.StatePublished {
		return r.instagramLive(ctx, entry)
	}
	if platform.KindOf(refusal) == platform.Unknown {
		return r.instagramRestricted(ctx, entry, refusal)
	}
	if kind := platform.KindOf(refusal); status.State == instagram.StateFinished && (kind == platform.Gone || kind == platform.Rejected) && !r.repeated(entry) {
		return r.sent(models.Uncertain, describe(refusal)), nil
	}
	if err := r.settle(ctx, entry, models.Void); err != nil {
		return outcome{}, err
	}
	if status.State == instagram.StateErrored || status.State == instagram.StateExpired {
		return r.instagramVerdict(ctx, r.ledger.Latest(models.LedgerContainer), status)
	}
	return r.afterRefusal(ctx, refusal)
}

// repeated reports whether the container was to be published before, and was
// found unpublished a while later. A read right behind a refusal may lag.
func (r *run) repeated(entry *models.LedgerEntry) bool {
	container := r.ledger.Latest(models.LedgerContainer)
	for _, e := range r.ledger {
		if e.Op == models.LedgerPublish && e.ID > container.ID && e.ID != entry.ID && e.State == models.Missing {
			return true
		}
	}
	return false
}

// instagramRestricted is for an answer that leaves open whether the post went
// live, of a container that says it did not: it is published again after the
// pause that the answer asks for.
func (r *run) instagramRestricted(ctx context.Context, entry *models.LedgerEntry, refusal error) (outcome, error) {
	if err := r.settle(ctx, entry, models.Missing); err != nil {
		return outcome{}, err
	}
	o := r.again(models.Processing, models.StepPublish, describe(refusal))
	if e, ok := errors.AsType[*platform.Error](refusal); ok && o.attempt && e.RetryAfter > o.in {
		o.in, o.reason = e.RetryAfter, models.DeferredRateLimit
	}
	return o, nil
}

// afterRefusal is for a media_publish that surely did nothing, of a container
// that is not published.
func (r *run) afterRefusal(ctx context.Context, refusal error) (outcome, error) {
	switch platform.KindOf(refusal) {
	case platform.NotReady:
		if r.refusals() >= notReadyLimit {
			return r.giveUpContainer(ctx, refusal.Error())
		}
		return r.lookLater(refusal.Error()), nil
	case platform.Gone:
		return r.giveUpContainer(ctx, refusal.Error())
	case platform.Rejected:
		if r.mayStillArrive() {
			return r.uncertain(refusal.Error()), nil
		}
		if err := r.void(ctx, models.LedgerPublish); err != nil {
			return outcome{}, err
		}
		return r.fail(codeOf(refusal), refusal), nil
	case platform.Transient:
		return r.again(models.Processing, models.StepPublish, refusal.Error()), nil
	default:
		return outcome{}, refusal
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
	return r.live(ctx, published, found)
}

// live concludes a post that is live. Without an id it is asked for again for a
// while.
func (r *run) live(ctx context.Context, published *models.LedgerEntry, media *instagram.Media) (outcome, error) {
	if published != nil && (published.State != models.Done || media != nil && published.ExternalID == nil) {
		if media != nil {
			published.ExternalID = &media.ID
		}
		if err := r.settle(ctx, published, models.Done); err != nil {
			return outcome{}, err
		}
	}
	now, p := r.Now(), r.post
	if p.PublishedAt == nil {
		p.PublishedAt, p.WaitingSince, p.Looks = &now, &now, 0
	}
	if media == nil && r.waited() < idPatience {
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
		Caption: r.post.Content.Instagram.Caption, CreatedAt: now, UpdatedAt: now, Ours: true,
	}
	if !media.Timestamp.IsZero() {
		at := models.Time(media.Timestamp)
		row.Timestamp = &at
	}
	return row
}

// findMedia looks for the post among the account's newest by caption and time.
// One that we know already is another post. Where several could be meant, in
// the account or among our own, it is none: a wrong id is worse than a missing
// one.
func (r *run) findMedia(ctx context.Context, published *models.LedgerEntry) (*instagram.Media, error) {
	if published == nil {
		return nil, nil
	}
	twins, err := r.hasTwins(ctx, published.CreatedAt.Add(-matchSlack))
	if err != nil || twins {
		return nil, err
	}
	recent, err := r.Instagram.RecentMedia(ctx, r.token.Access, r.token.ProviderAccountID, recentMedia)
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(recent))
	for i, m := range recent {
		ids[i] = m.ID
	}
	known, err := r.DB.Runs.KnownIGMedia(ctx, ids)
	if err != nil {
		return nil, err
	}
	return match(recent, known, r.post.Content.Instagram.Caption, published.CreatedAt), nil
}

// hasTwins reports whether another post of the account with the same caption,
// which was not live yet at since, lacks its id as well.
func (r *run) hasTwins(ctx context.Context, since time.Time) (bool, error) {
	others, err := r.DB.Runs.UnsettledInLane(ctx, r.post.Lane, r.post.ID)
	if err != nil {
		return false, err
	}
	for _, other := range others {
		if other.PublishedAt != nil && other.PublishedAt.Before(since) {
			continue
		}
		if other.Content.Instagram != nil && other.Content.Instagram.Caption == r.post.Content.Instagram.Caption {
			return true, nil
		}
	}
	return false, nil
}

func match(recent []instagram.Media, known map[string]bool, caption string, sentAt time.Time) *instagram.Media {
	var found *instagram.Media
	for i, m := range recent {
		early, late := m.Timestamp.Before(sentAt.Add(-matchSlack)), m.Timestamp.After(sentAt.Add(matchSpan))
		if known[m.ID] || m.Caption != caption || early || late {
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
