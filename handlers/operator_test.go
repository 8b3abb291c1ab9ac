package handlers_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"socialqueue/handlers"
	"socialqueue/observe"
)

// Metrics are the operator's. Where no password is set there is nothing to find.
func TestMetrics(t *testing.T) {
	w := sqliteWorld(t)
	get := func(credentials string) *reply {
		c := call{method: "GET", path: "/metrics", noKey: true}
		if credentials != "" {
			c.headers = map[string]string{"Authorization": "Basic " + base64.StdEncoding.EncodeToString([]byte(credentials))}
		}
		return w.do(c)
	}
	get("operator:").wantProblem(404, "NOT_FOUND", "")
	metrics := observe.NewMetrics()
	w.inbox.Metrics, w.deps.Metrics = metrics, metrics.Handler()
	w.deps.Operator = handlers.Operator{User: "operator", Password: "sesame"}
	w.build()
	for _, wrong := range []string{"", "operator:", "operator:Sesame", "Operator:sesame", "operator:sesame ", ":sesame", "operatorsesame:"} {
		get(wrong).wantProblem(401, "UNAUTHORIZED", "")
	}
	w.do(call{method: "GET", path: "/metrics"}).wantProblem(401, "UNAUTHORIZED", "") // an app is no operator
	w.webhook("t=1,s=2", "{}").wantProblem(401, "WEBHOOK_INVALID", "")
	w.tiktokSays(`{"event":"new.in.2027"}`).wantTaken()
	w.tiktokSays(`{"event":"new.in.2027"}`).wantTaken()
	shown := string(get("operator:sesame").want(200).body)
	for _, line := range []string{
		`socialqueue_webhooks_received_total{outcome="refused",platform="tiktok"} 1`,
		`socialqueue_webhooks_received_total{outcome="stored",platform="tiktok"} 1`,
		`socialqueue_webhooks_received_total{outcome="duplicate",platform="tiktok"} 1`,
		`socialqueue_webhook_processing_seconds_count{platform="tiktok",status="unknown"} 1`,
	} {
		if !strings.Contains(shown, line+"\n") {
			t.Errorf("the metrics lack %s", line)
		}
	}
}
