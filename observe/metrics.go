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

// Metrics is what a process counts. No label names an account, a post or a task.
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

// What can come of something that a platform sends.
const (
	WebhookStored    = "stored"
	WebhookDuplicate = "duplicate"
	WebhookRefused   = "refused"
)

// What can come of a refresh of tokens.
const (
	RefreshDone = "refreshed"
	// RefreshPutOff: it is tried again, nobody refused for good.
	RefreshPutOff = "put_off"
	// RefreshDead: the platform refused an account for good.
	RefreshDead = "dead"
	// RefreshLoginEnded: a Facebook login ended whose accounts live on.
	RefreshLoginEnded = "login_ended"
)

// What the sweeps mend.
const (
	RepairRefill       = "redis_refill"
	RepairPost         = "post"
	RepairWebhookEvent = "webhook_event"
	RepairAsynq        = "asynq"
)

// Whether an app was told.
const (
	notifyDelivered = "delivered"
	notifyFailed    = "failed"
)

var (
	// waitBuckets are for what may take from no time to days, in seconds.
	waitBuckets = []float64{0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 6 * 3600, 24 * 3600}
	// callBuckets are for calls, of which uploads take the longest.
	callBuckets = []float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300}
)

func counter(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
}

func histogram(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: namespace, Name: name, Help: help, Buckets: buckets}, labels)
}

// namespace begins the name of every metric of ours.
const namespace = "socialqueue"

// PlatformKinds are a platform and what can be posted there.
type PlatformKinds struct {
	Platform models.Platform
	Kinds    []models.Kind
}

// NewMetrics makes the metrics of a process that works with these platforms.
func NewMetrics(platforms ...PlatformKinds) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		webhooks: counter("webhooks_received_total",
			"Events that platforms sent, by what came of them: stored, duplicate or refused. A request that is refused counts once, whatever it holds.", "platform", "outcome"),
		webhookSeconds: histogram("webhook_processing_seconds", "From the coming of a platform's event to its effect.", waitBuckets, "platform", "status"),
		notifySeconds: histogram("notify_attempt_duration_seconds",
			"Tries to tell apps of events, by outcome: delivered or failed.", callBuckets, "outcome"),
		callSeconds: histogram("platform_request_duration_seconds",
			"Calls to platforms, by what they mean: ok, or the kind of the failure.", callBuckets, "platform", "endpoint", "outcome"),
		lateness:    histogram("post_lateness_seconds", "How much later than its time a post was begun.", waitBuckets, "platform"),
		posts:       counter("posts_total", "Posts that came to a state, such as published or failed.", "platform", "kind", "status"),
		taskSeconds: histogram("task_duration_seconds", "Runs of tasks, by the outcome that task_attempts_total has.", callBuckets, "type", "outcome"),
		taskWait:    histogram("task_wait_seconds", "From the time that a task was due to the beginning of the run that did its work.", waitBuckets, "queue", "type"),
		attempts: counter("task_attempts_total",
			"Runs of tasks, by what came of them: success, retry (it failed), snooze (put off, no failure), dead (ended for good), revoked (nothing left to do) or unknown (it may be live).", "type", "outcome"),
		taskErrors:  counter("task_errors_total", "Errors that runs of tasks met: rate_limited, auth, transient, permanent, timeout, lease_lost or panic.", "type", "class"),
		exhausted:   counter("task_retries_exhausted_total", "Tasks whose work was given up with the last attempt.", "type"),
		quarantined: counter("task_quarantined_total", "Tasks whose post was set aside, as its runs kept dying.", "type"),
		stuck: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: namespace, Name: "handlers_stuck", Help: "Jobs that still run although their time is over or their task was taken from them.",
		}, []string{"queue"}),
		connects:  counter("oauth_connects_total", "Consents that ended, by outcome: connected, or the code that the user was told.", "platform", "outcome"),
		refreshes: counter("token_refreshes_total", "Refreshes of tokens, by outcome: refreshed, put_off, dead, or login_ended (of a Facebook login whose accounts live on).", "platform", "outcome"),
		requests:  histogram("http_request_duration_seconds", "Requests to the api, uploads among them.", callBuckets, "method", "route", "status"),
		repairs:   counter("reconcile_repairs_total", "What the sweeps mended: tasks that were missing, and what Asynq left behind.", "kind"),
		ticks: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: namespace, Name: "scheduler_last_tick_timestamp_seconds", Help: "When this scheduler last did the work of a tick without an error; 0 if it has not yet. Another one may have done it since.",
		}, []string{"tick"}),
	}
	m.registry.MustRegister(
		m.webhooks, m.webhookSeconds, m.notifySeconds, m.callSeconds, m.lateness, m.posts, m.taskSeconds, m.taskWait, m.attempts,
		m.taskErrors, m.exhausted, m.quarantined, m.stuck, m.connects, m.refreshes, m.repairs, m.ticks, m.requests, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	m.zero(platforms)
	return m
}

// zero shows from the start what alerts watch the growth of. Prometheus sees no growth
// in a series that is new with it: the posts that a worker begins late after an outage,
// or the first accounts that die, would count for nothing.
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

// Database shows the pool of connections too.
func (m *Metrics) Database(db *sql.DB) {
	m.registry.MustRegister(collectors.NewDBStatsCollector(db, namespace))
}

// RedisPool is how the connections to Redis are used.
type RedisPool struct {
	Open, Idle       uint32
	Misses, Timeouts uint32 // since the start
}

