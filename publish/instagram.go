package publish

import (
	"context"
	"errors"
	"fmt"
	"time"

	"socialqueue/db"
	"socialqueue/models"
	"socialqueue/platform"
	"socialqueue/platform/instagram"
	"socialqueue/secrets"
)

const (
	// containerLife is how long a container can be published (ig-container
	// reference, 24 h), less a margin for the publishing itself.
	containerLife = 23 * time.Hour
	// linkLife is how long Instagram may fetch a picture from us: as long as the
	// container lives.
	linkLife = 24 * time.Hour
	// quotaWait is how long a post waits when the account's rolling quota is
	// used up; the window does not say when its next place comes free.
	quotaWait = time.Hour
	// containerPatience is how long Instagram may work on a container before it
	// is given up for a new one.
	containerPatience = 30 * time.Minute
	// unreadablePatience is how long the read outage of fresh containers
	// (100/33, seen since 2026-05) is waited out before media_publish is tried:
	// it says itself when a container is not ready.
	unreadablePatience = 2 * time.Minute
	// uploadTries bounds how often one run picks a broken upload up again.
	uploadTries = 4
)

var errNoAppSecret = &platform.Error{
	Provider: platform.Instagram, Op: "instagram", Kind: platform.Transient, Code: platform.CodePublishFailed,
	Message: "FACEBOOK_APP_SECRET is not set in this process",
}

// instagram does the next thing for an Instagram post.
//
// A container is harmless, however many there are, until media_publish names
// it; and one container can go live once. So a lost answer to media_publish is
// settled by reading the container, and a new container is made only when none
// of those before may be live.
func (r *run) instagram(ctx context.Context) (outcome, error) {
	if r.Instagram == nil {
		return outcome{}, errNoAppSecret
	}
	container := r.ledger.Latest(models.LedgerContainer)
	if container == nil || container.State != models.Done {
		// A container whose answer was lost is nameless: nobody can publish it.
		if err := r.void(ctx, models.LedgerContainer); err != nil {
			return outcome{}, err
		}
		return r.instagramCreate(ctx)
	}
	r.post.ContainerID = container.ExternalID
	if r.stored == models.Publishing && r.post.Step == models.StepTransfer {
		return r.instagramTransfer(ctx, instagram.Container{ID: *container.ExternalID})
	}
	return r.instagramFinish(ctx, container)
}

// instagramCreate makes a container if the account's quota has room.
func (r *run) instagramCreate(ctx context.Context) (outcome, error) {
	if err := r.fetchSource(ctx); err != nil {
		return outcome{}, err
	}
	quota, err := r.Instagram.Quota(ctx, r.token.Access, r.token.ProviderAccountID)
	if err != nil {
		return outcome{}, err
	}
	if quota.Used >= quota.Total {
		return r.later(quotaWait, models.DeferredDailyCap,
			fmt.Sprintf("the account has used its %d posts in %s", quota.Total, quota.Window)), nil
	}
	entry, err := r.intend(ctx, models.LedgerContainer)
	if err != nil {
		return outcome{}, err
	}
	container, err := r.createContainer(ctx)
	if err != nil {
		return outcome{}, errors.Join(err, r.settle(ctx, entry, models.Void))
	}
	entry.ExternalID = &container.ID
	if err := r.settle(ctx, entry, models.Done); err != nil {
		return outcome{}, err
	}
	r.post.ContainerID = &container.ID
	r.post.UpdatedAt = r.Now()
	if err := r.write(ctx, "Instagram made the container "+container.ID, db.RunWrite{}); err != nil {
		return outcome{}, err
	}
	if r.post.Kind == models.Image {
		return r.sent(models.Processing, "Instagram fetches the picture"), nil
	}
	return r.instagramTransfer(ctx, container)
}

func (r *run) createContainer(ctx context.Context) (instagram.Container, error) {
	c := r.post.Content.Instagram
	tags := make([]instagram.UserTag, len(c.UserTags))
	for i, tag := range c.UserTags {
		tags[i] = instagram.UserTag(tag)
	}
	if r.post.Kind == models.Image {
		id, err := r.Instagram.CreateImage(ctx, r.token.Access, r.token.ProviderAccountID, instagram.Image{
			URL: r.Links.Link(*r.post.MediaID, r.Now().Add(linkLife)), Caption: c.Caption, AltText: c.AltText,
			LocationID: c.LocationID, Collaborators: c.Collaborators, UserTags: tags,
		})
		return instagram.Container{ID: id}, err
	}
	return r.Instagram.CreateReel(ctx, r.token.Access, r.token.ProviderAccountID, instagram.Reel{
		Caption: c.Caption, LocationID: c.LocationID, ShareToFeed: c.ShareToFeed, CoverURL: secrets.Secret(c.CoverURL),
		ThumbOffsetMs: c.ThumbOffsetMs, Collaborators: c.Collaborators, UserTags: tags,
	})
}

