//go:build !allclouds

package media

import "testing"

// The default build is small because it lacks these drivers.
func TestDefaultBuildHasNoOtherCloud(t *testing.T) {
	for _, bucketURL := range []string{"gs://media?anonymous=true", "azblob://media"} {
		if s, err := OpenStore(t.Context(), bucketURL, 1<<20); err == nil {
			s.Close()
			t.Errorf("%s was opened", bucketURL)
		}
	}
}
