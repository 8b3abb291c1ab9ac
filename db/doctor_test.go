package db_test

import (
	"slices"
	"testing"
	"time"

	"socialqueue/models"
)

func TestServer(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		s, err := f.Operators.Server(t.Context(), "fsync", "max_connections")
		f.must(err)
		if s.Version == "" || time.Since(s.Time).Abs() > time.Minute {
			t.Errorf("server = %+v", s)
		}
		if _, isPostgres := s.Settings["fsync"]; isPostgres && s.Settings["max_connections"] == "" {
			t.Errorf("settings = %v", s.Settings)
		}
	})
}

// TestMissingIndices checks that a migrated database has all indexes, and that a dropped
// index is reported.
func TestMissingIndices(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		missing, err := f.Operators.MissingIndices(t.Context())
		f.must(err)
		if len(missing) > 0 {
			t.Errorf("missing: %v", missing)
		}
		_, err = f.Pool().ExecContext(t.Context(), "DROP INDEX posts_lane")
		f.must(err)
		missing, err = f.Operators.MissingIndices(t.Context())
		f.must(err)
		if !slices.Equal(missing, []string{"posts_lane"}) {
			t.Errorf("missing: %v, want posts_lane", missing)
		}
	})
}

func TestStuck(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx, over, later := t.Context(), epoch.Add(-time.Hour), epoch.Add(time.Hour)
		f.post(nil)
		leased := f.post(nil)
		_, err := f.Pool().ExecContext(ctx, "UPDATE posts SET lease_until = $1 WHERE id = $2", over, leased.ID)
		f.must(err)
		f.post(func(p *models.Post) { p.Admission, p.RunAt, p.EnqueuedAt = models.AdmissionWaiting, &over, nil }) // the workers are busy
		f.post(func(p *models.Post) {
			p.Admission, p.RunAt, p.EnqueuedAt, p.Step = models.AdmissionWaiting, &over, nil, models.StepPublish
		})
		f.post(func(p *models.Post) {
			p.Admission, p.RunAt, p.EnqueuedAt, p.Step = models.AdmissionWaiting, &later, nil, models.StepPublish
		})
		f.post(func(p *models.Post) { p.Admission, p.RunAt, p.EnqueuedAt = models.AdmissionHeld, &over, nil })
		s, err := f.Operators.Stuck(ctx, epoch)
		f.must(err)
		if s.Leases != 1 || s.Waiting != 1 || s.Events != 0 || s.Endpoints != 0 {
			t.Errorf("stuck = %+v, want one lease and one waiting post", s)
		}
		if n, _, err := f.Admission.CountUnattended(ctx, epoch.Add(2*time.Minute), time.Minute); err != nil || n != 2 {
			t.Errorf("unattended: %d, %v; want the two posts that are admitted", n, err)
		}
		fences, err := f.Operators.Fences(ctx, []string{leased.ID, "gone"})
		f.must(err)
		if len(fences) != 1 || fences[leased.ID] != leased.Fence {
			t.Errorf("fences = %v", fences)
		}
	})
}
