package models

import (
	"slices"
	"strings"
	"time"
)

// WebhookEvent is one event of a platform's webhook. A request of the platform may hold
// many of them.
type WebhookEvent struct {
	ID       int64 `gorm:"primaryKey"`
	Platform Platform
	// DedupeKey identifies the event among those of its platform, however often it is sent.
	DedupeKey string
	// Name is the platform's name of the event.
	Name string
	// Account is the platform's id of the account that the event is about; it may be empty.
	Account string
	// OccurredAt is the platform's time of the event; nil if it sent none.
	OccurredAt *time.Time
	// Payload is a request that holds only this event.
	Payload       []byte
	CorrelationID string
	ReceivedAt    time.Time

	Status WebhookStatus
	// Outcome describes the result of the last try, for operators.
	Outcome  string
	Attempts int
	// RunAt is the time of the next try; nil once the event is settled.
	RunAt *time.Time
	// EnqueuedAt is when the event's task was last known to be in Asynq.
	EnqueuedAt *time.Time
	// Fence is part of the id of the event's task. A higher one makes room for a new
	// task where the old one hangs.
	Fence     int64
	SettledAt *time.Time
}

// WebhookStatus is the state of a platform's event.
type WebhookStatus string

// The states of a platform's event.
const (
	// WebhookPending: the event waits for its first or its next try.
	WebhookPending WebhookStatus = "pending"
	// WebhookProcessed: the event had its effect, or needs none.
	WebhookProcessed WebhookStatus = "processed"
	// WebhookUnmatched: the event is about no post or account of ours, or was given up
	// after internal errors.
	WebhookUnmatched WebhookStatus = "unmatched"
	// WebhookUnknown: nothing is done about events of this kind.
	WebhookUnknown WebhookStatus = "unknown"
)

// WebhookStatuses lists every state.
var WebhookStatuses = []WebhookStatus{WebhookPending, WebhookProcessed, WebhookUnmatched, WebhookUnknown}

// AppEvent names something that an app is told of by a webhook.
type AppEvent string

// What apps are told of.
const (
	EventPostPublished       AppEvent = "post.published"
	EventPostDelivered       AppEvent = "post.delivered"
	EventPostFailed          AppEvent = "post.failed"
	EventPostUncertain       AppEvent = "post.uncertain"
	EventPostDeferred        AppEvent = "post.deferred"
	EventPostMissed          AppEvent = "post.missed"
	EventPostCanceled        AppEvent = "post.canceled"
	EventAccountConnected    AppEvent = "account.connected"
	EventAccountReauthorize  AppEvent = "account.reauth_required"
	EventAccountDisconnected AppEvent = "account.disconnected"
	EventCommentReceived     AppEvent = "comment.received"
	// EventEndpointTest is sent on request only, whatever an endpoint asked for.
	EventEndpointTest AppEvent = "endpoint.test"
)

// AppEvents lists those that an endpoint can ask for.
var AppEvents = []AppEvent{
	EventPostPublished, EventPostDelivered, EventPostFailed, EventPostUncertain, EventPostDeferred, EventPostMissed, EventPostCanceled,
	EventAccountConnected, EventAccountReauthorize, EventAccountDisconnected, EventCommentReceived,
}

// EventOf is what an app is told of a post that came to this state; empty for
// one that it is not told of.
func EventOf(s Status) AppEvent {
	if event := AppEvent("post." + string(s)); slices.Contains(AppEvents, event) {
		return event
	}
	return ""
}

