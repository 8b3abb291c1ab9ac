package tenants

import (
	"context"

	"socialqueue/models"
)

// Caller is the app that makes a request, and the key that it uses.
type Caller struct {
	AppID int64
	KeyID int64
}

// Authenticate finds the owner of an API key. It returns models.ErrNotFound for a key
// that does not exist or is revoked. A key that was revoked less than two seconds ago
// may still pass.
func (s *Service) Authenticate(ctx context.Context, key string) (Caller, error) {
	prefix, ok := keyPrefix(key)
	if !ok {
		return Caller{}, models.ErrNotFound
	}
	sum := hashKey(key)
	if who, ok := s.keys.get(sum, s.Now()); ok {
		return who, nil
	}
	row, err := s.DB.Tenants.KeyByPrefix(ctx, prefix)
	if err != nil {
		return Caller{}, err
	}
	if !verifyKey(row.Hash, key) {
		return Caller{}, models.ErrNotFound
	}
	who, now := Caller{AppID: row.AppID, KeyID: row.ID}, s.Now()
	s.keys.put(sum, who, now)
	s.keys.touch(row, now)
	return who, nil
}
