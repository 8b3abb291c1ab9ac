package simulate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing/synctest"
	"time"
)

var (
	errDead = errors.New("the process is dead")
	errAway = errors.New("connection reset by peer")
)

// actor is one thing that a process does: a run of a task, a tick, a request of an app. It dies as a whole: its
// transaction is rolled back, and nothing that it would do next has an effect.
type actor struct {
	name string
	// post is whose run it is, in the order of acceptance from 1 on; 0 if it is no run.
	post int
	// on is its process; nil if that keeps its database.
	on     *host
	drain  chan struct{}
	cancel context.CancelFunc
	dead   bool
	ended  bool
	// rotation is the newest TikTok token that was stored when it began.
	rotation int
}

type actorKey struct{}

// gate is where a goroutine waits for the scheduler before it does something that others can notice.
type gate struct {
	actor *actor
	what  string
	// data says that it needs the database, which a transaction of another keeps.
	data  bool
	since int
	open  chan struct{}
}

// scheduler lets one goroutine at a time act. The others wait: at a gate, or for their own timers.
type scheduler struct {
	mu      sync.Mutex
	waiting []*gate
	actors  map[*actor]bool
	// callers are the goroutines that make a platform call, for the statements that name no actor.
	callers map[uint64]*actor
	last    *actor
	steps   int
	// arrived holds one: somebody came to a gate, or an actor ended.
	arrived chan struct{}
}

func newScheduler() *scheduler {
	return &scheduler{actors: map[*actor]bool{}, callers: map[uint64]*actor{}, arrived: make(chan struct{}, 1)}
}

func (s *scheduler) wake() {
	select {
	case s.arrived <- struct{}{}:
	default:
	}
}

// spawn starts an actor.
func (h *history) spawn(a *actor, act func(context.Context) error, done func(error)) {
	a.drain = make(chan struct{})
	a.rotation = h.storedRotation()
	ctx, cancel := context.WithCancel(context.WithValue(context.Background(), actorKey{}, a))
	a.cancel = cancel
	h.sched.mu.Lock()
	h.sched.actors[a] = true
	h.sched.mu.Unlock()
	h.note("%s begins", a.name)
	if !strings.HasPrefix(a.name, "tick ") {
		h.ticked = firstTick
		h.nextAt = earlier(h.nextAt, time.Now().Add(firstTick))
	}
	go func() {
		err := errDead
		defer func() {
			cancel()
			h.sched.mu.Lock()
			defer h.sched.mu.Unlock()
			if r := recover(); r != nil {
				h.violate("%s panicked: %v", a.name, r)
			}
			a.ended = true
			delete(h.sched.actors, a)
			if done != nil {
				done(err)
			}
			h.sched.wake()
		}()
		if result := act(ctx); !h.isDead(a) {
			err = result
		}
	}()
}

// actorOf finds who is at work, or nil before the history begins.
func (h *history) actorOf(ctx context.Context) *actor {
	if a, ok := ctx.Value(actorKey{}).(*actor); ok {
		return a
	}
	h.sched.mu.Lock()
	defer h.sched.mu.Unlock()
	return h.sched.callers[goroutine()]
}

// calling notes that this goroutine makes a platform call for an actor.
func (h *history) calling(a *actor) {
	id := goroutine()
	h.sched.mu.Lock()
	defer h.sched.mu.Unlock()
	h.sched.callers[id] = a
}

// goroutine returns the number of this goroutine.
func goroutine() (id uint64) {
	var buf [40]byte
	text := buf[:runtime.Stack(buf[:], false)]
	for _, c := range text[len("goroutine "):] {
		if c < '0' || c > '9' {
			return id
		}
		id = id*10 + uint64(c-'0')
	}
	return id
}

// pass waits until the scheduler lets the actor go on. It returns an error if ctx ends first. It does not return to an
// actor that is dead.
func (h *history) pass(ctx context.Context, a *actor, what string, data bool) error {
	h.sched.mu.Lock()
	if a.dead {
		h.sched.mu.Unlock()
		return h.die(a)
	}
	g := &gate{actor: a, what: what, data: data, since: h.sched.steps, open: make(chan struct{})}
	h.sched.waiting = append(h.sched.waiting, g)
	h.sched.wake()
	h.sched.mu.Unlock()
	var err error
	select {
	case <-g.open:
	case <-ctx.Done():
		h.sched.mu.Lock()
		h.sched.waiting = slices.DeleteFunc(h.sched.waiting, func(other *gate) bool { return other == g })
		h.sched.mu.Unlock()
		err = ctx.Err()
	}
	if h.isDead(a) {
		return h.die(a)
	}
	return err
}

