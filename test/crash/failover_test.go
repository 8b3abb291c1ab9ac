package crash_test

import (
	"database/sql"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"socialqueue/models"
	"socialqueue/test/testkit"
)

// TestPromotedStandby has a standby fall behind while posts go live, kills its primary, and
// promotes it. The processes keep running, and find out before they send anything again.
func TestPromotedStandby(t *testing.T) {
	primary := ownPostgres(t)
	standby := standbyOf(t, primary)
	s := newSystem(t, setup{databaseURL: fmt.Sprintf(
		"postgresql://postgres@%s,%s/postgres?sslmode=disable&connect_timeout=2&target_session_attrs=read-write", primary.hostPort(t), standby.hostPort(t))})
	at := time.Now().Add(liveIn)
	before := s.schedule(t, "image", 1, time.Now())
	s.awaitStatus(t, before, models.Published)
	posts := s.schedule(t, "image", restoredPosts, at)
	awaitReplay(t, primary, standby)
	standby.detach(t)
	s.awaitStatus(t, posts, models.Published)
	sent := len(s.sim.LivePosts())

	primary.end()
	standby.promote(t)
	s.awaitStatus(t, posts, models.Published)
	if live := len(s.sim.LivePosts()); live != sent {
		t.Errorf("%d posts are live, %d were sent before the standby took over", live, sent)
	}
	var reason string
	if err := s.rows.QueryRowContext(t.Context(), "SELECT reason FROM restores").Scan(&reason); err != nil || reason != string(models.RestoreBehind) {
		t.Errorf("the restore is %q, %v", reason, err)
	}
	if !testing.Short() { // new posts wait until nothing sent before can arrive
		s.awaitStatus(t, s.schedule(t, "image", 3, time.Now()), models.Published)
	}
	t.Logf("standby: sent=%d found=%d live=%d", sent, len(posts), len(s.sim.LivePosts()))
}

// hostPort is where a PostgreSQL listens.
func (s *server) hostPort(t *testing.T) string {
	t.Helper()
	return mustURL(t, s.url).Host
}

// standbyOf starts a standby that follows a primary.
func standbyOf(t *testing.T, primary *server) *server {
	t.Helper()
	bin, dir := os.Getenv("TEST_POSTGRES_BIN"), serverDir(t)
	attr := postgresUser(t, dir)
	data := filepath.Join(dir, "data")
	host, port, _ := net.SplitHostPort(primary.hostPort(t))
	backup := exec.CommandContext(t.Context(), filepath.Join(bin, "pg_basebackup"), "-h", host, "-p", port, "-U", "postgres", "-D", data, "-R", "-X", "stream", "--checkpoint=fast", "--no-sync")
	backup.Dir, backup.SysProcAttr = "/", attr
	if out, err := backup.CombinedOutput(); err != nil {
		t.Fatalf("pg_basebackup: %v\n%s", err, out)
	}
	_, own, _ := net.SplitHostPort(testkit.FreeAddr(t))
	return newServer(t, postgresServer("standby", bin, dir, data, own, attr))
}

// detach has a standby receive nothing more.
func (s *server) detach(t *testing.T) {
	t.Helper()
	var reloaded bool
	s.exec(t, "ALTER SYSTEM SET primary_conninfo = ''")
	s.ask(t, "SELECT pg_reload_conf()", &reloaded)
	err := testkit.Poll(t.Context(), 30*time.Second, "the standby is detached", func() (bool, string) {
		var receivers int
		s.ask(t, "SELECT COUNT(*) FROM pg_stat_wal_receiver", &receivers)
		return receivers == 0, fmt.Sprintf("%d receivers", receivers)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (s *server) exec(t *testing.T, statement string) {
	t.Helper()
	d, err := sql.Open("pgx", s.url)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := d.ExecContext(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

// awaitReplay waits until the standby has all that the primary has.
func awaitReplay(t *testing.T, primary, standby *server) {
	t.Helper()
	var written string
	primary.ask(t, "SELECT pg_current_wal_lsn()::text", &written)
	err := testkit.Poll(t.Context(), 30*time.Second, "the standby has replayed "+written, func() (bool, string) {
		var replayed bool
		standby.ask(t, fmt.Sprintf("SELECT pg_last_wal_replay_lsn() >= '%s'::pg_lsn", written), &replayed)
		return replayed, ""
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (s *server) promote(t *testing.T) {
	t.Helper()
	var promoted bool
	s.ask(t, "SELECT pg_promote()", &promoted)
	if !promoted {
		t.Fatal("the standby was not promoted")
	}
}

// ask asks a server itself.
func (s *server) ask(t *testing.T, query string, into any) {
	t.Helper()
	d, err := sql.Open("pgx", s.url)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := d.QueryRowContext(t.Context(), query).Scan(into); err != nil {
		t.Fatal(err)
	}
}
