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
	Live, Ends counts
	EndsMore   bool
	// Failures say why posts failed, the most frequent first.
	Failures     []db.OutcomeCount
	PausedQueues []string
	// QueuesUnknown: Redis did not say.
	QueuesUnknown bool
	Platforms     models.Platforms
	// Uncertain and Failed are the newest of those that want a person.
	Uncertain, Failed []postRow
}

// counts is a table of posts: a row for each state, a column for each platform.
type counts struct {
	Platforms models.Platforms
	Rows      []statusRow
}

// statusRow is how many posts are in a state.
type statusRow struct {
	Status models.Status
	// N has a number for each platform, in the order of the table's columns.
	N []int64
}

// newest is how many posts that want a person the overview lists.
const newest = 5

func (c *Console) overview(r *http.Request) (any, error) {
	ctx, now := r.Context(), c.Now().UTC()
	shown := overviewShown{Platforms: c.Platforms.Names()}
	var err error
	if shown.Backlog, err = c.DB.Operators.Backlog(ctx, now); err != nil {
		return nil, err
	}
	ends, more, err := c.DB.Operators.Outcomes(ctx, now.Add(-24*time.Hour), endsLook)
	if err != nil {
		return nil, err
	}
	shown.EndsMore = more
	shown.Live, shown.Ends, shown.Failures = rowsOf(shown.Platforms, shown.Backlog.Posts, ends)
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

// rowsOf puts the counts of posts under way, and of those that ended, into tables whose
// rows are in the order of a post's life.
func rowsOf(platforms models.Platforms, live []db.PostCount, ends []db.OutcomeCount) (under, over counts, failures []db.OutcomeCount) {
	under, over = counts{Platforms: platforms}, counts{Platforms: platforms}
	for _, n := range live {
		under.add(n.Platform, n.Status, n.N)
	}
	for _, n := range ends {
		if n.Status.Ended() {
			over.add(n.Platform, n.Status, n.N)
		}
		if n.Status == models.Failed {
			failures = append(failures, n)
		}
	}
	under.sort()
	over.sort()
	return under, over, failures
}

// add counts posts. Those of a platform that this program does not know have no column.
func (t *counts) add(p models.Platform, s models.Status, n int64) {
	column := slices.Index(t.Platforms, p)
	if column < 0 {
		return
	}
	row := slices.IndexFunc(t.Rows, func(r statusRow) bool { return r.Status == s })
	if row < 0 {
		row = len(t.Rows)
		t.Rows = append(t.Rows, statusRow{Status: s, N: make([]int64, len(t.Platforms))})
	}
	t.Rows[row].N[column] += n
}

func (t *counts) sort() {
	slices.SortFunc(t.Rows, func(a, b statusRow) int {
		return slices.Index(models.Statuses, a.Status) - slices.Index(models.Statuses, b.Status)
	})
}