func (h *history) isDead(a *actor) bool {
	h.sched.mu.Lock()
	defer h.sched.mu.Unlock()
	return a.dead
}

// die ends a goroutine of a dead actor. What it deferred meets an error.
func (h *history) die(a *actor) error {
	h.sched.mu.Lock()
	first := !a.ended
	h.sched.mu.Unlock()
	if first {
		runtime.Goexit()
	}
	return errDead
}

// kill ends an actor for good.
func (h *history) kill(a *actor, why string) {
	h.note("%s dies %s", a.name, why)
	h.store.rollBackOf(a)
	h.sched.mu.Lock()
	a.dead = true
	h.sched.waiting = slices.DeleteFunc(h.sched.waiting, func(g *gate) bool {
		if g.actor == a {
			close(g.open)
		}
		return g.actor == a
	})
	h.sched.mu.Unlock()
	a.cancel()
}

// ready lists the gates that can be opened, those that wait longest first.
func (h *history) ready() []*gate {
	h.sched.mu.Lock()
	defer h.sched.mu.Unlock()
	busy := h.store.busy()
	var found []*gate
	for _, g := range h.sched.waiting {
		if !g.data || !busy {
			found = append(found, g)
		}
	}
	slices.SortStableFunc(found, func(a, b *gate) int {
		return cmp.Or(a.since-b.since, strings.Compare(a.actor.name, b.actor.name), strings.Compare(a.what, b.what))
	})
	return found
}

// release opens a gate.
func (h *history) release(g *gate) {
	time.Sleep(h.costOf(g))
	synctest.Wait() // a time-out that is up at this very moment comes first
	h.sched.mu.Lock()
	defer h.sched.mu.Unlock()
	i := slices.Index(h.sched.waiting, g)
	if i < 0 {
		return // its time-out was up
	}
	h.sched.waiting = slices.Delete(h.sched.waiting, i, i+1)
	h.sched.last = g.actor
	h.note("%s: %s", g.actor.name, g.what)
	close(g.open)
}

// costOf is how long what waits at a gate takes.
func (h *history) costOf(g *gate) time.Duration {
	if g.data {
		return time.Millisecond
	}
	return 40 * time.Millisecond
}

// step lets one thing happen.
func (h *history) step() {
	synctest.Wait()
	h.sched.steps++
	h.arrive()
	ready := h.ready()
	if len(ready) == 0 {
		if !h.begin() {
			h.idle()
		}
		return
	}
	next := ready[0]
	if i := slices.IndexFunc(ready, func(g *gate) bool { return g.actor == h.sched.last }); i >= 0 {
		next = ready[i]
	}
	if h.happens(next.actor, "overtaken at "+next.what, h.rates.overtake) {
		if h.pick(2) == 0 && h.begin() {
			return
		}
		next = ready[h.pick(len(ready))]
	}
	if h.happens(next.actor, "stalls at "+next.what, h.rates.stall) {
		time.Sleep(time.Duration(1+h.pick(40)) * time.Second)
		return
	}
	if h.happens(next.actor, "stops at "+next.what, h.rates.stop) {
		h.stop(next.actor)
	}
	h.release(next)
}

// stop tells an actor that its process is to stop.
func (h *history) stop(a *actor) {
	select {
	case <-a.drain:
	default:
		close(a.drain)
	}
}

// idle lets time pass until something is due or somebody comes to a gate.
func (h *history) idle() {
	wait := time.Until(h.nextEvent())
	if wait <= 0 {
		wait = time.Millisecond
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-h.sched.arrived:
	case <-timer.C:
	}
}

// running counts the actors whose name begins so.
func (h *history) running(prefix string) int {
	h.sched.mu.Lock()
	defer h.sched.mu.Unlock()
	n := 0
	for a := range h.sched.actors {
		if strings.HasPrefix(a.name, prefix) {
			n++
		}
	}
	return n
}

// killAll kills all actors, and returns how many there are.
func (h *history) killAll(why string) int {
	h.sched.mu.Lock()
	all := slices.SortedFunc(maps.Keys(h.sched.actors), func(a, b *actor) int { return strings.Compare(a.name, b.name) })
	h.sched.mu.Unlock()
	for _, a := range all {
		if !h.isDead(a) {
			h.kill(a, why)
		}
	}
	return len(all)
}

// end lets what still waits go, so that no goroutine outlives the history.
func (h *history) end() {
	for range 1000 {
		if h.killAll("with the history") == 0 {
			return
		}
		time.Sleep(time.Minute)
	}
	panic(fmt.Sprintf("seed %d: actors do not end", h.seed))
}
