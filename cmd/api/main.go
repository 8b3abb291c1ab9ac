// Command api serves apps and platforms over HTTP.
package main

import (
	"context"
	"os"

	"socialqueue/app"
	"socialqueue/config"
)

func main() {
	os.Exit(app.Main(config.API, "api", func(ctx context.Context, cfg config.Config, opts app.Options) (app.Process, error) {
		return app.NewAPI(ctx, cfg, opts)
	}))
}
