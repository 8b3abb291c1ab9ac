package e2e

import (
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"socialqueue/app"
	"socialqueue/config"
	"socialqueue/sandbox/sample"
	"socialqueue/test/testkit"
)

// metrics reads what a process shows at /metrics.
func (w *system) metrics(addr string) string {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, "http://"+addr+"/metrics", http.NoBody)
	w.must(err)
	req.SetBasicAuth("operator", "sesame")
	resp, err := w.http.Do(req)
	w.must(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	w.must(err)
	if resp.StatusCode != http.StatusOK {
		w.t.Fatalf("/metrics of %s answers %d: %s", addr, resp.StatusCode, body)
	}
	return string(body)
}

// What three processes count of one post, and that none of them names it.
func TestMetrics(t *testing.T) {
	w := newSystem(t, setup{sandbox: unlimited(), env: map[string]string{"OPERATOR_PASSWORD": "sesame"}})
	worker, err := app.NewWorker(t.Context(), w.config(config.Worker, nil), w.options("worker"))
	w.must(err)
	testkit.Run(w.t, worker)
	scheduler, err := app.NewScheduler(t.Context(), w.config(config.Scheduler, nil), w.options("scheduler"))
	w.must(err)
	testkit.Run(w.t, scheduler)
	tt := w.tiktokAccount()
	id := w.accept(tt, video(tt, w.upload("video/mp4", sample.Video), "counted")).ID
	w.untilStatus(testkit.Patience, id, "published")
	// What happened is written first and counted then, and a scheduler asks the servers
	// for so long only.
	var ofWorker, ofScheduler, ofAPI string
	testkit.Await(w.t, testkit.Patience, "all is counted", func() (bool, string) {
		ofWorker, ofScheduler, ofAPI = w.metrics(worker.Addr()), w.metrics(scheduler.Addr()), w.metrics(w.api.Addr())
		lacking := lackingMetrics(ofWorker, ofScheduler, ofAPI)
		return lacking == nil, strings.Join(lacking, "\n")
	})
	for name, text := range map[string]string{"worker": ofWorker, "scheduler": ofScheduler, "api": ofAPI} {
		if named := regexp.MustCompile(`(?m)^socialqueue_.*(` + id + `|` + regexp.QuoteMeta(tt.external) + `).*$`).FindString(text); named != "" {
			t.Errorf("%s names a post or an account: %s", name, named)
		}
	}
}

// lackingMetrics are the lines that the processes should show of one published video.
func lackingMetrics(ofWorker, ofScheduler, ofAPI string) (lacking []string) {
	for _, want := range []struct{ where, line string }{
		{ofWorker, `socialqueue_post_lateness_seconds_count{platform="tiktok"} 1`},
		{ofWorker, `socialqueue_posts_total{kind="video",platform="tiktok",status="published"} 1`},
		{ofWorker, `socialqueue_platform_request_duration_seconds_count{endpoint="tiktok.init",outcome="ok",platform="tiktok"} 1`},
		{ofWorker, `socialqueue_task_duration_seconds_count{outcome="success",type="tiktok:upload"} 1`},
		{ofWorker, `socialqueue_task_wait_seconds_count{queue="upload",type="tiktok:upload"} 1`},
		{ofWorker, `socialqueue_workers_capacity{pool="light"}`},
		{ofWorker, `socialqueue_handlers_stuck{queue="publish"} 0`},
		{ofWorker, `go_sql_open_connections{db_name="socialqueue"}`},
		{ofScheduler, `socialqueue_collected{source="database"} 1`},
		{ofScheduler, `socialqueue_collected{source="queues"} 1`},
		{ofScheduler, `socialqueue_collected{source="redis"} 1`},
		{ofScheduler, `socialqueue_redis_evicted_keys{node="redis"} 0`},
		{ofScheduler, `socialqueue_tasks_orphaned{queue="publish"} 0`},
		{ofScheduler, `socialqueue_accounts_token_ending{platform="tiktok"} 0`},
		{ofScheduler, `socialqueue_accounts{platform="tiktok",status="active"} 1`},
		{ofScheduler, `socialqueue_queue_workers{queue="publish"} 1`},
		{ofScheduler, `socialqueue_queue_tasks{queue="upload",state="archived"} 0`},
		{ofScheduler, `socialqueue_scheduler_last_tick_timestamp_seconds{tick="sweep"}`},
		{ofAPI, `go_sql_open_connections{db_name="socialqueue"}`},
	} {
		if !strings.Contains(want.where, want.line) {
			lacking = append(lacking, want.line)
		}
	}
	return lacking
}

// One process that is everything shows what each of the three shows.
func TestMetricsOfOneProcess(t *testing.T) {
	w := newSystem(t, setup{sandbox: unlimited(), env: map[string]string{"OPERATOR_PASSWORD": "sesame"}})
	system, err := app.NewEmbedded(t.Context(), w.config(config.Dev, map[string]string{"DATABASE_URL": "", "REDIS_URL": ""}), t.TempDir(), w.options("dev"))
	w.must(err)
	testkit.Run(w.t, system)
	shown := w.metrics(system.Addr())
	for _, line := range []string{
		`socialqueue_collected{source="database"} 1`, `socialqueue_collected{source="queues"} 1`, `socialqueue_collected{source="redis"} 1`,
		`socialqueue_posts_overdue_seconds 0`, `socialqueue_queue_tasks{queue="publish",state="pending"} 0`,
		`socialqueue_workers_busy{pool="upload"} 0`, `socialqueue_scheduler_last_tick_timestamp_seconds{tick="sweep"}`,
	} {
		if !strings.Contains(shown, line) {
			t.Errorf("the metrics lack %s", line)
		}
	}
}

// A restore and the posts that it holds are shown by schedulers.
func TestMetricsOfARestore(t *testing.T) {
	w := newSystem(t, setup{sandbox: unlimited(), env: map[string]string{"OPERATOR_PASSWORD": "sesame"}})
	scheduler, err := app.NewScheduler(t.Context(), w.config(config.Scheduler, nil), w.options("scheduler"))
	w.must(err)
	testkit.Run(t, scheduler)
	tt := w.tiktokAccount()
	w.accept(tt, video(tt, w.upload("video/mp4", sample.Video), "may be live"))
	shown := func() string {
		return strings.Join(regexp.MustCompile(`(?m)^socialqueue_(posts_held|restored|posts\{|posts_overdue).*$`).FindAllString(w.metrics(scheduler.Addr()), -1), "\n")
	}
	await := func(what string, lines ...string) {
		t.Helper()
		testkit.Await(t, testkit.Patience, what, func() (bool, string) {
			text := shown()
			for _, line := range lines {
				if !regexp.MustCompile(`(?m)^socialqueue_` + line + `$`).MatchString(text) {
					return false, line + " is not in\n" + text
				}
			}
			return true, ""
		})
	}
	await("nothing is held", `restored_timestamp_seconds 0`, `posts_held\{reason="not_found"\} 0`, `posts_held\{reason="not_searchable"\} 0`, `posts_held\{reason="resembles"\} 0`)
	w.behind()
	w.startWorker()
	await("one is held, and not overdue", `restored_timestamp_seconds 1\.\d+e\+09`, `posts_held\{reason="not_found"\} 0`, `posts_held\{reason="not_searchable"\} 1`,
		`posts\{platform="tiktok",status="queued"\} 1`, `posts_overdue_seconds 0`)
}
