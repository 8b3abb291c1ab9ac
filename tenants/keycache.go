package tenants

import (
	"context"
	"crypto/sha256"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"socialqueue/db"
	"socialqueue/models"
)

const (
	// cacheLife is how long a revoked key may still be let in.
	cacheLife = 2 * time.Second
	cacheSize = 10_000
	// touchEvery spaces the notes of a key's last use.
	touchEvery = time.Minute
	touchTime  = 5 * time.Second
	// touchesAtOnce bounds the writes that are under way.
	touchesAtOnce = 2
)

// keyCache remembers for a moment who a key belongs to, so that a busy app
// costs one look-up every two seconds and not one per request. Keys are
// remembered by their hash.
type keyCache struct {
	db    *db.DB
	log   logrus.FieldLogger
	slots chan struct{} // one for each touch under way

	mu      sync.RWMutex
	known   map[[sha256.Size]byte]knownKey // guarded by mu
	touched map[int64]time.Time            // by key id; guarded by mu
}

type knownKey struct {
	who   Caller
	until time.Time
}

func newKeyCache(deps *Deps) *keyCache {
	return &keyCache{
		db: deps.DB, log: deps.Log, slots: make(chan struct{}, touchesAtOnce),
		known: map[[sha256.Size]byte]knownKey{}, touched: map[int64]time.Time{},
	}
}

func (k *keyCache) get(sum [sha256.Size]byte, now time.Time) (Caller, bool) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	entry, ok := k.known[sum]
	return entry.who, ok && now.Before(entry.until)
}

func (k *keyCache) put(sum [sha256.Size]byte, who Caller, now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.known) >= cacheSize {
		clear(k.known) // dearer than it need be, and never wrong
	}
	k.known[sum] = knownKey{who: who, until: now.Add(cacheLife)}
}

// touch notes that a key was used, at most once a minute and beside the
// request. When too many notes are under way this one is left to a later
// request.
func (k *keyCache) touch(key *models.APIKey, now time.Time) {
	if key.LastUsedAt != nil && now.Sub(*key.LastUsedAt) < touchEvery {
		return
	}
	select {
	case k.slots <- struct{}{}:
	default:
		return
	}
	if !k.mayTouch(key.ID, now) {
		<-k.slots
		return
	}
	go func() {
		defer func() { <-k.slots }()
		ctx, cancel := context.WithTimeout(context.Background(), touchTime)
		defer cancel()
		if err := k.db.Tenants.TouchKey(ctx, key.ID, now); err != nil {
			k.log.WithError(err).Warn("the last use of an API key was not noted")
		}
	}()
}

// mayTouch keeps the requests that missed the cache together from all noting
// the same use.
func (k *keyCache) mayTouch(id int64, now time.Time) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if last, ok := k.touched[id]; ok && now.Sub(last) < touchEvery {
		return false
	}
	if len(k.touched) >= cacheSize {
		clear(k.touched)
	}
	k.touched[id] = now
	return true
}
