package handlers

import (
	"errors"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"socialqueue/models"
	"socialqueue/tenants"
)

// callerKey is the key of the tenants.Caller in the request's context.
const callerKey = "caller"

func callerOf(c echo.Context) tenants.Caller {
	who, _ := c.Get(callerKey).(tenants.Caller)
	return who
}

// authenticate requires an API key for everything under /api except the public routes. A
// route that does not exist answers 401 as well.
func (a *api) authenticate(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if !a.needsKey(c) {
			return next(c)
		}
		key, ok := bearer(c.Request())
		if !ok {
			return unauthorized(c)
		}
		who, err := a.Tenants.Authenticate(c.Request().Context(), key)
		if errors.Is(err, models.ErrNotFound) {
			return unauthorized(c)
		}
		if err != nil {
			return err
		}
		c.Set(callerKey, who)
		return next(c)
	}
}

func (a *api) needsKey(c echo.Context) bool {
	if a.public[c.Path()] {
		return false
	}
	path := c.Request().URL.Path
	return path == "/api" || strings.HasPrefix(path, "/api/")
}

func bearer(r *http.Request) (key string, ok bool) {
	scheme, key, found := strings.Cut(r.Header.Get(echo.HeaderAuthorization), " ")
	return key, found && strings.EqualFold(scheme, "Bearer")
}

func unauthorized(c echo.Context) error {
	c.Response().Header().Set(echo.HeaderWWWAuthenticate, `Bearer realm="socialqueue"`)
	return &problem{
		status: http.StatusUnauthorized, code: codeUnauthorized,
		detail: "send a valid API key: Authorization: Bearer sq_...",
	}
}
