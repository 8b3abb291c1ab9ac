package console

import (
	"net/http"
	"slices"
	"time"

	"socialqueue/db"
	"socialqueue/models"
	"socialqueue/observe"
)

// endsLook bounds how many of the newest posts the overview counts.
const endsLook = 100_000

// overviewShown is what the first page shows.
type overviewShown struct {
	Backlog db.Backlog
	// Rows are the posts that have not ended, and the ends of the last day, by platform.
	Live, Ends []statusRow
	EndsMore   bool
	// Failures say why posts failed, the most frequent first.
	Failures     []db.EndCount
	Accounts     []db.AccountCount
	PausedQueues []string
	// QueuesUnknown: Redis did not say.
	QueuesUnknown bool
	Platforms     []models.Platform
	// Uncertain and Failed are the newest of those that want a person.
	Uncertain, Failed []postRow
}

// statusRow is how many posts of each platform are in a state.
type statusRow struct {
	Status            models.Status
	TikTok, Instagram int64
}

// newest is how many posts that want a person the overview lists.
const newest = 5

func (c *Console) overview(r *http.Request) (any, error) {
	ctx, now := r.Context(), c.Now().UTC()
	shown := overviewShown{Platforms: platforms}
	var err error
	if shown.Backlog, err = c.DB.Operators.Backlog(ctx, now); err != nil {
		return nil, err
	}
	counts, more, err := c.DB.Operators.Ends(ctx, now.Add(-24*time.Hour), endsLook)
	if err != nil {
		return nil, err
	}
	shown.EndsMore = more
	shown.Live, shown.Ends, shown.Failures = rowsOf(shown.Backlog.Posts, counts)
	if shown.Uncertain, err = c.newestOf(r, models.Uncertain); err != nil {
		return nil, err
	}
	if shown.Failed, err = c.newestOf(r, models.Failed); err != nil {
		return nil, err
	}
	queues, err := c.PausedQueues()
	if err != nil {
		observe.In(ctx, c.Log).WithError(err).Warn("Redis did not say which queues are paused")
		shown.QueuesUnknown = true
	}
	shown.PausedQueues = queues
	return shown, nil
}

func (c *Console) newestOf(r *http.Request, s models.Status) ([]postRow, error) {
	posts, err := c.DB.Operators.AllPosts(r.Context(), db.PostFilter{Status: s, Limit: newest})
	if err != nil {
		return nil, err
	}
	return c.rows(r.Context(), posts)
}

// rowsOf puts the counts of posts under way, and of those that ended, into rows in the
// order of a post's life.
func rowsOf(live []db.PostCount, ends []db.EndCount) (liveRows, endRows []statusRow, failures []db.EndCount) {
	under, over := map[models.Status]*statusRow{}, map[models.Status]*statusRow{}
	for _, n := range live {
		add(under, n.Platform, n.Status, n.N)
	}
	for _, n := range ends {
		if n.Status.Ended() {
			add(over, n.Platform, n.Status, n.N)
		}
		if n.Status == models.Failed {
			failures = append(failures, n)
		}
	}
	return inOrder(under), inOrder(over), failures
}

func add(rows map[models.Status]*statusRow, p models.Platform, s models.Status, n int64) {
	if rows[s] == nil {
		rows[s] = &statusRow{Status: s}
	}
	if p == models.TikTok {
		rows[s].TikTok += n
	} else {
		rows[s].Instagram += n
	}
}

func inOrder(rows map[models.Status]*statusRow) []statusRow {
	var list []statusRow
	for _, row := range rows {
		list = append(list, *row)
	}
	slices.SortFunc(list, func(a, b statusRow) int {
		return slices.Index(models.Statuses, a.Status) - slices.Index(models.Statuses, b.Status)
	})
	return list
}
