// Package config reads the settings of a process from its environment once, and checks them
// all before anything starts. A process with a missing or malformed setting stops at once
// with a message that says what to write instead.
package config

import (
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/mattn/go-isatty"

	"socialqueue/secrets"
)

// Role is the kind of process. It decides which settings are required.
type Role uint8

const (
	// API is cmd/api. It needs both servers and the encryption key.
	API Role = iota
	// Worker is cmd/worker. It needs what the API needs.
	Worker
	// Scheduler is cmd/scheduler. It needs both servers.
	Scheduler
	// Dev is everything in one process: "socialqueue demo" and "dev". It needs both servers
	// or none: without them it runs embedded ones.
	Dev
	// CLI is a command that works on the database: "migrate", "app create".
	CLI
	// CLITokens is a command that also stores tokens, such as the import of an account. It
	// needs the encryption key and the database.
	CLITokens
)

// Config holds all settings of a process. Base URLs have no trailing slash and may have a
// path prefix.
type Config struct {
	HTTPAddr  string // HTTP_ADDR: where the api listens
	OpsAddr   string // OPS_ADDR: address of the operators' server of worker and scheduler; empty in other roles
	PublicURL string // PUBLIC_URL: how browsers and platforms reach the api
	// TrustedProxies is TRUSTED_PROXIES: the proxies whose X-Forwarded-For the api uses.
	TrustedProxies []netip.Prefix

	DatabaseURL secrets.Secret // DATABASE_URL: empty when Embedded
	RedisURL    secrets.Secret // REDIS_URL: empty when Embedded; read it with ParseRedisURL
	// Keyring is TOKEN_ENCRYPTION_KEY. It is nil if that is not set, which only Scheduler,
	// Dev and CLI allow.
	Keyring *secrets.Keyring

	// Credentials of the platforms. Each pair is set as a whole or not at all.
	TikTokClientKey    string         // TIKTOK_CLIENT_KEY
	TikTokClientSecret secrets.Secret // TIKTOK_CLIENT_SECRET
	FacebookAppID      string         // FACEBOOK_APP_ID
	FacebookAppSecret  secrets.Secret // FACEBOOK_APP_SECRET
	// TikTokWebhookSecret is TIKTOK_WEBHOOK_SECRET, or else the client secret.
	TikTokWebhookSecret secrets.Secret
	// TikTokWebhookPlain is TIKTOK_WEBHOOK_PLAIN_SIGNATURE: also accept signatures without a
	// time.
	TikTokWebhookPlain bool
	// TikTokWebhookTolerance is TIKTOK_WEBHOOK_TOLERANCE: how far the time in a signature
	// may differ from ours.
	TikTokWebhookTolerance time.Duration
	// TikTokVerification is TIKTOK_VERIFICATION: tokens of files by which TikTok verifies that
	// PUBLIC_URL is ours, each as token or prefix/token.
	TikTokVerification []string
	// TikTokPullHosts is TIKTOK_PULL_HOSTS: domains that are verified for the app at TikTok, so
	// that TikTok may fetch customers' videos from there.
	TikTokPullHosts []string
	// TikTokInitsPerMinute is TIKTOK_INITS_PER_MINUTE: how many TikTok posts an account may start
	// in a minute; 0 is no limit.
	TikTokInitsPerMinute int
	// TikTokPendingShares is TIKTOK_PENDING_SHARES: how many posts an account's inbox on TikTok takes
	// in 24 hours; 0 is no limit.
	TikTokPendingShares int
	// InstagramContainersPerDay is INSTAGRAM_CONTAINERS_PER_DAY: how many containers an account may
	// make in 24 hours; 0 is no limit.
	InstagramContainersPerDay int
	// TikTokPhotoBox is TIKTOK_PHOTO_BOX: scale photos down to 1080 x 1080 pixels, not only to a
	// width of 1080.
	TikTokPhotoBox bool
	// InstagramWebhookSecret is INSTAGRAM_WEBHOOK_SECRET, or else the app secret.
	InstagramWebhookSecret secrets.Secret
	InstagramWebhookToken  secrets.Secret // INSTAGRAM_WEBHOOK_VERIFY_TOKEN

	// InstagramCaptionAddOns is INSTAGRAM_CAPTION_ADDONS: allow polls and comment prompts under
	// captions.
	InstagramCaptionAddOns bool

	WebhookAllowPrivateHosts bool // WEBHOOK_ALLOW_PRIVATE_HOSTS: of apps' endpoints

	TikTokAuthURL      string // TIKTOK_AUTH_URL: TikTok's consent page
	TikTokAPIURL       string // TIKTOK_API_URL
	FacebookDialogURL  string // FACEBOOK_DIALOG_URL: Facebook's consent page
	FacebookGraphURL   string // FACEBOOK_GRAPH_URL
	InstagramUploadURL string // INSTAGRAM_UPLOAD_URL
	GraphAPIVersion    string // GRAPH_API_VERSION, such as v27.0

	MediaBucketURL         string // MEDIA_BUCKET_URL: a gocloud.dev/blob URL
	MediaMaxBytes          int64  // MEDIA_MAX_BYTES: of one file
	MediaAllowPrivateHosts bool   // MEDIA_ALLOW_PRIVATE_HOSTS

	// APIRateLimit is API_RATE_LIMIT: requests per second of one API key; 0 means no limit.
	// APIRateBurst is API_RATE_BURST: how many it may send at once.
	APIRateLimit, APIRateBurst int

	WorkerConcurrency int // WORKER_CONCURRENCY: jobs at once
	UploadConcurrency int // UPLOAD_CONCURRENCY: file transfers at once, in their own pool

	// OperatorUser and OperatorPassword are OPERATOR_USER and OPERATOR_PASSWORD: the
	// credentials of the operators' pages. Without a password nobody has access.
	OperatorUser     string
	OperatorPassword secrets.Secret
	// OperatorReadOnly is OPERATOR_READONLY_PASSWORD: a second password for the same user
	// that allows viewing only.
	OperatorReadOnly secrets.Secret

	LogLevel        string        // LOG_LEVEL: trace, debug, info, warn or error
	LogFormat       string        // LOG_FORMAT: json or text
	ShutdownTimeout time.Duration // SHUTDOWN_TIMEOUT: for running work to end
	// ShutdownDelay is SHUTDOWN_DELAY: how long the api keeps serving after the stop signal,
	// so that load balancers see that it is no longer ready. 0 in other roles.
	ShutdownDelay time.Duration
}

