package observe

import (
	"database/sql"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"socialqueue/models"
)

// Metrics are the Prometheus metrics of a process. No label contains the id of an account, a
// post or a task.
type Metrics struct {
	registry *prometheus.Registry

	webhooks       *prometheus.CounterVec
	webhookSeconds *prometheus.HistogramVec
	notifySeconds  *prometheus.HistogramVec
	callSeconds    *prometheus.HistogramVec
	lateness       *prometheus.HistogramVec
	posts          *prometheus.CounterVec
	taskSeconds    *prometheus.HistogramVec
	taskWait       *prometheus.HistogramVec
	attempts       *prometheus.CounterVec
	taskErrors     *prometheus.CounterVec
	exhausted      *prometheus.CounterVec
	quarantined    *prometheus.CounterVec
	stuck          *prometheus.GaugeVec
	connects       *prometheus.CounterVec
	refreshes      *prometheus.CounterVec
	repairs        *prometheus.CounterVec
	ticks          *prometheus.GaugeVec
	requests       *prometheus.HistogramVec
}

// The outcomes of a received webhook event.
const (
	WebhookStored    = "stored"
	WebhookDuplicate = "duplicate"
	WebhookRefused   = "refused"
)

// The outcomes of a token refresh.
const (
	RefreshDone = "refreshed"
	// RefreshPutOff: the refresh failed and will be retried.
	RefreshPutOff = "put_off"
	// RefreshDead: the platform permanently refused the account's token.
	RefreshDead = "dead"
	// RefreshLoginEnded: Meta refused a Facebook login's own token; its accounts still work.
	RefreshLoginEnded = "login_ended"
)

// What the sweeps repair.
const (
	RepairRefill       = "redis_refill"
	RepairPost         = "post"
	RepairWebhookEvent = "webhook_event"
	RepairAsynq        = "asynq"
)

// The outcomes of an attempt to deliver a webhook to an app.
const (
	notifyDelivered = "delivered"
	notifyFailed    = "failed"
)

var (
	// waitBuckets are for waits, which take from no time to days, in seconds.
	waitBuckets = []float64{0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 6 * 3600, 24 * 3600}
	// callBuckets are for calls, including uploads, in seconds.
	callBuckets = []float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300}
)

func counter(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
}

func histogram(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: namespace, Name: name, Help: help, Buckets: buckets}, labels)
}

// namespace is the prefix of all metric names.
const namespace = "socialqueue"

// PlatformKinds is a platform with its kinds of posts.
type PlatformKinds struct {
	Platform models.Platform
	Kinds    []models.Kind
}

// NewMetrics returns the metrics of a process that supports these platforms.
func NewMetrics(platforms ...PlatformKinds) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		webhooks: counter("webhooks_received_total",
			"Events received from platforms, by outcome: stored, duplicate or refused. A refused request counts as one event.", "platform", "outcome"),
		webhookSeconds: histogram("webhook_processing_seconds", "Time from the receipt of a platform's event until it was settled.", waitBuckets, "platform", "status"),
		notifySeconds: histogram("notify_attempt_duration_seconds",
			"Attempts to deliver webhooks to apps, by outcome: delivered or failed.", callBuckets, "outcome"),
		callSeconds: histogram("platform_request_duration_seconds",
			"Calls to platforms, by outcome: ok, or the kind of the error.", callBuckets, "platform", "endpoint", "outcome"),
		lateness:    histogram("post_lateness_seconds", "How much later than its publish time a post started.", waitBuckets, "platform"),
		posts:       counter("posts_total", "Posts that reached a state, such as published or failed.", "platform", "kind", "status"),
		taskSeconds: histogram("task_duration_seconds", "Duration of task runs, by the outcome as in task_attempts_total.", callBuckets, "type", "outcome"),
		taskWait:    histogram("task_wait_seconds", "Time from when a task was due to the start of the run that did its work.", waitBuckets, "queue", "type"),
		attempts: counter("task_attempts_total",
			"Task runs by outcome: success, retry (failed, will be retried), snooze (deferred, no failure), dead (failed permanently), revoked (nothing left to do) or unknown (the post may be live).", "type", "outcome"),
		taskErrors:  counter("task_errors_total", "Errors of task runs, by class: rate_limited, auth, transient, permanent, timeout, lease_lost or panic.", "type", "class"),
		exhausted:   counter("task_retries_exhausted_total", "Tasks that failed permanently because no attempts were left.", "type"),
		quarantined: counter("task_quarantined_total", "Tasks whose post was quarantined because its runs kept dying.", "type"),
		stuck: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: namespace, Name: "handlers_stuck", Help: "Handlers that still run although they timed out or lost their task.",
		}, []string{"queue"}),
		connects:  counter("oauth_connects_total", "Finished consents, by outcome: connected, or the error code that the user got.", "platform", "outcome"),
		refreshes: counter("token_refreshes_total", "Token refreshes by outcome: refreshed, put_off (failed, will be retried), dead (refused permanently), or login_ended (a Facebook login's own token was refused; its accounts still work).", "platform", "outcome"),
		requests:  histogram("http_request_duration_seconds", "Requests to the api, including uploads.", callBuckets, "method", "route", "status"),
		repairs:   counter("reconcile_repairs_total", "Repairs by the sweeps: missing tasks that were enqueued again, and inconsistencies in Asynq's data.", "kind"),
		ticks: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: namespace, Name: "scheduler_last_tick_timestamp_seconds", Help: "When this scheduler last completed a tick without an error; 0 if it has not yet. Another scheduler may have run the tick since.",
		}, []string{"tick"}),
	}
	m.registry.MustRegister(
		m.webhooks, m.webhookSeconds, m.notifySeconds, m.callSeconds, m.lateness, m.posts, m.taskSeconds, m.taskWait, m.attempts,
		m.taskErrors, m.exhausted, m.quarantined, m.stuck, m.connects, m.refreshes, m.repairs, m.ticks, m.requests, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	m.zero(platforms)
	return m
}

