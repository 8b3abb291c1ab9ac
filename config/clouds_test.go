package config

import (
	"strings"
	"testing"
)

// Every role refuses a bucket that this build cannot open, and names the build that can.
func TestBucketsOfThisBuild(t *testing.T) {
	for scheme, everyBuild := range map[string]bool{"file": true, "s3": true, "gs": false, "azblob": false} {
		bucket := scheme + "://media"
		for _, role := range []Role{API, Worker, Scheduler, CLI, CLITokens, Dev} {
			c, err := load(role, with("MEDIA_BUCKET_URL", bucket))
			if everyBuild || allClouds {
				if err != nil || c.MediaBucketURL != bucket {
					t.Errorf("role %d: %s was refused or changed: %q, %v", role, bucket, c.MediaBucketURL, err)
				}
				continue
			}
			if err == nil {
				t.Errorf("role %d: %s was accepted", role, bucket)
				continue
			}
			for _, part := range []string{"MEDIA_BUCKET_URL is " + scheme + "://", "make build-allclouds", "image tagged allclouds"} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("role %d: err = %v, want it to say %q", role, err, part)
				}
			}
		}
	}
}
