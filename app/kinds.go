package app

import (
	"socialqueue/jobs"
	"socialqueue/models"
)

// TaskKinds returns all kinds of tasks of this program. Every process and command that
// enqueues or runs tasks uses the same.
func TaskKinds() *jobs.Kinds {
	return jobs.NewKinds(
		jobs.PostTypesOf(models.TikTok),
		// Instagram's posts have one type for all steps, since the first release.
		jobs.PostTypes{Platform: models.Instagram, Transfer: "instagram:publish", Publish: "instagram:publish"},
	)
}
