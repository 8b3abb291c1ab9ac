package handlers

import (
	"socialqueue/models"
	"socialqueue/view"
)

// eventView is one entry of a timeline.
type eventView struct {
	At           string        `json:"at"`
	Type         string        `json:"type"`
	From         models.Status `json:"from,omitempty"`
	To           models.Status `json:"to,omitempty"`
	Operation    string        `json:"operation,omitempty"`
	HTTPStatus   int           `json:"http_status,omitempty"`
	PlatformCode string        `json:"platform_code,omitempty"`
	LogID        string        `json:"log_id,omitempty"`
	DurationMs   int64         `json:"duration_ms,omitempty"`
	Message      string        `json:"message,omitempty"`
}

// acceptance is the first entry of a timeline. It is stored in the post's row.
func acceptance(p *models.Post, first []models.PostEvent) eventView {
	return eventView{At: view.Time(p.CreatedAt), Type: models.EventState, To: acceptedAs(p, first), Message: "accepted"}
}

// viewEvents shows stored entries of a timeline.
func viewEvents(events []models.PostEvent) []eventView {
	views := make([]eventView, 0, len(events)+1)
	for _, e := range events {
		views = append(views, eventView{
			At: view.Time(e.At), Type: e.Type, From: e.From, To: e.To, Operation: e.Op, HTTPStatus: e.HTTPStatus,
			PlatformCode: e.PlatformCode, LogID: e.LogID, DurationMs: e.DurationMs, Message: e.Message,
		})
	}
	return views
}

// acceptedAs returns the status in which a post was accepted. That is where its first
// change came from. A scheduled post becomes queued without an event, so without one
// publish_at decides, unless it was changed since.
func acceptedAs(p *models.Post, events []models.PostEvent) models.Status {
	first, moved := models.Status(""), false
	for _, e := range events {
		if e.Type != models.EventState {
			continue
		}
		if first == "" {
			first = e.From
		}
		moved = moved || changesTime(e)
	}
	if first == models.Scheduled || (!moved && p.PublishAt.After(p.CreatedAt)) {
		return models.Scheduled
	}
	return models.Queued
}

// changesTime reports whether an event is a reschedule or a retry: only the app moves a
// post from unsent to unsent, or back from a final status.
func changesTime(e models.PostEvent) bool {
	return e.To.Unsent() && (e.From.Unsent() || e.From.Ended())
}
