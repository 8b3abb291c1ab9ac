package models

import "time"

// Media is a stored file of an app. Its key in the bucket is its id.
type Media struct {
	ID          string `gorm:"primaryKey"`
	AppID       int64
	Bytes       int64
	ContentType string
	SHA256      string `gorm:"column:sha256"`
	// DurationMs, Width and Height are 0 if the file's container format does not state
	// them.
	DurationMs int64
	Width      int
	Height     int
	CreatedAt  time.Time `gorm:"autoCreateTime:false"`
}

// TableName implements GORM's Tabler.
func (Media) TableName() string { return "media" }

// Duration is the playing time of a video; 0 if it is unknown.
func (m *Media) Duration() time.Duration { return time.Duration(m.DurationMs) * time.Millisecond }
