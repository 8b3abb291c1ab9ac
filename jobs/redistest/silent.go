package redistest

import (
	"net"
	"sync"
	"testing"
)

// Silent returns the address of a Redis that accepts every connection and never answers. It
// stops with the test.
func Silent(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var taken sync.WaitGroup
	taken.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		taken.Wait()
	})
	return listener.Addr().String()
}
