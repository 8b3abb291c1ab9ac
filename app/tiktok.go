package app

import (
	"strings"
	"time"

	"socialqueue/config"
	"socialqueue/inbox"
	tiktokwebhooks "socialqueue/inbox/tiktok"
	"socialqueue/media"
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
	publisher := tiktokposts.New(client)
	publisher.PullHosts, publisher.InitsPerMinute, publisher.PendingShares = cfg.TikTokPullHosts, cfg.TikTokInitsPerMinute, cfg.TikTokPendingShares
	if cfg.TikTokPhotoBox {
		publisher.Photos = media.Box1080
	}
	return Parts{
		Publisher: publisher, Connector: tiktoklogin.New(client, now), URL: cfg.TikTokAPIURL, TextFiles: verificationFiles(cfg.TikTokVerification),
		Source: func(s Services) inbox.Source {
			return tiktokwebhooks.New(tiktokwebhooks.Deps{
				DB: s.DB, Posts: s.Posts, Accounts: s.Accounts, Secret: cfg.TikTokWebhookSecret, Plain: cfg.TikTokWebhookPlain,
				Tolerance: cfg.TikTokWebhookTolerance, Now: now,
			})
		},
	}, nil
}

// verificationFiles are the files by which TikTok verifies that PUBLIC_URL is ours, so that it
// fetches photos from there: one at the root for each token, or below a prefix. They end
// without a newline (team-mirai/action-board PR 2236, 2026-06).
func verificationFiles(tokens []string) map[string]string {
	files := map[string]string{}
	for _, token := range tokens {
		prefix, name := "/", token
		if i := strings.LastIndexByte(token, '/'); i >= 0 {
			prefix, name = "/"+token[:i+1], token[i+1:]
		}
		files[prefix+"tiktok"+name+".txt"] = "tiktok-developers-site-verification=" + name
	}
	return files
}
