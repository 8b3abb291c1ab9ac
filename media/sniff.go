package media

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"slices"
)

// sniffLen is how many first bytes identify the format of a file.
const sniffLen = 64

// format is a file format: its content type, and the probe that checks a whole file. A
// probe reads as far as it needs to.
type format struct {
	contentType string
	probe       func(*bufio.Reader) (Info, error)
}

// sniff detects the format by the first bytes of a file.
func sniff(head []byte) (format, error) {
	switch {
	case bytes.HasPrefix(head, []byte("\xff\xd8\xff")):
		return format{TypeJPEG, probeJPEG}, nil
	case len(head) >= 12 && string(head[:4]) == "RIFF" && string(head[8:12]) == "WEBP":
		return format{TypeWebP, probeWebP}, nil
	case bytes.HasPrefix(head, []byte("\x1a\x45\xdf\xa3")):
		return format{TypeWebM, probeWebM}, nil
	case bytes.HasPrefix(head, pngSignature):
		return format{TypePNG, probePNG}, nil
	case bytes.HasPrefix(head, []byte("GIF8")):
		return format{}, reject("GIF images are not accepted by the platforms: convert it to JPEG or MP4")
	case len(head) >= 12:
		return sniffISO(head)
	}
	return format{}, errUnknownFormat
}

var errUnknownFormat = reject("not a video or image we know: send MP4, MOV or WebM video, or a JPEG, PNG or WebP image")

// quickTimeStarts lists the boxes that old QuickTime files, which have no ftyp box, begin
// with.
var quickTimeStarts = []string{"moov", "mdat", "wide", "free", "skip", "pnot"}

// sniffISO distinguishes the formats of the MP4 family by their major brand.
func sniffISO(head []byte) (format, error) {
	boxType, brand := string(head[4:8]), string(head[8:12])
	if slices.Contains(quickTimeStarts, boxType) {
		return format{TypeQuickTime, probeMP4}, nil
	}
	if boxType != "ftyp" {
		return format{}, errUnknownFormat
	}
	switch brand {
	case "qt  ":
		return format{TypeQuickTime, probeMP4}, nil
	case "heic", "heix", "hevc", "hevx", "heim", "heis", "mif1", "msf1", "avif", "avis":
		return format{}, reject("HEIC and AVIF images are not accepted by the platforms: convert it to JPEG")
	}
	return format{TypeMP4, probeMP4}, nil
}

// truncated turns an early end of the file into a rejection. Other errors come from the
// reader and are returned unchanged.
func truncated(err error, what string) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return reject(what + " is cut off: the file ends too early")
	}
	return err
}

// skip skips n bytes. If the file ends before, it returns io.ErrUnexpectedEOF.
func skip(r *bufio.Reader, n int64) error {
	for n > 0 {
		step := int(min(n, 1<<30))
		done, err := r.Discard(step)
		n -= int64(done)
		if errors.Is(err, io.EOF) {
			return io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// skipAll skips the rest and returns its size.
func skipAll(r *bufio.Reader) (int64, error) {
	var total int64
	for {
		n, err := r.Discard(1 << 30)
		total += int64(n)
		if errors.Is(err, io.EOF) {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}
