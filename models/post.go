// Package models holds the entities, their states, and the rules that posts must follow.
// It imports no other package of this project.
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

// Kind is the type of a post.
type Kind string

// The kinds of posts.
const (
	Video    Kind = "video"    // TikTok
	Photo    Kind = "photo"    // TikTok, one or several
	Image    Kind = "image"    // Instagram's feed
	Reel     Kind = "reel"     // Instagram
	Story    Kind = "story"    // Instagram
	Carousel Kind = "carousel" // Instagram
)

// Step is the part of the work that the next run of a post does. It decides the queue, so
// that light calls never wait behind heavy transfers.
type Step string

const (
	// StepTransfer moves files: from the customer's link to our storage, and from there
	// to the platform.
	StepTransfer Step = "transfer"
	// StepPublish makes the light calls: containers, publishing, polling.
	StepPublish Step = "publish"
)

// FirstSteps are the steps that a post can begin with.
var FirstSteps = []Step{StepPublish, StepTransfer}

// Admission says where a post waits for its next run.
type Admission string

const (
	// AdmissionNone: no run is planned; the post has ended.
	AdmissionNone Admission = ""
	// AdmissionWaiting: the next run is too far ahead for a task in Asynq, or the post waits
	// for its app's turn. Only the database knows about it.
	AdmissionWaiting Admission = "waiting"
	// AdmissionParked: the post is due but has no task in Asynq. It waits for its lane,
	// which already has enough posts there, or for the end of a pause.
	AdmissionParked Admission = "parked"
	// AdmissionHeld: it waits until a person releases it.
	AdmissionHeld Admission = "held"
	// AdmissionAdmitted: the post has a task in Asynq, or a worker runs it.
	AdmissionAdmitted Admission = "admitted"
)

// The reasons why a queued post waits, as the API shows them.
const (
	DeferredLane        = "account_busy"
	DeferredApp         = "app_busy"
	DeferredRateLimit   = "rate_limited"
	DeferredDailyCap    = "daily_cap"
	DeferredPendingCap  = "pending_cap"
	DeferredRestricted  = "restricted"
	DeferredRetry       = "retry"
	DeferredReauthorize = "reauth_required"
	DeferredToken       = "token_refresh"
	DeferredInternal    = "internal_error"
	DeferredDown        = "platform_down"
	DeferredPaused      = "paused"
	DeferredRestored    = "restored"
)

// Post is one item for one account. The fields from Lane on are written only by the holder
// of the fence, or together with a new fence.
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
	// SourceURL is the link of the first file. SourceURL and MediaID are written only for
	// the previous release; read the files with Posts.Files.
	SourceURL     string
	PublishAt     time.Time
	MaxLatenessMs *int64
	CorrelationID string
	// TraceParent is the trace of the request that created the post (W3C Trace Context);
	// empty if tracing is off.
	TraceParent string
	CreatedAt   time.Time `gorm:"autoCreateTime:false"`

	Lane      string
	Status    Status
	Step      Step
	MediaID   *string
	Admission Admission
	// RunAt is when the next run is due; nil if none is planned.
	RunAt *time.Time
	// EnqueuedAt is when a task for this fence was last known to be in Asynq.
	EnqueuedAt *time.Time
	// Fence increases with every claim. A write with an older fence changes nothing.
	Fence      int64
	LeaseUntil *time.Time
	LeaseOwner string
	// Attempts counts runs that failed. Waiting uses no attempt.
	Attempts int
	// UnfinishedRuns counts runs that began and never reported a result.
	UnfinishedRuns int
	// MissAt is the latest time at which the post may start; nil if there is no limit.
	MissAt *time.Time
	// Polls counts the status polls since the platform received the post. It determines
	// the interval to the next poll.
	Polls int `gorm:"column:looks"`
	// WaitingSince is when the platform received the post, or when its response was lost.
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

	// Files are the post's files, in order; nil where they were not read.
	Files []PostMedia `gorm:"-"`
	// FirstComment is the post's; nil if it has none, or where it was not read.
	FirstComment *FirstComment `gorm:"-"`
}

// Content is what the app wants published: one JSON object under the platform's name. The
// platform's publisher decodes it.
type Content map[Platform]json.RawMessage

// SetPublishAt sets PublishAt, and MissAt if the post has a maximum lateness.
func (p *Post) SetPublishAt(at time.Time) {
	p.PublishAt = at
	if p.MaxLatenessMs != nil {
		missAt := at.Add(p.MaxLateness())
		p.MissAt = &missAt
	}
}

// MaxLateness is how late the post may start; 0 if there is no limit.
func (p *Post) MaxLateness() time.Duration {
	if p.MaxLatenessMs == nil {
		return 0
	}
	return time.Duration(*p.MaxLatenessMs) * time.Millisecond
}

// TooLate reports whether the post may no longer start at now.
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

// NewID returns a new id that sorts by time (UUIDv7, RFC 9562).
func NewID() string { return uuid.Must(uuid.NewV7()).String() }

// FirstIDAt returns an id that sorts before every id that NewID makes from t on, and after
// every earlier one.
func FirstIDAt(t time.Time) string {
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[:8], uint64(t.UnixMilli())<<16)
	id[6] = 7 << 4
	return id.String()
}

// Time converts t to the precision of both databases: UTC, microseconds.
func Time(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

// Lane names the serial order of an account's posts.
func Lane(p Platform, accountID int64) string { return fmt.Sprintf("%s:%d", p, accountID) }

// ParseLane returns the platform and the account of a lane.
func ParseLane(lane string) (p Platform, accountID int64, ok bool) {
	name, number, _ := strings.Cut(lane, ":")
	accountID, err := strconv.ParseInt(number, 10, 32)
	return Platform(name), accountID, err == nil && accountID > 0 && name != ""
}
