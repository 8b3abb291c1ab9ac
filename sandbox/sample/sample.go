// Package sample holds a real video and a real picture, for the demo and for
// tests: an H.264 MP4 of 4 s, 540x960, and a JPEG of 1080x1350. Both were drawn
// with ffmpeg's gradients source and show nothing but the project's name.
package sample

import _ "embed"

// Video is the MP4.
//
//go:embed video.mp4
var Video []byte

// Picture is the JPEG.
//
//go:embed picture.jpg
var Picture []byte
