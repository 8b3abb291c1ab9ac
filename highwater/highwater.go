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
)

// Mark is how far sending has come in one database.
type Mark struct {
	// Identity names the database, as db.Restores.Identity returns it. It changes when the
	// database is copied, restored or replaced.
	Identity string
	// Seq is the id of the ledger's entry for the newest call.
	Seq int64
}

// separator stands between identity and number. No identity contains it.
const separator = "#"

// String returns the mark as stores keep it.
func (m Mark) String() string { return m.Identity + separator + strconv.FormatInt(m.Seq, 10) }

// ErrMalformed is returned for a stored mark that cannot be read.
var ErrMalformed = errors.New("the stored high-water mark is malformed; remove it if nothing else explains it")

// Parse reads what String returned.
func Parse(s string) (Mark, error) {
	identity, number, found := strings.Cut(s, separator)
	seq, err := strconv.ParseInt(number, 10, 64)
	if !found || err != nil || seq < 0 {
		return Mark{}, fmt.Errorf("%w: %.100q", ErrMalformed, s)
	}
	return Mark{Identity: identity, Seq: seq}, nil
}

// Store keeps one mark. It is safe for concurrent use, by several processes where they
// share it. A write that returned nil is kept.
type Store interface {
	// Read returns the mark; nil if there is none.
	Read(ctx context.Context) (*Mark, error)
	// Advance raises the mark to m, unless it is higher or of another database, and
	// returns the mark as it is now. Where there is none, m becomes the mark.
	Advance(ctx context.Context, m Mark) (Mark, error)
	// Replace puts m in the place of old, whatever their order. It reports false, and
	// changes nothing, if the mark is no longer old. Nil stands for no mark.
	Replace(ctx context.Context, old *Mark, m Mark) (bool, error)
}

// raise returns what becomes of the mark current when it is advanced to m.
func raise(current *Mark, m Mark) Mark {
	if current == nil || current.Identity == m.Identity && current.Seq < m.Seq {
		return m
	}
	return *current
}

func same(a, b *Mark) bool { return a == b || a != nil && b != nil && *a == *b }
