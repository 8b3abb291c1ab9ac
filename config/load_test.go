package config

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"socialqueue/secrets"
)

const encryptionKey = "0123456789abcdef0123456789abcdef"

// servers holds the settings that every production role needs.
var servers = map[string]string{
	"DATABASE_URL":         "postgresql://app:hunter2@db:5432/socialqueue",
	"REDIS_URL":            "redis://:hunter2@redis:6379/1",
	"TOKEN_ENCRYPTION_KEY": encryptionKey,
}

// with returns servers changed by pairs of a name and a value.
func with(pairs ...string) map[string]string {
	env := maps.Clone(servers)
	for i := 0; i < len(pairs); i += 2 {
		env[pairs[i]] = pairs[i+1]
	}
	return env
}

func load(role Role, env map[string]string) (Config, error) {
	return Load(role, func(name string) string { return env[name] })
}

func TestLoadDefaults(t *testing.T) {
	c, err := load(Worker, with("LOG_FORMAT", "json"))
	if err != nil {
		t.Fatal(err)
	}
	dir, err := filepath.Abs("data/media")
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		HTTPAddr: ":3000", OpsAddr: ":3001", PublicURL: "http://localhost:3000",
		DatabaseURL: secrets.Secret(servers["DATABASE_URL"]), RedisURL: secrets.Secret(servers["REDIS_URL"]),
		Keyring:       c.Keyring,
		TikTokAuthURL: "https://www.tiktok.com", TikTokAPIURL: "https://open.tiktokapis.com",
		FacebookDialogURL: "https://www.facebook.com", FacebookGraphURL: "https://graph.facebook.com",
		InstagramUploadURL: "https://rupload.facebook.com", GraphAPIVersion: "v27.0", TikTokWebhookTolerance: 5 * time.Minute, TikTokInitsPerMinute: 6, TikTokPendingShares: 5, InstagramContainersPerDay: 400,
		MediaBucketURL: "file://" + dir + "?create_dir=true", MediaMaxBytes: 4 << 30,
		APIRateBurst: 100, WorkerConcurrency: 64, UploadConcurrency: 8,
		OperatorUser: "operator", LogLevel: "info", LogFormat: "json", ShutdownTimeout: 25 * time.Second,
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got  %+v\nwant %+v", c, want)
	}
	if c.Keyring == nil {
		t.Error("no keyring")
	}
	if c.Embedded() {
		t.Error("Embedded with both servers set")
	}
}

// Only the api has load balancers in front of it.
func TestShutdownDelayByRole(t *testing.T) {
	for role, want := range map[Role]time.Duration{API: 10 * time.Second, Worker: 0, Scheduler: 0, Dev: 0, CLI: 0} {
		c, err := load(role, with("SHUTDOWN_DELAY", "10s"))
		if err != nil || c.ShutdownDelay != want {
			t.Errorf("role %d: %s, %v; want %s", role, c.ShutdownDelay, err, want)
		}
	}
}

func TestOpsAddrByRole(t *testing.T) {
	for role, want := range map[Role]string{API: "", Worker: ":3001", Scheduler: ":3002", Dev: "", CLI: ""} {
		c, err := load(role, servers)
		if err != nil || c.OpsAddr != want {
			t.Errorf("role %d: OpsAddr %q, %v; want %q", role, c.OpsAddr, err, want)
		}
	}
}

