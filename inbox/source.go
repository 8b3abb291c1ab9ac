package inbox

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/sirupsen/logrus"

	"socialqueue/models"
	"socialqueue/observe"
)

// Source handles the webhooks of one platform: how its requests are signed, which events
// they contain, and what an event changes here. The engine does everything else.
type Source interface {
	Platform() models.Platform
	// MaxBody is the size in bytes of the largest request that the platform may send.
	MaxBody() int64
	// CheckHeader returns an error unless the header has what a signed request of the
	// platform has. It is called before the body is read.
	CheckHeader(header http.Header) error
	// Verify returns an error unless the platform signed the request. body is the body
	// exactly as received.
	Verify(header http.Header, body []byte) error
	// Parse returns the events of a request. An unknown event name is no error: the platform
	// would repeat the request for days.
	Parse(body []byte) ([]Event, error)
	// Apply applies a stored event. It may run more than once for one event, even at the
	// same time, and must then have the effect of one run. After an error the event is tried
	// again.
	Apply(ctx context.Context, e *models.WebhookEvent) (Outcome, error)
}

// Handshaker is a Source whose platform checks the address with a GET request before it
// sends webhooks there.
type Handshaker interface {
	Source
	// Handshake returns the text that the platform expects. The text of its error is public.
	Handshake(query url.Values) (challenge string, err error)
}

// Event is one event of a platform's request.
type Event struct {
	// Name is the platform's name of the event.
	Name string
	// Account is the platform's id of the account that the event is about; it may be empty.
	Account string
	// At is when it happened; zero if the platform does not say.
	At time.Time
	// Key identifies the event among all events of the platform, however often it is sent.
	// If it is empty, the whole Payload does.
	Key []string
	// Payload is a request that holds only this event. Apply reads it.
	Payload []byte
}

// Outcome is the result of applying an event. The functions below create them. Its text is
// shown to operators. The zero Outcome counts as unmatched, which an operator can replay.
type Outcome struct {
	kind   outcomeKind
	text   string
	fields logrus.Fields
}

type outcomeKind uint8

const (
	outcomeProcessed outcomeKind = iota + 1
	outcomeUnmatched
	outcomeUnknown
	outcomeEarly
	outcomeBusy
)

// Processed means that the event had its effect, or needs none.
func Processed(text string) Outcome { return Outcome{kind: outcomeProcessed, text: text} }

// Unmatched means that the event does not belong to a post or account of ours, and will
// not.
func Unmatched(text string) Outcome { return Outcome{kind: outcomeUnmatched, text: text} }

// Unknown means that events of this kind are ignored, or that the event cannot be parsed.
func Unknown(text string) Outcome { return Outcome{kind: outcomeUnknown, text: text} }

// Early means that the event may belong to a post or account that is not stored here yet.
// The event is tried again for about an hour and is then unmatched.
func Early(text string) Outcome { return Outcome{kind: outcomeEarly, text: text} }

// Busy means that a worker holds the event's post. The event is tried again until the
// post is free.
func Busy(text string) Outcome { return Outcome{kind: outcomeBusy, text: text} }

// OfPost adds the post that the event is about to the log.
func (o Outcome) OfPost(p *models.Post) Outcome { return o.With(observe.Post(p)) }

// With adds fields to the log.
func (o Outcome) With(fields logrus.Fields) Outcome {
	o.fields = fields
	return o
}

// OccurredAt returns the time of a stored event: the platform's, or else that of its
// arrival.
func OccurredAt(e *models.WebhookEvent) time.Time {
	if e.OccurredAt != nil {
		return *e.OccurredAt
	}
	return e.ReceivedAt
}
