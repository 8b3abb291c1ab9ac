package db

import (
	"context"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"time"

	"socialqueue/models"
)

// Server describes the database server.
type Server struct {
	// Version is the name and the version, such as "PostgreSQL 17.2".
	Version string
	// Time is the server's clock.
	Time time.Time
	// Settings are the requested settings of Postgres; empty for SQLite.
	Settings map[string]string
}

// Server reads the version, the clock and some settings of the database server.
func (o *Operators) Server(ctx context.Context, settings ...string) (Server, error) {
	s := Server{Settings: map[string]string{}}
	if o.dialect == SQLite {
		s.Time = time.Now()
		err := o.orm.WithContext(ctx).Raw("SELECT 'SQLite ' || sqlite_version()").Scan(&s.Version).Error
		return s, wrap(err, "read the version of the database")
	}
	row := struct {
		Version string
		Time    time.Time
	}{}
	err := o.orm.WithContext(ctx).Raw("SELECT 'PostgreSQL ' || current_setting('server_version') AS version, clock_timestamp() AS time").Scan(&row).Error
	s.Version, s.Time = row.Version, row.Time
	for _, name := range settings {
		var value string
		if err == nil {
			err = o.orm.WithContext(ctx).Raw("SELECT current_setting(?)", name).Scan(&value).Error
		}
		s.Settings[name] = value
	}
	return s, wrap(err, "read the version, clock and settings of the database")
}

var (
	createsIndex = regexp.MustCompile(`(?m)^CREATE (?:UNIQUE )?INDEX (\w+)`)
	dropsIndex   = regexp.MustCompile(`(?m)^DROP INDEX (\w+)`)
	goesDown     = regexp.MustCompile(`(?m)^-- \+goose Down`)
)

// MissingIndices lists the indexes of the migrations that do not exist, or that Postgres
// does not use because their creation was interrupted.
func (o *Operators) MissingIndices(ctx context.Context) ([]string, error) {
	wanted, err := o.wantedIndices()
	if err != nil {
		return nil, err
	}
	query := `SELECT c.relname FROM pg_class c JOIN pg_index i ON i.indexrelid = c.oid
		WHERE i.indisvalid AND c.relnamespace = current_schema()::regnamespace`
	if o.dialect == SQLite {
		query = "SELECT name FROM sqlite_master WHERE type = 'index'"
	}
	var existing []string
	if err := o.orm.WithContext(ctx).Raw(query).Scan(&existing).Error; err != nil {
		return nil, fmt.Errorf("list indexes: %w", err)
	}
	return slices.DeleteFunc(wanted, func(name string) bool { return slices.Contains(existing, name) }), nil
}

// wantedIndices reads the names of the expected indexes from the migrations.
func (o *Operators) wantedIndices() ([]string, error) {
	files, err := fs.Glob(migrations, "migrations/"+string(o.dialect)+"/*.sql")
	if err != nil {
		return nil, fmt.Errorf("find migrations: %w", err)
	}
	var wanted []string
	for _, file := range files {
		text, err := migrations.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read migration: %w", err)
		}
		up := goesDown.Split(string(text), 2)[0]
		for _, found := range createsIndex.FindAllStringSubmatch(up, -1) {
			wanted = append(wanted, found[1])
		}
		for _, found := range dropsIndex.FindAllStringSubmatch(up, -1) {
			wanted = slices.DeleteFunc(wanted, func(name string) bool { return name == found[1] })
		}
	}
	return wanted, nil
}

// Stuck counts work that is overdue.
type Stuck struct {
	// Leases counts the posts whose lease expired, Waiting the due posts that were not
	// admitted to Asynq although the workers have nothing to do.
	Leases, Waiting int64
	// Events counts the due webhook events of platforms, Endpoints the webhook endpoints of
	// apps with due deliveries.
	Events, Endpoints int64
}

// Stuck counts the work that was due before since and is still not done.
func (o *Operators) Stuck(ctx context.Context, since time.Time) (Stuck, error) {
	var s Stuck
	for _, count := range []struct {
		n     *int64
		query string
	}{
		{&s.Leases, "SELECT COUNT(*) FROM posts WHERE admission = 'admitted' AND fence >= 0 AND lease_until < @since"},
		{&s.Waiting, "SELECT (SELECT COUNT(*) FROM posts WHERE " + leftOut(models.StepPublish) + " AND run_at < @since) + (SELECT COUNT(*) FROM posts WHERE " + leftOut(models.StepTransfer) + " AND run_at < @since)"},
		{&s.Events, "SELECT COUNT(*) FROM webhook_events WHERE run_at < @since"},
		{&s.Endpoints, `SELECT COUNT(*) FROM webhook_endpoints WHERE status = 'enabled' AND deleted_at IS NULL AND (rest_until IS NULL OR rest_until < @since)
			AND id IN (SELECT endpoint_id FROM webhook_deliveries WHERE status = 'pending' AND next_at < @since)`},
	} {
		if err := o.orm.WithContext(ctx).Raw(count.query, map[string]any{"since": since, "now": since}).Scan(count.n).Error; err != nil {
			return s, fmt.Errorf("count overdue work: %w", err)
		}
	}
	return s, nil
}

// Fences returns the fences of posts by id. Posts that do not exist are left out.
func (o *Operators) Fences(ctx context.Context, ids []string) (map[string]int64, error) {
	var posts []models.Post
	if err := o.orm.WithContext(ctx).Select("id", "fence").Where("id IN ?", ids).Find(&posts).Error; err != nil {
		return nil, fmt.Errorf("read the fences of posts: %w", err)
	}
	fences := make(map[string]int64, len(posts))
	for _, p := range posts {
		fences[p.ID] = p.Fence
	}
	return fences, nil
}
