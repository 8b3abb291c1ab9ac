package media

import (
	"net/url"
	"strconv"
	"time"
)

// Expiry returns when a signed link ends, as its parameters say: those of S3 and of Google
// (query authentication of Signature Version 4 and its V4 signing), of CloudFront and the
// older S3 (Expires), and of Azure (se). It is zero for any other link.
func Expiry(link string) time.Time {
	u, err := url.Parse(link)
	if err != nil {
		return time.Time{}
	}
	q := u.Query()
	for _, vendor := range []string{"X-Amz-", "X-Goog-"} {
		signed, err := time.Parse("20060102T150405Z", q.Get(vendor+"Date"))
		seconds, expires := strconv.ParseInt(q.Get(vendor+"Expires"), 10, 32)
		if err == nil && expires == nil {
			return signed.Add(time.Duration(seconds) * time.Second)
		}
	}
	if at, err := strconv.ParseInt(q.Get("Expires"), 10, 64); err == nil && q.Has("Signature") {
		return time.Unix(at, 0).UTC()
	}
	if at, err := time.Parse(time.RFC3339, q.Get("se")); err == nil && q.Has("sig") {
		return at
	}
	return time.Time{}
}
