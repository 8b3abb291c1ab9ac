package engine

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"sync"
)

// idSource generates numbers for identifiers. It starts at a random number, so that identifiers do not repeat in a
// database that outlives the sandbox. The platforms derive their own formats.
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

// newSecret returns a random token with the given prefix.
func newSecret(prefix string) string {
	var b [12]byte
	rand.Read(b[:])
	return prefix + hex.EncodeToString(b[:])
}
