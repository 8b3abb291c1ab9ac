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

// SetTickIdle replaces TickIdle.
func (d *DB) SetTickIdle(idle time.Duration) { d.tickIdle = idle }

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
