package app

import (
	"slices"

	"socialqueue/handlers"
	"socialqueue/models"
)

// platforms are those that this program knows.
var platforms = []handlers.Platform{{Name: models.TikTok, Title: "TikTok"}, {Name: models.Instagram, Title: "Instagram"}}

// CheckPlatform returns models.FieldErrors for a name that is no platform's.
func CheckPlatform(p models.Platform) error {
	if slices.ContainsFunc(platforms, func(known handlers.Platform) bool { return known.Name == p }) {
		return nil
	}
	return models.FieldErrors{{Field: "platform", Message: "must be tiktok or instagram"}}
}
