package publish

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"socialqueue/db"
	"socialqueue/models"
	"socialqueue/observe"
)

// Asynq runs tasks in the order in which they came. So only as many posts are in it as the
// workers can begin soon, and the others wait in the database, where they can be chosen from:
// apps take turns, and of each app the post that was due first goes first. An app that has less
// than its share in Asynq gets in at once, whatever the others have there.
const (
	// turnApps is how many apps one turn chooses from. The next one goes on behind them.
	turnApps = 200
	// turnLeast is how many posts of each app a turn reads at least: some wait for their lanes.
	turnLeast = 8
	// turnMost is how many it reads at most, and turnParks how many it parks behind full lanes.
	turnMost  = 1000
	turnParks = 5000
	// turnPolls is how many posts that the platform may have one turn hands to the workers.
	turnPolls = 500
	// turnFresh is how long a process trusts what its last turn saw.
	turnFresh = time.Second
	// turnRest is the least time between two turns of a process: completed runs ask for one each.
	turnRest = 20 * time.Millisecond
	// turnsAtOnce is how many turns one tick takes at most.
	turnsAtOnce = 100
	// repairLanes is how many lanes one tick looks at for places that nobody filled, and
	// repairTime how long it goes on where it finds some.
	repairLanes = 200
	repairTime  = time.Second
)

// turns is what a process knows of the turns of apps. It is safe for concurrent use.
type turns struct {
	// wake asks the loop for a turn.
	wake chan struct{}
	// looping is set while the loop runs.
	looping atomic.Bool

	// one is held during a turn, and missed set if somebody asked for one meanwhile.
	one    sync.Mutex
	missed atomic.Bool
	// after is the app that the last turn ended at, where it did not reach all. It is used under
	// one.
	after map[models.Step]int64

	mu   sync.Mutex
	seen map[models.Step]seen
	// lane is the last lane that was looked at for free places.
	lane string
}

// seen is what a turn saw of the posts that begin with a step.
type seen struct {
	at time.Time
	// room is how many more posts the workers can begin soon.
	room int
	// crowded: posts that are due wait for their turn.
	crowded bool
}

func newTurns() *turns {
	return &turns{wake: make(chan struct{}, 1), seen: map[models.Step]seen{}, after: map[models.Step]int64{}}
}

// takeRoom reports whether a new post may go into Asynq without waiting for a turn: there is room,
// and it overtakes nobody.
func (t *turns) takeRoom(step models.Step, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.seen[step]
	if s.crowded || s.room <= 0 || now.Sub(s.at) >= turnFresh {
		return false
	}
	s.room--
	t.seen[step] = s
	return true
}

func (t *turns) saw(step models.Step, s seen) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seen[step] = s
}

func (t *turns) repairedTo() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.lane
}

func (t *turns) repaired(lane string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lane = lane
}

// TakeTurns hands posts to the workers whenever somebody asked for a turn, until ctx ends. The
// tick of the scheduler does the same more slowly, so that errors are the tick's to report.
func (s *Service) TakeTurns(ctx context.Context) {
	s.turns.looping.Store(true)
	defer s.turns.looping.Store(false)
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.turns.wake:
		}
		began := time.Now()
		if again, err := s.takeTurn(ctx); again && err == nil {
			s.askForTurn(ctx)
		}
		rest := time.NewTimer(max(turnRest, time.Since(began)/2))
		select {
		case <-ctx.Done():
			rest.Stop()
			return
		case <-rest.C:
		}
	}
}

// askForTurn is the fast path of posts that are due. It takes the turn itself where no loop runs.
func (s *Service) askForTurn(ctx context.Context) {
	if s.turns.looping.Load() {
		select {
		case s.turns.wake <- struct{}{}:
		default: // somebody asked already
		}
		return
	}
	ctx = context.WithoutCancel(ctx)
	if err := s.takeTurns(ctx); err != nil {
		observe.In(ctx, s.Log).WithError(err).Warn("could not hand posts to the workers; the next tick will")
	}
}

// takeTurns takes turns until there is nothing more to do, where no loop goes on with them.
func (s *Service) takeTurns(ctx context.Context) error {
	for range turnsAtOnce {
		again, err := s.takeTurn(ctx)
		if err != nil || !again {
			return err
		}
		if s.turns.looping.Load() {
			s.askForTurn(ctx)
			return nil
		}
	}
	return nil
}

