package app

import (
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/sirupsen/logrus"

	"socialqueue/db"
	"socialqueue/jobs"
	"socialqueue/platform/instagram"
	"socialqueue/platform/tiktok"
	"socialqueue/publish"
	instagramposts "socialqueue/publish/instagram"
	tiktokposts "socialqueue/publish/tiktok"
)

// publishers are the platforms that posts can go to.
func publishers(tt *tiktok.Client, ig *instagram.Client) []publish.Publisher {
	return []publish.Publisher{tiktokposts.New(tt), instagramposts.New(ig)}
}

// OperatorPosts builds what commands for operators do with posts. It calls no platform.
func OperatorPosts(d *db.DB, client redis.UniversalClient, log logrus.FieldLogger) (*publish.Service, error) {
	return publish.New(publish.Deps{
		DB: d, Queue: jobs.NewQueue(client, TaskKinds()), Publishers: publishers(nil, nil), Log: log, Now: time.Now, Timings: publish.DefaultTimings(),
	})
}
