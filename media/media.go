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
	TypePNG       = "image/png"
	TypeWebP      = "image/webp"
)

// Info describes a file by its content, whatever its name or upload headers said.
type Info struct {
	Bytes       int64
	ContentType string // one of the Type constants
	SHA256      string // of the whole file, in lower-case hex
	// Duration is zero for images, and for videos that do not tell how long they are.
	Duration time.Duration
	// Width and Height are in pixels as people see the file: a phone's upright video or
	// picture is taller than wide, even if it is stored lying.
	Width, Height int
	// Orientation is how a picture is turned or mirrored before it is shown: EXIF's 1 to 8.
	// 1 is upright, 0 means that the file does not say.
	Orientation int
	// Codec of the video track: "h264", "hevc", "av1", "vp8", "vp9", or the
	// container's own name for any other. Empty for images.
	Codec string
	// FramesPer1000s is the average frame rate of a video: 29.97 frames a second are 29970.
	// Zero if it is unknown.
	FramesPer1000s int
	// BitRate is the average of the video track alone, in bits a second. It is read from MP4
	// and MOV, zero if it is unknown.
	BitRate int64
	// AudioCodec is "aac" or the container's own name, AudioRate is in samples a second. They
	// are read from MP4 and MOV; empty or zero if the video has no sound or does not tell.
	AudioCodec               string
	AudioRate, AudioChannels int
}

// upright swaps width and height of a picture that is shown turned by a quarter.
func (i Info) upright() Info {
	if i.Orientation >= 5 {
		i.Width, i.Height = i.Height, i.Width
	}
	return i
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
