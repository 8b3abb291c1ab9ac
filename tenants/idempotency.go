package tenants

import (
	"context"
	"time"

	"socialqueue/db"
	"socialqueue/models"
)

// Completion is what a use case stores with the idempotency key of its request, in the
// transaction that does the work.
type Completion = db.Completion

// Claim is a request's claim on its idempotency key.
type Claim struct {
	appID      int64
	key, owner string
}

// Completion returns the completion of the key with an answer. postID is the post that the
// request created, if any. hash is that of the request's body if it was unknown when the
// key was taken.
func (c *Claim) Completion(status int, body []byte, postID *string, hash string) *Completion {
	return &Completion{AppID: c.appID, Key: c.key, Owner: c.owner, Status: status, Body: string(body), PostID: postID, BodyHash: hash}
}

// Attempt is a request with an idempotency key.
type Attempt struct {
	AppID int64
	Key   string
	// Request is its method and route.
	Request string
	// BodyHash is empty until it is known.
	BodyHash string
	// Lock is how long a request that died keeps the key.
	Lock time.Duration
}

// Take reserves an idempotency key for a request. If another request has the key, the claim
// is nil and Take returns the row of that request. It returns models.ErrNotFound if that
// request has just released the key.
func (s *Service) Take(ctx context.Context, a Attempt) (*Claim, *models.IdempotencyKey, error) {
	now := s.Now()
	row := models.IdempotencyKey{
		AppID: a.AppID, Key: a.Key, Request: a.Request, BodyHash: a.BodyHash,
		Owner: models.NewID(), LockedUntil: now.Add(a.Lock), CreatedAt: now,
	}
	held, taken, err := s.DB.Tenants.TakeKey(ctx, &row, now)
	if err != nil || !taken {
		return nil, held, err
	}
	return &Claim{appID: row.AppID, key: row.Key, owner: row.Owner}, nil, nil
}

// Release releases the key of a failed request. A completed key stays.
func (s *Service) Release(ctx context.Context, c *Claim) error {
	return s.DB.Tenants.ReleaseKey(ctx, c.appID, c.key, c.owner)
}

// Complete completes a key in its own transaction, for work that may be repeated safely. It
// returns models.ErrStale if another request took the key over.
func (s *Service) Complete(ctx context.Context, done *Completion) error {
	return s.DB.Tenants.CompleteKey(ctx, done)
}
