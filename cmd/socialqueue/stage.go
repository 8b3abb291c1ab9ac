package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/sirupsen/logrus"

	"socialqueue/app"
	"socialqueue/config"
	"socialqueue/models"
	"socialqueue/oauth"
	"socialqueue/observe"
	"socialqueue/publish"
	"socialqueue/sandbox"
	"socialqueue/secrets"
)

// demoTokenLife is how long the demo accounts stay connected.
const demoTokenLife = 365 * 24 * time.Hour

// stage is the system with the simulated platforms behind it.
type stage struct {
	sim    *sandbox.Server
	system *app.AllInOne
	cfg    config.Config
	key    secrets.Secret
	tiktok int64
	insta  int64
	userID int64
}

// stageOptions say where a stage lives and how it is seen.
type stageOptions struct {
	env         map[string]string
	dir         string
	sandboxAddr string
	log         *logrus.Logger
	timings     *publish.Timings
}

// raise builds and starts a stage.
func raise(ctx context.Context, o stageOptions) (*stage, error) {
	s := &stage{sim: sandbox.New(sandbox.Options{})}
	if err := s.sim.Start(o.sandboxAddr); err != nil {
		return nil, err
	}
	err := s.start(ctx, o)
	if err == nil {
		err = s.connect(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, s.strike(ctx))
	}
	return s, nil
}

func (s *stage) start(ctx context.Context, o stageOptions) error {
	for name, value := range sandboxEnv(s.sim) {
		o.env[name] = value
	}
	var err error
	if s.cfg, err = config.Load(config.Dev, func(name string) string { return o.env[name] }); err != nil {
		return err
	}
	opts := app.Options{Log: o.log, Timings: o.timings}
	if s.cfg.Embedded() {
		s.system, err = app.NewEmbedded(ctx, s.cfg, o.dir, opts)
	} else {
		s.system, err = app.NewAllInOne(ctx, s.cfg, opts)
	}
	if err != nil {
		return err
	}
	return s.system.Start(ctx)
}

// sandboxEnv are the settings that point the system to the simulated platforms.
func sandboxEnv(sim *sandbox.Server) map[string]string {
	o := sim.Options()
	return map[string]string{
		"TIKTOK_API_URL": sim.TikTokURL(), "FACEBOOK_GRAPH_URL": sim.GraphURL(), "INSTAGRAM_UPLOAD_URL": sim.RuploadURL(),
		"TIKTOK_CLIENT_KEY": o.TikTokClientKey, "TIKTOK_CLIENT_SECRET": o.TikTokClientSecret,
		"FACEBOOK_APP_ID": o.FacebookAppID, "FACEBOOK_APP_SECRET": o.FacebookAppSecret,
	}
}

func printSandboxSettings(out io.Writer, sim *sandbox.Server) {
	fmt.Fprintln(out, "Settings for a system that is to post here:")
	env := sandboxEnv(sim)
	for _, name := range []string{
		"TIKTOK_API_URL", "TIKTOK_CLIENT_KEY", "TIKTOK_CLIENT_SECRET",
		"FACEBOOK_GRAPH_URL", "INSTAGRAM_UPLOAD_URL", "FACEBOOK_APP_ID", "FACEBOOK_APP_SECRET",
	} {
		fmt.Fprintf(out, "  %s=%s\n", name, env[name])
	}
}

// connect makes an app and connects one demo account of each platform.
func (s *stage) connect(ctx context.Context) error {
	appID, key, err := s.system.CreateApp(ctx, "demo")
	if err != nil {
		return err
	}
	s.key = key
	if s.userID, err = s.newClient().createUser(ctx); err != nil {
		return err
	}
	expires := s.sim.Now().Add(demoTokenLife)
	tt := s.sim.AddTikTokAccount(sandbox.TikTokAccount{
		OpenID: "-000SimCafe-" + models.NewID()[24:], Username: "simcafe", Nickname: "Sim Cafe", ExpiresAt: expires,
	})
	ig := s.sim.AddInstagramAccount(sandbox.InstagramAccount{
		IGID: fmt.Sprint(17841400000000000 + time.Now().UnixNano()%1e9), Username: "simbakery", Name: "Sim Bakery",
	})
	s.tiktok, err = s.system.Accounts().Import(ctx, oauth.Import{
		AppID: appID, UserID: s.userID, Platform: models.TikTok, ProviderAccountID: tt.OpenID, Username: tt.Username,
		Access: secrets.Secret(tt.AccessToken), ExpiresAt: &expires,
	})
	if err != nil {
		return err
	}
	s.insta, err = s.system.Accounts().Import(ctx, oauth.Import{
		AppID: appID, UserID: s.userID, Platform: models.Instagram, ProviderAccountID: ig.IGID, Username: ig.Username,
		Access: secrets.Secret(ig.PageToken),
	})
	return err
}

// strike takes the stage down.
func (s *stage) strike(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	var err error
	if s.system != nil {
		err = s.system.Stop(ctx)
	}
	return errors.Join(err, s.sim.Close())
}

// url is where the api listens, as this machine reaches it.
func (s *stage) url() string {
	_, port, _ := net.SplitHostPort(s.system.Addr())
	return "http://" + net.JoinHostPort("127.0.0.1", port)
}

// freeAddr finds a port that is free now: PUBLIC_URL has to be known before the
// api listens.
func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().String(), nil
}

func quietLog() *logrus.Logger { return observe.NewLogger("demo", "error", "text", os.Stderr) }
