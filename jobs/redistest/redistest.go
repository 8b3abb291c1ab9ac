// Package redistest gives tests a real Redis, and a way to it that breaks on
// demand.
package redistest

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"socialqueue/config"
	"socialqueue/secrets"
)

// databases is how many the test server has; 0 keeps the count of those given
// out.
const databases = 255

// quiet keeps the client from starting goroutines of its own.
var quiet = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}

// URL gives a test an empty database of its own on the server of
// TEST_REDIS_URL. Without a server the test fails; it does not skip.
func URL(t testing.TB) string {
	t.Helper()
	server := os.Getenv("TEST_REDIS_URL")
	if server == "" {
		t.Fatal("TEST_REDIS_URL is not set: run the tests with `make test`, which brings up its own servers")
	}
	opts, err := redis.ParseURL(server)
	if err != nil {
		t.Fatal("TEST_REDIS_URL is no Redis URL")
	}
	opts.DB = 0
	opts.MaintNotificationsConfig = quiet
	zero := redis.NewClient(opts)
	defer zero.Close()
	n, err := zero.Incr(t.Context(), "redistest:databases").Result()
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal("TEST_REDIS_URL is no URL")
	}
	u.Path = fmt.Sprintf("/%d", 1+n%databases)
	flush(t, u.String())
	t.Cleanup(func() { flush(t, u.String()) })
	return u.String()
}

// Settings are those of a database as URL gives it.
func Settings(t testing.TB) config.Redis {
	t.Helper()
	settings, err := config.ParseRedisURL(secrets.Secret(URL(t)))
	if err != nil {
		t.Fatal(err)
	}
	return settings
}

func flush(t testing.TB, redisURL string) {
	t.Helper()
	opts, err := redis.ParseURL(redisURL)
	if err != nil {
		t.Fatal(err)
	}
	opts.MaintNotificationsConfig = quiet
	client := redis.NewClient(opts)
	defer client.Close()
	if err := client.FlushDB(context.Background()).Err(); err != nil {
		t.Error(err)
	}
}
