package handlers

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
)

// awayStates begin the SQLSTATEs of a server that cannot work just now:
// connection trouble, too few resources, shutting down or starting up
// (PostgreSQL documentation, appendix A).
var awayStates = []string{"08", "53", "57P"}

// isAway reports whether err says that the database or the storage cannot be
// reached in time, so that the same request may pass later.
func isAway(err error) bool {
	for _, known := range []error{
		context.DeadlineExceeded, driver.ErrBadConn, sql.ErrConnDone, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed,
	} {
		if errors.Is(err, known) {
			return true
		}
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	state, ok := errors.AsType[interface {
		error
		SQLState() string
	}](err)
	return ok && slices.ContainsFunc(awayStates, func(class string) bool { return strings.HasPrefix(state.SQLState(), class) })
}
