// Command worker runs tasks.
package main

import (
	"context"
	"os"

	"socialqueue/app"
	"socialqueue/config"
)

func main() {
	os.Exit(app.Main(config.Worker, "worker", func(ctx context.Context, cfg config.Config, opts app.Options) (app.Process, error) {
		return app.NewWorker(ctx, cfg, opts)
	}))
}
