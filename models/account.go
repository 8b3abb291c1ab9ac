package models

import (
	"strings"
	"time"
)

// App is a tenant.
type App struct {
	ID        int64 `gorm:"primaryKey"`
	Name      string
	CreatedAt time.Time `gorm:"autoCreateTime:false"`
}

// APIKey opens the API for one app. Only a hash of the key is stored.
type APIKey struct {
	ID         int64 `gorm:"primaryKey"`
	AppID      int64
	Prefix     string
	Hash       []byte
	CreatedAt  time.Time `gorm:"autoCreateTime:false"`
	LastUsedAt *time.Time
	RevokedAt  *time.Time
}

// User is one of an app's people.
type User struct {
	ID         int64 `gorm:"primaryKey"`
	AppID      int64
	ExternalID string
	Email      *string
	CreatedAt  time.Time `gorm:"autoCreateTime:false"`
	UpdatedAt  time.Time `gorm:"autoUpdateTime:false"`
}

// AccountStatus tells whether posts can go out through an account.
type AccountStatus string

// The states of an account.
const (
	AccountActive       AccountStatus = "active"
	AccountReauthorize  AccountStatus = "reauth_required"
	AccountDisconnected AccountStatus = "disconnected"
)

// OAuthAccount is a consent with its tokens, which are sealed: a TikTok account,
// or the Facebook login that reaches Instagram accounts.
type OAuthAccount struct {
	ID       int64 `gorm:"primaryKey"`
	UserID   int64
	Provider Platform
	// ProviderAccountID is TikTok's open_id or the Facebook user's app-scoped id;
	// of an imported Instagram account it is the id of that.
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
	// StatusReason says in words why Status is what it is; empty while active.
	StatusReason string
	// ConnectedAt is when its owner last consented.
	ConnectedAt time.Time
	// ReconnectBy is when no refresh helps any more and the owner has to consent
	// again, as far as the platform tells.
	ReconnectBy *time.Time
	// RefreshedAt is when the platform gave the access token.
	RefreshedAt *time.Time
	// AskedAt is when the platform last gave a token, or somebody was last sent to
	// ask it about this one.
	AskedAt *time.Time
	// UpkeepAt is when the scheduler has somebody see to this account: refresh the
	// token of an active one, revoke that of a disconnected one. Nil: never.
	UpkeepAt *time.Time
	// RefreshFence counts the claims of a refresh and every other writing of the
	// tokens. A write that names an older one changes nothing.
	RefreshFence      int64
	RefreshLeaseUntil *time.Time
	// RefreshUnsettled: a refresh was sent, or was about to be, and its answer is
	// not known. The refresh token may be used up.
	RefreshUnsettled bool
	RefreshFailures  int
	// DeletionCode is set when its owner asked for the data to be deleted.
	DeletionCode *string
}

// TableName names the table of the original guide.
func (OAuthAccount) TableName() string { return "oauth_accounts" }

// InstagramAccount is a professional Instagram account, reached through the
// Facebook login of its OAuth account. AccessToken is the Page's, sealed.
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
	// StatusReason says in words why Status is what it is; empty while active.
	StatusReason string
	// PageID is the Facebook Page whose token this is; empty where the token was
	// imported, which therefore cannot be read anew.
	PageID string

	// Quota is what Instagram last told of the account's publishing limit.
	Quota Quota `gorm:"embedded;embeddedPrefix:quota_"`
}

// Quota is how many posts an account made of those that it may make in a rolling window,
// as Instagram counts them at AskedAt: its count lags by minutes.
type Quota struct {
	Used, Total   int
	WindowSeconds int
	// AskedAt is nil as long as nobody asked.
	AskedAt *time.Time
}

// Window is how long a post counts.
func (q Quota) Window() time.Duration { return time.Duration(q.WindowSeconds) * time.Second }

// FacebookPage is a Page that a Facebook login showed when it was connected.
type FacebookPage struct {
	OAuthAccountID int64  `gorm:"column:oauth_account_id;primaryKey"`
	PageID         string `gorm:"primaryKey"`
	Name           string
	// InstagramAccountID is the account that was connected through it, if any.
	InstagramAccountID *int64
	// Reason says why the Page cannot be posted to; empty if it can.
	Reason string
}

// ReleasedMark ends the platform's id in the ig_business_id of a disconnected
// account that gave it up, because another user connected the same one.
const ReleasedMark = "~"

// PlatformID is the account's id at Meta, also after it was given up.
func (a *InstagramAccount) PlatformID() string {
	id, _, _ := strings.Cut(a.IGBusinessID, ReleasedMark)
	return id
}

// Platform returns the platform whose accounts are rows of this table.
func (*InstagramAccount) Platform() Platform { return Instagram }

// Lane names the serial order of the account's posts.
func (a *InstagramAccount) Lane() string { return Lane(a.Platform(), a.ID) }

// ConnectedSince reports whether the owner consented at or after t, which makes
// whatever a platform tells of the time before t old news. Platforms tell whole
// seconds; a zero t is not told.
func (a *OAuthAccount) ConnectedSince(t time.Time) bool {
	return !t.IsZero() && !a.ConnectedAt.Truncate(time.Second).Before(t)
}

// The reasons why a Page cannot be posted to, as the API shows them.
const (
	PageNoInstagram  = "no_instagram_account"  // no professional account is linked to it
	PageNoPermission = "no_publish_permission" // the person may not create content on it
	PageNoToken      = "no_page_token"         // Meta gave no token for it
	PageElsewhere    = "connected_elsewhere"   // another user connected its Instagram account
)

// DataDeletion is a person's request to delete what we have of them. It holds
// nothing of that person.
type DataDeletion struct {
	Code        string `gorm:"primaryKey"`
	RequestedAt time.Time
	CompletedAt *time.Time
}

// ReturnHost is a host that an app's users may be sent back to.
type ReturnHost struct {
	AppID     int64     `gorm:"primaryKey"`
	Host      string    `gorm:"primaryKey"`
	CreatedAt time.Time `gorm:"autoCreateTime:false"`
}

// TikTokPost is the row of the original guide for what TikTok knows of a post.
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

	// PostID is the post that it was uploaded for.
	PostID *string
	// PubliclyAvailable is whether everybody sees it, as TikTok told at
	// AvailabilityAt; nil if it did not.
	PubliclyAvailable *bool
	AvailabilityAt    *time.Time
}

// TableName names the table of the original guide.
func (TikTokPost) TableName() string { return "tiktok_posts" }

// Upsert gives the row as Record wants it.
func (p TikTokPost) Upsert() (row any, key string, updates []string) {
	return &p, "publish_id", []string{"video_id", "status", "post_id", "updated_at"}
}

// IGMedia is the row of the original guide for what is live on Instagram.
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

	// Ours: it is a post of this system. The others are known by what Instagram
	// told of them, and may turn out to be ours.
	Ours bool
}

// TableName names the table of the original guide.
func (IGMedia) TableName() string { return "ig_media" }

// Upsert gives the row as Record wants it.
func (m IGMedia) Upsert() (row any, key string, updates []string) {
	return &m, "ig_id", []string{"media_type", "permalink", "caption", "timestamp", "ours", "updated_at"}
}
