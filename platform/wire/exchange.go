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

// Class says what a lost answer of a call means: what may be done next, and which code the
// app gets if it ends the post.
type Class struct {
	lost platform.Kind
	// Code is the code that the app gets.
	Code platform.Code
}

// The classes of calls.
var (
	// Reading is a call that changes nothing and may be repeated.
	Reading = Class{platform.Transient, platform.CodePublishFailed}
	// Creating is a call that creates something at the platform, perhaps the post itself.
	Creating = Class{platform.Unknown, platform.CodePublishFailed}
	// Uploading is a call that sends bytes. Any number of them may have arrived.
	Uploading = Class{platform.Unknown, platform.CodeUploadFailed}
)

// Lost returns the verdict on a call that was sent and got no answer that can be
// understood.
func (c Class) Lost() Verdict { return Verdict{Kind: c.lost, Code: c.Code} }

// Unsent returns the verdict on a call that was not sent.
func (c Class) Unsent() Verdict { return Verdict{Kind: platform.Transient, Code: c.Code} }

// Verdict says what a failed call means to its caller: the fields of a platform.Error that
// decide what happens next.
type Verdict struct {
	Kind  platform.Kind
	Code  platform.Code
	Wait  time.Duration
	Limit platform.Limit
}

// Exchange is one call in progress, with the data for its record and its error. Begin
// creates it; the client adds what the answer says, cleaned by Hide.
type Exchange struct {
	Op    string
	Class Class
	// Hide must know every secret of the call before it is sent.
	Hide Redactor

	// Status is the answer's HTTP status, or 0 without an answer. Code is the platform's own
	// code, LogID the id to quote to its support, and Detail a short fact for readers.
	Status              int
	Code, LogID, Detail string
	// Remedy says what to do about an error of the platform.
	Remedy platform.Remedy

	provider models.Platform
	now      func() time.Time
	started  time.Time
}

// Begin starts a call; now is its clock.
func Begin(provider models.Platform, op string, class Class, now func() time.Time) Exchange {
	return Exchange{Op: op, Class: class, provider: provider, now: now, started: now()}
}

// Finish records the call and returns err. It is the last step of every call, failed or
// not.
func (x *Exchange) Finish(ctx context.Context, err error) error {
	platform.Record(ctx, platform.Call{
		Provider:     x.provider,
		Op:           x.Op,
		Reads:        x.Class == Reading,
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

// Fail returns the error of the call. It cleans the platform's message; the cause must be
// clean already.
func (x *Exchange) Fail(v Verdict, message string, cause error) error {
	return &platform.Error{
		Provider:     x.provider,
		Op:           x.Op,
		Kind:         v.Kind,
		Code:         v.Code,
		HTTPStatus:   x.Status,
		PlatformCode: x.Code,
		Message:      x.Hide.Text(message),
		Remedy:       x.Remedy,
		LogID:        x.LogID,
		RetryAfter:   v.Wait,
		Limit:        v.Limit,
		Err:          cause,
	}
}

// Ready refuses a call that cannot be sent, because its context has ended or its token (or
// the code in place of a token) is invalid.
func (x *Exchange) Ready(ctx context.Context, token secrets.Secret) error {
	if err := ctx.Err(); err != nil {
		return x.Fail(x.Class.Unsent(), "", err)
	}
	if token.Empty() || strings.ContainsFunc(token.Reveal(), func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return x.Fail(Verdict{Kind: platform.AuthExpired, Code: platform.CodeTokenInvalid}, "", errors.New("no usable token"))
	}
	return nil
}

// Send sends a request and stores the answer's status. The kind of its error depends on
// whether the request can have been sent.
func (x *Exchange) Send(client *http.Client, req *http.Request) (*http.Response, error) {
	var t sendTrace
	resp, err := client.Do(req.WithContext(t.watch(req.Context())))
	if err != nil {
		v := x.Class.Lost()
		if t.notSent(err) {
			v = x.Class.Unsent()
		}
		return nil, x.Fail(v, "", x.Hide.Err(err))
	}
	x.Status = resp.StatusCode
	return resp, nil
}
