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
	cmd.Flags().StringVar(&dir, "data", "data", "the folder of the embedded database and the files")
	cmd.Flags().StringVar(&sandboxAddr, "sandbox-addr", "127.0.0.1:4010", "the address of the simulated platforms")
	cmd.Flags().StringSliceVar(&returnHosts, "allow-return", nil, "a host that return_url may have, such as localhost:8080; may be repeated")
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
	e, err := startEnvironment(ctx, environmentOptions{env: env, dir: dir, sandboxAddr: sandboxAddr, log: log, accountsFile: filepath.Join(dir, "dev.json")})
	if err != nil {
		return err
	}
	for _, host := range returnHosts {
		if err := e.system.AllowReturn(ctx, e.accounts.AppID, host); err != nil {
			return errors.Join(err, e.stop(ctx))
		}
	}
	e.printWelcome(out)
	<-ctx.Done()
	fmt.Fprintln(out, "stopping")
	return e.stop(ctx)
}

// devEnv returns the environment, with defaults for development.
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
		if env["TOKEN_ENCRYPTION_KEY"], err = storedSecret(filepath.Join(abs, "token.key")); err != nil {
			return nil, err
		}
	}
	if env["OPERATOR_PASSWORD"] == "" && env["OPERATOR_PASSWORD_FILE"] == "" {
		env["OPERATOR_PASSWORD"], err = storedSecret(filepath.Join(abs, "operator.password"))
	}
	return env, err
}

// storedSecret reads a secret from a file, or creates it: tokens in the stored database
// must be readable after a restart.
func storedSecret(path string) (string, error) {
	raw, err := os.ReadFile(path)
	if err == nil {
		return strings.TrimSpace(string(raw)), nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("read the stored %s: %w", filepath.Base(path), err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", fmt.Errorf("create the data folder: %w", err)
	}
	key := secrets.NewRandomKey()
	if err := os.WriteFile(path, []byte(key+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("store %s: %w", filepath.Base(path), err)
	}
	return key, nil
}

func (e *environment) printWelcome(out io.Writer) {
	where := "on SQLite and an embedded Redis"
	if !e.cfg.Embedded() {
		where = "on your Postgres and Redis"
	}
	fmt.Fprintf(out, "\nsocialqueue dev: everything in one process, %s. Not for production.\n\n", where)
	fmt.Fprintf(out, "  api                 %s\n", e.url())
	fmt.Fprintf(out, "  feeds               %s/\n", e.sim.URL())
	fmt.Fprintf(out, "  console             %s/console (user %s, password %s)\n", e.url(), e.cfg.OperatorUser, e.cfg.OperatorPassword.Reveal())
	fmt.Fprintf(out, "  queues              %s/monitoring\n", e.url())
	fmt.Fprintf(out, "  API key             %s\n", e.accounts.APIKey)
	fmt.Fprintf(out, "  user                %d\n", e.accounts.UserID)
	fmt.Fprintf(out, "  TikTok account      %d\n", e.accounts.TikTokID)
	fmt.Fprintf(out, "  Instagram account   %d\n\n", e.accounts.InstagramID)
	fmt.Fprintf(out, "To connect another account, open the address that this returns.\n")
	fmt.Fprintf(out, "  curl -H 'Authorization: Bearer %s' -H 'Accept: application/json' '%s/api/auth/tiktok?user_id=%d'\n\n", e.accounts.APIKey, e.url(), e.accounts.UserID)
	fmt.Fprintf(out, "Try:\n")
	fmt.Fprintf(out, "  curl -H 'Authorization: Bearer %s' --data-binary @video.mp4 -H 'Content-Type: video/mp4' %s/api/media\n\n", e.accounts.APIKey, e.url())
}

func orDefault(value, fallback string) string {
	if value == "" {
		return fallback
	}
	return value
}
