package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/sirupsen/logrus"

	"socialqueue/config"
	"socialqueue/db"
	"socialqueue/egress"
	"socialqueue/highwater"
	"socialqueue/inbox"
	"socialqueue/jobs"
	"socialqueue/media"
	"socialqueue/models"
	"socialqueue/notify"
	"socialqueue/oauth"
	"socialqueue/observe"
	"socialqueue/publish"
	"socialqueue/tenants"
)

// apiConns is the largest number of database connections of an api or scheduler.
const apiConns = 20

// Options are what a process needs besides its settings.
type Options struct {
	Log *logrus.Logger
	// Now is the clock; nil means the real one.
	Now func() time.Time
	// Timings are the waits and limits of posts; nil means those of production.
	Timings *publish.Timings
	// Ahead is how many posts are in Asynq for each that the workers can run at once; 0 means
	// that of production.
	Ahead int
	// Platforms adds platforms to the registry, for tests.
	Platforms []Platform
}

func (o Options) withDefaults() Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Timings == nil {
		t := publish.DefaultTimings()
		o.Timings = &t
	}
	return o
}

// core holds what every process needs.
type core struct {
	lifecycle
	cfg     config.Config
	opts    Options
	db      *db.DB
	redis   redis.UniversalClient
	queue   *jobs.Queue
	marks   highwater.Store
	store   *media.Store
	links   *media.Signer
	tokens  *oauth.Service
	tenants *tenants.Service
	posts   *publish.Service
	inbox   *inbox.Service
	notify  *notify.Service
	log     *logrus.Logger
	// platforms are the platforms of the registry, built with the settings.
	platforms []built
	// metrics are the metrics of this process.
	metrics *observe.Metrics
}

// openCore connects to the servers of the settings. If it fails, it closes what it opened.
func openCore(ctx context.Context, cfg config.Config, opts Options, conns int) (*core, error) {
	c := newCore(cfg, opts)
	err := c.openDB(ctx, conns)
	if err == nil {
		err = c.build(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, c.Stop(context.WithoutCancel(ctx)))
	}
	return c, nil
}

func newCore(cfg config.Config, opts Options) *core {
	return &core{cfg: cfg, opts: opts.withDefaults(), log: opts.Log, metrics: observe.NewMetrics(kindsOf(slices.Concat(registry, opts.Platforms)...)...)}
}

func (c *core) openDB(ctx context.Context, conns int) error {
	database, err := db.OpenPostgres(ctx, c.cfg.DatabaseURL, conns)
	if err != nil {
		return err
	}
	c.setDB(database)
	return nil
}

// build builds everything else. It calls neither Redis nor the database.
func (c *core) build(ctx context.Context) error {
	settings, err := config.ParseRedisURL(c.cfg.RedisURL)
	if err != nil {
		return err
	}
	c.setRedis(jobs.NewRedis(settings))
	if err := c.openStore(ctx); err != nil {
		return err
	}
	return c.buildService()
}

func (c *core) setDB(d *db.DB) {
	c.db = d
	c.metrics.Database(d.Pool())
	c.onStop("database", closing(d.Close))
}

func (c *core) setRedis(client redis.UniversalClient) {
	c.redis = client
	c.queue = jobs.NewQueue(client, TaskKinds(c.opts.Platforms...))
	if c.marks == nil {
		c.marks = highwater.NewRedis(client)
	}
	c.metrics.Redis(func() observe.RedisPool {
		s := client.PoolStats()
		return observe.RedisPool{Open: s.TotalConns, Idle: s.IdleConns, Misses: s.Misses, Timeouts: s.Timeouts}
	})
	c.onStop("redis", closing(client.Close))
}

func (c *core) openStore(ctx context.Context) error {
	store, err := media.OpenStore(ctx, c.cfg.MediaBucketURL, c.cfg.MediaMaxBytes)
	if err != nil {
		return err
	}
	c.store = store
	c.onStop("media store", closing(store.Close))
	return nil
}

