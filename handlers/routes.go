// Package handlers is the HTTP face of the system. A handler reads and checks
// the request, calls one use case and shows the outcome; every error goes
// through the one mapper in problem.go.
package handlers

import (
	"context"
	"net/http"
	"net/netip"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/sirupsen/logrus"

	"socialqueue/inbox"
	"socialqueue/media"
	"socialqueue/models"
	"socialqueue/notify"
	"socialqueue/oauth"
	"socialqueue/observe"
	"socialqueue/publish"
	"socialqueue/tenants"
)

// Check asks one part of the system whether it works. It honours its context.
// The text of an Unhealthy error is shown to everybody; any other is logged.
type Check = func(ctx context.Context) error

// Deps is what the API works with.
type Deps struct {
	Tenants  *tenants.Service
	Posts    *publish.Service
	Accounts *oauth.Service
	Inbox    *inbox.Service
	Notify   *notify.Service
	Store    *media.Store
	Links    *media.Signer
	Log      logrus.FieldLogger
	Now      func() time.Time
	// MediaMaxBytes is the largest file that Store takes.
	MediaMaxBytes int64
	// Metrics is what this process counts, which Operator sees. It may be nil.
	Metrics  *observe.Metrics
	Operator Operator
	// TrustedProxies are those that are believed where a request comes from.
	TrustedProxies []netip.Prefix
	// Monitoring is the page of the queues, Console that of posts and accounts. Both may
	// be empty.
	Monitoring, Console Pages
	// Platforms are those that paths, filters and pages may name.
	Platforms models.PlatformTitles
	// Endpoints are further routes by which apps post.
	Endpoints []Endpoint
	// Health holds the checks of /api/health: database, redis and one for each of the
	// Platforms, by name. One that is missing answers as not configured.
	Health map[string]Check
	// Ready holds what must work before /readyz sends traffic here.
	Ready map[string]Check
}

type api struct {
	Deps
	// public holds the routes under /api that need no key.
	public map[string]bool
	health map[string]*probe
	ready  map[string]*probe
	// metrics shows Metrics; it is one, as it bounds how many ask at once.
	metrics http.Handler
	// guesses are the wrong passwords of operators.
	guesses guesses
}

// New builds the API.
func New(deps Deps) *echo.Echo {
	now := deps.Now
	deps.Now = func() time.Time { return models.Time(now()) }
	a := &api{Deps: deps, public: publicRoutes()}
	a.health = healthProbes(deps)
	a.ready = readyProbes(deps)
	if deps.Metrics != nil {
		a.metrics = deps.Metrics.Handler()
	}

	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.HTTPErrorHandler = writeProblem
	e.IPExtractor = addressBehind(deps.TrustedProxies)
	e.Use(requestID, traced, a.accessLog, catchPanics, answerHeaders, a.authenticate)
	a.routes(e)
	return e
}

func (a *api) routes(e *echo.Echo) {
	e.GET(routeLive, a.livez)
	e.GET(routeReady, a.readyz)
	e.GET(routeMetrics, a.showMetrics, a.operators)
	e.Any(MonitoringRoot, a.Monitoring.serve, a.operators)
	e.Any(MonitoringRoot+"/*", a.Monitoring.serve, a.operators)
	e.Any("/console", a.Console.serve, a.operators)
	e.Any("/console/*", a.Console.serve, a.operators)
	e.GET(routeHealth, a.healthOf)
	e.GET("/media/:id/:signature", a.mediaLink)
	e.HEAD("/media/:id/:signature", a.mediaLink)

	e.GET("/api/auth/:platform", a.beginConnect, inTime)
	e.GET(routeCallback, a.finishConnect)
	e.POST(routeDeauthorize, a.facebookDeauthorized, inTime)
	e.POST(routeDelete, a.facebookDeletes, inTime)
	e.GET(routeDeletion, a.deletionStatus, inTime)
	a.webhookRoutes(e)

	e.GET("/api/accounts", a.listAccounts, inTime)
	e.DELETE("/api/accounts/:platform/:id", a.disconnectAccount, inTime)
	e.GET("/api/accounts/instagram/pages", a.listPages, inTime)
	e.POST("/api/users", a.createUser, inTime)
	e.POST("/api/media", a.createMedia)
	e.POST("/api/tiktok/upload", a.tiktokUpload)
	e.POST("/api/instagram/publish", a.acceptBody(decodeInstagram), inTime)
	for _, endpoint := range a.Endpoints {
		e.POST(endpoint.Path, a.acceptBody(endpoint.Decode), inTime)
	}
	e.GET("/api/tiktok/status/:publishId", a.tiktokStatus, inTime)
	e.GET("/api/posts", a.listPosts, inTime)
	e.GET("/api/posts/:id", a.getPost, inTime)
	e.PATCH("/api/posts/:id", a.reschedulePost, inTime)
	e.DELETE("/api/posts/:id", a.cancelPost, inTime)
	e.GET("/api/posts/:id/events", a.postEvents, inTime)
	e.POST("/api/posts/:id/retry", a.retryPost, inTime)

	e.POST("/api/webhook-endpoints", a.createEndpoint, inTime)
	e.GET("/api/webhook-endpoints", a.listEndpoints, inTime)
	e.GET("/api/webhook-endpoints/:id", a.getEndpoint, inTime)
	e.PATCH("/api/webhook-endpoints/:id", a.changeEndpoint, inTime)
	e.DELETE("/api/webhook-endpoints/:id", a.deleteEndpoint, inTime)
	e.POST("/api/webhook-endpoints/:id/rotate-secret", a.rotateSecret, inTime)
	e.POST("/api/webhook-endpoints/:id/test", a.testEndpoint, inTime)
	e.GET("/api/webhook-endpoints/:id/deliveries", a.listDeliveries, inTime)
	e.POST("/api/webhook-deliveries/:id/redeliver", a.redeliver, inTime)
}

// The routes that machines ask every few seconds.
const (
	routeLive    = "/livez"
	routeReady   = "/readyz"
	routeMetrics = "/metrics"
	routeHealth  = "/api/health/:check"
)

// The routes that browsers and platforms call, which have no key: they prove by a
// state or a signature that they may.
const (
	routeCallback    = "/api/auth/:platform/callback"
	routeDeauthorize = "/api/auth/instagram/deauthorize"
	routeDelete      = "/api/auth/instagram/delete-data"
	routeDeletion    = "/api/auth/instagram/deletions/:code"
	// routeWebhooks begins the address of each platform's webhooks.
	routeWebhooks = "/api/webhooks/"
)

// publicRoutes lists the routes under /api that need no key, but for the webhooks of
// platforms, which webhookRoutes adds. All others need one.
func publicRoutes() map[string]bool {
	return map[string]bool{routeHealth: true, routeCallback: true, routeDeauthorize: true, routeDelete: true, routeDeletion: true}
}

// The bounds of a connection. Bodies have theirs in body.go, answers in
// headers.go: an upload may take hours, as long as it moves.
const (
	headerTime     = 10 * time.Second
	idleTime       = 2 * time.Minute
	maxHeaderBytes = 32 << 10
)

// Server makes the server that h belongs into.
func Server(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: headerTime,
		IdleTimeout:       idleTime,
		MaxHeaderBytes:    maxHeaderBytes,
	}
}
