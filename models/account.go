package models

import (
	"strings"
	"time"
)

// App is a tenant.
type App struct {
	ID   int64 `gorm:"primaryKey"`
	Name string
	// Weight is how many turns the app has where others have one, from 1 to MaxWeight.
	Weight    int       `gorm:"default:1"`
	CreatedAt time.Time `gorm:"autoCreateTime:false"`
}

// MaxWeight is the largest weight of an app.
const MaxWeight = 1000

// APIKey authenticates one app. Only a hash of the key is stored.
type APIKey struct {
	ID         int64 `gorm:"primaryKey"`
	AppID      int64
	Prefix     string
	Hash       []byte
	CreatedAt  time.Time `gorm:"autoCreateTime:false"`
	LastUsedAt *time.Time
	RevokedAt  *time.Time
}

// User is an end user of an app.
type User struct {
	ID         int64 `gorm:"primaryKey"`
	AppID      int64
	ExternalID string
	Email      *string
	CreatedAt  time.Time `gorm:"autoCreateTime:false"`
	UpdatedAt  time.Time `gorm:"autoUpdateTime:false"`
}

// AccountStatus says whether an account can publish.
type AccountStatus string

// The states of an account.
const (
	AccountActive       AccountStatus = "active"
	AccountReauthorize  AccountStatus = "reauth_required"
	AccountDisconnected AccountStatus = "disconnected"
)

// OAuthAccount is a consent with its tokens, which are stored encrypted. It is a TikTok
// account, or the Facebook login through which Instagram accounts are reached.
type OAuthAccount struct {
	ID       int64 `gorm:"primaryKey"`
	UserID   int64
	Provider Platform
	// ProviderAccountID is TikTok's open_id or the Facebook user's app-scoped id. For an
	// imported Instagram account it is the Instagram account's own id.
	ProviderAccountID string
	AccessToken       string
	RefreshToken      *string
	ExpiresAt         *time.Time
	Scope             *string
	TokenType         string
	CreatedAt         time.Time `gorm:"autoCreateTime:false"`
	UpdatedAt         time.Time `gorm:"autoUpdateTime:false"`

	Username    string
	DisplayName string
	PictureURL  string `gorm:"column:picture_url"`
	Status      AccountStatus
	// StatusReason explains Status in a sentence; empty while the account is active.
	StatusReason string
	// ConnectedAt is when the owner last consented.
	ConnectedAt time.Time
	// ReconnectBy is when the owner has to consent again because no refresh can succeed
	// after it; nil if the platform names no such time.
	ReconnectBy *time.Time
	// RefreshedAt is when the platform issued the access token.
	RefreshedAt *time.Time
	// CheckedAt is when the platform last issued a token, or when a check of the token
	// was last scheduled.
	CheckedAt *time.Time `gorm:"column:asked_at"`
	// MaintenanceAt is when the next token maintenance is due: a refresh or check for an
	// active account, a revocation for a disconnected one. Nil: none is planned.
	MaintenanceAt *time.Time `gorm:"column:upkeep_at"`
	// RefreshFence increases with every claim of a refresh and with every other write of
	// the tokens. A write with an older fence changes nothing.
	RefreshFence      int64
	RefreshLeaseUntil *time.Time
	// RefreshUnsettled is true while the result of a refresh is unknown: it was sent, or
	// was about to be sent. The refresh token may be used up.
	RefreshUnsettled bool
	RefreshFailures  int
	// DeletionCode is set when the owner requested the deletion of their data.
	DeletionCode *string
}

// TableName implements GORM's Tabler.
func (OAuthAccount) TableName() string { return "oauth_accounts" }

// InstagramAccount is a professional Instagram account, reached through the Facebook
// login of its OAuth account. AccessToken is the Page's token, encrypted.
type InstagramAccount struct {
	ID                int64 `gorm:"primaryKey"`
	UserID            int64
	OAuthAccountID    int64  `gorm:"column:oauth_account_id"`
	IGBusinessID      string `gorm:"column:ig_business_id"`
	Username          *string
	Name              *string
	ProfilePictureURL *string `gorm:"column:profile_picture_url"`
	FollowersCount    int
	MediaCount        int
	AccountType       *string
	CreatedAt         time.Time `gorm:"autoCreateTime:false"`
	UpdatedAt         time.Time `gorm:"autoUpdateTime:false"`

	AccessToken string
	Status      AccountStatus
	// StatusReason explains Status in a sentence; empty while the account is active.
	StatusReason string
	// PageID is the Facebook Page that AccessToken belongs to. It is empty for an imported
	// token, which therefore cannot be read from Meta again.
	PageID string

	// Quota is the account's publishing limit as Instagram last reported it.
	Quota Quota `gorm:"embedded;embeddedPrefix:quota_"`
	PostingAccount
}

// PostingAccount is what an account is known to allow, and what its posts have by default.
type PostingAccount struct {
	// DefaultLocationID is the place of posts that name none; empty if there is none.
	DefaultLocationID string `gorm:"column:default_location_id"`
	// TrialsRefusedAt is when the platform last refused a trial reel; nil if it never did.
	TrialsRefusedAt *time.Time
}

