package media

import (
	"bytes"
	"encoding/binary"
)

// exifPrefix precedes Exif data in a JPEG, and some programs write it into WebP as well.
var exifPrefix = []byte("Exif\x00\x00")

// exifOrientation reads the orientation from Exif data, which is a TIFF file: Exif 2.32,
// 4.6.4. It is 0 if there is none, or none that can be read: viewers then show the picture
// as it is stored.
func exifOrientation(tiff []byte) int {
	const (
		tagOrientation = 0x0112
		typeShort      = 3
		entrySize      = 12 // tag, type, count, value
	)
	order := tiffOrder(tiff)
	if order == nil {
		return 0
	}
	at := uint64(order.Uint32(tiff[4:]))
	if at+2 > uint64(len(tiff)) {
		return 0
	}
	directory := tiff[at:]
	entries := directory[2:]
	for range order.Uint16(directory) {
		if len(entries) < entrySize {
			return 0
		}
		tag, kind, value := order.Uint16(entries), order.Uint16(entries[2:]), order.Uint16(entries[8:])
		if tag == tagOrientation {
			if kind != typeShort || value > 8 {
				return 0
			}
			return int(value)
		}
		entries = entries[entrySize:]
	}
	return 0
}

// tiffOrder returns the byte order of a TIFF file, or nil if it is none.
func tiffOrder(b []byte) binary.ByteOrder {
	switch {
	case len(b) < 8:
		return nil
	case bytes.HasPrefix(b, []byte("II*\x00")):
		return binary.LittleEndian
	case bytes.HasPrefix(b, []byte("MM\x00*")):
		return binary.BigEndian
	}
	return nil
}
