//go:build allclouds

package media

// The drivers that only the build tagged allclouds has: they are 387 packages,
// and most installations use none of them.
import (
	_ "gocloud.dev/blob/azureblob" // azblob://
	_ "gocloud.dev/blob/gcsblob"   // gs://
)
