package observe

import (
	"database/sql/driver"
	"errors"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/sirupsen/logrus"
)

// outageEvery is how often an outage is logged.
const outageEvery = time.Minute

// fieldSuppressed is how many lines about the same outage were left out since the one before.
const fieldSuppressed = "suppressed"

// redisSilent begins the text of an error of RedisOutage. Asynq logs errors as text only.
const redisSilent = "redis does not answer: "

// postgresSilent is in the text of an error of package db whose time was over.
const postgresSilent = "the database did not answer in time: "

// RedisOutage marks err as one that comes from a Redis that does not answer, and not from a
// command.
func RedisOutage(err error) error { return &redisOutage{err} }

type redisOutage struct{ cause error }

func (e *redisOutage) Error() string { return redisSilent + e.cause.Error() }
func (e *redisOutage) Unwrap() error { return e.cause }

// outageOf returns the server that a warning or an error says is away: redis, postgres, or
// nothing.
func outageOf(entry *logrus.Entry) string {
	if entry.Level > logrus.WarnLevel {
		return ""
	}
	err, _ := entry.Data[logrus.ErrorKey].(error)
	text := entry.Message
	if err != nil {
		text = err.Error()
	}
	switch {
	case strings.Contains(text, redisSilent), strings.Contains(text, "redis pubsub receive error: "):
		return "redis"
	case err != nil && postgresAway(err):
		return "postgres"
	case err != nil && entry.Data[FieldPostID] == nil && strings.Contains(text, postgresSilent):
		return "postgres" // it hangs; of a post it may be that one query is slow
	}
	return ""
}

// postgresAway reports whether an error says that PostgreSQL cannot be reached, stops, or
// lacks disk space, memory or connections.
func postgresAway(err error) bool {
	if _, connecting := errors.AsType[*pgconn.ConnectError](err); connecting || errors.Is(err, driver.ErrBadConn) {
		return true
	}
	if refused, answered := errors.AsType[*pgconn.PgError](err); answered {
		// connection exceptions; insufficient resources; shut down by an operator or a crash, or
		// not started yet
		return strings.HasPrefix(refused.Code, "08") || strings.HasPrefix(refused.Code, "53") || strings.HasPrefix(refused.Code, "57P0")
	}
	return strings.Contains(err.Error(), "failed to receive message: ") || strings.Contains(err.Error(), "conn closed")
}

// outages leaves out what is said again of the same outage within a minute. The first line
// is written at once, and the next one says how many were left out.
type outages struct {
	next logrus.Formatter
	now  func() time.Time

	mu         sync.Mutex
	written    map[string]time.Time
	suppressed map[string]int
}

func limitOutages(next logrus.Formatter) *outages {
	return &outages{next: next, now: time.Now, written: map[string]time.Time{}, suppressed: map[string]int{}}
}

// Format implements logrus.Formatter. It returns nothing for a line that is left out.
func (o *outages) Format(entry *logrus.Entry) ([]byte, error) {
	server := outageOf(entry)
	if server == "" {
		return o.next.Format(entry)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	now := o.now()
	if last, before := o.written[server]; before && now.Sub(last) < outageEvery {
		o.suppressed[server]++
		return nil, nil
	}
	if n := o.suppressed[server]; n > 0 {
		counted := *entry
		counted.Data = maps.Clone(entry.Data)
		counted.Data[fieldSuppressed] = n
		entry = &counted
	}
	o.written[server], o.suppressed[server] = now, 0
	return o.next.Format(entry)
}
