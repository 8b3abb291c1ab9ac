package media

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"image"
	"image/jpeg"
	"io"

	"golang.org/x/image/webp"
)

// picture is what a still picture says of itself before its pixels are decoded.
type picture struct {
	width, height int // as it is stored
	orientation   int // EXIF's 1 to 8, or 0
	// memory is how many bytes the decoder allocates for pixels, at most.
	memory int64
	// profile is its ICC profile, nil if it has none. It may be damaged.
	profile []byte
	decode  func(io.Reader) (image.Image, error)
}

// readPicture reads a still picture without its pixels.
func readPicture(r *bufio.Reader) (picture, error) {
	head, err := r.Peek(sniffLen)
	if err != nil && !errors.Is(err, io.EOF) {
		return picture{}, err
	}
	form, err := sniff(head)
	switch {
	case err != nil:
		return picture{}, err
	case form.contentType == TypeJPEG:
		return readJPEG(r)
	case form.contentType == TypePNG:
		p, _, err := readPNG(r)
		return p, err
	case form.contentType == TypeWebP:
		return readWebP(r)
	}
	return picture{}, reject("a video is not a picture: send a JPEG, PNG or WebP image")
}

const (
	jpegAPP0  = 0xe0
	jpegAPP2  = 0xe2
	jpegAPP14 = 0xee
	// maxScans is how often a JPEG may go over its picture. Each time takes the decoder time,
	// however few bytes it has; encoders make 10 or so.
	maxScans = 100
)

// jpegReader collects what the segments of a JPEG say.
type jpegReader struct {
	picture
	progressive  bool
	components   []jpegComponent
	exif, jfif   bool
	adobe        bool
	transform    byte // Adobe's
	scans        int
	profileParts [][]byte
	badProfile   bool
}

type jpegComponent struct {
	id   byte
	h, v int // sampling factors
}

// readJPEG reads all markers of a JPEG, because those behind the first scan count too.
func readJPEG(r *bufio.Reader) (picture, error) {
	var j jpegReader
	if err := skip(r, 2); err != nil {
		return picture{}, truncated(err, "JPEG image")
	}
	for {
		marker, err := nextMarker(r)
		if err != nil {
			return picture{}, truncated(err, "JPEG image")
		}
		switch {
		case marker == jpegEOI && j.components == nil:
			return picture{}, reject("JPEG image has no picture in it")
		case marker == jpegEOI:
			return j.finish(), nil
		case marker == jpegTEM || marker >= jpegRST0 && marker <= jpegRST7:
			continue
		}
		if err := j.segment(r, marker); err != nil {
			return picture{}, truncated(err, "JPEG image")
		}
	}
}

func (j *jpegReader) segment(r *bufio.Reader, marker byte) (err error) {
	switch {
	case marker == jpegAPP1 && !j.exif:
		j.orientation, j.exif, err = readExifSegment(r)
		return err
	case isFrameHeader(marker), marker == jpegAPP0, marker == jpegAPP2, marker == jpegAPP14:
	default:
		if marker == jpegSOS {
			j.scans++
		}
		if j.scans > maxScans {
			return reject("JPEG image has too many scans: save it as baseline JPEG")
		}
		return skipSegment(r)
	}
	length, err := segmentLength(r)
	if err != nil {
		return err
	}
	b := make([]byte, length) // 64 KiB at most
	if _, err := io.ReadFull(r, b); err != nil {
		return noEOF(err)
	}
	switch marker {
	case jpegAPP0:
		j.jfif = j.jfif || bytes.HasPrefix(b, []byte("JFIF\x00"))
	case jpegAPP2:
		j.profilePart(b)
	case jpegAPP14:
		if len(b) >= 12 && bytes.HasPrefix(b, []byte("Adobe")) {
			j.adobe, j.transform = true, b[11]
		}
	default:
		return j.frame(b, marker)
	}
	return nil
}

// frame reads a frame header.
func (j *jpegReader) frame(b []byte, marker byte) error {
	if marker != jpegSOF0 && marker != jpegSOF1 && marker != jpegSOF2 {
		return reject("JPEG image uses a rare coding: save it as baseline or progressive JPEG")
	}
	if len(b) < 6 || len(b) != 6+3*int(b[5]) || b[0] != 8 || b[5] == 0 || j.components != nil {
		return reject("JPEG image has no readable header")
	}
	j.progressive = marker == jpegSOF2
	j.height, j.width = int(binary.BigEndian.Uint16(b[1:])), int(binary.BigEndian.Uint16(b[3:]))
	if j.width == 0 || j.height == 0 {
		return reject("JPEG image has no readable header")
	}
	for c := range b[5] {
		part := b[6+3*int(c):]
		j.components = append(j.components, jpegComponent{part[0], int(part[1] >> 4), int(part[1] & 0xf)})
	}
	return nil
}

