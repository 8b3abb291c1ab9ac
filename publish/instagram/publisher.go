// Package instagram publishes posts on Instagram.
//
// A post is a container (and, for a reel, its upload) that media_publish makes live. A
// container alone is harmless, however many there are; media_publish is the call that may
// make the post live, and its result is read from the container and the account's media.
package instagram

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"socialqueue/models"
	"socialqueue/platform"
	"socialqueue/platform/instagram"
	"socialqueue/publish"
	"socialqueue/secrets"
)

// The steps of a post.
const (
	opContainer models.LedgerOp = "instagram.create_container"
	opUpload    models.LedgerOp = "instagram.upload"
	opPublish   models.LedgerOp = "instagram.publish"
)

const (
	// linkLife is how long Instagram may fetch a picture from us: as long as the
	// container lives.
	linkLife = 24 * time.Hour
	// quotaWait is how long a post waits when the account's rolling quota is used up; the
	// window does not say when its next place becomes free.
	quotaWait = time.Hour
	// notReadyLimit is how often media_publish may answer "not ready" before the container
	// is given up.
	notReadyLimit = 10
)

// Publisher publishes on Instagram.
type Publisher struct {
	client *instagram.Client
}

// New makes a Publisher. client is nil where FACEBOOK_APP_SECRET is not set: posts wait
// until a process has it.
func New(client *instagram.Client) *Publisher { return &Publisher{client: client} }

var errNoAppSecret = &platform.Error{
	Provider: models.Instagram, Op: "instagram", Kind: platform.Transient, Code: platform.CodePublishFailed,
	Message: "FACEBOOK_APP_SECRET is not set in this process",
}

// Platform returns models.Instagram.
func (p *Publisher) Platform() models.Platform { return models.Instagram }

// Kinds lists what can be posted.
func (p *Publisher) Kinds() []publish.Kind {
	publishStep := publish.Step{
		Op: opPublish, NotReadyLimit: notReadyLimit, Prepare: p.preparePublish, Read: p.readPublished,
	}
	return []publish.Kind{
		{Name: models.Image, Decode: decode, Search: p.searchLost, Steps: []publish.Step{
			{Op: opContainer, Harmless: true, Prepare: p.prepareImage, Keep: keepContainerID, Read: p.readContainer},
			publishStep,
		}},
		{Name: models.Reel, Decode: decode, Search: p.searchLost, Steps: []publish.Step{
			{Op: opContainer, Harmless: true, Heavy: true, Prepare: p.prepareReel, Keep: keepContainerID},
			{Op: opUpload, Harmless: true, Resumes: true, Heavy: true, Prepare: p.prepareUpload, Read: p.readContainer},
			publishStep,
		}},
	}
}

func decode(raw json.RawMessage) (publish.Options, error) {
	var o Options
	err := json.Unmarshal(raw, &o)
	return &o, err
}

func keepContainerID(p *models.Post, id string) { p.ContainerID = &id }

// prepareImage returns the call that makes an image's container.
func (p *Publisher) prepareImage(ctx context.Context, run *publish.Run) (publish.Call, error) {
	options, err := p.prepare(ctx, run)
	if err != nil {
		return nil, err
	}
	link, err := run.Link(ctx, run.Now().Add(linkLife))
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (publish.Result, error) {
		id, err := p.client.CreateImage(ctx, run.Token().Access, run.Token().ProviderAccountID, instagram.Image{
			URL: link, Caption: options.Caption, AltText: options.AltText,
			LocationID: options.LocationID, Collaborators: options.Collaborators, UserTags: tags(options),
		})
		return made(id, "Instagram fetches the picture"), err
	}, nil
}

// prepareReel returns the call that makes a reel's container.
func (p *Publisher) prepareReel(ctx context.Context, run *publish.Run) (publish.Call, error) {
	options, err := p.prepare(ctx, run)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (publish.Result, error) {
		container, err := p.client.CreateReel(ctx, run.Token().Access, run.Token().ProviderAccountID, instagram.Reel{
			Caption: options.Caption, LocationID: options.LocationID, ShareToFeed: options.ShareToFeed, CoverURL: secrets.Secret(options.CoverURL),
			ThumbOffsetMs: options.ThumbOffsetMs, Collaborators: options.Collaborators, UserTags: tags(options),
		})
		return made(container.ID, ""), err
	}, nil
}

func made(containerID, waiting string) publish.Result {
	return publish.Result{ID: containerID, Message: "Instagram made the container " + containerID, Waiting: waiting}
}

func tags(o *Options) []instagram.UserTag {
	all := make([]instagram.UserTag, len(o.UserTags))
	for i, tag := range o.UserTags {
		all[i] = instagram.UserTag(tag)
	}
	return all
}

