package handlers

import (
	"crypto/sha256"
	"errors"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"socialqueue/apikey"
	"socialqueue/db"
)

// caller is who makes a request.
type caller struct {
	appID int64
	keyID int64
}

const callerKey = "caller"

func callerOf(c echo.Context) caller {
	who, _ := c.Get(callerKey).(caller)
	return who
}

// authenticate lets nobody without a key under /api, but for the public routes.
// It denies by default: a route that does not exist answers 401 as well.
func (a *api) authenticate(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if !needsKey(c) {
			return next(c)
		}
		key, ok := bearer(c.Request())
		if !ok {
			return unauthorized(c)
		}
		who, err := a.callerBy(c, key)
		if errors.Is(err, db.ErrNotFound) {
			return unauthorized(c)
		}
		if err != nil {
			return err
		}
		c.Set(callerKey, who)
		return next(c)
	}
}

func needsKey(c echo.Context) bool {
	if public[c.Path()] {
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

// callerBy finds out whose key it is. An unknown one is db.ErrNotFound.
func (a *api) callerBy(c echo.Context, key string) (caller, error) {
	prefix, ok := apikey.Prefix(key)
	if !ok {
		return caller{}, db.ErrNotFound
	}
	sum := apikey.Hash(key)
	now := a.Now()
	if who, ok := a.keys.get(sum, now); ok {
		return who, nil
	}
	return a.lookUp(c, key, prefix, sum)
}

func (a *api) lookUp(c echo.Context, key, prefix string, sum [sha256.Size]byte) (caller, error) {
	row, err := a.DB.Tenants.KeyByPrefix(c.Request().Context(), prefix)
	if err != nil {
		return caller{}, err
	}
	if !apikey.Verify(row.Hash, key) {
		return caller{}, db.ErrNotFound
	}
	who, now := caller{appID: row.AppID, keyID: row.ID}, a.Now()
	a.keys.put(sum, who, now)
	a.keys.touch(row, now)
	return who, nil
}