// Quota is a publishing limit: an account used Used of the Total posts that it may publish
// in a rolling window. Instagram's count lags by minutes.
type Quota struct {
	Used, Total   int
	WindowSeconds int
	// ReadAt is when Instagram reported it; nil if it was never read.
	ReadAt *time.Time `gorm:"column:asked_at"`
}

// Window is how long a post counts towards the limit.
func (q Quota) Window() time.Duration { return time.Duration(q.WindowSeconds) * time.Second }

// FacebookPage is a Page that a Facebook login had access to when it was connected.
type FacebookPage struct {
	OAuthAccountID int64  `gorm:"column:oauth_account_id;primaryKey"`
	PageID         string `gorm:"primaryKey"`
	Name           string
	// InstagramAccountID is the account that was connected through the Page, if any.
	InstagramAccountID *int64
	// Reason says why nothing can be published through the Page; empty if it can.
	Reason string

	// SubscribedAt is when the app was subscribed to the Page's webhooks. While it is nil,
	// SubscriptionError says why, and SubscribeAt when it is tried again; nil is at once.
	SubscribedAt      *time.Time
	SubscribeAt       *time.Time
	SubscriptionError string
}

// ReleasedMark separates the platform's id from a suffix in the ig_business_id of a
// disconnected account. The suffix frees the id for another user who connected the same
// Instagram account.
const ReleasedMark = "~"

// PlatformID returns the account's id at Meta, also after the id was released.
func (a *InstagramAccount) PlatformID() string {
	id, _, _ := strings.Cut(a.IGBusinessID, ReleasedMark)
	return id
}

// Platform returns the platform whose accounts are rows of this table.
func (*InstagramAccount) Platform() Platform { return Instagram }

// Lane names the serial order of the account's posts.
func (a *InstagramAccount) Lane() string { return Lane(a.Platform(), a.ID) }

// ConnectedSince reports whether the owner consented at or after t. A platform's event
// from t is then outdated. Platforms send times in whole seconds. A zero t means that the
// platform sent no time; the answer is then false.
func (a *OAuthAccount) ConnectedSince(t time.Time) bool {
	return !t.IsZero() && !a.ConnectedAt.Truncate(time.Second).Before(t)
}

// The reasons why nothing can be published through a Page, as the API shows them.
const (
	PageNoInstagram  = "no_instagram_account"  // no professional account is linked to it
	PageNoPermission = "no_publish_permission" // the person may not create content on it
	PageNoToken      = "no_page_token"         // Meta returned no token for it
	PageElsewhere    = "connected_elsewhere"   // another user connected its Instagram account
)

// DataDeletion is a person's request to delete their data. The row holds no personal data.
type DataDeletion struct {
	Code        string `gorm:"primaryKey"`
	RequestedAt time.Time
	CompletedAt *time.Time
}

// ReturnHost is a host that an app registered as a redirect target for its users.
type ReturnHost struct {
	AppID     int64     `gorm:"primaryKey"`
	Host      string    `gorm:"primaryKey"`
	CreatedAt time.Time `gorm:"autoCreateTime:false"`
}

// TikTokPost is a row of the original guide's table of TikTok uploads.
type TikTokPost struct {
	ID                 int64 `gorm:"primaryKey"`
	UserID             int64
	OAuthAccountID     int64  `gorm:"column:oauth_account_id"`
	PublishID          string `gorm:"column:publish_id"`
	VideoID            *string
	Status             string
	Title              string
	PrivacyLevel       string
	DisableDuet        bool
	DisableComment     bool
	DisableStitch      bool
	BrandContentToggle bool
	BrandOrganicToggle bool
	CreatedAt          time.Time `gorm:"autoCreateTime:false"`
	UpdatedAt          time.Time `gorm:"autoUpdateTime:false"`

	// PostID is the post that the upload belongs to.
	PostID *string
	// PubliclyAvailable is whether everybody can see the video, as TikTok reported at
	// AvailabilityAt; nil if TikTok reported nothing.
	PubliclyAvailable *bool
	AvailabilityAt    *time.Time
}

// TableName implements GORM's Tabler.
func (TikTokPost) TableName() string { return "tiktok_posts" }

// Upsert implements Record.
func (p TikTokPost) Upsert() (row any, key string, updates []string) {
	return &p, "publish_id", []string{"video_id", "status", "post_id", "updated_at"}
}

// IGMedia is a row of the original guide's table of live Instagram media.
type IGMedia struct {
	ID                 int64 `gorm:"primaryKey"`
	InstagramAccountID int64
	IGID               string `gorm:"column:ig_id"`
	MediaType          string
	MediaURL           *string `gorm:"column:media_url"`
	Permalink          *string
	Caption            string
	Timestamp          *time.Time
	CommentsCount      int
	CreatedAt          time.Time `gorm:"autoCreateTime:false"`
	UpdatedAt          time.Time `gorm:"autoUpdateTime:false"`

	// Ours is true for a post of this system. Other rows come from Instagram's webhook
	// events; such a row may turn out to be ours later.
	Ours bool
}

// TableName implements GORM's Tabler.
func (IGMedia) TableName() string { return "ig_media" }

// Upsert implements Record.
func (m IGMedia) Upsert() (row any, key string, updates []string) {
	return &m, "ig_id", []string{"media_type", "permalink", "caption", "timestamp", "ours", "updated_at"}
}