// takeTurn hands posts to the workers, as many as those can begin soon. again reports that it
// could go on at once. While another goroutine takes a turn it does nothing, and that one goes on.
func (s *Service) takeTurn(ctx context.Context) (again bool, err error) {
	if !s.turns.one.TryLock() {
		s.turns.missed.Store(true)
		return false, nil
	}
	defer s.turns.one.Unlock()
	s.turns.missed.Store(false)
	now := s.Now()
	waiting, err := s.DB.Admission.AnyWaiting(ctx, now.Add(s.Timings.Horizon))
	if err != nil || !waiting {
		return false, err
	}
	places, err := s.Queue.Places(ctx)
	if err != nil {
		return false, err
	}
	pauses, err := s.DB.Admission.Pauses(ctx)
	if err != nil {
		return false, err
	}
	var admitted []models.Post
	ran, err := s.DB.Admission.InTurn(ctx, now, func(turn *db.Turn) error {
		polls, err := turn.Polls(now.Add(s.Timings.Horizon), turnPolls)
		if err == nil {
			admitted, err = turn.Admit(polls)
		}
		again = len(polls) == turnPolls
		for _, step := range models.FirstSteps {
			if err != nil {
				return err
			}
			var more []models.Post
			var unfinished bool
			more, unfinished, err = s.choose(turn, step, s.Ahead*places[step], pauses, now)
			admitted, again = append(admitted, more...), again || unfinished
		}
		return err
	})
	if err != nil {
		return false, err
	}
	for i := range admitted {
		observe.OfPost(s.Log, &admitted[i]).WithField(observe.FieldAction, "admit").Info("the post goes to the workers")
	}
	reached := s.enqueue(ctx, admitted...)
	again = again || s.turns.missed.Load() || !ran && s.turns.looping.Load()
	return reached && again, nil
}

// choose admits posts that begin with a step, and parks those whose lanes are full or paused.
func (s *Service) choose(turn *db.Turn, step models.Step, places int, pauses models.Pauses, now time.Time) (admitted []models.Post, again bool, err error) {
	loads, err := turn.Loads(step)
	if err != nil {
		return nil, false, err
	}
	after := s.turns.after[step]
	until := now.Add(s.Timings.Horizon)
	waiting, err := turn.Waiting(step, until, after, turnApps)
	if err != nil {
		return nil, false, err
	}
	s.turns.after[step] = 0
	if len(waiting) == turnApps {
		s.turns.after[step] = waiting[turnApps-1].AppID
	}
	each := turnLeast
	if len(waiting) > 0 {
		each = min(max(each, 2*places/len(waiting)), turnMost)
	}
	posts, err := turn.Next(step, idsOf(waiting), until, each)
	if err != nil {
		return nil, false, err
	}
	lanes, err := turn.Lanes(lanesOf(posts))
	if err != nil {
		return nil, false, err
	}
	c := newChoice(places, loads, waiting, posts, lanes, pauses, now)
	c.make()
	if admitted, err = turn.Admit(c.admit); err == nil {
		err = turn.Park(c.park)
	}
	if err == nil {
		err = turn.ParkLanes(slices.Sorted(maps.Keys(c.full)), turnParks)
	}
	if err == nil {
		err = turn.Pause(c.pause)
	}
	s.turns.saw(step, seen{at: now, room: c.room(), crowded: c.crowded || len(waiting) == turnApps})
	return admitted, len(c.park)+len(c.pause)+len(c.full) > 0 || len(waiting) == turnApps && c.room() > 0, err
}

// choice decides which posts go to the workers. It is one turn over the posts that begin with
// one step.
type choice struct {
	places int
	lanes  map[string]db.LaneLoad
	pauses models.Pauses
	now    time.Time
	// apps are those that have posts in Asynq, or some that wait.
	apps []*contender
	// due and total count the posts in Asynq.
	due, total int
	// weights is the sum of all apps'.
	weights int

	admit, park, pause []models.Post
	// full are the lanes of posts that are due and have no place.
	full map[string]bool
	// crowded: a post that is due was left waiting.
	crowded bool
}

