//go:build pooler

package e2e

import (
	"database/sql"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	_ "github.com/jackc/pgx/v5/stdlib" // the "pgx" driver

	"socialqueue/db"
	"socialqueue/doctor"
	"socialqueue/secrets"
	"socialqueue/test/testkit"
)

// poolSize is the number of connections that PgBouncer has to Postgres.
const poolSize = 10

// startPgBouncer starts PgBouncer in transaction mode in front of a database and returns the
// database's address behind it.
func startPgBouncer(t *testing.T, databaseURL string) string {
	t.Helper()
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		t.Fatal("pgbouncer is needed: install it (apt-get install pgbouncer)")
	}
	cfg, err := pgx.ParseConfig(databaseURL)
	testkit.Must(t, err)
	free, err := net.Listen("tcp", "127.0.0.1:0")
	testkit.Must(t, err)
	addr := free.Addr().(*net.TCPAddr)
	testkit.Must(t, free.Close())
	password := ""
	if cfg.Password != "" {
		password = " password=" + cfg.Password
	}
	file := filepath.Join(t.TempDir(), "pgbouncer.ini")
	testkit.Must(t, os.WriteFile(file, fmt.Appendf(nil, `[databases]
* = host=%s port=%d user=%s%s
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = %d
max_client_conn = 500
`, cfg.Host, cfg.Port, cfg.User, password, addr.Port, poolSize), 0o600))
	args := []string{file}
	if os.Getuid() == 0 { // it refuses to run as root
		args = []string{"-u", "nobody", file}
	}
	var said strings.Builder
	bouncer := exec.Command(program, args...)
	bouncer.Stdout, bouncer.Stderr = &said, &said
	testkit.Must(t, bouncer.Start())
	t.Cleanup(func() {
		_ = bouncer.Process.Kill()
		_ = bouncer.Wait()
		if t.Failed() {
			t.Logf("pgbouncer: %.4000s", said.String())
		}
	})
	u, err := url.Parse(databaseURL)
	testkit.Must(t, err)
	u.Host = addr.String()
	pool, err := sql.Open("pgx", u.String()+"&default_query_exec_mode=exec")
	testkit.Must(t, err)
	defer pool.Close()
	testkit.Eventually(t, "PgBouncer answers", func() bool { return pool.PingContext(t.Context()) == nil })
	return u.String()
}

// TestBehindPgBouncer installs, migrates and posts through PgBouncer in transaction mode: the
// default address of many hosted databases.
func TestBehindPgBouncer(t *testing.T) {
	var through string
	w := newSystem(t, setup{sandbox: unlimited(), databaseVia: func(databaseURL string) string {
		through = startPgBouncer(t, databaseURL)
		return through
	}})
	wantFound(t, w.examine(doctor.Options{}, nil), doctor.OK, "database", "behind a pooler")
	d, err := db.OpenPostgres(t.Context(), secrets.Secret(through), 4)
	w.must(err)
	defer d.Close()
	if !d.Pooled() || w.db.Pooled() {
		t.Errorf("a pooler is recognized: %v through PgBouncer, %v without", d.Pooled(), w.db.Pooled())
	}
	for range 3 { // each needed prepared statements of its own
		if _, err := d.Migrate(t.Context()); err != nil {
			t.Fatalf("migrate: %v", err)
		}
	}
	marked, err := db.OpenPostgres(t.Context(), secrets.Secret(through+"&pgbouncer=true"), 4)
	w.must(err)
	defer marked.Close()

	for range 2 {
		w.startWorker()
		w.startScheduler()
	}
	began := time.Now()
	posts := w.acceptMany(20, 5)
	w.untilAllLive(2*time.Minute, posts)
	for _, state := range []string{"42P05", "26000"} {
		if n := strings.Count(w.logs.String(), state); n > 0 {
			t.Errorf("SQLSTATE %s was logged %d times", state, n)
		}
	}
	t.Logf("MEASURED pgbouncer pool=%d posts=%d live_after=%.1fs", poolSize, posts, time.Since(began).Seconds())
}
