package models

import "time"

// Media is a stored file of an app. Its key in the bucket is its id.
type Media struct {
	ID          string `gorm:"primaryKey"`
	AppID       int64
	Bytes       int64
	ContentType string
	SHA256      string `gorm:"column:sha256"`
	// DurationMs, Width and Height are 0 where the container does not tell.
	DurationMs int64
	Width      int
	Height     int
	CreatedAt  time.Time `gorm:"autoCreateTime:false"`
}

// TableName names the table.
func (Media) TableName() string { return "media" }

// Duration is how long a video plays; 0 where its container does not say.
func (m *Media) Duration() time.Duration { return time.Duration(m.DurationMs) * time.Millisecond }
