package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"socialqueue/config"
	"socialqueue/db"
	"socialqueue/oauth"
)

func secretsCmd() *cobra.Command {
	rotate := &cobra.Command{
		Use:   "rotate",
		Short: "Encrypt every stored secret with the first key of TOKEN_ENCRYPTION_KEY",
		Long: `Encrypt every stored secret with the first key of TOKEN_ENCRYPTION_KEY.

To replace a key while the system runs:

  1. Put the new key in front of the old one, comma-separated, in the settings of
     every process, and restart them: the new one encrypts, both decrypt.
  2. Run this. It may be stopped at any time and run again.
  3. When it says that nothing is left, and a day later, when the links are over
     that the old key signed, take the old key out and restart.

A secret that no key opens is left as it is and named by the id of its key.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withMigratedDB(cmd.Context(), config.CLITokens, func(cfg config.Config, d *db.DB) error {
				accounts := oauth.New(oauth.Deps{DB: d, Keys: cfg.Keyring, Now: time.Now})
				done, err := accounts.RotateKeys(cmd.Context(), showRotation(cmd.ErrOrStderr()))
				if err != nil {
					return fmt.Errorf("after %d secrets: %w (run it again to go on)", done.Resealed, err)
				}
				return tellRotation(cmd.OutOrStdout(), done)
			})
		},
	}
	return group("secrets", "Manage the encryption of stored secrets", rotate)
}

// showRotation tells how far a rotation is, after every thousand secrets.
func showRotation(out io.Writer) func(oauth.Rotation) {
	told := 0
	return func(r oauth.Rotation) {
		if r.Resealed >= told+1000 {
			told = r.Resealed
			fmt.Fprintf(out, "%d secrets so far\n", told)
		}
	}
}

func tellRotation(out io.Writer, r oauth.Rotation) error {
	fmt.Fprintf(out, "%d secrets are now encrypted with the first key\n", r.Resealed)
	if len(r.Unreadable) == 0 {
		fmt.Fprintln(out, "nothing is left under another key")
		return nil
	}
	for _, why := range slices.Sorted(maps.Keys(r.Unreadable)) {
		fmt.Fprintf(out, "%d left as they are: %s\n", r.Unreadable[why], why)
	}
	return errors.New("some secrets cannot be read: add the keys that are named to TOKEN_ENCRYPTION_KEY, behind the first, and run this again")
}
