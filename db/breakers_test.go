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
		probe := func(at time.Time) bool {
			t.Helper()
			may, err := f.Breakers.Probe(ctx, name, at, at.Add(10*time.Second))
			f.must(err)
			return may
		}
		if probe(later) || !probe(later.Add(5*time.Second)) || probe(later.Add(6*time.Second)) {
			t.Error("not exactly one caller may try once the time has come")
		}
		all, err := f.Breakers.List(ctx)
		f.must(err)
		if len(all) != 1 || all[0].Probes != 1 || all[0].Message != "HTTP 503" {
			t.Errorf("breakers = %+v", all)
		}
		for _, want := range []bool{true, false} {
			wasOpen, err := f.Breakers.Close(ctx, name)
			f.must(err)
			if wasOpen != want {
				t.Errorf("closed an open breaker: %t, want %t", wasOpen, want)
			}
		}
	})
}
