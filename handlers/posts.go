package handlers

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"socialqueue/models"
	"socialqueue/publish"
	"socialqueue/tenants"
	"socialqueue/view"
)

const (
	defaultPage = 50
	maxPage     = 200
	// maxEvents is the size of a page of a timeline.
	maxEvents = 500
)

// Endpoint is a route for creating posts. It takes one JSON object and answers 202 with the
// post.
type Endpoint struct {
	Path string
	// Decode reads a body. Broken input is models.FieldErrors.
	Decode func(body []byte) (publish.Request, error)
}

func (a *api) acceptBody(decode func([]byte) (publish.Request, error)) echo.HandlerFunc {
	return func(c echo.Context) error {
		body, err := a.readJSON(c)
		if err != nil {
			return err
		}
		r, err := decode(body)
		if err != nil {
			return err
		}
		return a.once(c, jsonContent(body), func(cl *tenants.Claim) (*answer, error) { return a.accept(c, r, cl, "") })
	}
}

// accept calls the use case and encodes the post.
func (a *api) accept(c echo.Context, r publish.Request, cl *tenants.Claim, hash string) (*answer, error) {
	r.AppID, r.CorrelationID = callerOf(c).AppID, correlationID(c.Request())
	if err := a.Tenants.Reserve(c.Request().Context(), r.AppID, models.QuotaWaitingPosts, 1); err != nil {
		return nil, err
	}
	ans := &answer{status: http.StatusAccepted}
	if cl != nil {
		r.Complete = func(p *models.Post) (*tenants.Completion, error) {
			if err := a.show(ans, p); err != nil {
				return nil, err
			}
			return completion(cl, ans, hash), nil
		}
	}
	post, err := a.Posts.Accept(c.Request().Context(), r)
	if err != nil {
		return nil, err
	}
	about(c, post)
	if cl == nil {
		if err := a.show(ans, post); err != nil {
			return nil, err
		}
	}
	return ans, nil
}

func (a *api) show(ans *answer, p *models.Post) error {
	shown, err := a.Posts.Show(p)
	if err != nil {
		return err
	}
	body, err := json.Marshal(shown)
	if err != nil {
		return fmt.Errorf("show post %s: %w", p.ID, err)
	}
	ans.body, ans.postID = body, &p.ID
	return nil
}

func (a *api) answerPost(c echo.Context, status int, p *models.Post) error {
	about(c, p)
	if err := a.Posts.ReadParts(c.Request().Context(), p); err != nil {
		return err
	}
	shown, err := a.Posts.Show(p)
	if err != nil {
		return err
	}
	return c.JSON(status, shown)
}

func (a *api) getPost(c echo.Context) error {
	id, err := postID(c)
	if err != nil {
		return err
	}
	p, err := a.Posts.Get(c.Request().Context(), callerOf(c).AppID, id)
	if err != nil {
		return err
	}
	return a.answerPost(c, http.StatusOK, p)
}

func (a *api) postEvents(c echo.Context) error {
	id, err := postID(c)
	if err != nil {
		return err
	}
	limit, after := maxEvents, int64(0)
	err = readQuery(c.Request().URL.RawQuery, "timeline", map[string]func(string) string{
		"limit": limitParam(&limit, maxEvents),
		"cursor": func(value string) string {
			var ok bool
			if after, ok = number(value, math.MaxInt64); !ok {
				return "must be a next_cursor from an earlier response"
			}
			return ""
		},
	})
	if err != nil {
		return err
	}
	p, events, err := a.Posts.Timeline(c.Request().Context(), callerOf(c).AppID, id, after, limit+1)
	if err != nil {
		return err
	}
	about(c, p)
	answer := struct {
		Events     []eventView `json:"events"`
		NextCursor *string     `json:"next_cursor"`
	}{}
	if len(events) > limit { // the extra entry shows that there is a next page
		events = events[:limit]
		next := strconv.FormatInt(events[limit-1].ID, 10)
		answer.NextCursor = &next
	}
	answer.Events = viewEvents(events)
	if after == 0 {
		answer.Events = slices.Insert(answer.Events, 0, acceptance(p, events))
	}
	return c.JSON(http.StatusOK, answer)
}

func (a *api) reschedulePost(c echo.Context) error {
	id, err := postID(c)
	if err != nil {
		return err
	}
	body, err := a.readJSON(c)
	if err != nil {
		return err
	}
	var at *time.Time
	if err := (fields{"publish_at": &at}).decode(body); err != nil {
		return err
	}
	if at == nil {
		return models.FieldErrors{{Field: "publish_at", Message: "is required: " + wanted(&at)}}
	}
	p, err := a.Posts.Reschedule(c.Request().Context(), callerOf(c).AppID, id, *at)
	if err != nil {
		return err
	}
	return a.answerPost(c, http.StatusOK, p)
}

