package publish

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/sirupsen/logrus"

	"socialqueue/media"
	"socialqueue/models"
	"socialqueue/oauth"
	"socialqueue/platform"
	"socialqueue/secrets"
)

// Run is what a publisher's step sees of one run of a post. It changes nothing.
type Run struct{ r *run }

// Post returns the post. The step must not change it.
func (v *Run) Post() *models.Post { return v.r.post }

// Token returns the account's token.
func (v *Run) Token() oauth.Token { return v.r.token }

// Now returns the time.
func (v *Run) Now() time.Time { return v.r.Now() }

// Log returns the log of the post.
func (v *Run) Log() logrus.FieldLogger { return v.r.log }

// Entry returns the newest record of a call that is not void, or nil.
func (v *Run) Entry(op models.LedgerOp) *models.LedgerEntry { return v.r.entry(op) }

// ID returns the platform's id that the call op returned; empty if there is none.
func (v *Run) ID(op models.LedgerOp) string {
	if e := v.r.entry(op); e != nil && e.ExternalID != nil {
		return *e.ExternalID
	}
	return ""
}

// Fresh reports whether this run made the call op.
func (v *Run) Fresh(op models.LedgerOp) bool {
	e := v.r.entry(op)
	return e != nil && e.Fence == v.r.post.Fence
}

// Secret opens the secret that the call op returned.
func (v *Run) Secret(op models.LedgerOp) (secrets.Secret, error) {
	e := v.r.entry(op)
	if e == nil {
		return "", fmt.Errorf("no call %s is recorded", op)
	}
	secret, err := v.r.Keys.Open(e.SealedURL, models.UploadSealedIn(v.r.post.ID))
	if err != nil {
		return "", fmt.Errorf("open what %s returned: %w", op, err)
	}
	return secret, nil
}

// MayBeLive reports whether any call that can make the post live may have taken effect.
func (v *Run) MayBeLive() bool { return v.r.ledger.MayBeLive() }

// Live reports whether the post is known to be live.
func (v *Run) Live() bool { return v.r.post.PublishedAt != nil }

// Waited returns how long the platform has had what the steps made so far: zero for a run that
// makes calls, as it may have given it more only now.
func (v *Run) Waited() time.Duration {
	if v.r.stored == models.Publishing {
		return 0
	}
	return v.r.waited()
}

// Files returns the files of the post, in order.
func (v *Run) Files(ctx context.Context) ([]models.PostMedia, error) {
	err := v.r.readFiles(ctx)
	return v.r.files, err
}

// File returns the file at a position of the post, from 0.
func (v *Run) File(ctx context.Context, position int) (*models.Media, error) {
	return v.r.file(ctx, position)
}

// Open reads length bytes of a file of the post from offset on.
func (v *Run) Open(ctx context.Context, position int, offset, length int64) (io.ReadCloser, error) {
	file, err := v.r.file(ctx, position)
	if err != nil {
		return nil, err
	}
	body, err := v.r.Store.NewRangeReader(ctx, file.ID, offset, length)
	if err != nil {
		return nil, err
	}
	return moving{body, &v.r.moves}, nil
}

// Link returns a public link to a file of the post that is valid until a time.
func (v *Run) Link(ctx context.Context, position int, until time.Time) (secrets.Secret, error) {
	file, err := v.r.file(ctx, position)
	if err != nil {
		return "", err
	}
	return v.r.Links.Link(file.ID, until), nil
}

// SourceLink returns the customer's link to the file at a position of a post that the platform
// fetches itself.
func (v *Run) SourceLink(ctx context.Context, position int) (secrets.Secret, error) {
	if err := v.r.readFiles(ctx); err != nil {
		return "", err
	}
	if position >= len(v.r.files) || v.r.files[position].SourceURL == "" { // the previous release stored the file
		return "", &platform.Error{
			Provider: v.r.post.Platform, Op: "source_link", Kind: platform.Rejected, Code: platform.CodeUploadFailed,
			Message: "the link that the platform was to fetch is no longer there; send the post again",
		}
	}
	f := &v.r.files[position]
	link, err := v.r.Keys.Open(f.SourceURL, models.SourceSealedIn(f.PostID, f.Position))
	if err != nil {
		return "", fmt.Errorf("open media_url: %w", err)
	}
	return link, nil
}

