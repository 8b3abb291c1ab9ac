package config

import (
	"errors"
	"regexp"
	"time"

	"socialqueue/secrets"
)

var (
	graphVersion = regexp.MustCompile(`^v[0-9]+\.[0-9]+$`)
	domain       = regexp.MustCompile(`^[a-z0-9-]+(?:\.[a-z0-9-]+)+$`)
	// verificationToken is a path without a leading slash whose last part is TikTok's token.
	verificationToken = regexp.MustCompile(`^(?:[A-Za-z0-9._~-]+/)*[A-Za-z0-9]+$`)
)

// Load reads the settings of a process with getenv, which is os.Getenv outside of tests. An
// empty setting counts as not set. The error joins all problems, one per line with the name
// of the setting; it never shows a secret.
func Load(role Role, getenv func(string) string) (Config, error) {
	c := defaults(role)
	r := reader{getenv: getenv}

	r.address("HTTP_ADDR", &c.HTTPAddr)
	r.address("OPS_ADDR", &c.OpsAddr)
	r.baseURL("PUBLIC_URL", &c.PublicURL)
	r.networks("TRUSTED_PROXIES", &c.TrustedProxies)

	r.secret("DATABASE_URL", &c.DatabaseURL)
	r.secret("REDIS_URL", &c.RedisURL)
	r.check("DATABASE_URL", c.DatabaseURL, checkDatabaseURL)
	r.check("REDIS_URL", c.RedisURL, checkRedisURL)
	r.keyring("TOKEN_ENCRYPTION_KEY", &c.Keyring)

	r.text("TIKTOK_CLIENT_KEY", &c.TikTokClientKey)
	r.secret("TIKTOK_CLIENT_SECRET", &c.TikTokClientSecret)
	r.text("FACEBOOK_APP_ID", &c.FacebookAppID)
	r.secret("FACEBOOK_APP_SECRET", &c.FacebookAppSecret)

	c.TikTokWebhookSecret = c.TikTokClientSecret
	r.secret("TIKTOK_WEBHOOK_SECRET", &c.TikTokWebhookSecret)
	r.boolean("TIKTOK_WEBHOOK_PLAIN_SIGNATURE", &c.TikTokWebhookPlain)
	r.duration("TIKTOK_WEBHOOK_TOLERANCE", &c.TikTokWebhookTolerance, time.Second, 24*time.Hour)
	r.list("TIKTOK_VERIFICATION", &c.TikTokVerification, verificationToken, "token or prefix/token, as in the name of the file that TikTok gives: tiktok<token>.txt")
	r.list("TIKTOK_PULL_HOSTS", &c.TikTokPullHosts, domain, "a domain such as media.example.com")
	r.integer("TIKTOK_INITS_PER_MINUTE", &c.TikTokInitsPerMinute, 0, 1000)
	r.integer("TIKTOK_PENDING_SHARES", &c.TikTokPendingShares, 0, 1000)
	r.integer("INSTAGRAM_CONTAINERS_PER_DAY", &c.InstagramContainersPerDay, 0, 100_000)
	r.boolean("TIKTOK_PHOTO_BOX", &c.TikTokPhotoBox)
	c.InstagramWebhookSecret = c.FacebookAppSecret
	r.secret("INSTAGRAM_WEBHOOK_SECRET", &c.InstagramWebhookSecret)
	r.secret("INSTAGRAM_WEBHOOK_VERIFY_TOKEN", &c.InstagramWebhookToken)
	r.boolean("INSTAGRAM_CAPTION_ADDONS", &c.InstagramCaptionAddOns)
	r.boolean("WEBHOOK_ALLOW_PRIVATE_HOSTS", &c.WebhookAllowPrivateHosts)

	r.baseURL("TIKTOK_AUTH_URL", &c.TikTokAuthURL)
	r.baseURL("TIKTOK_API_URL", &c.TikTokAPIURL)
	r.baseURL("FACEBOOK_DIALOG_URL", &c.FacebookDialogURL)
	r.baseURL("FACEBOOK_GRAPH_URL", &c.FacebookGraphURL)
	r.baseURL("INSTAGRAM_UPLOAD_URL", &c.InstagramUploadURL)
	r.matching("GRAPH_API_VERSION", &c.GraphAPIVersion, graphVersion, "a version such as v27.0")

	r.bucketURL("MEDIA_BUCKET_URL", &c.MediaBucketURL, role)
	r.bytes("MEDIA_MAX_BYTES", &c.MediaMaxBytes)
	r.boolean("MEDIA_ALLOW_PRIVATE_HOSTS", &c.MediaAllowPrivateHosts)

	r.integer("API_RATE_LIMIT", &c.APIRateLimit, 0, 1_000_000)
	r.integer("API_RATE_BURST", &c.APIRateBurst, 1, 1_000_000)
	r.integer("WORKER_CONCURRENCY", &c.WorkerConcurrency, 1, 10_000)
	r.integer("UPLOAD_CONCURRENCY", &c.UploadConcurrency, 1, 1_000)

	r.text("OPERATOR_USER", &c.OperatorUser)
	r.secret("OPERATOR_PASSWORD", &c.OperatorPassword)
	r.secret("OPERATOR_READONLY_PASSWORD", &c.OperatorReadOnly)

	r.oneOf("LOG_LEVEL", &c.LogLevel, "trace", "debug", "info", "warn", "error")
	r.oneOf("LOG_FORMAT", &c.LogFormat, "json", "text")
	r.duration("SHUTDOWN_TIMEOUT", &c.ShutdownTimeout, time.Second, 10*time.Minute)
	r.duration("SHUTDOWN_DELAY", &c.ShutdownDelay, 0, time.Minute)
	if role != API {
		c.ShutdownDelay = 0
	}

	r.requireFor(role)
	r.pair("TIKTOK_CLIENT_KEY", "TIKTOK_CLIENT_SECRET")
	r.pair("FACEBOOK_APP_ID", "FACEBOOK_APP_SECRET")
	r.operators(c)
	return c, errors.Join(r.problems...)
}

