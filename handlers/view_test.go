package handlers

import (
	"testing"
	"time"

	"socialqueue/models"
)

// TestAcceptedAs checks that the first event of a timeline stays correct when the post's
// time changes, and when a scheduled post became queued without an event.
func TestAcceptedAs(t *testing.T) {
	const scheduled, queued, publishing, failed = models.Scheduled, models.Queued, models.Publishing, models.Failed
	begin := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	type moves [][2]models.Status
	for name, tt := range map[string]struct {
		publishIn time.Duration
		moves     moves
		want      models.Status
	}{
		"at once":                         {0, nil, queued},
		"later":                           {time.Hour, nil, scheduled},
		"at once, taken":                  {0, moves{{queued, publishing}}, queued},
		"at once, retried":                {time.Hour, moves{{queued, publishing}, {publishing, failed}, {failed, queued}}, queued},
		"at once, missed and retried":     {time.Hour, moves{{queued, models.Missed}, {models.Missed, queued}}, queued},
		"at once, rescheduled":            {time.Hour, moves{{queued, scheduled}, {scheduled, publishing}}, queued},
		"later, brought forward":          {time.Minute, moves{{scheduled, queued}, {queued, publishing}}, scheduled},
		"later, taken at its time":        {time.Hour, moves{{scheduled, publishing}}, scheduled},
		"later, queued at its time":       {time.Hour, moves{{queued, publishing}, {publishing, queued}, {queued, publishing}}, scheduled},
		"later, taken, failed, retried":   {2 * time.Hour, moves{{scheduled, publishing}, {publishing, failed}, {failed, queued}}, scheduled},
		"at once, put off, rescheduled":   {time.Hour, moves{{queued, publishing}, {publishing, queued}, {queued, scheduled}}, queued},
		"later, canceled after its queue": {time.Hour, moves{{queued, models.Canceled}}, scheduled},
	} {
		p := models.Post{CreatedAt: begin, PublishAt: begin.Add(tt.publishIn)}
		events := []models.PostEvent{{Type: models.EventNote}}
		for _, m := range tt.moves {
			events = append(events, models.PostEvent{Type: models.EventState, From: m[0], To: m[1]})
		}
		if got := acceptedAs(&p, events); got != tt.want {
			t.Errorf("%s: accepted as %s, want %s", name, got, tt.want)
		}
	}
}
