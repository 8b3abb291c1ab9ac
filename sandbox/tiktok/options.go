package tiktok

import (
	"net/http"
	"time"

	"socialqueue/sandbox/engine"
)

// Options configures the simulated TikTok. The zero value is an audited app with the documented limits and short
// processing delays.
type Options struct {
	// ClientKey and ClientSecret are the app's credentials.
	ClientKey, ClientSecret string
	// RedirectURIs are the registered ones, matched byte for byte; "*" stands for any port of localhost or 127.0.0.1.
	// Default: /api/auth/tiktok/callback on any port of either.
	RedirectURIs []string
	// Profile is the edition of the token lifetimes. Default ProfileCurrent.
	Profile Profile
	// OAuthErrorStatus is the HTTP status of OAuth errors, which no page states. Default 200, as observed.
	OAuthErrorStatus int
	// Unaudited makes the app one that has not passed the audit: private accounts, SELF_ONLY.
	Unaudited bool
	// LenientChunks takes the wider reading of "5 MB" and "64 MB": 2^20 bytes to the MB, or 10^6.
	LenientChunks bool
	// UploadBaseURL replaces the scheme and host of upload_url, to have uploads on a second host name.
	UploadBaseURL string
	// VerifiedPrefixes are the URL properties verified for PULL_FROM_URL: a domain ("media.example.com", covers its
	// subdomains) or a URL prefix ("https://host/path/"). When empty, loopback and private addresses count as verified.
	VerifiedPrefixes []string

	// WebhookURL is where events go; "" sends none.
	WebhookURL string

	Limits *Limits // nil: DefaultLimits. A zero field means no limit, so &Limits{} switches all of them off.
	Delays *Delays // nil: DefaultDelays. &Delays{} makes every step immediate.
}

// Limits are the budgets; zero means unlimited.
type Limits struct {
	Init           int // video/init per minute and token
	Inbox          int // inbox/video/init per minute and token
	Photo          int // content/init per minute and token
	CreatorInfo    int // creator_info per minute and token
	Status         int // status/fetch per minute and token
	ActiveCreators int // accounts that may start a direct post in 24 h, per app
	PendingShares  int // inbox shares pending in 24 h, per account
}

// DefaultLimits are the documented budgets.
func DefaultLimits() *Limits {
	return &Limits{Init: 6, Inbox: 6, Photo: 6, CreatorInfo: 20, Status: 30, PendingShares: 5}
}

// Delays are what TikTok takes its time for, on the virtual clock.
type Delays struct {
	Processing time.Duration // from the last byte to PUBLISH_COMPLETE or FAILED
	Moderation time.Duration // from PUBLISH_COMPLETE to the post id
}

// DefaultDelays are short enough to watch and long enough that a client must poll.
func DefaultDelays() *Delays {
	return &Delays{Processing: 2 * time.Second, Moderation: 2 * time.Second}
}

// Profile is an edition of the token lifetimes, which changed in autumn 2026.
type Profile string

// The profiles.
const (
	ProfileCurrent Profile = "current" // 2 h and 180 days, every refresh rotates (Login Kit, 2026-11-02)
	ProfileLegacy  Profile = "legacy"  // 24 h and 365 days, the refresh token stays (until autumn 2026)
)

func (o Options) withDefaults() Options {
	engine.SetDefault(&o.ClientKey, "sim-client-key")
	engine.SetDefault(&o.ClientSecret, "sim-client-secret")
	engine.SetDefault(&o.Profile, ProfileCurrent)
	engine.SetDefault(&o.OAuthErrorStatus, http.StatusOK)
	if len(o.RedirectURIs) == 0 {
		o.RedirectURIs = engine.LoopbackURIs("/api/auth/tiktok/callback")
	}
	if o.Limits == nil {
		o.Limits = DefaultLimits()
	}
	if o.Delays == nil {
		o.Delays = DefaultDelays()
	}
	return o
}
