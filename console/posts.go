package console

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"socialqueue/db"
	"socialqueue/models"
	"socialqueue/view"
)

// pageSize is how many rows a page lists.
const pageSize = 50

// postsShown is a list of posts, with the filter that made it.
type postsShown struct {
	Filter    db.PostFilter
	Query     string
	Rows      []postRow
	Next      string
	Statuses  []models.Status
	Platforms models.Platforms
}

// postRow is a post with what a list says of it.
type postRow struct {
	*models.Post
	App string
	// Late is how late it is, or began; 0 if it was on time.
	Late time.Duration
	// Reason is why it waits; empty where it waits for nothing but its time.
	Reason string
	// Again is whether it may be run again.
	Again bool
}

func (c *Console) posts(r *http.Request) (any, error) {
	q := r.URL.Query()
	if id := strings.TrimSpace(q.Get("q")); id != "" {
		return c.found(r.Context(), id)
	}
	f, err := c.postFilter(q)
	if err != nil {
		return nil, err
	}
	posts, err := c.DB.Operators.AllPosts(r.Context(), f)
	if err != nil {
		return nil, err
	}
	shown := postsShown{Filter: f, Statuses: models.Statuses, Platforms: c.Platforms.Names()}
	if len(posts) > pageSize {
		posts = posts[:pageSize]
		q.Set("before", posts[pageSize-1].ID)
		q.Del("done")
		shown.Next = Root + "/posts?" + q.Encode()
	}
	shown.Rows, err = c.rows(r.Context(), posts)
	return shown, err
}

// found lists the posts that an id belongs to.
func (c *Console) found(ctx context.Context, id string) (any, error) {
	if len(id) > 255 || strings.ContainsRune(id, 0) || !utf8.ValidString(id) {
		return nil, models.FieldErrors{{Field: "q", Message: "is no id"}}
	}
	if parsed, err := uuid.Parse(id); err == nil {
		id = parsed.String()
	}
	posts, err := c.DB.Operators.FindPosts(ctx, id, pageSize)
	if err != nil {
		return nil, err
	}
	shown := postsShown{Query: id, Statuses: models.Statuses, Platforms: c.Platforms.Names()}
	shown.Rows, err = c.rows(ctx, posts)
	return shown, err
}

// checkPlatform checks the platform of a filter, which may be empty.
func (c *Console) checkPlatform(errs *models.FieldErrors, p models.Platform) {
	if names := c.Platforms.Names(); p != "" && !names.Has(p) {
		errs.Add("platform", "must be %s", names)
	}
}

// postFilter reads the filter of a list, which asks for one post more than is shown.
func (c *Console) postFilter(q url.Values) (db.PostFilter, error) {
	f := db.PostFilter{Limit: pageSize + 1, Status: models.Status(q.Get("status")), Platform: models.Platform(q.Get("platform"))}
	var errs models.FieldErrors
	if f.Status != "" && !f.Status.Valid() {
		errs.Add("status", "must be one of %v", models.Statuses)
	}
	c.checkPlatform(&errs, f.Platform)
	for name, into := range map[string]*int64{"account": &f.AccountID, "app": &f.AppID} {
		if value := strings.TrimSpace(q.Get(name)); value != "" {
			var ok bool
			if *into, ok = positive(value); !ok {
				errs.Add(name, "must be a number")
			}
		}
	}
	if before := q.Get("before"); before != "" {
		id, err := uuid.Parse(before)
		if err != nil {
			errs.Add("before", "must be the id of a post")
		}
		f.Before = id.String()
	}
	return f, errs.Err()
}

// positive reads the id of an account or app, which has 32 bits.
func positive(value string) (int64, bool) {
	n, err := strconv.ParseInt(value, 10, 32)
	return n, err == nil && n > 0
}

func (c *Console) rows(ctx context.Context, posts []models.Post) ([]postRow, error) {
	ids := make([]int64, len(posts))
	for i := range posts {
		ids[i] = posts[i].AppID
	}
	apps, err := c.DB.Tenants.Apps(ctx, ids)
	if err != nil {
		return nil, err
	}
	now := c.Now()
	rows := make([]postRow, len(posts))
	for i := range posts {
		rows[i] = rowOf(&posts[i], now)
		rows[i].App = apps[posts[i].AppID]
	}
	return rows, nil
}

func rowOf(p *models.Post, now time.Time) postRow {
	row := postRow{Post: p, Late: lateness(p, now), Again: p.Status == models.Failed || p.Status == models.Missed}
	if reason := view.OfPost(p, now).DeferredReason; reason != nil {
		row.Reason = *reason
	}
	return row
}

// lateness is how long after its time a post began, or has not begun yet. What is less
// than the second that is promised is none.
func lateness(p *models.Post, now time.Time) time.Duration {
	began := now
	switch {
	case p.StartedAt != nil:
		began = *p.StartedAt
	case p.Status.Ended():
		return 0
	}
	if late := began.Sub(p.PublishAt); late > time.Second {
		return late
	}
	return 0
}

// postShown is one post with all that is known of it.
type postShown struct {
	postRow
	Account string
	// Text and Facts are what the app wants posted, as far as people read it.
	Text   string
	Facts  []string
	Events []models.PostEvent
	Ledger models.Ledger
	Files  []models.PostMedia
	// MayBeLive: a call that can make the post live may have taken effect.
	MayBeLive bool
}

func (c *Console) post(r *http.Request) (any, error) {
	ctx := r.Context()
	p, err := c.postOf(r)
	if err != nil {
		return nil, err
	}
	rows, err := c.rows(ctx, []models.Post{*p})
	if err != nil {
		return nil, err
	}
	shown := postShown{postRow: rows[0]}
	if shown.Text, shown.Facts, err = c.Posts.Describe(p); err != nil {
		return nil, err
	}
	if shown.Events, err = c.DB.Posts.Events(ctx, p.ID); err != nil {
		return nil, err
	}
	if shown.Ledger, err = c.Posts.Ledger(ctx, p); err != nil {
		return nil, err
	}
	shown.MayBeLive = shown.Ledger.MayBeLive()
	account, err := c.DB.Operators.AccountByID(ctx, p.Platform, p.AccountID())
	if err != nil {
		return nil, err
	}
	shown.Account = nameOf(account)
	shown.Files, err = c.DB.Posts.Files(ctx, p.ID)
	return shown, err
}
