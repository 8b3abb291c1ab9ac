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

// viewEvents puts the accepting, which the post's own row tells of, before what
// was written down.
func viewEvents(p *models.Post, events []models.PostEvent) []eventView {
	views := make([]eventView, 0, len(events)+1)
	views = append(views, eventView{At: view.Time(p.CreatedAt), Type: models.EventState, To: acceptedAs(p, events), Message: "accepted"})
	for _, e := range events {
		views = append(views, eventView{
			At: view.Time(e.At), Type: e.Type, From: e.From, To: e.To, Operation: e.Op, HTTPStatus: e.HTTPStatus,
			PlatformCode: e.PlatformCode, LogID: e.LogID, DurationMs: e.DurationMs, Message: e.Message,
		})
	}
	return views
}

// acceptedAs is the state in which a post began. The first change tells where
// it came from, except that a scheduled post becomes queued without an entry
// when its time comes: then its time tells, unless that was changed since.
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

// changesTime reports whether an entry tells of a reschedule or a retry: only
// the app moves a post from unsent to unsent, or back from its end.
func changesTime(e models.PostEvent) bool {
	return e.To.Unsent() && (e.From.Unsent() || e.From.Ended())
}
