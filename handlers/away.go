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

	"github.com/redis/go-redis/v9"
)

// awayStates begin the SQLSTATEs of a server that cannot work at the moment:
// connection errors, insufficient resources, shutdown or startup; and the state of a write to
// a server that is read-only, such as one that a failover made a standby (PostgreSQL
// documentation, appendix A).
var awayStates = []string{"08", "53", "57P", "25006"}

// awayRedis begins the errors of a Redis that cannot work at the moment: its memory is full,
// or it starts or changes its role.
var awayRedis = []string{"OOM ", "LOADING ", "READONLY ", "MASTERDOWN ", "CLUSTERDOWN ", "TRYAGAIN ", "MISCONF "}

// isAway reports whether the database, Redis or the storage cannot work at the moment. The
// same request may succeed later.
func isAway(err error) bool {
	if answer, ok := errors.AsType[redis.Error](err); ok {
		return slices.ContainsFunc(awayRedis, func(begin string) bool { return strings.HasPrefix(answer.Error(), begin) })
	}
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
