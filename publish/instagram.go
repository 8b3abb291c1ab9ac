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
	Provider: models.Instagram, Op: "instagram", Kind: platform.Transient, Code: platform.CodePublishFailed,
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
	if r.stored == models.Published {
		return r.instagramLive(ctx, r.ledger.Since(container, models.LedgerPublish)) // only its id is missing
	}
	if r.stored == models.Publishing && r.post.Kind == models.Reel && r.post.Step == models.StepTransfer {
		return r.instagramTransfer(ctx, container, offsetUnknown)
	}
	return r.instagramLook(ctx, container)
}

// instagramCreate makes a container if the account's quota has room.
func (r *run) instagramCreate(ctx context.Context) (outcome, error) {
	if err := r.fetchSource(ctx); err != nil {
		return outcome{}, err
	}
	quota, err := r.quota(ctx)
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
	return r.instagramTransfer(ctx, entry, 0)
}

// quota asks how many posts the account has left, and keeps the answer for those who look
// at the account. That it cannot be kept is nothing to the post.
func (r *run) quota(ctx context.Context) (instagram.Quota, error) {
	asked := r.Now()
	q, err := r.Instagram.Quota(ctx, r.token.Access, r.token.ProviderAccountID)
	if err != nil {
		return instagram.Quota{}, err
	}
	within, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	err = r.DB.Accounts.NoteQuota(within, r.post.AccountID(), models.Quota{Used: q.Used, Total: q.Total, WindowSeconds: int(q.Window / time.Second), AskedAt: &asked})
	if err != nil {
		r.log.WithError(err).Warn("could not keep the account's quota; the next post asks for it again")
	}
	return q, nil
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

// offsetUnknown has Instagram asked how many bytes of a reel it has.
const offsetUnknown = -1

// instagramTransfer sends a reel's bytes from offset on, or from where
// Instagram has them.
func (r *run) instagramTransfer(ctx context.Context, container *models.LedgerEntry, offset int64) (outcome, error) {
	file, err := r.DB.Media.ByID(ctx, *r.post.MediaID)
	if err != nil {
		return outcome{}, err
	}
	for try := 1; ; try++ {
		err := r.uploadReel(ctx, *container.ExternalID, file, offset)
		switch {
		case err == nil:
			return r.sent(models.Processing, "Instagram has the whole video and processes it"), nil
		case errors.Is(err, errUnreadable):
			return r.reelUnreadable(ctx, container, err)
		case platform.KindOf(err) == platform.Gone:
			return r.renewContainer(ctx, err.Error())
		case !worthAsking(err) || try == uploadTries:
			return outcome{}, err
		}
		offset = offsetUnknown
		if err := r.pause(ctx, time.Duration(try)*time.Second); err != nil {
			return outcome{}, err
		}
	}
}

// errUnreadable: Instagram does not tell how a container stands.
var errUnreadable = errors.New("the container cannot be read")

// reelUnreadable waits for a container to be readable again, without using an
// attempt, as long as it lives.
func (r *run) reelUnreadable(ctx context.Context, container *models.LedgerEntry, err error) (outcome, error) {
	if r.Now().After(container.CreatedAt.Add(containerLife)) {
		return r.renewContainer(ctx, err.Error())
	}
	r.post.Looks++
	return r.later(r.lookWait(), models.DeferredRetry, err.Error()), nil
}

// uploadReel sends the bytes that Instagram lacks.
func (r *run) uploadReel(ctx context.Context, containerID string, file *models.Media, offset int64) error {
	if err := r.stopping(ctx); err != nil {
		return err
	}
	if offset == offsetUnknown {
		var err error
		if offset, err = r.reelOffset(ctx, containerID, file); err != nil || offset >= file.Bytes {
			return err
		}
	}
	ctx, cancel := r.untilDrain(ctx)
	defer cancel()
	return r.Instagram.UploadReel(ctx, r.token.Access, instagram.Container{ID: containerID}, offset, file.Bytes, r.openFrom(ctx, file))
}

// reelOffset asks how many bytes Instagram has.
func (r *run) reelOffset(ctx context.Context, containerID string, file *models.Media) (int64, error) {
	status, err := r.readContainer(ctx, containerID)
	if err != nil {
		return 0, err
	}
	switch status.State {
	case instagram.StateErrored, instagram.StateExpired:
		return 0, &platform.Error{
			Provider: models.Instagram, Op: "instagram.upload", Kind: platform.Gone, Code: platform.CodeUploadFailed, Message: status.Text,
		}
	case instagram.StateFinished, instagram.StatePublished:
		return file.Bytes, nil
	case instagram.StateUnreadable:
		return 0, fmt.Errorf("%w: %s", errUnreadable, status.Text)
	default:
		return max(status.BytesTransferred, 0), nil
	}
}
