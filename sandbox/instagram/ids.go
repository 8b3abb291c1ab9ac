package instagram

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"
)

// newID is a 17 digit id; the prefix keeps containers and media in different number spaces.
func (ig *Platform) newID(prefix string) string {
	return fmt.Sprintf("%s%014d", prefix, ig.host.NextID()%1e14)
}

// newTrace is shaped like Meta's fbtrace_id.
func (ig *Platform) newTrace() string {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], ig.host.NextID())
	return "A" + base64.RawURLEncoding.EncodeToString(b[:])
}

// shortcode is the public code of a media id, as used in its permalink.
func shortcode(mediaID string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	var n uint64
	_, _ = fmt.Sscan(mediaID, &n) // our own ids are numbers
	var b strings.Builder
	for shift := 60; shift >= 0; shift -= 6 {
		b.WriteByte(alphabet[n>>shift&63])
	}
	return b.String()
}
