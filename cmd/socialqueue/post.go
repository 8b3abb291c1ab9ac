package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
	"github.com/spf13/cobra"

	"socialqueue/app"
	"socialqueue/config"
	"socialqueue/db"
	"socialqueue/jobs"
	"socialqueue/models"
	"socialqueue/publish"
	"socialqueue/view"
)

func postCmd() *cobra.Command {
	return group("post", "Show a post, and change it by hand", showPostCmd(), retryPostCmd(), cancelPostCmd(), resolvePostCmd(), releasePostCmd())
}

// withRedis runs fn on the Redis of the settings.
func withRedis(cfg config.Config, fn func(redis.UniversalClient) error) error {
	settings, err := config.ParseRedisURL(cfg.RedisURL)
	if err != nil {
		return err
	}
	client := jobs.NewRedis(settings)
	return errors.Join(fn(client), client.Close())
}

// postID reads the id of a post.
func postID(text string) (string, error) {
	id, err := uuid.Parse(text)
	if err != nil {
		return "", misused("%q is not the id of a post, such as %s", text, models.NewID())
	}
	return id.String(), nil
}

// withPost runs fn on a post, with the use cases for commands.
func withPost(ctx context.Context, id string, fn func(*db.DB, *publish.Service, *models.Post) error) error {
	id, err := postID(id)
	if err != nil {
		return err
	}
	return withMigratedDB(ctx, config.Scheduler, func(cfg config.Config, d *db.DB) error {
		return withRedis(cfg, func(client redis.UniversalClient) error {
			p, err := d.Posts.ByID(ctx, id)
			if err != nil {
				return err
			}
			posts, err := app.OperatorPosts(d, client, logOf(cfg, os.Stderr))
			if err != nil {
				return err
			}
			return fn(d, posts, p)
		})
	})
}

func showPostCmd() *cobra.Command {
	return &cobra.Command{
		Use: "show ID", Short: "Show a post with its recorded calls and its timeline", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withPost(cmd.Context(), args[0], func(d *db.DB, posts *publish.Service, p *models.Post) error {
				ledger, err := posts.Ledger(cmd.Context(), p)
				if err != nil {
					return err
				}
				events, err := d.Posts.Events(cmd.Context(), p.ID)
				if err != nil {
					return err
				}
				if err := printJSON(cmd.OutOrStdout(), view.OfPost(p, time.Now())); err != nil {
					return err
				}
				return tabulatePost(cmd.OutOrStdout(), p, ledger, events)
			})
		},
	}
}

func tabulatePost(out io.Writer, p *models.Post, ledger models.Ledger, events []models.PostEvent) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "\nfence %d, %s, next run %s, lease %s\n", p.Fence, orDefault(string(p.Admission), "no run planned"), timeText(p.RunAt), timeText(p.LeaseUntil))
	fmt.Fprintln(table, "\nRECORDED CALL\tSTATE\tFENCE\tBEGUN\tSETTLED\tID")
	for _, e := range ledger {
		id := ""
		if e.ExternalID != nil {
			id = *e.ExternalID
		}
		fmt.Fprintf(table, "%s\t%s\t%d\t%s\t%s\t%s\n", e.Op, e.State, e.Fence, timeText(&e.CreatedAt), timeText(e.SettledAt), printable(id))
	}
	fmt.Fprintln(table, "\nAT\tWHAT\tHTTP\tCODE\tMESSAGE")
	for _, e := range events {
		what := e.Op
		if e.Type == models.EventState {
			what = fmt.Sprintf("%s > %s", e.From, e.To)
		}
		fmt.Fprintf(table, "%s\t%s\t%d\t%s\t%s\n", timeText(&e.At), orDefault(what, e.Type), e.HTTPStatus, printable(e.PlatformCode), printable(e.Message))
	}
	return table.Flush()
}

func timeText(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}

func retryPostCmd() *cobra.Command {
	return changePostCmd("retry ID", "Run a failed or missed post again", func(ctx context.Context, s *publish.Service, p *models.Post) (*models.Post, error) {
		return s.Retry(ctx, p.AppID, p.ID)
	})
}

func cancelPostCmd() *cobra.Command {
	return changePostCmd("cancel ID", "Cancel a post whose sending has not begun", func(ctx context.Context, s *publish.Service, p *models.Post) (*models.Post, error) {
		return s.Cancel(ctx, p.AppID, p.ID)
	})
}

// changePostCmd returns a command that changes a post and shows it.
func changePostCmd(use, short string, change func(context.Context, *publish.Service, *models.Post) (*models.Post, error)) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withPost(cmd.Context(), args[0], func(_ *db.DB, s *publish.Service, p *models.Post) error {
				changed, err := change(publish.WithActor(cmd.Context(), whoami()), s, p)
				if err != nil {
					return err
				}
				return printJSON(cmd.OutOrStdout(), view.OfPost(changed, time.Now()))
			})
		},
	}
}

func resolvePostCmd() *cobra.Command {
	var live, permalink, by string
	var notLive bool
	cmd := changePostCmd("resolve ID", "Settle an uncertain post by hand", func(ctx context.Context, s *publish.Service, p *models.Post) (*models.Post, error) {
		switch {
		case (live != "") == notLive:
			return nil, misused("give either --live PLATFORM_ID or --not-live")
		case notLive && permalink != "":
			return nil, misused("--permalink needs --live")
		case notLive:
			return s.Release(ctx, p.ID, by)
		default:
			return s.ResolveLive(ctx, p.ID, live, permalink, by)
		}
	})
	cmd.Long = `Settle an uncertain post by hand, after you checked the account.

With --live the post is published, with the id that the platform shows. With
--not-live it is sent again: if it was live after all, it is then live twice.
The timeline shows the decision and who made it.`
	f := cmd.Flags()
	f.StringVar(&live, "live", "", "the post is live: its id at the platform")
	f.StringVar(&permalink, "permalink", "", "the address of the post, with --live")
	f.BoolVar(&notLive, "not-live", false, "the post is not live and will not be: send it again")
	f.StringVar(&by, "by", whoami(), "who decided")
	return cmd
}

// whoami returns the user who runs the command.
func whoami() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "an operator"
}
