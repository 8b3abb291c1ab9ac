package simulate

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
)

// rates say how often things go wrong in a history. Some histories know only some of the faults: what always goes
// wrong hides what goes wrong now and then.
type rates struct {
	overtake, stall, stop    float64 // the scheduler's
	die                      float64
	write, read, commit      float64 // of the database
	outage, down             float64 // of a process' database, and of the platforms
	lost, late, silent, slow float64 // of calls
	refuse, lag, unreadable  float64
	blind                    float64
	queue, flush             float64
	app                      float64
}

func newRates(r *rand.Rand) rates {
	some := func(often float64) float64 {
		return often * []float64{0, 0, 0.1, 0.5, 1, 2}[r.IntN(6)]
	}
	return rates{
		overtake: some(0.15), stall: some(0.01), stop: some(0.01), die: some(0.02),
		write: some(0.02), read: some(0.01), commit: some(0.03), outage: some(0.004), down: some(0.003),
		lost: some(0.05), late: some(0.05), silent: some(0.05), slow: some(0.05),
		refuse: some(0.05), lag: some(0.1), unreadable: some(0.1), blind: some(0.02),
		queue: some(0.1), flush: some(0.002), app: some(0.1),
	}
}

// decision is something that the seed decided against the ordinary course.
type decision struct {
	id   uint32
	text string
}

// happens decides whether something out of the ordinary happens to an actor. The decision follows from the seed, the
// actor, and how often the same was asked of it: so a decision that is taken back changes few of the others. Once
// faults stop, nothing happens any more.
func (h *history) happens(a *actor, what string, rate float64) bool {
	if rate == 0 || h.calm.Load() {
		return false
	}
	h.deciding.Lock()
	defer h.deciding.Unlock()
	key := a.name + " " + what
	h.asked[key]++
	sum := fnv.New64a()
	_, _ = fmt.Fprintf(sum, "%d %s %d", h.seed, key, h.asked[key])
	h.chance.Seed(h.seed, sum.Sum64())
	if rand.New(&h.chance).Float64() >= rate {
		return false
	}
	d := decision{id: uint32(sum.Sum64()), text: key}
	if h.keep != nil && !h.keep[d.id] {
		return false
	}
	h.decided = append(h.decided, d)
	h.note("FAULT %s", key)
	return true
}

// pick chooses one of n possibilities of the last decision that happened.
func (h *history) pick(n int) int {
	h.deciding.Lock()
	defer h.deciding.Unlock()
	return rand.New(&h.chance).IntN(n)
}
