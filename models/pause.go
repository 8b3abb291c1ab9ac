package models

import (
	"strings"
	"time"
)

// Pause stops publishing to a platform or to one account.
type Pause struct {
	// Scope is a Platform, or the Lane of an account.
	Scope string `gorm:"primaryKey"`
	// Reason is the operator's explanation.
	Reason    string
	PausedBy  string
	CreatedAt time.Time `gorm:"autoCreateTime:false"`
}

// String says who paused what, and why.
func (p Pause) String() string {
	text := p.Scope + " is paused by " + p.PausedBy
	if p.Reason != "" {
		text += ": " + p.Reason
	}
	return text
}

// Pauses are all current pauses.
type Pauses []Pause

// Of returns the pause that applies to a lane, or nil.
func (all Pauses) Of(lane string) *Pause {
	p, _, _ := strings.Cut(lane, ":")
	for i := range all {
		if all[i].Scope == p || all[i].Scope == lane {
			return &all[i]
		}
	}
	return nil
}
