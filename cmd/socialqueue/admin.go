package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"socialqueue/app"
	"socialqueue/config"
	"socialqueue/db"
	"socialqueue/models"
	"socialqueue/oauth"
	"socialqueue/secrets"
	"socialqueue/tenants"
)

// adminConns is the number of database connections of a command.
const adminConns = 2

// withDB runs fn on the database of the settings.
func withDB(ctx context.Context, role config.Role, fn func(config.Config, *db.DB) error) error {
	if err := config.LoadDotEnv("."); err != nil {
		return err
	}
	cfg, err := config.Load(role, os.Getenv)
	if err != nil {
		return err
	}
	d, err := db.OpenPostgres(ctx, cfg.DatabaseURL, adminConns)
	if err != nil {
		return err
	}
	return errors.Join(fn(cfg, d), d.Close())
}

// withMigratedDB is withDB for commands that need the current schema.
func withMigratedDB(ctx context.Context, role config.Role, fn func(config.Config, *db.DB) error) error {
	return withDB(ctx, role, func(cfg config.Config, d *db.DB) error {
		if err := d.CheckMigrated(ctx); err != nil {
			return err
		}
		return fn(cfg, d)
	})
}

// printJSON writes one line of JSON for scripts.
func printJSON(out io.Writer, v any) error {
	if err := json.NewEncoder(out).Encode(v); err != nil {
		return fmt.Errorf("print the result: %w", err)
	}
	return nil
}

func migrateCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "migrate",
		Short: "Migrate the database schema to this version",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withDB(cmd.Context(), config.CLI, func(_ config.Config, d *db.DB) error {
				applied, err := d.Migrate(cmd.Context())
				if err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%d migrations applied; the schema is up to date\n", applied)
				return nil
			})
		},
	}
}

func appCmd() *cobra.Command {
	var name string
	create := &cobra.Command{
		Use:   "create --name NAME",
		Short: "Create an app and show its API key, which is not shown again",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if strings.TrimSpace(name) == "" {
				return misused("--name is empty; give the app a display name")
			}
			return withMigratedDB(cmd.Context(), config.CLI, func(_ config.Config, d *db.DB) error {
				id, key, err := tenants.New(tenants.Deps{DB: d, Now: time.Now}).CreateApp(cmd.Context(), name)
				if err != nil {
					return err
				}
				return printJSON(cmd.OutOrStdout(), createdApp{id, key.Reveal()})
			})
		},
	}
	create.Flags().StringVar(&name, "name", "", "the app's display name")
	_ = create.MarkFlagRequired("name")
	return group("app", "Manage apps, the tenants of this installation", create, setAppCmd(), allowReturnCmd())
}

