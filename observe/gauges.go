package observe

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"
)

// Gauge is a number that is asked for when somebody looks.
type Gauge struct {
	// Name is without the prefix that all have.
	Name, Help string
	// Labels are names and values in turn.
	Labels []string
	Value  float64
}

// Source asks for gauges. It honours its context.
type Source func(context.Context) ([]Gauge, error)

const (
	// askTimeout bounds the asking of all sources, so that who looks gets an answer: an
	// operators' server cuts one off after five seconds, and Prometheus waits for ten.
	// askEvery spaces it: whoever looks more often sees what was asked before.
	askTimeout = 3 * time.Second
	askEvery   = 5 * time.Second
)

// Ask shows the gauges of sources, by their names, too. A source that does not
// answer shows as 0 in socialqueue_collected, and its gauges are missing: they are
// not known then.
func (m *Metrics) Ask(log logrus.FieldLogger, sources map[string]Source) {
	m.registry.MustRegister(&asker{log: log, sources: sources})
}

// asker is a collector that asks.
type asker struct {
	log     logrus.FieldLogger
	sources map[string]Source

	mu    sync.Mutex
	asked time.Time
	shown []prometheus.Metric
}

// Describe tells nothing, as what will be shown is not known before.
func (*asker) Describe(chan<- *prometheus.Desc) {}

// Collect shows what the sources say.
func (a *asker) Collect(out chan<- prometheus.Metric) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if now := time.Now(); now.Sub(a.asked) >= askEvery {
		a.shown, a.asked = a.ask(), now
	}
	for _, metric := range a.shown {
		out <- metric
	}
}

// ask asks all sources at once: one that hangs takes no other one's time.
func (a *asker) ask() []prometheus.Metric {
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	var (
		asking sync.WaitGroup
		mu     sync.Mutex
		shown  []prometheus.Metric
	)
	for name, source := range a.sources {
		asking.Go(func() {
			gauges := a.askOne(ctx, name, source)
			mu.Lock()
			defer mu.Unlock()
			for _, g := range gauges {
				shown = append(shown, g.metric())
			}
		})
	}
	asking.Wait()
	return shown
}

func (a *asker) askOne(ctx context.Context, name string, source Source) []Gauge {
	up := 1.0
	gauges, err := source(ctx)
	if err != nil {
		a.log.WithField("source", name).WithError(err).Warn("numbers for the metrics could not be had")
		gauges, up = nil, 0
	}
	return append(gauges, Gauge{
		Name: "collected", Help: "Whether what is asked for at each look could be had.", Labels: []string{"source", name}, Value: up,
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
