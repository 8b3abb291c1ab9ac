package models

import "time"

// IdempotencyKey stores the response to a creating request. The row is inserted before the
// work begins and completed in the transaction that does the work. So after a crash either
// both the work and the response are stored, or neither is.
type IdempotencyKey struct {
	AppID    int64  `gorm:"primaryKey"`
	Key      string `gorm:"primaryKey"`
	Request  string // method and path
	BodyHash string // SHA-256, hex
	// Owner is the request that does the work. After LockedUntil another request may take
	// the key over.
	Owner       string
	LockedUntil time.Time
	// ResponseStatus is 0 while the work is not done.
	ResponseStatus int
	ResponseBody   string
	PostID         *string
	CreatedAt      time.Time `gorm:"autoCreateTime:false"`
}
