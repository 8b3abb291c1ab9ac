package instagram

import (
	"context"
	"errors"
	"io"
	"strings"

	"socialqueue/models"
	"socialqueue/platform"
	"socialqueue/platform/instagram"
	"socialqueue/publish"
)

// offsetUnknown has Instagram asked how many bytes of a video it has.
const offsetUnknown = -1

// upload is the upload of a video of a post to the container that the call container made.
type upload struct {
	client    *instagram.Client
	run       *publish.Run
	container models.LedgerOp
	position  int
	file      *models.Media
}

// prepareUpload prepares the call that sends the bytes of the file at a position to the
// container that an earlier call made, from where Instagram has them. A picture has nothing to
// send: Instagram fetches it.
func (p *Publisher) prepareUpload(position int, container models.LedgerOp) func(context.Context, *publish.Run) (publish.Call, error) {
	return func(ctx context.Context, run *publish.Run) (publish.Call, error) {
		if p.client == nil {
			return nil, errNoAppSecret
		}
		file, err := run.File(ctx, position)
		if err != nil {
			return nil, err
		}
		if !isVideo(file) {
			return func(context.Context) (publish.Result, error) {
				return publish.Result{Waiting: "Instagram fetches the picture"}, nil
			}, nil
		}
		offset := int64(offsetUnknown)
		if run.Fresh(container) {
			offset = 0
		}
		u := upload{p.client, run, container, position, file}
		return func(ctx context.Context) (publish.Result, error) {
			return publish.Result{Waiting: "Instagram has the whole video and processes it"}, u.send(ctx, offset)
		}, nil
	}
}

func isVideo(m *models.Media) bool { return strings.HasPrefix(m.ContentType, "video/") }

// send sends the bytes from offset on, and resumes where they broke off.
func (u upload) send(ctx context.Context, offset int64) error {
	for failures := 0; ; failures++ {
		err := u.sendOnce(ctx, offset)
		if err == nil || !worthAsking(err) {
			return err
		}
		more, stopping := u.run.Resume(ctx, failures)
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

func (u upload) sendOnce(ctx context.Context, offset int64) error {
	if err := u.run.Stopping(ctx); err != nil {
		return err
	}
	if offset == offsetUnknown {
		var err error
		if offset, err = u.received(ctx); err != nil || offset >= u.file.Bytes {
			return err
		}
	}
	ctx, cancel := u.run.UntilDrain(ctx)
	defer cancel()
	return u.client.UploadVideo(ctx, u.run.Token().Access, u.run.ID(u.container), offset, u.file.Bytes, func(offset int64) (io.ReadCloser, error) {
		return u.run.Open(ctx, u.position, offset, u.file.Bytes-offset)
	})
}

// received asks how many bytes Instagram has.
func (u upload) received(ctx context.Context) (int64, error) {
	status, err := container(ctx, u.client, u.run, u.container)
	if err != nil {
		return 0, err
	}
	switch status.State {
	case instagram.StateErrored, instagram.StateExpired:
		return 0, gone(status.Text)
	case instagram.StateFinished, instagram.StatePublished:
		return u.file.Bytes, nil
	case instagram.StateUnreadable:
		if expired(u.run, u.container) {
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
