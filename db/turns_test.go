package db_test

import (
	"fmt"
	"testing"
	"time"

	"socialqueue/db"
	"socialqueue/db/dbtest"
	"socialqueue/models"
)

// inTurn runs fn in a turn at epoch.
func (f *fixture) inTurn(fn func(*db.Turn) error) {
	f.t.Helper()
	ran, err := f.Admission.InTurn(f.t.Context(), epoch, fn)
	f.must(err)
	if !ran {
		f.t.Fatal("another turn was taken for no reason")
	}
}

// waitingAt makes a post wait until its time comes, and for its turn.
func waitingAt(at time.Time, changes ...func(*models.Post)) func(*models.Post) {
	return func(p *models.Post) {
		p.Admission, p.RunAt, p.Status, p.EnqueuedAt = models.AdmissionWaiting, &at, models.Queued, nil
		for _, change := range changes {
			change(p)
		}
	}
}

func TestTurnAdmits(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		soon, far := epoch.Add(time.Minute), epoch.Add(time.Hour)
		near := f.post(waitingAt(soon, func(p *models.Post) { p.Status = models.Scheduled }))
		f.post(waitingAt(far))
		f.inTurn(func(turn *db.Turn) error {
			apps, err := turn.Waiting(near.Step, soon, 0, 10)
			f.must(err)
			if len(apps) != 1 || apps[0].AppID != near.AppID || apps[0].Weight != 1 {
				t.Fatalf("apps = %+v", apps)
			}
			if none, err := turn.Waiting(near.Step, epoch, 0, 10); err != nil || len(none) != 0 {
				t.Errorf("apps whose posts are not due yet take part in turns: %+v, %v", none, err)
			}
			next, err := turn.Next(near.Step, []int64{near.AppID, near.AppID + 1}, soon, 10)
			f.must(err)
			if len(next) != 1 || next[0].ID != near.ID || next[0].Lane != near.Lane || !next[0].RunAt.Equal(soon) {
				t.Fatalf("next = %+v, want the near one", next)
			}
			admitted, err := turn.Admit(next)
			f.must(err)
			again, err := turn.Admit(next)
			f.must(err)
			if len(admitted) != 1 || len(again) != 0 {
				t.Errorf("admitted %d, then %d; want 1, then 0", len(admitted), len(again))
			}
			lanes, err := turn.Lanes([]string{near.Lane, "none"})
			f.must(err)
			if got := lanes[near.Lane]; got.Total != 1 || got.Due != 0 {
				t.Errorf("load of the lane = %+v, want 1 in total, none due", got)
			}
			loads, err := turn.Loads(near.Step)
			f.must(err)
			if len(loads) != 1 || loads[0].Total != 1 || loads[0].Due != 0 {
				t.Errorf("load of the app = %+v, want 1 in total, none due", loads)
			}
			return nil
		})
		f.must(f.Admission.QueueDue(t.Context(), soon))
		if got := f.reload(near); got.Status != models.Queued || got.Admission != models.AdmissionAdmitted {
			t.Errorf("status = %s, admission = %s", got.Status, got.Admission)
		}
	})
}

// A post that was changed after it was chosen is neither admitted nor parked.
func TestTurnLeavesChangedPosts(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		p := f.post(waitingAt(epoch))
		f.inTurn(func(turn *db.Turn) error {
			old := *p
			old.Fence--
			admitted, err := turn.Admit([]models.Post{old})
			f.must(err)
			f.must(turn.Park([]models.Post{old}))
			f.must(turn.Pause([]models.Post{old}))
			if len(admitted) != 0 {
				t.Error("a changed post was admitted")
			}
			return nil
		})
		if got := f.reload(p); got.Admission != models.AdmissionWaiting || got.DeferredReason != "" {
			t.Errorf("a changed post is %s", got.Admission)
		}
	})
}

// Posts that the platform may have wait for no turn.
func TestTurnPolls(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		p := f.post(waitingAt(epoch, func(p *models.Post) { p.Status = models.Uncertain }))
		f.post(waitingAt(epoch.Add(time.Hour), func(p *models.Post) { p.Status = models.Processing }))
		f.post(waitingAt(epoch))
		f.inTurn(func(turn *db.Turn) error {
			polls, err := turn.Polls(epoch, 10)
			f.must(err)
			if len(polls) != 1 || polls[0].ID != p.ID {
				t.Errorf("polls = %+v", polls)
			}
			return nil
		})
	})
}

// Posts that are parked ahead of their time are left alone until then: freeing them would only park
// them again.
func TestFreeLaneAheadOfTime(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx, soon := t.Context(), epoch.Add(time.Minute)
		p := f.post(waitingAt(soon))
		f.inTurn(func(turn *db.Turn) error { return turn.Park([]models.Post{*p}) })
		for _, at := range []time.Time{epoch, soon} {
			free, _, err := f.Admission.FreeLanes(ctx, "", 10, 3, at)
			f.must(err)
			f.must(f.Admission.FreeLane(ctx, p.Lane, 3, at))
			if due := at.Equal(soon); (len(free) == 1) != due || (f.reload(p).Admission == models.AdmissionWaiting) != due {
				t.Errorf("at %s: lanes %v, the post is %s", at, free, f.reload(p).Admission)
			}
		}
	})
}

