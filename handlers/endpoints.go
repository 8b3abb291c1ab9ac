package handlers

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"

	"github.com/labstack/echo/v4"

	"socialqueue/models"
	"socialqueue/notify"
	"socialqueue/tenants"
	"socialqueue/view"
)

// endpointView is a webhook endpoint as its app sees it.
type endpointView struct {
	ID          string                `json:"id"`
	URL         string                `json:"url"`
	Description string                `json:"description"`
	Events      []string              `json:"events"` // empty is all
	Status      models.EndpointStatus `json:"status"`
	// StatusReason says why the endpoint is disabled.
	StatusReason *string `json:"status_reason"`
	// FailingSince is the time since which every delivery has failed.
	FailingSince *string `json:"failing_since"`
	// OldSecretUntil is the time until which webhooks are also signed with the old secret.
	OldSecretUntil *string `json:"old_secret_until"`
	CreatedAt      string  `json:"created_at"`
	UpdatedAt      string  `json:"updated_at"`
}

func (a *api) viewEndpoint(e *models.WebhookEndpoint) endpointView {
	shown := endpointView{
		ID: e.ID, URL: e.URL, Description: e.Description, Events: e.EventList(), Status: e.Status, StatusReason: view.TextOrNull(e.StatusReason),
		FailingSince: view.TimeOrNull(e.FailingSince), CreatedAt: view.Time(e.CreatedAt), UpdatedAt: view.Time(e.UpdatedAt),
	}
	if e.OldSecretUntil != nil && e.OldSecretUntil.After(a.Now()) {
		shown.OldSecretUntil = view.TimeOrNull(e.OldSecretUntil)
	}
	return shown
}

// withSecret is an endpoint with its new secret. In a replayed response the secret is null,
// because secrets are not stored in clear.
type withSecret struct {
	endpointView
	Secret *string `json:"secret"`
}

// readEndpoint reads the body that creates or changes an endpoint.
func readEndpoint(body []byte, changes bool) (notify.Request, error) {
	var url, description, status string
	var events []string
	all := fields{"url": upTo(maxURL, &url), "description": upTo(maxProse, &description), "events": &events}
	if changes {
		all["status"] = &status
	}
	if err := all.decode(body); err != nil {
		return notify.Request{}, err
	}
	said, err := given(body)
	if err != nil {
		return notify.Request{}, err
	}
	r := notify.Request{}
	if said["url"] || !changes {
		r.URL = &url
	}
	if said["description"] {
		r.Description = &description
	}
	if said["events"] {
		if events == nil {
			return r, models.FieldErrors{{Field: "events", Message: "must be a list of strings; an empty list selects all events"}}
		}
		r.Events = &events
	}
	if said["status"] {
		r.Status = (*models.EndpointStatus)(&status)
	}
	return r, nil
}

// given returns the names of the fields in a decoded body.
func given(body []byte) (map[string]bool, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(body, &members); err != nil {
		return nil, badRequest("the body is not valid JSON")
	}
	said := make(map[string]bool, len(members))
	for name := range members {
		said[name] = true
	}
	return said, nil
}

func (a *api) createEndpoint(c echo.Context) error {
	body, err := a.readJSON(c)
	if err != nil {
		return err
	}
	r, err := readEndpoint(body, false)
	if err != nil {
		return err
	}
	return a.once(c, jsonContent(body), func(cl *tenants.Claim) (*answer, error) { return a.makeEndpoint(c, r, cl) })
}

func (a *api) makeEndpoint(c echo.Context, r notify.Request, cl *tenants.Claim) (*answer, error) {
	var complete func(*models.WebhookEndpoint) (*tenants.Completion, error)
	if cl != nil {
		complete = func(e *models.WebhookEndpoint) (*tenants.Completion, error) {
			kept, err := showEndpoint(withSecret{endpointView: a.viewEndpoint(e)})
			return completion(cl, kept, ""), err
		}
	}
	e, secret, err := a.Notify.Create(c.Request().Context(), callerOf(c).AppID, r, complete)
	if err != nil {
		return nil, err
	}
	shown := secret.Reveal()
	return showEndpoint(withSecret{a.viewEndpoint(e), &shown})
}

func showEndpoint(e withSecret) (*answer, error) {
	body, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("show webhook endpoint %s: %w", e.ID, err)
	}
	return &answer{status: http.StatusCreated, body: body}, nil
}

func (a *api) listEndpoints(c echo.Context) error {
	if err := readQuery(c.Request().URL.RawQuery, "list", nil); err != nil {
		return err
	}
	all, err := a.Notify.Endpoints(c.Request().Context(), callerOf(c).AppID)
	if err != nil {
		return err
	}
	views := make([]endpointView, len(all))
	for i := range all {
		views[i] = a.viewEndpoint(&all[i])
	}
	return c.JSON(http.StatusOK, map[string]any{"webhook_endpoints": views})
}

// endpointID reads the id in the path. A malformed id answers 404.
func endpointID(c echo.Context) (string, error) {
	id, ok := canonicalID(c.Param("id"))
	if !ok {
		return "", notFound("webhook endpoint")
	}
	return id, nil
}

func (a *api) getEndpoint(c echo.Context) error {
	id, err := endpointID(c)
	if err != nil {
		return err
	}
	e, err := a.Notify.Endpoint(c.Request().Context(), callerOf(c).AppID, id)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, a.viewEndpoint(e))
}

func (a *api) changeEndpoint(c echo.Context) error {
	id, err := endpointID(c)
	if err != nil {
		return err
	}
	body, err := a.readJSON(c)
	if err != nil {
		return err
	}
	r, err := readEndpoint(body, true)
	if err != nil {
		return err
	}
	e, err := a.Notify.Change(c.Request().Context(), callerOf(c).AppID, id, r)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, a.viewEndpoint(e))
}

