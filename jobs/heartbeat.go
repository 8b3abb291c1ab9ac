package jobs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
)

// Asynq lists a server for up to half a minute after its process was killed. So each worker
// also has a key of its own, which it renews every second.
const (
	beatEvery = time.Second
	// beatLate is how old the last beat of a live worker may be.
	beatLate = 4 * time.Second
	// beatKept is how long the key stays after the last beat. It has to be longer than
	// Asynq lists a dead server: a listed server without a key is a worker of the previous
	// release, and counts as alive.
	beatKept = 5 * time.Minute
)

// beatKey returns the key of a worker process. It is built from what Asynq says of a server.
func beatKey(host string, pid int) string { return fmt.Sprintf("socialqueue:worker:%s:%d", host, pid) }

// heartbeat renews the key of this process.
type heartbeat struct {
	redis redis.UniversalClient
	key   string
	end   context.CancelFunc
	ended sync.WaitGroup
}

func newHeartbeat(client redis.UniversalClient) *heartbeat {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown-host" // as Asynq says
	}
	return &heartbeat{redis: client, key: beatKey(host, os.Getpid()), end: func() {}}
}

// start beats until stop is called. A failed beat is not logged: Redis does not answer then,
// and Asynq logs that.
func (h *heartbeat) start() {
	var ctx context.Context
	ctx, h.end = context.WithCancel(context.Background())
	h.ended.Go(func() {
		for beating := true; beating; beating = sleep(ctx, beatEvery) {
			h.beat(ctx)
		}
	})
}

func (h *heartbeat) beat(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, beatEvery)
	defer cancel()
	_ = h.redis.Set(ctx, h.key, "1", beatKept).Err()
}

// stop ends the beats and removes the key.
func (h *heartbeat) stop() {
	h.end()
	h.ended.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), beatEvery)
	defer cancel()
	_ = h.redis.Del(ctx, h.key).Err()
}

// living returns those of some servers whose process is alive. The age of a beat is what
// Redis counted down of its key, so no clocks are compared.
func living(ctx context.Context, client redis.UniversalClient, servers []*asynq.ServerInfo) ([]*asynq.ServerInfo, error) {
	if len(servers) == 0 {
		return nil, nil
	}
	pipe := client.Pipeline()
	left := make([]*redis.DurationCmd, len(servers))
	for i, s := range servers {
		left[i] = pipe.PTTL(ctx, beatKey(s.Host, s.PID))
	}
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return nil, fmt.Errorf("read the heartbeats of workers: %w", err)
	}
	var alive []*asynq.ServerInfo
	for i, s := range servers {
		if ttl := left[i].Val(); ttl < 0 || beatKept-ttl <= beatLate { // below 0: there is no key
			alive = append(alive, s)
		}
	}
	return alive, nil
}