func (c *core) buildService() error {
	deps := publish.Deps{
		DB: c.db, Queue: c.queue, Marks: c.marks, Store: c.store, Keys: c.cfg.Keyring, Log: c.log, Now: c.opts.Now, Timings: *c.opts.Timings,
		Metrics: c.metrics,
		Owner:   owner(),
		Ahead:   c.opts.Ahead,
		Fetcher: media.NewFetcher(media.FetchOptions{
			AllowPrivate: c.cfg.MediaAllowPrivateHosts, MaxBytes: c.cfg.MediaMaxBytes,
		}),
	}
	if c.cfg.Keyring != nil { // a scheduler needs none
		links, err := media.NewSigner(c.cfg.Keyring, c.cfg.PublicURL)
		if err != nil {
			return err
		}
		c.links, deps.Links = links, links
	}
	c.tenants = tenants.New(tenants.Deps{DB: c.db, Log: c.log, Now: c.opts.Now})
	deps.Room = func(ctx context.Context, appID, bytes int64) error {
		return c.tenants.Reserve(ctx, appID, models.QuotaMediaBytes, bytes)
	}
	var err error
	if c.platforms, err = buildPlatforms(c.cfg, c.opts); err != nil {
		return err
	}
	deps.Publishers = c.publishers()
	c.tokens = oauth.New(oauth.Deps{
		DB: c.db, Keys: c.cfg.Keyring, Redis: c.redis, Queue: c.queue, PublicURL: c.cfg.PublicURL,
		Connectors: c.connectors(),
		Metrics:    c.metrics, Log: c.log, Now: c.opts.Now,
	})
	deps.Tokens = c.tokens
	if c.posts, err = publish.New(deps); err != nil {
		return err
	}
	c.buildWebhooks()
	return nil
}

func (c *core) buildWebhooks() {
	c.inbox = inbox.New(inbox.Deps{
		DB: c.db, Queue: c.queue, Sources: c.sources(), Metrics: c.metrics, Log: c.log, Now: c.opts.Now,
	})
	c.notify = notify.New(notify.Deps{
		DB: c.db, Keys: c.cfg.Keyring, Queue: c.queue, Guard: egress.New(c.cfg.WebhookAllowPrivateHosts), Metrics: c.metrics, Log: c.log, Now: c.opts.Now,
	})
	c.onStop("webhooks", closing(c.notify.Close))
}

// errStopping means that the process is stopping.
var errStopping = errors.New("the process is stopping")

// ready returns nil if the servers can be used and the process is not stopping.
func (c *core) ready(ctx context.Context) error {
	if c.isStopping() {
		return errStopping
	}
	if err := c.databaseReady(ctx); err != nil {
		return err
	}
	return c.redisReady(ctx)
}

// databaseReady returns nil if the database has the schema of this program and takes writes.
func (c *core) databaseReady(ctx context.Context) error {
	if err := c.db.CheckMigrated(ctx); err != nil {
		return err
	}
	return c.db.CheckWritable(ctx)
}

// redisReady returns nil if Redis keeps what is written, and takes writes.
func (c *core) redisReady(ctx context.Context) error {
	if err := jobs.CheckNoEviction(ctx, c.redis); err != nil {
		return err
	}
	return jobs.CheckWritable(ctx, c.redis)
}

// redisWritable returns nil if Redis takes writes.
func (c *core) redisWritable(ctx context.Context) error { return jobs.CheckWritable(ctx, c.redis) }

// warnUnlessReady logs at the start what /readyz will say.
func (c *core) warnUnlessReady(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	if err := c.ready(ctx); err != nil {
		c.log.WithError(err).Warn("not ready yet")
	}
}

// startTurns lets this process hand posts to the workers as soon as there is room for them.
func (c *core) startTurns() {
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { c.posts.TakeTurns(ctx) })
	c.onStop("turns", waiting(func() {
		cancel()
		done.Wait()
	}))
}

// owner names this process in leases.
func owner() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("%.64s:%d", host, os.Getpid())
}
