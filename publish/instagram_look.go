package publish

import (
	"context"
	"fmt"
	"time"

	"socialqueue/models"
	"socialqueue/platform"
	"socialqueue/platform/instagram"
)

const (
	// publishMargin is how long a media_publish whose answer was lost gets to
	// take effect before it is made again, for the same container, which can go
	// live only once.
	publishMargin = 15 * time.Second
	// lateMargin is how long such a call may still arrive: its time-out, a lease,
	// and a minute for clocks that differ. Before that nothing may be sent in the
	// container's stead, nor the post called failed.
	lateMargin = 3 * time.Minute
)

// instagramLook asks how the container fares and does what follows.
func (r *run) instagramLook(ctx context.Context, container *models.LedgerEntry) (outcome, error) {
	status, err := r.readContainer(ctx, *container.ExternalID)
	if err != nil {
		return outcome{}, err
	}
	return r.instagramVerdict(ctx, container, status)
}

// readContainer asks how a container fares. One that cannot be read, which
// fresh ones sometimes cannot for weeks, is a state of its own.
func (r *run) readContainer(ctx context.Context, id string) (instagram.ContainerStatus, error) {
	status, err := r.Instagram.ContainerStatus(ctx, r.token.Access, id)
	if kind := platform.KindOf(err); err != nil && (kind == platform.Transient || kind == platform.Gone) {
		return instagram.ContainerStatus{State: instagram.StateUnreadable, Text: err.Error()}, nil
	}
	return status, err
}

// instagramVerdict turns the state of the container into what comes next.
func (r *run) instagramVerdict(ctx context.Context, container *models.LedgerEntry, status instagram.ContainerStatus) (outcome, error) {
	published := r.ledger.Since(container, models.LedgerPublish)
	switch status.State {
	case instagram.StatePublished:
		return r.instagramLive(ctx, published)
	case instagram.StateErrored:
		return r.instagramErrored(ctx, status)
	case instagram.StateExpired:
		return r.instagramExpired(ctx, status)
	case instagram.StateInProgress:
		return r.instagramWait(ctx, status)
	case instagram.StateFinished:
		return r.instagramFinished(ctx, published)
	default:
		return r.instagramUnreadable(ctx, container, published, status)
	}
}

// instagramFinished is for a container that is ready, and not published.
func (r *run) instagramFinished(ctx context.Context, published *models.LedgerEntry) (outcome, error) {
	if published != nil && published.State == models.Missing && r.post.Attempts >= len(r.Timings.Retries) {
		return r.uncertain("media_publish did not get through, and no attempt is left; looking on"), nil
	}
	if published == nil || published.State != models.Intended {
		return r.instagramPublish(ctx)
	}
	if r.Now().Before(published.CreatedAt.Add(publishMargin)) {
		return r.uncertain("the answer to media_publish was lost; the container is not published yet"), nil
	}
	if err := r.settle(ctx, published, models.Missing); err != nil {
		return outcome{}, err
	}
	return r.again(models.Processing, models.StepPublish, "media_publish did not get through: the container is still unpublished"), nil
}

// instagramErrored is for a container that Instagram could not make ready.
// Nothing of it can go live.
func (r *run) instagramErrored(ctx context.Context, status instagram.ContainerStatus) (outcome, error) {
	kind, code := instagram.ContainerErrorKind(status.Subcode)
	err := &platform.Error{
		Provider: models.Instagram, Op: "instagram.container_status", Kind: kind, Code: code,
		PlatformCode: fmt.Sprint(status.Subcode), Message: status.Text,
	}
	if kind != platform.Rejected {
		return r.renewContainer(ctx, err.Error())
	}
	if err := r.void(ctx, models.LedgerPublish, models.LedgerContainer); err != nil {
		return outcome{}, err
	}
	return r.fail(code, err), nil
}

