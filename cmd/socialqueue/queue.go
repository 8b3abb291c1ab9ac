package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"

	"socialqueue/app"
	"socialqueue/config"
	"socialqueue/db"
	"socialqueue/jobs"
	"socialqueue/models"
	"socialqueue/observe"
	"socialqueue/publish"
)

func queueCmd() *cobra.Command {
	return group("queue", "Pause and resume a queue, a platform or an account", pauseCmd(), resumeCmd(), listPausesCmd())
}

// pauseTarget is what is paused or resumed. Exactly one field is set.
type pauseTarget struct {
	queue, platform, account string
}

func (t *pauseTarget) command(use, short string, do func(*cobra.Command) error) *cobra.Command {
	cmd := &cobra.Command{
		Use: use + " [QUEUE | --platform P | --account P:ID]", Short: short, Args: cobra.MaximumNArgs(1), ValidArgs: jobs.Queues,
		RunE: func(cmd *cobra.Command, args []string) error {
			t.queue = strings.Join(args, "")
			given := slices.DeleteFunc([]string{t.queue, t.platform, t.account}, func(s string) bool { return s == "" })
			if len(given) != 1 {
				return misused("give exactly one of a queue (%s), --platform and --account", strings.Join(jobs.Queues, ", "))
			}
			if t.queue != "" && !slices.Contains(jobs.Queues, t.queue) {
				return misused("there is no queue %q; there are %v", t.queue, jobs.Queues)
			}
			return do(cmd)
		},
	}
	cmd.Flags().StringVar(&t.platform, "platform", "", platformNames()+": send nothing there")
	cmd.Flags().StringVar(&t.account, "account", "", "such as tiktok:3: send nothing to this account")
	return cmd
}

// scope returns the target as publish names it.
func (t *pauseTarget) scope(ctx context.Context, s *publish.Service) (string, error) {
	if t.account == "" {
		return s.PauseScope(ctx, models.Platform(t.platform), 0)
	}
	platform, id, ok := models.ParseLane(t.account)
	if !ok {
		return "", misused("--account %q is not an account, such as tiktok:3", t.account)
	}
	return s.PauseScope(ctx, platform, id)
}

func pauseCmd() *cobra.Command {
	var t pauseTarget
	var reason, by string
	cmd := t.command("pause", "Start nothing new; what runs goes on", func(cmd *cobra.Command) error {
		if t.queue != "" && reason != "" {
			return misused("--reason needs --platform or --account: Asynq stores none for a queue")
		}
		if t.queue != "" {
			return changeQueue(cmd, t.queue, by, "paused", (*jobs.Queue).Pause)
		}
		return withPosts(cmd.Context(), func(s *publish.Service) error {
			scope, err := t.scope(cmd.Context(), s)
			if err != nil {
				return err
			}
			return say(cmd, s.Pause(publish.WithActor(cmd.Context(), by), scope, reason), scope+" is paused")
		})
	})
	cmd.Long = `Start nothing new; what runs goes on.

A paused queue keeps its tasks, of all accounts. Who paused it is only in the log.
Nothing is sent to a paused platform or account: its posts wait, with the reason "paused".
Posts that were sent before are still polled. A post with max_lateness is missed if the
pause lasts longer.`
	cmd.Flags().StringVar(&reason, "reason", "", "why, for other operators; only with --platform or --account")
	cmd.Flags().StringVar(&by, "by", whoami(), "who pauses")
	return cmd
}

func resumeCmd() *cobra.Command {
	var t pauseTarget
	return t.command("resume", "Start again what was paused", func(cmd *cobra.Command) error {
		if t.queue != "" {
			return changeQueue(cmd, t.queue, whoami(), "resumed", (*jobs.Queue).Resume)
		}
		return withPosts(cmd.Context(), func(s *publish.Service) error {
			scope, err := t.scope(cmd.Context(), s)
			if err != nil {
				return err
			}
			was, err := s.Resume(publish.WithActor(cmd.Context(), whoami()), scope)
			if err == nil && !was {
				return say(cmd, nil, scope+" was not paused")
			}
			return say(cmd, err, scope+" is resumed")
		})
	})
}

func listPausesCmd() *cobra.Command {
	return &cobra.Command{
		Use: "pauses", Short: "List what is paused", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withMigratedDB(cmd.Context(), config.Scheduler, func(cfg config.Config, d *db.DB) error {
				pauses, err := d.Admission.Pauses(cmd.Context())
				if err != nil {
					return err
				}
				for _, p := range pauses {
					fmt.Fprintf(cmd.OutOrStdout(), "%s  %s\n", timeText(&p.CreatedAt), printable(p.String()))
				}
				return withRedis(cfg, func(client redis.UniversalClient) error {
					queues, err := jobs.NewQueue(client, app.TaskKinds()).Paused()
					for _, name := range queues {
						fmt.Fprintf(cmd.OutOrStdout(), "queue %s is paused\n", name)
					}
					return err
				})
			})
		},
	}
}

// say prints the outcome unless there is an error.
func say(cmd *cobra.Command, err error, outcome string) error {
	if err == nil {
		fmt.Fprintln(cmd.OutOrStdout(), outcome)
	}
	return err
}

// changeQueue pauses or resumes a queue. Asynq does not store who did it, so it is logged.
func changeQueue(cmd *cobra.Command, name, by, done string, change func(*jobs.Queue, string) error) error {
	return withDB(cmd.Context(), config.Scheduler, func(cfg config.Config, _ *db.DB) error {
		return withRedis(cfg, func(client redis.UniversalClient) error {
			if err := change(jobs.NewQueue(client, app.TaskKinds()), name); err != nil {
				return err
			}
			logOf(cfg, cmd.ErrOrStderr()).WithFields(map[string]any{observe.FieldAction: observe.ActionOperator, "queue": name}).Warn(done + " by " + by)
			fmt.Fprintf(cmd.OutOrStdout(), "%s is %s\n", name, done)
			return nil
		})
	})
}

// withPosts runs fn with the use cases for commands.
func withPosts(ctx context.Context, fn func(*publish.Service) error) error {
	return withMigratedDB(ctx, config.Scheduler, func(cfg config.Config, d *db.DB) error {
		return withRedis(cfg, func(client redis.UniversalClient) error {
			posts, err := app.OperatorPosts(d, client, logOf(cfg, os.Stderr))
			if err != nil {
				return err
			}
			return fn(posts)
		})
	})
}

// logOf returns the log of a command that changes something.
func logOf(cfg config.Config, out io.Writer) *logrus.Logger {
	return observe.NewLogger("socialqueue", cfg.LogLevel, cfg.LogFormat, out)
}
