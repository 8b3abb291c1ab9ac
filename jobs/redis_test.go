package jobs

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"socialqueue/config"
)

// drops is the connection to a Redis that drops all packets, even the first.
type drops struct {
	settleHook
	over chan struct{} // closed at the end of the test, which go-redis's own dialing outlives
}

// DialHook waits as long as the dialer allows.
func (d drops) DialHook(redis.DialHook) redis.DialHook {
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		select {
		case <-ctx.Done():
		case <-d.over:
		}
		return nil, context.DeadlineExceeded
	}
}

// TestRedisDropsPackets checks that a call without a deadline ends before the client has
// tried everything.
func TestRedisDropsPackets(t *testing.T) {
	for name, ask := range map[string]func(*Queue) error{
		"paused queues": func(q *Queue) error { _, err := q.Paused(); return err },
		"workers":       func(q *Queue) error { _, err := q.Workers(); return err },
		"maintenance":   func(q *Queue) error { return q.EnqueueMaintenance(t.Context(), 1, 1) },
		"pipeline":      func(q *Queue) error { _, err := q.redis.Pipelined(t.Context(), onePing); return err },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := NewRedis(config.Redis{Mode: config.RedisSingle, Addrs: []string{"redis.example:6379"}})
			t.Cleanup(func() { _ = client.Close() })
			way := drops{over: make(chan struct{})}
			t.Cleanup(func() { close(way.over) })
			client.AddHook(way)
			began := time.Now()
			err := ask(NewQueue(client, testKinds()))
			if took := time.Since(began); err == nil || took > 2*callTimeout {
				t.Errorf("took %s, and err = %v", took, err)
			}
		})
	}
}

func onePing(p redis.Pipeliner) error { return p.Ping(context.Background()).Err() }
