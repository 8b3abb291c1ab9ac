package publish

import (
	"fmt"
	"time"

	"socialqueue/models"
)

const (
	// processingLimit is how long a platform may process a post before the post is
	// uncertain. Minutes are usual; some hang for hours.
	processingLimit = 24 * time.Hour
	// slowPoll is the interval after about an hour, and latePoll after a week. Polling
	// never ends: only the platform or an operator can settle the post.
	slowPoll     = time.Hour
	latePoll     = 24 * time.Hour
	latePollFrom = 7 * 24 * time.Hour
	// openPoll is the longest interval for openPollFor after a call whose result is unknown:
	// people wait for the answer, and it is there as soon as the platform can be read.
	openPoll    = 45 * time.Second
	openPollFor = time.Hour
)

// pollWait returns the wait before the next poll. It grows with their number.
func (r *run) pollWait() time.Duration {
	looks := r.Timings.Looks
	switch n := r.post.Polls; {
	case r.ledger.Unknown() && r.waited() < openPollFor:
		return min(looks[min(n, len(looks)-1)], openPoll)
	case r.waited() > latePollFrom:
		return latePoll
	case n < len(looks):
		return looks[n]
	case n < len(looks)+10:
		return looks[len(looks)-1]
	default:
		return slowPoll
	}
}

// pollLater polls the platform again later. Waiting holds no worker slot and uses no
// attempt.
func (r *run) pollLater(message string) outcome {
	switch {
	case r.stored == models.Publishing && r.ledger.MayBeLive():
		return r.sent(models.Uncertain, message)
	case r.stored == models.Publishing:
		return r.sent(models.Processing, message)
	case r.stored == models.Processing && r.waited() > processingLimit:
		return outcome{
			status: models.Uncertain, step: models.StepPublish, in: r.pollWait(), look: true,
			message: fmt.Sprintf("the platform has not finished in %s; polling goes on", processingLimit),
		}
	}
	return outcome{status: r.stored, step: models.StepPublish, in: r.pollWait(), look: true, message: message}
}

// uncertain polls a post again of which nobody knows whether it is live.
func (r *run) uncertain(message string) outcome {
	if r.stored == models.Publishing {
		return r.sent(models.Uncertain, message)
	}
	o := r.pollLater(message)
	if models.CanMove(r.stored, models.Uncertain) {
		o.status = models.Uncertain
	}
	return o
}

// waited returns how long the platform has had the post.
func (r *run) waited() time.Duration {
	if r.post.WaitingSince == nil {
		return 0
	}
	return r.Now().Sub(*r.post.WaitingSince)
}

// sent begins to wait for the result of the platform.
func (r *run) sent(status models.Status, message string) outcome {
	now := r.Now()
	r.post.WaitingSince, r.post.Polls = &now, 0
	return outcome{status: status, step: models.StepPublish, in: r.Timings.Looks[0], message: message}
}