// WebhookEndpoint is an address of an app that is told of events.
type WebhookEndpoint struct {
	ID          string `gorm:"primaryKey"`
	AppID       int64
	URL         string `gorm:"column:url"` // not to be logged: it may hold a secret of its owner
	Description string
	// Events are those it asked for, with commas between them; empty is all.
	Events string
	// Secret and OldSecret are sealed. The old one is used too until OldSecretUntil.
	Secret         string
	OldSecret      string
	OldSecretUntil *time.Time
	Status         EndpointStatus
	// StatusReason says why it is disabled.
	StatusReason string
	// Failures counts the tries in a row that failed, whatever they were to deliver.
	Failures int
	// FailingSince is when the first of them was.
	FailingSince *time.Time
	// RestUntil is until when nothing is tried because of them.
	RestUntil *time.Time
	// Fence counts the runs that delivered to it. A write with an old one changes
	// nothing.
	Fence      int64
	LeaseUntil *time.Time
	CreatedAt  time.Time `gorm:"autoCreateTime:false"`
	UpdatedAt  time.Time `gorm:"autoUpdateTime:false"`
	// DeletedAt is set until the clean-up took it with all of its deliveries.
	DeletedAt *time.Time
}

// EndpointStatus tells whether an endpoint is told of events.
type EndpointStatus string

// The states of an endpoint.
const (
	EndpointEnabled  EndpointStatus = "enabled"
	EndpointDisabled EndpointStatus = "disabled"
)

// DisabledByApp is the reason of an endpoint that its app disabled.
const DisabledByApp = "disabled by the app"

// Wants reports whether an endpoint asked for an event.
func (e *WebhookEndpoint) Wants(event AppEvent) bool {
	return e.Events == "" || slices.Contains(e.EventList(), string(event))
}

// EventList lists the events that the endpoint asked for; empty is all.
func (e *WebhookEndpoint) EventList() []string {
	if e.Events == "" {
		return []string{}
	}
	return strings.Split(e.Events, ",")
}

// WebhookDelivery is one event for one endpoint. It is written in the transaction
// of the change that it tells of.
type WebhookDelivery struct {
	ID         int64 `gorm:"primaryKey"`
	EndpointID string
	// EventID is the same for all endpoints, and in every try.
	EventID   string
	EventType AppEvent
	// Subject is what the event is about. Of one subject, one is delivered after
	// the other.
	Subject string
	// Lane is the account that the event tells of, so that it can be deleted with
	// it; empty where it shows nothing of that.
	Lane          string
	Payload       string
	CorrelationID string

	Status   DeliveryStatus
	Attempts int
	// NextAt is when it is tried next; nil once it is settled.
	NextAt *time.Time
	// GiveUpAt is from when on it is not tried again.
	GiveUpAt  time.Time
	CreatedAt time.Time `gorm:"autoCreateTime:false"`
	SettledAt *time.Time
}

// DeliveryStatus is how far a delivery is.
type DeliveryStatus string

// The states of a delivery.
const (
	DeliveryPending   DeliveryStatus = "pending"
	DeliveryDelivered DeliveryStatus = "delivered"
	DeliveryFailed    DeliveryStatus = "failed"
)

// DeliveryStatuses lists every state.
var DeliveryStatuses = []DeliveryStatus{DeliveryPending, DeliveryDelivered, DeliveryFailed}

// WebhookAttempt is one try of a delivery.
type WebhookAttempt struct {
	ID         int64 `gorm:"primaryKey"`
	DeliveryID int64
	At         time.Time
	DurationMs int64
	// StatusCode is that of the answer; 0 if there was none.
	StatusCode int
	// Error says why it failed; empty if it did not.
	Error string
	// Response is the beginning of the answer's body.
	Response string
}

// InstagramComment is a comment under a post of an Instagram account.
type InstagramComment struct {
	ID                 int64 `gorm:"primaryKey"`
	InstagramAccountID int64
	IGCommentID        string  `gorm:"column:ig_comment_id"`
	IGMediaID          *string `gorm:"column:ig_media_id"`
	ParentID           *string
	FromID             string
	Username           string
	Text               string
	// Own: the account itself wrote it.
	Own       bool
	Timestamp *time.Time
	CreatedAt time.Time `gorm:"autoCreateTime:false"`
}
