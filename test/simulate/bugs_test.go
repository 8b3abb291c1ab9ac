//go:build bugs

package simulate

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// mostHistories is within how many histories each bug has to be found.
const mostHistories = 10_000

// bug is a mistake that is planted into the product for one build of this package's tests.
type bug struct {
	name  string
	edits []edit
}

// edit replaces a passage of a file, which has to be there once.
type edit struct{ file, old, new string }

// TestPlantedBugs: a simulation that finds nothing may be unable to see. Each bug is compiled in by an overlay and has to be found.
func TestPlantedBugs(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range bugs {
		t.Run(b.name, func(t *testing.T) { b.mustBeFound(t, root) })
	}
}

func (b bug) mustBeFound(t *testing.T, root string) {
	dir := t.TempDir()
	program := filepath.Join(dir, "simulate.test")
	build := exec.CommandContext(t.Context(), "go", "test", "-c", "-vet=off", "-overlay", b.overlay(t, root, dir), "-o", program, "./test/simulate")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("the planted bug does not compile: %v\n%s", err, out)
	}
	run := exec.CommandContext(t.Context(), program, "-test.run", "^TestHistories$", "-test.v", "-test.timeout", "2h")
	run.Dir = filepath.Join(root, "test", "simulate")
	run.Env = append(os.Environ(), "SIM_SEED=1", fmt.Sprint("SIM_HISTORIES=", mostHistories), "SIM_SHRINK=off")
	out, err := run.CombinedOutput()
	found := regexp.MustCompile(`history (\d+): seed (\d+): (.*)`).FindSubmatch(out)
	if err == nil || found == nil {
		t.Fatalf("not found in %d histories: %v\n%s", mostHistories, err, out)
	}
	t.Logf("found by seed %s, in %s histories: %s", found[2], found[1], found[3])
}

