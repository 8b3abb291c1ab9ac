package app

import (
	"time"

	"socialqueue/config"
	"socialqueue/inbox"
	instagramwebhooks "socialqueue/inbox/instagram"
	"socialqueue/jobs"
	"socialqueue/models"
	"socialqueue/oauth"
	instagramlogin "socialqueue/oauth/instagram"
	"socialqueue/platform/instagram"
	instagramposts "socialqueue/publish/instagram"
)

var instagramPlatform = Platform{
	Name: models.Instagram, Title: "Instagram", Kinds: instagramposts.New(nil), Build: buildInstagram,
	// All steps of an Instagram post have had one type of task since the first release.
	Tasks: jobs.PostTypes{Platform: models.Instagram, Transfer: "instagram:publish", Publish: "instagram:publish"},
}

// buildInstagram builds Instagram's parts. Without a Facebook app in the settings, its
// posts wait and users cannot connect accounts.
func buildInstagram(cfg config.Config, now func() time.Time) (Parts, error) {
	parts := Parts{
		Publisher: instagramposts.New(nil), Connector: oauth.Unconfigured(models.Instagram, instagramlogin.Settings), URL: cfg.FacebookGraphURL,
		Source: func(s Services) inbox.Source {
			return instagramwebhooks.New(instagramwebhooks.Deps{
				DB: s.DB, Secret: cfg.InstagramWebhookSecret, VerifyToken: cfg.InstagramWebhookToken, Now: now,
			})
		},
	}
	if cfg.FacebookAppSecret.Empty() {
		return parts, nil
	}
	client, err := instagram.New(instagram.Config{
		GraphURL: cfg.FacebookGraphURL, UploadURL: cfg.InstagramUploadURL, DialogURL: cfg.FacebookDialogURL,
		Version: cfg.GraphAPIVersion, AppID: cfg.FacebookAppID, AppSecret: cfg.FacebookAppSecret, Now: now,
	})
	if err != nil {
		return Parts{}, err
	}
	publisher := instagramposts.New(client)
	publisher.CaptionAddOns, publisher.ContainersPerDay = cfg.InstagramCaptionAddOns, cfg.InstagramContainersPerDay
	parts.Publisher, parts.Connector = publisher, instagramlogin.New(client, cfg.FacebookAppSecret, now)
	return parts, nil
}
