package models

import "time"

// Fetch is a file of a post that has to be fetched from the customer's link, or that cannot
// be fetched. A file that was fetched has none.
type Fetch struct {
	PostID   string `gorm:"primaryKey"`
	Position int    `gorm:"primaryKey"`
	AppID    int64
	// DueAt is when the next attempt is due; nil once the file cannot be fetched.
	DueAt    *time.Time
	Attempts int
	// Fence increases with every claim. A write with an older fence changes nothing.
	Fence      int64
	LeaseUntil *time.Time
	// Error says why the file cannot be fetched.
	Error string
}

// TableName implements GORM's Tabler.
func (Fetch) TableName() string { return "fetches" }
