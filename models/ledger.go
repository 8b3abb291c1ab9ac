package models

import (
	"database/sql/driver"
	"fmt"
	"time"
)

// LedgerOp names a call that the ledger records, such as "tiktok.init".
type LedgerOp string

// LedgerState is what is known about one recorded call.
type LedgerState string

const (
	// Intended: the call may be on its way, or it is over and its answer was lost.
	Intended LedgerState = "intended"
	// Done: the platform accepted the call.
	Done LedgerState = "done"
	// Missing: a later read of the platform showed no effect. The call may still
	// arrive, so nothing else may be sent in its place; whether the same call may be
	// made again is up to its step.
	Missing LedgerState = "missing"
	// Void: the call had no effect, or its effect is gone for good.
	Void LedgerState = "void"
)

// Harmless says of a call that nothing can go live by it. The zero value is the
// careful one: the call may make the post live. The database stores the opposite, in
// the column sends, whose default is true.
type Harmless bool

// Value stores the opposite.
func (h Harmless) Value() (driver.Value, error) { return !bool(h), nil }

// Scan reads the column sends. What it cannot read counts as sending.
func (h *Harmless) Scan(sends any) error {
	switch v := sends.(type) {
	case bool:
		*h = Harmless(!v)
	case int64: // SQLite
		*h = v == 0
	default:
		return fmt.Errorf("the ledger's column sends holds a %T", sends)
	}
	return nil
}

// LedgerEntry is written before a call that the ledger records, and settled after
// it. Whichever run takes a post over reads the post's entries first.
type LedgerEntry struct {
	ID       int64 `gorm:"primaryKey"`
	PostID   string
	Op       LedgerOp
	Harmless Harmless `gorm:"column:sends"`
	State    LedgerState
	// Fence is that of the run that made the call.
	Fence int64
	// ExternalID is the platform's id that came back: publish id, container id
	// or media id.
	ExternalID *string
	// SealedURL is a secret that came back with it, sealed: TikTok's upload_url,
	// which carries a credential.
	SealedURL string
	CreatedAt time.Time `gorm:"autoCreateTime:false"`
	SettledAt *time.Time
}

// TableName names the table.
func (LedgerEntry) TableName() string { return "ledger" }

// Open reports whether the result of the call is unknown.
func (e *LedgerEntry) Open() bool { return e.State == Intended || e.State == Missing }

// Ledger holds the recorded calls of one post, oldest first.
type Ledger []LedgerEntry

// Latest returns the newest entry of op, or nil.
func (l Ledger) Latest(op LedgerOp) *LedgerEntry {
	for i := len(l) - 1; i >= 0; i-- {
		if l[i].Op == op {
			return &l[i]
		}
	}
	return nil
}

// MayBeLive reports whether any call that can make the post live may have taken
// effect. While it is true, do not publish again.
func (l Ledger) MayBeLive() bool {
	for _, e := range l {
		if !e.Harmless && e.State != Void {
			return true
		}
	}
	return false
}

// Unknown reports whether the result of any call that can make the post live is unknown.
func (l Ledger) Unknown() bool {
	for i := range l {
		if e := &l[i]; !bool(e.Harmless) && e.Open() {
			return true
		}
	}
	return false
}

// Distrust counts every entry whose operation is not among the known ones as one that
// may have made the post live: a newer version of this program may have written it.
func (l Ledger) Distrust(known func(LedgerOp) bool) {
	for i := range l {
		if !known(l[i].Op) {
			l[i].Harmless = false
		}
	}
}