func TestLoadRequires(t *testing.T) {
	const db, redis, key = "DATABASE_URL", "REDIS_URL", "TOKEN_ENCRYPTION_KEY"
	for name, tc := range map[string]struct {
		role    Role
		set     []string
		missing []string
	}{
		"api":                 {API, nil, []string{db, redis, key}},
		"api with all":        {API, []string{db, redis, key}, nil},
		"worker without key":  {Worker, []string{db, redis}, []string{key}},
		"scheduler":           {Scheduler, nil, []string{db, redis}},
		"scheduler needs two": {Scheduler, []string{db, redis}, nil},
		"cli":                 {CLI, nil, []string{db}},
		"cli needs one":       {CLI, []string{db}, nil},
		"cli with tokens":     {CLITokens, []string{db}, []string{key}},
		"dev embedded":        {Dev, nil, nil},
		"dev with servers":    {Dev, []string{db, redis}, nil},
		"dev with a half":     {Dev, []string{db}, []string{redis}},
		"dev, other half":     {Dev, []string{redis}, []string{db}},
	} {
		t.Run(name, func(t *testing.T) {
			env := map[string]string{}
			for _, name := range tc.set {
				env[name] = servers[name]
			}
			_, err := load(tc.role, env)
			for _, name := range []string{db, redis, key} {
				missing := err != nil && strings.Contains(err.Error(), name+" is not set")
				want := strings.Contains(strings.Join(tc.missing, " "), name)
				if missing != want {
					t.Errorf("%s missing: %t, want %t; err = %v", name, missing, want, err)
				}
			}
			if (err == nil) != (tc.missing == nil) {
				t.Errorf("err = %v", err)
			}
		})
	}
}

func TestLoadRefuses(t *testing.T) {
	for _, tc := range []struct{ name, value, says string }{
		{"HTTP_ADDR", "3000", "HTTP_ADDR is \"3000\": write an address"},
		{"HTTP_ADDR", ":http-alt", "HTTP_ADDR"},
		{"OPS_ADDR", ":70000", "OPS_ADDR"},
		{"PUBLIC_URL", "queue.example.com", "PUBLIC_URL is not a base URL"},
		{"PUBLIC_URL", "ftp://queue.example.com", "PUBLIC_URL"},
		{"PUBLIC_URL", "https://a:b@queue.example.com", "PUBLIC_URL"},
		{"TRUSTED_PROXIES", "10.0.0.0/8,proxy.internal", "TRUSTED_PROXIES contains \"proxy.internal\": write addresses and networks"},
		{"TRUSTED_PROXIES", "127.0.0.1,", "TRUSTED_PROXIES"},
		{"TRUSTED_PROXIES", "10.0.0.0/33", "TRUSTED_PROXIES"},
		{"TRUSTED_PROXIES", "0.0.0.0/0", "none that contains all addresses"},
		{"TRUSTED_PROXIES", "::/0", "none that contains all addresses"},
		{"TRUSTED_PROXIES", "fe80::1%eth0", "TRUSTED_PROXIES"},
		{"TRUSTED_PROXIES", "::ffff:10.0.0.0/104", "TRUSTED_PROXIES"},
		{"TIKTOK_API_URL", "https://host?x=1", "TIKTOK_API_URL"},
		{"TIKTOK_AUTH_URL", "www.tiktok.com", "TIKTOK_AUTH_URL"},
		{"FACEBOOK_DIALOG_URL", "ftp://host", "FACEBOOK_DIALOG_URL"},
		{"FACEBOOK_GRAPH_URL", "https://", "FACEBOOK_GRAPH_URL"},
		{"INSTAGRAM_UPLOAD_URL", "//host", "INSTAGRAM_UPLOAD_URL"},
		{"GRAPH_API_VERSION", "25", "GRAPH_API_VERSION is \"25\": write a version such as v27.0"},
		{"DATABASE_URL", "mysql://hunter2@db/x", "postgresql://user"},
		{"DATABASE_URL", "postgresql:///x", "has no host"},
		{"DATABASE_URL", "postgresql://a:hunter2%zz@db", "DATABASE_URL is not a URL"},
		{"REDIS_URL", "hunter2:6379", "REDIS_URL does not begin with"},
		{"REDIS_URL", "redis-sentinel://:hunter2@h1,h2", "does not name the master"},
		{"TOKEN_ENCRYPTION_KEY", "hunter2", "want 32 bytes"},
		{"TIKTOK_CLIENT_KEY", "aw1", "TIKTOK_CLIENT_SECRET is not set, but TIKTOK_CLIENT_KEY is"},
		{"FACEBOOK_APP_SECRET", "hunter2", "FACEBOOK_APP_ID is not set, but FACEBOOK_APP_SECRET is"},
		{"MEDIA_BUCKET_URL", "/data", "MEDIA_BUCKET_URL is not a bucket"},
		{"MEDIA_BUCKET_URL", "nope://media", "MEDIA_BUCKET_URL is not a bucket"},
		{"MEDIA_BUCKET_URL", "mem://", "no other process can read"},
		{"MEDIA_MAX_BYTES", "lots", "MEDIA_MAX_BYTES is \"lots\": write a number of bytes"},
		{"MEDIA_MAX_BYTES", "0", "MEDIA_MAX_BYTES"},
		{"MEDIA_ALLOW_PRIVATE_HOSTS", "yes", "MEDIA_ALLOW_PRIVATE_HOSTS is \"yes\": write true or false"},
		{"WORKER_CONCURRENCY", "0", "WORKER_CONCURRENCY is \"0\": write a whole number from 1"},
		{"UPLOAD_CONCURRENCY", "8.5", "UPLOAD_CONCURRENCY"},
		{"OPERATOR_READONLY_PASSWORD", "hunter2", "OPERATOR_READONLY_PASSWORD is set, but OPERATOR_PASSWORD is not"},
		{"LOG_LEVEL", "verbose", "write trace or debug or info or warn or error"},
		{"LOG_FORMAT", "xml", "write json or text"},
		{"SHUTDOWN_TIMEOUT", "25", "SHUTDOWN_TIMEOUT is \"25\": write a time with its unit"},
		{"SHUTDOWN_TIMEOUT", "1h", "SHUTDOWN_TIMEOUT"},
		{"SHUTDOWN_DELAY", "5", "SHUTDOWN_DELAY is \"5\": write a time with its unit"},
		{"SHUTDOWN_DELAY", "61s", "from 0s to 1m0s"},
		{"SHUTDOWN_DELAY", "-1s", "SHUTDOWN_DELAY"},
	} {
		t.Run(tc.name+"="+tc.value, func(t *testing.T) {
			_, err := load(API, with(tc.name, tc.value))
			if err == nil {
				t.Fatal("accepted")
			}
			if !strings.Contains(err.Error(), tc.says) {
				t.Errorf("err = %v, want it to say %q", err, tc.says)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error shows the secret: %v", err)
			}
		})
	}
}