// contender is an app in a turn.
type contender struct {
	db.AppLoad
	// next are its waiting posts, the soonest first.
	next []models.Post
}

func newChoice(places int, loads, waiting []db.AppLoad, posts []models.Post, lanes map[string]db.LaneLoad, pauses models.Pauses, now time.Time) *choice {
	c := &choice{places: places, lanes: lanes, pauses: pauses, now: now, full: map[string]bool{}}
	apps := map[int64]*contender{}
	for _, load := range slices.Concat(loads, waiting) {
		if apps[load.AppID] != nil {
			continue
		}
		app := &contender{AppLoad: load}
		apps[load.AppID] = app
		c.apps = append(c.apps, app)
		c.due, c.total, c.weights = c.due+load.Due, c.total+load.Total, c.weights+load.Weight
	}
	for _, p := range posts {
		apps[p.AppID].next = append(apps[p.AppID].next, p)
	}
	return c
}

// make takes the apps' posts one by one: always of the app that has the least in Asynq for its
// weight.
func (c *choice) make() {
	left := slices.DeleteFunc(slices.Clone(c.apps), func(a *contender) bool { return len(a.next) == 0 })
	for len(left) > 0 {
		at := 0
		for i, a := range left {
			if c.before(a, left[at]) {
				at = i
			}
		}
		a := left[at]
		if !c.take(a) || len(a.next) == 0 {
			left = slices.Delete(left, at, at+1)
		}
	}
}

// before reports whether an app's next post goes before that of another: posts that are due go
// first, and of those the app's that has less in Asynq for its weight.
func (c *choice) before(a, b *contender) bool {
	aLater, bLater := a.next[0].RunAt.After(c.now), b.next[0].RunAt.After(c.now)
	if aLater != bLater {
		return bLater
	}
	return cmp.Or(cmp.Compare(a.Due*b.Weight, b.Due*a.Weight), a.next[0].RunAt.Compare(*b.next[0].RunAt), cmp.Compare(a.AppID, b.AppID)) < 0
}

// take decides about the next post of an app. It reports whether the app may go on.
func (c *choice) take(a *contender) bool {
	p := a.next[0]
	later := p.RunAt.After(c.now)
	lane := c.lanes[p.Lane]
	switch {
	case c.pauses.Of(p.Lane) != nil && later: // it is stopped when its time comes
	case c.pauses.Of(p.Lane) != nil:
		c.pause = append(c.pause, p)
	case !hasRoom(lane, later) && later:
		c.park = append(c.park, p)
	case !hasRoom(lane, later):
		c.full[p.Lane] = true
	case !c.hasTurn(a, later):
		c.crowded = c.crowded || !later
		return false
	default:
		c.admit = append(c.admit, p)
		c.total, a.Total, lane.Total = c.total+1, a.Total+1, lane.Total+1
		if !later {
			c.due, a.Due, lane.Due = c.due+1, a.Due+1, lane.Due+1
		}
		c.lanes[p.Lane] = lane
	}
	a.next = a.next[1:]
	return true
}

// hasTurn reports whether an app gets another post into Asynq: there is room, or the app has less
// than its share, as long as the shares of others were not overdrawn too far. A post that is due counts only those that are due as well, so posts that are
// admitted ahead of their time never hold it up.
func (c *choice) hasTurn(a *contender, later bool) bool {
	share := max(1, c.places*a.Weight/c.weights)
	if later {
		return c.total < c.places || a.Total < share && c.total < 2*c.places
	}
	return c.due < c.places || a.Due < share && c.due < 2*c.places
}

// room is how many more posts the workers can begin soon.
func (c *choice) room() int { return c.places - c.due }

// hasRoom reports whether a lane takes another post. One that is due counts only those that are
// due as well.
func hasRoom(load db.LaneLoad, later bool) bool {
	if later {
		return load.Total < lanePlaces
	}
	return load.Due < lanePlaces
}

func idsOf(apps []db.AppLoad) []int64 {
	ids := make([]int64, len(apps))
	for i, a := range apps {
		ids[i] = a.AppID
	}
	return ids
}

func lanesOf(posts []models.Post) []string {
	lanes := make([]string, len(posts))
	for i, p := range posts {
		lanes[i] = p.Lane
	}
	slices.Sort(lanes)
	return slices.Compact(lanes)
}
