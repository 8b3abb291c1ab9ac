package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"socialqueue/app"
	"socialqueue/config"
	"socialqueue/doctor"
	"socialqueue/jobs"
	"socialqueue/observe"
)

func doctorCmd() *cobra.Command {
	var how doctor.Options
	var asJSON bool
	cmd := &cobra.Command{
		Use: "doctor", Short: "Check the installation and report problems", Args: cobra.NoArgs,
		Long: `Check the installation and report problems, with what to do.

Run it with the settings of the api or a worker. With --fix it repairs what can be
repaired without losing or doubling a post: tasks that Redis lost, ids that it left behind,
and old archived tasks. Then it checks again and reports the result. With --production it
also checks what matters only in production.

It exits with 1 if something is still bad, or could not be checked.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := config.LoadDotEnv("."); err != nil {
				return err
			}
			cfg, err := config.Load(config.Scheduler, os.Getenv)
			if err != nil {
				return err
			}
			log := observe.NewLogger("doctor", "error", cfg.LogFormat, cmd.ErrOrStderr())
			jobs.LogRedis(log) // its messages are among the findings
			found, err := app.Examine(cmd.Context(), cfg, app.Options{Log: log}, how)
			if err != nil {
				return err
			}
			if asJSON {
				err = printJSON(cmd.OutOrStdout(), found)
			} else {
				printFindings(cmd.OutOrStdout(), found)
			}
			if err == nil && doctor.Unhealthy(found) {
				err = errors.New("the installation is not healthy: see above")
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&how.Fix, "fix", false, "repair what is safe to repair")
	cmd.Flags().BoolVar(&how.Production, "production", false, "also check what matters in production")
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON array, for scripts")
	return cmd
}

// printFindings prints one line per finding, and below it what to do.
func printFindings(out io.Writer, found []doctor.Finding) {
	const margin = 20
	for _, f := range found {
		level := string(f.Level)
		switch {
		case f.Fixed:
			level = "fixed"
		case f.Level == doctor.Bad:
			level = "BAD"
		case f.Level == doctor.Unchecked:
			level = "?"
		}
		fmt.Fprintf(out, "%-6s%-14s%s\n", level, f.Check, printable(f.What))
		if f.Do != "" {
			fmt.Fprintf(out, "%s-> %s\n", strings.Repeat(" ", margin), f.Do)
		}
	}
}