// zero creates at 0 the series whose increase alerts watch. Prometheus sees no increase in
// the first sample of a new series, so the first events, such as the late posts after an
// outage, would trigger no alert.
func (m *Metrics) zero(platforms []PlatformKinds) {
	for _, platform := range platforms {
		p := string(platform.Platform)
		m.lateness.WithLabelValues(p)
		for _, kind := range platform.Kinds {
			for _, end := range []models.Status{models.Published, models.Delivered, models.Failed, models.Missed, models.Canceled} {
				m.posts.WithLabelValues(p, string(kind), string(end))
			}
		}
		for _, outcome := range []string{WebhookStored, WebhookDuplicate, WebhookRefused} {
			m.webhooks.WithLabelValues(p, outcome)
		}
		for _, outcome := range []string{RefreshDone, RefreshPutOff, RefreshDead, RefreshLoginEnded} {
			m.refreshes.WithLabelValues(p, outcome)
		}
	}
	for _, outcome := range []string{notifyDelivered, notifyFailed} {
		m.notifySeconds.WithLabelValues(outcome)
	}
	for _, kind := range []string{RepairRefill, RepairPost, RepairWebhookEvent, RepairAsynq} {
		m.repairs.WithLabelValues(kind)
	}
}

// Database adds the metrics of the connection pool.
func (m *Metrics) Database(db *sql.DB) {
	m.registry.MustRegister(collectors.NewDBStatsCollector(db, namespace))
}

// RedisPool is the state of the connection pool to Redis.
type RedisPool struct {
	Open, Idle       uint32
	Misses, Timeouts uint32 // since the start of the process
}

// Redis adds the metrics of the connection pool to Redis, which read returns.
func (m *Metrics) Redis(read func() RedisPool) {
	gauge := func(o prometheus.GaugeOpts, value func(RedisPool) uint32) {
		o.Namespace = namespace
		m.registry.MustRegister(prometheus.NewGaugeFunc(o, func() float64 { return float64(value(read())) }))
	}
	count := func(o prometheus.CounterOpts, value func(RedisPool) uint32) {
		o.Namespace = namespace
		m.registry.MustRegister(prometheus.NewCounterFunc(o, func() float64 { return float64(value(read())) }))
	}
	gauge(prometheus.GaugeOpts{Name: "redis_connections_open", Help: "Open connections to Redis."}, func(p RedisPool) uint32 { return p.Open })
	gauge(prometheus.GaugeOpts{Name: "redis_connections_idle", Help: "Idle connections to Redis."}, func(p RedisPool) uint32 { return p.Idle })
	count(prometheus.CounterOpts{Name: "redis_connections_missed_total", Help: "Times that no idle connection to Redis was available and a new one was opened."}, func(p RedisPool) uint32 { return p.Misses })
	count(prometheus.CounterOpts{Name: "redis_connections_timeouts_total", Help: "Times that no connection to Redis became available in time."}, func(p RedisPool) uint32 { return p.Timeouts })
}

