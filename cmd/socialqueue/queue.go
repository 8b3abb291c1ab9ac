package main

import (
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"
	"github.com/spf13/cobra"

	"socialqueue/config"
	"socialqueue/db"
	"socialqueue/jobs"
)

func queueCmd() *cobra.Command {
	pause := queueChangeCmd("pause", "Have workers take no more tasks of a queue; what runs goes on", (*jobs.Queue).Pause, "is paused")
	resume := queueChangeCmd("resume", "Have workers take tasks of a queue again", (*jobs.Queue).Resume, "goes on")
	return group("queue", "Pause and resume queues", pause, resume)
}

func queueChangeCmd(verb, short string, change func(*jobs.Queue, string) error, outcome string) *cobra.Command {
	return &cobra.Command{
		Use: verb + " QUEUE", Short: short, Args: cobra.ExactArgs(1), ValidArgs: jobs.Queues,
		RunE: func(cmd *cobra.Command, args []string) error {
			if !slices.Contains(jobs.Queues, args[0]) {
				return fmt.Errorf("there is no queue %q; there are %v", args[0], jobs.Queues)
			}
			return withDB(cmd.Context(), config.Scheduler, func(cfg config.Config, _ *db.DB) error {
				return withRedis(cfg, func(client redis.UniversalClient) error {
					if err := change(jobs.NewQueue(client), args[0]); err != nil {
						return err
					}
					fmt.Fprintf(cmd.OutOrStdout(), "%s %s\n", args[0], outcome)
					return nil
				})
			})
		},
	}
}
