package handlers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/sirupsen/logrus"
)

const (
	checkTime = 2 * time.Second
	// platformFresh is how long a platform's result is reused. Anyone can trigger the check,
	// and it is a call over the internet.
	platformFresh = 5 * time.Second
	// localFresh limits what a flood of health requests costs our own servers.
	localFresh = 250 * time.Millisecond
)

// Unhealthy is a Check's error whose text is public.
type Unhealthy string

// Error returns the text.
func (e Unhealthy) Error() string { return string(e) }

const errNotConfigured = Unhealthy("not configured")

type healthView struct {
	Status    string `json:"status"`
	LatencyMs int64  `json:"latency_ms"`
	Error     string `json:"error,omitempty"`
}

const (
	statusOK   = "ok"
	statusDown = "down"
)

func healthProbes(deps Deps) map[string]*probe {
	fresh := map[string]time.Duration{"database": localFresh, "redis": localFresh}
	for _, p := range deps.Platforms {
		fresh[string(p.Name)] = platformFresh
	}
	probes := map[string]*probe{}
	for name, life := range fresh {
		check := deps.Health[name]
		if check == nil {
			check = func(context.Context) error { return errNotConfigured }
		}
		probes[name] = &probe{name: name, check: check, fresh: life, log: deps.Log}
	}
	return probes
}

func readyProbes(deps Deps) map[string]*probe {
	probes := map[string]*probe{}
	for name, check := range deps.Ready {
		probes[name] = &probe{name: name, check: check, fresh: localFresh, log: deps.Log}
	}
	return probes
}

func (a *api) healthOf(c echo.Context) error {
	p, ok := a.health[c.Param("check")]
	if !ok {
		return echo.ErrNotFound
	}
	view := p.ask(c.Request().Context())
	return c.JSON(statusFor(view.Status), view)
}

func (a *api) livez(c echo.Context) error {
	return c.JSON(http.StatusOK, map[string]string{"status": statusOK})
}

// readyz answers 200 only if everything that a request needs works.
func (a *api) readyz(c echo.Context) error {
	answer := struct {
		Status string                `json:"status"`
		Checks map[string]healthView `json:"checks"`
	}{statusOK, map[string]healthView{}}
	var wg sync.WaitGroup
	var mu sync.Mutex
	for name, p := range a.ready {
		wg.Go(func() {
			view := p.ask(c.Request().Context())
			mu.Lock()
			defer mu.Unlock()
			answer.Checks[name] = view
			if view.Status != statusOK {
				answer.Status = statusDown
			}
		})
	}
	wg.Wait()
	return c.JSON(statusFor(answer.Status), answer)
}

func statusFor(status string) int {
	if status == statusOK {
		return http.StatusOK
	}
	return http.StatusServiceUnavailable
}

// probe runs one check at a time and shares its result with all callers.
type probe struct {
	name  string
	check Check
	fresh time.Duration
	log   logrus.FieldLogger

	mu      sync.Mutex
	last    healthView // guarded by mu, as the rest
	at      time.Time  // time of last
	running chan struct{}
}

// ask returns a recent result, or "no answer in time".
func (p *probe) ask(ctx context.Context) healthView {
	began := time.Now()
	view, running := p.start(ctx)
	if running == nil {
		return view
	}
	timer := time.NewTimer(checkTime)
	defer timer.Stop()
	select {
	case <-running:
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.last
	case <-ctx.Done():
	case <-timer.C:
	}
	return healthView{Status: statusDown, LatencyMs: time.Since(began).Milliseconds(), Error: "no answer in time"}
}

func (p *probe) start(ctx context.Context) (healthView, chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.at.IsZero() && time.Since(p.at) < p.fresh {
		return p.last, nil
	}
	if p.running == nil {
		p.running = make(chan struct{})
		go p.run(context.WithoutCancel(ctx), p.running) // others wait for it too
	}
	return healthView{}, p.running
}

func (p *probe) run(ctx context.Context, done chan struct{}) {
	defer close(done)
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	began := time.Now()
	err := p.safely(ctx)
	view := healthView{Status: statusOK, LatencyMs: time.Since(began).Milliseconds()}
	if err != nil {
		view.Status, view.Error = statusDown, safeWords(err)
		p.log.WithError(err).WithField("check", p.name).Debug("health check failed")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last, p.at, p.running = view, time.Now(), nil
}

// safely turns a panic of a check into an error.
func (p *probe) safely(ctx context.Context) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("check %s: panic: %v", p.name, r)
		}
	}()
	return p.check(ctx)
}

// safeWords returns a text without the details of a driver's error, such as hosts, users
// and addresses with credentials.
func safeWords(err error) string {
	if unhealthy, ok := errors.AsType[Unhealthy](err); ok {
		return string(unhealthy)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "no answer in time"
	}
	return "not reachable"
}
