package app

import (
	"time"

	"socialqueue/config"
	"socialqueue/handlers"
	"socialqueue/models"
	"socialqueue/oauth"
	oauthinstagram "socialqueue/oauth/instagram"
	oauthtiktok "socialqueue/oauth/tiktok"
	"socialqueue/platform/instagram"
	"socialqueue/platform/tiktok"
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

// connectors are one for each platform. ig is nil where no Facebook app is configured.
func connectors(cfg config.Config, tt *tiktok.Client, ig *instagram.Client, now func() time.Time) []oauth.Connector {
	facebook := oauth.Unconfigured(models.Instagram, oauthinstagram.Settings)
	if ig != nil {
		facebook = oauthinstagram.New(ig, cfg.FacebookAppSecret, now)
	}
	return []oauth.Connector{oauthtiktok.New(tt, now), facebook}
}
