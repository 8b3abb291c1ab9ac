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

// accessLog writes one line per request, and is the one place that logs what a
// request failed of. It names the route and never the path or query: those may
// hold a signature.
func (a *api) accessLog(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		began := time.Now()
		err := next(c)
		if err != nil {
			c.Error(err)
		}
		took := time.Since(began)
		a.logRequest(c, took, err)
		a.logDeed(c, took)
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

// about has the request's line tell which post it is about.
func about(c echo.Context, p *models.Post) { c.Set(aboutKey, observe.Post(p)) }

// logOf is the log for what a request leaves behind.
func (a *api) logOf(c echo.Context) *logrus.Entry { return observe.In(c.Request().Context(), a.Log) }

// routeOf is the pattern that matched. Without a match nothing of the path is
// told: a mistyped media link is still a secret.
func routeOf(c echo.Context) string {
	if path := c.Path(); path != "" {
		return path
	}
	return "(no route)"
}

// methodOf is the method for the metrics, which keep each one that they are told: what a
// client sends may be anything.
func methodOf(c echo.Context) string {
	switch m := c.Request().Method; m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return m
	}
	return "(other)"
}

// isProbe reports whether a machine asks how things are, which it does every few seconds:
// only what goes wrong is worth a line, and none a trace.
func isProbe(c echo.Context) bool {
	switch c.Path() {
	case routeLive, routeReady, routeMetrics, routeHealth:
		return true
	}
	return false
}
