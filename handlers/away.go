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

// awayStates are the SQLSTATE classes of a server that cannot work at the moment:
// connection errors, insufficient resources, shutdown or startup (PostgreSQL documentation,
// appendix A).
var awayStates = []string{"08", "53", "57P"}

// isAway reports whether the database or the storage could not be reached in time. The same
// request may succeed later.
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
