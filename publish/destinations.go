package publish

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"socialqueue/db"
	"socialqueue/models"
)

const (
	// destinationFresh is how long what was read of an account and a file is good
	// for the next post: an app that posts a lot asks for the same ones. What
	// changed meanwhile is seen again when the post is sent, but for the account's own place.
	destinationFresh = 2 * time.Second
	maxDestinations  = 10_000
)

// destinations remembers for a moment where posts go. It is safe for concurrent
// use.
type destinations struct {
	db *db.DB

	mu    sync.Mutex
	known map[destinationKey]destinationEntry
}

type destinationKey struct {
	app      int64
	platform models.Platform
	account  int64
	media    string // all ids
}

type destinationEntry struct {
	*db.Destination
	readAt time.Time
}

func newDestinations(d *db.DB) *destinations {
	return &destinations{db: d, known: map[destinationKey]destinationEntry{}}
}

// read gives the account and the files of a request. Nobody may change what it
// returns. It is not remembered if a file is not there.
func (d *destinations) read(ctx context.Context, r *Request, now time.Time) (*db.Destination, error) {
	ids := r.mediaIDs()
	key := destinationKey{r.AppID, r.Platform, r.AccountID, strings.Join(ids, ",")}
	d.mu.Lock()
	entry, ok := d.known[key]
	d.mu.Unlock()
	if ok && now.Sub(entry.readAt) < destinationFresh {
		return entry.Destination, nil
	}
	dest, err := d.db.Posts.Destination(ctx, r.AppID, r.Platform, r.AccountID, ids)
	if err != nil {
		return nil, err
	}
	missing := func(id string) bool { return dest.Media[id] == nil }
	if !slices.ContainsFunc(ids, missing) {
		d.keep(key, destinationEntry{dest, now})
	}
	return dest, nil
}

func (d *destinations) keep(key destinationKey, entry destinationEntry) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.known) >= maxDestinations {
		clear(d.known)
	}
	d.known[key] = entry
}
