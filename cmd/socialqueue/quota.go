package main

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"socialqueue/config"
	"socialqueue/db"
	"socialqueue/models"
)

// setAppCmd sets the quotas of an app. Each quota has a flag.
func setAppCmd() *cobra.Command {
	var appID int64
	var weight int
	values := make(map[models.AppQuota]*string, len(models.AppQuotas))
	cmd := &cobra.Command{
		Use:   "set --app ID [--waiting-posts N] [--media-bytes SIZE] [--users N] [--open-connects N] [--weight N]",
		Short: "Set what an app may have, or show it",
		Long: `Set what an app may have, or show it.

Beyond a quota the app's requests are answered with 429 QUOTA_EXCEEDED. A quota
is a number, --media-bytes also a size such as 500GiB, or "default". Running
processes use a new quota within a minute.

Where more posts are due than the workers can begin, apps take turns. An app with
--weight 3 has three turns where others have one.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			changes, err := quotaChanges(cmd, values)
			if err != nil {
				return err
			}
			if cmd.Flags().Changed("weight") && (weight < 1 || weight > models.MaxWeight) {
				return misused("--weight %d: write a number from 1 to %d", weight, models.MaxWeight)
			}
			return withMigratedDB(cmd.Context(), config.CLI, func(_ config.Config, d *db.DB) error {
				for q, most := range changes {
					if err := d.Tenants.SetQuota(cmd.Context(), appID, q, most); err != nil {
						return err
					}
				}
				if cmd.Flags().Changed("weight") {
					if err := d.Tenants.SetWeight(cmd.Context(), appID, weight); err != nil {
						return err
					}
				}
				return showQuotas(cmd.Context(), tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0), d.Tenants, appID)
			})
		},
	}
	cmd.Flags().Int64Var(&appID, "app", 0, "the app's id")
	_ = cmd.MarkFlagRequired("app")
	cmd.Flags().IntVar(&weight, "weight", 1, "how many turns the app has where others have one")
	for _, q := range models.AppQuotas {
		values[q.Name] = cmd.Flags().String(quotaFlag(q.Name), "", "the most "+q.Title)
	}
	return cmd
}

func quotaFlag(q models.AppQuota) string { return strings.ReplaceAll(string(q), "_", "-") }

// quotaChanges returns the quotas whose flags were given; nil stands for the default.
func quotaChanges(cmd *cobra.Command, values map[models.AppQuota]*string) (map[models.AppQuota]*int64, error) {
	changes := map[models.AppQuota]*int64{}
	for q, value := range values {
		if !cmd.Flags().Changed(quotaFlag(q)) {
			continue
		}
		if *value == "default" {
			changes[q] = nil
			continue
		}
		n, err := parseQuota(q, *value)
		if err != nil {
			return nil, err
		}
		changes[q] = &n
	}
	return changes, nil
}

func parseQuota(q models.AppQuota, value string) (int64, error) {
	if q == models.QuotaMediaBytes {
		if n, err := humanize.ParseBytes(value); err == nil && n <= math.MaxInt64 {
			return int64(n), nil
		}
		return 0, misused("--%s %q is no size: write a number of bytes, such as 500GiB, or \"default\"", quotaFlag(q), value)
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n < 0 {
		return 0, misused("--%s %q is no number: write one from 0 on, or \"default\"", quotaFlag(q), value)
	}
	return n, nil
}

func showQuotas(ctx context.Context, table *tabwriter.Writer, store *db.Tenants, appID int64) error {
	fmt.Fprintln(table, "QUOTA\tUSED\tMOST")
	for _, q := range models.AppQuotas {
		most, err := store.Quota(ctx, appID, q.Name)
		if err != nil {
			return err
		}
		used := "-" // counted in Redis
		if q.Name != models.QuotaOpenConnects {
			n, err := store.Used(ctx, appID, q.Name)
			if err != nil {
				return err
			}
			used = strconv.FormatInt(n, 10)
		}
		fmt.Fprintf(table, "%s\t%s\t%d\n", quotaFlag(q.Name), used, most)
	}
	weight, err := store.Weight(ctx, appID)
	if err != nil {
		return err
	}
	fmt.Fprintf(table, "weight\t-\t%d\n", weight)
	return table.Flush()
}
