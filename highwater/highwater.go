// Package highwater keeps the high-water mark of sending outside the database: how far the
// ledger went when the newest call was made that could make a post live.
//
// A database that is behind its mark was restored from a backup, or is a replica that
// lacks the last seconds: posts that it calls unsent may be live. The mark is raised after
// the intent of a call is committed and before the call is made, so it is never ahead of a
// database that lost nothing.
package highwater

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Mark names the newest call that was recorded in a database before it was made.
type Mark struct {
	// Identity names the database, as db.Restores.Compare returns it. It changes when the
	// database is copied, restored or replaced.
	Identity string
	// Seq is the call's number in the ledger, and At when it was recorded, in microseconds
	// since 1970. A restored ledger gives the same numbers again, at another time.
	Seq, At int64
}

// New returns the mark of a call.
func New(identity string, seq int64, at time.Time) Mark {
	return Mark{Identity: identity, Seq: seq, At: at.UnixMicro()}
}

// Time returns when the call was recorded.
func (m Mark) Time() time.Time { return time.UnixMicro(m.At).UTC() }

// separator stands between the parts of a stored mark. No identity contains it.
const separator = "#"

// String returns the mark as stores keep it.
func (m Mark) String() string { return fmt.Sprint(m.Identity, separator, m.Seq, separator, m.At) }

// ErrMalformed is returned for a stored mark that cannot be read.
var ErrMalformed = errors.New("the stored high-water mark is malformed; remove it if nothing else explains it")

// Parse reads what String returned.
func Parse(s string) (Mark, error) {
	parts := strings.Split(s, separator)
	if len(parts) != 3 {
		return Mark{}, fmt.Errorf("%w: %.100q", ErrMalformed, s)
	}
	seq, err := strconv.ParseInt(parts[1], 10, 64)
	at, err2 := strconv.ParseInt(parts[2], 10, 64)
	if err != nil || err2 != nil || seq < 0 {
		return Mark{}, fmt.Errorf("%w: %.100q", ErrMalformed, s)
	}
	return Mark{Identity: parts[0], Seq: seq, At: at}, nil
}

// Store keeps one mark. It is safe for concurrent use, by several processes where they
// share it. A write that returned nil is kept.
type Store interface {
	// Read returns the mark; nil if there is none.
	Read(ctx context.Context) (*Mark, error)
	// Replace puts m in the place of old; nil stands for no mark. It reports false, and
	// changes nothing, if the mark is no longer old.
	Replace(ctx context.Context, old *Mark, m Mark) (bool, error)
}

func same(a, b *Mark) bool { return a == b || a != nil && b != nil && *a == *b }
