package testkit

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"
)

// stopTimeout is how long a process may take to stop.
const stopTimeout = 20 * time.Second

// Process is a process of ours as package app builds it.
type Process interface {
	Start(ctx context.Context) error
	Stop(ctx context.Context) error
}

// Run starts a process and returns how to stop it, as SIGTERM would. It stops at the end of the test at the latest.
func Run(t testing.TB, p Process) (stop func()) {
	t.Helper()
	stop = sync.OnceFunc(func() {
		ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
		defer cancel()
		if err := p.Stop(ctx); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	t.Cleanup(stop)
	Must(t, p.Start(t.Context()))
	return stop
}

// given holds the addresses that FreeAddr returned, to whichever test.
var given sync.Map

// FreeAddr returns an address for a process that listens there later, and again after it was killed. Its port is below
// the range from which the system gives ports to other tests meanwhile.
func FreeAddr(t testing.TB) string {
	t.Helper()
	for range 1000 {
		addr := fmt.Sprintf("127.0.0.1:%d", 20_000+rand.IntN(12_000))
		if _, taken := given.LoadOrStore(addr, true); taken {
			continue
		}
		if l, err := net.Listen("tcp", addr); err == nil {
			_ = l.Close()
			return addr
		}
	}
	t.Fatal("no port is free")
	return ""
}
