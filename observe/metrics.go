package observe

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics is what a process counts. No label names an account, a post or a task.
type Metrics struct {
	registry *prometheus.Registry

	// WebhooksReceived counts what platforms sent, by platform and what came of it:
	// one of the constants Webhook….
	WebhooksReceived *prometheus.CounterVec
	// WebhookSeconds is the time from the coming of a platform's event to its effect,
	// by platform and status.
	WebhookSeconds *prometheus.HistogramVec
	// NotifyAttempts counts the tries to tell apps, by outcome: delivered or failed.
	NotifyAttempts *prometheus.CounterVec
	// NotifySeconds is how long they took.
	NotifySeconds *prometheus.HistogramVec
}

// What can come of something that a platform sends.
const (
	WebhookStored    = "stored"
	WebhookDuplicate = "duplicate"
	WebhookRefused   = "refused"
)

// waitBuckets are for what may take from no time to days.
var waitBuckets = []float64{0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 6 * 3600, 24 * 3600}

// NewMetrics makes the metrics of a process.
func NewMetrics() *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		WebhooksReceived: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "socialqueue_webhooks_received_total", Help: "Events that platforms sent. One request may hold many; a refused one counts once.",
		}, []string{"platform", "outcome"}),
		WebhookSeconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "socialqueue_webhook_processing_seconds", Help: "From the coming of a platform's event to its effect.", Buckets: waitBuckets,
		}, []string{"platform", "status"}),
		NotifyAttempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "socialqueue_notify_attempts_total", Help: "Tries to tell apps of events.",
		}, []string{"outcome"}),
		NotifySeconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "socialqueue_notify_attempt_duration_seconds", Help: "How long apps took to take an event.", Buckets: prometheus.DefBuckets,
		}, []string{"outcome"}),
	}
	m.registry.MustRegister(
		m.WebhooksReceived, m.WebhookSeconds, m.NotifyAttempts, m.NotifySeconds,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return m
}

// Handler shows them to Prometheus.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: maxScrapes})
}

// maxScrapes bounds how many ask at once.
const maxScrapes = 4
