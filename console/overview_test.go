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
	pages := console.New(console.Deps{DB: dbtest.SQLite(t), Platforms: models.PlatformTitles{{Name: models.TikTok, Title: "TikTok"}}, PausedQueues: jobs.NewQueue(client, jobs.NewKinds()).Paused, Log: log, Now: time.Now}, true)
	answer, began := httptest.NewRecorder(), time.Now()
	pages.ServeHTTP(answer, httptest.NewRequest("GET", console.Root, nil))
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("the page took %s", took)
	}
	if body := answer.Body.String(); answer.Code != 200 || !strings.Contains(body, "<b>Redis</b> does not answer") {
		t.Errorf("%d %s", answer.Code, body)
	}
}
