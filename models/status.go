package models

import "slices"

// Status is where a post stands in its life.
type Status string

// The states of a post. Docs of each say who moves it on.
const (
	// Scheduled: accepted, its time has not come. The app may still change it.
	Scheduled Status = "scheduled"
	// Queued: due, waiting for its turn, a budget or another try. Nothing of it
	// can go live before a worker claims it.
	Queued Status = "queued"
	// Publishing: a worker took it; calls to the platform may be on the wire.
	Publishing Status = "publishing"
	// Processing: the platform has everything and works on it.
	Processing Status = "processing"
	// Published: live.
	Published Status = "published"
	// Delivered: in the creator's TikTok inbox, for the creator to post.
	Delivered Status = "delivered"
	// Uncertain: sent, and the answer is not known. Settled by looking or by an
	// operator, never by sending again.
	Uncertain Status = "uncertain"
	// Failed: it will not go live. An app may run it again.
	Failed Status = "failed"
	// Canceled: withdrawn by the app before sending began.
	Canceled Status = "canceled"
	// Missed: it could not start within its own max_lateness.
	Missed Status = "missed"
)

// Statuses lists every state, in the order of a post's life.
var Statuses = []Status{Scheduled, Queued, Publishing, Processing, Published, Delivered, Uncertain, Failed, Canceled, Missed}

// moves is the one table of what may follow what. A state may always be
// written over itself (a run that only waits).
var moves = map[Status][]Status{
	Scheduled:  {Queued, Publishing, Canceled, Missed},
	Queued:     {Scheduled, Publishing, Canceled, Missed, Failed},
	Publishing: {Queued, Processing, Published, Delivered, Uncertain, Failed, Missed},
	Processing: {Queued, Publishing, Published, Delivered, Uncertain, Failed},
	Uncertain:  {Queued, Publishing, Processing, Published, Delivered, Failed},
	Failed:     {Queued}, // only by the app's own retry
	Missed:     {Queued}, // likewise
}

// CanMove reports whether a post may go from one state to the other.
func CanMove(from, to Status) bool {
	return from == to || slices.Contains(moves[from], to)
}

// Valid reports whether s is one of the states.
func (s Status) Valid() bool { return slices.Contains(Statuses, s) }

// Unsent reports whether sending has not begun, so that an app may still
// change or cancel the post.
func (s Status) Unsent() bool { return s == Scheduled || s == Queued }

// InLane reports whether a post in this state takes its account's turn.
func (s Status) InLane() bool { return s.Unsent() || s == Publishing }

// Ended reports whether the post's life is over unless somebody asks for more.
func (s Status) Ended() bool {
	switch s {
	case Published, Delivered, Failed, Canceled, Missed:
		return true
	}
	return false
}
