package highwater_test

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"socialqueue/highwater"
	"socialqueue/jobs/redistest"
)

// stores are those that every test runs over.
func stores(t *testing.T) map[string]highwater.Store {
	t.Helper()
	return map[string]highwater.Store{
		"file": highwater.NewFile(t.TempDir()), "redis": highwater.NewRedis(client(t)),
	}
}

func client(t *testing.T) redis.UniversalClient {
	t.Helper()
	opts, err := redis.ParseURL(redistest.URL(t))
	if err != nil {
		t.Fatal(err)
	}
	c := redis.NewClient(opts)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func mark(identity string, seq int64) highwater.Mark {
	return highwater.Mark{Identity: identity, Seq: seq}
}

// TestStores: a mark only rises, and only by its own database; a replacement needs to know
// what it replaces.
func TestStores(t *testing.T) {
	for name, s := range stores(t) {
		t.Run(name, func(t *testing.T) {
			ctx := context.Background()
			if m, err := s.Read(ctx); m != nil || err != nil {
				t.Fatalf("a new store has the mark %v, %v", m, err)
			}
			for _, step := range []struct{ raise, want highwater.Mark }{
				{mark("a", 9), mark("a", 9)},
				{mark("a", 10), mark("a", 10)},
				{mark("a", 9), mark("a", 10)},
				{mark("b", 11), mark("a", 10)},
				{mark("a", 1<<62), mark("a", 1<<62)},
				{mark("a", 1<<62-1), mark("a", 1<<62)},
			} {
				if got, err := s.Advance(ctx, step.raise); err != nil || got != step.want {
					t.Fatalf("after advancing to %v the mark is %v, %v; want %v", step.raise, got, err, step.want)
				}
			}
			old, wrong := mark("a", 1<<62), mark("a", 10)
			for _, expected := range []*highwater.Mark{nil, &wrong} {
				if replaced, err := s.Replace(ctx, expected, mark("b", 1)); replaced || err != nil {
					t.Fatalf("the mark was replaced by one who expected %v: %v, %v", expected, replaced, err)
				}
			}
			if replaced, err := s.Replace(ctx, &old, mark("b", 1)); !replaced || err != nil {
				t.Fatalf("the mark was not replaced: %v", err)
			}
			if m, err := s.Read(ctx); err != nil || m == nil || *m != mark("b", 1) {
				t.Fatalf("the mark is %v, %v; want b#1", m, err)
			}
		})
	}
}

// TestReplaceNone: of two that find no mark, one writes it.
func TestReplaceNone(t *testing.T) {
	for name, s := range stores(t) {
		t.Run(name, func(t *testing.T) {
			var wg sync.WaitGroup
			wrote := make([]bool, 8)
			for i := range wrote {
				wg.Go(func() {
					var err error
					if wrote[i], err = s.Replace(context.Background(), nil, mark("a", int64(i))); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			n := 0
			for _, w := range wrote {
				if w {
					n++
				}
			}
			if n != 1 {
				t.Errorf("%d of %d wrote the first mark", n, len(wrote))
			}
		})
	}
}

// TestMalformed: a file that is no mark stops sending instead of passing for none.
func TestMalformed(t *testing.T) {
	dir := t.TempDir()
	for _, text := range []string{"", "a", "a#", "a#x", "a#-1"} {
		if err := os.WriteFile(filepath.Join(dir, "highwater"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := highwater.NewFile(dir).Advance(context.Background(), mark("a", 1)); err == nil {
			t.Errorf("the mark %q was taken for one", text)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"a#1", "", "#", "a#b#2", "7/16384/16999/00000001#42"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m, err := highwater.Parse(s)
		if err != nil {
			return
		}
		again, err := highwater.Parse(m.String())
		if err != nil || again != m {
			t.Errorf("%q reads as %v, which reads as %v, %v", s, m, again, err)
		}
	})
}
