package highwater_test

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

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
	return highwater.New(identity, seq, time.UnixMicro(seq))
}

// TestStores: a mark is replaced only by one who knows it.
func TestStores(t *testing.T) {
	for name, s := range stores(t) {
		t.Run(name, func(t *testing.T) {
			ctx := context.Background()
			if m, err := s.Read(ctx); m != nil || err != nil {
				t.Fatalf("a new store has the mark %v, %v", m, err)
			}
			first, second, lower := mark("a", 9), mark("a", 10), mark("b/1", 1)
			for _, step := range []struct {
				old      *highwater.Mark
				by       highwater.Mark
				replaced bool
			}{
				{&first, second, false}, {nil, first, true}, {nil, second, false}, {&second, second, false},
				{&highwater.Mark{Identity: "a", Seq: 9}, second, false}, {&first, second, true}, {&second, lower, true},
			} {
				if replaced, err := s.Replace(ctx, step.old, step.by); replaced != step.replaced || err != nil {
					t.Fatalf("replace %v by %v: %v, %v; want %v", step.old, step.by, replaced, err, step.replaced)
				}
			}
			if m, err := s.Read(ctx); err != nil || m == nil || *m != lower {
				t.Fatalf("the mark is %v, %v; want %v", m, err, lower)
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
	for _, text := range []string{"", "a", "a#", "a#x", "a#1", "a#-1#1", "a#1#x", "a#b#1#1"} {
		if err := os.WriteFile(filepath.Join(dir, "highwater"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := highwater.NewFile(dir).Replace(context.Background(), nil, mark("a", 1)); err == nil {
			t.Errorf("the mark %q was taken for one", text)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"a#1#2", "", "##", "a#b#2", "7/16384/16999/00000001#42#1790000000000000"} {
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
