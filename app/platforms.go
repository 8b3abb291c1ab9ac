package app

import (
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/sirupsen/logrus"

	"socialqueue/config"
	"socialqueue/db"
	"socialqueue/handlers"
	"socialqueue/inbox"
	instagramwebhooks "socialqueue/inbox/instagram"
	tiktokwebhooks "socialqueue/inbox/tiktok"
	"socialqueue/jobs"
	"socialqueue/models"
	"socialqueue/oauth"
	instagramlogin "socialqueue/oauth/instagram"
	tiktoklogin "socialqueue/oauth/tiktok"
	"socialqueue/platform/instagram"
	"socialqueue/platform/tiktok"
	"socialqueue/publish"
	instagramposts "socialqueue/publish/instagram"
	tiktokposts "socialqueue/publish/tiktok"
)

// platforms are those that this program knows.
var platforms = []handlers.Platform{{Name: models.TikTok, Title: "TikTok"}, {Name: models.Instagram, Title: "Instagram"}}

// CheckPlatform returns models.FieldErrors for a name that is no platform's.
func CheckPlatform(p models.Platform) error {
	names := make(models.Platforms, len(platforms))
	for i, known := range platforms {
		names[i] = known.Name
	}
	if names.Has(p) {
		return nil
	}
	return models.FieldErrors{{Field: "platform", Message: "must be " + names.String()}}
}

// publishers are the platforms that posts can go to.
func publishers(tt *tiktok.Client, ig *instagram.Client) []publish.Publisher {
	return []publish.Publisher{tiktokposts.New(tt), instagramposts.New(ig)}
}

// webhookSources makes the source of each platform's webhooks. One without a secret
// refuses every request.
func (c *core) webhookSources() []inbox.Source {
	return []inbox.Source{
		tiktokwebhooks.New(tiktokwebhooks.Deps{
			DB: c.db, Posts: c.posts, Accounts: c.tokens, Secret: c.cfg.TikTokWebhookSecret, Plain: c.cfg.TikTokWebhookPlain,
			Tolerance: c.cfg.TikTokWebhookTolerance, Now: c.opts.Now,
		}),
		instagramwebhooks.New(instagramwebhooks.Deps{
			DB: c.db, Secret: c.cfg.InstagramWebhookSecret, VerifyToken: c.cfg.InstagramWebhookToken, Now: c.opts.Now,
		}),
	}
}

// PlatformNames lists the platforms that this program knows.
func PlatformNames() []models.Platform {
	return []models.Platform{models.TikTok, models.Instagram}
}

// connectors are one for each platform. ig is nil where no Facebook app is configured.
func connectors(cfg config.Config, tt *tiktok.Client, ig *instagram.Client, now func() time.Time) []oauth.Connector {
	facebook := oauth.Unconfigured(models.Instagram, instagramlogin.Settings)
	if ig != nil {
		facebook = instagramlogin.New(ig, cfg.FacebookAppSecret, now)
	}
	return []oauth.Connector{tiktoklogin.New(tt, now), facebook}
}

// OperatorPosts builds what commands for operators do with posts. It calls no platform.
func OperatorPosts(d *db.DB, client redis.UniversalClient, log logrus.FieldLogger) (*publish.Service, error) {
	return publish.New(publish.Deps{
		DB: d, Queue: jobs.NewQueue(client, TaskKinds()), Publishers: publishers(nil, nil), Log: log, Now: time.Now, Timings: publish.DefaultTimings(),
	})
}
