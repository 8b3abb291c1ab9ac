package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"socialqueue/models"
	"socialqueue/publish"
)

// highwater checks that the database has every call that was made, as far as the mark shows
// that is kept outside it.
func (d *doctor) highwater(ctx context.Context) error {
	reason, unmarked, err := d.Posts.CheckMark(ctx)
	switch {
	case errors.Is(err, publish.ErrMarkUnreadable):
		d.bad("read it with `redis-cli GET socialqueue:highwater`; if nothing explains it, delete it, and run `socialqueue restored --as-of TIME` if the database may have been restored", "%v; nothing is sent until it can be read", err)
	case err != nil:
		return err
	case reason == models.RestoreBehind:
		d.bad("start a scheduler: it records the restore, then `socialqueue restored list` shows the posts that wait for you", "the database lacks calls that were made: it was restored from a backup, or a replica without the newest changes took over")
	case reason != "":
		d.bad("check DATABASE_URL and REDIS_URL; if they are right, start a scheduler: it records the restore, then `socialqueue restored list` shows the posts that wait for you",
			"the high-water mark in Redis is not of this database: it was restored from a backup or replaced, or DATABASE_URL and REDIS_URL belong to two installations")
	case unmarked:
		d.warn("if the database was restored from a backup as well, run `socialqueue restored --as-of TIME` before anything is sent", "the high-water mark of sending was lost, with Redis; a scheduler writes it again")
	default:
		d.ok("the database has all calls up to the high-water mark")
	}
	return nil
}

// recentRestore is how long a restore is reported.
const recentRestore = 7 * 24 * time.Hour

func (d *doctor) restored(ctx context.Context) error {
	restores, err := d.DB.Restores.List(ctx)
	if err != nil {
		return err
	}
	held, err := d.DB.Restores.CountHeld(ctx)
	if err != nil {
		return err
	}
	recent := len(restores) > 0 && d.Now().Sub(restores[0].FoundAt) < recentRestore
	if recent {
		d.warn("see what becomes of its posts with `socialqueue restored list` or at /console/restored", "the database was found restored at %s; calls after %s may be missing in it",
			restores[0].FoundAt.UTC().Format(time.RFC3339), restores[0].AsOf.UTC().Format(time.RFC3339))
	}
	if n, counts := tellHeld(held); n > 0 {
		d.warn("check the accounts, then release the posts that are not live, with `socialqueue post release` or at /console/restored; `socialqueue restored list` lists them",
			"%d posts are held because they may be live since a restore: %s", n, counts)
	} else if !recent {
		d.ok("the database was not restored in the last 7 days, and no post is held")
	}
	return nil
}

// tellHeld counts the held posts, and says how many there are by reason.
func tellHeld(held map[models.HeldReason]int64) (n int64, counts string) {
	var each []string
	for _, reason := range models.HeldReasons {
		if held[reason] > 0 {
			each = append(each, fmt.Sprintf("%d %s", held[reason], reason))
			n += held[reason]
		}
	}
	return n, strings.Join(each, ", ")
}
