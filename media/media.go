// Package media handles the files of posts. It streams them into a bucket while it checks
// them, serves them to platforms under signed links with ranges, and fetches files that
// apps give by URL, without access to our own network.
//
// No file is held in memory: a file of 4 GiB needs as much memory as one of 4 KiB.
package media

import (
	"errors"
	"time"
)

// Content types that a Store accepts.
const (
	TypeMP4       = "video/mp4"
	TypeQuickTime = "video/quicktime"
	TypeWebM      = "video/webm"
	TypeJPEG      = "image/jpeg"
	TypeWebP      = "image/webp"
)

// Info describes a file by its content, whatever its name or upload headers said.
type Info struct {
	Bytes       int64
	ContentType string // one of the Type constants
	SHA256      string // of the whole file, in lower-case hex
	// Duration is zero for images, and for videos that have none: WebM without a Duration
	// element, and fragmented MP4 without one.
	Duration time.Duration
	// Width and Height are in pixels as a player shows a video, so a phone's upright video
	// is taller than wide. For images they are as stored, without the EXIF orientation.
	Width, Height int
	// Codec of the video track: "h264", "hevc", "av1", "vp8", "vp9", or the
	// container's own name for any other. Empty for images.
	Codec string
}

var (
	// ErrTooLarge means that the file is larger than allowed.
	ErrTooLarge = errors.New("file is larger than allowed")
	// ErrEmpty means that the file has no bytes.
	ErrEmpty = errors.New("file is empty")
	// ErrNotFound means that there is no file under this key.
	ErrNotFound = errors.New("no such file")
)

// RejectedError says why a file is not accepted. Reason is written for the person who
// uploaded it.
type RejectedError struct {
	Reason string
}

// Error returns the reason.
func (e *RejectedError) Error() string { return "file rejected: " + e.Reason }

func reject(reason string) error { return &RejectedError{Reason: reason} }
