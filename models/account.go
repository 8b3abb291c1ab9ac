package models

import "time"

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

// OAuthAccount is a connected account with its tokens, which are sealed.
type OAuthAccount struct {
	ID                int64 `gorm:"primaryKey"`
	UserID            int64
	Provider          Platform
	ProviderAccountID string
	AccessToken       string
	RefreshToken      *string
	ExpiresAt         *time.Time
	Scope             *string
	TokenType         string
	Username          string
	Status            AccountStatus
	CreatedAt         time.Time `gorm:"autoCreateTime:false"`
	UpdatedAt         time.Time `gorm:"autoUpdateTime:false"`
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
	AccessToken       string
	Status            AccountStatus
	CreatedAt         time.Time `gorm:"autoCreateTime:false"`
	UpdatedAt         time.Time `gorm:"autoUpdateTime:false"`
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
}

// TableName names the table of the original guide.
func (TikTokPost) TableName() string { return "tiktok_posts" }

// IGMedia is the row of the original guide for a live Instagram post.
type IGMedia struct {
	ID                 int64 `gorm:"primaryKey"`
	InstagramAccountID int64
	IGID               string `gorm:"column:ig_id"`
	MediaType          string
	MediaURL           *string `gorm:"column:media_url"`
	Permalink          *string
	Caption            string
	Timestamp          *time.Time
	CreatedAt          time.Time `gorm:"autoCreateTime:false"`
	UpdatedAt          time.Time `gorm:"autoUpdateTime:false"`
}

// TableName names the table of the original guide.
func (IGMedia) TableName() string { return "ig_media" }
