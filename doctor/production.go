package doctor

import (
	"context"
	"net/url"
	"strconv"
	"strings"

	"socialqueue/secrets"
)

// leastPassword is how long a password is that is not guessed.
const leastPassword = 16

// settings looks at what is right for trying and wrong for people who rely on it.
func (d *doctor) settings(context.Context) error {
	c, before := d.Config, len(d.found)
	public, err := url.Parse(c.PublicURL)
	if err != nil || public.Scheme != "https" || isLocal(public.Hostname()) {
		d.bad("set PUBLIC_URL to the https address by which browsers and platforms reach the api", "PUBLIC_URL is %s: platforms call no other than a public https address", c.PublicURL)
	}
	if c.TikTokClientKey == "" && c.FacebookAppID == "" {
		d.bad("set TIKTOK_CLIENT_KEY and TIKTOK_CLIENT_SECRET, or FACEBOOK_APP_ID and FACEBOOK_APP_SECRET", "no platform is set up here")
	}
	if c.FacebookAppID != "" && c.InstagramWebhookToken.Empty() {
		d.warn("make one up, set INSTAGRAM_WEBHOOK_VERIFY_TOKEN, and give it to Meta", "Meta's webhooks cannot be set up without a verify token")
	}
	if c.OperatorPassword.Empty() {
		d.warn("set OPERATOR_PASSWORD", "nobody may see /console, /monitoring and the api's /metrics: there is no operator password here")
	}
	d.password("OPERATOR_PASSWORD", c.OperatorPassword)
	d.password("OPERATOR_READONLY_PASSWORD", c.OperatorReadOnly)
	if public != nil && public.Scheme == "https" && len(c.TrustedProxies) == 0 {
		d.warn("set it to the addresses of your proxies, if they send X-Forwarded-For", "TRUSTED_PROXIES is not set: the api takes the proxy that speaks https for it for everybody, and ten wrong passwords lock all operators out")
	}
	d.opened()
	d.simulated()
	if strings.HasPrefix(c.MediaBucketURL, "file:") {
		d.warn("use s3://, or gs:// or azblob:// in the build tagged allclouds, unless all processes run on one machine or share that folder", "files are kept in a folder of this machine")
	}
	if len(d.found) == before {
		d.ok("those that matter in production are set")
	}
	return nil
}

// password looks whether one that is set can be guessed.
func (d *doctor) password(name string, p secrets.Secret) {
	if !p.Empty() && len(p.Reveal()) < leastPassword {
		d.bad("set one of 16 characters or more, made by a machine", "%s is short enough to be guessed", name)
	}
}

// opened looks at the settings that let more in than the default.
func (d *doctor) opened() {
	for name, on := range map[string]bool{
		"MEDIA_ALLOW_PRIVATE_HOSTS": d.Config.MediaAllowPrivateHosts, "WEBHOOK_ALLOW_PRIVATE_HOSTS": d.Config.WebhookAllowPrivateHosts,
	} {
		if on {
			d.bad("set it to false: it is for tests and intranets", "%s lets customers have this machine call into your network", name)
		}
	}
	if d.Config.TikTokWebhookPlain {
		d.warn("set it to false unless TikTok really signs so", "TIKTOK_WEBHOOK_PLAIN_SIGNATURE takes webhooks that can be replayed for ever")
	}
	if d.Config.LogLevel == "debug" || d.Config.LogLevel == "trace" {
		d.warn("set it to info", "LOG_LEVEL is %s", d.Config.LogLevel)
	}
}

// simulated looks for platforms that are none.
func (d *doctor) simulated() {
	for _, name := range d.Config.Simulated() {
		d.bad("remove the setting", "%s does not lead to the real platform", name)
	}
}

func isLocal(host string) bool {
	return host == "" || host == "localhost" || strings.HasPrefix(host, "127.") || strings.HasSuffix(host, ".localhost") || host == "::1"
}

// durability looks whether what was written survives a power cut.
func (d *doctor) durability(ctx context.Context) error {
	before := len(d.found)
	server, err := d.DB.Operators.Server(ctx, "fsync", "full_page_writes", "synchronous_commit", "max_connections")
	if err != nil {
		return err
	}
	for _, name := range []string{"fsync", "full_page_writes", "synchronous_commit"} {
		if server.Settings[name] == "off" {
			d.bad("set it to on", "Postgres runs with %s off: what was accepted is lost in a power cut", name)
		}
	}
	nodes, err := d.Queue.RedisNodes(ctx)
	if err != nil {
		return err
	}
	for _, n := range nodes {
		if !n.AppendOnly {
			d.warn("set appendonly yes", "Redis begins empty after a restart%s; the sweep rebuilds it, which takes time", at(n.Addr))
		}
	}
	if len(d.found) == before {
		d.ok("Postgres and Redis write to disk. Whether there are backups, and whether they can be restored, is not seen from here: try it")
	}
	return nil
}

// at names a node of several.
func at(addr string) string {
	if addr == "" {
		return ""
	}
	return " of " + addr
}

// connections looks whether Postgres takes as many as the processes may open.
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
		d.warn("raise max_connections, or put PgBouncer in between", "workers (%d), an api and a scheduler may open %d connections to Postgres, which takes %d", workers, need, most)
		return nil
	}
	d.ok("Postgres takes %d; workers (%d), an api and a scheduler may open %d", most, workers, need)
	return nil
}
