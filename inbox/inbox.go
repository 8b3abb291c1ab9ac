// Package inbox takes what platforms tell us by their webhooks.
//
// A message that is verified is stored, each event of it once, before it is answered:
// from then on it cannot be lost. A task then gives each event its effect, and a sweep
// finds those whose task is missing. Events come late, twice, in any order and before
// what they tell of is known here. So an effect is one that may be had any number of
// times: a post is not moved to where an event says that it is, it is looked at.
package inbox

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sirupsen/logrus"

	"socialqueue/db"
	"socialqueue/models"
	"socialqueue/oauth"
	"socialqueue/observe"
	"socialqueue/publish"
	"socialqueue/secrets"
)

// ErrNotAuthentic: a message does not come from the platform that it names, or is
// none of its messages.
var ErrNotAuthentic = errors.New("the message is not signed by the platform")

// Queue takes the tasks of events.
type Queue interface {
	// EnqueueWebhook asks for one Process of an event. That it is asked already, for
	// the same fence, is success.
	EnqueueWebhook(ctx context.Context, e *models.WebhookEvent) error
	// WebhookState looks that task up.
	WebhookState(ctx context.Context, e *models.WebhookEvent) (publish.TaskState, error)
}

// Deps is what the service works with.
type Deps struct {
	DB       *db.DB
	Queue    Queue
	Posts    *publish.Service
	Accounts *oauth.Service
	// TikTokSecret and InstagramSecret sign what the platforms send.
	TikTokSecret, InstagramSecret secrets.Secret
	// TikTokPlain takes TikTok's signatures in the form without a time too.
	TikTokPlain bool
	// TikTokTolerance is how far the time in TikTok's signature may be from ours.
	TikTokTolerance time.Duration
	// InstagramToken is what Meta says when it asks whether this is the right address.
	InstagramToken secrets.Secret
	// Metrics may be nil, where nobody looks at them.
	Metrics *observe.Metrics
	Log     logrus.FieldLogger
	Now     func() time.Time
}

// Service carries out the use cases of platforms' webhooks. It is safe for concurrent
// use.
type Service struct {
	Deps
}

// New makes a Service.
func New(deps Deps) *Service {
	now := deps.Now
	deps.Now = func() time.Time { return models.Time(now()) }
	if deps.Metrics == nil {
		deps.Metrics = observe.NewMetrics()
	}
	return &Service{Deps: deps}
}

// enqueueTimeout bounds the fast path; the sweep is the sure one.
const enqueueTimeout = 2 * time.Second

// noteTimeout bounds noting what it missed.
const noteTimeout = 5 * time.Second

// keep stores events and sees to their tasks. When it returns nil they are durable.
func (s *Service) keep(ctx context.Context, events []models.WebhookEvent) error {
	if len(events) == 0 {
		return nil
	}
	now := s.Now()
	for i := range events {
		e := &events[i]
		e.CorrelationID = observe.CorrelationID(ctx)
		e.Name, e.Account = cut(e.Name, maxName), cut(e.Account, maxAccount)
		e.Status, e.ReceivedAt, e.RunAt, e.EnqueuedAt = models.WebhookPending, now, &now, &now
	}
	if err := s.DB.Inbox.Store(ctx, events); err != nil {
		return err
	}
	s.count(events)
	s.enqueue(ctx, events)
	return nil
}

// count counts what was stored.
func (s *Service) count(events []models.WebhookEvent) {
	for i := range events {
		outcome := observe.WebhookStored
		if events[i].ID == 0 {
			outcome = observe.WebhookDuplicate
		}
		s.Metrics.WebhookReceived(string(events[i].Platform), outcome)
	}
}

// refuse counts a message that is not authentic, and says why.
func (s *Service) refuse(p models.Platform, err error) error {
	s.Metrics.WebhookReceived(string(p), observe.WebhookRefused)
	return fmt.Errorf("%w: %w", ErrNotAuthentic, err)
}

// enqueue is the fast path of every task. What it does not get into Redis is noted, so
// that the next sweep makes up for it at once.
func (s *Service) enqueue(ctx context.Context, events []models.WebhookEvent) {
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), enqueueTimeout)
	defer cancel()
	var err error
	var missing []int64
	for i := range events {
		if events[i].ID == 0 {
			continue // it was stored before
		}
		if err == nil {
			err = s.Queue.EnqueueWebhook(within, &events[i])
		}
		if err != nil {
			missing = append(missing, events[i].ID)
		}
	}
	if len(missing) == 0 {
		return
	}
	observe.In(ctx, s.Log).WithError(err).WithField("events", len(missing)).Warn("tasks of webhook events did not reach Redis; the sweep will enqueue them")
	noting, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteTimeout) // Redis may have used up its time
	defer cancel()
	if err := s.DB.Inbox.Seen(noting, missing, nil); err != nil {
		observe.In(ctx, s.Log).WithError(err).Warn("could not note missing tasks; the sweep will find them by their age")
	}
}

// What the table holds of an event's name and account, in characters.
const (
	maxName    = 100
	maxAccount = 255
)

func cut(s string, most int) string {
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most])
}

// dedupeKey makes a key of the parts that tell an event from others; of the whole of
// it where there are none.
func dedupeKey(parts []string, whole []byte) string {
	kind := "parts\x00"
	if len(parts) == 0 {
		kind, parts = "whole\x00", []string{string(whole)}
	}
	sum := sha256.Sum256([]byte(kind + strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:])
}

// timeOrNil is for a time that a platform may not have told.
func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = models.Time(t)
	return &t
}
