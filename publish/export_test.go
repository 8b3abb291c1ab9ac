package publish

import "time"

// The tests' clock is virtual; the pauses between the tries of one chunk are
// not, so they are short here.
func init() {
	for i := range chunkWaits {
		chunkWaits[i] = time.Millisecond
	}
}
