package publish

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"socialqueue/db"
	"socialqueue/models"
	"socialqueue/observe"
	"socialqueue/platform"
)

// writeTimeout limits how long writing a call into the timeline may take.
const writeTimeout = 5 * time.Second

// write writes the post and its change of status. While the database does not answer it
// tries again, as long as the lease may hold: what it writes are facts.
func (r *run) write(ctx context.Context, message string, w db.RunWrite) error {
	w.Post, w.From = r.post, r.stored
	if r.post.Status != r.stored || message != "" {
		e := models.PostEvent{PostID: r.post.ID, At: r.Now(), Type: models.EventNote, Fence: r.post.Fence, Message: plain(message)}
		if r.post.Status != r.stored {
			e.Type, e.From, e.To = models.EventState, r.stored, r.post.Status
		}
		w.Events = append(w.Events, e)
	}
	err := r.persist(ctx, func(ctx context.Context) error { return r.DB.Runs.Write(ctx, w) })
	if err == nil {
		r.moves.progress()
		r.stored = r.post.Status
	}
	return err
}

// persist runs a write that must survive a short outage of the database and the end of ctx.
func (r *run) persist(ctx context.Context, write func(context.Context) error) error {
	return db.Persist(ctx, r.Timings.Lease, write, func(err error) {
		r.log.WithError(err).Warn("could not write the result of the run; trying again")
	})
}

// record writes a platform call into the timeline as soon as it ended, so that it shows even
// if the process crashes right after it.
func (r *run) record(c platform.Call) {
	r.moves.progress()
	e := models.PostEvent{
		PostID: r.post.ID, At: models.Time(c.Started), Type: models.EventCall, Op: c.Op, HTTPStatus: c.HTTPStatus,
		PlatformCode: plain(c.PlatformCode), LogID: plain(c.LogID), DurationMs: c.Duration.Milliseconds(), Message: plain(c.Detail), Fence: r.post.Fence,
	}
	r.Metrics.PlatformCalled(string(c.Provider), c.Op, c.Outcome(), c.Duration)
	switch {
	case c.Err != nil && c.Reads: // it says nothing about the post
		e.Message = plain("nothing was read: " + c.Err.Error())
	case c.Err != nil:
		e.Message = plain(describe(c.Err))
	}
	observe.Called(r.log, c)
	ctx, cancel := context.WithTimeout(context.Background(), writeTimeout)
	defer cancel()
	if err := r.DB.Posts.AddEvents(ctx, e); err != nil {
		r.log.WithError(err).Warn("could not write a call into the timeline")
	}
}

// maxMessage bounds what is kept of a platform's text, in bytes.
const maxMessage = 2000

// plain returns a text of others as every database accepts it: short, valid UTF-8, without
// NUL.
func plain(s string) string {
	s = strings.ReplaceAll(s, "\x00", "")
	return strings.ToValidUTF8(s[:min(len(s), maxMessage)], "")
}

// describe says what the error of a call that may change something means for the post.
func describe(err error) string {
	next := map[platform.Kind]string{
		platform.Unknown:     "the outcome is not known",
		platform.Transient:   "nothing happened; it may be tried again",
		platform.RateLimited: "nothing happened; it may be tried again later",
		platform.AuthExpired: "nothing happened; the account needs a new token",
		platform.Rejected:    "refused",
		platform.NotReady:    "not ready yet",
		platform.Gone:        "what the call named is gone",
	}[platform.KindOf(err)]
	return next + ": " + err.Error()
}

// measure adds to the refusal of a file what was measured of it. number is the file's, from 1;
// zero is the whole post, whose file is known only if it has one.
func (r *run) measure(ctx context.Context, err error, number int) {
	e, ok := errors.AsType[*platform.Error](err)
	if !ok || !e.Remedy.AboutFile {
		return
	}
	file, err := r.file(ctx, max(number-1, 0))
	if err != nil || number == 0 && len(r.files) > 1 {
		return // the remedy says enough
	}
	e.Remedy.Text += " " + measured(file)
}

// measured says what is known of a file.
func measured(m *models.Media) string {
	text := fmt.Sprintf("This file is %s of %d bytes", m.ContentType, m.Bytes)
	if m.Width > 0 {
		text += fmt.Sprintf(", %dx%d pixels", m.Width, m.Height)
	}
	if d := m.Duration(); d > 0 {
		text += fmt.Sprintf(", %s long", d)
	}
	if m.Codec != "" {
		text += ", coded as " + m.Codec
	}
	if m.FramesPer1000s > 0 {
		text += fmt.Sprintf(", %s frames a second", m.FrameRate())
	}
	return text + "."
}
