package console_test

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	logtest "github.com/sirupsen/logrus/hooks/test"

	"socialqueue/config"
	"socialqueue/console"
	"socialqueue/db/dbtest"
	"socialqueue/jobs"
	"socialqueue/jobs/redistest"
	"socialqueue/models"
)

// TestOverviewWhileRedisHangs checks that the overview is served while Redis does not answer,
// and says so.
func TestOverviewWhileRedisHangs(t *testing.T) {
	client := jobs.NewRedis(config.Redis{Mode: config.RedisSingle, Addrs: []string{redistest.Silent(t)}})
	t.Cleanup(func() { _ = client.Close() })
	log, _ := logtest.NewNullLogger()
	queue := jobs.NewQueue(client, jobs.NewKinds())
	pages := console.New(console.Deps{
		DB: dbtest.SQLite(t), Platforms: models.PlatformTitles{{Name: models.TikTok, Title: "TikTok"}},
		PausedQueues: queue.Paused, Workers: queue.Workers, Log: log, Now: time.Now,
	}, true)
	answer, began := httptest.NewRecorder(), time.Now()
	pages.ServeHTTP(answer, httptest.NewRequest("GET", console.Root, nil))
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("the page took %s", took)
	}
	if body := answer.Body.String(); answer.Code != 200 || !strings.Contains(body, "<b>Redis</b> does not answer") {
		t.Errorf("%d %s", answer.Code, body)
	}
}

// TestPagesWhileTheDatabaseHangs checks that a page says soon that the database does not
// answer, and that an action does not begin.
func TestPagesWhileTheDatabaseHangs(t *testing.T) {
	d := dbtest.SQLite(t)
	only, err := d.Pool().Conn(t.Context()) // the others wait for it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = only.Close() })
	log, _ := logtest.NewNullLogger()
	pages := console.New(console.Deps{DB: d, Log: log, Now: time.Now}, true)
	for _, method := range []string{"GET", "POST"} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			path := map[string]string{"GET": console.Root, "POST": console.Root + "/posts/retry"}[method]
			answer, began := httptest.NewRecorder(), time.Now()
			pages.ServeHTTP(answer, httptest.NewRequest(method, path, nil))
			if took := time.Since(began); took > 4*time.Second {
				t.Errorf("the page took %s", took)
			}
			if body := answer.Body.String(); answer.Code != 503 || !strings.Contains(body, "<h1>The database does not answer</h1>") {
				t.Errorf("%d %s", answer.Code, body)
			}
		})
	}
}

// TestOverviewWithoutWorker checks that the overview says when no worker is alive.
func TestOverviewWithoutWorker(t *testing.T) {
	log, _ := logtest.NewNullLogger()
	for workers, want := range []bool{true, false} {
		pages := console.New(console.Deps{
			DB: dbtest.SQLite(t), Platforms: models.PlatformTitles{{Name: models.TikTok, Title: "TikTok"}},
			PausedQueues: func() ([]string, error) { return nil, nil }, Workers: func() (int, error) { return workers, nil }, Log: log, Now: time.Now,
		}, true)
		answer := httptest.NewRecorder()
		pages.ServeHTTP(answer, httptest.NewRequest("GET", console.Root, nil))
		if got := strings.Contains(answer.Body.String(), "<b>No worker</b> is alive"); answer.Code != 200 || got != want {
			t.Errorf("with %d workers: %d, says that none is alive: %t, want %t", workers, answer.Code, got, want)
		}
	}
}
