package inbox

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"socialqueue/models"
	"socialqueue/observe"
)

// CheckHeader returns ErrNotAuthentic if a request's header shows that the platform did not
// sign the request, whatever its body is.
func (s *Service) CheckHeader(p models.Platform, header http.Header) error {
	source, err := s.source(p)
	if err != nil {
		return err
	}
	if err := source.CheckHeader(header); err != nil {
		return s.refuse(p, err)
	}
	return nil
}

// Receive stores the events of a platform's request. After nil they are durable. Its error
// is ErrNotAuthentic, or one of the database; after an error nothing is stored.
func (s *Service) Receive(ctx context.Context, p models.Platform, header http.Header, body []byte) error {
	source, err := s.source(p)
	if err != nil {
		return err
	}
	if err := source.Verify(header, body); err != nil {
		return s.refuse(p, err)
	}
	events, err := source.Parse(body)
	if err != nil {
		return s.refuse(p, err)
	}
	return s.store(ctx, s.rows(ctx, p, events))
}

// Handshake returns the text that a platform expects when it checks the address of its
// webhooks. Its error is ErrNotAuthentic.
func (s *Service) Handshake(p models.Platform, query url.Values) (string, error) {
	source, err := s.source(p)
	if err != nil {
		return "", err
	}
	h, ok := source.(Handshaker)
	if !ok {
		return "", fmt.Errorf("%w: %s sends no handshake", ErrNotAuthentic, p)
	}
	challenge, err := h.Handshake(query)
	if err != nil {
		return "", s.refuse(p, err)
	}
	return challenge, nil
}

// refuse counts a request that is not authentic, and returns the reason.
func (s *Service) refuse(p models.Platform, err error) error {
	s.Metrics.WebhookReceived(string(p), observe.WebhookRefused)
	return fmt.Errorf("%w: %w", ErrNotAuthentic, err)
}

// rows builds the rows of events that are received now and due now.
func (s *Service) rows(ctx context.Context, p models.Platform, events []Event) []models.WebhookEvent {
	now, correlationID := s.Now(), observe.CorrelationID(ctx)
	rows := make([]models.WebhookEvent, len(events))
	for i, e := range events {
		rows[i] = models.WebhookEvent{
			Platform: p, DedupeKey: dedupeKey(e.Key, e.Payload), Name: models.Cut(e.Name, maxName), Account: models.Cut(e.Account, maxAccount),
			OccurredAt: models.TimeOrNil(e.At), Payload: e.Payload, CorrelationID: correlationID,
			Status: models.WebhookPending, ReceivedAt: now, RunAt: &now, EnqueuedAt: &now,
		}
	}
	return rows
}

// store stores events and enqueues their tasks. After nil the events are durable.
func (s *Service) store(ctx context.Context, events []models.WebhookEvent) error {
	if len(events) == 0 {
		return nil
	}
	if err := s.DB.Inbox.Store(ctx, events); err != nil {
		return err
	}
	s.count(events)
	s.enqueue(ctx, events)
	return nil
}

// count counts the events of one request.
func (s *Service) count(events []models.WebhookEvent) {
	for i := range events {
		outcome := observe.WebhookStored
		if events[i].ID == 0 {
			outcome = observe.WebhookDuplicate
		}
		s.Metrics.WebhookReceived(string(events[i].Platform), outcome)
	}
}

const (
	// enqueueTimeout limits the fast path. The sweep enqueues what it missed.
	enqueueTimeout = 2 * time.Second
	// noteTimeout limits the write that marks missing tasks.
	noteTimeout = 5 * time.Second
)

// enqueue is the fast path. Tasks that do not reach Redis are marked as missing, so that
// the next sweep enqueues them at once.
func (s *Service) enqueue(ctx context.Context, events []models.WebhookEvent) {
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), enqueueTimeout)
	defer cancel()
	var err error
	var missing []int64
	for i := range events {
		if events[i].ID == 0 {
			continue // a duplicate
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
	observe.In(ctx, s.Log).WithError(err).WithField("events", len(missing)).Warn("cannot enqueue the tasks of webhook events; the sweep enqueues them")
	noting, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteTimeout) // Redis may have used up its time
	defer cancel()
	if err := s.DB.Inbox.Seen(noting, missing, nil); err != nil {
		observe.In(ctx, s.Log).WithError(err).Warn("cannot mark missing tasks; the sweep finds them by their age")
	}
}

// The sizes of the columns for an event's name and account, in characters.
const (
	maxName    = 100
	maxAccount = 255
)

// dedupeKey hashes the parts that identify an event, or its payload if there are none.
func dedupeKey(parts []string, payload []byte) string {
	kind := "parts\x00"
	if len(parts) == 0 {
		kind, parts = "whole\x00", []string{string(payload)}
	}
	sum := sha256.Sum256([]byte(kind + strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:])
}
