package handlers_test

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"

	"socialqueue/db"
	"socialqueue/db/dbtest"
	"socialqueue/secrets"
	"socialqueue/test/testkit"
)

// The statements of a request are counted, because the project's benchmark compares it with
// a bare handler with one INSERT.
func TestAPostCostsOneStatement(t *testing.T) {
	counted := countStatements(t, dbtest.PostgresURL(t))
	d, err := db.OpenPostgres(t.Context(), secrets.Secret(counted.url), 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	w := newFixture(t, d)
	video := w.upload("upright.mp4")
	// Key and statements are cached after the first request. Before the second, the write of
	// the key's last use has finished.
	w.post(video, nil).want(202)
	testkit.Eventually(t, "the use of the key is noted", func() bool {
		key, err := d.Tenants.KeyByPrefix(t.Context(), w.ours.prefix)
		return err == nil && key.LastUsedAt != nil
	})
	before := counted.n.Load()
	const posts = 50
	for range posts {
		w.post(video, nil).want(202)
	}
	if got := counted.n.Load() - before; got != posts {
		t.Errorf("%d posts cost %d statements, want one each", posts, got)
	}
}

// counter is a proxy to Postgres that counts the statements.
type counter struct {
	url      string
	n        atomic.Int64
	listener net.Listener

	mu    sync.Mutex
	conns []net.Conn
}

// cut closes the connections to Postgres.
func (c *counter) cut() {
	c.listener.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.conns {
		conn.Close()
	}
}

func countStatements(t *testing.T, target string) *counter {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	c := &counter{listener: listener}
	server := u.Host
	u.Host = listener.Addr().String()
	c.url = u.String()
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			c.mu.Lock()
			c.conns = append(c.conns, client)
			c.mu.Unlock()
			go c.serve(client, server)
		}
	}()
	return c
}

func (c *counter) serve(client net.Conn, server string) {
	defer client.Close()
	upstream, err := net.Dial("tcp", server)
	if err != nil {
		return
	}
	defer upstream.Close()
	go func() {
		_, _ = io.Copy(client, upstream)
		client.Close()
	}()
	_ = c.forward(upstream, bufio.NewReader(client))
}

// forward forwards the client's messages: first the start-up message, which has no type,
// then those that have one. A Bind or a simple Query is one statement (PostgreSQL
// documentation, "Message Formats").
func (c *counter) forward(to io.Writer, from *bufio.Reader) error {
	for typed := false; ; typed = true {
		var head []byte
		if typed {
			kind, err := from.ReadByte()
			if err != nil {
				return err
			}
			if kind == 'B' || kind == 'Q' {
				c.n.Add(1)
			}
			head = []byte{kind}
		}
		size := make([]byte, 4)
		if _, err := io.ReadFull(from, size); err != nil {
			return err
		}
		n := int64(binary.BigEndian.Uint32(size)) - 4
		if n < 0 {
			return errors.New("no message")
		}
		if _, err := to.Write(append(head, size...)); err != nil {
			return err
		}
		if _, err := io.CopyN(to, from, n); err != nil {
			return err
		}
	}
}
