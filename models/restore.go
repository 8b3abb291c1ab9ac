package models

import "time"

// RestoreReason says how a restored database was noticed.
type RestoreReason string

// The reasons.
const (
	// RestoreBehind: calls were made that this database does not know of.
	RestoreBehind RestoreReason = "behind"
	// RestoreMoved: this is another database, or another state of it, and nothing proves
	// that it lacks no calls.
	RestoreMoved RestoreReason = "moved"
	// RestoreOperator: an operator said so.
	RestoreOperator RestoreReason = "operator"
)

// Restore is the discovery that the database may lack calls that were made: it was restored
// from a backup, or is a replica that lacks the newest changes. What it calls unsent may be
// live, so its posts are searched for on their platform before they are sent.
type Restore struct {
	// ID is the same as Beyond. A sequence would be restored with the database, and give a number
	// that a restore had which only the lost database knew.
	ID int64 `gorm:"primaryKey;autoIncrement:false"`
	// AsOf is how far the database goes. Later calls may be missing.
	AsOf time.Time
	// FoundAt is when it was noticed. Later calls are in the database.
	FoundAt time.Time
	Reason  RestoreReason
	// Beyond is a number that no call made until then has in the ledger, whether the database
	// has the call or not. Later calls have higher ones.
	Beyond int64
	// Evidence is the high-water mark that showed it; empty if an operator said so.
	Evidence string
}

// TableName names the table.
func (Restore) TableName() string { return "restores" }

// resentFor is how long after a restore apps may send again what they think is lost.
const resentFor = 7 * 24 * time.Hour

// Concerns reports whether a post has to be searched for before it is sent.
func (r *Restore) Concerns(p *Post) bool {
	return p.RestoreID < r.ID && p.CreatedAt.Before(r.FoundAt.Add(resentFor))
}

// Covers reports whether a post is one of the restored database's. A younger one that
// resembles what is live is a new post, which an app may have sent again.
func (r *Restore) Covers(p *Post) bool { return p.CreatedAt.Before(r.FoundAt) }

// HeldReason says why a post waits until a person releases it.
type HeldReason string

// The reasons. The zero value is a post that is not held.
const (
	// HeldDue: a search of the platform did not find the post, and its time had passed
	// before the restore was noticed.
	HeldDue HeldReason = "not_found"
	// HeldUnsearchable: no search can show whether the post is live.
	HeldUnsearchable HeldReason = "not_searchable"
	// HeldMatch: the post is new, and what it would put live is live already.
	HeldMatch HeldReason = "resembles"
)

// HeldReasons lists every reason.
var HeldReasons = []HeldReason{HeldDue, HeldUnsearchable, HeldMatch}