// A read-only password that allows everything, or nothing, is refused.
func TestReadOnlyPassword(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, env := range []map[string]string{
		with("OPERATOR_PASSWORD", "hunter2", "OPERATOR_READONLY_PASSWORD", "hunter2"),
		with("OPERATOR_PASSWORD", "hunter2", "OPERATOR_READONLY_PASSWORD_FILE", file),
	} {
		if _, err := load(API, env); err == nil || !strings.Contains(err.Error(), "OPERATOR_READONLY_PASSWORD is the same as") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("err = %v", err)
		}
	}
	if c, err := load(API, with("OPERATOR_PASSWORD", "hunter2", "OPERATOR_READONLY_PASSWORD", "hunter3")); err != nil || c.OperatorReadOnly.Reveal() != "hunter3" {
		t.Errorf("two passwords: %v", err)
	}
}

func TestLoadAccepts(t *testing.T) {
	c, err := load(API, with(
		"HTTP_ADDR", "127.0.0.1:0", "OPS_ADDR", "[::1]:9", "PUBLIC_URL", "https://example.com/queue/",
		"TIKTOK_API_URL", "http://sandbox:4010/tiktok/", "MEDIA_MAX_BYTES", "1.5GiB", "MEDIA_ALLOW_PRIVATE_HOSTS", "true",
		"MEDIA_BUCKET_URL", "s3://media?region=eu-west-1", "SHUTDOWN_TIMEOUT", "1m30s",
		"DATABASE_URL", "postgres:///socialqueue?host=/run/postgresql",
		"FACEBOOK_APP_ID", "1", "FACEBOOK_APP_SECRET", "s",
		"TRUSTED_PROXIES", "127.0.0.1, ::1,10.1.2.3/16,::ffff:192.0.2.1",
	))
	if err != nil {
		t.Fatal(err)
	}
	if c.PublicURL != "https://example.com/queue" || c.TikTokAPIURL != "http://sandbox:4010/tiktok" {
		t.Errorf("base URLs: %s, %s", c.PublicURL, c.TikTokAPIURL)
	}
	if got := fmt.Sprint(c.TrustedProxies); got != "[127.0.0.1/32 ::1/128 10.1.0.0/16 192.0.2.1/32]" {
		t.Errorf("proxies: %s", got)
	}
	if c.MediaMaxBytes != 3<<29 || !c.MediaAllowPrivateHosts || c.ShutdownTimeout != 90*time.Second {
		t.Errorf("got %+v", c)
	}
}

