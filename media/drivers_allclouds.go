//go:build allclouds

package media

// The drivers of the build tagged allclouds only: they add 361 packages, and most
// installations use neither.
import (
	_ "gocloud.dev/blob/azureblob" // azblob://
	_ "gocloud.dev/blob/gcsblob"   // gs://
)
