// Package db opens the database, migrates it, and stores all durable state: one store per
// aggregate. Production uses Postgres; the embedded mode uses SQLite with the same code.
// Times are UTC with microseconds.
package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/glebarez/sqlite"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/stdlib"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"socialqueue/models"
	"socialqueue/secrets"
)

var (
	// ErrNotFound is models.ErrNotFound.
	ErrNotFound = models.ErrNotFound
	// ErrStale is models.ErrStale.
	ErrStale = models.ErrStale
	// ErrNoSuchMove means that the transition table does not allow a change of status. It
	// is a bug in the program; a retry does not help.
	ErrNoSuchMove = errors.New("the transition table does not allow this change of status")
)

// Dialect names the database behind a DB.
type Dialect string

// The dialects.
const (
	Postgres Dialect = "postgres"
	SQLite   Dialect = "sqlite"
)

const (
	connectTimeout = 5 * time.Second
	connMaxIdle    = 5 * time.Minute
)

// DB is an open database with its stores. It is safe for concurrent use.
type DB struct {
	Posts       *Posts
	Runs        *Runs
	Admission   *Admission
	Breakers    *Breakers
	Accounts    *Accounts
	Connections *Connections
	Tokens      *Tokens
	Media       *Media
	Fetches     *Fetches
	// FirstComments are those that apps want under their own posts.
	FirstComments *FirstComments
	// Subscriptions are those to the webhooks of Pages.
	Subscriptions *Subscriptions
	Inbox         *Inbox
	Outbox        *Outbox
	Tenants       *Tenants
	Operators     *Operators
	Restores      *Restores

	conn
	sql *sql.DB
	// pooled is set if a pooler stands between this process and Postgres.
	pooled bool
	ticks  tickLocks
	// tickLease is the constant; tests shorten it.
	tickLease time.Duration
	write     lastWrite
}

// OpenPostgres connects to the server of a postgresql:// URL with at most maxConns
// connections. The server may be a pooler. Errors do not contain the password of the URL.
func OpenPostgres(ctx context.Context, databaseURL secrets.Secret, maxConns int) (*DB, error) {
	cfg, err := parsePostgres(databaseURL)
	if err != nil {
		return nil, err
	}
	pooled, err := throughPooler(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("connect to the database: %w", err)
	}
	conn := stdlib.OpenDB(*cfg, stdlib.OptionAfterConnect(readTimesAsUTC))
	conn.SetMaxOpenConns(maxConns)
	conn.SetMaxIdleConns(maxConns)
	conn.SetConnMaxIdleTime(connMaxIdle)
	d, err := open(ctx, postgres.New(postgres.Config{Conn: bound(conn, statementTime, transactionTime)}), conn, Postgres)
	if err == nil {
		d.pooled = pooled
	}
	return d, err
}

func readTimesAsUTC(_ context.Context, conn *pgx.Conn) error {
	conn.TypeMap().RegisterType(&pgtype.Type{
		Name: "timestamptz", OID: pgtype.TimestamptzOID,
		Codec: &pgtype.TimestamptzCodec{ScanLocation: time.UTC},
	})
	return nil
}

// OpenSQLite opens the database file at path. It creates the file if it does not exist.
func OpenSQLite(ctx context.Context, path string) (*DB, error) {
	conn, err := sql.Open(sqlite.DriverName, SQLiteSource(path))
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	conn.SetMaxOpenConns(1) // one writer at a time is SQLite's rule; waiting here beats SQLITE_BUSY
	return OnSQLite(ctx, conn)
}

// SQLiteSource is the data source name of the database file at path, with the settings that
// the stores rely on.
func SQLiteSource(path string) string {
	params := url.Values{
		"_pragma":      {"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)"},
		"_txlock":      {"immediate"},
		"_time_format": {"sqlite"},
	}
	return "file:" + path + "?" + params.Encode()
}

// OnSQLite opens the stores on a pool of connections that the caller made, to a SQLite
// database opened by a name of SQLiteSource.
func OnSQLite(ctx context.Context, pool *sql.DB) (*DB, error) {
	return open(ctx, sqlite.Dialector{Conn: pool}, pool, SQLite)
}

func open(ctx context.Context, dialector gorm.Dialector, sqlDB *sql.DB, dialect Dialect) (*DB, error) {
	if err := sqlDB.PingContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("connect to the database: %w", err), sqlDB.Close())
	}
	orm, err := gorm.Open(dialector, &gorm.Config{
		Logger:                 logger.Discard, // callers log the errors
		SkipDefaultTransaction: true,
		TranslateError:         true,
		DisableAutomaticPing:   true,
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open the database: %w", err), sqlDB.Close())
	}
	c := conn{orm: orm, dialect: dialect}
	return &DB{
		Posts: &Posts{c}, Runs: &Runs{c}, Admission: &Admission{c}, Breakers: &Breakers{c}, Accounts: &Accounts{c}, Connections: &Connections{c}, Tokens: &Tokens{c},
		Media: &Media{c}, Fetches: &Fetches{c}, FirstComments: &FirstComments{c}, Subscriptions: &Subscriptions{c}, Inbox: &Inbox{c}, Outbox: &Outbox{c}, Tenants: &Tenants{c}, Operators: &Operators{c}, Restores: &Restores{c},
		conn: c, sql: sqlDB, tickLease: tickLease,
	}, nil
}

// Close closes all connections.
func (d *DB) Close() error { return d.sql.Close() }

// Pool returns the connection pool, for metrics and tests.
func (d *DB) Pool() *sql.DB { return d.sql }

// Dialect returns the dialect of the database.
func (d *DB) Dialect() Dialect { return d.dialect }

// Pooled reports whether the connections go through a pooler, such as PgBouncer.
func (d *DB) Pooled() bool { return d.pooled }

// Ping checks that the database answers.
func (d *DB) Ping(ctx context.Context) error {
	if err := d.sql.PingContext(ctx); err != nil {
		return fmt.Errorf("connect to the database: %w", noAnswer(err))
	}
	return nil
}
