package media

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
)

// JPEG markers, ITU-T T.81 table B.1.
const (
	jpegSOF0 = 0xc0 // baseline
	jpegSOF1 = 0xc1 // extended sequential
	jpegSOF2 = 0xc2 // progressive
	jpegDHT  = 0xc4
	jpegJPG  = 0xc8
	jpegDAC  = 0xcc
	jpegRST0 = 0xd0
	jpegRST7 = 0xd7
	jpegEOI  = 0xd9
	jpegSOS  = 0xda
	jpegTEM  = 0x01
	jpegSOF  = 0xcf // the last of the frame headers
	jpegAPP1 = 0xe1
)

// probeJPEG reads the markers of a JPEG up to its end of image. A search for that marker
// near the end of the file would be misled by a thumbnail in the metadata, or by what
// phones append after the picture. Pixels are not decoded.
func probeJPEG(r *bufio.Reader) (Info, error) {
	if err := skip(r, 2); err != nil { // start of image, seen by sniff
		return Info{}, truncated(err, "JPEG image")
	}
	var info Info
	exif := false // there was an Exif segment
	for {
		marker, err := nextMarker(r)
		if err != nil {
			return Info{}, truncated(err, "JPEG image")
		}
		switch {
		case marker == jpegEOI && info.Width == 0:
			return Info{}, reject("JPEG image has no picture in it")
		case marker == jpegEOI:
			return info.upright(), nil
		case marker == jpegTEM || marker >= jpegRST0 && marker <= jpegRST7:
			continue // these have no length
		case isFrameHeader(marker):
			info.Width, info.Height, err = readFrameHeader(r, marker)
		case marker == jpegSOS && info.Width == 0:
			return Info{}, reject("JPEG image has no readable header")
		case marker == jpegAPP1 && !exif:
			info.Orientation, exif, err = readExifSegment(r)
		default:
			err = skipSegment(r)
		}
		if err != nil {
			return Info{}, truncated(err, "JPEG image")
		}
	}
}

// nextMarker skips compressed picture data, where a byte 0xff is always followed by a zero,
// to the next marker.
func nextMarker(r *bufio.Reader) (byte, error) {
	for {
		if err := skipTo(r, 0xff); err != nil {
			return 0, err
		}
		b := byte(0xff)
		for b == 0xff { // any number of fill bytes may precede a marker
			var err error
			if b, err = r.ReadByte(); err != nil {
				return 0, err
			}
		}
		if b != 0 {
			return b, nil
		}
	}
}

// skipTo skips everything up to and including the next such byte.
func skipTo(r *bufio.Reader, b byte) error {
	for {
		_, err := r.ReadSlice(b)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
	}
}

func isFrameHeader(marker byte) bool {
	return marker >= jpegSOF0 && marker <= jpegSOF && marker != jpegDHT && marker != jpegJPG && marker != jpegDAC
}

// readFrameHeader reads the size in pixels. It refuses lossless, hierarchical and
// arithmetic-coded pictures, which no platform and no browser reads.
func readFrameHeader(r *bufio.Reader, marker byte) (width, height int, err error) {
	if marker != jpegSOF0 && marker != jpegSOF1 && marker != jpegSOF2 {
		return 0, 0, reject("JPEG image uses a rare coding: save it as baseline or progressive JPEG")
	}
	var h [8]byte // length, precision, height, width, components
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return 0, 0, err
	}
	length := binary.BigEndian.Uint16(h[0:])
	height, width = int(binary.BigEndian.Uint16(h[3:])), int(binary.BigEndian.Uint16(h[5:]))
	if width == 0 || height == 0 || h[2] != 8 || int(length) != 8+3*int(h[7]) {
		return 0, 0, reject("JPEG image has no readable header")
	}
	return width, height, skip(r, int64(length)-int64(len(h)))
}

// readExifSegment reads an APP1 segment, of 64 KiB at most. ok is false if it holds something
// else than Exif data.
func readExifSegment(r *bufio.Reader) (orientation int, ok bool, err error) {
	length, err := segmentLength(r)
	if err != nil {
		return 0, false, err
	}
	prefix := int64(len(exifPrefix))
	if length < prefix {
		return 0, false, skip(r, length)
	}
	head, err := r.Peek(int(prefix))
	if err != nil || !bytes.Equal(head, exifPrefix) {
		return 0, false, skip(r, length)
	}
	b := make([]byte, length)
	if _, err := io.ReadFull(r, b); err != nil {
		return 0, false, err
	}
	return exifOrientation(b[prefix:]), true, nil
}

func skipSegment(r *bufio.Reader) error {
	length, err := segmentLength(r)
	if err != nil {
		return err
	}
	return skip(r, length)
}

// segmentLength reads the length of what follows in a segment.
func segmentLength(r *bufio.Reader) (int64, error) {
	var h [2]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return 0, err
	}
	length := int64(binary.BigEndian.Uint16(h[:]))
	if length < 2 {
		return 0, reject("JPEG image is damaged: a segment has no length")
	}
	return length - 2, nil
}
