// Package bench measures the system on real servers. It times nothing by
// assertion: what it prints is for people and for the closing note.
package bench

import (
	"context"
	"net/http"
	"os"
	"testing"
	"time"

	"socialqueue/config"
	"socialqueue/db"
	"socialqueue/models"
	"socialqueue/oauth"
	"socialqueue/sandbox"
	"socialqueue/secrets"
)

const encryptionKey = "bench-key-bench-key-bench-key-32"

// settings point a process to the bench's servers and to the simulated
// platforms.
func settings(sim *sandbox.Server, databaseURL, redisURL, folder string) map[string]string {
	return map[string]string{
		"DATABASE_URL": databaseURL, "REDIS_URL": redisURL, "TOKEN_ENCRYPTION_KEY": encryptionKey,
		"HTTP_ADDR": "127.0.0.1:0", "OPS_ADDR": "127.0.0.1:0", "MEDIA_BUCKET_URL": "file://" + folder, "MEDIA_ALLOW_PRIVATE_HOSTS": "true",
		"TIKTOK_API_URL": sim.TikTokURL(), "FACEBOOK_GRAPH_URL": sim.GraphURL(), "INSTAGRAM_UPLOAD_URL": sim.RuploadURL(),
		"FACEBOOK_APP_ID": sim.Options().FacebookAppID, "FACEBOOK_APP_SECRET": sim.Options().FacebookAppSecret,
		"TIKTOK_INITS_PER_MINUTE": "0", "LOG_LEVEL": "info", "LOG_FORMAT": "json",
	}
}

func load(b *testing.B, role config.Role, env map[string]string) config.Config {
	b.Helper()
	cfg, err := config.Load(role, func(name string) string { return env[name] })
	must(b, err)
	return cfg
}

func must(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func startSandbox(b *testing.B) *sandbox.Server {
	b.Helper()
	sim := sandbox.New(sandbox.Options{Limits: &sandbox.Limits{}, Delays: &sandbox.Delays{}, DiscardBytes: true})
	b.Cleanup(func() { _ = sim.Close() })
	must(b, sim.Start("127.0.0.1:0"))
	return sim
}

// connect stores a TikTok account and returns its id and its token.
func connect(b *testing.B, d *db.DB, sim *sandbox.Server, appID, userID int64) (int64, string) {
	b.Helper()
	ring, err := secrets.ParseKeyring(encryptionKey)
	must(b, err)
	expires := time.Now().Add(24 * time.Hour)
	a := sim.AddTikTokAccount(sandbox.TikTokAccount{PostsCap: -1, ExpiresAt: expires})
	id, err := oauth.New(oauth.Deps{DB: d, Keys: ring, Now: time.Now}).Import(context.Background(), oauth.Import{
		AppID: appID, UserID: userID, Platform: models.TikTok, ProviderAccountID: a.OpenID, Username: a.Username,
		Access: secrets.Secret(a.AccessToken), ExpiresAt: &expires,
	})
	must(b, err)
	return id, a.AccessToken
}

func makeUser(b *testing.B, d *db.DB, appID int64) int64 {
	b.Helper()
	now := models.Time(time.Now())
	user := models.User{AppID: appID, ExternalID: "bench", CreatedAt: now, UpdatedAt: now}
	_, err := d.Tenants.EnsureUser(context.Background(), &user)
	must(b, err)
	return user.ID
}

// devNull is where a log goes that costs what a real one costs.
func devNull(b *testing.B) *os.File {
	b.Helper()
	f, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	must(b, err)
	b.Cleanup(func() { _ = f.Close() })
	return f
}

func newClient(b *testing.B, conns int) *http.Client {
	b.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: conns, MaxIdleConns: conns}
	b.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}
