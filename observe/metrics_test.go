package observe

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"

	"socialqueue/models"

	"github.com/sirupsen/logrus"
)

func shown(t *testing.T, m *Metrics) string {
	t.Helper()
	answer := httptest.NewRecorder()
	m.Handler().ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", http.NoBody))
	return answer.Body.String()
}

func wantShown(t *testing.T, text string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("not shown: %s", line)
		}
	}
}

// TestWatchedSeriesBeginAtZero checks the series whose increase alerts watch: they must exist
// before the first event.
func TestWatchedSeriesBeginAtZero(t *testing.T) {
	wantShown(t, shown(t, NewMetrics(
		PlatformKinds{models.TikTok, []models.Kind{models.Video}}, PlatformKinds{models.Instagram, []models.Kind{models.Image, models.Reel}},
	)),
		`socialqueue_post_lateness_seconds_count{platform="tiktok"} 0`,
		`socialqueue_post_lateness_seconds_bucket{platform="instagram",le="10"} 0`,
		`socialqueue_posts_total{kind="reel",platform="instagram",status="failed"} 0`,
		`socialqueue_token_refreshes_total{outcome="dead",platform="tiktok"} 0`,
		`socialqueue_token_refreshes_total{outcome="put_off",platform="instagram"} 0`,
		`socialqueue_webhooks_received_total{outcome="refused",platform="tiktok"} 0`,
		`socialqueue_reconcile_repairs_total{kind="redis_refill"} 0`,
		`socialqueue_notify_attempt_duration_seconds_count{outcome="delivered"} 0`,
	)
}

// TestOneSourceHangs checks that a source that hangs does not affect the others.
func TestOneSourceHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, log := NewMetrics(), logrus.New()
		log.SetOutput(io.Discard)
		answers := func(ctx context.Context) ([]Gauge, error) {
			return []Gauge{{Name: "pauses", Help: "Pauses.", Value: 3}}, ctx.Err()
		}
		hangs := func(ctx context.Context) ([]Gauge, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		m.AddSources(log, map[string]Source{"a": hangs, "b": answers, "c": hangs})
		wantShown(t, shown(t, m),
			`socialqueue_collected{source="a"} 0`, `socialqueue_collected{source="b"} 1`, `socialqueue_collected{source="c"} 0`, `socialqueue_pauses 3`)
	})
}
