package media

import (
	"bufio"
	"bytes"
	"encoding/binary"

	"golang.org/x/image/webp"
)

// webpPrefix is how many first bytes of a WebP file are searched for its size in pixels,
// which is in the first chunk.
const webpPrefix = 4 << 10

// probeWebP reads the size in pixels and checks that the file is as long as its header
// says.
func probeWebP(r *bufio.Reader) (Info, error) {
	head, err := r.Peek(webpPrefix)
	if len(head) < 12 {
		return Info{}, truncated(err, "WebP image")
	}
	config, err := webp.DecodeConfig(bytes.NewReader(head))
	if err != nil {
		return Info{}, reject("WebP image has no readable header")
	}
	const riffHeader = 8 // "RIFF" and the length of what follows it
	length := int64(binary.LittleEndian.Uint32(head[4:])) + riffHeader
	if err := skip(r, length); err != nil {
		return Info{}, truncated(err, "WebP image")
	}
	return Info{Width: config.Width, Height: config.Height}, nil
}
