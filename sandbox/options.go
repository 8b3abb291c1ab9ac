package sandbox

import (
	"net/http"
	"time"
)

// Options configures a Server. The zero value is the strict default: an audited TikTok app, appsecret_proof required,
// the platforms' documented limits, short processing delays, and media fetched from loopback addresses too.
type Options struct {
	Now     func() time.Time // base of the virtual clock; default time.Now
	BaseURL string           // how clients reach the sandbox; default the address of Start

	// DataDir receives the uploaded and fetched bytes. Default: a temporary directory that Close removes.
	DataDir string
	// Retain is the largest file kept for the feed page; a larger one is counted and hashed only. Default 512 MiB.
	Retain int64
	// DiscardBytes keeps no file at all: bytes are counted and hashed.
	DiscardBytes bool

	// TikTokClientKey and TikTokClientSecret are the app's credentials at TikTok.
	TikTokClientKey, TikTokClientSecret string
	// TikTokRedirectURIs are the registered ones, matched byte for byte; "*" stands for any port of localhost or 127.0.0.1.
	// Default: /api/auth/tiktok/callback on any port of either.
	TikTokRedirectURIs []string
	// TikTokProfile is the edition of the token lifetimes. Default ProfileCurrent.
	TikTokProfile TikTokProfile
	// OAuthErrorStatus is the HTTP status of TikTok's OAuth errors, which no page states. Default 200, as seen in the field.
	OAuthErrorStatus int
	// Unaudited makes the TikTok app one that has not passed the audit: private accounts, SELF_ONLY.
	Unaudited bool
	// LenientChunks takes the wider reading of "5 MB" and "64 MB": 2^20 bytes to the MB, or 10^6.
	LenientChunks bool
	// UploadBaseURL replaces the scheme and host of upload_url, to have uploads on a second host name.
	UploadBaseURL string
	// VerifiedPrefixes are the URL properties verified for PULL_FROM_URL: a domain ("media.example.com", covers its
	// subdomains) or a URL prefix ("https://host/path/"). When empty, loopback and private addresses count as verified.
	VerifiedPrefixes []string

	// FacebookAppID and FacebookAppSecret are the app's credentials at Meta; the secret keys appsecret_proof.
	FacebookAppID, FacebookAppSecret string
	// FacebookRedirectURIs are as TikTokRedirectURIs, by default with /api/auth/instagram/callback.
	FacebookRedirectURIs []string
	// NoExpiresIn leaves expires_in out of Facebook's token answers, as Meta sometimes does.
	NoExpiresIn bool
	// ProofOptional switches off "Require App Secret". A proof that is sent must be right all the same.
	ProofOptional bool
	// DoublePublish selects the answer to a second media_publish of one container.
	DoublePublish DoublePublish

	// TikTokWebhookURL and MetaWebhookURL are where the platforms send events; "" sends none. Meta's handshake, with
	// MetaVerifyToken, is made before the first delivery. SetTikTokWebhook and SetMetaWebhook change them.
	TikTokWebhookURL, MetaWebhookURL, MetaVerifyToken string

	// NoPrivateFetch refuses to fetch media from loopback and private addresses, as the real platforms do.
	NoPrivateFetch bool
	// FetchTimeout bounds one media fetch in real time. Default 30 s.
	FetchTimeout time.Duration

	Limits *Limits // nil: DefaultLimits. A zero field means no limit, so &Limits{} switches all of them off.
	Delays *Delays // nil: DefaultDelays. &Delays{} makes every step immediate.
}

// Limits are the budgets of both platforms; zero means unlimited.
type Limits struct {
	TikTokInit           int // video/init per minute and token
	TikTokInbox          int // inbox/video/init per minute and token
	TikTokCreatorInfo    int // creator_info per minute and token
	TikTokStatus         int // status/fetch per minute and token
	TikTokActiveCreators int // accounts that may start a direct post in 24 h, per app
	TikTokPendingShares  int // inbox shares pending in 24 h, per account

	InstagramCalls      int // Graph calls per account in 24 h (Rate Limits)
	InstagramContainers int // containers per account in 24 h (IG User Media)
}

