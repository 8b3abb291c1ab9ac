package simulate

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	runtime.GOMAXPROCS(1)   // one goroutine acts at a time anyhow
	debug.SetGCPercent(400) // a history makes much garbage and keeps nothing
	os.Exit(m.Run())
}

// histories is how many histories TestHistories plays.
func histories(t *testing.T) int {
	if text := os.Getenv("SIM_HISTORIES"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatalf("SIM_HISTORIES: %v", err)
		}
		return n
	}
	if os.Getenv("CI") == "true" || testing.Short() {
		return 50
	}
	return 1000
}

// firstSeed is that of SIM_SEED, or a new one.
func firstSeed(t *testing.T) uint64 {
	text := os.Getenv("SIM_SEED")
	if text == "" {
		return rand.Uint64N(1 << 40)
	}
	seed, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("SIM_SEED: %v", err)
	}
	return seed
}

// TestHistories plays histories that nobody played before, and shrinks the first that breaks a promise.
func TestHistories(t *testing.T) {
	w, n, seed := newWorld(t), histories(t), firstSeed(t)
	t.Logf("SIM_SEED=%d SIM_HISTORIES=%d", seed, n)
	began, steps, lasted := time.Now(), 0, time.Duration(0)
	for i := range n {
		r := w.run(seed+uint64(i), nil, false)
		steps, lasted = steps+r.steps, lasted+r.lasted
		if len(r.violations) == 0 {
			if (i+1)%1000 == 0 {
				t.Logf("%d histories, none of which breaks a promise", i+1)
			}
			continue
		}
		t.Logf("history %d: seed %d: %s", i+1, r.seed, strings.Join(r.violations, "; "))
		if os.Getenv("SIM_SHRINK") != "off" {
			t.Log(w.shrink(r))
		}
		t.FailNow()
	}
	took := time.Since(began)
	t.Logf("%d histories of %.0f steps and %s in %s: %.1f a second", n, float64(steps)/float64(n), (lasted / time.Duration(n)).Round(time.Second),
		took.Round(time.Millisecond), float64(n)/took.Seconds())
}

// TestSameSeedSameHistory: a failure can be replayed only if nothing but the seed decides.
func TestSameSeedSameHistory(t *testing.T) {
	w, seed := newWorld(t), firstSeed(t)
	n := uint64(20)
	if testing.Short() {
		n = 5
	}
	for i := range n {
		first, second := w.run(seed+i, nil, true), w.run(seed+i, nil, true)
		if first.sum != second.sum {
			t.Fatalf("seed %d has two histories: %s", seed+i, difference(first.log, second.log))
		}
	}
}

func difference(a, b []string) string {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return fmt.Sprintf("line %d of one is %q, of the other %q", i, a[i], b[i])
		}
	}
	return fmt.Sprintf("one has %d lines, the other %d", len(a), len(b))
}

// TestReplay plays the history of SIM_SEED with the decisions of SIM_KEEP, and tells it.
func TestReplay(t *testing.T) {
	if os.Getenv("SIM_SEED") == "" {
		t.Skip("SIM_SEED names the history to replay")
	}
	var keep map[uint32]bool
	if text, ok := os.LookupEnv("SIM_KEEP"); ok {
		keep = map[uint32]bool{}
		for _, id := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' }) {
			n, err := strconv.ParseUint(id, 16, 32)
			if err != nil {
				t.Fatalf("SIM_KEEP: %v", err)
			}
			keep[uint32(n)] = true
		}
	}
	r := newWorld(t).run(firstSeed(t), keep, true)
	if t.Logf("%s", r.story()); len(r.violations) > 0 {
		t.Fail()
	}
}
