package models

import "time"

// Breaker counts how a kind of call to a platform fails. It is open while that call is not made,
// but for single probes.
type Breaker struct {
	// Name is the platform's and that of the call, as in tiktok/tiktok.init. Reads of what a call came
	// to have one of their own.
	Name     string `gorm:"primaryKey"`
	Platform Platform
	// Op names the call for people.
	Op string
	// Posts are the ids of posts whose call failed since one succeeded.
	Posts []string `gorm:"serializer:json"`
	// Message is the newest failure.
	Message string
	// FailedAt is when that was.
	FailedAt time.Time
	// OpenedAt is when the breaker opened; nil while it is closed.
	OpenedAt *time.Time
	// ProbeAt is when the next call may be tried while it is open.
	ProbeAt *time.Time
	// Probes counts the calls that were tried since it opened.
	Probes int
	// ProbeLane is the account of the newest of them: the next one is another's, if another waits.
	ProbeLane string
}

// Open reports whether the call is not made.
func (b *Breaker) Open() bool { return b.OpenedAt != nil }
