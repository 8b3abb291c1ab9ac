package testkit

import (
	"context"
	"fmt"
	"testing"
	"time"
)

// Patience is how long a test waits on a machine that is busy with other tests. It proves nothing: a test that wants
// something to be quick measures it.
const Patience = time.Minute

// Pauses between two polls: the first one, and the longest.
const (
	firstPause   = 2 * time.Millisecond
	longestPause = 50 * time.Millisecond
)

// Poll calls look until it reports done. It returns an error that names the state seen last if the time is up or ctx
// ends first. It may be used on any goroutine.
func Poll(ctx context.Context, within time.Duration, what string, look func() (done bool, seen string)) error {
	deadline := time.Now().Add(within)
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		done, seen := look()
		if done {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("not within %s: %s; last seen: %s", within, what, seen)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait until %s: %w; last seen: %s", what, ctx.Err(), seen)
		case <-time.After(pause):
		}
	}
}

// Await polls as Poll does and ends the test if look never reports done.
func Await(t testing.TB, within time.Duration, what string, look func() (done bool, seen string)) {
	t.Helper()
	Must(t, Poll(t.Context(), within, what, look))
}

// Eventually polls until ok holds and ends the test if it never does.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	Await(t, Patience, what, func() (bool, string) { return ok(), "not yet" })
}

// Receive waits for a value, or for the end, of a channel.
func Receive[T any](t testing.TB, what string, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(Patience):
		t.Fatalf("not within %s: %s", Patience, what)
		panic("unreachable")
	}
}