// profilePart collects a part of the ICC profile: ICC.1:2022, B.4. They are numbered from 1.
func (j *jpegReader) profilePart(b []byte) {
	rest, ok := bytes.CutPrefix(b, []byte("ICC_PROFILE\x00"))
	if !ok || len(rest) < 2 {
		return
	}
	if int(rest[0]) != len(j.profileParts)+1 || len(j.profileParts) >= maxProfile>>16 {
		j.badProfile = true
		return
	}
	j.profileParts = append(j.profileParts, rest[2:])
}

// finish says how much memory image/jpeg needs: the planes, whole blocks of them; for a
// progressive picture four bytes for each coefficient; and another copy if the components
// are not those of YCbCr.
func (j *jpegReader) finish() picture {
	p := j.picture
	p.decode = jpeg.Decode
	if !j.badProfile && len(j.components) < 4 {
		p.profile = bytes.Join(j.profileParts, nil)
	}
	h, v := 1, 1
	if len(j.components) == 1 {
		j.components[0].h, j.components[0].v = 1, 1 // there is nothing to be sampled against
	}
	for _, c := range j.components {
		h, v = max(h, c.h), max(v, c.v)
	}
	units := blocks(p.width, 8*h) * blocks(p.height, 8*v)
	for _, c := range j.components {
		samples := units * int64(64*c.h*c.v)
		p.memory += samples
		if j.progressive {
			p.memory += 4 * samples
		}
	}
	if len(j.components) == 4 || len(j.components) == 3 && j.isRGB() {
		p.memory += 4 * int64(p.width) * int64(p.height)
	}
	return p
}

// isRGB is how image/jpeg, as libjpeg, distinguishes RGB from YCbCr.
func (j *jpegReader) isRGB() bool {
	c := j.components
	return !j.jfif && (j.adobe && j.transform == 0 || c[0].id == 'R' && c[1].id == 'G' && c[2].id == 'B')
}

// readAtMost reads limit bytes of the next left ones, or all, and returns how many are left.
func readAtMost(r *bufio.Reader, left, limit int64) ([]byte, int64, error) {
	b := make([]byte, min(left, limit))
	_, err := io.ReadFull(r, b)
	return b, left - int64(len(b)), noEOF(err)
}

// blocks returns how many blocks of a size cover a length.
func blocks(length, size int) int64 { return int64((length + size - 1) / size) }

// maxSide is how many pixels a side of a picture may have. JPEG cannot have more.
const maxSide = 1<<16 - 1

// readWebP reads the chunks of a WebP.
func readWebP(r *bufio.Reader) (picture, error) {
	p := picture{decode: webp.Decode}
	head, err := r.Peek(webpPrefix)
	if len(head) < webpHeader {
		return picture{}, truncated(err, "WebP image")
	}
	config, err := webp.DecodeConfig(bytes.NewReader(head))
	if err != nil || config.Width <= 0 || config.Height <= 0 || config.Width > maxSide || config.Height > maxSide {
		return picture{}, reject("WebP image has no readable header")
	}
	p.width, p.height = config.Width, config.Height
	left := int64(binary.LittleEndian.Uint32(head[4:])) + 8 - webpHeader
	if err := skip(r, webpHeader); err != nil {
		return picture{}, truncated(err, "WebP image")
	}
	if err := p.readChunks(r, left); err != nil {
		return picture{}, truncated(err, "WebP image")
	}
	return p, nil
}

// readChunks reads the chunks of the next left bytes of a WebP. The decoder holds the
// compressed bytes of a lossy picture. It decodes a lossless one, and alpha, to four bytes a
// pixel, from a palette's two; transforms or the alpha itself are the rest.
func (p *picture) readChunks(r *bufio.Reader, left int64) error {
	const header = 8 // name, length
	pixels := blocks(p.width, 16) * blocks(p.height, 16) * 256
	exif := false
	for left >= header {
		var h [header]byte
		if _, err := io.ReadFull(r, h[:]); err != nil {
			return noEOF(err)
		}
		left -= header
		size := int64(binary.LittleEndian.Uint32(h[4:]))
		size = min(size+size%2, left)
		left -= size
		var b []byte
		var err error
		switch name := string(h[:4]); {
		case name == "ANIM" || name == "ANMF":
			return errAnimatedWebP
		case name == "VP8 ":
			p.memory += pixels*3/2 + size
		case name == "VP8L":
			p.memory += 7 * pixels
		case name == "ALPH":
			p.memory += 7 * pixels
		case name == "ICCP" && p.profile == nil:
			b, size, err = readAtMost(r, size, maxProfile)
			p.profile = b
		case name == "EXIF" && !exif:
			b, size, err = readAtMost(r, size, maxWebPExif)
			p.orientation, exif = exifOrientation(bytes.TrimPrefix(b, exifPrefix)), true
		}
		if err != nil {
			return err
		}
		if err := skip(r, size); err != nil {
			return err
		}
	}
	return skip(r, max(left, 0))
}
