package handlers

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
	"golang.org/x/time/rate"

	"socialqueue/secrets"
)

// Operator holds the credentials for the operators' pages. Without a password nobody has
// access.
type Operator struct {
	User     string
	Password secrets.Secret
	// ReadOnly is a second password for the same user that allows viewing only. It may be
	// empty.
	ReadOnly secrets.Secret
}

// role is what a visitor of the operators' pages may do.
type role uint8

const (
	nobody role = iota
	viewer
	operator
)

// roleOf returns the role of a user with that password.
func (o Operator) roleOf(user, password string) role {
	switch {
	case o.Password.Empty():
		return nobody
	case same(o.User, o.Password.Reveal(), user, password):
		return operator
	case !o.ReadOnly.Empty() && same(o.User, o.ReadOnly.Reveal(), user, password):
		return viewer
	}
	return nobody
}

func same(user, password, givenUser, givenPassword string) bool {
	sum := func(u, p string) [sha256.Size]byte { return sha256.Sum256([]byte(u + "\x00" + p)) }
	want, got := sum(user, password), sum(givenUser, givenPassword)
	return subtle.ConstantTimeCompare(want[:], got[:]) == 1
}

const roleKey = "operator"

// operators requires an operator's password, and refuses changes by viewers. If no password
// is set, it answers 404.
func (a *api) operators(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if a.Operator.Password.Empty() {
			return echo.ErrNotFound
		}
		site := siteOf(c.RealIP())
		if !a.guesses.allowed(site) {
			return &problem{
				status: http.StatusTooManyRequests, code: codeRateLimited, retryAfter: "60",
				detail: "too many wrong passwords from this address; wait a minute",
			}
		}
		user, password, given := c.Request().BasicAuth()
		who := a.Operator.roleOf(user, password)
		if who == nobody {
			if given {
				a.guesses.wrong(site)
				a.logOf(c).WithField("remote", c.RealIP()).Warn("wrong operator password")
			}
			c.Response().Header().Set(echo.HeaderWWWAuthenticate, `Basic realm="socialqueue", charset="UTF-8"`)
			return &problem{status: http.StatusUnauthorized, code: codeUnauthorized, detail: "operators only: sign in with OPERATOR_USER and OPERATOR_PASSWORD"}
		}
		if err := mayDo(c, who); err != nil {
			return err
		}
		c.Set(roleKey, who)
		return next(c)
	}
}

// mayDo refuses changes by viewers, and changes that another site makes an operator's
// browser send, since browsers add the password by themselves. It records the action for
// the log.
func mayDo(c echo.Context, who role) error {
	r := c.Request()
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return nil
	}
	if !sameOrigin(r) {
		return &problem{status: http.StatusForbidden, code: codeForbidden, detail: "the request comes from another site"}
	}
	if who != operator {
		return &problem{status: http.StatusForbidden, code: codeForbidden, detail: "this password is read-only"}
	}
	user, _, _ := r.BasicAuth()
	c.Set(actionKey, operatorAction{user: user, ids: namedIn(r)})
	return nil
}

// sameOrigin reports whether a request comes from one of our pages, or from no page at all.
// Browsers send one of the two headers with every request that is not a GET.
func sameOrigin(r *http.Request) bool {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" && site != "none" {
		return false
	}
	origin := r.Header.Get(echo.HeaderOrigin)
	if origin == "" {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && u.Host == r.Host
}

const (
	// guessesAtOnce is how many wrong passwords a client may send at once, and guessEvery
	// the interval after which it may send another.
	guessesAtOnce = 10
	guessEvery    = 6 * time.Second
	// maxGuessers limits the remembered clients.
	maxGuessers = 10_000
)

// guesses limits wrong passwords per client network. Over the limit it refuses the right
// password too: otherwise its different response would let a client go on guessing.
type guesses struct {
	mu sync.Mutex
	of map[string]*rate.Limiter
}

func (g *guesses) allowed(site string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	l := g.of[site]
	return l == nil || l.Tokens() >= 1
}

func (g *guesses) wrong(site string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.of == nil || len(g.of) >= maxGuessers {
		g.of = map[string]*rate.Limiter{} // an attack from that many addresses is not stopped here
	}
	if g.of[site] == nil {
		g.of[site] = rate.NewLimiter(rate.Every(guessEvery), guessesAtOnce)
	}
	g.of[site].Allow()
}

// showMetrics serves the metrics of this process to operators.
func (a *api) showMetrics(c echo.Context) error {
	if a.metrics == nil {
		return echo.ErrNotFound
	}
	a.metrics.ServeHTTP(c.Response(), c.Request())
	return nil
}

// Pages are the handlers for operators and for viewers.
type Pages struct {
	Operator, Viewer http.Handler
}

// MonitoringRoot is the path of the queues' page.
const MonitoringRoot = "/monitoring"

// serve serves the handler for the visitor's role.
func (p Pages) serve(c echo.Context) error {
	page := p.Viewer
	if c.Get(roleKey) == operator {
		page = p.Operator
	}
	if page == nil {
		return echo.ErrNotFound
	}
	r := c.Request()
	r.Body = http.MaxBytesReader(c.Response(), r.Body, maxJSON)
	page.ServeHTTP(c.Response(), r)
	return nil
}