// Picture returns a public link, valid until a time, to the picture at a position of the post:
// as it is if it is an upright JPEG that fits into the variant, else as a JPEG that is made
// for it, once. A *media.RejectedError means that none can be made.
func (v *Run) Picture(ctx context.Context, position int, variant media.Variant, until time.Time) (secrets.Secret, error) {
	file, err := v.r.file(ctx, position)
	if err != nil {
		return "", err
	}
	shown := media.Info{ContentType: file.ContentType, Width: file.Width, Height: file.Height, Orientation: file.Orientation}
	if media.Fits(shown, variant.Box) && file.Bytes <= variant.MaxBytes {
		return v.r.Links.Link(file.ID, until), nil
	}
	if _, err := v.r.Store.Derive(ctx, file.ID, variant.Key(file.ID), variant.Box, v.r.moves.progress); err != nil {
		return "", err
	}
	v.r.moves.progress()
	return v.r.Links.Link(variant.Key(file.ID), until), nil
}

// Resume waits before a broken transfer is resumed for the n-th time in a row, counted from
// 0. It reports false if it was resumed often enough for this run, and returns an error once
// the process stops or the run has lost its lease.
func (v *Run) Resume(ctx context.Context, n int) (bool, error) {
	if n >= len(v.r.Timings.Resumes) {
		return false, nil
	}
	return true, v.r.pause(ctx, v.r.Timings.Resumes[n])
}

// Stopping returns an error once the process stops or the run has lost its lease. Ask it
// before each call of a step that makes several.
func (v *Run) Stopping(ctx context.Context) error { return v.r.stopping(ctx) }

// UntilDrain returns a context that also ends when the process stops: for a long transfer
// that another worker can resume.
func (v *Run) UntilDrain(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	done := make(chan struct{})
	go func() {
		select {
		case <-v.r.drain:
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

// Known tells which of these ids at the platform belong to other posts of the account.
func (v *Run) Known(ctx context.Context, ids []string) (map[string]bool, error) {
	return v.r.DB.Runs.KnownIDs(ctx, v.r.post.Lane, ids)
}

// Siblings lists the account's other posts that were sent or are being sent and whose id
// at the platform is not known.
func (v *Run) Siblings(ctx context.Context) ([]models.Post, error) {
	return v.r.DB.Runs.UnsettledInLane(ctx, v.r.post.Lane, v.r.post.ID)
}

// Rivals lists the account's other posts of a restored database that a post on the platform
// could be as well: nobody knows yet whether they are live. more reports that there are too
// many to list.
func (v *Run) Rivals(ctx context.Context) (posts []models.Post, more bool, err error) {
	posts, err = v.r.DB.Restores.Rivals(ctx, v.r.post, v.r.restoreID, maxRivals)
	return posts, len(posts) == maxRivals, err
}

// maxRivals bounds how many other posts a found post is compared with.
const maxRivals = 2000

// NoteQuota keeps what the platform said about the account's publishing limit, for people
// who look at the account. The post goes on where it cannot be kept.
func (v *Run) NoteQuota(ctx context.Context, q models.Quota) {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	if err := v.r.DB.Accounts.NoteQuota(ctx, v.r.post.Platform, v.r.post.AccountID(), q); err != nil {
		v.r.log.WithError(err).Warn("could not store the account's quota; the next post reads it again")
	}
}

// NoteTrialsRefused keeps that the platform refused the account a trial of a post, so that
// further ones are refused before they are accepted.
func (v *Run) NoteTrialsRefused(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	if err := v.r.DB.Accounts.NoteTrialsRefused(ctx, v.r.post.Platform, v.r.post.AccountID(), v.r.Now()); err != nil {
		v.r.log.WithError(err).Warn("could not store that the account was refused a trial reel; the next one is refused by the platform")
	}
}

// file returns the file at a position of the post.
func (r *run) file(ctx context.Context, position int) (*models.Media, error) {
	if err := r.readFiles(ctx); err != nil {
		return nil, err
	}
	if position >= len(r.files) || r.files[position].Media == nil {
		return nil, fmt.Errorf("the post has no file %d yet", position)
	}
	return r.files[position].Media, nil
}

// has reports whether the post has the step: one about a file that it does not have is left
// out.
func (r *run) has(ctx context.Context, step *Step) (bool, error) {
	if step.File <= 1 { // every post has a file
		return true, nil
	}
	err := r.readFiles(ctx)
	return step.File <= len(r.files), err
}

// readFiles reads the post's files, once in a run.
func (r *run) readFiles(ctx context.Context) error {
	if r.files != nil {
		return nil
	}
	files, err := r.DB.Posts.Files(ctx, r.post.ID)
	if err != nil {
		return err
	}
	r.files = files
	return nil
}
