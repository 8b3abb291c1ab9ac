package models

import "time"

// IdempotencyKey remembers the answer to a creating request. It is written
// before the work begins and completed in the transaction that does the work,
// so a crash leaves either both or neither.
type IdempotencyKey struct {
	AppID    int64  `gorm:"primaryKey"`
	Key      string `gorm:"primaryKey"`
	Request  string // method and path
	BodyHash string // SHA-256, hex
	// Owner is the request that works on it; LockedUntil is when another may
	// take it over.
	Owner       string
	LockedUntil time.Time
	// ResponseStatus is 0 while the work is not done.
	ResponseStatus int
	ResponseBody   string
	PostID         *string
	CreatedAt      time.Time `gorm:"autoCreateTime:false"`
}