// Embedded reports whether the process runs its own database and queue.
func (c Config) Embedded() bool { return c.DatabaseURL.Empty() && c.RedisURL.Empty() }

// Simulated lists the settings that do not point to the real platforms.
func (c Config) Simulated() []string {
	real := defaults(CLI)
	var names []string
	for _, s := range []struct{ name, url, real string }{
		{"TIKTOK_AUTH_URL", c.TikTokAuthURL, real.TikTokAuthURL}, {"TIKTOK_API_URL", c.TikTokAPIURL, real.TikTokAPIURL},
		{"FACEBOOK_DIALOG_URL", c.FacebookDialogURL, real.FacebookDialogURL}, {"FACEBOOK_GRAPH_URL", c.FacebookGraphURL, real.FacebookGraphURL},
		{"INSTAGRAM_UPLOAD_URL", c.InstagramUploadURL, real.InstagramUploadURL},
	} {
		if s.url != s.real {
			names = append(names, s.name)
		}
	}
	return names
}

// mediaFolder is where files are stored if MEDIA_BUCKET_URL is not set, below the working
// directory.
const mediaFolder = "data/media"

// defaults returns the values of settings that are not set.
func defaults(role Role) Config {
	return Config{
		HTTPAddr:           ":3000",
		OpsAddr:            map[Role]string{Worker: ":3001", Scheduler: ":3002"}[role],
		PublicURL:          "http://localhost:3000",
		TikTokAuthURL:      "https://www.tiktok.com",
		TikTokAPIURL:       "https://open.tiktokapis.com",
		FacebookDialogURL:  "https://www.facebook.com",
		FacebookGraphURL:   "https://graph.facebook.com",
		InstagramUploadURL: "https://rupload.facebook.com",
		GraphAPIVersion:    "v27.0",

		TikTokWebhookTolerance: 5 * time.Minute, TikTokInitsPerMinute: 6, TikTokPendingShares: 5, InstagramContainersPerDay: 400,
		MediaBucketURL:    fileBucketURL(mediaFolder),
		MediaMaxBytes:     4 << 30,
		APIRateBurst:      100,
		WorkerConcurrency: 64,
		UploadConcurrency: 8,
		OperatorUser:      "operator",
		LogLevel:          "info",
		LogFormat:         defaultLogFormat(),
		ShutdownTimeout:   25 * time.Second,
	}
}

// fileBucketURL returns the bucket URL of a folder, which is created if it is missing. If
// the working directory is unknown the path stays relative, which the driver marks by the
// host ".".
func fileBucketURL(folder string) string {
	u := url.URL{Scheme: "file", RawQuery: "create_dir=true"}
	if abs, err := filepath.Abs(folder); err == nil {
		u.Path = filepath.ToSlash(abs)
	} else {
		u.Host, u.Path = ".", "/"+folder
	}
	return u.String()
}

// defaultLogFormat is text on a terminal.
func defaultLogFormat() string {
	if isatty.IsTerminal(os.Stderr.Fd()) {
		return "text"
	}
	return "json"
}
