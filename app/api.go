package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"socialqueue/config"
	"socialqueue/console"
	"socialqueue/db"
	"socialqueue/handlers"
	"socialqueue/jobs"
)

// API is the process that serves apps and platforms.
type API struct {
	*core
	http *httpServer
}

// NewAPI builds an api and connects it to its servers.
func NewAPI(ctx context.Context, cfg config.Config, opts Options) (*API, error) {
	c, err := openCore(ctx, cfg, opts, apiConns)
	if err != nil {
		return nil, err
	}
	return &API{core: c, http: c.newHTTPServer()}, nil
}

// Start starts to listen.
func (a *API) Start(ctx context.Context) error {
	a.warnUnlessReady(ctx)
	a.startTurns()
	return a.http.start(ctx, &a.lifecycle)
}

// Addr returns the address of the api.
func (a *API) Addr() string { return a.http.addr() }

// httpServer is the api's server with its listener.
type httpServer struct {
	*core
	server   *http.Server
	listener net.Listener
}

func (c *core) newHTTPServer() *httpServer {
	return &httpServer{core: c, server: handlers.Server(handlers.New(handlers.Deps{
		Tenants: c.tenants, Posts: c.posts, Accounts: c.tokens, Inbox: c.inbox, Notify: c.notify, Store: c.store, Links: c.links, Log: c.log, Now: c.opts.Now, MediaMaxBytes: c.cfg.MediaMaxBytes,
		Metrics: c.metrics, Monitoring: c.monitoring(), Console: c.console(),
		Operator:       handlers.Operator{User: c.cfg.OperatorUser, Password: c.cfg.OperatorPassword, ReadOnly: c.cfg.OperatorReadOnly},
		Rate:           handlers.RateLimit{PerSecond: float64(c.cfg.APIRateLimit), Burst: c.cfg.APIRateBurst},
		TrustedProxies: c.cfg.TrustedProxies, Platforms: c.titles(), Endpoints: c.endpoints(), TextFiles: c.textFiles(),
		Health: c.healthChecks(),
		Ready:  map[string]handlers.Check{"process": c.notStopping, "database": shown(c.databaseReady), "redis": shown(c.redisReady), "worker": c.workerAlive},
	}))}
}

// monitoring returns the queues' page.
func (c *core) monitoring() handlers.Pages {
	if c.cfg.OperatorPassword.Empty() {
		return handlers.Pages{}
	}
	return handlers.Pages{
		Operator: c.queue.Monitor(handlers.MonitoringRoot, false), Viewer: c.queue.Monitor(handlers.MonitoringRoot, true),
	}
}

// console returns the page of posts and accounts.
func (c *core) console() handlers.Pages {
	if c.cfg.OperatorPassword.Empty() {
		return handlers.Pages{}
	}
	deps := console.Deps{DB: c.db, Posts: c.posts, Platforms: c.titles(), PausedQueues: c.queue.Paused, Workers: c.queue.Workers, Log: c.log, Now: c.opts.Now}
	return handlers.Pages{Operator: console.New(deps, true), Viewer: console.New(deps, false)}
}

// accepts returns nil if a post can be accepted here. Load balancers use it.
func (c *core) accepts(ctx context.Context) error {
	if c.isStopping() {
		return handlers.Unhealthy(errStopping.Error())
	}
	return c.db.Ping(ctx)
}

// notStopping fails once the process is stopping, so that load balancers stop using it.
func (c *core) notStopping(context.Context) error {
	if c.isStopping() {
		return handlers.Unhealthy(errStopping.Error())
	}
	return nil
}

// shown makes the reasons that an operator can fix public.
func shown(check handlers.Check) handlers.Check {
	return func(ctx context.Context) error {
		err := check(ctx)
		if refused, ok := errors.AsType[*db.NoWritesError](err); ok {
			return handlers.Unhealthy(refused.Public())
		}
		if errors.Is(err, db.ErrMigrationsMissing) || errors.Is(err, jobs.ErrEvicts) {
			return handlers.Unhealthy(err.Error())
		}
		return err
	}
}

func (c *core) workerAlive(context.Context) error {
	n, err := c.queue.Workers()
	if err != nil {
		return err
	}
	if n == 0 {
		return handlers.Unhealthy("no worker is alive")
	}
	return nil
}

// reachable returns a check that a platform answers at all. Any answer counts: a real call
// would use an account's budget.
func reachable(baseURL string) handlers.Check {
	return func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodHead, baseURL, nil)
		if err != nil {
			return fmt.Errorf("call %s: %w", baseURL, err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return handlers.Unhealthy("no answer")
		}
		_ = resp.Body.Close()
		if resp.StatusCode >= http.StatusInternalServerError {
			return handlers.Unhealthy(resp.Status)
		}
		return nil
	}
}

func (h *httpServer) start(ctx context.Context, l *lifecycle) error {
	var listen net.ListenConfig
	listener, err := listen.Listen(ctx, "tcp", h.cfg.HTTPAddr)
	if err != nil {
		return fmt.Errorf("listen on HTTP_ADDR: %w", err)
	}
	h.listener = listener
	serve(h.server, listener, h.log)
	l.onStop("HTTP server", h.stop)
	return nil
}

// stop keeps serving until load balancers have seen that this process is no longer ready.
// Then it waits for requests to end, and after the timeout closes the rest, including
// uploads, which are then not stored.
func (h *httpServer) stop(ctx context.Context) error {
	select {
	case <-time.After(h.cfg.ShutdownDelay):
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(ctx, h.cfg.ShutdownTimeout)
	defer cancel()
	err := h.server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		return h.server.Close()
	}
	return err
}

func (h *httpServer) addr() string { return h.listener.Addr().String() }
