package models

import "slices"

// Status is the state of a post.
type Status string

// The states of a post.
const (
	// Scheduled: accepted; its publish_at is in the future. The app may still change it.
	Scheduled Status = "scheduled"
	// Queued: due; it waits for its lane, a budget or a retry. It cannot go live before a
	// worker claims it.
	Queued Status = "queued"
	// Publishing: a worker claimed it; calls to the platform may be in flight.
	Publishing Status = "publishing"
	// Processing: the platform accepted it and is processing it.
	Processing Status = "processing"
	// Published: live.
	Published Status = "published"
	// Delivered: in the creator's TikTok inbox, for the creator to post.
	Delivered Status = "delivered"
	// Uncertain: sent, and the result is unknown. Reads of the platform or an operator
	// settle it; it is never settled by sending again.
	Uncertain Status = "uncertain"
	// Failed: it will not go live. The app may retry it.
	Failed Status = "failed"
	// Canceled: canceled before sending began.
	Canceled Status = "canceled"
	// Missed: it could not start within its max_lateness.
	Missed Status = "missed"
)

// Statuses lists every state, in the order in which a post passes through them.
var Statuses = []Status{Scheduled, Queued, Publishing, Processing, Published, Delivered, Uncertain, Failed, Canceled, Missed}

// moves is the transition table. A state may always follow itself: a run that only waits
// writes the same state again.
var moves = map[Status][]Status{
	Scheduled:  {Queued, Publishing, Canceled, Missed},
	Queued:     {Scheduled, Publishing, Canceled, Missed, Failed},
	Publishing: {Queued, Processing, Published, Delivered, Uncertain, Failed, Missed},
	Processing: {Queued, Publishing, Published, Delivered, Uncertain, Failed},
	Uncertain:  {Queued, Publishing, Processing, Published, Delivered, Failed},
	Failed:     {Queued}, // only by a manual retry
	Missed:     {Queued}, // only by a manual retry
}

// CanMove reports whether a post may change from one state to the other.
func CanMove(from, to Status) bool {
	return from == to || slices.Contains(moves[from], to)
}

// Valid reports whether s is one of the states.
func (s Status) Valid() bool { return slices.Contains(Statuses, s) }

// Unsent reports whether sending has not begun, so that an app may still
// change or cancel the post.
func (s Status) Unsent() bool { return s == Scheduled || s == Queued }

// InLane reports whether a post in this state occupies its account's lane.
func (s Status) InLane() bool { return s.Unsent() || s == Publishing }

// Ended reports whether the state is final, apart from a manual retry.
func (s Status) Ended() bool {
	switch s {
	case Published, Delivered, Failed, Canceled, Missed:
		return true
	}
	return false
}