// A full lane is parked as a whole: it does not stand in front of the other lanes of its app.
func TestParkLanes(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		due, other := f.post(waitingAt(epoch)), f.post(waitingAt(epoch, func(p *models.Post) { p.Lane = "another" }))
		later := f.post(waitingAt(epoch.Add(time.Minute)))
		f.inTurn(func(turn *db.Turn) error { return turn.ParkLanes([]string{due.Lane}, 10) })
		for p, want := range map[*models.Post]models.Admission{due: models.AdmissionParked, other: models.AdmissionWaiting, later: models.AdmissionWaiting} {
			if got := f.reload(p).Admission; got != want {
				t.Errorf("%s, due at %s: %s, want %s", p.Lane, p.RunAt, got, want)
			}
		}
	})
}

// A post that waits for the platform keeps its place in its lane, in Asynq or not.
func TestLanesKeepPlaces(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.post(waitingAt(epoch.Add(time.Minute), func(p *models.Post) { p.DeferredReason = models.DeferredDown }))
		p := f.post(func(p *models.Post) {
			p.DeferredReason = models.DeferredRateLimit
			at := epoch.Add(time.Minute)
			p.RunAt = &at
		})
		f.inTurn(func(turn *db.Turn) error {
			lanes, err := turn.Lanes([]string{p.Lane})
			if got := lanes[p.Lane]; got.Due != 2 || got.Total != 1 {
				t.Errorf("load %+v", got)
			}
			return err
		})
	})
}

func TestFreeLane(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		var posts []models.Post
		for i := range 30 {
			at := epoch.Add(time.Duration(i-60) * time.Second)
			posts = append(posts, *f.post(waitingAt(at, func(p *models.Post) { p.Lane = fmt.Sprint("lane ", i%3) })))
		}
		f.inTurn(func(turn *db.Turn) error { return turn.Park(posts) })
		free, last, err := f.Admission.FreeLanes(ctx, "", 2, 3, epoch)
		f.must(err)
		if fmt.Sprint(free) != "[lane 0 lane 1]" || last != "lane 1" {
			t.Errorf("free = %v, last %q", free, last)
		}
		free, last, err = f.Admission.FreeLanes(ctx, last, 2, 3, epoch)
		f.must(err)
		if fmt.Sprint(free) != "[lane 2]" || last != "" {
			t.Errorf("then free = %v, last %q", free, last)
		}
		waiting := func() (n int) {
			f.must(f.Pool().QueryRowContext(ctx, "SELECT COUNT(*) FROM posts WHERE admission = 'waiting'").Scan(&n))
			return n
		}
		for range 2 { // the second finds the lane full
			f.must(f.Admission.FreeLane(ctx, "lane 1", 3, epoch))
			if n := waiting(); n != 3 {
				t.Fatalf("%d posts of the lane wait for their turn, want 3", n)
			}
		}
		for i, want := range map[int]models.Admission{1: models.AdmissionWaiting, 4: models.AdmissionWaiting, 7: models.AdmissionWaiting, 10: models.AdmissionParked} {
			if got := f.reload(&posts[i]).Admission; got != want {
				t.Errorf("post %d is %s, want %s", i, got, want)
			}
		}
		free, _, err = f.Admission.FreeLanes(ctx, "", 10, 3, epoch)
		f.must(err)
		if fmt.Sprint(free) != "[lane 0 lane 2]" {
			t.Errorf("free = %v", free)
		}

		head, err := f.Admission.Admit(ctx, posts[1:2], epoch)
		f.must(err)
		if len(head) != 1 {
			t.Fatal("the first of the lane was not admitted")
		}
		run, err := f.Runs.Claim(ctx, posts[1].ID, 0, "w", epoch, time.Minute)
		f.must(err)
		run.Status, run.Admission, run.RunAt, run.UpdatedAt = models.Failed, models.AdmissionNone, nil, epoch
		f.must(f.Runs.Write(ctx, db.RunWrite{Post: run, From: models.Publishing, Release: true, FreeLane: 3}))
		if got := f.reload(&posts[10]).Admission; got != models.AdmissionWaiting {
			t.Errorf("the end of a run left the next post of its lane %s", got)
		}
	})
}

// Only one process decides about turns at a time.
func TestOneTurnAtATime(t *testing.T) {
	f := newFixture(t, dbtest.Postgres(t))
	f.inTurn(func(*db.Turn) error {
		ran, err := f.Admission.InTurn(t.Context(), epoch, func(*db.Turn) error { return nil })
		f.must(err)
		if ran {
			t.Error("a second turn was taken during the first")
		}
		return nil
	})
	f.inTurn(func(*db.Turn) error { return nil })
}
