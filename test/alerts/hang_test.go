//go:build alerts

package alerts

import (
	"strings"
	"testing"
	"time"

	"socialqueue/test/testkit"
)

// While a server hangs, a scheduler still answers, and says which of them it is:
// without an answer Prometheus would think that there is no scheduler.
func TestServersHang(t *testing.T) {
	w := newSystem(t)
	w.untilCollected("1", "1")

	tx, err := w.db.Pool().BeginTx(t.Context(), nil)
	w.must(err)
	_, err = tx.ExecContext(t.Context(), "LOCK TABLE posts IN ACCESS EXCLUSIVE MODE")
	w.must(err)
	w.untilCollected("0", "1")
	w.must(tx.Rollback())
	w.untilCollected("1", "1")

	const pause = 12 * time.Second // longer than a scheduler repeats what it asked, and asks
	w.must(w.redis.Do(t.Context(), "CLIENT", "PAUSE", pause.Milliseconds(), "ALL").Err())
	w.untilCollected("1", "0")
	w.untilCollected("1", "1")
}

// untilCollected waits until a scheduler says of both servers whether it could ask them.
func (w *system) untilCollected(database, queues string) {
	w.t.Helper()
	testkit.Await(w.t, 30*time.Second, "database "+database+", queues "+queues, func() (bool, string) {
		var seen []string
		for line := range strings.Lines(string(w.metrics("scheduler"))) {
			if strings.HasPrefix(line, "socialqueue_collected{") {
				seen = append(seen, strings.TrimSpace(line))
			}
		}
		all := strings.Join(seen, " ")
		return all == `socialqueue_collected{source="database"} `+database+` socialqueue_collected{source="queues"} `+queues+
			` socialqueue_collected{source="redis"} `+queues, all
	})
}
