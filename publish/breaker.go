package publish

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"socialqueue/db"
	"socialqueue/models"
	"socialqueue/observe"
	"socialqueue/platform"
)

// A platform that is down answers every post with an error, and each would use up its attempts
// against it. So failures are counted by kind of call, over all processes. Once a call failed for
// breakerPosts posts in a row the breaker of that call is open: the call is not made, its posts
// wait without using attempts, and now and then one of them tries. The first success closes it.
//
// That some posts of their own fail every time opens nothing: it takes several posts, with no
// success between them. Reads of what a call came to have a breaker of their own, which stops none
// of them: it only keeps posts that cannot be live yet from using up attempts.
const (
	breakerPosts = 5
	// breakerForget is how long a failure counts.
	breakerForget = time.Minute
	// breakerFresh is how long a process trusts what it read of the breakers.
	breakerFresh = time.Second
	// firstProbe is how soon a post tries after the breaker opened. The wait doubles up to
	// lastProbe.
	firstProbe = 5 * time.Second
	lastProbe  = 30 * time.Second
	// maxBreakerWait is the most that a post waits beyond the next probe.
	maxBreakerWait = 5 * time.Minute
	// breakerSpares is for how long posts use no attempts because of an open breaker. After that
	// they do, so that posts which fail every time come to an end.
	breakerSpares = time.Hour
	// breakerForgets is how long a breaker stays that nobody meets.
	breakerForgets = 10 * time.Minute
)

// breakers is what a process knows of the breakers. It is safe for concurrent use.
type breakers struct {
	mu    sync.Mutex
	at    time.Time
	known map[string]models.Breaker
}

func (b *breakers) get(name string) (models.Breaker, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	one, ok := b.known[name]
	return one, ok
}

func (b *breakers) put(one models.Breaker) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.known == nil {
		b.known = map[string]models.Breaker{}
	}
	b.known[one.Name] = one
}

func (b *breakers) remove(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.known, name)
}

// stale reports whether the breakers have to be read again.
func (b *breakers) stale(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.known == nil || now.Sub(b.at) >= breakerFresh
}

func (b *breakers) replace(all []models.Breaker, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.known, b.at = make(map[string]models.Breaker, len(all)), now
	for _, one := range all {
		b.known[one.Name] = one
	}
}

// breaker names the one of what the run is at.
func (r *run) breaker() string { return string(r.post.Platform) + "/" + r.at }

// readsOf names what is read of a step's call, for people.
func readsOf(step *Step) string { return string(step.Op) + " (reads)" }

// checkBreaker returns a *WaitError if the breaker of the call that the run is at is open and another
// post tries the call.
func (r *run) checkBreaker(ctx context.Context) error {
	now := r.Now()
	if r.breakers.stale(now) {
		all, err := r.DB.Breakers.List(ctx)
		if err != nil {
			return err
		}
		r.breakers.replace(all, now)
	}
	b, known := r.breakers.get(r.breaker())
	if !known || !b.Open() {
		return nil
	}
	wait := probeWait(b.Probes + 1)
	probes, err := r.DB.Breakers.Probe(ctx, b.Name, r.post.Lane, now, now.Add(wait), wait)
	if err != nil || probes {
		return err
	}
	return r.waitForPlatform(b)
}

// probeWait is the wait for the next probe after so many.
func probeWait(probes int) time.Duration {
	return min(lastProbe, firstProbe<<min(probes, 10))
}

// waitForPlatform is the wait of a post whose call is not made. It grows with the outage. Posts come
// back at different times, so that they do not all ask at once.
func (r *run) waitForPlatform(b models.Breaker) *WaitError {
	now := r.Now()
	spread := min(max(now.Sub(*b.OpenedAt)/2, 2*firstProbe), maxBreakerWait)
	return &WaitError{
		In:     max(b.ProbeAt.Sub(now), 0) + time.Second + time.Duration(r.Rand()*float64(spread)),
		Reason: models.DeferredDown,
		Message: fmt.Sprintf("%s keeps failing since %s (%s); one post tries now and then, and this one waits until that succeeds",
			b.Op, b.OpenedAt.UTC().Format(time.RFC3339), b.Message),
	}
}

// isDown reports whether an error shows that the platform does not work: it answered 5xx, did not
// answer in time, or no connection could be made. A connection that was reset does not count, and
// neither does an error of our own.
func isDown(err error) bool {
	e, ok := errors.AsType[*platform.Error](err)
	if !ok || e.Kind != platform.Transient && e.Kind != platform.Unknown {
		return false
	}
	return e.HTTPStatus >= 500 || e.HTTPStatus == 0 && (timedOut(err) || unreached(err))
}

// unreached reports whether no connection could be made.
func unreached(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

func timedOut(err error) bool {
	timeout, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err)
	return ok && timeout.Timeout()
}

// howDown says in a few words how a call failed for which isDown holds.
func howDown(err error) string {
	e, ok := errors.AsType[*platform.Error](err)
	switch {
	case ok && e.HTTPStatus != 0:
		return fmt.Sprintf("HTTP %d", e.HTTPStatus)
	case timedOut(err):
		return "no answer in time"
	}
	return "it cannot be reached"
}

// noteDown counts a failure of what the run is at, if it shows a platform that does not
// work. It returns the wait of the post if the breaker is open; nil if it is not.
func (r *run) noteDown(ctx context.Context, failure error) *WaitError {
	if r.at == "" || !isDown(failure) {
		return nil
	}
	now := r.Now()
	b, opened, err := r.DB.Breakers.Fail(ctx, db.Failure{
		Breaker: models.Breaker{Name: r.breaker(), Platform: r.post.Platform, Op: r.at, Message: howDown(failure), FailedAt: now},
		PostID:  r.post.ID, Opens: breakerPosts, Forget: breakerForget, Probe: now.Add(firstProbe),
	})
	if err != nil {
		r.log.WithError(err).Warn("could not count a failure of the platform; the post goes on without")
		return nil
	}
	r.breakers.put(b)
	if opened {
		r.log.WithFields(logrus.Fields{observe.FieldAction: b.Op, "failed_posts": len(b.Posts)}).WithError(failure).
			Warn("a kind of call to the platform keeps failing; posts wait until one that tries succeeds")
	}
	if !b.Open() || now.Sub(*b.OpenedAt) >= breakerSpares {
		return nil
	}
	return r.waitForPlatform(b)
}

// noteUp forgets the failures of what the run is at, as it succeeded.
func (r *run) noteUp(ctx context.Context) {
	name := r.breaker()
	if _, known := r.breakers.get(name); !known {
		return
	}
	wasOpen, err := r.DB.Breakers.Close(ctx, name)
	if err != nil {
		r.log.WithError(err).Warn("could not note that the platform works again; the next success will")
		return
	}
	r.breakers.remove(name)
	if wasOpen {
		r.log.WithField(observe.FieldAction, r.at).Info("the platform works again; the posts that wait for it go on")
	}
}
