// Command scheduler moves due posts into Asynq.
package main

import (
	"context"
	"os"

	"socialqueue/app"
	"socialqueue/config"
)

func main() {
	os.Exit(app.Main(config.Scheduler, "scheduler", func(ctx context.Context, cfg config.Config, opts app.Options) (app.Process, error) {
		return app.NewScheduler(ctx, cfg, opts)
	}))
}
