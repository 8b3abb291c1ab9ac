package publish

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"socialqueue/models"
	"socialqueue/platform"
	"socialqueue/platform/tiktok"
	"socialqueue/secrets"
)

// chunkWaits space the tries of one chunk; when they are used up the run ends
// and the post's own retries take over.
var chunkWaits = []time.Duration{time.Second, 2 * time.Second, 4 * time.Second}

// chunkSender sends the chunks of one upload, in order.
type chunkSender struct {
	*run
	file *models.Media
	url  secrets.Secret
	plan tiktok.Plan
}

// from sends the file from offset on and returns nil when TikTok has all of
// it. After an answer that was lost, TikTok is asked where to go on.
func (c *chunkSender) from(ctx context.Context, offset int64) error {
	failures := 0
	offset = c.received(offset, 0)
	furthest := offset
	for offset < c.plan.Size {
		next, err := c.one(ctx, offset)
		if err == nil && next > offset {
			if offset = next; next > furthest {
				furthest, failures = next, 0
			}
			continue
		}
		if err != nil && !worthAsking(err) {
			return err
		}
		if failures == len(chunkWaits) {
			return noProgress(offset, err)
		}
		if err := c.pause(ctx, chunkWaits[failures]); err != nil {
			return err
		}
		failures++
		if offset, err = c.progress(ctx, offset); err != nil {
			return err
		}
	}
	return nil
}

// one sends the chunk at offset and tells how many bytes TikTok has then.
func (c *chunkSender) one(ctx context.Context, offset int64) (int64, error) {
	i, ok := c.plan.ChunkAt(offset)
	if !ok {
		return 0, fmt.Errorf("TikTok has %d bytes, which is no chunk boundary of this upload", offset)
	}
	if err := c.stopping(ctx); err != nil {
		return 0, err
	}
	first, last := c.plan.Chunk(i)
	var intent *models.LedgerEntry
	if last == c.plan.Size-1 {
		var err error
		if intent, err = c.intendLast(ctx); err != nil {
			return 0, err
		}
	}
	chunk := tiktok.Chunk{First: first, Last: last, Total: c.plan.Size, ContentType: c.file.ContentType}
	progress, err := c.TikTok.PutChunk(ctx, c.url, chunk, func() (io.ReadCloser, error) {
		return c.openChunk(ctx, first, last-first+1)
	})
	switch {
	case err != nil:
		return offset, c.refused(ctx, intent, err)
	case progress.Complete:
		return c.plan.Size, nil
	default:
		return c.received(progress.Received, offset), nil
	}
}

// received reads TikTok's progress, of which it is not known whether it counts
// the bytes or names the last one: both mean the same chunk boundary. What is no
// boundary counts as the one before; nothing said changes nothing.
func (c *chunkSender) received(said, offset int64) int64 {
	if said < 0 {
		return offset
	}
	for _, n := range []int64{said, said + 1} {
		if _, ok := c.plan.ChunkAt(n); ok || n == c.plan.Size {
			return n
		}
	}
	i, _ := c.plan.ChunkAt(said)
	first, _ := c.plan.Chunk(i)
	return first
}

// intendLast notes that the chunk goes out which makes the video live. It
// returns the entry if it is of this run.
func (c *chunkSender) intendLast(ctx context.Context) (*models.LedgerEntry, error) {
	opened := c.ledger.Latest(models.LedgerInit)
	if last := c.ledger.Since(opened, models.LedgerLastChunk); last != nil && last.State == models.Intended {
		return nil, nil
	}
	return c.intend(ctx, models.LedgerLastChunk)
}

// refused settles the last chunk's entry if TikTok surely did not take it. An
// earlier one whose answer was lost stays open.
func (c *chunkSender) refused(ctx context.Context, intent *models.LedgerEntry, err error) error {
	if intent == nil || platform.KindOf(err) == platform.Unknown {
		return err
	}
	return errors.Join(err, c.settle(ctx, intent, models.Void))
}

// progress asks TikTok how much it has.
func (c *chunkSender) progress(ctx context.Context, offset int64) (int64, error) {
	status, err := c.TikTok.Status(ctx, c.token.Access, *c.post.PublishID)
	if err != nil {
		return 0, err
	}
	if status.State != tiktok.StateProcessing {
		return c.plan.Size, nil // the next look reads the verdict
	}
	return c.received(status.UploadedBytes, offset), nil
}

// worthAsking reports whether a failed chunk may be sent again after a look.
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
