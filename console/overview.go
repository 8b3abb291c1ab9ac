package console

import (
	"net/http"
	"slices"
	"time"

	"socialqueue/db"
	"socialqueue/models"
	"socialqueue/observe"
)

// outcomeSample is how many of the newest posts the overview counts at most.
const outcomeSample = 100_000

// overviewPage is the data of the first page.
type overviewPage struct {
	Backlog db.Backlog
	// Live counts the posts that have not ended, Outcomes those of the last 24 hours that
	// have. OutcomesTruncated means that only outcomeSample posts were counted.
	Live, Outcomes    counts
	OutcomesTruncated bool
	// Failures counts failed posts by error code, the most frequent first.
	Failures     []db.OutcomeCount
	PausedQueues []string
	// QueuesUnknown means that Redis did not answer.
	QueuesUnknown bool
	// NoWorker means that no live worker serves every queue.
	NoWorker  bool
	Platforms models.Platforms
	// Restore is what there is of restored backups.
	Restore restoreState
	// Uncertain and Failed are the newest posts in these states.
	Uncertain, Failed []postRow
}

// counts is a table of posts: a row for each state, a column for each platform.
type counts struct {
	Platforms models.Platforms
	Rows      []statusRow
}

// statusRow counts the posts in a state.
type statusRow struct {
	Status models.Status
	// N has a count for each platform, in the order of the table's columns.
	N []int64
}

// newest is how many of the newest posts a page lists.
const newest = 5

func (c *Console) overview(r *http.Request) (any, error) {
	ctx, now := r.Context(), c.Now().UTC()
	page := overviewPage{Platforms: c.Platforms.Names()}
	var err error
	if page.Backlog, err = c.DB.Operators.Backlog(ctx, now); err != nil {
		return nil, err
	}
	ends, more, err := c.DB.Operators.Outcomes(ctx, now.Add(-24*time.Hour), outcomeSample)
	if err != nil {
		return nil, err
	}
	page.OutcomesTruncated = more
	if page.Restore, _, err = c.restoreState(ctx); err != nil {
		return nil, err
	}
	page.Live, page.Outcomes, page.Failures = rowsOf(page.Platforms, page.Backlog.Posts, ends)
	if page.Uncertain, err = c.newestOf(r, models.Uncertain); err != nil {
		return nil, err
	}
	if page.Failed, err = c.newestOf(r, models.Failed); err != nil {
		return nil, err
	}
	queues, err := c.PausedQueues()
	if err != nil {
		observe.In(ctx, c.Log).WithError(err).Warn("could not read the paused queues from Redis")
		page.QueuesUnknown = true
	}
	page.PausedQueues = queues
	if page.QueuesUnknown {
		return page, nil
	}
	workers, err := c.Workers()
	if err != nil {
		observe.In(ctx, c.Log).WithError(err).Warn("could not read the list of workers from Redis")
		page.QueuesUnknown = true
	}
	page.NoWorker = err == nil && workers == 0
	return page, nil
}

func (c *Console) newestOf(r *http.Request, s models.Status) ([]postRow, error) {
	posts, err := c.DB.Operators.AllPosts(r.Context(), db.PostFilter{Status: s, Limit: newest})
	if err != nil {
		return nil, err
	}
	return c.rows(r.Context(), posts)
}

// rowsOf turns the counts of posts that have not ended, and of those that have, into tables.
// Their rows are in the order of models.Statuses.
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

// add adds n posts. It ignores a platform that this program does not know, as it has no
// column.
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
