package crash_test

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"socialqueue/models"
	"socialqueue/test/testkit"
)

const (
	// restoredPosts go live behind the backup, dueDown are due while the system is down, and
	// unseen are posts of which no search shows whether they went live.
	restoredPosts, dueDown, unseen, future = 40, 5, 5, 5
	// liveIn and dueIn are when the former are due.
	liveIn, dueIn = 10 * time.Second, 40 * time.Second
)

// TestRestoredBackup dumps the database while posts are scheduled, lets them go live, and
// restores the dump: none goes live a second time, and a person sees which ones wait.
func TestRestoredBackup(t *testing.T) {
	for name, empty := range map[string]bool{"Redis kept": false, "Redis emptied": true} {
		if testing.Short() && !empty {
			continue
		}
		t.Run(name, func(t *testing.T) {
			s := newSystem(t, setup{})
			s.restoreBackup(t, empty)
		})
	}
}

func (s *system) restoreBackup(t *testing.T, emptied bool) {
	begin := time.Now()
	images := s.schedule(t, "image", restoredPosts, begin.Add(liveIn))
	videos := s.schedule(t, "video", unseen, begin.Add(liveIn))
	n := dueDown
	if testing.Short() {
		n = 0 // they are searched for until nothing sent before can arrive, which takes minutes
	}
	due := s.schedule(t, "image", n, begin.Add(dueIn))
	later := s.schedule(t, "image", future, begin.Add(time.Hour))
	dump := filepath.Join(t.TempDir(), "backup")
	s.postgres(t, "pg_dump", "--format=custom", "--file="+dump, s.database)
	if took := time.Since(begin); took > liveIn {
		t.Fatalf("the dump was ready only after %s: posts may have gone out before it", took)
	}
	s.awaitStatus(t, append(images, videos...), models.Published)
	sent := len(s.sim.LivePosts())
	for _, c := range []*child{s.api, s.worker, s.scheduler} {
		c.stop()
	}
	s.replaceDatabase(t, dump)
	if emptied {
		if err := s.redis.FlushDB(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if n > 0 {
		time.Sleep(time.Until(begin.Add(dueIn + time.Second))) // their time has to pass while nothing runs
	}
	for _, c := range []*child{s.api, s.worker, s.scheduler} {
		c.start()
	}
	started := time.Now()
	s.awaitStatus(t, images, models.Published)
	s.awaitHeld(t, len(videos)+len(due))
	t.Logf("restored: sent=%d found=%d held=%d in %s", sent, len(images), len(videos)+len(due), time.Since(started).Round(time.Second))
	if live := len(s.sim.LivePosts()); live != sent {
		t.Errorf("%d posts are live, %d were sent before the restore", live, sent)
	}
	for _, id := range later {
		if status := s.statusOf(t, id); status != string(models.Scheduled) {
			t.Errorf("a post whose time has not come is %s", status)
		}
	}
	s.releaseByHand(t, videos[0], sent, n)
}

// releaseByHand is what an operator does then.
func (s *system) releaseByHand(t *testing.T, unsearchable string, sent, due int) {
	t.Helper()
	var list struct {
		Restores []struct{ Reason string }
		Counts   map[models.HeldReason]int
		Posts    []struct{ ID string }
	}
	if err := json.Unmarshal(s.command(t, "restored", "list", "--json"), &list); err != nil {
		t.Fatal(err)
	}
	if len(list.Restores) != 1 || list.Counts[models.HeldDue] != due || list.Counts[models.HeldUnsearchable] != unseen || len(list.Posts) != due+unseen {
		t.Errorf("restored list: %+v", list)
	}
	t.Logf("\n%s", s.command(t, "restored", "list"))
	if out := s.command(t, "post", "release", "--all-restored"); !strings.HasPrefix(string(out), fmt.Sprintf("%d posts released", due)) {
		t.Errorf("release --all-restored: %s", out)
	}
	s.command(t, "post", "release", unsearchable)
	s.awaitStatus(t, []string{unsearchable}, models.Published)
	s.awaitHeld(t, unseen-1)
	err := testkit.Poll(t.Context(), time.Minute, "the released posts are live", func() (bool, string) {
		n := len(s.sim.LivePosts())
		return n == sent+due+1, fmt.Sprintf("%d posts are live", n)
	})
	if err != nil {
		t.Error(err)
	}
}

// schedule accepts posts that are due at a time, each with a text of its own.
func (s *system) schedule(t *testing.T, kind string, n int, at time.Time) []string {
	t.Helper()
	var ids []string
	for i := range n {
		text := fmt.Sprintf("%s %d of %s", kind, i, at.Format(time.RFC3339Nano))
		path, body := "/api/instagram/publish", map[string]any{
			"account_id": s.insta[i%accountsEach], "media_id": s.picture, "media_type": "IMAGE", "caption": text, "publish_at": at.UTC().Format(time.RFC3339Nano),
		}
		if kind == "video" {
			path, body = "/api/tiktok/upload", map[string]any{
				"account_id": s.tiktok[i%accountsEach], "media_id": s.video, "title": text, "privacy_level": "SELF_ONLY", "publish_at": at.UTC().Format(time.RFC3339Nano),
			}
		}
		data, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		id, err := s.create(t.Context(), path, "application/json", strings.ReplaceAll(text, " ", "-"), data)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	return ids
}

// replaceDatabase drops the database and restores a dump in its place.
func (s *system) replaceDatabase(t *testing.T, dump string) {
	t.Helper()
	u := mustURL(t, s.database)
	name := strings.TrimPrefix(u.Path, "/")
	server := *u
	server.Path = "/postgres"
	admin, err := sql.Open("pgx", server.String())
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	for _, statement := range []string{"DROP DATABASE " + name + " WITH (FORCE)", "CREATE DATABASE " + name} {
		if _, err := admin.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	s.postgres(t, "pg_restore", "--exit-on-error", "--no-owner", "--dbname="+s.database, dump)
}

// postgres runs one of PostgreSQL's own programs.
func (s *system) postgres(t *testing.T, program string, args ...string) {
	t.Helper()
	bin := os.Getenv("TEST_POSTGRES_BIN")
	if bin == "" {
		t.Fatal("TEST_POSTGRES_BIN is not set: this test dumps and restores a database, so it needs the binaries (scripts/with-services finds or installs them)")
	}
	if out, err := exec.CommandContext(t.Context(), filepath.Join(bin, program), args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", program, err, out)
	}
}

// command runs the command line program and returns what it printed.
func (s *system) command(t *testing.T, args ...string) []byte {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binaries, "socialqueue/cmd/socialqueue").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(binaries, "socialqueue"), args...)
	cmd.Env, cmd.Dir = s.env, t.TempDir()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("socialqueue %v: %v\n%s", args, err, stderr.Bytes())
	}
	return out
}

func (s *system) awaitStatus(t *testing.T, ids []string, want models.Status) {
	t.Helper()
	err := testkit.Poll(t.Context(), 5*time.Minute, fmt.Sprintf("%d posts are %s", len(ids), want), func() (bool, string) {
		var others []string
		for _, id := range ids {
			var status string
			err := s.rows.QueryRowContext(t.Context(), `SELECT status FROM posts WHERE id = $1`, id).Scan(&status)
			if err != nil {
				return false, err.Error() // its database may be away just now
			}
			if status != string(want) {
				others = append(others, status)
			}
		}
		return len(others) == 0, fmt.Sprintf("%d are not: %v", len(others), others)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (s *system) awaitHeld(t *testing.T, n int) {
	t.Helper()
	err := testkit.Poll(t.Context(), 5*time.Minute, fmt.Sprintf("%d posts are held", n), func() (bool, string) {
		held := -1
		err := s.rows.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM posts WHERE admission = 'held' AND deferred_reason = 'restored'`).Scan(&held)
		return err == nil && held == n, fmt.Sprintf("%d are (%v)", held, err)
	})
	if err != nil {
		t.Error(err)
	}
}
