package simulate

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/glebarez/sqlite"

	"socialqueue/db"
)

// store is the database: one SQLite in memory, to which every connection of the pool leads. Outside of a transaction
// each statement is a gate. Within one, the others wait.
type store struct {
	*db.DB
	sqlite driver.Conn
	driver driver.Driver
	tables []string

	// h is the history that is going on; nil between two.
	h *history

	mu sync.Mutex
	tx *transaction
}

// openStore opens a store and migrates it.
func openStore(ctx context.Context) (*store, error) {
	named, err := sql.Open(sqlite.DriverName, db.SQLiteSource(":memory:"))
	if err != nil {
		return nil, err
	}
	s := &store{driver: named.Driver()}
	if s.sqlite, err = s.driver.Open(db.SQLiteSource(":memory:")); err != nil {
		return nil, err
	}
	if err := named.Close(); err != nil {
		return nil, err
	}
	if s.DB, err = s.open(ctx); err != nil {
		return nil, err
	}
	if _, err := s.Migrate(ctx); err != nil {
		return nil, err
	}
	rows, err := s.query("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'goose%' AND name NOT LIKE 'sqlite%' ORDER BY name", nil)
	if err != nil {
		return nil, err
	}
	s.tables = texts(rows)
	if err := s.run("ATTACH ':memory:' AS empty; ATTACH ':memory:' AS backup"); err != nil {
		return nil, err
	}
	return s, s.copyTo("empty")
}

// open opens the stores once more. A history has its own, as GORM keeps channels that belong to the bubble in which
// they were made.
func (s *store) open(ctx context.Context) (*db.DB, error) {
	return db.OnSQLite(ctx, sql.OpenDB(connector{s}))
}

// texts reads the first column of rows.
func texts(rows driver.Rows) (all []string) {
	defer rows.Close()
	row := make([]driver.Value, len(rows.Columns()))
	for rows.Next(row) == nil {
		all = append(all, fmt.Sprint(row[0]))
	}
	return all
}

// copyTo keeps a copy of all tables, and copyFrom brings it back.
func (s *store) copyTo(name string) error {
	var all strings.Builder
	for _, t := range s.tables {
		_, _ = fmt.Fprintf(&all, "DROP TABLE IF EXISTS %[1]s.%[2]s; CREATE TABLE %[1]s.%[2]s AS SELECT * FROM main.%[2]s; ", name, t)
	}
	_, _ = fmt.Fprintf(&all, "DROP TABLE IF EXISTS %[1]s.counters; CREATE TABLE %[1]s.counters AS SELECT * FROM main.sqlite_sequence", name)
	return s.run(all.String())
}

// copyFrom restores a backup, with the counters that give rows their ids, as VACUUM INTO and
// pg_dump do.
func (s *store) copyFrom(name string) error {
	all := strings.Builder{}
	all.WriteString("PRAGMA foreign_keys = OFF; BEGIN; ")
	for _, t := range s.tables {
		_, _ = fmt.Fprintf(&all, "DELETE FROM main.%[2]s; INSERT INTO main.%[2]s SELECT * FROM %[1]s.%[2]s; ", name, t)
	}
	_, _ = fmt.Fprintf(&all, "DELETE FROM main.sqlite_sequence; INSERT INTO main.sqlite_sequence SELECT * FROM %s.counters; ", name)
	all.WriteString("COMMIT; PRAGMA foreign_keys = ON")
	return s.run(all.String())
}

// run executes statements past all gates.
func (s *store) run(statements string) error {
	_, err := s.exec(statements, nil)
	return err
}

// ask reads one value past all gates; it is nil if there is none.
func (s *store) ask(query string, args ...any) (driver.Value, error) {
	named := make([]driver.NamedValue, len(args))
	for i, arg := range args {
		named[i] = driver.NamedValue{Ordinal: i + 1, Value: arg}
	}
	rows, err := s.query(query, named)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	row := make([]driver.Value, len(rows.Columns()))
	if err := rows.Next(row); errors.Is(err, io.EOF) {
		return nil, nil
	}
	return row[0], nil
}

func (s *store) exec(query string, args []driver.NamedValue) (driver.Result, error) {
	return s.sqlite.(driver.ExecerContext).ExecContext(context.Background(), query, args)
}

func (s *store) query(query string, args []driver.NamedValue) (driver.Rows, error) {
	return s.sqlite.(driver.QueryerContext).QueryContext(context.Background(), query, args)
}

// busy reports whether a transaction is open.
func (s *store) busy() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tx != nil
}

// rollBackOf rolls the transaction of an actor back that dies.
func (s *store) rollBackOf(a *actor) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tx != nil && s.tx.actor == a {
		s.must(s.run("ROLLBACK"))
		s.tx = nil
	}
}

func (s *store) must(err error) {
	if err != nil {
		panic(fmt.Sprintf("the store: %v", err))
	}
}

type connector struct{ s *store }

func (c connector) Connect(context.Context) (driver.Conn, error) { return &conn{s: c.s}, nil }
func (c connector) Driver() driver.Driver                        { return c.s.driver }

// conn is one connection of the pool.
type conn struct {
	s  *store
	tx *transaction
}

type transaction struct {
	conn  *conn
	actor *actor
	what  string
}

