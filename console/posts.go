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

// pageSize is how many rows a list shows.
const pageSize = 50

// postsPage is a list of posts with its filter.
type postsPage struct {
	Filter    db.PostFilter
	Query     string
	Rows      []postRow
	Next      string
	Statuses  []models.Status
	Platforms models.Platforms
}

// postRow is a post with the data that a list shows.
type postRow struct {
	*models.Post
	App string
	// Late is how late the post started, or is if it has not started; 0 if it is on time.
	Late time.Duration
	// Reason is the deferral reason; empty if the post is not deferred.
	Reason string
	// Retryable is whether the post can be retried.
	Retryable bool
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
	page := postsPage{Filter: f, Statuses: models.Statuses, Platforms: c.Platforms.Names()}
	if len(posts) > pageSize {
		posts = posts[:pageSize]
		q.Set("before", posts[pageSize-1].ID)
		q.Del("done")
		page.Next = Root + "/posts?" + q.Encode()
	}
	page.Rows, err = c.rows(r.Context(), posts)
	return page, err
}

// found lists the posts that an id belongs to: a post id, a group id or a publish id.
func (c *Console) found(ctx context.Context, id string) (any, error) {
	if len(id) > 255 || strings.ContainsRune(id, 0) || !utf8.ValidString(id) {
		return nil, models.FieldErrors{{Field: "q", Message: "is not a valid id"}}
	}
	if parsed, err := uuid.Parse(id); err == nil {
		id = parsed.String()
	}
	posts, err := c.DB.Operators.FindPosts(ctx, id, pageSize)
	if err != nil {
		return nil, err
	}
	page := postsPage{Query: id, Statuses: models.Statuses, Platforms: c.Platforms.Names()}
	page.Rows, err = c.rows(ctx, posts)
	return page, err
}

// checkPlatform checks the platform of a filter. An empty one is valid.
func (c *Console) checkPlatform(errs *models.FieldErrors, p models.Platform) {
	if names := c.Platforms.Names(); p != "" && !names.Has(p) {
		errs.Add("platform", "must be %s", names)
	}
}

// postFilter parses the filter of a list. Its limit is one more than a page shows, to detect
// whether there is a next page.
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
				errs.Add(name, "must be a positive number")
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

// positive parses the id of an account or app, which is a positive 32-bit number.
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
	row := postRow{Post: p, Late: lateness(p, now), Retryable: p.Status == models.Failed || p.Status == models.Missed}
	if reason := view.OfPost(p, now).DeferredReason; reason != nil {
		row.Reason = *reason
	}
	return row
}

// lateness is how long after its publish time a post started, or how late it is if it has
// not started. Up to a second, which is promised, counts as on time.
func lateness(p *models.Post, now time.Time) time.Duration {
	started := now
	switch {
	case p.StartedAt != nil:
		started = *p.StartedAt
	case p.Status.Ended():
		return 0
	}
	if late := started.Sub(p.PublishAt); late > time.Second {
		return late
	}
	return 0
}

// postPage is the data of a post's page.
type postPage struct {
	postRow
	Account string
	// Text and Facts summarize the content.
	Text   string
	Facts  []string
	Events []models.PostEvent
	Ledger models.Ledger
	Files  []models.PostMedia
	// Settleable is whether an operator may settle the post.
	Settleable bool
	// MayBeLive is true if a call that can make the post live may have taken effect.
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
	page := postPage{postRow: rows[0]}
	if page.Text, page.Facts, err = c.Posts.Describe(p); err != nil {
		return nil, err
	}
	if page.Events, err = c.DB.Posts.Events(ctx, p.ID); err != nil {
		return nil, err
	}
	if page.Ledger, err = c.Posts.Ledger(ctx, p); err != nil {
		return nil, err
	}
	page.MayBeLive = page.Ledger.MayBeLive()
	if page.Settleable, err = c.Posts.CanSettle(ctx, p); err != nil {
		return nil, err
	}
	account, err := c.DB.Operators.AccountByID(ctx, p.Platform, p.AccountID())
	if err != nil {
		return nil, err
	}
	page.Account = nameOf(account)
	page.Files, err = c.DB.Posts.Files(ctx, p.ID)
	return page, err
}
