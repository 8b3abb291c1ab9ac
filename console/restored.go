package console

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"

	"socialqueue/models"
)

// restoreState is what the console shows of restored backups everywhere.
type restoreState struct {
	// Newest is the newest restore; nil if there is none.
	Newest *models.Restore
	// Held counts the held posts by reason.
	Held map[models.HeldReason]int64
}

// Total counts all held posts.
func (s restoreState) Total() int64 {
	var n int64
	for _, held := range s.Held {
		n += held
	}
	return n
}

// Any reports whether there is anything to show.
func (s restoreState) Any() bool { return s.Newest != nil || s.Total() > 0 }

// restoredPage is the data of the page of restored backups.
type restoredPage struct {
	restoreState
	// Earlier are the restores before the newest one, newest first.
	Earlier []models.Restore
	Rows    []heldRow
	Next    string
	// Releasable counts the posts that can be released all at once, OneByOne the others.
	Releasable, OneByOne int64
}

// heldRow is a held post with its account and text.
type heldRow struct {
	postRow
	Text string
}

// restoreState reads the restores, newest first, and what is held because of them.
func (c *Console) restoreState(ctx context.Context) (restoreState, []models.Restore, error) {
	var s restoreState
	restores, err := c.DB.Restores.List(ctx)
	if err != nil {
		return s, nil, err
	}
	if len(restores) > 0 {
		s.Newest = &restores[0]
	}
	s.Held, err = c.DB.Restores.CountHeld(ctx)
	return s, restores, err
}

func (c *Console) restored(r *http.Request) (any, error) {
	ctx, after := r.Context(), r.URL.Query().Get("after")
	if after != "" {
		id, err := uuid.Parse(after)
		if err != nil {
			return nil, models.FieldErrors{{Field: "after", Message: "must be the id of a post"}}
		}
		after = id.String()
	}
	state, restores, err := c.restoreState(ctx)
	if err != nil {
		return nil, err
	}
	page := restoredPage{restoreState: state, Releasable: state.Held[models.HeldDue]}
	page.OneByOne = state.Total() - page.Releasable
	if len(restores) > 1 {
		page.Earlier = restores[1:]
	}
	posts, err := c.DB.Restores.Held(ctx, "", after, pageSize+1)
	if err != nil {
		return nil, err
	}
	if len(posts) > pageSize {
		posts = posts[:pageSize]
		page.Next = Root + "/restored?after=" + posts[pageSize-1].ID
	}
	page.Rows, err = c.heldRows(ctx, posts)
	return page, err
}

func (c *Console) heldRows(ctx context.Context, posts []models.Post) ([]heldRow, error) {
	rows, err := c.rows(ctx, posts)
	if err != nil {
		return nil, err
	}
	held := make([]heldRow, len(rows))
	for i := range rows {
		text, _, err := c.Posts.Describe(rows[i].Post)
		if err != nil {
			return nil, err
		}
		held[i] = heldRow{postRow: rows[i], Text: text}
	}
	return held, nil
}

// errNotConfirmed is for a release without the operator's confirmation.
var errNotConfirmed = models.FieldErrors{{Field: "looked", Message: "confirm that you checked the account: if the post is live after all, it will be live twice"}}

// release has a held post sent.
func (c *Console) release(ctx context.Context, r *http.Request) (done, error) {
	p, err := c.postOf(r)
	if err != nil {
		return done{}, err
	}
	if r.PostForm.Get("looked") != "yes" {
		return done{}, errNotConfirmed
	}
	name, _, _ := r.BasicAuth()
	if _, err := c.Posts.ReleaseHeld(ctx, p.ID, name); err != nil {
		return done{}, err
	}
	if r.PostForm.Get("back") == "restored" {
		return done{Root + "/restored", "sent"}, nil
	}
	return done{postPath(p.ID), "sent"}, nil
}

// releaseTime is how long one request releases posts. It leaves time for the answer within
// pageTime.
const releaseTime = 10 * time.Second

// releaseAll has the held posts sent that a search did not find: as many as releaseTime
// allows.
func (c *Console) releaseAll(ctx context.Context, r *http.Request) (done, error) {
	if r.PostForm.Get("looked") != "yes" {
		return done{}, errNotConfirmed
	}
	name, _, _ := r.BasicAuth()
	limited, cancel := context.WithTimeout(ctx, releaseTime)
	defer cancel()
	n, err := c.Posts.ReleaseAllHeld(limited, name)
	if err != nil && limited.Err() != nil && ctx.Err() == nil && n > 0 {
		return done{Root + "/restored", "sent_some"}, nil
	}
	if err != nil {
		return done{}, fmt.Errorf("%d posts were released, then: %w", n, err)
	}
	return done{Root + "/restored", "sent_all"}, nil
}
