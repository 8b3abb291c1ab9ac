package instagram

import (
	"time"

	"socialqueue/sandbox/engine"
)

// Options configures the simulated Instagram and its Facebook login. The zero value requires appsecret_proof, with the
// documented limits and short processing delays.
type Options struct {
	// AppID and AppSecret are the app's credentials at Meta; the secret keys appsecret_proof and signs webhooks.
	AppID, AppSecret string
	// RedirectURIs are the registered ones, matched byte for byte; "*" stands for any port of localhost or 127.0.0.1.
	// Default: /api/auth/instagram/callback on any port of either.
	RedirectURIs []string
	// NoExpiresIn leaves expires_in out of Facebook's token answers, as Meta sometimes does.
	NoExpiresIn bool
	// ProofOptional switches off "Require App Secret". A proof that is sent must be right all the same.
	ProofOptional bool
	// DoublePublish selects what a second media_publish of one container comes to.
	DoublePublish DoublePublish

	// WebhookURL is where events go; "" sends none. The handshake, with VerifyToken, is made before the first delivery.
	WebhookURL, VerifyToken string

	Limits *Limits // nil: DefaultLimits. A zero field means no limit, so &Limits{} switches all of them off.
	Delays *Delays // nil: DefaultDelays. &Delays{} makes every step immediate.
}

// Limits are the budgets; zero means unlimited.
type Limits struct {
	Calls      int // Graph calls per account in 24 h (Rate Limits)
	Containers int // containers per account in 24 h (IG User Media)
}

// DefaultLimits are the documented budgets. The call budget is that of an account with ten impressions a day.
func DefaultLimits() *Limits { return &Limits{Calls: 48_000, Containers: 400} }

// Delays are what Meta takes its time for, on the virtual clock.
type Delays struct {
	Image    time.Duration // from the container to FINISHED
	Video    time.Duration // from the last byte to FINISHED
	Polls    int           // at least this many reads answer IN_PROGRESS
	QuotaLag time.Duration // how long quota_usage misses a post (minutes, observed, 2026-09)
	MediaLag time.Duration // how long /{ig-id}/media misses a post
}

// DefaultDelays are short enough to watch and long enough that a client must poll.
func DefaultDelays() *Delays { return &Delays{Image: time.Second, Video: 3 * time.Second} }

// DoublePublish is what a second media_publish of a published container comes to. What Meta really does is not known, so
// each candidate can be chosen. Only DoublePost makes a second post.
type DoublePublish string

// The candidate answers.
const (
	DoubleNotFound DoublePublish = "a" // 400 24/2207006, the default
	DoubleNotReady DoublePublish = "b" // 400 9007/2207027
	DoubleSameID   DoublePublish = "c" // 200 with the id of the first publish
	DoubleGeneric  DoublePublish = "d" // 400 100
	DoublePost     DoublePublish = "e" // 200 with the id of a second post
)

func (o Options) withDefaults() Options {
	engine.SetDefault(&o.AppID, "100000000000001")
	engine.SetDefault(&o.AppSecret, "sim-app-secret")
	engine.SetDefault(&o.VerifyToken, "sim-verify-token")
	engine.SetDefault(&o.DoublePublish, DoubleNotFound)
	if len(o.RedirectURIs) == 0 {
		o.RedirectURIs = engine.LoopbackURIs("/api/auth/instagram/callback")
	}
	if o.Limits == nil {
		o.Limits = DefaultLimits()
	}
	if o.Delays == nil {
		o.Delays = DefaultDelays()
	}
	return o
}
