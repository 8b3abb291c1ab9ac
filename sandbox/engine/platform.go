package engine

import (
	"context"
	"net/http"
	"time"
)

// Platform is a simulated platform. A server runs any number of them and knows nothing else about them.
type Platform interface {
	// Name returns the name used in live posts, webhooks and the control API: one word in lower case.
	Name() string
	// Attach is called once, by New, before any request. The platform keeps the host and returns its description.
	Attach(*Host) Description
}

// Description is what a platform provides. Only Title and Routes are required.
type Description struct {
	// Title is the heading of the platform's column on the feed page.
	Title string
	// Routes are the handlers by pattern of http.ServeMux. Each platform uses its own path prefixes.
	Routes map[string]http.Handler
	// Ops are the operations that a Fault can name.
	Ops []Op
	// Settle completes what is due at the virtual time, such as processing. It is called before live posts are read
	// and, while some webhooks have an address, every 20 ms. It may be nil.
	Settle func()
	// Control are the platform's own endpoints of the control API.
	Control []Control
	// Revocations handle the control API's revoke, which ends access at once.
	Revocations []Revocation
	// ConsentPath is the path of the consent page, shown in the index of the control API.
	ConsentPath string
	// Webhooks describes how the platform sends events to the app; nil if it sends none.
	Webhooks *WebhookSender
}

// Op is an operation that a Fault can name.
type Op struct {
	Name string
	// Modes are the fault modes of the operation. Default: CallModes.
	Modes []Mode
	// CodeOptional allows ModeError without a code.
	CodeOptional bool
	// CheckCode refuses a fault code that the platform cannot answer with; nil accepts any.
	CheckCode func(code string) error
}

// Control is an endpoint of the control API: POST /_sandbox/{Path} with a JSON body. Post creates one.
type Control struct {
	Path  string // such as "accounts/{name}"
	Wants string // an example of the body, for the index and for a request without one
	Serve func(body []byte) (any, error)
}

// Post returns a Control that decodes the body into a T and answers with the result of serve. Unknown fields are
// refused, so that a typo in a script is reported.
func Post[T any](path, wants string, serve func(T) (any, error)) Control {
	return Control{Path: path, Wants: wants, Serve: func(body []byte) (any, error) {
		var in T
		if err := decodeControl(body, &in); err != nil {
			return nil, err
		}
		return serve(in)
	}}
}

// Revocation handles revoke requests of the control API whose "platform" is Platform. Revoke creates one.
type Revocation struct {
	Platform string // need not be a platform's Name: logins may have another brand
	Wants    string // an example of the body
	Notes    string // on optional fields of the body; may be empty
	Serve    func(body []byte) error
}

// Revoke returns a Revocation that decodes the body into a T. Unknown fields are refused, so T needs a field for
// "platform".
func Revoke[T any](platform, wants, notes string, serve func(T) error) Revocation {
	return Revocation{Platform: platform, Wants: wants, Notes: notes, Serve: func(body []byte) error {
		var in T
		if err := decodeControl(body, &in); err != nil {
			return err
		}
		return serve(in)
	}}
}

// WebhookSender describes how a platform sends webhooks to the app.
type WebhookSender struct {
	Op    string // the operation of each sending, including retries
	Modes []Mode // fault modes besides WebhookModes

	URL, Token string // the initial address; "" sends nothing. Token is the default of Verify

	// URLField and TokenField are the names of address and token in the control API. TokenField is empty without Verify.
	URLField, TokenField string

	Life        time.Duration // from the first sending until a delivery is dropped
	RetryAtOnce bool          // the first retry does not wait

	// Sign adds the signature of one sending; mode may spoil it (see SigningSecret).
	Sign func(header http.Header, body string, mode Mode)
	// Verify makes the handshake that an address must pass before anything is sent to it; nil if there is none. client
	// has a timeout and follows no redirects.
	Verify func(ctx context.Context, client *http.Client, url, token string) error
}