// DefaultLimits are the documented budgets. The Instagram call budget is that of an account with ten impressions a day.
func DefaultLimits() *Limits {
	return &Limits{
		TikTokInit: 6, TikTokInbox: 6, TikTokCreatorInfo: 20, TikTokStatus: 30, TikTokPendingShares: 5,
		InstagramCalls: 48_000, InstagramContainers: 400,
	}
}

// Delays are what the platforms take their time for, on the virtual clock.
type Delays struct {
	TikTokProcessing  time.Duration // from the last byte to PUBLISH_COMPLETE or FAILED
	TikTokModeration  time.Duration // from PUBLISH_COMPLETE to the post id
	InstagramImage    time.Duration // from the container to FINISHED
	InstagramVideo    time.Duration // from the last byte to FINISHED
	InstagramPolls    int           // at least this many reads answer IN_PROGRESS
	InstagramQuotaLag time.Duration // how long quota_usage misses a post (minutes, seen in the field, 2026-09)
	InstagramMediaLag time.Duration // how long /{ig-id}/media misses a post
}

// DefaultDelays are short enough to watch and long enough that a client must poll.
func DefaultDelays() *Delays {
	return &Delays{
		TikTokProcessing: 2 * time.Second, TikTokModeration: 2 * time.Second,
		InstagramImage: time.Second, InstagramVideo: 3 * time.Second,
	}
}

// TikTokProfile is an edition of TikTok's token lifetimes, which changed in autumn 2026.
type TikTokProfile string

// The profiles.
const (
	ProfileCurrent TikTokProfile = "current" // 2 h and 180 days, every refresh rotates (Login Kit, 2026-11-02)
	ProfileLegacy  TikTokProfile = "legacy"  // 24 h and 365 days, the refresh token stays (until autumn 2026)
)

// DoublePublish is the answer to a second media_publish of a published container. What Meta really answers is not
// known, so each candidate can be chosen. None of them makes a second post.
type DoublePublish string

// The candidate answers.
const (
	DoubleNotFound DoublePublish = "a" // 400 24/2207006, the default
	DoubleNotReady DoublePublish = "b" // 400 9007/2207027
	DoubleSameID   DoublePublish = "c" // 200 with the id of the first publish
	DoubleGeneric  DoublePublish = "d" // 400 100
)

const (
	defaultRetain       = 512 << 20
	defaultFetchTimeout = 30 * time.Second
)

func (o Options) withDefaults() Options {
	setDefault(&o.TikTokClientKey, "sim-client-key")
	setDefault(&o.TikTokClientSecret, "sim-client-secret")
	setDefault(&o.TikTokProfile, ProfileCurrent)
	setDefault(&o.OAuthErrorStatus, http.StatusOK)
	setDefault(&o.FacebookAppID, "100000000000001")
	setDefault(&o.FacebookAppSecret, "sim-app-secret")
	setDefault(&o.MetaVerifyToken, "sim-verify-token")
	setDefault(&o.DoublePublish, DoubleNotFound)
	setDefault(&o.Retain, defaultRetain)
	setDefault(&o.FetchTimeout, defaultFetchTimeout)
	if len(o.TikTokRedirectURIs) == 0 {
		o.TikTokRedirectURIs = loopbackURIs("/api/auth/tiktok/callback")
	}
	if len(o.FacebookRedirectURIs) == 0 {
		o.FacebookRedirectURIs = loopbackURIs("/api/auth/instagram/callback")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Limits == nil {
		o.Limits = DefaultLimits()
	}
	if o.Delays == nil {
		o.Delays = DefaultDelays()
	}
	return o
}

func setDefault[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}
