package media

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"

	"golang.org/x/image/webp"
)

const (
	// webpPrefix is how many first bytes of a WebP file are searched for its size in pixels,
	// which is in the first chunk.
	webpPrefix = 4 << 10
	// webpHeader is "RIFF", the length of what follows that, and "WEBP".
	webpHeader = 12
	// maxWebPExif is how much of the Exif data is read. The orientation is at its beginning.
	maxWebPExif = 64 << 10
)

var errAnimatedWebP = reject("animated WebP images are not accepted by the platforms: convert it to JPEG or MP4")

// probeWebP reads the size in pixels and the orientation, and checks that the file is as long
// as its header says and is no animation.
func probeWebP(r *bufio.Reader) (Info, error) {
	head, err := r.Peek(webpPrefix)
	if len(head) < webpHeader {
		return Info{}, truncated(err, "WebP image")
	}
	config, err := webp.DecodeConfig(bytes.NewReader(head))
	if err != nil || config.Width == 0 || config.Height == 0 {
		return Info{}, reject("WebP image has no readable header")
	}
	info := Info{Width: config.Width, Height: config.Height}
	length := int64(binary.LittleEndian.Uint32(head[4:])) + 8 - webpHeader
	if err := skip(r, webpHeader); err != nil {
		return Info{}, truncated(err, "WebP image")
	}
	if info.Orientation, err = readWebPChunks(r, length); err != nil {
		return Info{}, truncated(err, "WebP image")
	}
	return info.upright(), nil
}

// readWebPChunks reads the orientation in the chunks of the next left bytes.
func readWebPChunks(r *bufio.Reader, left int64) (orientation int, err error) {
	const header = 8 // name, length
	exif := false
	for left >= header {
		var h [header]byte
		if _, err := io.ReadFull(r, h[:]); err != nil {
			return 0, noEOF(err)
		}
		left -= header
		size := int64(binary.LittleEndian.Uint32(h[4:]))
		size = min(size+size%2, left) // chunks are filled up to an even length
		left -= size
		name := string(h[:4])
		if name == "ANIM" || name == "ANMF" {
			return 0, errAnimatedWebP
		}
		if name == "EXIF" && !exif {
			b := make([]byte, min(size, maxWebPExif))
			if _, err := io.ReadFull(r, b); err != nil {
				return 0, noEOF(err)
			}
			size -= int64(len(b))
			orientation, exif = exifOrientation(bytes.TrimPrefix(b, exifPrefix)), true
		}
		if err := skip(r, size); err != nil {
			return 0, err
		}
	}
	return orientation, skip(r, max(left, 0))
}
