package handlers

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"

	"github.com/labstack/echo/v4"

	"socialqueue/secrets"
)

// Operator is who may see what is not for apps. Without a password nobody may.
type Operator struct {
	User     string
	Password secrets.Secret
}

// is reports whether these are the operator's.
func (o Operator) is(user, password string) bool {
	sum := func(u, p string) [sha256.Size]byte { return sha256.Sum256([]byte(u + "\x00" + p)) }
	want, got := sum(o.User, o.Password.Reveal()), sum(user, password)
	return subtle.ConstantTimeCompare(want[:], got[:]) == 1
}

// showMetrics shows them to operators. Where no password is set there is nothing to
// find here.
func (a *api) showMetrics(c echo.Context) error {
	if a.Metrics == nil || a.Operator.Password.Empty() {
		return echo.ErrNotFound
	}
	if user, password, ok := c.Request().BasicAuth(); !ok || !a.Operator.is(user, password) {
		c.Response().Header().Set(echo.HeaderWWWAuthenticate, `Basic realm="socialqueue", charset="UTF-8"`)
		return &problem{status: http.StatusUnauthorized, code: codeUnauthorized, detail: "this is for operators: OPERATOR_USER and OPERATOR_PASSWORD"}
	}
	a.Metrics.ServeHTTP(c.Response(), c.Request())
	return nil
}
