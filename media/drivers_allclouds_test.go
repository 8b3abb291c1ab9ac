//go:build allclouds

package media

import (
	"encoding/base64"
	"testing"
)

// The build tagged allclouds opens buckets of Google and Azure. Opening one
// sends nothing.
func TestOpenAllClouds(t *testing.T) {
	t.Setenv("AZURE_STORAGE_ACCOUNT", "media")
	t.Setenv("AZURE_STORAGE_KEY", base64.StdEncoding.EncodeToString([]byte("key")))
	for _, bucketURL := range []string{"gs://media?anonymous=true", "azblob://media"} {
		openStore(t, bucketURL, 1<<20)
	}
}
