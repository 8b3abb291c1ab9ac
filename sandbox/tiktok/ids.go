package tiktok

import (
	"fmt"
	"time"
)

// snowflake returns a 19 digit id above 2^53 with the seconds in its upper half, like TikTok's post and upload ids.
func snowflake(n uint64, now time.Time) int64 {
	return now.Unix()<<32 | int64(uint32(n*2654435761)) // odd factor: a bijection, so ids stay unique
}

// logID has the format of TikTok's log_id: a UTC timestamp and a unique tail.
func logID(n uint64, now time.Time) string {
	return fmt.Sprintf("%sSIM%016X", now.UTC().Format("20060102150405"), n)
}