// requireFor reports missing settings that the role needs.
func (r *reader) requireFor(role Role) {
	switch role {
	case API, Worker:
		r.require("DATABASE_URL", "REDIS_URL", "TOKEN_ENCRYPTION_KEY")
	case Scheduler:
		r.require("DATABASE_URL", "REDIS_URL")
	case CLI:
		r.require("DATABASE_URL")
	case CLITokens:
		r.require("DATABASE_URL", "TOKEN_ENCRYPTION_KEY")
	case Dev:
		r.pair("DATABASE_URL", "REDIS_URL")
	}
}

// howTo says what to write for a missing setting.
var howTo = map[string]string{
	"DATABASE_URL":         "postgresql://user:password@host:5432/name",
	"REDIS_URL":            "redis://host:6379, redis-sentinel://h1:26379,h2:26379/?master=name or redis-cluster://h1:7000,h2:7000; use rediss… for TLS",
	"TOKEN_ENCRYPTION_KEY": "32 random bytes as base64, for example from: openssl rand -base64 32",
}

func (r *reader) require(names ...string) {
	for _, name := range names {
		if !r.isSet(name) {
			r.complain(name, "is not set: write %s", howTo[name])
		}
	}
}

// pair reports if only one of two settings is set.
func (r *reader) pair(a, b string) {
	if r.isSet(a) && !r.isSet(b) {
		r.complain(b, "is not set, but %s is: set both or none", a)
	}
	if r.isSet(b) && !r.isSet(a) {
		r.complain(a, "is not set, but %s is: set both or none", b)
	}
}

// operators reports a read-only password that would not work as one.
func (r *reader) operators(c Config) {
	const name = "OPERATOR_READONLY_PASSWORD"
	switch {
	case !r.isSet(name):
	case !r.isSet("OPERATOR_PASSWORD"):
		r.complain(name, "is set, but OPERATOR_PASSWORD is not, and nothing is shown without it: set both or none")
	case c.OperatorReadOnly == c.OperatorPassword && !c.OperatorReadOnly.Empty():
		r.complain(name, "is the same as OPERATOR_PASSWORD, so it would not be read-only: choose another")
	}
}

// keyring parses the encryption keys.
func (r *reader) keyring(name string, ring **secrets.Keyring) {
	var list secrets.Secret
	r.secret(name, &list)
	if list.Empty() {
		return
	}
	parsed, err := secrets.ParseKeyring(list.Reveal())
	if err != nil {
		r.complain(name, "%w: write %s", err, howTo[name])
		return
	}
	*ring = parsed
}
