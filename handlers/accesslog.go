package handlers

import (
	"errors"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/sirupsen/logrus"

	"socialqueue/models"
	"socialqueue/observe"
)

// accessLog writes one line per request. No other place logs the error of a request. The
// line has the route and never the path or query, which may hold a signature.
func (a *api) accessLog(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		began := time.Now()
		err := next(c)
		if err != nil {
			c.Error(err)
		}
		took := time.Since(began)
		a.logRequest(c, took, err)
		a.logOperatorAction(c, took)
		if a.Metrics != nil {
			a.Metrics.Requested(methodOf(c), routeOf(c), c.Response().Status, took)
		}
		return nil
	}
}

func (a *api) logRequest(c echo.Context, took time.Duration, err error) {
	status := c.Response().Status
	entry := a.Log.WithFields(logrus.Fields{
		observe.FieldCorrelationID: correlationID(c.Request()),
		observe.FieldAction:        c.Request().Method + " " + routeOf(c),
		observe.FieldDuration:      took,
		"status":                   status,
		"app_id":                   callerOf(c).AppID,
		"bytes":                    c.Response().Size,
		"remote":                   c.RealIP(),
	})
	if about, ok := c.Get(aboutKey).(logrus.Fields); ok {
		entry = entry.WithFields(about)
	}
	if err != nil {
		entry = entry.WithError(err)
	}
	if p, ok := errors.AsType[*panicError](err); ok {
		entry = entry.WithField(observe.FieldStack, string(p.stack))
	}
	switch {
	case err != nil && status >= http.StatusInternalServerError:
		entry.Error("request failed")
	case isProbe(c) && status < http.StatusBadRequest:
		entry.Debug("request")
	default:
		entry.Info("request")
	}
}

const aboutKey = "about"

// about adds the post to the request's log line.
func about(c echo.Context, p *models.Post) { c.Set(aboutKey, observe.Post(p)) }

// logOf returns the log with the request's correlation id.
func (a *api) logOf(c echo.Context) *logrus.Entry { return observe.In(c.Request().Context(), a.Log) }

// routeOf returns the pattern that matched. Without a match it returns no part of the path,
// because a mistyped media link is still a secret.
func routeOf(c echo.Context) string {
	if path := c.Path(); path != "" {
		return path
	}
	return "(no route)"
}

// methodOf returns the method as a metric label. Unknown methods share one label, since
// clients may send anything.
func methodOf(c echo.Context) string {
	switch m := c.Request().Method; m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return m
	}
	return "(other)"
}

// isProbe reports whether a request is a probe, which monitoring repeats every few seconds.
// Only failed probes are logged at info level, and none is traced.
func isProbe(c echo.Context) bool {
	switch c.Path() {
	case routeLive, routeReady, routeMetrics, routeHealth:
		return true
	}
	return false
}
