package publish

import (
	"fmt"
	"time"

	"socialqueue/models"
)

const (
	// processingLimit is how long a platform may work on a post before it is
	// called uncertain. TikTok's slowest are minutes; some hang for hours.
	processingLimit = 24 * time.Hour
	// slowLook spaces the looks at what is not settled within an hour or so, and
	// lateLook those at what is not settled within a week. Looking never ends:
	// only a platform or an operator can say what became of the post.
	slowLook     = time.Hour
	lateLook     = 24 * time.Hour
	lateLookFrom = 7 * 24 * time.Hour
)

// lookWait is the wait before the next look, growing with their number.
func (r *run) lookWait() time.Duration {
	looks := r.Timings.Looks
	switch n := r.post.Looks; {
	case r.waited() > lateLookFrom:
		return lateLook
	case n < len(looks):
		return looks[n]
	case n < len(looks)+10:
		return looks[len(looks)-1]
	default:
		return slowLook
	}
}

// lookLater has the platform asked again, later and read-only. Waiting holds no
// worker and uses no attempt.
func (r *run) lookLater(message string) outcome {
	switch {
	case r.stored == models.Publishing && r.ledger.MayBeLive():
		return r.sent(models.Uncertain, message)
	case r.stored == models.Publishing:
		return r.sent(models.Processing, message)
	case r.stored == models.Processing && r.waited() > processingLimit:
		return outcome{
			status: models.Uncertain, step: models.StepPublish, in: r.lookWait(), look: true,
			message: fmt.Sprintf("no verdict of the platform for %s; looking on", processingLimit),
		}
	}
	return outcome{status: r.stored, step: models.StepPublish, in: r.lookWait(), look: true, message: message}
}

// uncertain has a post looked at again of which it is not known whether it is
// live.
func (r *run) uncertain(message string) outcome {
	if r.stored == models.Publishing {
		return r.sent(models.Uncertain, message)
	}
	o := r.lookLater(message)
	if models.CanMove(r.stored, models.Uncertain) {
		o.status = models.Uncertain
	}
	return o
}

// waited is how long the post has been with the platform.
func (r *run) waited() time.Duration {
	if r.post.WaitingSince == nil {
		return 0
	}
	return r.Now().Sub(*r.post.WaitingSince)
}

// sent starts the wait for the platform's verdict.
func (r *run) sent(status models.Status, message string) outcome {
	now := r.Now()
	r.post.WaitingSince, r.post.Looks = &now, 0
	return outcome{status: status, step: models.StepPublish, in: r.Timings.Looks[0], message: message}
}
