package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/google/uuid"

	"socialqueue/db"
	"socialqueue/models"
	"socialqueue/publish"
)

// maxForm is the maximum size of a form, in bytes.
const maxForm = 64 << 10

var errReadOnly = errors.New("this password has read-only access")

// done is the result of an action: the page to redirect to and the key of the message there.
type done struct {
	path, message string
}

// doneMessages are the messages by key. The URL carries only the key, so that a link cannot
// show a text of its own.
var doneMessages = map[string]string{
	"retried":   "The post was queued again.",
	"canceled":  "The post is canceled.",
	"live":      "The post is settled: live.",
	"released":  "The post is settled: not live. It will be sent again.",
	"sent":      "The post was released. It will be sent.",
	"sent_all":  "All posts that a search did not find were released. They will be sent.",
	"sent_some": "Many posts were released and will be sent. Others are left: release them with the same button.",
	"paused":    "Paused. Posts that are already being sent will finish.",
	"resumed":   "Resumed. Waiting posts will be sent.",
	"all":       "All these posts were queued again.",
	"some":      "Some posts could not be queued again; they are still listed.",
}

// act runs an action and redirects to a page, so that reloading the page does not repeat the
// action.
func (c *Console) act(w http.ResponseWriter, r *http.Request, do func(context.Context, *http.Request) (done, error)) {
	if !c.mayAct {
		c.fail(w, r, errReadOnly)
		return
	}
	if err := c.DB.CheckWritable(r.Context()); err != nil {
		c.fail(w, r, err)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		c.fail(w, r, models.FieldErrors{{Field: "form", Message: "cannot be read, or is too large"}})
		return
	}
	name, _, _ := r.BasicAuth()
	result, err := do(publish.WithActor(r.Context(), name), r)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	http.Redirect(w, r, result.path+"?done="+result.message, http.StatusSeeOther)
}

// postOf reads the post that the path names.
func (c *Console) postOf(r *http.Request) (*models.Post, error) {
	return c.postBy(r.Context(), r.PathValue("id"))
}

func (c *Console) postBy(ctx context.Context, text string) (*models.Post, error) {
	id, err := uuid.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("post: %w", db.ErrNotFound)
	}
	return c.DB.Posts.ByID(ctx, id.String())
}

func (c *Console) retry(ctx context.Context, r *http.Request) (done, error) {
	p, err := c.postOf(r)
	if err == nil {
		_, err = c.Posts.Retry(ctx, p.AppID, p.ID)
	}
	if err != nil {
		return done{}, err
	}
	return done{postPath(p.ID), "retried"}, nil
}

func (c *Console) cancel(ctx context.Context, r *http.Request) (done, error) {
	p, err := c.postOf(r)
	if err == nil {
		_, err = c.Posts.Cancel(ctx, p.AppID, p.ID)
	}
	if err != nil {
		return done{}, err
	}
	return done{postPath(p.ID), "canceled"}, nil
}

// retryAll retries the posts of a page. It skips posts that cannot be retried.
func (c *Console) retryAll(ctx context.Context, r *http.Request) (done, error) {
	if len(r.PostForm["id"]) > pageSize {
		return done{}, models.FieldErrors{{Field: "id", Message: fmt.Sprintf("must name at most %d posts", pageSize)}}
	}
	message := "all"
	for _, id := range r.PostForm["id"] {
		p, err := c.postBy(ctx, id)
		if err == nil {
			_, err = c.Posts.Retry(ctx, p.AppID, p.ID)
		}
		if errors.Is(err, publish.ErrConflict) || errors.Is(err, db.ErrNotFound) {
			message = "some"
			continue
		}
		if err != nil {
			return done{}, err
		}
	}
	return done{Root + "/posts", message}, nil
}

// resolve settles an uncertain post with the outcome that the operator found at the account.
func (c *Console) resolve(ctx context.Context, r *http.Request) (done, error) {
	p, err := c.postOf(r)
	if err != nil {
		return done{}, err
	}
	name, _, _ := r.BasicAuth()
	switch r.PostForm.Get("outcome") {
	case "live":
		_, err = c.Posts.ResolveLive(ctx, p.ID, r.PostForm.Get("platform_post_id"), r.PostForm.Get("permalink"), name)
		return done{postPath(p.ID), "live"}, err
	case "not_live":
		if r.PostForm.Get("looked") != "yes" {
			return done{}, errNotConfirmed
		}
		_, err = c.Posts.Release(ctx, p.ID, name)
		return done{postPath(p.ID), "released"}, err
	}
	return done{}, models.FieldErrors{{Field: "outcome", Message: "must be live or not_live"}}
}

func (c *Console) pause(ctx context.Context, r *http.Request) (done, error) {
	scope, err := c.scopeOf(ctx, r)
	if err == nil {
		err = c.Posts.Pause(ctx, scope, r.PostForm.Get("reason"))
	}
	return done{pathOfScope(scope), "paused"}, err
}

func (c *Console) resume(ctx context.Context, r *http.Request) (done, error) {
	scope, err := c.scopeOf(ctx, r)
	if err == nil {
		_, err = c.Posts.Resume(ctx, scope)
	}
	return done{pathOfScope(scope), "resumed"}, err
}

// scopeOf returns the platform or account that a form names.
func (c *Console) scopeOf(ctx context.Context, r *http.Request) (string, error) {
	scope := r.PostForm.Get("scope")
	if !strings.Contains(scope, ":") {
		return c.Posts.PauseScope(ctx, models.Platform(scope), 0)
	}
	platform, id, ok := models.ParseLane(scope)
	if !ok {
		return "", models.FieldErrors{{Field: "scope", Message: "must be a platform or an account, such as tiktok:3"}}
	}
	return c.Posts.PauseScope(ctx, platform, id)
}

// pathOfScope returns the page of an account, or the overview for a platform.
func pathOfScope(scope string) string {
	if platform, id, isAccount := models.ParseLane(scope); isAccount {
		return accountPath(platform, id)
	}
	return Root
}

func accountPath(p models.Platform, id int64) string {
	return fmt.Sprintf("%s/accounts/%s/%d", Root, p, id)
}

func postPath(id string) string { return Root + "/posts/" + id }
