package models

import "time"

// LedgerOp names the calls that the ledger guards.
type LedgerOp string

const (
	// LedgerInit opens a TikTok upload. Alone it makes nothing live.
	LedgerInit LedgerOp = "tiktok.init"
	// LedgerLastChunk completes a TikTok upload: from here on the video may go
	// live.
	LedgerLastChunk LedgerOp = "tiktok.last_chunk"
	// LedgerContainer makes an Instagram container. Alone it makes nothing live.
	LedgerContainer LedgerOp = "instagram.create_container"
	// LedgerPublish makes an Instagram container live.
	LedgerPublish LedgerOp = "instagram.publish"
)

// LedgerState is what is known of one guarded call.
type LedgerState string

const (
	// Intended: the call may be on the wire, or over and its answer lost.
	Intended LedgerState = "intended"
	// Done: the platform said yes.
	Done LedgerState = "done"
	// Missing: a later look saw no effect. The call may be repeated where that is
	// harmless, but it may also still arrive, so nothing new may be sent instead.
	Missing LedgerState = "missing"
	// Void: it is known that the call had no effect, or that its effect is gone
	// for good.
	Void LedgerState = "void"
)

// LedgerEntry is written before a call that cannot be taken back, and settled
// after it. Whoever takes a post over reads it first.
type LedgerEntry struct {
	ID     int64 `gorm:"primaryKey"`
	PostID string
	Op     LedgerOp
	State  LedgerState
	Fence  int64
	// ExternalID is the platform's id that came back: publish id, container id
	// or media id.
	ExternalID *string
	// SealedURL is TikTok's upload_url, sealed: it carries a credential.
	SealedURL string
	CreatedAt time.Time `gorm:"autoCreateTime:false"`
	SettledAt *time.Time
}

// TableName names the table.
func (LedgerEntry) TableName() string { return "ledger" }

// Ledger is the history of one post's guarded calls, oldest first.
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

// Since returns the newest entry of op that was written after e, or nil.
func (l Ledger) Since(e *LedgerEntry, op LedgerOp) *LedgerEntry {
	if latest := l.Latest(op); latest != nil && latest.ID > e.ID {
		return latest
	}
	return nil
}

// MayBeLive reports whether a sending call was made of which it is not known
// that it had no effect. While this holds nothing may be sent anew.
func (l Ledger) MayBeLive() bool {
	for _, e := range l {
		if (e.Op == LedgerLastChunk || e.Op == LedgerPublish) && e.State != Void {
			return true
		}
	}
	return false
}
