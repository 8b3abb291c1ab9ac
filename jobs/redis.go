package jobs

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"github.com/sirupsen/logrus"

	"socialqueue/config"
	"socialqueue/observe"
)

// ErrEvicts is returned when Redis may evict tasks once its memory is full.
var ErrEvicts = errors.New("redis may evict tasks: set maxmemory-policy to noeviction")

// callTimeout limits a call to Redis whose context has no deadline.
const callTimeout = 5 * time.Second

// settleRetryPause is the wait between attempts to record in Redis that a task ended.
const settleRetryPause = 100 * time.Millisecond

// clusterReload is how often the client reads a cluster's slots while it uses them. A dead
// master does not redirect to its replica; without reading the slots again, go-redis would
// call it for a minute.
const clusterReload = time.Second

// NewRedis returns a client for a single Redis, a Sentinel group or a Cluster. Close it
// only after everything that uses it has stopped: Asynq crashes if its client is closed
// first.
func NewRedis(cfg config.Redis) redis.UniversalClient {
	opts := &redis.UniversalOptions{
		Addrs: cfg.Addrs, Username: cfg.Username, Password: cfg.Password.Reveal(), DB: cfg.DB,
		IsClusterMode: cfg.Mode == config.RedisCluster,
		MasterName:    cfg.Master, SentinelUsername: cfg.SentinelUsername, SentinelPassword: cfg.SentinelPassword.Reveal(),
		// Without this go-redis ignores the deadlines of contexts.
		ContextTimeoutEnabled: true,
		// Only one vendor's cloud sends notifications of planned maintenance.
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	if cfg.TLS {
		opts.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	client := connect(cfg.Mode, opts)
	client.AddHook(outageHook{})
	client.AddHook(settleHook{})
	client.AddHook(patienceHook{}) // inside settleHook, which needs the caller's deadline
	return client
}

func connect(mode config.RedisMode, opts *redis.UniversalOptions) redis.UniversalClient {
	if mode != config.RedisCluster {
		return redis.NewUniversalClient(opts)
	}
	cluster := opts.Cluster()
	cluster.ClusterStateReloadInterval = clusterReload
	return redis.NewClusterClient(cluster)
}

// LogRedis makes the Redis client log at debug level instead of to standard error. Most of
// it is in our own errors too.
func LogRedis(log logrus.FieldLogger) { redis.SetLogger(redisLog{log}) }

type redisLog struct{ log logrus.FieldLogger }

// Printf implements the client's logger.
func (l redisLog) Printf(_ context.Context, format string, args ...any) {
	l.log.WithField(observe.FieldAction, "redis").Debugf(format, args...)
}

// settleHook retries the calls by which Asynq records that a task ended.
//
// Asynq v0.26 passes a failed acknowledgement to its syncer with a context that is already
// canceled. So there is no second attempt, and the finished task runs again after its
// lease. The acknowledging calls are the only scripts that Asynq runs under a deadline,
// that of the task's lease. They are repeated until then, but only after transport errors.
// Repeating them is safe: Redis then answers that the task is gone.
type settleHook struct{}

// DialHook leaves dialing as it is.
func (settleHook) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessPipelineHook leaves pipelines as they are.
func (settleHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// ProcessHook repeats scripts under a deadline over transport failures.
func (settleHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if _, bounded := ctx.Deadline(); !bounded || !isScript(cmd) {
			return err
		}
		for err != nil && isTransport(err) && sleep(ctx, settleRetryPause) {
			err = next(ctx, cmd)
		}
		return err
	}
}

func isScript(cmd redis.Cmder) bool {
	name := strings.ToLower(cmd.Name())
	return name == "eval" || name == "evalsha"
}

// patienceHook gives calls without a deadline one of callTimeout. Asynq's inspector takes
// no context. On a Redis that drops packets each of its calls would take over 90 seconds,
// as go-redis dials five times in each of four tries: a tick would ignore SIGTERM, and a
// page would show nothing.
type patienceHook struct{}

// DialHook leaves dialing as it is.
func (patienceHook) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook bounds a command.
func (patienceHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		ctx, cancel := patiently(ctx)
		defer cancel()
		return next(ctx, cmd)
	}
}

// ProcessPipelineHook bounds a pipeline.
func (patienceHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		ctx, cancel := patiently(ctx)
		defer cancel()
		return next(ctx, cmds)
	}
}

func patiently(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, bounded := ctx.Deadline(); bounded {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, callTimeout)
}

// outageHook marks errors that say that Redis does not answer, so that the log has each
// outage once a minute.
type outageHook struct{}

// DialHook leaves dialing as it is.
func (outageHook) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook marks the error of a command.
func (outageHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error { return marked(next(ctx, cmd)) }
}

// ProcessPipelineHook marks the error of a pipeline.
func (outageHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error { return marked(next(ctx, cmds)) }
}

func marked(err error) error {
	if err != nil && (isTransport(err) || errors.Is(err, context.DeadlineExceeded)) {
		return observe.RedisOutage(err)
	}
	return err
}

// isTransport reports whether err came from the connection, or from a Redis that is
// starting or changing its role, and not from the command.
func isTransport(err error) bool {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, redis.ErrClosed) {
		var timeout net.Error
		return errors.As(err, &timeout) && timeout.Timeout() && !errors.Is(err, context.DeadlineExceeded)
	}
	if _, answered := errors.AsType[redis.Error](err); !answered {
		return true
	}
	for _, passing := range []string{"LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN"} {
		if strings.HasPrefix(err.Error(), passing) {
			return true
		}
	}
	return false
}

// sleep waits for d. It returns false if ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// healthKey is written by CheckWritable.
const healthKey = "socialqueue:health"

// CheckWritable returns an error unless Redis takes a write: one whose memory is full still
// answers a PING.
func CheckWritable(ctx context.Context, client redis.UniversalClient) error {
	if err := client.Set(ctx, healthKey, "1", time.Minute).Err(); err != nil {
		return fmt.Errorf("write to Redis: %w", err)
	}
	return nil
}

// CheckNoEviction returns ErrEvicts unless Redis, in a cluster every master, has the
// policy noeviction. A Redis that does not say its policy passes.
func CheckNoEviction(ctx context.Context, client redis.UniversalClient) error {
	if cluster, ok := client.(*redis.ClusterClient); ok {
		return cluster.ForEachMaster(ctx, func(ctx context.Context, master *redis.Client) error {
			return checkNoEviction(ctx, master)
		})
	}
	return checkNoEviction(ctx, client)
}

func checkNoEviction(ctx context.Context, client redis.Cmdable) error {
	info, err := client.Info(ctx, "memory").Result()
	if _, answered := errors.AsType[redis.Error](err); answered {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the memory policy of Redis: %w", err)
	}
	for line := range strings.Lines(info) {
		policy, found := strings.CutPrefix(strings.TrimSpace(line), "maxmemory_policy:")
		if found && policy != "noeviction" {
			return fmt.Errorf("%w (it is %s)", ErrEvicts, policy)
		}
	}
	return nil
}
