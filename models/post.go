// Package models holds the entities, their states and the rules that posts
// must keep. It imports nothing else of this project.
package models

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Kind is what a post consists of.
type Kind string

// The kinds of posts.
const (
	Video Kind = "video" // TikTok
	Image Kind = "image" // Instagram feed
	Reel  Kind = "reel"  // Instagram
)

// Step is the part of the work that the next run of a post does. It decides
// the queue, so that heavy transfers never wait in front of light calls.
type Step string

const (
	// StepTransfer moves the file: from the customer's link to our storage, and
	// from there to the platform.
	StepTransfer Step = "transfer"
	// StepPublish makes the light calls: containers, publishing, looking.
	StepPublish Step = "publish"
)

// Admission tells where a post waits for its next run.
type Admission string

const (
	// AdmissionNone: no run is due; the post has ended.
	AdmissionNone Admission = ""
	// AdmissionWaiting: its time is beyond the horizon. Only this row knows it.
	AdmissionWaiting Admission = "waiting"
	// AdmissionParked: it is due, but its lane already has enough posts in Asynq.
	AdmissionParked Admission = "parked"
	// AdmissionHeld: it waits until a person releases it.
	AdmissionHeld Admission = "held"
	// AdmissionAdmitted: it has a task in Asynq, or a worker runs it.
	AdmissionAdmitted Admission = "admitted"
)

// The reasons why a queued post waits, as the API shows them.
const (
	DeferredLane        = "account_busy"
	DeferredRateLimit   = "rate_limited"
	DeferredDailyCap    = "daily_cap"
	DeferredRetry       = "retry"
	DeferredReauthorize = "reauth_required"
	DeferredToken       = "token_refresh"
	DeferredInternal    = "internal_error"
	DeferredPaused      = "paused"
	DeferredRestored    = "restored"
)

// Post is one item for one account. Every column below the line is written
// only by the holder of the fence, or together with a new fence.
type Post struct {
	ID                 string `gorm:"primaryKey"`
	AppID              int64
	UserID             int64
	Platform           Platform
	OAuthAccountID     int64 `gorm:"column:oauth_account_id"`
	InstagramAccountID *int64
	Kind               Kind
	GroupID            *string
	Content            Content `gorm:"serializer:json"`
	// SourceURL is that of the first file. It is written for the previous release, as
	// MediaID is; Posts.Files reads the files.
	SourceURL     string
	PublishAt     time.Time
	MaxLatenessMs *int64
	CorrelationID string
	// TraceParent is the trace that the accepting belongs to (W3C Trace Context); empty
	// where nobody traces.
	TraceParent string
	CreatedAt   time.Time `gorm:"autoCreateTime:false"`

	Lane      string
	Status    Status
	Step      Step
	MediaID   *string
	Admission Admission
	// RunAt is when the next run is due; nil when none is.
	RunAt *time.Time
	// EnqueuedAt is when a task for this fence was last known to be in Asynq.
	EnqueuedAt *time.Time
	// Fence counts the claims. A write that names an older one changes nothing.
	Fence      int64
	LeaseUntil *time.Time
	LeaseOwner string
	// Attempts counts runs that failed. Waiting is no attempt.
	Attempts int
	// UnfinishedRuns counts runs that began and never reported an end.
	UnfinishedRuns int
	// MissAt is when it is too late to begin; nil when it never is.
	MissAt *time.Time
	// Looks counts the polls since the platform got the post, for their spacing.
	Looks int
	// WaitingSince is when the platform got the post, or the answer got lost.
	WaitingSince   *time.Time
	DeferredUntil  *time.Time
	DeferredReason string
	PublishID      *string
	ContainerID    *string
	PlatformPostID *string
	Permalink      *string
	ErrorCode      string
	ErrorMessage   string
	StartedAt      *time.Time
	PublishedAt    *time.Time
	UpdatedAt      time.Time `gorm:"autoUpdateTime:false"`
	// RestoreID is the newest restore of the database for which it is known that the post
	// may be sent; 0 if none.
	RestoreID int64
	// HeldReason says why the post is held; empty if it is not.
	HeldReason HeldReason
}

// Content is what the app wants posted, as its platform's publisher reads it: one JSON
// object under the platform's name.
type Content map[Platform]json.RawMessage

// SetPublishAt gives the post its time, and with it the time from which on it
// would be too late.
func (p *Post) SetPublishAt(at time.Time) {
	p.PublishAt = at
	if p.MaxLatenessMs != nil {
		missAt := at.Add(p.MaxLateness())
		p.MissAt = &missAt
	}
}

// MaxLateness is how late the post may start; 0 when it may start at any time.
func (p *Post) MaxLateness() time.Duration {
	if p.MaxLatenessMs == nil {
		return 0
	}
	return time.Duration(*p.MaxLatenessMs) * time.Millisecond
}

// TooLate reports whether the post has missed its time at now.
func (p *Post) TooLate(now time.Time) bool { return p.MissAt != nil && now.After(*p.MissAt) }

// Options is the part of the content that the post's publisher decodes.
func (p *Post) Options() json.RawMessage { return p.Content[p.Platform] }

// AccountID is the account as the API names it: the Instagram account of an
// Instagram post, the OAuth account of any other.
func (p *Post) AccountID() int64 {
	if p.InstagramAccountID != nil {
		return *p.InstagramAccountID
	}
	return p.OAuthAccountID
}

// NewID makes an id that sorts by time (UUIDv7, RFC 9562).
func NewID() string { return uuid.Must(uuid.NewV7()).String() }

// FirstIDAt is before every id of NewID since t, and after those before it.
func FirstIDAt(t time.Time) string {
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[:8], uint64(t.UnixMilli())<<16)
	id[6] = 7 << 4
	return id.String()
}

// Time cuts t to what both databases keep: UTC, microseconds.
func Time(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

// Lane names the serial order of an account's posts.
func Lane(p Platform, accountID int64) string { return fmt.Sprintf("%s:%d", p, accountID) }

// ParseLane reads whose lane it is.
func ParseLane(lane string) (p Platform, accountID int64, ok bool) {
	name, number, _ := strings.Cut(lane, ":")
	accountID, err := strconv.ParseInt(number, 10, 32)
	return Platform(name), accountID, err == nil && accountID > 0 && name != ""
}
