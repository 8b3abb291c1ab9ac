package db

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/jackc/pgx/v5"

	"socialqueue/secrets"
)

// pgbouncerParam is a parameter by which some hosts and libraries mark the address of a
// pooler. Postgres does not know it.
const pgbouncerParam = "pgbouncer"

// parsePostgres reads DATABASE_URL.
func parsePostgres(databaseURL secrets.Secret) (*pgx.ConnConfig, error) {
	invalid := errors.New("DATABASE_URL is not a valid postgresql:// URL")
	raw := databaseURL.Reveal()
	u, err := url.Parse(raw)
	if err != nil {
		return nil, invalid
	}
	query := u.Query()
	marked := query.Get(pgbouncerParam) == "true"
	chosen := query.Has("default_query_exec_mode")
	if query.Has(pgbouncerParam) {
		query.Del(pgbouncerParam)
		u.RawQuery = query.Encode()
		raw = u.String()
	}
	cfg, err := pgx.ParseConfig(raw)
	if err != nil {
		return nil, invalid
	}
	if marked && !chosen {
		useExec(cfg)
	}
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = connectTimeout
	}
	cfg.RuntimeParams["timezone"] = "UTC"
	// Go's text is UTF-8. A database may have another encoding as its default: initdb without a
	// locale makes it SQL_ASCII.
	cfg.RuntimeParams["client_encoding"] = "UTF8"
	if cfg.RuntimeParams["application_name"] == "" {
		cfg.RuntimeParams["application_name"] = "socialqueue"
	}
	return cfg, nil
}

// useExec makes pgx prepare no statements. A pooler in transaction mode gives each
// transaction another session, which does not have the statements of the one before.
func useExec(cfg *pgx.ConnConfig) {
	cfg.DefaultQueryExecMode = pgx.QueryExecModeExec
	cfg.StatementCacheCapacity, cfg.DescriptionCacheCapacity = 0, 0
}

// throughPooler reports whether the server of cfg is a pooler such as PgBouncer, and adapts
// cfg to one. A pooler gives each client a process id of its own for cancel requests, which
// is not the id of the session that Postgres knows.
func throughPooler(ctx context.Context, cfg *pgx.ConnConfig) (pooled bool, err error) {
	ctx, cancel := within(ctx, statementTime)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return false, err
	}
	var pid uint32
	err = conn.QueryRow(ctx, "SELECT pg_backend_pid()", pgx.QueryExecModeSimpleProtocol).Scan(&pid)
	pooled = pid != conn.PgConn().PID()
	if err = errors.Join(err, conn.Close(ctx)); err != nil {
		return false, fmt.Errorf("ask for the session: %w", err)
	}
	if pooled && cfg.DefaultQueryExecMode == pgx.QueryExecModeCacheStatement {
		useExec(cfg)
	}
	return pooled, nil
}
