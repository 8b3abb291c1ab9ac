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
	// Intended: the call may be in flight, or it ended and its response was lost.
	Intended LedgerState = "intended"
	// Done: the platform accepted the call.
	Done LedgerState = "done"
	// Missing: a later read of the platform showed no effect. The call may still arrive,
	// so no other call may be sent in its place. The step decides whether the same call
	// may be made again.
	Missing LedgerState = "missing"
	// Void: the call had no effect, or its effect is gone for good.
	Void LedgerState = "void"
)

// Harmless says that a call cannot make a post live. The zero value is the safe one: the
// call may make the post live. The database stores the negation, in the column sends,
// whose default is true.
type Harmless bool

// Value implements driver.Valuer. It stores the negation.
func (h Harmless) Value() (driver.Value, error) { return !bool(h), nil }

// Scan implements sql.Scanner. A value that it cannot read leaves the call not harmless.
func (h *Harmless) Scan(sends any) error {
	switch v := sends.(type) {
	case bool:
		*h = Harmless(!v)
	case int64: // SQLite
		*h = v == 0
	default:
		return fmt.Errorf("ledger column sends has the unexpected type %T", sends)
	}
	return nil
}

// LedgerEntry records one call. It is inserted before the call and settled after it. A run
// that takes over a post reads the post's entries first.
type LedgerEntry struct {
	ID       int64 `gorm:"primaryKey"`
	PostID   string
	Op       LedgerOp
	Harmless Harmless `gorm:"column:sends"`
	State    LedgerState
	// Fence is the fence of the run that made the call.
	Fence int64
	// ExternalID is the id that the platform returned: a publish id, a container id or a
	// media id.
	ExternalID *string
	// Refusal is the kind of error by which the platform refused the call for good, as
	// platform.Kind names it; empty if it did not. A refused call may still have had an effect.
	Refusal string
	// Budget names the limit that the call counts towards, as in "tiktok:7/init"; nil if none.
	Budget *string
	// SealedURL is TikTok's upload_url, encrypted, as it carries a credential.
	SealedURL string
	CreatedAt time.Time `gorm:"autoCreateTime:false"`
	SettledAt *time.Time
}

// TableName implements GORM's Tabler.
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

// Distrust treats every entry of an unknown operation as a call that may have made the
// post live. A newer version of this program may have written such an entry.
func (l Ledger) Distrust(known func(LedgerOp) bool) {
	for i := range l {
		if !known(l[i].Op) {
			l[i].Harmless = false
		}
	}
}
