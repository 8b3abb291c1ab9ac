package testkit

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	"socialqueue/oauth"
	instagramlogin "socialqueue/oauth/instagram"
	tiktoklogin "socialqueue/oauth/tiktok"
	"socialqueue/platform/instagram"
	"socialqueue/platform/tiktok"
	"socialqueue/sandbox"
	"socialqueue/secrets"
)

// Sandbox is a started server of simulated platforms that ends with the test.
type Sandbox struct {
	*sandbox.Server
	t testing.TB
}

// NewSandbox starts the simulated platforms.
func NewSandbox(t testing.TB, o sandbox.Options) *Sandbox {
	t.Helper()
	s := &Sandbox{Server: sandbox.New(o), t: t}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	Must(t, s.Start("127.0.0.1:0"))
	return s
}

// TikTok returns a client of the simulated TikTok.
func (s *Sandbox) TikTok(client *http.Client, now func() time.Time) *tiktok.Client {
	s.t.Helper()
	o := s.Options()
	c, err := tiktok.New(tiktok.Config{
		APIURL: s.TikTokURL(), AuthURL: s.TikTokAuthURL(), ClientKey: o.TikTokClientKey, ClientSecret: secrets.Secret(o.TikTokClientSecret),
		HTTP: client, Now: now,
	})
	Must(s.t, err)
	return c
}

// Instagram returns a client of the simulated Instagram.
func (s *Sandbox) Instagram(client *http.Client, now func() time.Time) *instagram.Client {
	s.t.Helper()
	o := s.Options()
	c, err := instagram.New(instagram.Config{
		GraphURL: s.GraphURL(), UploadURL: s.RuploadURL(), DialogURL: s.FacebookDialogURL(),
		AppID: o.FacebookAppID, AppSecret: secrets.Secret(o.FacebookAppSecret), HTTP: client, Now: now,
	})
	Must(s.t, err)
	return c
}

// Connectors returns the connectors of both platforms, with clients that the tests may call too.
func (s *Sandbox) Connectors(tt *tiktok.Client, ig *instagram.Client, now func() time.Time) []oauth.Connector {
	return []oauth.Connector{tiktoklogin.New(tt, now), instagramlogin.New(ig, secrets.Secret(s.Options().FacebookAppSecret), now)}
}

// SandboxEnv returns the settings with which a process finds the simulated platforms.
func SandboxEnv(s *sandbox.Server) map[string]string {
	o := s.Options()
	return map[string]string{
		"TIKTOK_AUTH_URL": s.TikTokAuthURL(), "TIKTOK_API_URL": s.TikTokURL(),
		"FACEBOOK_DIALOG_URL": s.FacebookDialogURL(), "FACEBOOK_GRAPH_URL": s.GraphURL(), "INSTAGRAM_UPLOAD_URL": s.RuploadURL(),
		"TIKTOK_CLIENT_KEY": o.TikTokClientKey, "TIKTOK_CLIENT_SECRET": o.TikTokClientSecret,
		"TIKTOK_INITS_PER_MINUTE": strconv.Itoa(o.Limits.TikTokInit),
		"TIKTOK_PENDING_SHARES":   strconv.Itoa(o.Limits.TikTokPendingShares), "INSTAGRAM_CONTAINERS_PER_DAY": strconv.Itoa(o.Limits.InstagramContainers),
		"FACEBOOK_APP_ID": o.FacebookAppID, "FACEBOOK_APP_SECRET": o.FacebookAppSecret,
	}
}
