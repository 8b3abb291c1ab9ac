package db_test

import (
	"testing"
	"time"

	"socialqueue/db"
	"socialqueue/models"
)

func TestBreakers(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		const name = "tiktok/tiktok.init"
		fail := func(post string, at time.Time) (models.Breaker, bool) {
			t.Helper()
			b, opened, err := f.Breakers.Fail(ctx, db.Failure{
				Breaker: models.Breaker{Name: name, Platform: models.TikTok, Op: "tiktok.init", Message: "HTTP 503", FailedAt: at},
				PostID:  post, Opens: 2, Forget: time.Minute, Probe: at.Add(5 * time.Second),
			})
			f.must(err)
			return b, opened
		}
		fail("a", epoch)
		if b, opened := fail("a", epoch); opened || b.Open() {
			t.Error("one post that failed twice opened the breaker")
		}
		later := epoch.Add(2 * time.Minute)
		if b, opened := fail("b", later); opened || b.Open() || len(b.Posts) != 1 {
			t.Errorf("an old failure still counts: %+v", b)
		}
		if b, opened := fail("c", later); !opened || !b.Open() || !b.OpenedAt.Equal(later) || !b.ProbeAt.Equal(later.Add(5*time.Second)) {
			t.Errorf("two posts that failed did not open the breaker: %+v", b)
		}
		if _, opened := fail("d", later); opened {
			t.Error("it was opened twice")
		}
		probe := func(lane string, at time.Duration) bool {
			t.Helper()
			may, err := f.Breakers.Probe(ctx, name, lane, later.Add(at), later.Add(at+10*time.Second), 10*time.Second)
			f.must(err)
			return may
		}
		if probe("a", 0) || !probe("a", 5*time.Second) || probe("b", 6*time.Second) {
			t.Error("not exactly one caller may try once the time has come")
		}
		if probe("a", 15*time.Second) || !probe("b", 16*time.Second) {
			t.Error("the account that tried last does not leave the next try to others")
		}
		if probe("b", 27*time.Second) || !probe("b", 36*time.Second) {
			t.Error("where no other account waits, the same one does not try again")
		}
		all, err := f.Breakers.List(ctx)
		f.must(err)
		if len(all) != 1 || all[0].Probes != 3 || all[0].Message != "HTTP 503" {
			t.Errorf("breakers = %+v", all)
		}
		f.must(f.Breakers.Forget(ctx, later.Add(40*time.Second))) // it was tried after that
		for _, want := range []bool{true, false} {
			wasOpen, err := f.Breakers.Close(ctx, name)
			f.must(err)
			if wasOpen != want {
				t.Errorf("closed an open breaker: %t, want %t", wasOpen, want)
			}
		}
		fail("a", epoch)
		f.must(f.Breakers.Forget(ctx, epoch))
		if all, err := f.Breakers.List(ctx); err != nil || len(all) != 1 {
			t.Errorf("%d breakers, %v", len(all), err)
		}
		f.must(f.Breakers.Forget(ctx, epoch.Add(time.Second)))
		if all, err := f.Breakers.List(ctx); err != nil || len(all) != 0 {
			t.Errorf("breakers that nobody meets are left: %+v, %v", all, err)
		}
	})
}