func (c *conn) Prepare(string) (driver.Stmt, error) { return nil, driver.ErrSkip }
func (c *conn) Close() error                        { return nil }
func (c *conn) Begin() (driver.Tx, error)           { return c.BeginTx(context.Background(), driver.TxOptions{}) }

// BeginTx begins a transaction once no other one is open.
func (c *conn) BeginTx(ctx context.Context, _ driver.TxOptions) (driver.Tx, error) {
	a, err := c.s.enter(ctx, "BEGIN")
	if err != nil {
		return nil, err
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if err := c.s.run("BEGIN IMMEDIATE"); err != nil {
		return nil, err
	}
	c.tx = &transaction{conn: c, actor: a}
	c.s.tx = c.tx
	return c.tx, nil
}

// enter waits at the gate of a statement. It returns no actor outside of a history.
func (s *store) enter(ctx context.Context, what string) (*actor, error) {
	if s.h == nil {
		return nil, nil
	}
	a := s.h.actorOf(ctx)
	if a == nil {
		return nil, nil
	}
	if err := s.h.pass(ctx, a, what, true); err != nil {
		return a, err
	}
	if s.h.happens(a, "dies before "+what, s.h.rates.die) {
		s.h.kill(a, "before "+what)
		return a, s.h.die(a)
	}
	on, rate := a.on, s.h.rates.outage
	if what == "UPDATE posts" { // most of these renew a lease
		rate *= 15
	}
	if on != nil && s.h.happens(a, "its process loses the database at "+what, rate) {
		on.awayUntil = time.Now().Add(time.Duration(1+s.h.pick(45)) * time.Second)
	}
	if on != nil && !s.h.calm.Load() && time.Now().Before(on.awayUntil) {
		return a, errAway
	}
	return a, nil
}

// ExecContext makes a write.
func (c *conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if c.tx != nil {
		return c.within(query, args)
	}
	what := short(query)
	a, err := c.s.enter(ctx, what)
	if err != nil {
		return nil, err
	}
	if a == nil {
		return c.s.exec(query, args)
	}
	if c.s.h.happens(a, "fails: "+what, c.s.h.rates.write) {
		return nil, errAway
	}
	res, err := c.s.exec(query, args)
	return res, c.s.answered(a, what, err)
}

// answered loses the answer to a write that was done, or its caller.
func (s *store) answered(a *actor, what string, err error) error {
	switch {
	case err != nil:
		return err
	case s.h.happens(a, "dies after "+what, s.h.rates.die):
		s.h.kill(a, "after "+what)
		return s.h.die(a)
	case s.h.happens(a, "gets no answer: "+what, s.h.rates.commit):
		return errAway
	}
	return nil
}

func (c *conn) within(query string, args []driver.NamedValue) (driver.Result, error) {
	if c.over() {
		return nil, errDead
	}
	c.tx.what = short(query)
	return c.s.exec(query, args)
}

// over reports whether the connection's transaction was rolled back with its actor.
func (c *conn) over() bool {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	return c.s.tx != c.tx
}

// QueryContext makes a read, or a write that returns something.
func (c *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if c.tx != nil {
		if c.over() {
			return nil, errDead
		}
		return c.s.query(query, args)
	}
	what := short(query)
	a, err := c.s.enter(ctx, what)
	if err != nil {
		return nil, err
	}
	if a == nil {
		return c.s.query(query, args)
	}
	if c.s.h.happens(a, "fails: "+what, c.s.h.rates.read) {
		return nil, errAway
	}
	rows, err := c.s.query(query, args)
	if err == nil && !strings.HasPrefix(what, "SELECT") && !strings.HasPrefix(what, "WITH") {
		err = c.s.answered(a, what, nil)
	}
	return rows, err
}

// Commit commits, unless the commit fails. Its answer may be lost.
func (t *transaction) Commit() error {
	s, a, what := t.conn.s, t.actor, "COMMIT of "+t.what
	if t.conn.over() {
		return errDead
	}
	if a != nil && s.h.happens(a, "dies before "+what, s.h.rates.die) {
		s.h.kill(a, "before "+what)
		return s.h.die(a)
	}
	if a != nil && s.h.happens(a, "fails: "+what, s.h.rates.commit) {
		t.finish("ROLLBACK")
		return errAway
	}
	t.finish("COMMIT")
	if a == nil {
		return nil
	}
	return s.answered(a, what, nil)
}

// Rollback rolls back, unless that was done.
func (t *transaction) Rollback() error {
	if !t.conn.over() {
		t.finish("ROLLBACK")
	}
	t.conn.tx = nil
	return nil
}

func (t *transaction) finish(how string) {
	s := t.conn.s
	s.mu.Lock()
	defer s.mu.Unlock()
	s.must(s.run(how))
	s.tx, t.conn.tx = nil, nil
}

// short names a statement by its verb and its table.
func short(query string) string {
	words := strings.Fields(query)
	verb, table := strings.ToUpper(words[0]), ""
	for i, w := range words[:len(words)-1] {
		switch strings.ToUpper(w) {
		case "FROM", "INTO", "UPDATE":
			table = strings.Trim(words[i+1], "`\"(")
		}
		if table != "" {
			break
		}
	}
	return verb + " " + table
}