// instagramExpired is for a container that passed its 24 hours unpublished. One
// that was to be published is a day late now: the app has to say again that it
// wants it.
func (r *run) instagramExpired(ctx context.Context, status instagram.ContainerStatus) (outcome, error) {
	if !r.ledger.MayBeLive() {
		return r.renewContainer(ctx, "the container expired before it was published")
	}
	if err := r.void(ctx, models.LedgerPublish, models.LedgerContainer); err != nil {
		return outcome{}, err
	}
	return r.fail(platform.CodePublishFailed, fmt.Errorf("the container expired unpublished: %s", status.Text)), nil
}

func (r *run) instagramWait(ctx context.Context, status instagram.ContainerStatus) (outcome, error) {
	switch {
	case r.ledger.MayBeLive():
		return r.uncertain("Instagram: " + status.Text), nil
	case r.waited() > containerPatience:
		return r.renewContainer(ctx, "Instagram did not finish the container in "+containerPatience.String())
	}
	return r.lookLater("Instagram: " + status.Text), nil
}

// instagramUnreadable is for a container that does not tell how it stands. If
// it may be live, only a post that is seen in the account settles that.
func (r *run) instagramUnreadable(ctx context.Context, container, published *models.LedgerEntry, status instagram.ContainerStatus) (outcome, error) {
	switch {
	case published != nil && published.State == models.Done:
		return r.instagramLive(ctx, published)
	case r.ledger.MayBeLive():
		return r.instagramSeen(ctx, published, status)
	case r.Now().After(container.CreatedAt.Add(containerLife)):
		return r.renewContainer(ctx, "the container could not be read until it expired")
	case r.waited() > unreadablePatience:
		return r.instagramPublish(ctx)
	}
	return r.lookLater("the container cannot be read: " + status.Text), nil
}

func (r *run) instagramSeen(ctx context.Context, published *models.LedgerEntry, status instagram.ContainerStatus) (outcome, error) {
	if r.Now().After(published.CreatedAt.Add(publishMargin)) {
		found, err := r.findMedia(ctx, published)
		if err != nil {
			r.log.WithError(err).Info("could not look for the post in the account")
		}
		if found != nil {
			return r.live(ctx, published, found)
		}
	}
	why := "what became of media_publish is not known, and the container cannot be read: " + status.Text
	switch {
	case r.Now().Before(published.CreatedAt.Add(publishMargin)):
		return r.uncertain(why), nil
	case published.State == models.Missing && r.stored == models.Processing:
		return r.instagramPublish(ctx) // the same container goes live only once
	case published.State == models.Intended:
		if err := r.settle(ctx, published, models.Missing); err != nil {
			return outcome{}, err
		}
		return r.again(models.Processing, models.StepPublish, why), nil
	}
	return r.uncertain(why), nil
}

// giveUpContainer begins anew with another container, after Instagram refused
// to publish this one although it is ready, unless a call whose answer was lost
// may still arrive.
func (r *run) giveUpContainer(ctx context.Context, why string) (outcome, error) {
	if r.mayStillArrive() {
		return r.uncertain(why), nil
	}
	return r.renewContainer(ctx, why)
}

// mayStillArrive reports whether a media_publish without an answer is so young
// that it may still take effect.
func (r *run) mayStillArrive() bool {
	for _, e := range r.ledger {
		open := e.Op == models.LedgerPublish && (e.State == models.Intended || e.State == models.Missing)
		if open && r.Now().Before(e.CreatedAt.Add(lateMargin)) {
			return true
		}
	}
	return false
}

// renewContainer gives the container up, of which it is known that it is not
// live and will not be, and begins anew. It uses an attempt.
func (r *run) renewContainer(ctx context.Context, why string) (outcome, error) {
	if err := r.void(ctx, models.LedgerPublish, models.LedgerContainer); err != nil {
		return outcome{}, err
	}
	r.post.Step = firstStep(r.post)
	return r.anew(r.retry(&platform.Error{
		Provider: models.Instagram, Op: "instagram.container_status", Kind: platform.Transient, Code: platform.CodePublishFailed, Message: why,
	})), nil
}
