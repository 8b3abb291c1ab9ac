package oauth

import (
	"testing"
	"time"
)

// The time limits are consistent with each other.
func TestDurationsFit(t *testing.T) {
	if refreshCall+keepPairFor+10*time.Second >= refreshLease {
		t.Error("another refresh could begin while a pair is still to be stored")
	}
	if answerWait < finishTime+2*persistFor {
		t.Error("a second callback gives up before the first has finished")
	}
}

// Tokens of every lifetime are refreshed at the right time.
func TestRefreshTime(t *testing.T) {
	issued := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	for life, want := range map[time.Duration]time.Duration{
		2 * time.Minute:      time.Minute,
		20 * time.Minute:     10 * time.Minute,
		time.Hour:            45 * time.Minute,
		2 * time.Hour:        90 * time.Minute,
		24 * time.Hour:       18 * time.Hour,
		60 * 24 * time.Hour:  45 * 24 * time.Hour,
		180 * 24 * time.Hour: 135 * 24 * time.Hour,
	} {
		if got := refreshTime(issued, issued.Add(life)).Sub(issued); got != want {
			t.Errorf("a token of %s is refreshed after %s, want %s", life, got, want)
		}
	}
}
