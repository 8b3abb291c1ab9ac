package db

import (
	"time"

	"socialqueue/models"
)

// StorePost stores a post in any state, as no caller can.
func (d *DB) StorePost(p *models.Post) error { return d.orm.Create(p).Error }

// SetTickIdle has the lock of a tick end sooner.
func (d *DB) SetTickIdle(idle time.Duration) { d.tickIdle = idle }
