package tiktok

import (
	"fmt"
	"time"
)

// snowflake is a 19 digit id far above 2^53, seconds in the upper half, as TikTok's post and upload ids are.
func snowflake(n uint64, now time.Time) int64 {
	return now.Unix()<<32 | int64(uint32(n*2654435761)) // odd factor: a bijection, so ids stay unique
}

// logID is shaped like TikTok's log_id: a UTC timestamp, then a unique tail.
func logID(n uint64, now time.Time) string {
	return fmt.Sprintf("%sSIM%016X", now.UTC().Format("20060102150405"), n)
}
