package sample

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io"
)

// Large is a real MP4 of any size that nobody has to store: Video with
// a box of free space behind it. sum is its SHA-256 once it was read.
func Large(size int64) (file io.Reader, sum func() string) {
	header := binary.BigEndian.AppendUint32(nil, uint32(size-int64(len(Video))))
	header = append(header, "free"...)
	padding := size - int64(len(Video)) - int64(len(header))
	hash := sha256.New()
	whole := io.MultiReader(bytes.NewReader(Video), bytes.NewReader(header), io.LimitReader(pattern{}, padding))
	return io.TeeReader(whole, hash), func() string { return hex.EncodeToString(hash.Sum(nil)) }
}

// pattern has no end.
type pattern struct{}

func (pattern) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(i)
	}
	return len(p), nil
}
