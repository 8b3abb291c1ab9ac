package handlers

import (
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"socialqueue/oauth"
	"socialqueue/platform"
	"socialqueue/publish"
	"socialqueue/view"
)

// limitsView is what a platform allows an account now.
type limitsView struct {
	Limits []limitView `json:"limits"`
	// Creator is in the platform's own names; null if it has none.
	Creator   any    `json:"creator"`
	CheckedAt string `json:"checked_at"`
}

type limitView struct {
	Name string `json:"name"`
	// Window is a duration such as 24h.
	Window string              `json:"window"`
	Limit  int                 `json:"limit"`
	Used   int                 `json:"used"`
	Source publish.LimitSource `json:"source"`
	// FreeAt is null if there is room, or if nobody knows when there will be.
	FreeAt *string `json:"free_at"`
}

// accountLimits answers what the platform allows an account now. The answer may be a minute
// old; checked_at tells.
func (a *api) accountLimits(c echo.Context) error {
	p, id, err := a.accountParam(c)
	if err != nil {
		return err
	}
	if err := readQuery(c.Request().URL.RawQuery, "call", nil); err != nil {
		return err
	}
	limits, err := a.Posts.Limits(c.Request().Context(), callerOf(c).AppID, p, id)
	if err != nil {
		return readProblem(err)
	}
	return c.JSON(http.StatusOK, viewLimits(limits))
}

func viewLimits(l publish.Limits) limitsView {
	shown := limitsView{Limits: []limitView{}, Creator: l.Creator, CheckedAt: view.Time(l.CheckedAt)}
	for _, limit := range l.Limits {
		v := limitView{Name: limit.Name, Window: view.Duration(limit.Window), Limit: limit.Limit, Used: limit.Used, Source: limit.Source}
		if !limit.FreeAt.IsZero() {
			v.FreeAt = view.TimeOrNull(&limit.FreeAt)
		}
		shown.Limits = append(shown.Limits, v)
	}
	return shown
}

// readProblem maps the error of a read of the platform that a request waits for.
func readProblem(err error) error {
	if errors.Is(err, oauth.ErrReauthorize) {
		return &problem{status: http.StatusUnauthorized, code: string(platform.CodeTokenInvalid), detail: err.Error()}
	}
	if later, ok := errors.AsType[*oauth.LaterError](err); ok {
		return &problem{status: http.StatusServiceUnavailable, code: codeUnavailable, detail: later.Error(), retryAfter: seconds(later.In)}
	}
	e, ok := errors.AsType[*platform.Error](err)
	if !ok {
		return err
	}
	p := &problem{code: string(e.Code), detail: e.Error()}
	switch {
	case e.Kind == platform.Transient, e.Kind == platform.Unknown:
		p.status, p.code, p.retryAfter = http.StatusServiceUnavailable, codeUnavailable, "10"
	case e.Code == platform.CodeRateLimited:
		p.status, p.retryAfter = http.StatusTooManyRequests, seconds(e.RetryAfter)
	case e.Code == platform.CodeTokenInvalid, e.Code == platform.CodeTokenExpired:
		p.status = http.StatusUnauthorized
	default:
		p.status = http.StatusBadGateway
	}
	return p
}

// seconds writes a wait for Retry-After.
func seconds(d time.Duration) string { return strconv.Itoa(int(math.Ceil(d.Seconds()))) }
