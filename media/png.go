package media

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"image/png"
	"io"
)

var pngSignature = []byte("\x89PNG\r\n\x1a\n")

// probePNG checks a PNG up to its end. Its pixels are not decoded.
func probePNG(r *bufio.Reader) (Info, error) {
	p, left, err := readPNG(r)
	for name := ""; err == nil && name != "IEND"; {
		if err = skip(r, left); err == nil {
			name, left, err = pngChunkHeader(r)
		}
	}
	if err == nil {
		err = skip(r, left)
	}
	if err != nil {
		return Info{}, truncated(err, "PNG image")
	}
	return Info{Width: p.width, Height: p.height, Orientation: p.orientation}.upright(), nil
}

// pngChunkHeader reads the header of a chunk. left is the size of the rest of it.
func pngChunkHeader(r *bufio.Reader) (name string, left int64, err error) {
	var h [8]byte // length, name
	_, err = io.ReadFull(r, h[:])
	const checksum = 4
	return string(h[4:]), int64(binary.BigEndian.Uint32(h[:])) + checksum, noEOF(err)
}

// readPNG reads the chunks of a PNG up to its pixels. left is the size of the first of those
// chunks.
func readPNG(r *bufio.Reader) (p picture, left int64, err error) {
	p.decode = png.Decode
	if err := skip(r, int64(len(pngSignature))); err != nil {
		return p, 0, truncated(err, "PNG image")
	}
	var header []byte
	transparent := false
	for {
		name, left, err := pngChunkHeader(r)
		switch {
		case err != nil:
		case (name == "IHDR") != (header == nil):
			err = reject("PNG image has no readable header")
		case name == "acTL":
			err = reject("animated PNG images are not accepted by the platforms: convert it to JPEG or MP4")
		case name == "IDAT":
			p.memory, err = pngMemory(p, header, transparent)
			return p, left, err
		case name == "IHDR":
			header, left, err = readAtMost(r, left, 13)
			if err == nil && len(header) == 13 {
				p.width, p.height = int(binary.BigEndian.Uint32(header)), int(binary.BigEndian.Uint32(header[4:]))
			}
		case name == "tRNS":
			transparent = true
		case name == "eXIf":
			var b []byte
			b, left, err = readAtMost(r, left, maxPNGExif)
			p.orientation = exifOrientation(b)
		case name == "iCCP":
			var b []byte
			b, left, err = readAtMost(r, left, maxProfile)
			p.profile = inflateProfile(b)
		}
		if err == nil {
			err = skip(r, left)
		}
		if err != nil {
			return p, 0, truncated(err, "PNG image")
		}
	}
}

// maxPNGExif is how much of the Exif data is read. The orientation is at its beginning.
const maxPNGExif = 64 << 10

// inflateProfile reads an iCCP chunk: a name, a method and the compressed profile. It is nil
// if that is damaged.
func inflateProfile(chunk []byte) []byte {
	_, rest, ok := bytes.Cut(chunk, []byte{0})
	if !ok || len(rest) == 0 {
		return nil
	}
	z, err := zlib.NewReader(bytes.NewReader(rest[1:]))
	if err != nil {
		return nil
	}
	b, err := io.ReadAll(io.LimitReader(z, maxProfile))
	if err != nil {
		return nil
	}
	return b
}

// pngMemory says how much memory image/png needs: the pixels, in one of its formats, and
// once more for the passes of an interlaced picture.
func pngMemory(p picture, header []byte, transparent bool) (int64, error) {
	const (
		gray    = 0
		palette = 3
	)
	if len(header) != 13 || p.width <= 0 || p.height <= 0 || p.width > maxSide || p.height > maxSide {
		return 0, reject("PNG image has no readable header")
	}
	depth, kind, interlaced := header[8], header[9], header[12] != 0
	pixel := int64(4)
	if kind == palette || kind == gray && !transparent {
		pixel = 1
	}
	if depth == 16 {
		pixel *= 2
	}
	memory := pixel * int64(p.width) * int64(p.height)
	if interlaced {
		memory *= 2
	}
	return memory, nil
}