func allowReturnCmd() *cobra.Command {
	var appID int64
	cmd := &cobra.Command{
		Use:   "allow-return --app ID HOST",
		Short: "Register a host that an app's users may return to after they connected an account",
		Long: `Register a host that an app's users may return to after they connected an account.

HOST is the host in return_url: app.example.com, or with its port
localhost:8080. A return_url with another host is refused.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withMigratedDB(cmd.Context(), config.CLI, func(_ config.Config, d *db.DB) error {
				accounts := oauth.New(oauth.Deps{DB: d, Now: time.Now})
				if err := accounts.AllowReturn(cmd.Context(), appID, args[0]); err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "app %d: return_url may have the host %s\n", appID, args[0])
				return nil
			})
		},
	}
	cmd.Flags().Int64Var(&appID, "app", 0, "the app's id")
	_ = cmd.MarkFlagRequired("app")
	return cmd
}

type createdApp struct {
	AppID  int64  `json:"app_id"`
	APIKey string `json:"api_key"`
}

func keyCmd() *cobra.Command {
	var appID int64
	create := &cobra.Command{
		Use:   "create --app ID",
		Short: "Create another API key and show it, which is not shown again",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withMigratedDB(cmd.Context(), config.CLI, func(_ config.Config, d *db.DB) error {
				key, err := tenants.New(tenants.Deps{DB: d, Now: time.Now}).CreateKey(cmd.Context(), appID)
				if err != nil {
					return err
				}
				return printJSON(cmd.OutOrStdout(), createdApp{appID, key.Reveal()})
			})
		},
	}
	create.Flags().Int64Var(&appID, "app", 0, "the app's id")
	_ = create.MarkFlagRequired("app")
	revoke := &cobra.Command{
		Use:   "revoke PREFIX",
		Short: "Revoke an API key, given by the part between its underscores",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withMigratedDB(cmd.Context(), config.CLI, func(_ config.Config, d *db.DB) error {
				if err := tenants.New(tenants.Deps{DB: d, Now: time.Now}).RevokeKey(cmd.Context(), args[0]); err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "key %s is revoked; running processes refuse it within seconds\n", args[0])
				return nil
			})
		},
	}
	return group("key", "Manage API keys", create, revoke)
}

// maxTokenInput limits the size of a token on standard input.
const maxTokenInput = 64 << 10

func accountCmd() *cobra.Command {
	var in oauth.Import
	var platform, expiresAt string
	imp := &cobra.Command{
		Use:   "import --app ID --user ID --platform tiktok|instagram --id PLATFORM_ID < token",
		Short: "Store an account whose access token you have; the token is read from standard input",
		Long: `Store an account whose access token you have.

The token is read from standard input, so that it is not visible in the process
list or the shell history. A second line, if there is one, is the refresh token.
The id is TikTok's open_id, or the id of the Instagram professional account. The
token of an Instagram account is that of its Facebook Page.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			in.Platform = models.Platform(platform)
			if err := app.CheckPlatform(in.Platform); err != nil {
				return err
			}
			if err := readTokens(cmd.InOrStdin(), expiresAt, &in); err != nil {
				return err
			}
			return withMigratedDB(cmd.Context(), config.CLITokens, func(cfg config.Config, d *db.DB) error {
				id, err := oauth.New(oauth.Deps{DB: d, Keys: cfg.Keyring, Now: time.Now}).Import(cmd.Context(), in)
				if err != nil {
					return err
				}
				return printJSON(cmd.OutOrStdout(), map[string]int64{"account_id": id})
			})
		},
	}
	f := imp.Flags()
	f.Int64Var(&in.AppID, "app", 0, "the app's id")
	f.Int64Var(&in.UserID, "user", 0, "the id of the app's user (POST /api/users)")
	f.StringVar(&platform, "platform", "", platformNames())
	f.StringVar(&in.ProviderAccountID, "id", "", "the platform's id of the account")
	f.StringVar(&in.Username, "username", "", "the account's username")
	f.StringVar(&in.Scope, "scope", "", "the granted scopes, comma separated")
	f.StringVar(&expiresAt, "expires-at", "", "when the access token expires (RFC 3339)")
	for _, name := range []string{"app", "user", "platform", "id"} {
		_ = imp.MarkFlagRequired(name)
	}
	return group("account", "Manage connected accounts", imp)
}

func readTokens(from io.Reader, expiresAt string, in *oauth.Import) error {
	raw, err := io.ReadAll(io.LimitReader(from, maxTokenInput))
	if err != nil {
		return fmt.Errorf("read the token: %w", err)
	}
	lines := strings.SplitN(strings.TrimSpace(string(raw)), "\n", 2)
	in.Access = secrets.Secret(strings.TrimSpace(lines[0]))
	if len(lines) == 2 {
		in.Refresh = secrets.Secret(strings.TrimSpace(lines[1]))
	}
	if expiresAt == "" {
		return nil
	}
	at, err := time.Parse(time.RFC3339, expiresAt)
	if err != nil {
		return misused("--expires-at %q is not an RFC 3339 time, such as 2026-12-31T23:59:59Z", expiresAt)
	}
	at = models.Time(at)
	in.ExpiresAt = &at
	return nil
}
