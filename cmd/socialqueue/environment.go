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

// environment is the whole system with the simulated platforms, for demo and dev.
type environment struct {
	sim      *sandbox.Server
	system   *app.AllInOne
	cfg      config.Config
	accounts demoAccounts
}

// environmentOptions are the options of an environment.
type environmentOptions struct {
	env         map[string]string
	dir         string
	sandboxAddr string
	log         *logrus.Logger
	timings     *publish.Timings
	// accountsFile stores the demo accounts between restarts; empty stores nothing.
	accountsFile string
}

// startEnvironment builds and starts an environment.
func startEnvironment(ctx context.Context, o environmentOptions) (*environment, error) {
	e := &environment{sim: sandbox.New(registeredAt(o.env["PUBLIC_URL"]))}
	if err := e.sim.Start(o.sandboxAddr); err != nil {
		return nil, fmt.Errorf("%w (try another --sandbox-addr)", err)
	}
	err := e.start(ctx, o)
	if err == nil {
		err = e.subscribe(ctx)
	}
	if err == nil {
		err = e.connect(ctx, o.accountsFile)
	}
	if err != nil {
		return nil, errors.Join(err, e.stop(ctx))
	}
	return e, nil
}

func (e *environment) start(ctx context.Context, o environmentOptions) error {
	for name, value := range sandboxEnv(e.sim) {
		o.env[name] = value
	}
	var err error
	if e.cfg, err = config.Load(config.Dev, func(name string) string { return o.env[name] }); err != nil {
		return err
	}
	opts := app.Options{Log: o.log, Timings: o.timings}
	if e.cfg.Embedded() {
		e.system, err = app.NewEmbedded(ctx, e.cfg, o.dir, opts)
	} else {
		e.system, err = app.NewAllInOne(ctx, e.cfg, opts)
	}
	if err != nil {
		return err
	}
	return e.system.Start(ctx)
}

// subscribe registers the system's webhooks at the simulated platforms, like the platforms'
// developer pages. Both run on this machine, whatever PUBLIC_URL is.
func (e *environment) subscribe(ctx context.Context) error {
	e.sim.SetTikTokWebhook(e.url() + "/api/webhooks/tiktok")
	if e.cfg.InstagramWebhookToken.Empty() {
		return nil
	}
	if err := e.sim.SetMetaWebhook(ctx, e.url()+"/api/webhooks/instagram", e.cfg.InstagramWebhookToken.Reveal()); err != nil {
		return fmt.Errorf("subscribe to Instagram's webhooks: %w", err)
	}
	return nil
}

// registeredAt returns options of simulated platforms that accept redirects to publicURL;
// if it is empty, to any port on localhost.
func registeredAt(publicURL string) sandbox.Options {
	if publicURL == "" {
		return sandbox.Options{}
	}
	callback := strings.TrimRight(publicURL, "/") + "/api/auth/%s/callback"
	return sandbox.Options{
		TikTokRedirectURIs: []string{fmt.Sprintf(callback, "tiktok")}, FacebookRedirectURIs: []string{fmt.Sprintf(callback, "instagram")},
	}
}

// sandboxEnv returns the settings for using the simulated platforms.
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
	fmt.Fprintln(out, "Settings for a system that posts here:")
	env := sandboxEnv(sim)
	for _, name := range []string{
		"TIKTOK_AUTH_URL", "TIKTOK_API_URL", "TIKTOK_CLIENT_KEY", "TIKTOK_CLIENT_SECRET",
		"FACEBOOK_DIALOG_URL", "FACEBOOK_GRAPH_URL", "INSTAGRAM_UPLOAD_URL", "FACEBOOK_APP_ID", "FACEBOOK_APP_SECRET",
		"INSTAGRAM_WEBHOOK_VERIFY_TOKEN",
	} {
		fmt.Fprintf(out, "  %s=%s\n", name, env[name])
	}
}

// stop stops the environment.
func (e *environment) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	var err error
	if e.system != nil {
		err = e.system.Stop(ctx)
	}
	return errors.Join(err, e.sim.Close())
}

// url returns the address of the api on this machine.
func (e *environment) url() string { return localURL(e.system.Addr()) }

// localURL returns the address of a listener on this machine.
func localURL(addr string) string {
	_, port, _ := net.SplitHostPort(addr)
	return "http://" + net.JoinHostPort("127.0.0.1", port)
}

// freeAddr returns an address with a free port: PUBLIC_URL must be known before the api
// listens.
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
