//go:build allclouds

package config

// allClouds reports whether package media is built with the drivers of gs:// and
// azblob://.
const allClouds = true
