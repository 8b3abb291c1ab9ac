package handlers

import (
	"net/http"
	"regexp"

	"github.com/labstack/echo/v4"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"socialqueue/models"
	"socialqueue/observe"
)

var requestIDForm = regexp.MustCompile(`^[A-Za-z0-9._:-]{1,128}$`)

// requestID uses the client's X-Request-ID, or creates one. It is returned in the response,
// and is the correlation id of everything that the request causes.
func requestID(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		id := c.Request().Header.Get(echo.HeaderXRequestID)
		if !requestIDForm.MatchString(id) {
			id = models.NewID()
		}
		c.Response().Header().Set(echo.HeaderXRequestID, id)
		setContext(observe.WithCorrelationID(c.Request().Context(), id), c)
		return next(c)
	}
}

// traced starts a span for each request, in the client's trace if it has one. Like the
// access log it records the route and never the path or query.
func traced(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if isProbe(c) {
			return next(c)
		}
		r := c.Request()
		ctx, span := observe.Span(observe.WithTraceParent(r.Context(), r.Header.Get("traceparent")), methodOf(c)+" "+routeOf(c), trace.SpanKindServer,
			attribute.String("http.request.method", methodOf(c)), attribute.String("http.route", routeOf(c)))
		defer span.End()
		setContext(ctx, c)
		err := next(c)
		status := c.Response().Status
		span.SetAttributes(attribute.Int("http.response.status_code", status))
		if status >= http.StatusInternalServerError {
			observe.Fail(span, http.StatusText(status))
		}
		return err
	}
}

func correlationID(r *http.Request) string { return observe.CorrelationID(r.Context()) }
