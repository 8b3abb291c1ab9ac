package models

import (
	"strconv"
	"time"
)

// Media is a stored file of an app. Its key in the bucket is its id.
type Media struct {
	ID          string `gorm:"primaryKey"`
	AppID       int64
	Bytes       int64
	ContentType string
	SHA256      string `gorm:"column:sha256"`
	// DurationMs, Width and Height are 0 if the file does not tell them. Width and Height are
	// in pixels as people see the file.
	DurationMs int64
	Width      int
	Height     int
	// The rest is unknown, so empty or 0, for files of releases that did not read it, and for
	// those that do not tell it. Codec is that of the video track: "h264", "hevc", "vp8", "vp9",
	// "av1", or the file's own name for any other.
	Codec string
	// FramesPer1000s is the average frame rate: 29.97 frames a second are 29970.
	FramesPer1000s int    `gorm:"column:frames_per_1000s"`
	BitRate        int64  // of the video track, in bits a second
	AudioCodec     string // "aac", or the file's own name for any other
	AudioRate      int    // in samples a second
	AudioChannels  int
	// Orientation of a picture, EXIF's 1 to 8: 1 is upright.
	Orientation int
	CreatedAt   time.Time `gorm:"autoCreateTime:false"`
}

// TableName implements GORM's Tabler.
func (Media) TableName() string { return "media" }

// Duration is the playing time of a video; 0 if it is unknown.
func (m *Media) Duration() time.Duration { return time.Duration(m.DurationMs) * time.Millisecond }

// FrameRate is the average number of frames a second, as text for people.
func (m *Media) FrameRate() string {
	return strconv.FormatFloat(float64(m.FramesPer1000s)/1000, 'f', -1, 64)
}
