package tiktok

import (
	"errors"
	"math"

	"socialqueue/sandbox/engine"
)

// The bounds of the Media Transfer Guide, 2026-09-11, which does not say what a "MB" is: the range both readings allow,
// and the wider one of the lenient mode.
const (
	maxVideoSize     = 4_000_000_000
	maxLastChunk     = 128_000_000
	maxChunkCount    = 1000
	strictMinChunk   = 5_242_880
	strictMaxChunk   = 64_000_000
	lenientMinChunk  = 5_000_000
	lenientMaxChunk  = 67_108_864
	lenientLastChunk = 2 * lenientMaxChunk
)

const (
	errVideoSize  = engine.ClientText("The video size is invalid")
	errChunkSize  = engine.ClientText("The chunk size is invalid")
	errChunkCount = engine.ClientText("The total chunk count is invalid")
)

// chunkPlan is how a client announced to split its file.
type chunkPlan struct {
	size, chunk, count int64
}

// check accepts any legal plan. A single chunk must be the whole file; with several chunks, the last one includes the
// remainder.
func (p chunkPlan) check(lenient bool) error {
	lo, hi, last := int64(strictMinChunk), int64(strictMaxChunk), int64(maxLastChunk)
	if lenient {
		lo, hi, last = lenientMinChunk, lenientMaxChunk, lenientLastChunk
	}
	switch {
	case p.size <= 0 || p.size > maxVideoSize:
		return errVideoSize
	case p.count < 1 || p.count > maxChunkCount:
		return errChunkCount
	case p.count == 1 && (p.chunk != p.size || p.size > hi):
		return errChunkSize
	case p.count == 1:
		return nil
	case p.chunk < lo || p.chunk > hi:
		return errChunkSize
	case p.count != p.size/p.chunk:
		return errChunkCount
	case p.size-(p.count-1)*p.chunk > last:
		return errChunkSize
	}
	return nil
}

// lastByte returns the index of the last byte of the chunk that begins at first.
func (p chunkPlan) lastByte(first int64) int64 {
	if first/p.chunk >= p.count-1 {
		return p.size - 1
	}
	return first + p.chunk - 1
}

// number is a required JSON integer: it distinguishes an absent or null value from zero.
type number struct {
	set   bool
	value int64
}

func (n *number) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		return nil
	}
	var v int64
	for i, c := range b {
		if c == '-' && i == 0 && len(b) > 1 {
			continue
		}
		if c < '0' || c > '9' || v > (math.MaxInt64-9)/10 {
			return errors.New("not an integer")
		}
		v = v*10 + int64(c-'0')
	}
	if b[0] == '-' {
		v = -v
	}
	n.set, n.value = true, v
	return nil
}
