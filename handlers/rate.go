package handlers

import (
	"fmt"
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
	"golang.org/x/time/rate"
)

// RateLimit limits the requests of one API key in one process.
type RateLimit struct {
	// PerSecond is how many requests a key may send each second in the long run; 0 means that
	// there is no limit.
	PerSecond float64
	// Burst is how many it may send at once.
	Burst int
}

// rates limits the requests of each API key. It is safe for concurrent use.
type rates struct {
	RateLimit

	mu  sync.Mutex
	of  map[int64]*rate.Limiter
	now func() time.Time
}

// maxRates is how many keys are remembered. A key that is forgotten may send a burst again.
const maxRates = 10_000

func (r *rates) limiter(keyID int64) *rate.Limiter {
	r.mu.Lock()
	defer r.mu.Unlock()
	if l, ok := r.of[keyID]; ok {
		return l
	}
	if r.of == nil || len(r.of) >= maxRates {
		r.of = map[int64]*rate.Limiter{}
	}
	l := rate.NewLimiter(rate.Limit(r.PerSecond), r.Burst)
	r.of[keyID] = l
	return l
}

// limitRate refuses requests of a key that sends too many. The headers are those of the IETF
// draft "RateLimit header fields for HTTP" (draft-ietf-httpapi-ratelimit-headers-10).
func (a *api) limitRate(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		keyID := callerOf(c).KeyID
		if a.rates.PerSecond == 0 || keyID == 0 {
			return next(c)
		}
		now := a.rates.now()
		l := a.rates.limiter(keyID)
		allowed := l.AllowN(now, 1)
		left := max(0, l.TokensAt(now))
		window := math.Ceil(float64(a.rates.Burst) / a.rates.PerSecond)
		refill := math.Ceil((float64(a.rates.Burst) - left) / a.rates.PerSecond)
		h := c.Response().Header()
		h.Set("RateLimit-Policy", fmt.Sprintf(`"key";q=%d;w=%.0f`, a.rates.Burst, window))
		h.Set("RateLimit", fmt.Sprintf(`"key";r=%d;t=%.0f`, int(left), refill))
		if allowed {
			return next(c)
		}
		wait := max(1, int(math.Ceil((1-left)/a.rates.PerSecond)))
		return &problem{
			status: http.StatusTooManyRequests, code: codeRateLimited, retryAfter: strconv.Itoa(wait),
			detail: fmt.Sprintf("this API key may send %g requests a second; wait %d s", a.rates.PerSecond, wait),
		}
	}
}
