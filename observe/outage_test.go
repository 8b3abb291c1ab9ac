package observe

import (
	"bytes"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/sirupsen/logrus"

	"socialqueue/platform"
)

// silent is a logger with a clock of the test's own.
func silent(out *bytes.Buffer) (log *logrus.Logger, clock *time.Time) {
	log = NewLogger("worker", "debug", "json", out)
	clock = new(time.Now())
	log.Formatter.(*outages).now = func() time.Time { return *clock }
	return log, clock
}

func refusedDial() error {
	return &net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 6379}, Err: errors.New("connect: connection refused")}
}

func TestAnOutageIsOneLineAMinute(t *testing.T) {
	redis := RedisOutage(refusedDial())
	for name, outage := range map[string]func(logrus.FieldLogger){
		"an error of Redis":       func(l logrus.FieldLogger) { l.WithError(fmt.Errorf("ask: %w", redis)).Warn("a tick failed") },
		"Asynq, which logs texts": func(l logrus.FieldLogger) { l.Error("Dequeue error: UNKNOWN: redis eval error: " + redis.Error()) },
		"a connection to PostgreSQL": func(l logrus.FieldLogger) {
			l.WithError(fmt.Errorf("take the lock: %w", driver.ErrBadConn)).Warn("a tick failed")
		},
		"PostgreSQL that stops": func(l logrus.FieldLogger) {
			l.WithError(&pgconn.PgError{Code: "57P01", Message: "terminating connection"}).Error("task failed")
		},
		"PostgreSQL on a full disk": func(l logrus.FieldLogger) {
			l.WithField(FieldPostID, "p").WithError(&pgconn.PgError{Code: "53100", Message: "could not extend file"}).Warn("trying again")
		},
		"PostgreSQL that hangs": func(l logrus.FieldLogger) {
			l.WithError(errors.New("take the lock: the database did not answer in time: context deadline exceeded")).Warn("a tick failed")
		},
		"an error with a secret": func(l logrus.FieldLogger) {
			l.WithError(RedisOutage(errors.New("dial redis://u:hunter22@h:6379"))).Error("task failed")
		},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			log, clock := silent(&out)
			for range 200 {
				outage(log)
			}
			if n := strings.Count(out.String(), "\n"); n != 1 {
				t.Fatalf("%d lines, want the first one: %s", n, out.String())
			}
			*clock = clock.Add(time.Minute)
			out.Reset()
			outage(log)
			var line struct{ Metadata map[string]any }
			if err := json.Unmarshal(out.Bytes(), &line); err != nil {
				t.Fatal(err)
			}
			if line.Metadata["suppressed"] != 199.0 {
				t.Errorf("a minute later: %s", out.String())
			}
		})
	}
}

func TestOutagesOfTwoServersAreTwoLines(t *testing.T) {
	var out bytes.Buffer
	log, _ := silent(&out)
	log.WithError(RedisOutage(refusedDial())).Warn("hi")
	log.WithError(driver.ErrBadConn).Warn("hi")
	if n := strings.Count(out.String(), "\n"); n != 2 {
		t.Errorf("%d lines, want 2: %s", n, out.String())
	}
}

// What is no outage of ours is never left out, however often it is said.
func TestOtherLinesAreAllWritten(t *testing.T) {
	for name, line := range map[string]func(*logrus.Logger){
		"a platform away": func(l *logrus.Logger) {
			l.WithError(fmt.Errorf("%w: %w", &platform.Error{Op: "tiktok.init"}, refusedDial())).Warn("hi")
		},
		"an error of a command": func(l *logrus.Logger) { l.Error("Dequeue error: UNKNOWN: redis eval error: WRONGTYPE") },
		"a call of another server that takes too long": func(l *logrus.Logger) {
			l.WithError(errors.New("read media: timeout: context deadline exceeded")).Warn("hi")
		},
		"an error of a query":   func(l *logrus.Logger) { l.WithError(&pgconn.PgError{Code: "23505"}).Error("hi") },
		"no error":              func(l *logrus.Logger) { l.Warn("hi") },
		"an outage as a remark": func(l *logrus.Logger) { l.WithError(RedisOutage(refusedDial())).Info("hi") },
		"a slow query of a post": func(l *logrus.Logger) {
			l.WithField(FieldPostID, "p").WithError(errors.New("read: the database did not answer in time: context deadline exceeded")).Warn("hi")
		},
		"a failed post": func(l *logrus.Logger) { l.WithField(FieldPostID, "p").WithError(errors.New("x")).Error("hi") },
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			log, _ := silent(&out)
			for range 3 {
				line(log)
			}
			if n := strings.Count(out.String(), "\n"); n != 3 {
				t.Errorf("%d lines, want 3: %s", n, out.String())
			}
		})
	}
}
