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

// Operator is who may see what is not for apps. Without a password nobody may.
type Operator struct {
	User     string
	Password secrets.Secret
	// ReadOnly is the password, with the same user, of who may look and do nothing;
	// empty: nobody.
	ReadOnly secrets.Secret
}

// role is what somebody may do of what is for operators.
type role uint8

const (
	nobody role = iota
	viewer
	operator
)

// roleOf tells what somebody may do who gives these.
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

// operators lets operators pass, and nobody who only looks where something is done.
// Where no password is set there is nothing to find.
func (a *api) operators(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if a.Operator.Password.Empty() {
			return echo.ErrNotFound
		}
		site := siteOf(c.RealIP())
		if !a.guesses.allowed(site) {
			return &problem{
				status: http.StatusTooManyRequests, code: codeRateLimited, retryAfter: "60",
				detail: "too many wrong passwords came from this address; wait a minute",
			}
		}
		user, password, given := c.Request().BasicAuth()
		who := a.Operator.roleOf(user, password)
		if who == nobody {
			if given {
				a.guesses.wrong(site)
				a.logOf(c).WithField("remote", c.RealIP()).Warn("a wrong operator password")
			}
			c.Response().Header().Set(echo.HeaderWWWAuthenticate, `Basic realm="socialqueue", charset="UTF-8"`)
			return &problem{status: http.StatusUnauthorized, code: codeUnauthorized, detail: "this is for operators: OPERATOR_USER and OPERATOR_PASSWORD"}
		}
		if err := mayDo(c, who); err != nil {
			return err
		}
		c.Set(roleKey, who)
		return next(c)
	}
}

// mayDo refuses what somebody who only looks wants to do, and what another site has
// an operator's browser do: it sends the password along by itself. What is done is
// noted for the log.
func mayDo(c echo.Context, who role) error {
	r := c.Request()
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return nil
	}
	if !sameOrigin(r) {
		return &problem{status: http.StatusForbidden, code: codeForbidden, detail: "this was asked for by another site"}
	}
	if who != operator {
		return &problem{status: http.StatusForbidden, code: codeForbidden, detail: "this password may look only"}
	}
	user, _, _ := r.BasicAuth()
	c.Set(deedKey, deed{user: user, ids: namedIn(r)})
	return nil
}

// sameOrigin reports whether a request comes from a page of ours, or from no page at
// all. Browsers tell the one or the other header with everything that is no GET.
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
	// guessesAtOnce is how many wrong passwords a site may send, guessEvery how soon it
	// may send another.
	guessesAtOnce = 10
	guessEvery    = 6 * time.Second
	// maxGuessers bounds the sites that are remembered.
	maxGuessers = 10_000
)

// guesses limits wrong passwords, by the site that they come from. Over the limit the
// right one is refused as well: if it were let through, its answer would differ, and one
// could go on guessing.
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
		g.of = map[string]*rate.Limiter{} // so many at once are an attack from everywhere, which this does not stop
	}
	if g.of[site] == nil {
		g.of[site] = rate.NewLimiter(rate.Every(guessEvery), guessesAtOnce)
	}
	g.of[site].Allow()
}

// showMetrics shows operators what this process counts.
func (a *api) showMetrics(c echo.Context) error {
	if a.metrics == nil {
		return echo.ErrNotFound
	}
	a.metrics.ServeHTTP(c.Response(), c.Request())
	return nil
}

// Pages are for operators, and for those who only look.
type Pages struct {
	Operator, Viewer http.Handler
}

// MonitoringRoot is where the page of the queues lives.
const MonitoringRoot = "/monitoring"

// serve serves the pages that the visitor's role may have.
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
