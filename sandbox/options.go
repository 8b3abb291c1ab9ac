package sandbox

import (
	"net/http"
	"time"

	"socialqueue/sandbox/engine"
	"socialqueue/sandbox/instagram"
	"socialqueue/sandbox/tiktok"
)

// Options configures a Server: in one place what the engine and both platforms take. The zero value is the strict
// default: an audited TikTok app, appsecret_proof required, the platforms' documented limits, short processing delays,
// and media fetched from loopback addresses too.
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
	// OAuthErrorStatus is the HTTP status of TikTok's OAuth errors, which no page states. Default 200, as observed.
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
	// DoublePublish selects what a second media_publish of one container comes to.
	DoublePublish DoublePublish

	// TikTokWebhookURL and MetaWebhookURL are where the platforms send events; "" sends none. Meta's handshake, with
	// MetaVerifyToken, is made before the first delivery. SetTikTokWebhook and SetMetaWebhook change them.
	TikTokWebhookURL, MetaWebhookURL, MetaVerifyToken string

	// NoPrivateFetch refuses to fetch media from loopback and private addresses, as the real platforms do.
	NoPrivateFetch bool
	// FetchTimeout bounds one media fetch in real time. Default 30 s.
	FetchTimeout time.Duration
	// FetchTransport carries the media fetches. Default: the network.
	FetchTransport http.RoundTripper
	// OnWebhook takes each webhook instead of the sandbox's own sender, which then needs no address and sends nothing. sign
	// returns the headers of one sending at the time of the call.
	OnWebhook func(w Webhook, sign func() http.Header)

	Limits *Limits // nil: the documented limits. A zero field means no limit, so &Limits{} switches all of them off.
	Delays *Delays // nil: a few seconds. &Delays{} makes every step immediate.
}

// Limits are the budgets of both platforms; zero means unlimited.
type Limits struct {
	TikTokInit           int // video/init per minute and token
	TikTokInbox          int // inbox/video/init per minute and token
	TikTokPhoto          int // content/init per minute and token
	TikTokCreatorInfo    int // creator_info per minute and token
	TikTokStatus         int // status/fetch per minute and token
	TikTokActiveCreators int // accounts that may start a direct post in 24 h, per app
	TikTokPendingShares  int // inbox shares pending in 24 h, per account

	InstagramCalls      int // Graph calls per account in 24 h (Rate Limits)
	InstagramContainers int // containers per account in 24 h (IG User Media)
}

// Delays are what the platforms take their time for, on the virtual clock.
type Delays struct {
	TikTokProcessing  time.Duration // from the last byte to PUBLISH_COMPLETE or FAILED
	TikTokModeration  time.Duration // from PUBLISH_COMPLETE to the post id
	InstagramImage    time.Duration // from the container to FINISHED
	InstagramVideo    time.Duration // from the last byte to FINISHED
	InstagramPolls    int           // at least this many reads answer IN_PROGRESS
	InstagramQuotaLag time.Duration // how long quota_usage misses a post (minutes, observed, 2026-09)
	InstagramMediaLag time.Duration // how long /{ig-id}/media misses a post
}

func (o Options) engine() engine.Options {
	return engine.Options{
		Now: o.Now, BaseURL: o.BaseURL, DataDir: o.DataDir, Retain: o.Retain, DiscardBytes: o.DiscardBytes,
		NoPrivateFetch: o.NoPrivateFetch, FetchTimeout: o.FetchTimeout, FetchTransport: o.FetchTransport, OnWebhook: o.OnWebhook,
	}
}

func (o Options) tiktok() tiktok.Options {
	t := tiktok.Options{
		ClientKey: o.TikTokClientKey, ClientSecret: o.TikTokClientSecret, RedirectURIs: o.TikTokRedirectURIs,
		Profile: o.TikTokProfile, OAuthErrorStatus: o.OAuthErrorStatus, Unaudited: o.Unaudited, LenientChunks: o.LenientChunks,
		UploadBaseURL: o.UploadBaseURL, VerifiedPrefixes: o.VerifiedPrefixes, WebhookURL: o.TikTokWebhookURL,
	}
	if l := o.Limits; l != nil {
		t.Limits = &tiktok.Limits{
			Init: l.TikTokInit, Inbox: l.TikTokInbox, Photo: l.TikTokPhoto, CreatorInfo: l.TikTokCreatorInfo, Status: l.TikTokStatus,
			ActiveCreators: l.TikTokActiveCreators, PendingShares: l.TikTokPendingShares,
		}
	}
	if d := o.Delays; d != nil {
		t.Delays = &tiktok.Delays{Processing: d.TikTokProcessing, Moderation: d.TikTokModeration}
	}
	return t
}

func (o Options) instagram() instagram.Options {
	i := instagram.Options{
		AppID: o.FacebookAppID, AppSecret: o.FacebookAppSecret, RedirectURIs: o.FacebookRedirectURIs, NoExpiresIn: o.NoExpiresIn,
		ProofOptional: o.ProofOptional, DoublePublish: o.DoublePublish, WebhookURL: o.MetaWebhookURL, VerifyToken: o.MetaVerifyToken,
	}
	if l := o.Limits; l != nil {
		i.Limits = &instagram.Limits{Calls: l.InstagramCalls, Containers: l.InstagramContainers}
	}
	if d := o.Delays; d != nil {
		i.Delays = &instagram.Delays{
			Image: d.InstagramImage, Video: d.InstagramVideo, Polls: d.InstagramPolls,
			QuotaLag: d.InstagramQuotaLag, MediaLag: d.InstagramMediaLag,
		}
	}
	return i
}

// inEffect fills in the defaults that the parts chose.
func (o Options) inEffect(e engine.Options, t tiktok.Options, i instagram.Options) Options {
	o.Now, o.Retain, o.FetchTimeout = e.Now, e.Retain, e.FetchTimeout
	o.TikTokClientKey, o.TikTokClientSecret, o.TikTokRedirectURIs = t.ClientKey, t.ClientSecret, t.RedirectURIs
	o.TikTokProfile, o.OAuthErrorStatus = t.Profile, t.OAuthErrorStatus
	o.FacebookAppID, o.FacebookAppSecret, o.FacebookRedirectURIs = i.AppID, i.AppSecret, i.RedirectURIs
	o.DoublePublish, o.MetaVerifyToken = i.DoublePublish, i.VerifyToken
	o.Limits = &Limits{
		TikTokInit: t.Limits.Init, TikTokInbox: t.Limits.Inbox, TikTokPhoto: t.Limits.Photo, TikTokCreatorInfo: t.Limits.CreatorInfo,
		TikTokStatus: t.Limits.Status, TikTokActiveCreators: t.Limits.ActiveCreators, TikTokPendingShares: t.Limits.PendingShares,
		InstagramCalls: i.Limits.Calls, InstagramContainers: i.Limits.Containers,
	}
	o.Delays = &Delays{
		TikTokProcessing: t.Delays.Processing, TikTokModeration: t.Delays.Moderation,
		InstagramImage: i.Delays.Image, InstagramVideo: i.Delays.Video, InstagramPolls: i.Delays.Polls,
		InstagramQuotaLag: i.Delays.QuotaLag, InstagramMediaLag: i.Delays.MediaLag,
	}
	return o
}