func (a *api) deleteEndpoint(c echo.Context) error {
	id, err := endpointID(c)
	if err != nil {
		return err
	}
	if err := a.Notify.Delete(c.Request().Context(), callerOf(c).AppID, id); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

func (a *api) rotateSecret(c echo.Context) error {
	id, err := endpointID(c)
	if err != nil {
		return err
	}
	e, secret, err := a.Notify.Rotate(c.Request().Context(), callerOf(c).AppID, id)
	if err != nil {
		return err
	}
	shown := secret.Reveal()
	return c.JSON(http.StatusOK, withSecret{a.viewEndpoint(e), &shown})
}

func (a *api) testEndpoint(c echo.Context) error {
	id, err := endpointID(c)
	if err != nil {
		return err
	}
	delivery, err := a.Notify.Test(c.Request().Context(), callerOf(c).AppID, id)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusAccepted, viewDelivery(delivery, nil))
}

// deliveryView is one event for one endpoint, with every attempt to deliver it.
type deliveryView struct {
	ID         int64                 `json:"id"`
	EndpointID string                `json:"endpoint_id"`
	EventID    string                `json:"event_id"` // webhook-id
	EventType  models.AppEvent       `json:"event_type"`
	Status     models.DeliveryStatus `json:"status"`
	Payload    json.RawMessage       `json:"payload"`
	Attempts   []attemptView         `json:"attempts"`
	// NextAttemptAt is null once the delivery is settled.
	NextAttemptAt *string `json:"next_attempt_at"`
	CreatedAt     string  `json:"created_at"`
	SettledAt     *string `json:"settled_at"`
}

type attemptView struct {
	At         string `json:"at"`
	DurationMs int64  `json:"duration_ms"`
	// StatusCode is null if there was no answer.
	StatusCode *int    `json:"status_code"`
	Error      *string `json:"error"`
	Response   string  `json:"response"`
}

func viewDelivery(d *models.WebhookDelivery, attempts []models.WebhookAttempt) deliveryView {
	shown := deliveryView{
		ID: d.ID, EndpointID: d.EndpointID, EventID: d.EventID, EventType: d.EventType, Status: d.Status, Payload: json.RawMessage(d.Payload),
		Attempts: make([]attemptView, len(attempts)), NextAttemptAt: view.TimeOrNull(d.NextAt), CreatedAt: view.Time(d.CreatedAt),
		SettledAt: view.TimeOrNull(d.SettledAt),
	}
	for i, a := range attempts {
		shown.Attempts[i] = attemptView{At: view.Time(a.At), DurationMs: a.DurationMs, Error: view.TextOrNull(a.Error), Response: a.Response}
		if a.StatusCode != 0 {
			shown.Attempts[i].StatusCode = &attempts[i].StatusCode
		}
	}
	return shown
}

const (
	defaultDeliveries = 20
	maxDeliveries     = 50
)

func (a *api) listDeliveries(c echo.Context) error {
	id, err := endpointID(c)
	if err != nil {
		return err
	}
	f := notify.DeliveryFilter{EndpointID: id, Limit: defaultDeliveries}
	err = readQuery(c.Request().URL.RawQuery, "list", map[string]func(string) string{
		"status": func(value string) string {
			if f.Status = models.DeliveryStatus(value); !slices.Contains(models.DeliveryStatuses, f.Status) {
				return fmt.Sprintf("must be one of %v", models.DeliveryStatuses)
			}
			return ""
		},
		"cursor": func(value string) string {
			var ok bool
			if f.Before, ok = number(value, math.MaxInt64); !ok {
				return "must be a next_cursor from an earlier response"
			}
			return ""
		},
		"limit": limitParam(&f.Limit, maxDeliveries),
	})
	if err != nil {
		return err
	}
	return a.answerDeliveries(c, f)
}

func (a *api) answerDeliveries(c echo.Context, f notify.DeliveryFilter) error {
	ctx, page := c.Request().Context(), f.Limit
	f.Limit++ // the extra row shows whether there is a next page
	all, err := a.Notify.Deliveries(ctx, callerOf(c).AppID, f)
	if err != nil {
		return err
	}
	answer := struct {
		Deliveries []deliveryView `json:"deliveries"`
		NextCursor *string        `json:"next_cursor"`
	}{Deliveries: []deliveryView{}}
	if len(all) > page {
		all = all[:page]
		next := strconv.FormatInt(all[page-1].ID, 10)
		answer.NextCursor = &next
	}
	ids := make([]int64, len(all))
	for i := range all {
		ids[i] = all[i].ID
	}
	attempts, err := a.Notify.Attempts(ctx, ids)
	if err != nil {
		return err
	}
	for i := range all {
		answer.Deliveries = append(answer.Deliveries, viewDelivery(&all[i], attempts[all[i].ID]))
	}
	return c.JSON(http.StatusOK, answer)
}

func (a *api) redeliver(c echo.Context) error {
	id, ok := number(c.Param("id"), math.MaxInt64)
	if !ok {
		return notFound("webhook delivery")
	}
	ctx := c.Request().Context()
	delivery, err := a.Notify.Redeliver(ctx, callerOf(c).AppID, id)
	if err != nil {
		return err
	}
	attempts, err := a.Notify.Attempts(ctx, []int64{id})
	if err != nil {
		return err
	}
	return c.JSON(http.StatusAccepted, viewDelivery(delivery, attempts[id]))
}