func (a *api) cancelPost(c echo.Context) error {
	id, err := postID(c)
	if err != nil {
		return err
	}
	p, err := a.Posts.Cancel(c.Request().Context(), callerOf(c).AppID, id)
	if err != nil {
		return err
	}
	return a.answerPost(c, http.StatusOK, p)
}

func (a *api) retryPost(c echo.Context) error {
	id, err := postID(c)
	if err != nil {
		return err
	}
	p, err := a.Posts.Retry(c.Request().Context(), callerOf(c).AppID, id)
	if err != nil {
		return err
	}
	c.Response().Header().Set(echo.HeaderLocation, "/api/posts/"+p.ID)
	return a.answerPost(c, http.StatusAccepted, p)
}

func (a *api) listPosts(c echo.Context) error {
	filter, err := a.postFilter(c.Request().URL.RawQuery)
	if err != nil {
		return err
	}
	filter.AppID = callerOf(c).AppID
	page := filter.Limit
	filter.Limit++ // the extra row shows whether there is a next page
	posts, err := a.Posts.List(c.Request().Context(), filter)
	if err != nil {
		return err
	}
	answer := struct {
		Posts      []view.Post `json:"posts"`
		NextCursor *string     `json:"next_cursor"`
	}{}
	if len(posts) > page {
		posts = posts[:page]
		answer.NextCursor = &posts[page-1].ID
	}
	listed := make([]*models.Post, len(posts))
	for i := range posts {
		listed[i] = &posts[i]
	}
	if answer.Posts, err = a.showPosts(c.Request().Context(), listed); err != nil {
		return err
	}
	return c.JSON(http.StatusOK, answer)
}

func (a *api) showPosts(ctx context.Context, posts []*models.Post) ([]view.Post, error) {
	if err := a.Posts.ReadParts(ctx, posts...); err != nil {
		return nil, err
	}
	all := make([]view.Post, len(posts))
	for i, p := range posts {
		shown, err := a.Posts.Show(p)
		if err != nil {
			return nil, err
		}
		all[i] = shown
	}
	return all, nil
}

// postFilter reads the query of a list.
func (a *api) postFilter(rawQuery string) (publish.Filter, error) {
	f := publish.Filter{Limit: defaultPage}
	err := readQuery(rawQuery, "list", map[string]func(string) string{
		"status": func(value string) string {
			if f.Status = models.Status(value); !f.Status.Valid() {
				return fmt.Sprintf("must be one of %v", models.Statuses)
			}
			return ""
		},
		"platform": a.platformFilter(&f.Platform),
		"account_id": func(value string) (problem string) {
			var ok bool
			if f.AccountID, ok = number(value, math.MaxInt64); !ok {
				problem = "must be the id of an account"
			}
			return problem
		},
		"group_id": idParam(&f.GroupID, "must be the id of a group"),
		"cursor":   idParam(&f.Before, "must be a next_cursor from an earlier response"),
		"limit":    limitParam(&f.Limit, maxPage),
	})
	return f, err
}

// idParam reads a UUID.
func idParam(id *string, problem string) func(string) string {
	return func(value string) string {
		var ok bool
		if *id, ok = canonicalID(value); !ok {
			return problem
		}
		return ""
	}
}

func number(value string, most int64) (int64, bool) {
	n, err := strconv.ParseInt(value, 10, 64)
	return n, err == nil && n >= 1 && n <= most && strconv.FormatInt(n, 10) == value
}

// canonicalID parses a UUID in its usual form, in either case.
func canonicalID(value string) (string, bool) {
	const form = "00000000-0000-0000-0000-000000000000"
	id, err := uuid.Parse(value)
	return id.String(), err == nil && len(value) == len(form)
}

// postID reads the id in the path. A malformed id answers 404.
func postID(c echo.Context) (string, error) {
	id, ok := canonicalID(c.Param("id"))
	if !ok {
		return "", notFound("post")
	}
	return id, nil
}

func notFound(what string) error { return fmt.Errorf("%s: %w", what, models.ErrNotFound) }

// pathText reads a parameter of the path that may hold any character. Echo does not
// unescape it if the path was escaped.
func pathText(c echo.Context, name string) (string, bool) {
	value := c.Param(name)
	if c.Request().URL.RawPath != "" {
		var err error
		if value, err = url.PathUnescape(value); err != nil {
			return "", false
		}
	}
	return value, value != "" && len(value) <= 255 && utf8.ValidString(value) && !strings.ContainsRune(value, 0)
}
