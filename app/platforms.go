package app

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/sirupsen/logrus"

	"socialqueue/config"
	"socialqueue/db"
	"socialqueue/handlers"
	"socialqueue/highwater"
	"socialqueue/inbox"
	"socialqueue/jobs"
	"socialqueue/models"
	"socialqueue/oauth"
	"socialqueue/observe"
	"socialqueue/publish"
)

// registry lists the platforms of this program, in the order in which they are shown. It is
// the only such list: filters, routes, titles, task types, metrics and health checks follow
// from it. To add a platform, add its line here (see CONTRIBUTING.md).
var registry = []Platform{tiktokPlatform, instagramPlatform}

// Platform is one line of the registry.
type Platform struct {
	Name models.Platform
	// Title is the platform's display name.
	Title string
	// Tasks names the types of its posts' tasks. Zero means "name:upload" and
	// "name:publish".
	Tasks jobs.PostTypes
	// Kinds declares what can be posted, for commands that call no platform.
	Kinds publish.Publisher
	// Build builds the parts of the platform from a process's settings.
	Build func(config.Config, func() time.Time) (Parts, error)
}

// Parts are the components of one platform in a process.
type Parts struct {
	Publisher publish.Publisher
	Connector oauth.Connector
	// Source returns the source of the platform's webhooks. It may be nil.
	Source func(Services) inbox.Source
	// URL is the address of the platform's API, for the health check.
	URL string
	// Endpoints are more routes for creating posts. They may be nil.
	Endpoints []handlers.Endpoint
	// TextFiles are the texts by which the platform verifies that the host is ours, by path.
	TextFiles map[string]string
}

// Services are the services that a source of webhooks uses.
type Services struct {
	DB       *db.DB
	Posts    *publish.Service
	Accounts *oauth.Service
}

// built is a platform of this process.
type built struct {
	Platform
	Parts
}

// buildPlatforms builds the parts of all platforms, including those of a test.
func buildPlatforms(cfg config.Config, opts Options) ([]built, error) {
	var all []built
	for _, p := range slices.Concat(registry, opts.Platforms) {
		parts, err := p.Build(cfg, opts.Now)
		if err != nil {
			return nil, fmt.Errorf("set up %s: %w", p.Title, err)
		}
		all = append(all, built{Platform: p, Parts: parts})
	}
	return all, nil
}

// PlatformNames lists the platforms that this program knows.
func PlatformNames() models.Platforms {
	names := make(models.Platforms, len(registry))
	for i, p := range registry {
		names[i] = p.Name
	}
	return names
}

// CheckPlatform returns models.FieldErrors for an unknown platform.
func CheckPlatform(p models.Platform) error {
	if names := PlatformNames(); !names.Has(p) {
		return models.FieldErrors{{Field: "platform", Message: "must be " + names.String()}}
	}
	return nil
}

// TaskKinds returns all kinds of tasks of this program, and of the platforms that a test
// adds. Every process and command that enqueues or runs tasks uses it.
func TaskKinds(more ...Platform) *jobs.Kinds {
	var types []jobs.PostTypes
	for _, p := range slices.Concat(registry, more) {
		if p.Tasks == (jobs.PostTypes{}) {
			p.Tasks = jobs.PostTypesOf(p.Name)
		}
		types = append(types, p.Tasks)
	}
	return jobs.NewKinds(types...)
}

// OperatorPosts builds the use cases of posts for operators' commands. It calls no
// platform.
func OperatorPosts(d *db.DB, client redis.UniversalClient, log logrus.FieldLogger) (*publish.Service, error) {
	var publishers []publish.Publisher
	for _, p := range registry {
		publishers = append(publishers, p.Kinds)
	}
	return publish.New(publish.Deps{
		DB: d, Queue: jobs.NewQueue(client, TaskKinds()), Marks: highwater.NewRedis(client), Publishers: publishers, Log: log, Now: time.Now, Timings: publish.DefaultTimings(),
	})
}

func (c *core) publishers() []publish.Publisher {
	var all []publish.Publisher
	for _, p := range c.platforms {
		all = append(all, p.Publisher)
	}
	return all
}

func (c *core) connectors() []oauth.Connector {
	var all []oauth.Connector
	for _, p := range c.platforms {
		if p.Connector != nil {
			all = append(all, p.Connector)
		}
	}
	return all
}

func (c *core) sources() []inbox.Source {
	var all []inbox.Source
	for _, p := range c.platforms {
		if p.Source != nil {
			all = append(all, p.Source(Services{DB: c.db, Posts: c.posts, Accounts: c.tokens}))
		}
	}
	return all
}

func (c *core) endpoints() []handlers.Endpoint {
	var all []handlers.Endpoint
	for _, p := range c.platforms {
		all = append(all, p.Endpoints...)
	}
	return all
}

func (c *core) textFiles() map[string]string {
	all := map[string]string{}
	for _, p := range c.platforms {
		maps.Copy(all, p.TextFiles)
	}
	return all
}

// titles returns the platforms with their display names.
func (c *core) titles() models.PlatformTitles {
	var all models.PlatformTitles
	for _, p := range c.platforms {
		all = append(all, models.PlatformTitle{Name: p.Name, Title: p.Title})
	}
	return all
}

// kindsOf lists the kinds of posts by platform, for metrics.
func kindsOf(platforms ...Platform) []observe.PlatformKinds {
	var all []observe.PlatformKinds
	for _, p := range platforms {
		kinds := observe.PlatformKinds{Platform: p.Name}
		for _, k := range p.Kinds.Kinds() {
			kinds.Kinds = append(kinds.Kinds, k.Name)
		}
		all = append(all, kinds)
	}
	return all
}

// healthChecks returns the checks of /api/health.
func (c *core) healthChecks() map[string]handlers.Check {
	checks := map[string]handlers.Check{"database": c.accepts, "redis": c.redisWritable}
	for _, p := range c.platforms {
		if p.URL != "" {
			checks[string(p.Name)] = reachable(p.URL)
		}
	}
	return checks
}
