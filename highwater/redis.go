package highwater

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// redisKey holds the mark. It never expires.
const redisKey = "socialqueue:highwater"

// Redis keeps the mark in Redis, where all processes of an installation share it.
type Redis struct{ client redis.UniversalClient }

// NewRedis makes a store on a client that the caller closes.
func NewRedis(client redis.UniversalClient) *Redis { return &Redis{client} }

var replace = redis.NewScript(`
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1`)

// Read returns the mark.
func (s *Redis) Read(ctx context.Context) (*Mark, error) {
	text, err := s.client.Get(ctx, redisKey).Result()
	if errors.Is(err, redis.Nil) {
		return nil, nil //nolint:nilnil // there is no mark, which is no error
	}
	if err != nil {
		return nil, fmt.Errorf("read the high-water mark in Redis: %w", err)
	}
	m, err := Parse(text)
	return &m, err
}

// Replace puts another mark in the place of old.
func (s *Redis) Replace(ctx context.Context, old *Mark, m Mark) (bool, error) {
	expected := ""
	if old != nil {
		expected = old.String()
	}
	replaced, err := replace.Run(ctx, s.client, []string{redisKey}, expected, m.String()).Bool()
	if err != nil && !errors.Is(err, redis.Nil) {
		return false, fmt.Errorf("write the high-water mark in Redis: %w", err)
	}
	return replaced, nil
}
