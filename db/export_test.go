package db

import "socialqueue/models"

// StorePost stores a post in any state, as no caller can.
func (d *DB) StorePost(p *models.Post) error { return d.orm.Create(p).Error }
