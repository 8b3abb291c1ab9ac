package e2e

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"socialqueue/app"
	"socialqueue/config"
	"socialqueue/db/dbtest"
	"socialqueue/sandbox/sample"
	"socialqueue/test/testkit"
)

// While the database answers queries and takes no writes, every process says so, with what to
// do. What can be read is shown, what would be written is refused, and afterwards all goes on.
func TestDatabaseWithoutWrites(t *testing.T) {
	readOnly := func(set string) string {
		return "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I " + set + "', current_database()); END $$"
	}
	for name, c := range map[string]struct {
		begin, end, says string
		// refused means that apps cannot post: only the trial fails if DiskFull is set.
		refused bool
	}{
		"full disk": {dbtest.DiskFull, "DROP EVENT TRIGGER full_disk", "free space on the disk", false},
		"read-only": {readOnly("SET default_transaction_read_only = on"), readOnly("RESET default_transaction_read_only"), "lead to the primary", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // it mostly waits
			w := newSystem(t, operated())
			w.startWorker()
			scheduler, err := app.NewScheduler(t.Context(), w.config(config.Scheduler, nil), w.options("scheduler"))
			w.must(err)
			testkit.Run(t, scheduler)
			tt, clip := w.tiktokAccount(), w.upload("video/mp4", sample.Video)
			ready := func(want int, says string) {
				t.Helper()
				for _, at := range []string{w.url(), "http://" + scheduler.Addr()} {
					c := testkit.Client{T: t, URL: at, HTTP: w.http}
					testkit.Await(t, testkit.Patience, fmt.Sprintf("%s answers %d", at, want), func() (bool, string) {
						r := c.Do(testkit.Call{Method: "GET", Path: "/readyz"})
						return r.Status == want && strings.Contains(string(r.Body), says), string(r.Body)
					})
				}
			}
			ready(200, "ok")

			operator, err := w.db.Pool().Conn(t.Context()) // it goes on to write
			w.must(err)
			defer operator.Close()
			exec := func(query string) {
				t.Helper()
				_, err := operator.ExecContext(t.Context(), query)
				w.must(err)
			}
			// Connections keep the setting that they began with.
			const reconnect = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
			exec(c.begin)
			exec(reconnect)
			ready(503, "the database takes no writes: ")
			ready(503, c.says)
			if r := w.call(testkit.Call{Method: "GET", Path: "/readyz"}); strings.Contains(string(r.Body), "SQLSTATE") {
				t.Errorf("the public probe shows the answer of the database: %s", r.Body)
			}
			if body := w.looks("/console"); !strings.Contains(body, "The database takes no writes") || !strings.Contains(body, c.says) {
				t.Errorf("the console says nothing of it: %s", body)
			}
			status, _, body := w.page(operatorPassword, "/console/pause", url.Values{"scope": {"tiktok"}})
			if status != 503 || !strings.Contains(body, "<h1>The database takes no writes</h1>") {
				t.Errorf("an action is answered %d %s", status, body)
			}
			w.call(testkit.Call{Method: "GET", Path: "/api/posts"}).Want(200)
			if c.refused {
				w.call(testkit.Call{Method: "POST", Path: tt.path, JSON: video(tt, clip, "refused")}).Want(503)
			}

			exec(c.end)
			exec(reconnect)
			ready(200, "ok")
			if body := w.looks("/console"); strings.Contains(body, "takes no writes") {
				t.Errorf("the console still says so: %s", body)
			}
			w.untilStatus(testkit.Patience, w.accept(tt, video(tt, clip, "afterwards")).ID, "published")
		})
	}
}
