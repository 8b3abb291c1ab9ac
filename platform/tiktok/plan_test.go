package tiktok

import (
	"testing"

	"socialqueue/platform"
)

// Sizes around every bound of the Media Transfer Guide, 2026-09-11, its own
// example, and one that failed in the field, 2026-08.
func TestPlanUpload(t *testing.T) {
	for _, tt := range []struct {
		size, chunk int64
		count       int
		last        int64
	}{
		{1, 1, 1, 1},
		{3_145_728, 3_145_728, 1, 3_145_728},
		{5_242_880, 5_242_880, 1, 5_242_880},
		{64_000_000, 64_000_000, 1, 64_000_000},
		{64_000_001, 10_000_000, 6, 14_000_001},
		{66_259_900, 10_000_000, 6, 16_259_900},
		{121_000_000, 10_000_000, 12, 11_000_000},
		{158_008_374, 10_000_000, 15, 18_008_374},
		{4_000_000_000, 10_000_000, 400, 10_000_000},
	} {
		p, err := PlanUpload(tt.size)
		if err != nil || p != (Plan{tt.size, tt.chunk, tt.count}) || !p.legal() {
			t.Errorf("%d: got %+v %v", tt.size, p, err)
			continue
		}
		checkChunks(t, p)
		if first, last := p.Chunk(p.Count - 1); last-first+1 != tt.last {
			t.Errorf("%d: last chunk of %d bytes, want %d", tt.size, last-first+1, tt.last)
		}
	}
	// TikTok's own example, a plan that is not ours.
	own := Plan{50_000_123, 10_000_000, 5}
	checkChunks(t, own)
	if first, last := own.Chunk(0); first != 0 || last != 9_999_999 {
		t.Errorf("first chunk %d-%d", first, last)
	}
	if first, last := own.Chunk(4); first != 40_000_000 || last != 50_000_122 {
		t.Errorf("last chunk %d-%d", first, last)
	}
	for _, size := range []int64{-1, 0, MaxVideoSize + 1} {
		_, err := PlanUpload(size)
		wantError(t, err, platform.Rejected, platform.CodeUploadFailed)
	}
}

func checkChunks(t *testing.T, p Plan) {
	t.Helper()
	var next int64
	for i := range p.Count {
		first, last := p.Chunk(i)
		if first != next || last < first {
			t.Fatalf("%+v: chunk %d is %d-%d, want it from %d", p, i, first, last, next)
		}
		if got, ok := p.ChunkAt(first); got != i || !ok {
			t.Errorf("%+v: ChunkAt(%d) = %d %v", p, first, got, ok)
		}
		if last > first {
			if got, ok := p.ChunkAt(last); got != i || ok {
				t.Errorf("%+v: ChunkAt(%d) = %d %v", p, last, got, ok)
			}
		}
		next = last + 1
	}
	if next != p.Size {
		t.Errorf("%+v: the chunks end at %d", p, next)
	}
	if i, ok := p.ChunkAt(p.Size); i != p.Count || ok {
		t.Errorf("ChunkAt(end) = %d %v", i, ok)
	}
}

func TestPlanEdges(t *testing.T) {
	p := Plan{10, 5, 2}
	for _, i := range []int{-1, 2} {
		if first, last := p.Chunk(i); first != -1 || last != -1 {
			t.Errorf("chunk %d is %d-%d", i, first, last)
		}
	}
	if i, ok := p.ChunkAt(-1); i != 0 || ok {
		t.Errorf("ChunkAt(-1) = %d %v", i, ok)
	}
	if _, ok := (Plan{}).ChunkAt(0); ok {
		t.Error("an empty plan has a chunk")
	}
	if (Plan{10, 3, 4}).legal() {
		t.Error("a rounded-up count passes")
	}
}
