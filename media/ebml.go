package media

import (
	"bufio"
	"encoding/binary"
	"io"
	"math"
	"math/bits"
)

const (
	// maxElement is the largest descriptive element that is read, in bytes.
	maxElement = 64 << 10
	// unknownSize marks an element that ends where the next one of its level begins, as in
	// live recordings.
	unknownSize = -1
)

// readElement reads a small element with its content.
func readElement(r *bufio.Reader) (uint32, []byte, error) {
	id, n, _, err := readElementHeader(r)
	if err != nil {
		return 0, nil, err
	}
	b, err := readPayload(r, n)
	return id, b, err
}

func readPayload(r *bufio.Reader, n int64) ([]byte, error) {
	if n < 0 || n > maxElement {
		return nil, errWebMDamaged
	}
	b := make([]byte, n)
	_, err := io.ReadFull(r, b)
	return b, noEOF(err)
}

// readElementHeader reads the id and size of an element, and returns the length of both.
func readElementHeader(r io.ByteReader) (id uint32, size, headerLen int64, err error) {
	rawID, _, idLen, err := readVint(r)
	if err != nil {
		return 0, 0, 0, err
	}
	if idLen > 4 {
		return 0, 0, 0, errWebMDamaged
	}
	_, value, sizeLen, err := readVint(r)
	if err != nil {
		return 0, 0, 0, err
	}
	size = int64(value)
	if value == 1<<(7*sizeLen)-1 {
		size = unknownSize
	}
	return uint32(rawID), size, int64(idLen + sizeLen), nil
}

// readVint reads a number of variable length. The zero bits before the first one bit give
// the number of following bytes. Ids include that one bit, sizes do not.
func readVint(r io.ByteReader) (raw, value uint64, length int, err error) {
	first, err := r.ReadByte()
	if err != nil {
		return 0, 0, 0, noEOF(err)
	}
	length = bits.LeadingZeros8(first) + 1
	if length > 8 {
		return 0, 0, 0, errWebMDamaged
	}
	raw = uint64(first)
	for range length - 1 {
		b, err := r.ReadByte()
		if err != nil {
			return 0, 0, 0, noEOF(err)
		}
		raw = raw<<8 | uint64(b)
	}
	return raw, raw &^ (1 << (7 * length)), length, nil
}

// eachChild calls f for each child of an element, and reports whether the element consists
// of valid children only.
func eachChild(b []byte, f func(id uint32, b []byte)) bool {
	for r := (&sliceReader{b: b}); len(r.b) > 0; {
		id, n, _, err := readElementHeader(r)
		if err != nil || n < 0 || n > int64(len(r.b)) {
			return false
		}
		f(id, r.b[:n])
		r.b = r.b[n:]
	}
	return true
}

// sliceReader reads bytes from a slice; b is the rest.
type sliceReader struct{ b []byte }

// ReadByte implements io.ByteReader.
func (r *sliceReader) ReadByte() (byte, error) {
	if len(r.b) == 0 {
		return 0, io.EOF
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c, nil
}

func ebmlUint(b []byte) (n uint64) {
	for _, c := range b {
		n = n<<8 | uint64(c)
	}
	return n
}

func ebmlFloat(b []byte) float64 {
	switch len(b) {
	case 4:
		return float64(math.Float32frombits(binary.BigEndian.Uint32(b)))
	case 8:
		return math.Float64frombits(binary.BigEndian.Uint64(b))
	}
	return 0
}
