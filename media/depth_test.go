package media

import (
	"encoding/binary"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
)

// nested builds an MP4 of nothing but boxes of one kind, each inside the one before.
func nested(kind string, depth int) []byte {
	file := []byte("\x00\x00\x00\x0cftypisom")
	for left := depth; left > 0; left-- {
		file = binary.BigEndian.AppendUint32(file, uint32(left*smallestBox))
		file = append(file, kind...)
	}
	return file
}

// Every kind of box that the probe enters is limited in depth, so that a small file cannot
// grow the stack.
func TestProbeMP4NestingIsCheap(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // a collection would shrink the stack
	for _, kind := range []string{"moov", "trak", "mdia", "minf", "stbl", "mvex", "moof", "traf"} {
		file := nested(kind, 199_990)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := inspect(file)
		runtime.ReadMemStats(&after)
		if err == nil || !strings.Contains(err.Error(), "nested") {
			t.Errorf("%s: err = %v", kind, err)
		}
		const limit = 256 << 10
		if grown := int64(after.StackInuse) - int64(before.StackInuse); grown > limit {
			t.Errorf("%s: the stack grew by %d bytes, want %d at most", kind, grown, limit)
		}
	}
}
