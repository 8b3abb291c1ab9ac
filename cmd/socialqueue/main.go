// Command socialqueue is the one binary for people: try the system, run it for
// development, and look after an installation.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := root().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "socialqueue:", err)
		stop()
		os.Exit(1)
	}
}

func root() *cobra.Command {
	cmd := &cobra.Command{
		Use:           "socialqueue",
		Short:         "A self-hosted posting queue for TikTok and Instagram",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	cmd.AddCommand(demoCmd(), devCmd(), sandboxCmd(), migrateCmd(), appCmd(), keyCmd(), accountCmd())
	return cmd
}
