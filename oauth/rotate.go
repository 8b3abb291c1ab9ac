package oauth

import (
	"context"
	"errors"
	"strings"

	"socialqueue/db"
	"socialqueue/secrets"
)

// isUnreadable reports whether a stored secret cannot be decrypted.
func isUnreadable(err error) bool {
	return errors.Is(err, secrets.ErrUnknownKey) || errors.Is(err, secrets.ErrTampered)
}

// rotateBatch is how many secrets are read at a time.
const rotateBatch = 200

// Rotation is the progress of a key rotation.
type Rotation struct {
	// Resealed counts the secrets that were encrypted with the first key.
	Resealed int
	// Unreadable counts the secrets that no key decrypts, by error.
	Unreadable map[string]int
}

// RotateKeys encrypts every stored secret with the first key. It works in batches while the
// system runs. A secret that is replaced meanwhile is left to the next round; it ends after
// a round that changed nothing. It may be interrupted at any time and run again. It calls
// progress after each batch.
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

// Secrets is the state of the stored secrets that last.
type Secrets struct {
	// All counts the secrets, and Old those that are not encrypted with the first key.
	All, Old int
	// Unreadable counts the secrets that no key decrypts, by error.
	Unreadable map[string]int
}

// CheckSecrets decrypts every stored secret that lasts, to see which keys are needed.
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
