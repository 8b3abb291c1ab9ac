package wire

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"socialqueue/models"
	"socialqueue/platform"
	"socialqueue/secrets"
)

// Class says what a lost answer means for a call: what may be done after it,
// and what the app is told if it ends the post.
type Class struct {
	lost platform.Kind
	// Code is what the app is told.
	Code platform.Code
}

// The classes of calls.
var (
	// Reading is a call that changes nothing: it can always be asked again.
	Reading = Class{platform.Transient, platform.CodePublishFailed}
	// Creating is a call that makes something over there, perhaps the post itself.
	Creating = Class{platform.Unknown, platform.CodePublishFailed}
	// Uploading is a call that sends bytes, any number of which may have arrived.
	Uploading = Class{platform.Unknown, platform.CodeUploadFailed}
)

// Lost is the verdict on a call that was sent and got no answer that can be
// understood.
func (c Class) Lost() Verdict { return Verdict{Kind: c.lost, Code: c.Code} }

// Unsent is the verdict on a call of which no byte was sent.
func (c Class) Unsent() Verdict { return Verdict{Kind: platform.Transient, Code: c.Code} }

// Verdict is what the end of a call means to its caller: the fields of a
// platform.Error that decide what happens next.
type Verdict struct {
	Kind platform.Kind
	Code platform.Code
	Wait time.Duration
}

// Exchange is one call under way: what its record and its error need. Begin
// makes it; a client fills in what the answer tells, cleaned by Hide.
type Exchange struct {
	Op    string
	Class Class
	// Hide must learn every secret of the call before it is sent.
	Hide Redactor

	// Status is the answer's HTTP status, 0 when none came. Code is the
	// platform's own code, LogID the id to quote to its support, and Detail a
	// short fact for people.
	Status              int
	Code, LogID, Detail string

	provider models.Platform
	now      func() time.Time
	started  time.Time
}

// Begin starts a call by the clock now.
func Begin(provider models.Platform, op string, class Class, now func() time.Time) Exchange {
	return Exchange{Op: op, Class: class, provider: provider, now: now, started: now()}
}

// Finish records the call and gives err back. It is the last step of every
// call, good or bad.
func (x *Exchange) Finish(ctx context.Context, err error) error {
	platform.Record(ctx, platform.Call{
		Provider:     x.provider,
		Op:           x.Op,
		HTTPStatus:   x.Status,
		PlatformCode: x.Code,
		LogID:        x.LogID,
		Detail:       x.Detail,
		Started:      x.started,
		Duration:     x.now().Sub(x.started),
		Err:          err,
	})
	return err
}

// Fail makes the error of the call. It cleans the platform's message; the cause
// must be clean already.
func (x *Exchange) Fail(v Verdict, message string, cause error) error {
	return &platform.Error{
		Provider:     x.provider,
		Op:           x.Op,
		Kind:         v.Kind,
		Code:         v.Code,
		HTTPStatus:   x.Status,
		PlatformCode: x.Code,
		Message:      x.Hide.Text(message),
		LogID:        x.LogID,
		RetryAfter:   v.Wait,
		Err:          cause,
	}
}

// Ready refuses a call that cannot be sent: its context has ended, or the token,
// or the code that stands for one, is none.
func (x *Exchange) Ready(ctx context.Context, token secrets.Secret) error {
	if err := ctx.Err(); err != nil {
		return x.Fail(x.Class.Unsent(), "", err)
	}
	if token.Empty() || strings.ContainsFunc(token.Reveal(), func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return x.Fail(Verdict{Kind: platform.AuthExpired, Code: platform.CodeTokenInvalid}, "", errors.New("no usable token"))
	}
	return nil
}

// Send sends a request, and notes the answer's status. An error of it has its
// kind by whether the request can have left.
func (x *Exchange) Send(client *http.Client, req *http.Request) (*http.Response, error) {
	var j journey
	resp, err := client.Do(req.WithContext(j.watch(req.Context())))
	if err != nil {
		v := x.Class.Lost()
		if j.neverLeft(err) {
			v = x.Class.Unsent()
		}
		return nil, x.Fail(v, "", x.Hide.Err(err))
	}
	x.Status = resp.StatusCode
	return resp, nil
}
