package main

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"socialqueue/models"
	"socialqueue/publish"
	"socialqueue/view"
)

func restoredCmd() *cobra.Command {
	var asOf, by string
	cmd := &cobra.Command{
		Use: "restored --as-of TIME", Short: "Say that the database was restored from a backup, and list the posts that are held since",
		Long: `Say that the database was restored from a backup.

Posts that a restored database calls unsent may be live. Each is searched for on its
platform before it is sent; those that nobody can be sure of are held until you release
them.

A restore is usually noticed without this command. Give it where nothing shows the restore:
after a file-system snapshot of the database and of Redis, or where Redis lost everything
and the database was restored in place. TIME is when the backup was made, such as
2026-12-24T18:00:00Z; if in doubt give an earlier one.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			at, err := time.Parse(time.RFC3339, asOf)
			if err != nil {
				return misused("--as-of %q is not an RFC 3339 time, such as 2026-12-24T18:00:00Z", asOf)
			}
			return withPosts(cmd.Context(), func(s *publish.Service) error {
				restore, err := s.RecordRestore(cmd.Context(), at, by)
				if err != nil {
					return err
				}
				return printJSON(cmd.OutOrStdout(), restoreJSON(restore))
			})
		},
	}
	cmd.Flags().StringVar(&asOf, "as-of", "", "when the backup was made (RFC 3339)")
	cmd.Flags().StringVar(&by, "by", whoami(), "who says so")
	_ = cmd.MarkFlagRequired("as-of")
	cmd.AddCommand(listRestoredCmd())
	return cmd
}

// shownRestore is a restore as commands print it.
type shownRestore struct {
	ID      int64                `json:"id"`
	AsOf    string               `json:"as_of"`
	FoundAt string               `json:"found_at"`
	Reason  models.RestoreReason `json:"reason"`
}

func restoreJSON(r *models.Restore) shownRestore {
	return shownRestore{ID: r.ID, AsOf: view.Time(r.AsOf), FoundAt: view.Time(r.FoundAt), Reason: r.Reason}
}

// shownHeld is a held post as commands print it.
type shownHeld struct {
	view.Post
	HeldReason models.HeldReason `json:"held_reason"`
}

// listed bounds how many held posts one command prints.
const listed = 1000

func listRestoredCmd() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "list", Short: "List the posts that wait until you release them", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withPosts(cmd.Context(), func(s *publish.Service) error {
				held, err := readHeld(cmd.Context(), s)
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(cmd.OutOrStdout(), held)
				}
				return held.tabulate(cmd.OutOrStdout())
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// heldList is what `restored list` prints.
type heldList struct {
	Restores []shownRestore              `json:"restores"`
	Counts   map[models.HeldReason]int64 `json:"counts"`
	Posts    []shownHeld                 `json:"posts"`
}

func readHeld(ctx context.Context, s *publish.Service) (heldList, error) {
	list := heldList{Restores: []shownRestore{}, Posts: []shownHeld{}}
	restores, err := s.DB.Restores.List(ctx)
	if err != nil {
		return list, err
	}
	for i := range restores {
		list.Restores = append(list.Restores, restoreJSON(&restores[i]))
	}
	if list.Counts, err = s.DB.Restores.CountHeld(ctx); err != nil {
		return list, err
	}
	posts, err := s.DB.Restores.Held(ctx, "", "", listed)
	for i := range posts {
		list.Posts = append(list.Posts, shownHeld{view.OfPost(&posts[i], time.Now()), posts[i].HeldReason})
	}
	return list, err
}

func (l heldList) tabulate(out io.Writer) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	if len(l.Restores) == 0 {
		fmt.Fprintln(table, "The database was never found restored.")
	}
	for _, r := range l.Restores {
		fmt.Fprintf(table, "Restore %d, noticed %s: what was sent after %s may be missing in it (%s).\n", r.ID, r.FoundAt, r.AsOf, restoreWords[r.Reason])
	}
	if len(l.Posts) == 0 {
		fmt.Fprintln(table, "No post is held.")
		return table.Flush()
	}
	fmt.Fprintln(table, "\nPOST\tACCOUNT\tKIND\tDUE\tHELD BECAUSE")
	for _, p := range l.Posts {
		fmt.Fprintf(table, "%s\t%s:%d\t%s\t%s\t%s\n", p.ID, p.Platform, p.AccountID, p.Kind, p.PublishAt, heldWords[p.HeldReason])
	}
	var all int64
	for _, n := range l.Counts {
		all += n
	}
	if more := all - int64(len(l.Posts)); more > 0 {
		fmt.Fprintf(table, "and %d more\n", more)
	}
	fmt.Fprintln(table, "\nCheck the accounts, then: socialqueue post release ID…, or --all-restored for those that a search did not find.")
	return table.Flush()
}

var restoreWords = map[models.RestoreReason]string{
	models.RestoreBehind: "later calls were made that it does not know of", models.RestoreMoved: "it is another database than before, or another state of it",
	models.RestoreOperator: "an operator said so",
}

var heldWords = map[models.HeldReason]string{
	models.HeldDue: "its time had passed, and a search did not find it", models.HeldUnsearchable: "no search can show whether it is live",
	models.HeldMatch: "it is new, and a post like it is live",
}

func releasePostCmd() *cobra.Command {
	var all bool
	var by string
	cmd := &cobra.Command{
		Use: "release ID… | --all-restored", Short: "Send posts that are held because the database was restored",
		Long: `Send posts that are held because the database was restored, after you checked that they
are not live. A post that is live after all is then live twice.

--all-restored releases the posts that a search of the platform did not find. Those that no
search could have found, and new ones that resemble a live post, are released by id.`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if all == (len(args) > 0) {
				return misused("give either ids of posts or --all-restored")
			}
			if all {
				return withPosts(cmd.Context(), func(s *publish.Service) error {
					released, err := s.ReleaseAllHeld(cmd.Context(), by)
					if err != nil {
						return fmt.Errorf("%d posts were released, then: %w", released, err)
					}
					fmt.Fprintf(cmd.OutOrStdout(), "%d posts released; socialqueue restored list shows what is held still\n", released)
					return nil
				})
			}
			return releaseEach(cmd, args, by)
		},
	}
	cmd.Flags().BoolVar(&all, "all-restored", false, "release every post that a search did not find")
	cmd.Flags().StringVar(&by, "by", whoami(), "who decided")
	return cmd
}

// releaseEach releases posts by their ids, which are all checked first.
func releaseEach(cmd *cobra.Command, ids []string, by string) error {
	for i, id := range ids {
		parsed, err := postID(id)
		if err != nil {
			return err
		}
		ids[i] = parsed
	}
	return withPosts(cmd.Context(), func(s *publish.Service) error {
		for _, id := range ids {
			p, err := s.ReleaseHeld(cmd.Context(), id, by)
			if err != nil {
				return fmt.Errorf("release post %s: %w", id, err)
			}
			if err := printJSON(cmd.OutOrStdout(), view.OfPost(p, time.Now())); err != nil {
				return err
			}
		}
		return nil
	})
}
