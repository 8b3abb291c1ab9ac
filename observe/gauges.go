package observe

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"
)

// Gauge is a value that is read on a scrape.
type Gauge struct {
	// Name is the metric's name without the prefix "socialqueue_".
	Name, Help string
	// Labels are names and values in turn.
	Labels []string
	Value  float64
}

// Source reads gauges. It must honour its context.
type Source func(context.Context) ([]Gauge, error)

const (
	// sourceTimeout is the timeout for reading all sources. It is shorter than what scrapers
	// allow: an operators' server aborts after five seconds, Prometheus after ten.
	sourceTimeout = 3 * time.Second
	// cacheTime is how long the values are reused for further scrapes.
	cacheTime = 5 * time.Second
)

// AddSources adds the gauges of sources, which have names. If a source fails, its gauges are
// missing and its socialqueue_collected is 0.
func (m *Metrics) AddSources(log logrus.FieldLogger, sources map[string]Source) {
	m.registry.MustRegister(&sourceCollector{log: log, sources: sources})
}

// sourceCollector is a Prometheus collector that reads sources on a scrape.
type sourceCollector struct {
	log     logrus.FieldLogger
	sources map[string]Source

	mu      sync.Mutex
	readAt  time.Time
	metrics []prometheus.Metric
}

// Describe sends nothing: the metrics are not known in advance, so the collector is
// unchecked.
func (*sourceCollector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c *sourceCollector) Collect(out chan<- prometheus.Metric) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.readAt) >= cacheTime {
		c.metrics, c.readAt = c.readAll(), now
	}
	for _, metric := range c.metrics {
		out <- metric
	}
}

// readAll reads all sources concurrently, so that one that hangs does not delay the others.
func (c *sourceCollector) readAll() []prometheus.Metric {
	ctx, cancel := context.WithTimeout(context.Background(), sourceTimeout)
	defer cancel()
	var (
		reads   sync.WaitGroup
		mu      sync.Mutex
		metrics []prometheus.Metric
	)
	for name, source := range c.sources {
		reads.Go(func() {
			gauges := c.read(ctx, name, source)
			mu.Lock()
			defer mu.Unlock()
			for _, g := range gauges {
				metrics = append(metrics, g.metric())
			}
		})
	}
	reads.Wait()
	return metrics
}

func (c *sourceCollector) read(ctx context.Context, name string, source Source) []Gauge {
	up := 1.0
	gauges, err := source(ctx)
	if err != nil {
		c.log.WithField("source", name).WithError(err).Warn("could not read the gauges of a source")
		gauges, up = nil, 0
	}
	return append(gauges, Gauge{
		Name: "collected", Help: "Whether the last read of a source of gauges succeeded (1) or failed (0).", Labels: []string{"source", name}, Value: up,
	})
}

func (g Gauge) metric() prometheus.Metric {
	var names, values []string
	for i := 0; i+1 < len(g.Labels); i += 2 {
		names, values = append(names, g.Labels[i]), append(values, g.Labels[i+1])
	}
	desc := prometheus.NewDesc(prometheus.BuildFQName(namespace, "", g.Name), g.Help, names, nil)
	metric, err := prometheus.NewConstMetric(desc, prometheus.GaugeValue, g.Value, values...)
	if err != nil {
		return prometheus.NewInvalidMetric(desc, err)
	}
	return metric
}