// prepare reads the options of a post and asks whether the account's quota has room.
func (p *Publisher) prepare(ctx context.Context, run *publish.Run) (*Options, error) {
	if p.client == nil {
		return nil, errNoAppSecret
	}
	options, err := Of(run.Post())
	if err != nil {
		return nil, err
	}
	asked := run.Now()
	quota, err := p.client.Quota(ctx, run.Token().Access, run.Token().ProviderAccountID)
	if platform.KindOf(err) == platform.Rejected && err != nil {
		return options, nil // a refused read decides nothing: the call says what is wrong
	}
	if err != nil {
		return nil, err
	}
	run.NoteQuota(ctx, models.Quota{Used: quota.Used, Total: quota.Total, WindowSeconds: int(quota.Window / time.Second), ReadAt: &asked})
	if quota.Used >= quota.Total {
		return nil, &publish.WaitError{
			In: quotaWait, Reason: models.DeferredDailyCap,
			Message: fmt.Sprintf("the account has used its %d posts in %s", quota.Total, quota.Window),
		}
	}
	return options, nil
}

// preparePublish returns the call that makes the container live.
func (p *Publisher) preparePublish(_ context.Context, run *publish.Run) (publish.Call, error) {
	if p.client == nil {
		return nil, errNoAppSecret
	}
	return func(ctx context.Context) (publish.Result, error) {
		id, err := p.client.Publish(ctx, run.Token().Access, run.Token().ProviderAccountID, run.ID(opContainer))
		return publish.Result{ID: id, Live: true}, err
	}, nil
}

// offsetUnknown has Instagram asked how many bytes of a reel it has.
const offsetUnknown = -1

// prepareUpload returns the call that sends a reel's bytes, from where Instagram has them.
func (p *Publisher) prepareUpload(ctx context.Context, run *publish.Run) (publish.Call, error) {
	if p.client == nil {
		return nil, errNoAppSecret
	}
	file, err := run.File(ctx)
	if err != nil {
		return nil, err
	}
	offset := int64(offsetUnknown)
	if run.Fresh(opContainer) {
		offset = 0
	}
	return func(ctx context.Context) (publish.Result, error) {
		return publish.Result{Waiting: "Instagram has the whole video and processes it"}, p.upload(ctx, run, file, offset)
	}, nil
}

// upload sends the bytes from offset on, and resumes where they broke off.
func (p *Publisher) upload(ctx context.Context, run *publish.Run, file *models.Media, offset int64) error {
	for failures := 0; ; failures++ {
		err := p.uploadOnce(ctx, run, file, offset)
		if err == nil || !worthAsking(err) {
			return err
		}
		more, stopping := run.Resume(ctx, failures)
		if stopping != nil {
			return stopping
		}
		if !more {
			return err
		}
		offset = offsetUnknown
	}
}

// worthAsking reports whether a broken upload may be resumed after a read.
func worthAsking(err error) bool {
	if _, waits := errors.AsType[*publish.WaitError](err); waits {
		return false
	}
	kind := platform.KindOf(err)
	return kind == platform.Unknown || kind == platform.Transient
}

func (p *Publisher) uploadOnce(ctx context.Context, run *publish.Run, file *models.Media, offset int64) error {
	if err := run.Stopping(ctx); err != nil {
		return err
	}
	if offset == offsetUnknown {
		var err error
		if offset, err = p.uploaded(ctx, run, file); err != nil || offset >= file.Bytes {
			return err
		}
	}
	ctx, cancel := run.UntilDrain(ctx)
	defer cancel()
	container := instagram.Container{ID: run.ID(opContainer)}
	return p.client.UploadReel(ctx, run.Token().Access, container, offset, file.Bytes, func(offset int64) (io.ReadCloser, error) {
		return run.Open(ctx, offset, file.Bytes-offset)
	})
}

// uploaded asks how many bytes Instagram has.
func (p *Publisher) uploaded(ctx context.Context, run *publish.Run, file *models.Media) (int64, error) {
	status, err := p.container(ctx, run)
	if err != nil {
		return 0, err
	}
	switch status.State {
	case instagram.StateErrored, instagram.StateExpired:
		return 0, gone(status.Text)
	case instagram.StateFinished, instagram.StatePublished:
		return file.Bytes, nil
	case instagram.StateUnreadable:
		if run.Now().After(run.Entry(opContainer).CreatedAt.Add(containerLife)) {
			return 0, gone("the container cannot be read: " + status.Text)
		}
		return 0, &publish.WaitError{Reason: models.DeferredRetry, Message: "the container cannot be read: " + status.Text}
	default:
		return max(status.BytesTransferred, 0), nil
	}
}

func gone(message string) error {
	return &platform.Error{
		Provider: models.Instagram, Op: string(opUpload), Kind: platform.Gone, Code: platform.CodeUploadFailed, Message: message,
	}
}
