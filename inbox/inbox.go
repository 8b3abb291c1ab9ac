// Package inbox receives the webhooks of platforms.
//
// The events of a verified request are stored before the request is answered, each event
// once, so none can be lost. A task then processes each event, and a sweep finds events
// whose task is missing. Events arrive late, twice, in any order, and before their post is
// known here. So the effect of an event must be safe to repeat: an event does not change
// the status of a post, it makes the post's next poll due.
//
// The engine in this package is independent of platforms. A Source per platform verifies
// its requests, parses its events and applies them.
package inbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sirupsen/logrus"

	"socialqueue/db"
	"socialqueue/models"
	"socialqueue/observe"
	"socialqueue/publish"
)

// ErrNotAuthentic means that a request is not signed by its platform, or is not a webhook
// of that platform.
var ErrNotAuthentic = errors.New("the message is not signed by the platform")

// Queue enqueues the tasks of events.
type Queue interface {
	// EnqueueWebhook enqueues one Process of an event. If a task for the same fence exists
	// already, it returns nil.
	EnqueueWebhook(ctx context.Context, e *models.WebhookEvent) error
	// WebhookState returns the state of that task.
	WebhookState(ctx context.Context, e *models.WebhookEvent) (publish.TaskState, error)
}

// Deps holds the dependencies of a Service.
type Deps struct {
	DB    *db.DB
	Queue Queue
	// Sources holds one source per platform.
	Sources []Source
	// Metrics may be nil if none are exported.
	Metrics *observe.Metrics
	Log     logrus.FieldLogger
	Now     func() time.Time
}

// Service implements the use cases of platforms' webhooks. It is safe for concurrent use.
type Service struct {
	Deps
}

// New returns a Service.
func New(deps Deps) *Service {
	now := deps.Now
	deps.Now = func() time.Time { return models.Time(now()) }
	if deps.Metrics == nil {
		deps.Metrics = observe.NewMetrics()
	}
	return &Service{Deps: deps}
}

// source returns the source of a platform.
func (s *Service) source(p models.Platform) (Source, error) {
	for _, source := range s.Sources {
		if source.Platform() == p {
			return source, nil
		}
	}
	return nil, fmt.Errorf("no source of webhooks is registered for platform %q", p)
}
