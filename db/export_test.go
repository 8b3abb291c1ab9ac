package db

import (
	"context"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"socialqueue/models"
)

// StorePost stores a post in any state, which the stores do not allow. The post has no rows
// in post_media, like a post of the previous release.
func (d *DB) StorePost(p *models.Post) error { return d.orm.Create(p).Error }

// SetTickLease replaces tickLease.
func (d *DB) SetTickLease(lease time.Duration) { d.tickLease = lease }

// AgeWrite makes the last answer of CheckWritable older.
func (d *DB) AgeWrite(by time.Duration) { d.write.at = d.write.at.Add(-by) }

// MigrateTo upgrades the schema to an older version.
func (d *DB) MigrateTo(ctx context.Context, version int64) error {
	provider, err := d.migrations(true)
	if err == nil {
		_, err = provider.UpTo(ctx, version)
	}
	return err
}

// WithTimes returns the connections of d with other time limits.
func (d *DB) WithTimes(statement, transaction time.Duration) interface {
	gorm.ConnPool
	gorm.ConnPoolBeginner
} {
	return bound(d.sql, statement, transaction)
}

// CountStatements counts the statements that Posts runs from now on.
func (d *DB) CountStatements() *int {
	counter := &statementCounter{Interface: logger.Discard}
	d.Posts.orm = d.orm.Session(&gorm.Session{Logger: counter})
	return &counter.n
}

type statementCounter struct {
	logger.Interface
	n int
}

// Trace implements logger.Interface. GORM calls it once for each statement.
func (c *statementCounter) Trace(context.Context, time.Time, func() (string, int64), error) { c.n++ }
