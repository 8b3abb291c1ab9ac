package instagram

import (
	"encoding/json"
	"net/http"
	"time"

	"socialqueue/platform/wire"
)

const (
	// blindWait is the wait without an estimate, because calling while throttled lengthens
	// the block (Rate Limits).
	blindWait = time.Hour
	// maxWait limits the wait that an answer asks for: limits count over 24 h.
	maxWait = 24 * time.Hour
)

// usage is what the headers say about the call limits.
type usage struct {
	// percent is the highest of all counters.
	percent int64
	// regain is the longest wait; 0 if there is none.
	regain time.Duration
}

type usageCounters struct {
	Calls   wire.Scalar `json:"call_count"`
	CPU     wire.Scalar `json:"total_cputime"`
	Time    wire.Scalar `json:"total_time"`
	Minutes wire.Scalar `json:"estimated_time_to_regain_access"`
}

// usageOf parses X-App-Usage and X-Business-Use-Case-Usage. In the second, the value of
// each id is a list (Rate Limits).
func usageOf(h http.Header) usage {
	var u usage
	var app usageCounters
	if json.Unmarshal([]byte(h.Get("X-App-Usage")), &app) == nil {
		u.take(app)
	}
	var business map[string][]usageCounters
	if json.Unmarshal([]byte(h.Get("X-Business-Use-Case-Usage")), &business) == nil {
		for _, list := range business {
			for _, c := range list {
				u.take(c)
			}
		}
	}
	return u
}

func (u *usage) take(c usageCounters) {
	u.percent = max(u.percent, c.Calls.Number(), c.CPU.Number(), c.Time.Number())
	minutes := min(max(c.Minutes.Number(), 0), int64(maxWait/time.Minute))
	u.regain = max(u.regain, time.Duration(minutes)*time.Minute)
}

// throttleWait returns the wait after a throttled call.
func throttleWait(h http.Header) time.Duration {
	if u := usageOf(h); u.regain > 0 {
		return u.regain
	}
	return blindWait
}
