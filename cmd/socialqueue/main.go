// Command socialqueue is the command line program: it runs demos and development setups,
// and manages an installation.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := root().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "socialqueue:", err)
		code := exitCode(err)
		if code == exitMisuse {
			fmt.Fprintln(os.Stderr, "See socialqueue COMMAND --help.")
		}
		stop()
		os.Exit(code)
	}
}

// The exit codes of commands.
const (
	exitFailure = 1
	exitMisuse  = 2
)

// misuse is the error of an invalid command line, before anything was tried.
type misuse struct{ error }

func misused(format string, args ...any) error { return misuse{fmt.Errorf(format, args...)} }

func exitCode(err error) int {
	if _, ok := errors.AsType[misuse](err); ok {
		return exitMisuse
	}
	for _, begin := range []string{"unknown command ", "required flag(s) ", "accepts ", "requires at least "} { // cobra's own have no type
		if strings.HasPrefix(err.Error(), begin) {
			return exitMisuse
		}
	}
	return exitFailure
}

func root() *cobra.Command {
	cmd := &cobra.Command{
		Use:           "socialqueue",
		Short:         "A self-hosted posting queue for TikTok and Instagram",
		Version:       version(),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return misuse{err} })
	cmd.AddCommand(demoCmd(), devCmd(), sandboxCmd(), migrateCmd(), appCmd(), keyCmd(), accountCmd(), postCmd(), restoredCmd(), queueCmd(), webhookCmd(), secretsCmd(), doctorCmd())
	return cmd
}

// group returns a command that only has subcommands.
func group(name, short string, commands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: name, Short: short,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return misused("%s has no command %q; see socialqueue %s --help", name, args[0], name)
			}
			return cmd.Help()
		},
	}
	cmd.AddCommand(commands...)
	return cmd
}

// version returns the version that the Go toolchain stored in the program.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