// instagramFinish asks how the container fares and publishes it when it is
// ready, or finds out whether it was published.
func (r *run) instagramFinish(ctx context.Context, container *models.LedgerEntry) (outcome, error) {
	status, err := r.Instagram.ContainerStatus(ctx, r.token.Access, *container.ExternalID)
	if err != nil && platform.KindOf(err) != platform.Transient && platform.KindOf(err) != platform.Gone {
		return outcome{}, err
	}
	if err != nil {
		status = instagram.ContainerStatus{State: instagram.StateUnreadable, Text: err.Error()}
	}
	if published := r.ledger.Since(container, models.LedgerPublish); published != nil && r.ledger.MayBeLive() {
		return r.instagramSettle(ctx, published, status)
	}
	switch status.State {
	case instagram.StateFinished:
		return r.instagramPublish(ctx)
	case instagram.StatePublished:
		return r.instagramLive(ctx, nil)
	case instagram.StateErrored:
		return r.instagramErrored(ctx, status)
	case instagram.StateExpired:
		return r.renewContainer(ctx, "the container expired before it was published")
	case instagram.StateInProgress:
		return r.instagramWait(ctx, status)
	default:
		return r.instagramUnreadable(ctx, container, status)
	}
}

func (r *run) instagramWait(ctx context.Context, status instagram.ContainerStatus) (outcome, error) {
	if r.waited() > containerPatience {
		return r.renewContainer(ctx, "Instagram did not finish the container in "+containerPatience.String())
	}
	return r.lookLater("Instagram: " + status.Text), nil
}

func (r *run) instagramUnreadable(ctx context.Context, container *models.LedgerEntry, status instagram.ContainerStatus) (outcome, error) {
	switch {
	case r.Now().After(container.CreatedAt.Add(containerLife)):
		return r.renewContainer(ctx, "the container could not be read until it expired")
	case r.waited() > unreadablePatience:
		return r.instagramPublish(ctx)
	}
	return r.lookLater("the container cannot be read: " + status.Text), nil
}

// instagramErrored is for a container that Instagram could not make ready.
func (r *run) instagramErrored(ctx context.Context, status instagram.ContainerStatus) (outcome, error) {
	kind, code := instagram.ContainerErrorKind(status.Subcode)
	err := &platform.Error{
		Provider: platform.Instagram, Op: "instagram.container_status", Kind: kind, Code: code,
		PlatformCode: fmt.Sprint(status.Subcode), Message: status.Text,
	}
	if kind == platform.Rejected {
		if err := r.void(ctx, models.LedgerContainer); err != nil {
			return outcome{}, err
		}
		return r.fail(code, err), nil
	}
	return r.renewContainer(ctx, err.Error())
}

// renewContainer gives the container up, of which it is known that it is not
// live, and begins anew. It uses an attempt.
func (r *run) renewContainer(ctx context.Context, why string) (outcome, error) {
	if err := r.void(ctx, models.LedgerContainer); err != nil {
		return outcome{}, err
	}
	r.post.Step = firstStep(r.post)
	return r.anew(r.retry(&platform.Error{
		Provider: platform.Instagram, Op: "instagram.container_status", Kind: platform.Transient, Code: platform.CodePublishFailed, Message: why,
	})), nil
}

// instagramTransfer sends a reel's bytes, from where Instagram has them.
func (r *run) instagramTransfer(ctx context.Context, container instagram.Container) (outcome, error) {
	file, err := r.DB.MediaByID(ctx, *r.post.MediaID)
	if err != nil {
		return outcome{}, err
	}
	for try := 1; ; try++ {
		done, err := r.uploadReel(ctx, container, file)
		switch {
		case err == nil && done:
			return r.sent(models.Processing, "Instagram has the whole video and processes it"), nil
		case platform.KindOf(err) == platform.Gone:
			return r.renewContainer(ctx, err.Error())
		case !worthAsking(err) || try == uploadTries:
			return outcome{}, err
		}
		if err := r.pause(ctx, time.Duration(try)*time.Second); err != nil {
			return outcome{}, err
		}
	}
}

// uploadReel asks how many bytes Instagram has and sends the rest.
func (r *run) uploadReel(ctx context.Context, container instagram.Container, file *models.Media) (done bool, err error) {
	if err := r.stopping(ctx); err != nil {
		return false, err
	}
	status, err := r.Instagram.ContainerStatus(ctx, r.token.Access, container.ID)
	if err != nil {
		return false, err
	}
	switch status.State {
	case instagram.StateErrored, instagram.StateExpired:
		return false, &platform.Error{
			Provider: platform.Instagram, Op: "instagram.upload", Kind: platform.Gone, Code: platform.CodeUploadFailed, Message: status.Text,
		}
	case instagram.StateFinished, instagram.StatePublished:
		return true, nil
	}
	if status.BytesTransferred >= file.Bytes {
		return true, nil
	}
	ctx, cancel := r.untilDrain(ctx)
	defer cancel()
	return true, r.Instagram.UploadReel(ctx, r.token.Access, container, max(status.BytesTransferred, 0), file.Bytes, r.openFrom(ctx, file))
}
