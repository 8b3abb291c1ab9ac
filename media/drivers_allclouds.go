//go:build allclouds

package media

// The drivers that only the build tagged allclouds has: they bring 361
// packages, and most installations use neither.
import (
	_ "gocloud.dev/blob/azureblob" // azblob://
	_ "gocloud.dev/blob/gcsblob"   // gs://
)
