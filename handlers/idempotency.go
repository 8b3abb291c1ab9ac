package handlers

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"socialqueue/models"
	"socialqueue/tenants"
)

const (
	headerIdempotencyKey = "Idempotency-Key"
	headerReplayed       = "Idempotent-Replayed"
	maxIdempotencyKey    = 255

	// jsonLock is how long a request that died keeps its key. It is far longer than
	// callTime, so a running request never loses its key.
	jsonLock = time.Minute
	// uploadLock is the same for uploads. It is not renewed. An upload that takes longer can
	// lose its key only to a retry of its own client. It then ends with 409 and stores
	// nothing, because its completion requires the key. A longer lock would keep the client
	// of a broken upload waiting.
	uploadLock  = 15 * time.Minute
	releaseTime = 5 * time.Second
)

// answer is the response to a creating request. It is sent with a newline after the body,
// like all responses, and stored without.
type answer struct {
	status int
	body   []byte
	postID *string
	// keptFor is the post for whose life the key is kept, where the answer is not that post.
	keptFor *string
}

func (ans *answer) write(c echo.Context) error {
	if ans.postID != nil {
		c.Response().Header().Set(echo.HeaderLocation, "/api/posts/"+*ans.postID)
	}
	return c.Blob(ans.status, echo.MIMEApplicationJSON, append(ans.body, '\n'))
}

// completion is what the creating transaction stores with the key. A request without a key
// has a nil claim and stores nothing.
func completion(cl *tenants.Claim, ans *answer, hash string) *tenants.Completion {
	if cl == nil {
		return nil
	}
	return cl.Completion(ans.status, ans.body, cmp.Or(ans.postID, ans.keptFor), hash)
}

// content identifies the content of a request. The hash of an upload is known only after
// the body was read.
type content struct {
	hash string // empty until known
	// drain reads the body only for its hash, and stores nothing.
	drain func() (string, error)
	lock  time.Duration
}

func jsonContent(body []byte) content {
	sum := sha256.Sum256(body)
	return content{hash: hex.EncodeToString(sum[:]), lock: jsonLock}
}

// once runs a creating request. With an Idempotency-Key it runs once, and the same request
// gets the first response again. work must complete the claim in the transaction that
// creates something, so that both are stored or neither.
func (a *api) once(c echo.Context, what content, work func(*tenants.Claim) (*answer, error)) error {
	key, err := idempotencyKey(c.Request())
	if err != nil {
		return err
	}
	if key == "" {
		ans, err := work(nil)
		if err != nil {
			return err
		}
		return ans.write(c)
	}
	cl, held, err := a.take(c, key, what)
	if err != nil {
		return err
	}
	if cl == nil {
		return replay(c, held, what)
	}
	ans, err := work(cl)
	if err != nil {
		return a.release(c, cl, err)
	}
	return ans.write(c)
}

func idempotencyKey(r *http.Request) (string, error) {
	values := r.Header.Values(headerIdempotencyKey)
	if len(values) == 0 {
		return "", nil
	}
	key := values[0]
	ok := len(values) == 1 && key != "" && len(key) <= maxIdempotencyKey
	for _, b := range []byte(key) {
		ok = ok && b > ' ' && b < 0x7f
	}
	if !ok {
		return "", models.FieldErrors{{Field: headerIdempotencyKey, Message: "must be one header of 1 to 255 visible ASCII characters"}}
	}
	return key, nil
}

// take reserves the key, or returns the row of the request that holds it.
func (a *api) take(c echo.Context, key string, what content) (*tenants.Claim, *models.IdempotencyKey, error) {
	cl, held, err := a.Tenants.Take(c.Request().Context(), tenants.Attempt{
		AppID: callerOf(c).AppID, Key: key, Request: requestLine(c), BodyHash: what.hash, Lock: what.lock,
	})
	if errors.Is(err, models.ErrNotFound) {
		return nil, nil, stillRunning() // its holder released it just now
	}
	return cl, held, err
}

func requestLine(c echo.Context) string { return c.Request().Method + " " + c.Path() }

// replay sends the first response again if it is the same request.
func replay(c echo.Context, held *models.IdempotencyKey, what content) error {
	if held.Request != requestLine(c) {
		return mismatch()
	}
	if held.ResponseStatus == 0 {
		if held.BodyHash != "" && what.hash != "" && held.BodyHash != what.hash {
			return mismatch()
		}
		return stillRunning()
	}
	hash := what.hash
	if hash == "" {
		var err error
		if hash, err = what.drain(); err != nil {
			return err
		}
	}
	if hash != held.BodyHash {
		return mismatch()
	}
	c.Response().Header().Set(headerReplayed, "true")
	first := answer{status: held.ResponseStatus, body: []byte(held.ResponseBody), postID: held.PostID}
	return first.write(c)
}

func mismatch() *problem {
	return &problem{
		status: http.StatusUnprocessableEntity, code: codeMismatch,
		detail: "this Idempotency-Key was used for another request; use a new key for a new request",
	}
}

func stillRunning() *problem {
	p := conflict("the first request with this Idempotency-Key is still running")
	p.retryAfter = "1"
	return p
}

// release releases the key of a failed request, even if the client has disconnected. If the
// request succeeded despite the error, the key is completed and stays.
func (a *api) release(c echo.Context, cl *tenants.Claim, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.Request().Context()), releaseTime)
	defer cancel()
	if err := a.Tenants.Release(ctx, cl); err != nil {
		a.logOf(c).WithError(err).Warn("cannot release an idempotency key; it expires by itself")
	}
	return cause
}
