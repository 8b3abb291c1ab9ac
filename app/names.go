package app

import "socialqueue/models"

// PlatformNames lists the platforms that this program knows.
func PlatformNames() []models.Platform {
	return []models.Platform{models.TikTok, models.Instagram}
}
