// Package handlers is the HTTP API. A handler reads and checks the request, calls one use
// case and encodes the result. problem.go maps every error to a response.
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

// Check checks one part of the system. It must honour its context. The text of an Unhealthy
// error is public; other errors are only logged.
type Check = func(ctx context.Context) error

// Deps holds the dependencies of the API.
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
	// Metrics are the metrics of this process, which Operator may read. It may be nil.
	Metrics  *observe.Metrics
	Operator Operator
	// Rate limits the requests of each API key.
	Rate RateLimit
	// TrustedProxies are the proxies whose X-Forwarded-For is used.
	TrustedProxies []netip.Prefix
	// Monitoring is the queues' page, and Console that of posts and accounts. Both may be
	// empty.
	Monitoring, Console Pages
	// Platforms are the platforms that paths, filters and pages may name.
	Platforms models.PlatformTitles
	// Endpoints are more routes for creating posts.
	Endpoints []Endpoint
	// TextFiles are the texts by which platforms verify that the host is ours, by path.
	TextFiles map[string]string
	// Health holds the checks of /api/health by name: database, redis and one for each of
	// the Platforms. A missing check answers "not configured".
	Health map[string]Check
	// Ready holds the checks that /readyz needs.
	Ready map[string]Check
}

type api struct {
	Deps
	// public holds the routes under /api that need no key.
	public map[string]bool
	health map[string]*probe
	ready  map[string]*probe
	// metrics serves Metrics. There is one handler, because it limits concurrent requests.
	metrics http.Handler
	// guesses counts the wrong passwords of operators.
	guesses guesses
	// keyedBodies and openBodies limit the memory for bodies of requests with and without an
	// API key.
	keyedBodies, openBodies *budget
	rates                   *rates
}

// New builds the API.
func New(deps Deps) *echo.Echo {
	now := deps.Now
	deps.Now = func() time.Time { return models.Time(now()) }
	a := &api{
		Deps: deps, public: publicRoutes(),
		keyedBodies: newBudget(keyedBodies, keyedShare), openBodies: newBudget(openBodies, openShare),
		rates: &rates{RateLimit: deps.Rate, now: deps.Now},
	}
	a.health = healthProbes(deps)
	a.ready = readyProbes(deps)
	if deps.Metrics != nil {
		a.metrics = deps.Metrics.Handler()
	}

	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.HTTPErrorHandler = writeProblem
	e.IPExtractor = addressBehind(deps.TrustedProxies)
	e.Use(readRest, requestID, traced, a.accessLog, catchPanics, answerHeaders, releaseBody, a.authenticate, a.limitRate)
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
	a.textFiles(e)
	e.GET("/media/:id/:signature", a.mediaLink)
	e.HEAD("/media/:id/:signature", a.mediaLink)

	e.GET("/api/auth/:platform", a.beginConnect, inTime)
	e.GET(routeCallback, a.finishConnect)
	e.POST(routeDeauthorize, a.facebookDeauthorized, inTime)
	e.POST(routeDelete, a.facebookDeletes, inTime)
	e.GET(routeDeletion, a.deletionStatus, inTime)
	a.webhookRoutes(e)

	e.GET("/api/accounts", a.listAccounts, inTime)
	e.GET("/api/accounts/:platform/:id", a.getAccount, inTime)
	e.DELETE("/api/accounts/:platform/:id", a.disconnectAccount, inTime)
	e.PATCH("/api/accounts/instagram/:id", a.patchInstagramAccount, inTime)
	e.GET("/api/accounts/instagram/pages", a.listPages, inTime)
	e.GET("/api/accounts/:platform/:id/limits", a.accountLimits, inTime)
	e.POST("/api/users", a.createUser, inTime)
	e.POST(routeMedia, a.createMedia)
	e.POST(routeTikTok, a.tiktokUpload)
	e.POST("/api/instagram/publish", a.acceptBody(decodeInstagram), inTime)
	for _, endpoint := range a.Endpoints {
		e.POST(endpoint.Path, a.acceptBody(endpoint.Decode), inTime)
	}
	e.GET("/api/tiktok/status/:publishId", a.tiktokStatus, inTime)
	e.POST("/api/posts", a.createPosts, inTime)
	e.POST("/api/posts/validate", a.validatePosts, inTime)
	e.GET("/api/posts", a.listPosts, inTime)
	e.GET("/api/groups/:id", a.getGroup, inTime)
	e.DELETE("/api/groups/:id", a.cancelGroup, inTime)
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

// Routes that take files.
const (
	routeMedia  = "/api/media"
	routeTikTok = "/api/tiktok/upload"
)

// Routes that monitoring calls every few seconds.
const (
	routeLive    = "/livez"
	routeReady   = "/readyz"
	routeMetrics = "/metrics"
	routeHealth  = "/api/health/:check"
)

// Routes that browsers and platforms call without an API key. They are protected by a state
// or a signature.
const (
	routeCallback    = "/api/auth/:platform/callback"
	routeDeauthorize = "/api/auth/instagram/deauthorize"
	routeDelete      = "/api/auth/instagram/delete-data"
	routeDeletion    = "/api/auth/instagram/deletions/:code"
	// routeWebhooks is the prefix of the platforms' webhook addresses.
	routeWebhooks = "/api/webhooks/"
)

// publicRoutes lists the routes under /api that need no key. webhookRoutes adds the
// platforms' webhooks.
func publicRoutes() map[string]bool {
	return map[string]bool{routeHealth: true, routeCallback: true, routeDeauthorize: true, routeDelete: true, routeDeletion: true}
}

// Limits of a connection. body.go has those of bodies, and headers.go those of responses:
// an upload may take hours as long as data arrives.
const (
	headerTime     = 10 * time.Second
	idleTime       = 2 * time.Minute
	maxHeaderBytes = 32 << 10
)

// Server returns an HTTP server for h.
func Server(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: headerTime,
		IdleTimeout:       idleTime,
		MaxHeaderBytes:    maxHeaderBytes,
	}
}
