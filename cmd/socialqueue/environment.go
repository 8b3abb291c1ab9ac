package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"github.com/sirupsen/logrus"

	"socialqueue/app"
	"socialqueue/config"
	"socialqueue/observe"
	"socialqueue/publish"
	"socialqueue/sandbox"
)

// stage is the system with the simulated platforms behind it.
type stage struct {
	sim    *sandbox.Server
	system *app.AllInOne
	cfg    config.Config
	cast   cast
}

// stageOptions say where a stage lives and how it is seen.
type stageOptions struct {
	env         map[string]string
	dir         string
	sandboxAddr string
	log         *logrus.Logger
	timings     *publish.Timings
	// kept is the file that remembers the demo accounts over restarts; empty:
	// nothing is remembered.
	kept string
}

// raise builds and starts a stage.
func raise(ctx context.Context, o stageOptions) (*stage, error) {
	s := &stage{sim: sandbox.New(registeredAt(o.env["PUBLIC_URL"]))}
	if err := s.sim.Start(o.sandboxAddr); err != nil {
		return nil, fmt.Errorf("%w (another --sandbox-addr may be free)", err)
	}
	err := s.start(ctx, o)
	if err == nil {
		err = s.listen(ctx)
	}
	if err == nil {
		err = s.connect(ctx, o.kept)
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

// listen has the simulated platforms tell the system of what happens there, as their
// developer pages would be filled in. Both are on this machine, whatever PUBLIC_URL is.
func (s *stage) listen(ctx context.Context) error {
	s.sim.SetTikTokWebhook(s.url() + "/api/webhooks/tiktok")
	if s.cfg.InstagramWebhookToken.Empty() {
		return nil
	}
	if err := s.sim.SetMetaWebhook(ctx, s.url()+"/api/webhooks/instagram", s.cfg.InstagramWebhookToken.Reveal()); err != nil {
		return fmt.Errorf("subscribe to Instagram's webhooks: %w", err)
	}
	return nil
}

// registeredAt are simulated platforms at which a system is registered that is
// reached at publicURL; empty stands for this machine, whatever the port.
func registeredAt(publicURL string) sandbox.Options {
	if publicURL == "" {
		return sandbox.Options{}
	}
	callback := strings.TrimRight(publicURL, "/") + "/api/auth/%s/callback"
	return sandbox.Options{
		TikTokRedirectURIs: []string{fmt.Sprintf(callback, "tiktok")}, FacebookRedirectURIs: []string{fmt.Sprintf(callback, "instagram")},
	}
}

// sandboxEnv are the settings that point the system to the simulated platforms.
func sandboxEnv(sim *sandbox.Server) map[string]string {
	o := sim.Options()
	return map[string]string{
		"TIKTOK_AUTH_URL": sim.TikTokAuthURL(), "TIKTOK_API_URL": sim.TikTokURL(), "FACEBOOK_DIALOG_URL": sim.FacebookDialogURL(),
		"FACEBOOK_GRAPH_URL": sim.GraphURL(), "INSTAGRAM_UPLOAD_URL": sim.RuploadURL(),
		"TIKTOK_CLIENT_KEY": o.TikTokClientKey, "TIKTOK_CLIENT_SECRET": o.TikTokClientSecret,
		"FACEBOOK_APP_ID": o.FacebookAppID, "FACEBOOK_APP_SECRET": o.FacebookAppSecret,
		"INSTAGRAM_WEBHOOK_VERIFY_TOKEN": o.MetaVerifyToken,
	}
}

func printSandboxSettings(out io.Writer, sim *sandbox.Server) {
	fmt.Fprintln(out, "Settings for a system that is to post here:")
	env := sandboxEnv(sim)
	for _, name := range []string{
		"TIKTOK_AUTH_URL", "TIKTOK_API_URL", "TIKTOK_CLIENT_KEY", "TIKTOK_CLIENT_SECRET",
		"FACEBOOK_DIALOG_URL", "FACEBOOK_GRAPH_URL", "INSTAGRAM_UPLOAD_URL", "FACEBOOK_APP_ID", "FACEBOOK_APP_SECRET",
		"INSTAGRAM_WEBHOOK_VERIFY_TOKEN",
	} {
		fmt.Fprintf(out, "  %s=%s\n", name, env[name])
	}
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
func (s *stage) url() string { return localURL(s.system.Addr()) }

// localURL is the address of a listener as this machine reaches it.
func localURL(addr string) string {
	_, port, _ := net.SplitHostPort(addr)
	return "http://" + net.JoinHostPort("127.0.0.1", port)
}

// freeAddr finds a port that is free now: PUBLIC_URL has to be known before the
// api listens.
func freeAddr(ctx context.Context) (string, error) {
	var listen net.ListenConfig
	l, err := listen.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().String(), nil
}

func quietLog() *logrus.Logger { return observe.NewLogger("demo", "error", "text", os.Stderr) }
