package tiktok

import (
	"fmt"

	"socialqueue/models"
	"socialqueue/platform"
)

const (
	// maxWhole is the largest file sent in one chunk, and chunkSize the chunk size of larger
	// files. Both are valid whether TikTok counts a MB as 10^6 or 2^20 bytes (Media Transfer
	// Guide, 2026-09-11).
	maxWhole  = 64_000_000
	chunkSize = 10_000_000
	// MaxVideoSize is the largest file that can be planned.
	MaxVideoSize = 4_000_000_000
)

// Plan divides a file into the chunks of one upload. The number of chunks is rounded down;
// the remainder is part of the last chunk.
type Plan struct {
	Size, ChunkSize int64
	Count           int
}

// PlanUpload plans the upload of size bytes. A single chunk has chunk_size equal to the
// file's size: since August 2026 TikTok refuses any other (seen in the field, 2026-08;
// DayMoonDevelopment/post-for-me issue 327). An empty file, or one over MaxVideoSize, is a
// Rejected error.
func PlanUpload(size int64) (Plan, error) {
	switch {
	case size <= 0 || size > MaxVideoSize:
		return Plan{}, &platform.Error{
			Provider: models.TikTok, Op: opInit, Kind: platform.Rejected, Code: platform.CodeUploadFailed,
			Err: fmt.Errorf("a video of %d bytes cannot be uploaded: 1 to %d are allowed", size, int64(MaxVideoSize)),
		}
	case size <= maxWhole:
		return Plan{Size: size, ChunkSize: size, Count: 1}, nil
	default:
		return Plan{Size: size, ChunkSize: chunkSize, Count: int(size / chunkSize)}, nil
	}
}

// Chunk returns the first and last byte of chunk i, counted from 0. Both are -1 if there is
// no such chunk.
func (p Plan) Chunk(i int) (first, last int64) {
	if i < 0 || i >= p.Count {
		return -1, -1
	}
	first = int64(i) * p.ChunkSize
	if i == p.Count-1 {
		return first, p.Size - 1
	}
	return first, first + p.ChunkSize - 1
}

// ChunkAt returns the next chunk if the platform has offset bytes. ok is true if chunk i
// starts at offset. Otherwise i is the chunk that contains byte offset, and the progress
// must be read before sending; i is Count if nothing is left.
func (p Plan) ChunkAt(offset int64) (i int, ok bool) {
	switch {
	case offset < 0 || p.ChunkSize <= 0:
		return 0, false
	case offset >= p.Size:
		return p.Count, false
	}
	i = min(int(offset/p.ChunkSize), p.Count-1)
	return i, int64(i)*p.ChunkSize == offset
}

// legal reports whether the plan is one that TikTok's page allows, such as those of
// PlanUpload.
func (p Plan) legal() bool {
	return p.Size > 0 && p.ChunkSize > 0 && p.Count > 0 && p.Size/p.ChunkSize == int64(p.Count)
}
