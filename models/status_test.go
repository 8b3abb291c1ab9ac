package models

import (
	"slices"
	"strings"
	"testing"
)

// TestMoves repeats the transition table, so that nobody changes the table by mistake.
func TestMoves(t *testing.T) {
	allowed := map[Status]string{
		Scheduled:  "queued publishing canceled missed",
		Queued:     "scheduled publishing canceled missed failed",
		Publishing: "queued processing published delivered uncertain failed missed",
		Processing: "queued publishing published delivered uncertain failed",
		Uncertain:  "queued publishing processing published delivered failed",
		Failed:     "queued",
		Missed:     "queued",
	}
	for _, from := range Statuses {
		for _, to := range Statuses {
			want := from == to || slices.Contains(strings.Fields(allowed[from]), string(to))
			if got := CanMove(from, to); got != want {
				t.Errorf("CanMove(%s, %s) = %v, want %v", from, to, got, want)
			}
		}
	}
}

func TestLiveAndCanceledAreFinal(t *testing.T) {
	for _, from := range []Status{Published, Delivered, Canceled} {
		for _, to := range Statuses {
			if to != from && CanMove(from, to) {
				t.Errorf("%s may still become %s", from, to)
			}
		}
	}
}
