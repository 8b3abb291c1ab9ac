package oauth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"socialqueue/secrets"
)

const (
	// connectKept is how long a connect is stored: until its state has expired, and for some
	// more time, in which a late callback can still return to the app.
	connectKept = connectLife + 45*time.Minute
	// answerWait is how long a second callback waits for the outcome of the first. The first
	// may take that long.
	answerWait = finishTime + 2*persistFor
	answerPoll = 100 * time.Millisecond
)

var (
	// errUnknownState means that the state was never issued here, or is too old.
	errUnknownState = errors.New("unknown state")
	// errInterrupted means that the first callback ended without storing an outcome.
	errInterrupted = errors.New("the first callback stored no outcome")
)

// connects stores pending connects in Redis. Keys are hashes of the state and values are
// encrypted, so that read access to Redis is not enough to finish a connect.
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
	kindOpen   = "open"
)

// open stores a new connect.
func (c connects) open(ctx context.Context, state string, record connect) error {
	return c.put(ctx, c.key(kindRecord, state), record)
}

// admit counts a new connect as open, unless its owner has most of them already. It reports
// whether it did. A connect is open until it is claimed or its state expires.
func (c connects) admit(ctx context.Context, owner, state string, most int64, now time.Time) (bool, error) {
	key, member := c.key(kindOpen, owner), c.key(kindRecord, state)
	var open *redis.IntCmd
	_, err := c.redis.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.ZRemRangeByScore(ctx, key, "-inf", strconv.FormatInt(now.Add(-connectLife).Unix(), 10))
		open = p.ZCard(ctx, key)
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("count open connects in Redis: %w", err)
	}
	if open.Val() >= most {
		return false, nil
	}
	_, err = c.redis.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.ZAdd(ctx, key, redis.Z{Score: float64(now.Unix()), Member: member})
		p.Expire(ctx, key, connectKept)
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("count a connect in Redis: %w", err)
	}
	return true, nil
}

// done ends the count of a connect as open. If it fails, the count ends with the state.
func (c connects) done(ctx context.Context, state string, owners ...string) error {
	var errs []error
	for _, owner := range owners {
		errs = append(errs, c.redis.ZRem(ctx, c.key(kindOpen, owner), c.key(kindRecord, state)).Err())
	}
	return errors.Join(errs...)
}

// read returns a connect, or errUnknownState if there is none.
func (c connects) read(ctx context.Context, state string) (connect, error) {
	var record connect
	found, err := c.get(ctx, c.key(kindRecord, state), &record)
	if err == nil && !found {
		err = errUnknownState
	}
	return record, err
}

// claim reports whether the caller is the first to handle the callback. Only the first may
// finish the connect.
func (c connects) claim(ctx context.Context, state string) (bool, error) {
	key, owner := c.key(kindClaim, state), rand.Text()
	first, err := c.redis.SetNX(ctx, key, owner, connectKept).Result()
	if err == nil && !first {
		// The claim may be ours: the client repeats a command whose answer was lost.
		var holder string
		holder, err = c.redis.Get(ctx, key).Result()
		first = holder == owner
	}
	if err != nil {
		return false, fmt.Errorf("claim a connect in Redis: %w", err)
	}
	return first, nil
}

// keep stores the outcome for repeated callbacks.
func (c connects) keep(ctx context.Context, state string, o Outcome) error {
	return c.put(ctx, c.key(kindAnswer, state), o)
}

// answer waits for the outcome of the first callback.
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
