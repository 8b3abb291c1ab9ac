package engine

import (
	"context"
	"net/http"
	"time"
)

// Platform is a simulated platform. A server runs any number of them and knows nothing else about any.
type Platform interface {
	// Name is the platform's name in a LivePost, a Webhook and the control API: one word in lower case.
	Name() string
	// Attach is called once, by New, before any request. The platform keeps the host and says what it has.
	Attach(*Host) Description
}

// Description is what a platform has. Only Title and Routes are needed.
type Description struct {
	// Title heads the platform's column of the feed.
	Title string
	// Routes are the handlers by pattern of net/http. The platform chooses prefixes of its own.
	Routes map[string]http.Handler
	// Ops are the operations that a Fault can name.
	Ops []Op
	// Settle moves what the platform does by itself, such as processing, to where the virtual clock says it is. It is
	// called before live posts are read, and while webhooks have an address every 20 ms too.
	Settle func()
	// Control are endpoints of the control API beyond those that every platform shares.
	Control []Control
	// Revocations are the ways in which access ends at once, for the control API's revoke.
	Revocations []Revocation
	// ConsentPath is where users let an app in, for the index of the control API.
	ConsentPath string
	// Webhooks says how the platform sends events to the app; nil for a platform that sends none.
	Webhooks *WebhookSender
}

// Op is an operation that a Fault can name.
type Op struct {
	Name string
	// Modes are those that the operation can take. Default: the modes of a call.
	Modes []Mode
	// CodeOptional says that ModeError needs no code.
	CodeOptional bool
	// CheckCode refuses a Fault's code that the platform cannot answer; nil takes any.
	CheckCode func(code string) error
}

// Control is an endpoint of the control API: POST /_sandbox/{Path} with a JSON body. Post makes one.
type Control struct {
	Path  string // such as "accounts/{name}"
	Wants string // an example of the body, for the index and for a request without one
	Serve func(body []byte) (any, error)
}

// Post is a Control that decodes the body into a T and answers with what serve returns. It refuses unknown fields: a
// typo in a script must show.
func Post[T any](path, wants string, serve func(T) (any, error)) Control {
	return Control{Path: path, Wants: wants, Serve: func(body []byte) (any, error) {
		var in T
		if err := decodeControl(body, &in); err != nil {
			return nil, err
		}
		return serve(in)
	}}
}

// Revocation ends access of the kind that the "platform" of a revoke request names. Revoke makes one.
type Revocation struct {
	Platform string // not always the Name: logins may belong to another brand
	Wants    string // an example of the body
	Notes    string // what else the body can say; may be empty
	Serve    func(body []byte) error
}

// Revoke is a Revocation that decodes the body into a T, which has a field for "platform" too.
func Revoke[T any](platform, wants, notes string, serve func(T) error) Revocation {
	return Revocation{Platform: platform, Wants: wants, Notes: notes, Serve: func(body []byte) error {
		var in T
		if err := decodeControl(body, &in); err != nil {
			return err
		}
		return serve(in)
	}}
}

// WebhookSender says how a platform sends events to the app.
type WebhookSender struct {
	Op    string // each sending is one, retries too
	Modes []Mode // that it takes besides the WebhookModes

	URL, Token string // where events go at first; "" sends none. Token is what Verify sends by default

	// URLField and TokenField name address and token in the control API. TokenField is empty without Verify.
	URLField, TokenField string

	Life        time.Duration // from the first sending until a delivery is dropped
	RetryAtOnce bool          // whether the first retry does not wait

	// Sign adds the signature of one sending; mode may spoil it (see SigningSecret).
	Sign func(header http.Header, body string, mode Mode)
	// Verify makes the handshake that an address must pass before anything is sent there; nil for none. client has the
	// timeout and follows no redirect.
	Verify func(ctx context.Context, client *http.Client, url, token string) error
}
