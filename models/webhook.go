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

// AppEvent is the type of an event that apps receive as a webhook.
type AppEvent string

// The types of events that apps receive.
const (
	EventPostPublished AppEvent = "post.published"
	EventPostDelivered AppEvent = "post.delivered"
	EventPostFailed    AppEvent = "post.failed"
	EventPostUncertain AppEvent = "post.uncertain"
	EventPostDeferred  AppEvent = "post.deferred"
	EventPostMissed    AppEvent = "post.missed"
	EventPostCanceled  AppEvent = "post.canceled"
	// EventPostFirstComment: the first comment of a post is settled.
	EventPostFirstComment    AppEvent = "post.first_comment"
	EventAccountConnected    AppEvent = "account.connected"
	EventAccountReauthorize  AppEvent = "account.reauth_required"
	EventAccountDisconnected AppEvent = "account.disconnected"
	EventCommentReceived     AppEvent = "comment.received"
	// EventEndpointTest is sent on request only. No endpoint can subscribe to it.
	EventEndpointTest AppEvent = "endpoint.test"
)

// AppEvents lists the events that an endpoint can subscribe to.
var AppEvents = []AppEvent{
	EventPostPublished, EventPostDelivered, EventPostFailed, EventPostUncertain, EventPostDeferred, EventPostMissed, EventPostCanceled,
	EventPostFirstComment,
	EventAccountConnected, EventAccountReauthorize, EventAccountDisconnected, EventCommentReceived,
}

// EventOf returns the event for a post that reached a state; empty if there is none.
func EventOf(s Status) AppEvent {
	if event := AppEvent("post." + string(s)); slices.Contains(AppEvents, event) {
		return event
	}
	return ""
}

// WebhookEndpoint is a URL to which an app wants events delivered.
type WebhookEndpoint struct {
	ID          string `gorm:"primaryKey"`
	AppID       int64
	URL         string `gorm:"column:url"` // do not log it: it may contain the owner's secret
	Description string
	// Events are the subscribed event types, separated by commas; empty means all.
	Events string
	// Secret and OldSecret are encrypted. Deliveries are signed with both until
	// OldSecretUntil.
	Secret         string
	OldSecret      string
	OldSecretUntil *time.Time
	Status         EndpointStatus
	// StatusReason says why the endpoint is disabled.
	StatusReason string
	// Failures counts consecutive failed attempts, over all deliveries.
	Failures int
	// FailingSince is the time of the first of these failures.
	FailingSince *time.Time
	// BackoffUntil is the end of the backoff after these failures.
	BackoffUntil *time.Time `gorm:"column:rest_until"`
	// Fence increases with every run that delivers to the endpoint. A write with an older
	// fence changes nothing.
	Fence      int64
	LeaseUntil *time.Time
	CreatedAt  time.Time `gorm:"autoCreateTime:false"`
	UpdatedAt  time.Time `gorm:"autoUpdateTime:false"`
	// DeletedAt marks the row for the clean-up, which removes it with its deliveries.
	DeletedAt *time.Time
}

// EndpointStatus says whether events are delivered to an endpoint.
type EndpointStatus string

// The states of an endpoint.
const (
	EndpointEnabled  EndpointStatus = "enabled"
	EndpointDisabled EndpointStatus = "disabled"
)

// DisabledByApp is the status reason of an endpoint that its app disabled.
const DisabledByApp = "disabled by the app"

// Wants reports whether the endpoint subscribed to an event.
func (e *WebhookEndpoint) Wants(event AppEvent) bool {
	return e.Events == "" || slices.Contains(e.EventList(), string(event))
}

// EventList lists the subscribed events; empty means all.
func (e *WebhookEndpoint) EventList() []string {
	if e.Events == "" {
		return []string{}
	}
	return strings.Split(e.Events, ",")
}

// WebhookDelivery is one event for one endpoint. It is stored in the same transaction as
// the change that the event reports.
type WebhookDelivery struct {
	ID         int64 `gorm:"primaryKey"`
	EndpointID string
	// EventID is the same for all endpoints and in every attempt.
	EventID   string
	EventType AppEvent
	// Subject is the post or account that the event is about. Deliveries with the same
	// subject are made one after the other.
	Subject string
	// Lane is the account that the event is about, so that the delivery can be deleted
	// with the account's data; empty if the payload contains none of it.
	Lane          string
	Payload       string
	CorrelationID string

	Status   DeliveryStatus
	Attempts int
	// NextAt is the time of the next attempt; nil once the delivery is settled.
	NextAt *time.Time
	// GiveUpAt is the time after which no further attempt is made.
	GiveUpAt  time.Time
	CreatedAt time.Time `gorm:"autoCreateTime:false"`
	SettledAt *time.Time
}

// DeliveryStatus is the state of a delivery.
type DeliveryStatus string

// The states of a delivery.
const (
	DeliveryPending   DeliveryStatus = "pending"
	DeliveryDelivered DeliveryStatus = "delivered"
	DeliveryFailed    DeliveryStatus = "failed"
)

// DeliveryStatuses lists every state.
var DeliveryStatuses = []DeliveryStatus{DeliveryPending, DeliveryDelivered, DeliveryFailed}

// WebhookAttempt is one attempt at a delivery.
type WebhookAttempt struct {
	ID         int64 `gorm:"primaryKey"`
	DeliveryID int64
	At         time.Time
	DurationMs int64
	// StatusCode is the HTTP status of the response; 0 if there was none.
	StatusCode int
	// Error says why the attempt failed; empty if it succeeded.
	Error string
	// Response is the beginning of the response body.
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
	// Own is true if the account itself wrote the comment.
	Own       bool
	Timestamp *time.Time
	CreatedAt time.Time `gorm:"autoCreateTime:false"`
}