// overlay writes the changed files, and the list of them that the compiler reads.
func (b bug) overlay(t *testing.T, root, dir string) string {
	replace := map[string]string{}
	for i, e := range b.edits {
		source := filepath.Join(root, e.file)
		from := source
		if changed, ok := replace[source]; ok {
			from = changed
		}
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(text), e.old); n != 1 {
			t.Fatalf("edit %d of the bug no longer fits: %s has this passage %d times, want once:\n%s", i+1, e.file, n, e.old)
		}
		replace[source] = filepath.Join(dir, fmt.Sprint(i)+"_"+filepath.Base(e.file))
		if err := os.WriteFile(replace[source], []byte(strings.Replace(string(text), e.old, e.new, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	list, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(name, list, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

var bugs = []bug{
	{"no write looks at the fence", []edit{
		{"db/runs.go", `WHERE id = @id AND fence = @fence AND lease_until > @now`, `WHERE id = @id`},
		{"db/runs.go", `Where("id = ? AND fence = ? AND lease_until IS NOT NULL", id, fence)`, `Where("id = ?", id)`},
		{"db/runs.go", `if p.Fence != fence || p.Admission`, `if fence = p.Fence; p.Admission`},
		{"db/move.go", `Where("id = ? AND fence = ?", row.ID, fence)`, `Where("id = ?", row.ID)`},
	}},
	{"a run that lost its lease goes on", []edit{
		{"publish/lease.go", `errors.Is(err, db.ErrStale) || time.Since(held) >= s.Timings.Lease`, `errors.Is(err, db.ErrStale) && time.Since(held) < 0`},
		{"db/runs.go", `WHERE id = @id AND fence = @fence AND lease_until > @now`, `WHERE id = @id`},
		{"db/runs.go", `Where("id = ? AND fence = ? AND lease_until IS NOT NULL", id, fence)`, `Where("id = ?", id)`},
	}},
	{"a first comment is made again although the call may still arrive", []edit{{
		"publish/firstcomment.go", `sent.Add(r.Timings.Arrival); began.Before(arrived)`, `sent.Add(r.Timings.Arrival); began.Before(*sent)`,
	}}},
	{"the ledger is settled before the call", []edit{{
		"publish/steps.go", `	res, err := call(ctx)
`, `	if e != nil {
		if err := r.settle(ctx, e, models.Done); err != nil {
			return outcome{}, false, err
		}
	}
	res, err := call(ctx)
`,
	}}},
	{"the task is enqueued before the post is committed", []edit{{
		"publish/accept.go", `	if err := s.DB.Posts.Insert(ctx, rows, lanePlaces, done); err != nil {
		return nil, err
	}
`, "",
	}, {
		"publish/accept.go", `	s.enqueue(ctx, admitted...)
`, `	s.enqueue(ctx, admitted...)
	_ = s.DB.Posts.Insert(ctx, rows, lanePlaces, done)
`,
	}}},
	{"a call is repeated although nothing could be read", []edit{{
		"publish/steps.go", `	case v.State == NotLive:
`, `	case v.State == NotLive, v.State == Unreadable && r.open(step):
`,
	}}},
	{"a call is repeated while the first may still arrive", []edit{{
		"publish/sending.go", `	case r.readBegan.Before(r.arrivedBy(e)):
`, `	case r.readBegan.IsZero():
`,
	}}},
	{"a call without an answer counts as not made", []edit{{
		"publish/sending.go", `	case unanswered(err):
		return r.sent(models.Uncertain, describe(err)), nil
`, `	case unanswered(err):
		if settled := r.settle(ctx, e, models.Void); settled != nil {
			return outcome{}, settled
		}
		return r.retry(err), nil
`,
	}}},
	{"a refusal counts as proof", []edit{{
		"publish/sending.go", `	v, err := r.readStep(ctx, step)
	if err != nil || v.State == Unreadable {
`, `	if err := r.settle(ctx, e, models.Void); err != nil {
		return outcome{}, err
	}
	if platform.KindOf(refusal) != platform.Unknown {
		return r.afterRefusal(ctx, i, refusal)
	}
	v, err := r.readStep(ctx, step)
	if err != nil || v.State == Unreadable {
`,
	}}},
	{"a run that takes over does not read the ledger", []edit{{
		"publish/run.go", `	r.ledgerRead = true
`, `	r.ledgerRead = true
	if r.post.UnfinishedRuns > 1 {
		r.ledger = nil
	}
`,
	}}},
	{"a post that may be live is missed", []edit{{
		"publish/run.go", `r.stored == models.Publishing && !r.ledger.MayBeLive() && r.post.TooLate(r.Now())`, `r.stored == models.Publishing && r.post.TooLate(r.Now())`,
	}, {"publish/ledger.go", `		r.post.MissAt = nil
`, ``}, {"db/runs.go", `		miss = ", miss_at = NULL"
`, ``}}},
	{"a post is canceled while it is sent", []edit{
		{"publish/change.go", `	if !p.Status.Unsent() {
`, `	if p.Status.Ended() {
`},
		{"db/posts.go", `move{from: unsent, lease: leaseFree}`, `move{from: []models.Status{event.From}, lease: leaseAny}`},
		{"models/status.go", `	Publishing: {Queued,`, `	Publishing: {Canceled, Queued,`},
	}},
	{"the sweep looks for no lost task", []edit{{
		"publish/sweep.go", `	for i := range posts {
		if err := s.attend(`, `	for i := range posts[:0] {
		if err := s.attend(`,
	}}},
	{"parked posts are forgotten", []edit{{
		"db/admission.go", `AND lane = @lane AND run_at <= @now ORDER BY run_at, id`, `AND lane = @lane AND 1 = 0 ORDER BY run_at, id`,
	}}},
	{"tokens are refreshed by two at once", []edit{{
		"db/tokens.go", `		if a.RefreshLeaseUntil != nil && a.RefreshLeaseUntil.After(now) {
`, `		if a.RefreshLeaseUntil != nil && a.RefreshLeaseUntil.After(now.Add(lease)) {
`,
	}}},
	{"the rotated refresh token is not kept", []edit{{
		"db/tokens.go", `			set["refresh_token"] = *t.Refresh
`, `			_ = *t.Refresh
`,
	}}},
	{"events reach the app out of order", []edit{{
		"db/deliveries.go", `d.id = (SELECT MIN(b.id)`, `d.id = (SELECT MAX(b.id)`,
	}}},
	{"the event of a change is stored outside of its transaction", []edit{{
		"db/runs.go", `		if err := emitMove(tx, w.Post, w.From); err != nil {
			return err
		}
		if err := writeAlong(tx, w); err != nil || w.FreeLane == 0 {
			return err
		}
		return conn{tx, s.dialect}.freeLane(w.Post.Lane, w.FreeLane, w.Post.UpdatedAt)
	})
`, `		if err := writeAlong(tx, w); err != nil || w.FreeLane == 0 {
			return err
		}
		return conn{tx, s.dialect}.freeLane(w.Post.Lane, w.FreeLane, w.Post.UpdatedAt)
	}); err != nil {
		return err
	}
	return emitMove(s.orm.WithContext(ctx), w.Post, w.From)
`,
	}, {"db/runs.go", `	return s.orm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		if err := m.one(tx, w.Post, w.Post.Fence, columns...); err != nil {
`, `	if err := s.orm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		if err := m.one(tx, w.Post, w.Post.Fence, columns...); err != nil {
`}}},
	{"the mark is not raised before the call", []edit{{
		"publish/ledger.go", `		err = r.raiseMark(ctx, e, seen)
`, `		err = nil
`,
	}}},
	{"a search right behind a restore counts", []edit{{
		"publish/restored.go", `v.State == NotLive && r.readBegan.Before(settled)`, `v.State == NotLive && r.readBegan.IsZero()`,
	}}},
	{"a restored post is sent without a search", []edit{{
		"publish/steps.go", `	if o, stop, err := r.checkRestored(ctx); err != nil || stop {
`, `	if o, stop, err := r.checkRestored(ctx); err != nil && stop {
`,
	}}},
}
