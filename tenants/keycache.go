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
	// cacheLife is how long a revoked key may still be accepted.
	cacheLife = 2 * time.Second
	cacheSize = 10_000
	// touchEvery is how often a key's last use is stored.
	touchEvery = time.Minute
	touchTime  = 5 * time.Second
	// touchesAtOnce limits the concurrent writes.
	touchesAtOnce = 2
)

// keyCache caches the owners of keys for two seconds, so that a busy app does not cost a
// database query per request. Keys are cached by their hash.
type keyCache struct {
	db    *db.DB
	log   logrus.FieldLogger
	slots chan struct{} // one for each touch in progress

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
		clear(k.known) // simple and safe; the next requests query again
	}
	k.known[sum] = knownKey{who: who, until: now.Add(cacheLife)}
}

// touch stores the last use of a key, at most once a minute and in the background. If too
// many writes are in progress, a later request stores it.
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
			k.log.WithError(err).Warn("cannot store the last use of an API key")
		}
	}()
}

// mayTouch makes sure that only one of several concurrent requests stores the same use.
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
