package doctor

import (
	"context"
	"net/url"
	"strconv"
	"strings"

	"socialqueue/secrets"
)

// leastPassword is the minimum length of a password.
const leastPassword = 16

// settings checks settings that are fine for a trial and wrong in production.
func (d *doctor) settings(context.Context) error {
	c, before := d.Config, len(d.found)
	public, err := url.Parse(c.PublicURL)
	if err != nil || public.Scheme != "https" || isLocal(public.Hostname()) {
		d.bad("set PUBLIC_URL to the https address at which browsers and platforms reach the api", "PUBLIC_URL is %s: platforms call only public https addresses", c.PublicURL)
	}
	if c.TikTokClientKey == "" && c.FacebookAppID == "" {
		d.bad("set TIKTOK_CLIENT_KEY and TIKTOK_CLIENT_SECRET, or FACEBOOK_APP_ID and FACEBOOK_APP_SECRET", "no platform is configured")
	}
	if c.FacebookAppID != "" && c.InstagramWebhookToken.Empty() {
		d.warn("choose a token, set INSTAGRAM_WEBHOOK_VERIFY_TOKEN to it, and enter it in Meta's app dashboard", "Meta's webhooks cannot be set up without a verify token")
	}
	if c.OperatorPassword.Empty() {
		d.warn("set OPERATOR_PASSWORD", "/console, /monitoring and the api's /metrics are off: there is no operator password")
	}
	d.password("OPERATOR_PASSWORD", c.OperatorPassword)
	d.password("OPERATOR_READONLY_PASSWORD", c.OperatorReadOnly)
	if public != nil && public.Scheme == "https" && len(c.TrustedProxies) == 0 {
		d.warn("set it to the addresses of your proxies, if they send X-Forwarded-For", "TRUSTED_PROXIES is not set: behind a proxy all clients have one address, so ten wrong passwords lock all operators out")
	}
	d.permissive()
	d.simulated()
	if strings.HasPrefix(c.MediaBucketURL, "file:") {
		d.warn("use s3://, or gs:// or azblob:// in the build tagged allclouds, unless all processes run on one machine or share that folder", "files are stored in a folder of this machine")
	}
	if len(d.found) == before {
		d.ok("the settings that matter in production are right")
	}
	return nil
}

// password checks that a password is long enough, if it is set.
func (d *doctor) password(name string, p secrets.Secret) {
	if !p.Empty() && len(p.Reveal()) < leastPassword {
		d.bad("set a random password of 16 characters or more", "%s is short enough to be guessed", name)
	}
}

// permissive checks the settings that allow more than the default.
func (d *doctor) permissive() {
	for name, on := range map[string]bool{
		"MEDIA_ALLOW_PRIVATE_HOSTS": d.Config.MediaAllowPrivateHosts, "WEBHOOK_ALLOW_PRIVATE_HOSTS": d.Config.WebhookAllowPrivateHosts,
	} {
		if on {
			d.bad("set it to false: it is for tests and intranets", "%s lets customers make this machine send requests to your internal network", name)
		}
	}
	if d.Config.TikTokWebhookPlain {
		d.warn("set it to false unless TikTok really signs that way", "TIKTOK_WEBHOOK_PLAIN_SIGNATURE accepts webhooks that can be replayed at any time")
	}
	if d.Config.LogLevel == "debug" || d.Config.LogLevel == "trace" {
		d.warn("set it to info", "LOG_LEVEL is %s", d.Config.LogLevel)
	}
}

// simulated checks that no setting points to a simulated platform.
func (d *doctor) simulated() {
	for _, name := range d.Config.Simulated() {
		d.bad("remove the setting", "%s does not point to the real platform", name)
	}
}

func isLocal(host string) bool {
	return host == "" || host == "localhost" || strings.HasPrefix(host, "127.") || strings.HasSuffix(host, ".localhost") || host == "::1"
}

// durability checks that committed data survives a power failure.
func (d *doctor) durability(ctx context.Context) error {
	before := len(d.found)
	server, err := d.DB.Operators.Server(ctx, "fsync", "full_page_writes", "synchronous_commit", "max_connections")
	if err != nil {
		return err
	}
	for _, name := range []string{"fsync", "full_page_writes", "synchronous_commit"} {
		if server.Settings[name] == "off" {
			d.bad("set it to on", "Postgres runs with %s off: a power failure can lose accepted posts", name)
		}
	}
	nodes, err := d.Queue.RedisNodes(ctx)
	if err != nil {
		return err
	}
	for _, n := range nodes {
		if !n.AppendOnly {
			d.warn("set appendonly yes", "Redis%s has no append-only file: after a restart it is empty, and the sweep has to rebuild it, which takes time", at(n.Addr))
		}
	}
	if len(d.found) == before {
		d.ok("Postgres and Redis write to disk. Backups cannot be checked from here: test that yours can be restored")
	}
	return nil
}

// at names a node of a cluster; a single server has no address here.
func at(addr string) string {
	if addr == "" {
		return ""
	}
	return " at " + addr
}

// connections checks that Postgres accepts as many connections as the processes may open.
func (d *doctor) connections(ctx context.Context) error {
	server, err := d.DB.Operators.Server(ctx, "max_connections")
	if err != nil {
		return err
	}
	most, err := strconv.Atoi(server.Settings["max_connections"])
	if err != nil {
		return nil // SQLite
	}
	workers, err := d.Queue.Workers()
	if err != nil {
		return err
	}
	need := workers*d.WorkerConns + 2*d.ProcessConns
	if need > most {
		d.warn("raise max_connections, or use PgBouncer", "workers (%d), an api and a scheduler may open %d connections to Postgres, which accepts %d", workers, need, most)
		return nil
	}
	d.ok("Postgres accepts %d; workers (%d), an api and a scheduler may open %d", most, workers, need)
	return nil
}
