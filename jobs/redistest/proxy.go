package redistest

import (
	"io"
	"net"
	"sync"
	"testing"
)

// Proxy is a proxy between a client and its server that breaks the connection on demand.
type Proxy struct {
	upstream string
	listener net.Listener

	mu      sync.Mutex
	conns   map[net.Conn]bool
	cut     bool
	deaf    bool
	pending sync.WaitGroup
}

// NewProxy starts a proxy in front of upstream. It stops with the test.
func NewProxy(t testing.TB, upstream string) *Proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{upstream: upstream, listener: listener, conns: map[net.Conn]bool{}}
	p.pending.Go(p.accept)
	t.Cleanup(func() {
		_ = listener.Close()
		p.Cut()
		p.pending.Wait()
	})
	return p
}

// Addr returns the address of the proxy.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Cut closes every connection and drops new ones at once.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = true
	p.closeAll()
}

// LoseNextAnswer forwards the next request and breaks the connection before its answer.
func (p *Proxy) LoseNextAnswer() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deaf = true
}

// Mend forwards everything again.
func (p *Proxy) Mend() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut, p.deaf = false, false
}

func (p *Proxy) closeAll() {
	for conn := range p.conns {
		_ = conn.Close()
		delete(p.conns, conn)
	}
}

func (p *Proxy) accept() {
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.pending.Go(func() { p.serve(conn) })
	}
}

func (p *Proxy) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", p.upstream)
	if err != nil {
		return
	}
	defer server.Close()
	if !p.track(client, server) {
		return
	}
	go func() {
		_, _ = io.Copy(server, client)
		_ = server.Close()
	}()
	p.answers(client, server)
}

func (p *Proxy) track(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conn := range conns {
		p.conns[conn] = true
	}
	return !p.cut
}

// answers copies the server's answers until one must be lost.
func (p *Proxy) answers(client, server net.Conn) {
	buf := make([]byte, 32<<10)
	for {
		n, err := server.Read(buf)
		if err != nil || p.loses() {
			return
		}
		if _, err := client.Write(buf[:n]); err != nil {
			return
		}
	}
}

func (p *Proxy) loses() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	lost := p.deaf
	p.deaf = false
	return lost
}
