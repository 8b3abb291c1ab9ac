package oauth

import (
	"context"
	"errors"
	"strings"

	"socialqueue/db"
	"socialqueue/secrets"
)

// isUnreadable reports whether a stored secret cannot be opened.
func isUnreadable(err error) bool {
	return errors.Is(err, secrets.ErrUnknownKey) || errors.Is(err, secrets.ErrTampered)
}

// rotateBatch is how many secrets are read at a time.
const rotateBatch = 200

// Rotation tells how far a rotation of keys came.
type Rotation struct {
	// Resealed counts the secrets that are now under the first key.
	Resealed int
	// Unreadable counts those that no key opens, by what is wrong with them.
	Unreadable map[string]int
}

// RotateKeys seals every stored secret with the first key that is not under it,
// in batches, while the system runs: a secret that is replaced meanwhile is left
// to the next round, until a round finds nothing to do. It may be cut off anywhere
// and run again. progress is told after each batch.
func (s *Service) RotateKeys(ctx context.Context, progress func(Rotation)) (Rotation, error) {
	total := Rotation{Unreadable: map[string]int{}}
	for {
		round := Rotation{Resealed: total.Resealed, Unreadable: map[string]int{}}
		for _, column := range db.SealedColumns {
			if err := s.rotateColumn(ctx, column, &round, progress); err != nil {
				return round, err
			}
		}
		if round.Resealed == total.Resealed {
			return round, nil
		}
		total = round
	}
}

// Secrets tells how the stored secrets are that last.
type Secrets struct {
	// All counts them, Old those that are not under the first key.
	All, Old int
	// Unreadable counts those that no key opens, by what is wrong with them.
	Unreadable map[string]int
}

// CheckSecrets opens every stored secret that lasts, and forgets it.
func (s *Service) CheckSecrets(ctx context.Context) (Secrets, error) {
	found := Secrets{Unreadable: map[string]int{}}
	for _, column := range db.SealedColumns {
		if !column.Lasts() {
			continue
		}
		if err := s.checkColumn(ctx, column, &found); err != nil {
			return found, err
		}
	}
	return found, nil
}

func (s *Service) checkColumn(ctx context.Context, column db.SealedColumn, found *Secrets) error {
	for after := ""; ; {
		batch, err := s.DB.Tokens.SealedOtherwise(ctx, column, "", after, rotateBatch)
		if err != nil {
			return err
		}
		for _, sealed := range batch {
			s.checkSecret(sealed, found)
			after = sealed.ID
		}
		if len(batch) < rotateBatch {
			return nil
		}
	}
}

func (s *Service) checkSecret(sealed db.Sealed, found *Secrets) {
	found.All++
	if !strings.HasPrefix(sealed.Value, s.Keys.SealPrefix()) {
		found.Old++
	}
	if _, err := s.Keys.Open(sealed.Value, sealed.SealedIn); err != nil {
		found.Unreadable[err.Error()]++
	}
}

func (s *Service) rotateColumn(ctx context.Context, column db.SealedColumn, r *Rotation, progress func(Rotation)) error {
	for after := ""; ; {
		batch, err := s.DB.Tokens.SealedOtherwise(ctx, column, s.Keys.SealPrefix(), after, rotateBatch)
		if err != nil {
			return err
		}
		for _, sealed := range batch {
			if err := s.reseal(ctx, sealed, r); err != nil {
				return err
			}
			after = sealed.ID
		}
		progress(*r)
		if len(batch) < rotateBatch {
			return nil
		}
	}
}

func (s *Service) reseal(ctx context.Context, sealed db.Sealed, r *Rotation) error {
	secret, err := s.Keys.Open(sealed.Value, sealed.SealedIn)
	if err != nil {
		r.Unreadable[err.Error()]++
		return nil
	}
	value, err := s.Keys.Seal(secret, sealed.SealedIn)
	if err != nil {
		return err
	}
	done, err := s.DB.Tokens.Reseal(ctx, sealed, value)
	if done {
		r.Resealed++
	}
	return err
}
