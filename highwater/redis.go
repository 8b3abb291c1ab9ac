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

// advance compares numbers as text, by length first: they may exceed what Lua keeps
// exactly.
var advance = redis.NewScript(`
local current = redis.call('GET', KEYS[1])
local mark = ARGV[1] .. '#' .. ARGV[2]
if current then
	local at = string.find(current, '#', 1, true)
	if not at or string.sub(current, 1, at - 1) ~= ARGV[1] then return current end
	local seq = string.sub(current, at + 1)
	if #seq > #ARGV[2] or (#seq == #ARGV[2] and seq >= ARGV[2]) then return current end
end
redis.call('SET', KEYS[1], mark)
return mark`)

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

// Advance raises the mark.
func (s *Redis) Advance(ctx context.Context, m Mark) (Mark, error) {
	text, err := advance.Run(ctx, s.client, []string{redisKey}, m.Identity, m.Seq).Text()
	if err != nil {
		return Mark{}, fmt.Errorf("raise the high-water mark in Redis: %w", err)
	}
	return Parse(text)
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
