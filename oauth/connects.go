package oauth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"socialqueue/secrets"
)

const (
	// connectKept is how long a connect is remembered: long after its state has
	// expired, so that a late callback still finds its way back to the app.
	connectKept = 24 * time.Hour
	// answerWait is how long a second callback waits for the answer of the first: as
	// long as that one may take.
	answerWait = finishTime + 2*persistFor
	answerPoll = 100 * time.Millisecond
)

var (
	// errUnknownState: we never gave out this state, or long ago.
	errUnknownState = errors.New("the state is not known")
	// errInterrupted: the first callback ended without an answer.
	errInterrupted = errors.New("the first callback ended without an answer")
)

// connects keeps the consents that are under way, in Redis: under a hash of the
// state, sealed, so that nobody who reads Redis can finish one.
type connects struct {
	redis redis.UniversalClient
	keys  *secrets.Keyring
}

func (c connects) key(kind, state string) string {
	sum := sha256.Sum256([]byte(state))
	return "socialqueue:connect:" + kind + ":" + hex.EncodeToString(sum[:])
}

const (
	kindRecord = "record"
	kindClaim  = "claim"
	kindAnswer = "answer"
)

// open remembers a consent that is asked for.
func (c connects) open(ctx context.Context, state string, record connect) error {
	return c.put(ctx, c.key(kindRecord, state), record)
}

// read finds a consent that was asked for; errUnknownState if there is none.
func (c connects) read(ctx context.Context, state string) (connect, error) {
	var record connect
	found, err := c.get(ctx, c.key(kindRecord, state), &record)
	if err == nil && !found {
		err = errUnknownState
	}
	return record, err
}

// claim reports whether the caller is the first, and so the only one, to finish.
func (c connects) claim(ctx context.Context, state string) (bool, error) {
	key, owner := c.key(kindClaim, state), rand.Text()
	first, err := c.redis.SetNX(ctx, key, owner, connectKept).Result()
	if err == nil && !first {
		// It may be ours: an answer that is lost on its way makes the client ask twice.
		var holder string
		holder, err = c.redis.Get(ctx, key).Result()
		first = holder == owner
	}
	if err != nil {
		return false, fmt.Errorf("claim a connect in Redis: %w", err)
	}
	return first, nil
}

// keep remembers how a consent ended, for whoever asks again.
func (c connects) keep(ctx context.Context, state string, o Outcome) error {
	return c.put(ctx, c.key(kindAnswer, state), o)
}

// answer waits for how the first callback ended.
func (c connects) answer(ctx context.Context, state string) (Outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWait)
	defer cancel()
	poll := time.NewTicker(answerPoll)
	defer poll.Stop()
	for {
		var o Outcome
		found, err := c.get(ctx, c.key(kindAnswer, state), &o)
		switch {
		case ctx.Err() != nil:
			return Outcome{}, errInterrupted
		case found || err != nil:
			return o, err
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
		}
	}
}

func (c connects) put(ctx context.Context, key string, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode a connect: %w", err)
	}
	sealed, err := c.keys.Seal(secrets.Secret(raw), key)
	if err != nil {
		return fmt.Errorf("seal a connect: %w", err)
	}
	if err := c.redis.Set(ctx, key, sealed, connectKept).Err(); err != nil {
		return fmt.Errorf("store a connect in Redis: %w", err)
	}
	return nil
}

func (c connects) get(ctx context.Context, key string, v any) (found bool, err error) {
	sealed, err := c.redis.Get(ctx, key).Result()
	if errors.Is(err, redis.Nil) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read a connect in Redis: %w", err)
	}
	raw, err := c.keys.Open(sealed, key)
	if err != nil {
		return false, fmt.Errorf("open a connect: %w", err)
	}
	if err := json.Unmarshal([]byte(raw.Reveal()), v); err != nil {
		return false, fmt.Errorf("decode a connect: %w", err)
	}
	return true, nil
}