// WorkerSlots adds the capacity and the use of one of a worker's pools. A free slot in one
// pool does not help the tasks of another.
func (m *Metrics) WorkerSlots(pool string, capacity int, busy func() int) {
	labels := prometheus.Labels{"pool": pool}
	all := prometheus.NewGauge(prometheus.GaugeOpts{Namespace: namespace, Name: "workers_capacity", Help: "Tasks that this worker can run at once.", ConstLabels: labels})
	all.Set(float64(capacity))
	m.registry.MustRegister(all, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: namespace, Name: "workers_busy", Help: "Tasks that this worker is running.", ConstLabels: labels,
	}, func() float64 { return float64(busy()) }))
}

// HandlersStuck adds to the number of handlers of a queue that run although they timed out
// or lost their task. Adding 0 creates the series.
func (m *Metrics) HandlersStuck(queue string, more int) {
	m.stuck.WithLabelValues(queue).Add(float64(more))
}

// Requested records a request to the api. route is the pattern that matched.
func (m *Metrics) Requested(method, route string, status int, took time.Duration) {
	m.requests.WithLabelValues(method, route, strconv.Itoa(status)).Observe(took.Seconds())
}

// WebhookReceived counts an event of a platform; outcome is one of the constants Webhook….
func (m *Metrics) WebhookReceived(platform, outcome string) {
	m.webhooks.WithLabelValues(platform, outcome).Inc()
}

// WebhookSettled records how long it took to settle a platform's event.
func (m *Metrics) WebhookSettled(platform, status string, after time.Duration) {
	m.webhookSeconds.WithLabelValues(platform, status).Observe(after.Seconds())
}

// NotifyAttempt records an attempt to deliver a webhook to an app.
func (m *Metrics) NotifyAttempt(delivered bool, took time.Duration) {
	outcome := notifyDelivered
	if !delivered {
		outcome = notifyFailed
	}
	m.notifySeconds.WithLabelValues(outcome).Observe(took.Seconds())
}

// PlatformCalled records a call to a platform; outcome is "ok" or the kind of the error.
func (m *Metrics) PlatformCalled(platform, endpoint, outcome string, took time.Duration) {
	m.callSeconds.WithLabelValues(platform, endpoint, outcome).Observe(took.Seconds())
}

// PostStarted records how much later than its publish time a post started.
func (m *Metrics) PostStarted(platform string, late time.Duration) {
	m.lateness.WithLabelValues(platform).Observe(max(late, 0).Seconds())
}

// PostReached counts a post that reached a state.
func (m *Metrics) PostReached(platform, kind, status string) {
	m.posts.WithLabelValues(platform, kind, status).Inc()
}

// TaskRan records a run of a task.
func (m *Metrics) TaskRan(task string, a Attempt, took time.Duration) {
	m.taskSeconds.WithLabelValues(task, a.Outcome).Observe(took.Seconds())
	m.attempts.WithLabelValues(task, a.Outcome).Inc()
	if a.Class != "" {
		m.TaskError(task, a.Class)
	}
	if a.Exhausted {
		m.exhausted.WithLabelValues(task).Inc()
	}
	if a.Quarantined {
		m.quarantined.WithLabelValues(task).Inc()
	}
}

// TaskError counts an error of a task; class is one of the constants Class….
func (m *Metrics) TaskError(task, class string) { m.taskErrors.WithLabelValues(task, class).Inc() }

// TaskWaited records how long a due task waited.
func (m *Metrics) TaskWaited(queue, task string, wait time.Duration) {
	m.taskWait.WithLabelValues(queue, task).Observe(max(wait, 0).Seconds())
}

// Connected counts a finished consent.
func (m *Metrics) Connected(platform, outcome string) {
	m.connects.WithLabelValues(platform, outcome).Inc()
}

// Refreshed counts a token refresh; outcome is one of the constants Refresh….
func (m *Metrics) Refreshed(platform, outcome string) {
	m.refreshes.WithLabelValues(platform, outcome).Inc()
}

// Repaired counts repairs of a sweep; kind is one of the constants Repair….
func (m *Metrics) Repaired(kind string, n int) { m.repairs.WithLabelValues(kind).Add(float64(n)) }

// Ticks creates the series of a tick that has not run yet.
func (m *Metrics) Ticks(tick string) { m.ticks.WithLabelValues(tick) }

// Ticked records that a scheduler completed a tick.
func (m *Metrics) Ticked(tick string, at time.Time) {
	m.ticks.WithLabelValues(tick).Set(float64(at.UnixMilli()) / 1000)
}

// Handler serves the metrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: maxScrapes})
}

// maxScrapes is the maximum number of concurrent scrapes.
const maxScrapes = 4
