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
		Use: "doctor", Short: "Look at the installation and say what is wrong with it", Args: cobra.NoArgs,
		Long: `Look at the installation and say what is wrong with it, and what to do.

Run it with the settings of the api or a worker. With --fix it mends what loses and
doubles no post: tasks that Redis lost, ids that it left behind, old archived tasks; then
it looks again and tells what is there. With --production it also looks at what only
matters where people rely on it.

It exits with 1 if something is still bad, or could not be looked at.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := config.LoadDotEnv("."); err != nil {
				return err
			}
			cfg, err := config.Load(config.Scheduler, os.Getenv)
			if err != nil {
				return err
			}
			log := observe.NewLogger("doctor", "error", cfg.LogFormat, cmd.ErrOrStderr())
			jobs.LogRedis(log) // what it would write in between is among what is found
			found, err := app.Examine(cmd.Context(), cfg, app.Options{Log: log}, how)
			if err != nil {
				return err
			}
			if asJSON {
				err = printJSON(cmd.OutOrStdout(), found)
			} else {
				tellFindings(cmd.OutOrStdout(), found)
			}
			if err == nil && doctor.Sick(found) {
				err = errors.New("something is bad: see above")
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&how.Fix, "fix", false, "mend what is safe to mend")
	cmd.Flags().BoolVar(&how.Production, "production", false, "look at what matters in production, too")
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON array, for scripts")
	return cmd
}

// tellFindings prints one line for each, and what to do below those that need it.
func tellFindings(out io.Writer, found []doctor.Finding) {
	const margin = 20
	for _, f := range found {
		level := string(f.Level)
		switch {
		case f.Fixed:
			level = "fixed"
		case f.Level == doctor.Bad:
			level = "BAD"
		case f.Level == doctor.Unseen:
			level = "?"
		}
		fmt.Fprintf(out, "%-6s%-14s%s\n", level, f.Check, printable(f.What))
		if f.Do != "" {
			fmt.Fprintf(out, "%s-> %s\n", strings.Repeat(" ", margin), f.Do)
		}
	}
}
