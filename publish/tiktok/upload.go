package tiktok

import (
	"context"
	"fmt"
	"io"

	"socialqueue/models"
	"socialqueue/platform"
	"socialqueue/platform/tiktok"
	"socialqueue/publish"
	"socialqueue/secrets"
)

// prepareChunks finds out where the upload goes on.
func (p *Publisher) prepareChunks(ctx context.Context, run *publish.Run) (publish.Call, error) {
	s, err := p.newSender(ctx, run)
	if err != nil {
		return nil, err
	}
	offset := int64(0)
	if !run.Fresh(opInit) {
		status, err := p.client.Status(ctx, run.Token().Access, run.ID(opInit))
		if err != nil {
			return nil, err
		}
		v, err := verdict(ctx, run, status)
		if err != nil {
			return nil, err
		}
		if v.State != publish.NotLive {
			return nil, v.Found()
		}
		offset = status.UploadedBytes
	}
	return func(ctx context.Context) (publish.Result, error) {
		_, err := s.send(ctx, offset, s.lastStart())
		return publish.Result{}, err
	}, nil
}

// prepareLastChunk returns the call that completes the upload.
func (p *Publisher) prepareLastChunk(ctx context.Context, run *publish.Run) (publish.Call, error) {
	s, err := p.newSender(ctx, run)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (publish.Result, error) {
		unanswered, err := s.send(ctx, s.lastStart(), s.plan.Size)
		if err != nil && unanswered && platform.KindOf(err) != platform.Unknown {
			// The last try was refused, but an earlier one may have arrived.
			err = &platform.Error{Provider: models.TikTok, Op: string(opLastChunk), Kind: platform.Unknown, Code: platform.CodeUploadFailed, Err: err}
		}
		return publish.Result{Waiting: "TikTok has the whole video and processes it"}, err
	}, nil
}

// sender sends the chunks of one upload, in order.
type sender struct {
	client *tiktok.Client
	run    *publish.Run
	file   *models.Media
	url    secrets.Secret
	plan   tiktok.Plan
}

func (p *Publisher) newSender(ctx context.Context, run *publish.Run) (*sender, error) {
	file, err := run.File(ctx, 0)
	if err != nil {
		return nil, err
	}
	url, err := run.Secret(opInit)
	if err != nil {
		return nil, err
	}
	plan, err := tiktok.PlanUpload(file.Bytes)
	if err != nil {
		return nil, err
	}
	return &sender{client: p.client, run: run, file: file, url: url, plan: plan}, nil
}

// lastStart is where the last chunk begins.
func (s *sender) lastStart() int64 {
	first, _ := s.plan.Chunk(s.plan.Count - 1)
	return first
}

// send sends the file from offset on, up to end, and returns nil when TikTok has it that
// far. After an answer that was lost it asks TikTok where to go on. unanswered says that
// a try got no answer.
func (s *sender) send(ctx context.Context, offset, end int64) (unanswered bool, err error) {
	failures := 0
	offset = s.received(offset, 0)
	furthest := offset
	for calls := 0; offset < end; calls++ {
		if calls > 0 { // the engine checked before the first: what it recorded is sent
			if err := s.run.Stopping(ctx); err != nil {
				return unanswered, err
			}
		}
		next, err := s.one(ctx, offset)
		if err == nil && next > offset {
			if offset = next; next > furthest {
				furthest, failures = next, 0
			}
			continue
		}
		unanswered = unanswered || err != nil && platform.KindOf(err) == platform.Unknown
		if err != nil && !worthAsking(err) {
			return unanswered, err
		}
		more, stopping := s.run.Resume(ctx, failures)
		if stopping != nil {
			return unanswered, stopping
		}
		if !more {
			return unanswered, noProgress(offset, err)
		}
		failures++
		if offset, err = s.progress(ctx, offset); err != nil {
			return unanswered, err
		}
	}
	return unanswered, nil
}

// one sends the chunk at offset and returns how many bytes TikTok has then.
func (s *sender) one(ctx context.Context, offset int64) (int64, error) {
	i, ok := s.plan.ChunkAt(offset)
	if !ok {
		return 0, fmt.Errorf("TikTok has %d bytes, which is no chunk boundary of this upload", offset)
	}
	first, last := s.plan.Chunk(i)
	chunk := tiktok.Chunk{First: first, Last: last, Total: s.plan.Size, ContentType: s.file.ContentType}
	progress, err := s.client.PutChunk(ctx, s.url, chunk, func() (io.ReadCloser, error) {
		return s.run.Open(ctx, 0, first, last-first+1)
	})
	switch {
	case err != nil:
		return offset, err
	case progress.Complete:
		return s.plan.Size, nil
	default:
		return s.received(progress.Received, offset), nil
	}
}

// received reads TikTok's progress, which either counts the bytes or names the last one:
// both mean the same chunk boundary. Anything else counts as the boundary before it; a
// negative number changes nothing.
func (s *sender) received(said, offset int64) int64 {
	if said < 0 {
		return offset
	}
	for _, n := range []int64{said, said + 1} {
		if _, ok := s.plan.ChunkAt(n); ok || n == s.plan.Size {
			return n
		}
	}
	i, _ := s.plan.ChunkAt(said)
	first, _ := s.plan.Chunk(i)
	return first
}

// progress asks TikTok how much it has.
func (s *sender) progress(ctx context.Context, offset int64) (int64, error) {
	status, err := s.client.Status(ctx, s.run.Token().Access, s.run.ID(opInit))
	if err != nil {
		return 0, err
	}
	if status.State != tiktok.StateProcessing {
		return s.plan.Size, nil // the next read returns the verdict
	}
	return s.received(status.UploadedBytes, offset), nil
}

// worthAsking reports whether a failed chunk may be sent again after a read.
func worthAsking(err error) bool {
	kind := platform.KindOf(err)
	return kind == platform.Unknown || kind == platform.Transient
}

func noProgress(offset int64, err error) error {
	if err != nil {
		return err
	}
	return &platform.Error{
		Provider: models.TikTok, Op: "tiktok.chunk", Kind: platform.Transient, Code: platform.CodeUploadFailed,
		Message: fmt.Sprintf("TikTok does not get beyond byte %d", offset),
	}
}