// Redis shows that pool, which ask tells of.
func (m *Metrics) Redis(ask func() RedisPool) {
	gauge := func(o prometheus.GaugeOpts, read func(RedisPool) uint32) {
		o.Namespace = namespace
		m.registry.MustRegister(prometheus.NewGaugeFunc(o, func() float64 { return float64(read(ask())) }))
	}
	count := func(o prometheus.CounterOpts, read func(RedisPool) uint32) {
		o.Namespace = namespace
		m.registry.MustRegister(prometheus.NewCounterFunc(o, func() float64 { return float64(read(ask())) }))
	}
	gauge(prometheus.GaugeOpts{Name: "redis_connections_open", Help: "Connections to Redis."}, func(p RedisPool) uint32 { return p.Open })
	gauge(prometheus.GaugeOpts{Name: "redis_connections_idle", Help: "Connections to Redis that nobody uses."}, func(p RedisPool) uint32 { return p.Idle })
	count(prometheus.CounterOpts{Name: "redis_connections_missed_total", Help: "Times that no connection to Redis was free, so that one was opened."}, func(p RedisPool) uint32 { return p.Misses })
	count(prometheus.CounterOpts{Name: "redis_connections_timeouts_total", Help: "Times that none became free in time."}, func(p RedisPool) uint32 { return p.Timeouts })
}

// Places shows how many jobs a worker runs at once in one of its pools, of how many that
// it may. A place that is free in one pool helps no task of another.
func (m *Metrics) Places(pool string, capacity int, busy func() int) {
	labels := prometheus.Labels{"pool": pool}
	all := prometheus.NewGauge(prometheus.GaugeOpts{Namespace: namespace, Name: "workers_capacity", Help: "Jobs that this worker may run at once.", ConstLabels: labels})
	all.Set(float64(capacity))
	m.registry.MustRegister(all, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: namespace, Name: "workers_busy", Help: "Jobs that this worker runs.", ConstLabels: labels,
	}, func() float64 { return float64(busy()) }))
}

// HandlersStuck notes that so many more jobs of a queue run beyond their end; 0 shows
// the queue.
func (m *Metrics) HandlersStuck(queue string, more int) {
	m.stuck.WithLabelValues(queue).Add(float64(more))
}

// Requested notes a request to the api. route is the pattern that matched.
func (m *Metrics) Requested(method, route string, status int, took time.Duration) {
	m.requests.WithLabelValues(method, route, strconv.Itoa(status)).Observe(took.Seconds())
}

// WebhookReceived counts something that a platform sent; outcome is one of the
// constants Webhook….
func (m *Metrics) WebhookReceived(platform, outcome string) {
	m.webhooks.WithLabelValues(platform, outcome).Inc()
}

// WebhookSettled notes how long a platform's event waited for its effect.
func (m *Metrics) WebhookSettled(platform, status string, after time.Duration) {
	m.webhookSeconds.WithLabelValues(platform, status).Observe(after.Seconds())
}

// NotifyTried notes a try to tell an app.
func (m *Metrics) NotifyTried(delivered bool, took time.Duration) {
	outcome := notifyDelivered
	if !delivered {
		outcome = notifyFailed
	}
	m.notifySeconds.WithLabelValues(outcome).Observe(took.Seconds())
}

// PlatformCalled notes a call; outcome is "ok" or the kind of its failure.
func (m *Metrics) PlatformCalled(platform, endpoint, outcome string, took time.Duration) {
	m.callSeconds.WithLabelValues(platform, endpoint, outcome).Observe(took.Seconds())
}

// PostBegan notes how much later than its time a post was begun.
func (m *Metrics) PostBegan(platform string, late time.Duration) {
	m.lateness.WithLabelValues(platform).Observe(max(late, 0).Seconds())
}

// PostCame counts that a post came to a state.
func (m *Metrics) PostCame(platform, kind, status string) {
	m.posts.WithLabelValues(platform, kind, status).Inc()
}

// TaskRan notes a run of a task.
func (m *Metrics) TaskRan(task string, a Attempt, took time.Duration) {
	m.taskSeconds.WithLabelValues(task, a.Outcome).Observe(took.Seconds())
	m.attempts.WithLabelValues(task, a.Outcome).Inc()
	if a.Class != "" {
		m.TaskErred(task, a.Class)
	}
	if a.Exhausted {
		m.exhausted.WithLabelValues(task).Inc()
	}
	if a.Quarantined {
		m.quarantined.WithLabelValues(task).Inc()
	}
}

// TaskErred counts an error that a task met; class is one of the constants Class….
func (m *Metrics) TaskErred(task, class string) { m.taskErrors.WithLabelValues(task, class).Inc() }

// TaskWaited notes how long a task waited beyond its time.
func (m *Metrics) TaskWaited(queue, task string, wait time.Duration) {
	m.taskWait.WithLabelValues(queue, task).Observe(max(wait, 0).Seconds())
}

// Connected counts a consent that ended.
func (m *Metrics) Connected(platform, outcome string) {
	m.connects.WithLabelValues(platform, outcome).Inc()
}

// Refreshed counts a refresh of tokens; outcome is one of the constants Refresh….
func (m *Metrics) Refreshed(platform, outcome string) {
	m.refreshes.WithLabelValues(platform, outcome).Inc()
}

// Repaired counts what a sweep mended; kind is one of the constants Repair….
func (m *Metrics) Repaired(kind string, n int) { m.repairs.WithLabelValues(kind).Add(float64(n)) }

// Ticks shows a tick that a scheduler has yet to do.
func (m *Metrics) Ticks(tick string) { m.ticks.WithLabelValues(tick) }

// Ticked notes that a scheduler did the work of a tick.
func (m *Metrics) Ticked(tick string, at time.Time) {
	m.ticks.WithLabelValues(tick).Set(float64(at.UnixMilli()) / 1000)
}

// Handler shows the metrics to Prometheus.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: maxScrapes})
}

// maxScrapes bounds how many ask at once.
const maxScrapes = 4
