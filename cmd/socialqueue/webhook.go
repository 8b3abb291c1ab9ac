package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"socialqueue/app"
	"socialqueue/config"
	"socialqueue/db"
	"socialqueue/models"
)

func webhookCmd() *cobra.Command {
	return group("webhook", "List the events of platforms' webhooks, and replay them", listWebhooksCmd(), replayWebhooksCmd())
}

// webhookChoice holds the flags that select events.
type webhookChoice struct {
	platform, status, event string
	limit                   int
}

// maxWebhooks limits the events that one command lists or replays.
const maxWebhooks = 10_000

func (w *webhookChoice) flags(cmd *cobra.Command, limit int) {
	f := cmd.Flags()
	f.StringVar(&w.platform, "platform", "", platformNames())
	f.StringVar(&w.status, "status", "", "pending, processed, unmatched or unknown")
	f.StringVar(&w.event, "event", "", "the event's name, such as comments")
	f.IntVar(&w.limit, "limit", limit, "the largest number of events, the newest first")
}

func (w *webhookChoice) filter() (db.WebhookFilter, error) {
	f := db.WebhookFilter{Platform: models.Platform(w.platform), Status: models.WebhookStatus(w.status), Name: w.event, Limit: w.limit}
	switch {
	case w.platform != "" && !slices.Contains(app.PlatformNames(), f.Platform):
		return f, misused("--platform %q is not %s", w.platform, platformNames())
	case w.status != "" && !slices.Contains(models.WebhookStatuses, f.Status):
		return f, misused("--status %q is not one of %v", w.status, models.WebhookStatuses)
	case w.limit < 1 || w.limit > maxWebhooks:
		return f, misused("--limit must be from 1 to %d", maxWebhooks)
	}
	return f, nil
}

// platformNames returns the known platforms as text, such as "tiktok or instagram".
func platformNames() string {
	var names []string
	for _, p := range app.PlatformNames() {
		names = append(names, string(p))
	}
	return strings.Join(names, " or ")
}

func listWebhooksCmd() *cobra.Command {
	var choice webhookChoice
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the events of platforms' webhooks, newest first",
		Long: `List the events of platforms' webhooks, newest first.

An event is pending while it waits to be processed, or to be tried again because
its post or account is not stored yet. It is unmatched if that did not change, and
unknown if events of its kind are ignored. OUTCOME gives the reason.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			filter, err := choice.filter()
			if err != nil {
				return err
			}
			return withMigratedDB(cmd.Context(), config.CLI, func(_ config.Config, d *db.DB) error {
				events, err := d.Inbox.List(cmd.Context(), filter)
				if err != nil {
					return err
				}
				if asJSON {
					return printEvents(cmd.OutOrStdout(), events)
				}
				return tabulateEvents(cmd.OutOrStdout(), events)
			})
		},
	}
	choice.flags(cmd, 50)
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line, with the payload")
	return cmd
}

func tabulateEvents(out io.Writer, events []models.WebhookEvent) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tRECEIVED\tPLATFORM\tEVENT\tACCOUNT\tSTATUS\tOUTCOME")
	for _, e := range events {
		fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\t%s\t%s\n",
			e.ID, e.ReceivedAt.UTC().Format(time.RFC3339), e.Platform, printable(e.Name), printable(e.Account), e.Status, printable(e.Outcome))
	}
	return table.Flush()
}

// printable puts a text on one line, without control characters.
func printable(s string) string {
	signs := strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) && !unicode.IsSpace(r) {
			return -1
		}
		return r
	}, s)
	return strings.Join(strings.Fields(signs), " ")
}

// printedEvent is an event in JSON output.
type printedEvent struct {
	ID         int64                `json:"id"`
	Platform   models.Platform      `json:"platform"`
	Event      string               `json:"event"`
	Account    string               `json:"account"`
	OccurredAt *time.Time           `json:"occurred_at"`
	ReceivedAt time.Time            `json:"received_at"`
	Status     models.WebhookStatus `json:"status"`
	Outcome    string               `json:"outcome"`
	Attempts   int                  `json:"attempts"`
	NextAt     *time.Time           `json:"next_at"`
	Payload    string               `json:"payload"`
}

func printEvents(out io.Writer, events []models.WebhookEvent) error {
	for _, e := range events {
		err := printJSON(out, printedEvent{
			ID: e.ID, Platform: e.Platform, Event: e.Name, Account: e.Account, OccurredAt: e.OccurredAt, ReceivedAt: e.ReceivedAt,
			Status: e.Status, Outcome: e.Outcome, Attempts: e.Attempts, NextAt: e.RunAt, Payload: string(e.Payload),
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func replayWebhooksCmd() *cobra.Command {
	var choice webhookChoice
	cmd := &cobra.Command{
		Use:   "replay [ID...]",
		Short: "Process events again, by their ids or selected by flags",
		Long: `Process events again, by their ids or selected by flags.

This is safe: an event that was applied has no second effect. The running
scheduler enqueues the events within a second.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			filter, err := choice.filter()
			if err != nil {
				return err
			}
			if filter.IDs, err = eventIDs(args); err != nil {
				return err
			}
			if len(args) == 0 && filter.Platform == "" && filter.Status == "" && filter.Name == "" {
				return misused("select events: give their ids, or --platform, --status or --event")
			}
			return withMigratedDB(cmd.Context(), config.CLI, func(_ config.Config, d *db.DB) error {
				n, err := d.Inbox.Replay(cmd.Context(), filter, models.Time(time.Now()))
				if err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "events to process again: %d\n", n)
				return nil
			})
		},
	}
	choice.flags(cmd, 1000)
	return cmd
}

func eventIDs(args []string) ([]int64, error) {
	ids := make([]int64, len(args))
	for i, arg := range args {
		id, err := strconv.ParseInt(arg, 10, 64)
		if err != nil || id < 1 {
			return nil, misused("%q is not the id of an event; socialqueue webhook list shows the ids", arg)
		}
		ids[i] = id
	}
	return ids, nil
}