func TestMediaMaxBytesUnits(t *testing.T) {
	for value, want := range map[string]int64{"4294967296": 4 << 30, "4GiB": 4 << 30, "4 GiB": 4 << 30, "500MB": 500_000_000} {
		c, err := load(API, with("MEDIA_MAX_BYTES", value))
		if err != nil || c.MediaMaxBytes != want {
			t.Errorf("%q: %d, %v; want %d", value, c.MediaMaxBytes, err, want)
		}
	}
}

func TestLoadReportsAllProblems(t *testing.T) {
	_, err := load(API, map[string]string{"HTTP_ADDR": "x", "LOG_LEVEL": "x", "WORKER_CONCURRENCY": "x"})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, name := range []string{"HTTP_ADDR", "LOG_LEVEL", "WORKER_CONCURRENCY", "DATABASE_URL", "REDIS_URL", "TOKEN_ENCRYPTION_KEY"} {
		if strings.Count(err.Error(), name+" is") != 1 {
			t.Errorf("%s is not named once in:\n%v", name, err)
		}
	}
}

func TestSecretFiles(t *testing.T) {
	file := func(content string) string {
		path := filepath.Join(t.TempDir(), "secret")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	c, err := load(API, map[string]string{
		"DATABASE_URL_FILE":         file(servers["DATABASE_URL"] + "\n"),
		"REDIS_URL_FILE":            file(servers["REDIS_URL"] + "\r\n"),
		"TOKEN_ENCRYPTION_KEY_FILE": file(encryptionKey + "\n"),
		"TIKTOK_CLIENT_KEY":         "aw1",
		"TIKTOK_CLIENT_SECRET_FILE": file("s"),
	})
	if err != nil {
		t.Fatal(err)
	}
	if c.DatabaseURL.Reveal() != servers["DATABASE_URL"] || c.RedisURL.Reveal() != servers["REDIS_URL"] || c.Keyring == nil || c.TikTokClientSecret.Reveal() != "s" || c.TikTokWebhookSecret.Reveal() != "s" {
		t.Errorf("got %q, %q", c.DatabaseURL.Reveal(), c.RedisURL.Reveal())
	}
	if c, err := load(API, with("TIKTOK_WEBHOOK_SECRET_FILE", file("w"))); err != nil || c.TikTokWebhookSecret.Reveal() != "w" {
		t.Errorf("webhook secret %q, %v", c.TikTokWebhookSecret.Reveal(), err)
	}
	for name, tc := range map[string]struct {
		env  map[string]string
		says string
	}{
		"both":    {with("REDIS_URL_FILE", file("redis://h")), "REDIS_URL and REDIS_URL_FILE are both set"},
		"missing": {with("REDIS_URL", "", "REDIS_URL_FILE", "/nonexistent"), "REDIS_URL_FILE cannot be read"},
		"empty":   {with("REDIS_URL", "", "REDIS_URL_FILE", file("\n")), "REDIS_URL_FILE names an empty file"},
	} {
		if _, err := load(API, tc.env); err == nil || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: err = %v, want it to say %q", name, err, tc.says)
		}
	}
}
