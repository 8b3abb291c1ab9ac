package engine

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"sync"
)

// idSource numbers everything that needs an identifier. It starts at a random point, so a client's database that
// outlives the sandbox never meets a number twice. A platform gives its identifiers their shape.
type idSource struct {
	mu  sync.Mutex
	seq uint64
}

func newIDSource() *idSource {
	var b [8]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	return &idSource{seq: binary.BigEndian.Uint64(b[:]) >> 1}
}

func (g *idSource) next() uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.seq++
	return g.seq
}

// newSecret is a random token under a prefix that says it belongs to the sandbox.
func newSecret(prefix string) string {
	var b [12]byte
	rand.Read(b[:])
	return prefix + hex.EncodeToString(b[:])
}
