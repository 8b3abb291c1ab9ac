package console

import (
	"testing"
	"time"

	"socialqueue/models"
)

func TestSpans(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 999 * time.Millisecond: "under 1s", 59 * time.Second: "59s", 61 * time.Second: "1m 1s", 90 * time.Minute: "1h 30m",
		47 * time.Hour: "47h 0m", 50 * time.Hour: "2d 2h",
	} {
		if got := span(d); got != want {
			t.Errorf("%s is %q, want %q", d, got, want)
		}
	}
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	past, none := now.Add(-time.Minute), (*time.Time)(nil)
	for want, got := range map[string]string{
		"1m 0s ago": ago(past, now), "in 1m 0s": ago(now.Add(time.Minute), now), "–": ago(none, now), "2026-11-26 11:59:00 UTC": at(&past),
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestLateness(t *testing.T) {
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	due, began := now.Add(-time.Hour), now.Add(-50*time.Minute)
	for name, c := range map[string]struct {
		post models.Post
		want time.Duration
	}{
		"not yet due":      {models.Post{PublishAt: now.Add(time.Hour), Status: models.Scheduled}, 0},
		"within a second":  {models.Post{PublishAt: now.Add(-time.Second), Status: models.Queued}, 0},
		"waits":            {models.Post{PublishAt: due, Status: models.Queued}, time.Hour},
		"began late":       {models.Post{PublishAt: due, Status: models.Published, StartedAt: &began}, 10 * time.Minute},
		"canceled in time": {models.Post{PublishAt: due, Status: models.Canceled}, 0},
	} {
		if got := lateness(&c.post, now); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// TestTexts checks that every state, reason and admission has a text.
func TestTexts(t *testing.T) {
	for _, s := range models.Statuses {
		if statusText(s) == "" {
			t.Errorf("state %s has no text", s)
		}
	}
	for _, a := range []models.Admission{models.AdmissionWaiting, models.AdmissionParked, models.AdmissionHeld, models.AdmissionAdmitted} {
		if admissionText(a) == "" {
			t.Errorf("admission %s has no text", a)
		}
	}
	for _, reason := range []string{
		models.DeferredLane, models.DeferredRateLimit, models.DeferredDailyCap, models.DeferredRetry, models.DeferredReauthorize, models.DeferredToken,
		models.DeferredInternal, models.DeferredPaused, models.DeferredRestored,
	} {
		if reasonText(reason) == reason {
			t.Errorf("reason %s has no text", reason)
		}
	}
	for _, reason := range models.HeldReasons {
		if heldText(reason) == "" {
			t.Errorf("reason %s to hold a post has no text", reason)
		}
	}
	for _, reason := range []models.RestoreReason{models.RestoreBehind, models.RestoreMoved, models.RestoreOperator} {
		if restoreText(reason) == "" {
			t.Errorf("restore %s has no text", reason)
		}
	}
}

// TestIsLink checks that only http and https addresses become links.
func TestIsLink(t *testing.T) {
	for address, want := range map[string]bool{
		"https://www.tiktok.com/@a/video/1": true, "http://127.0.0.1:4010/p/x": true, "javascript:alert(1)": false, "data:text/html,x": false, "//evil": false, "": false,
	} {
		if isLink(address) != want {
			t.Errorf("%q: %v", address, !want)
		}
	}
}
