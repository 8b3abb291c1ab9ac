package app

import (
	"time"

	"socialqueue/config"
	"socialqueue/inbox"
	tiktokwebhooks "socialqueue/inbox/tiktok"
	"socialqueue/models"
	tiktoklogin "socialqueue/oauth/tiktok"
	"socialqueue/platform/tiktok"
	tiktokposts "socialqueue/publish/tiktok"
)

var tiktokPlatform = Platform{Name: models.TikTok, Title: "TikTok", Kinds: tiktokposts.New(nil), Build: buildTikTok}

func buildTikTok(cfg config.Config, now func() time.Time) (Parts, error) {
	client, err := tiktok.New(tiktok.Config{
		APIURL: cfg.TikTokAPIURL, AuthURL: cfg.TikTokAuthURL, ClientKey: cfg.TikTokClientKey, ClientSecret: cfg.TikTokClientSecret, Now: now,
	})
	if err != nil {
		return Parts{}, err
	}
	return Parts{
		Publisher: tiktokposts.New(client), Connector: tiktoklogin.New(client, now), URL: cfg.TikTokAPIURL,
		Source: func(s Services) inbox.Source {
			return tiktokwebhooks.New(tiktokwebhooks.Deps{
				DB: s.DB, Posts: s.Posts, Accounts: s.Accounts, Secret: cfg.TikTokWebhookSecret, Plain: cfg.TikTokWebhookPlain,
				Tolerance: cfg.TikTokWebhookTolerance, Now: now,
			})
		},
	}, nil
}
