package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"socialqueue/config"
	"socialqueue/observe"
	"socialqueue/secrets"
)

func devCmd() *cobra.Command {
	var dir, sandboxAddr string
	var returnHosts []string
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run everything in one process against the simulated platforms, until Ctrl-C",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runDev(cmd.Context(), cmd.OutOrStdout(), dir, sandboxAddr, returnHosts)
		},
	}
	cmd.Flags().StringVar(&dir, "data", "data", "where the embedded database and the files live")
	cmd.Flags().StringVar(&sandboxAddr, "sandbox-addr", "127.0.0.1:4010", "where the simulated platforms listen")
	cmd.Flags().StringSliceVar(&returnHosts, "allow-return", nil, "a host that return_url may lead to, such as localhost:8080; may be given again")
	return cmd
}

func runDev(ctx context.Context, out io.Writer, dir, sandboxAddr string, returnHosts []string) error {
	if err := config.LoadDotEnv("."); err != nil {
		return err
	}
	env, err := devEnv(dir)
	if err != nil {
		return err
	}
	log := observe.NewLogger("dev", orDefault(env["LOG_LEVEL"], "info"), orDefault(env["LOG_FORMAT"], "text"), os.Stderr)
	stopTracing, err := observe.StartTracing(ctx, "dev", log)
	if err != nil {
		return err
	}
	defer stopTracing()
	s, err := raise(ctx, stageOptions{env: env, dir: dir, sandboxAddr: sandboxAddr, log: log, kept: filepath.Join(dir, "dev.json")})
	if err != nil {
		return err
	}
	for _, host := range returnHosts {
		if err := s.system.AllowReturn(ctx, s.cast.AppID, host); err != nil {
			return errors.Join(err, s.strike(ctx))
		}
	}
	s.greet(out)
	<-ctx.Done()
	fmt.Fprintln(out, "stopping")
	return s.strike(ctx)
}

// devEnv is the environment with what a developer's machine may leave out.
func devEnv(dir string) (map[string]string, error) {
	env := map[string]string{}
	for _, entry := range os.Environ() {
		if name, value, found := strings.Cut(entry, "="); found {
			env[name] = value
		}
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("find the data folder: %w", err)
	}
	defaults := map[string]string{
		"HTTP_ADDR":                   "127.0.0.1:3000",
		"MEDIA_BUCKET_URL":            "file://" + filepath.ToSlash(abs) + "/media?create_dir=true",
		"MEDIA_ALLOW_PRIVATE_HOSTS":   "true",
		"WEBHOOK_ALLOW_PRIVATE_HOSTS": "true",
	}
	for name, value := range defaults {
		env[name] = orDefault(env[name], value)
	}
	env["PUBLIC_URL"] = orDefault(env["PUBLIC_URL"], localURL(env["HTTP_ADDR"]))
	if env["TOKEN_ENCRYPTION_KEY"] == "" && env["TOKEN_ENCRYPTION_KEY_FILE"] == "" {
		if env["TOKEN_ENCRYPTION_KEY"], err = keptSecret(filepath.Join(abs, "token.key")); err != nil {
			return nil, err
		}
	}
	if env["OPERATOR_PASSWORD"] == "" && env["OPERATOR_PASSWORD_FILE"] == "" {
		env["OPERATOR_PASSWORD"], err = keptSecret(filepath.Join(abs, "operator.password"))
	}
	return env, err
}

// keptSecret reads a secret of ours, or makes it: tokens in the kept database must
// open again after a restart.
func keptSecret(path string) (string, error) {
	raw, err := os.ReadFile(path)
	if err == nil {
		return strings.TrimSpace(string(raw)), nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("read the kept %s: %w", filepath.Base(path), err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", fmt.Errorf("make the data folder: %w", err)
	}
	key := secrets.NewRandomKey()
	if err := os.WriteFile(path, []byte(key+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("keep %s: %w", filepath.Base(path), err)
	}
	return key, nil
}

func (s *stage) greet(out io.Writer) {
	where := "on SQLite and an embedded Redis"
	if !s.cfg.Embedded() {
		where = "on your Postgres and Redis"
	}
	fmt.Fprintf(out, "\nsocialqueue dev: everything in one process, %s. Not for production.\n\n", where)
	fmt.Fprintf(out, "  api                 %s\n", s.url())
	fmt.Fprintf(out, "  feeds               %s/\n", s.sim.URL())
	fmt.Fprintf(out, "  console             %s/console (user %s, password %s)\n", s.url(), s.cfg.OperatorUser, s.cfg.OperatorPassword.Reveal())
	fmt.Fprintf(out, "  queues              %s/monitoring\n", s.url())
	fmt.Fprintf(out, "  API key             %s\n", s.cast.APIKey)
	fmt.Fprintf(out, "  user                %d\n", s.cast.UserID)
	fmt.Fprintf(out, "  TikTok account      %d\n", s.cast.TikTokID)
	fmt.Fprintf(out, "  Instagram account   %d\n\n", s.cast.InstagramID)
	fmt.Fprintf(out, "Connect another one: open the address that this answers.\n")
	fmt.Fprintf(out, "  curl -H 'Authorization: Bearer %s' -H 'Accept: application/json' '%s/api/auth/tiktok?user_id=%d'\n\n", s.cast.APIKey, s.url(), s.cast.UserID)
	fmt.Fprintf(out, "Try:\n")
	fmt.Fprintf(out, "  curl -H 'Authorization: Bearer %s' --data-binary @video.mp4 -H 'Content-Type: video/mp4' %s/api/media\n\n", s.cast.APIKey, s.url())
}

func orDefault(value, fallback string) string {
	if value == "" {
		return fallback
	}
	return value
}
