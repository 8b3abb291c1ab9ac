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

// ErrEvicts: Redis may throw tasks away when its memory is full.
var ErrEvicts = errors.New("redis may evict tasks: set maxmemory-policy to noeviction")

// callTimeout is how long a call to Redis takes at most whose caller set no end.
const callTimeout = 5 * time.Second

// settleRetryPause is the wait between tries to tell Redis that a task ended.
const settleRetryPause = 100 * time.Millisecond

// clusterLook is how often the client asks a cluster that it uses who has what. A
// master that died answers nothing, not even where its replica is: without asking,
// go-redis would call on it for the minute that it keeps an answer.
const clusterLook = time.Second

// NewRedis makes a client for a single Redis, a Sentinel group or a Cluster.
// The caller closes it, after everything that uses it has stopped: Asynq dies
// of a client that is closed under it.
func NewRedis(cfg config.Redis) redis.UniversalClient {
	opts := &redis.UniversalOptions{
		Addrs: cfg.Addrs, Username: cfg.Username, Password: cfg.Password.Reveal(), DB: cfg.DB,
		IsClusterMode: cfg.Mode == config.RedisCluster,
		MasterName:    cfg.Master, SentinelUsername: cfg.SentinelUsername, SentinelPassword: cfg.SentinelPassword.Reveal(),
		// Without this go-redis does not look at the deadlines of contexts.
		ContextTimeoutEnabled: true,
		// Notices of planned maintenance are a feature of one vendor's cloud.
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	if cfg.TLS {
		opts.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	client := connect(cfg.Mode, opts)
	client.AddHook(settleHook{})
	client.AddHook(patienceHook{}) // within the other, which looks at deadlines
	return client
}

func connect(mode config.RedisMode, opts *redis.UniversalOptions) redis.UniversalClient {
	if mode != config.RedisCluster {
		return redis.NewUniversalClient(opts)
	}
	cluster := opts.Cluster()
	cluster.ClusterStateReloadInterval = clusterLook
	return redis.NewClusterClient(cluster)
}

// LogRedis has the Redis client write into a log what it would write to standard error,
// in a form of its own. It says little that we do not say ourselves.
func LogRedis(log logrus.FieldLogger) { redis.SetLogger(redisLog{log}) }

type redisLog struct{ log logrus.FieldLogger }

// Printf implements the client's logger.
func (l redisLog) Printf(_ context.Context, format string, args ...any) {
	l.log.WithField(observe.FieldAction, "redis").Debugf(format, args...)
}

// settleHook makes sure that the end of a task reaches Redis.
//
// Asynq v0.26 hands a failed acknowledgement to its syncer with a context that
// is already canceled, so the second try never happens and the finished task
// runs again after its lease. The acknowledging calls are the only scripts that
// Asynq runs under a deadline, that of the task's lease: those are tried again
// until then, and only if the transport failed. They may be repeated: a task
// that is gone is answered so.
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

// patienceHook gives calls an end that have none. Asynq's inspector takes no context,
// and of a Redis that drops packets each of its calls would take over a minute and a
// half, in which a tick does not heed SIGTERM and a page shows nothing: go-redis dials
// five times, and that again for each of its four tries.
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

// isTransport reports whether err came from the way to Redis, or from a Redis
// that is just starting or changing its role, and not from the command.
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

// sleep waits and reports whether ctx is still alive.
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

// CheckNoEviction returns ErrEvicts unless Redis, in a cluster every master, keeps
// what it is given. A Redis that does not tell its policy passes.
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
		return fmt.Errorf("ask Redis for its memory policy: %w", err)
	}
	for line := range strings.Lines(info) {
		policy, found := strings.CutPrefix(strings.TrimSpace(line), "maxmemory_policy:")
		if found && policy != "noeviction" {
			return fmt.Errorf("%w (it is %s)", ErrEvicts, policy)
		}
	}
	return nil
}
