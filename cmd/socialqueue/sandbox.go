package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"socialqueue/sandbox"
)

func sandboxCmd() *cobra.Command {
	var addr, publicURL string
	cmd := &cobra.Command{
		Use:   "sandbox",
		Short: "Run the simulated TikTok and Instagram",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			sim := sandbox.New(registeredAt(publicURL))
			if err := sim.Start(addr); err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			fmt.Fprintf(out, "The simulated platforms are running. They keep no data when they stop.\n\n")
			fmt.Fprintf(out, "  feeds                   %s/\n", sim.URL())
			fmt.Fprintf(out, "  control                 %s/_sandbox/\n\n", sim.URL())
			printSandboxSettings(out, sim)
			<-cmd.Context().Done()
			return sim.Close()
		},
	}
	cmd.Flags().StringVar(&addr, "addr", "127.0.0.1:4010", "where to listen")
	cmd.Flags().StringVar(&publicURL, "public-url", "", "the PUBLIC_URL of the system whose users consent here; without it, any port on localhost")
	return cmd
}
