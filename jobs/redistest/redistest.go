// Package redistest provides a real Redis for tests, and a proxy that breaks the connection
// on demand.
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

// databases is the number of databases of the test server, and 0 holds the counter of those
// in use.
const databases = 255

// quiet stops the client from starting its own goroutines.
var quiet = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}

// URL returns the address of an empty database for a test, on the server of TEST_REDIS_URL.
// Without a server the test fails; it does not skip.
func URL(t testing.TB) string {
	t.Helper()
	server := os.Getenv("TEST_REDIS_URL")
	if server == "" {
		t.Fatal("TEST_REDIS_URL is not set: run the tests with `make test`, which starts its own servers")
	}
	opts, err := redis.ParseURL(server)
	if err != nil {
		t.Fatal("TEST_REDIS_URL is not a Redis URL")
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
		t.Fatal("TEST_REDIS_URL is not a URL")
	}
	u.Path = fmt.Sprintf("/%d", 1+n%databases)
	flush(t, u.String())
	t.Cleanup(func() { flush(t, u.String()) })
	return u.String()
}

// Settings returns the settings of a database from URL.
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
