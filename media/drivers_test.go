package media

import (
	"testing"

	"gocloud.dev/blob"

	"socialqueue/config"
)

// The settings accept exactly the buckets that this build can open.
func TestDriversMatchSettings(t *testing.T) {
	for _, scheme := range []string{"file", "s3", "mem", "gs", "azblob", "nope"} {
		_, err := config.Load(config.Dev, func(name string) string {
			return map[string]string{"MEDIA_BUCKET_URL": scheme + "://media"}[name]
		})
		if accepted, linked := err == nil, blob.DefaultURLMux().ValidBucketScheme(scheme); accepted != linked {
			t.Errorf("%s://: accepted by the settings: %t, driver in this build: %t (%v)", scheme, accepted, linked, err)
		}
	}
}
