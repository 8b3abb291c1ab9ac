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
     every process, and restart them: the new key encrypts, both decrypt.
  2. Run this. It may be stopped at any time and run again.
  3. When it reports that nothing is left, wait one day until the links that the
     old key signed have expired. Then remove the old key and restart.

A secret that no key decrypts stays as it is and is reported with its key id.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withMigratedDB(cmd.Context(), config.CLITokens, func(cfg config.Config, d *db.DB) error {
				accounts := oauth.New(oauth.Deps{DB: d, Keys: cfg.Keyring, Now: time.Now})
				done, err := accounts.RotateKeys(cmd.Context(), showRotation(cmd.ErrOrStderr()))
				if err != nil {
					return fmt.Errorf("after %d secrets: %w (run it again to continue)", done.Resealed, err)
				}
				return printRotation(cmd.OutOrStdout(), done)
			})
		},
	}
	return group("secrets", "Manage the encryption of stored secrets", rotate)
}

// showRotation prints the progress of a rotation after every thousand secrets.
func showRotation(out io.Writer) func(oauth.Rotation) {
	printed := 0
	return func(r oauth.Rotation) {
		if r.Resealed >= printed+1000 {
			printed = r.Resealed
			fmt.Fprintf(out, "%d secrets so far\n", printed)
		}
	}
}

func printRotation(out io.Writer, r oauth.Rotation) error {
	fmt.Fprintf(out, "%d secrets are now encrypted with the first key\n", r.Resealed)
	if len(r.Unreadable) == 0 {
		fmt.Fprintln(out, "no secret is left under another key")
		return nil
	}
	for _, why := range slices.Sorted(maps.Keys(r.Unreadable)) {
		fmt.Fprintf(out, "%d left as they are: %s\n", r.Unreadable[why], why)
	}
	return errors.New("some secrets cannot be read: append the keys with these ids to TOKEN_ENCRYPTION_KEY and run this again")
}
