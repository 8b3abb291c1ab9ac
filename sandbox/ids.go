package sandbox

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
	"time"
)

// idSource makes identifiers shaped like the platforms' own. They start at a random point, so a client's database
// that outlives the sandbox never meets one twice.
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

// snowflake is a 19 digit id far above 2^53, seconds in the upper half, as TikTok's post and upload ids are.
func (g *idSource) snowflake(now time.Time) int64 {
	return now.Unix()<<32 | int64(uint32(g.next()*2654435761)) // odd factor: a bijection, so ids stay unique
}

// graph is a 17 digit Instagram id; the prefix keeps containers and media in different number spaces.
func (g *idSource) graph(prefix string) string {
	return fmt.Sprintf("%s%014d", prefix, g.next()%1e14)
}

// logID is shaped like TikTok's log_id: a UTC timestamp, then a unique tail.
func (g *idSource) logID(now time.Time) string {
	return fmt.Sprintf("%sSIM%016X", now.UTC().Format("20060102150405"), g.next())
}

// trace is shaped like Meta's fbtrace_id.
func (g *idSource) trace() string {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], g.next())
	return "A" + base64.RawURLEncoding.EncodeToString(b[:])
}

// secret is a random token under a prefix that says it belongs to the sandbox.
func (g *idSource) secret(prefix string) string {
	var b [12]byte
	rand.Read(b[:])
	return prefix + hex.EncodeToString(b[:])
}

// shortcode is the public code of an Instagram media id, as used in its permalink.
func shortcode(mediaID string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	var n uint64
	_, _ = fmt.Sscan(mediaID, &n) // our own ids are numbers
	var b strings.Builder
	for shift := 60; shift >= 0; shift -= 6 {
		b.WriteByte(alphabet[n>>shift&63])
	}
	return b.String()
}
