package tiktok

import (
	"bytes"
	"image"
	"image/jpeg"

	"golang.org/x/image/webp"

	"socialqueue/sandbox/engine"
)

// The bounds of a photo (Media Transfer Guide, 2026-09-11). That "1080p" means the width was observed, 2026-06; the
// shorter side is then within it too.
const (
	maxPhotoSize  = 20_000_000
	maxPhotoWidth = 1080
)

// mediaKind is what a post is made of.
type mediaKind struct {
	name       string // as in LivePost.Kind and in the permalink
	pullFailed string // fail_reason of a download
	maxBytes   int64  // of each file
	// check returns the fail_reason that processing a whole file will end in, or "".
	check func(*engine.Blob) string
}

var (
	kindVideo = &mediaKind{"video", "video_pull_failed", maxVideoSize, checkVideo}
	kindPhoto = &mediaKind{"photo", "photo_pull_failed", maxPhotoSize, checkPhoto}
)

func checkVideo(b *engine.Blob) string {
	if !isVideo(b.ContentType()) {
		return "file_format_check_failed"
	}
	return ""
}

// isVideo reports whether a type is MP4, MOV or WebM (Media Transfer Guide).
func isVideo(mime string) bool {
	return mime == "video/mp4" || mime == "video/quicktime" || mime == "video/webm"
}

// checkPhoto checks the format and the size of a photo.
func checkPhoto(b *engine.Blob) string {
	cfg, ok := photoConfig(b.ContentType(), b.First())
	switch {
	case !ok:
		return "file_format_check_failed"
	case b.Size() > maxPhotoSize || cfg.Width > maxPhotoWidth:
		return "picture_size_check_failed"
	}
	return ""
}

// photoConfig reads the dimensions of a JPEG or WebP and returns false for anything else.
func photoConfig(mime string, data []byte) (image.Config, bool) {
	decode := jpeg.DecodeConfig
	switch mime {
	case "image/jpeg":
	case "image/webp":
		decode = webp.DecodeConfig
	default:
		return image.Config{}, false
	}
	cfg, err := decode(bytes.NewReader(data))
	return cfg, err == nil
}
