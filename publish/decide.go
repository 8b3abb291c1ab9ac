package publish

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"socialqueue/egress"
	"socialqueue/media"
	"socialqueue/models"
	"socialqueue/oauth"
	"socialqueue/platform"
)

const (
	// minRateWait is the least wait after a refusal for too many calls: TikTok's
	// windows slide over a minute (rate limits page, 2026-11-22).
	minRateWait = time.Minute
	// dailyWait and more is told as a daily cap.
	dailyWait = 30 * time.Minute
	// reauthorizeWait is how often a post looks by itself whether its account was
	// connected again; connecting it wakes its posts at once.
	reauthorizeWait = time.Hour
	// troubleWait is how soon a post is tried again after trouble of our own, and
	// longTroubleWait how soon if it lasts, as with a key that is missing.
	troubleWait     = 10 * time.Second
	longTrouble     = 10 * time.Minute
	longTroubleWait = 5 * time.Minute
	// retryJitter spreads retries by up to this share.
	retryJitter = 0.1
)

// isTrouble reports whether an error is our own, such as a database that is
// away. It says nothing about the post.
func isTrouble(err error) bool {
	if _, ok := errors.AsType[*platform.Error](err); ok {
		return false
	}
	if _, ok := errors.AsType[*oauth.LaterError](err); ok {
		return false
	}
	var checks models.FieldErrors
	var fetch *media.FetchError
	return !errors.As(err, &checks) && !errors.As(err, &fetch) && !unusable(err) &&
		!errors.Is(err, oauth.ErrReauthorize) && !errors.Is(err, oauth.ErrDisconnected)
}

// trouble leaves a post as it is and has it tried again soon, without using an
// attempt.
func (r *run) trouble(err error) outcome {
	r.log.WithError(err).Error("trouble of our own; the post is tried again")
	o := outcome{status: r.stored, step: r.post.Step, in: troubleWait, reason: models.DeferredInternal}
	if r.ledgerRead {
		o.status = r.waitingStatus()
	}
	if r.post.StartedAt != nil && r.Now().Sub(*r.post.StartedAt) > longTrouble {
		o.in = longTroubleWait
	}
	return o
}

// decide turns the error of a step into what comes next. A post of which
// something may be live is only ever looked at; one that surely is not may be
// tried again, put off, or fail.
func (r *run) decide(ctx context.Context, err error) outcome {
	if o, waits := r.withoutToken(err); waits {
		return o
	}
	kind := platform.KindOf(err)
	if kind == platform.AuthExpired {
		return r.tokenRefused(ctx, err)
	}
	if kind == platform.RateLimited {
		return r.rateLimited(err)
	}
	return r.failed(err)
}

// withoutToken is for an account that has no token to use, now or until its owner
// connects it again.
func (r *run) withoutToken(err error) (o outcome, waits bool) {
	if later, ok := errors.AsType[*oauth.LaterError](err); ok {
		return r.later(later.In, models.DeferredToken, err.Error()), true
	}
	if errors.Is(err, oauth.ErrReauthorize) {
		return r.later(reauthorizeWait, models.DeferredReauthorize, err.Error()), true
	}
	return outcome{}, false
}

// tokenRefused has the account's token renewed in the middle of a job. The next
// run goes on from the ledger, at once and without using an attempt; nothing is
// begun again for it.
func (r *run) tokenRefused(ctx context.Context, refusal error) outcome {
	err := r.Tokens.Renew(ctx, r.token, refusal)
	if err == nil {
		return r.later(0, "", "the token was refused and is renewed; going on from here")
	}
	if o, waits := r.withoutToken(err); waits {
		return o
	}
	if isTrouble(err) {
		return r.trouble(err)
	}
	return r.failed(err) // the account was disconnected
}

// failed turns an error that no waiting for a token or a limit helps against into
// what comes next.
func (r *run) failed(err error) outcome {
	if r.ledger.MayBeLive() {
		return r.lookLater(err.Error())
	}
	if errors.Is(err, oauth.ErrDisconnected) {
		return r.fail(platform.CodeTokenInvalid, err)
	}
	var checks models.FieldErrors
	if platform.KindOf(err) == platform.Rejected || errors.As(err, &checks) || unusable(err) {
		return r.fail(codeOf(err), err)
	}
	return r.retry(err)
}

// later puts a post off without using an attempt. Where it waits before its
// sending it is queued again, so that the app may still cancel it.
func (r *run) later(in time.Duration, reason, message string) outcome {
	return outcome{status: r.waitingStatus(), step: r.post.Step, in: in, reason: reason, message: message}
}

func (r *run) waitingStatus() models.Status {
	if r.stored == models.Publishing && !r.ledger.MayBeLive() {
		return models.Queued
	}
	return r.stored
}

func (r *run) rateLimited(err error) outcome {
	wait := minRateWait
	if e, ok := errors.AsType[*platform.Error](err); ok {
		wait = max(wait, e.RetryAfter)
	}
	reason := models.DeferredRateLimit
	if wait >= dailyWait {
		reason = models.DeferredDailyCap
	}
	return r.later(wait, reason, err.Error())
}

// retry uses one attempt. The last one fails the post.
func (r *run) retry(err error) outcome {
	if r.exhausted() {
		o := r.fail(codeOf(err), fmt.Errorf("gave up after %d attempts: %w", r.post.Attempts+1, err))
		o.attempt, o.exhausted = true, true
		return o
	}
	wait := r.Timings.Retries[r.post.Attempts]
	wait += time.Duration(retryJitter * rand.Float64() * float64(wait)) //nolint:gosec // jitter is no secret
	return outcome{
		status: r.waitingStatus(), step: r.post.Step, in: wait, reason: models.DeferredRetry, attempt: true,
		message: fmt.Sprintf("attempt %d failed: %v", r.post.Attempts+1, err), code: codeOf(err), detail: err.Error(),
	}
}

// fail ends a post of which it is known that it is not live.
func (r *run) fail(code platform.Code, err error) outcome {
	if !models.CanMove(r.stored, models.Failed) {
		return outcome{status: r.stored, last: true, message: err.Error()}
	}
	return outcome{status: models.Failed, last: true, message: err.Error(), code: code, detail: err.Error()}
}

// unusable reports whether a post's file will never do.
func unusable(err error) bool {
	var rejected *media.RejectedError
	var fetch *media.FetchError
	return errors.As(err, &rejected) || (errors.As(err, &fetch) && fetch.Permanent) ||
		errors.Is(err, media.ErrNotFound) || errors.Is(err, media.ErrTooLarge) ||
		errors.Is(err, media.ErrEmpty) || errors.Is(err, egress.ErrPrivateHost)
}

// codeOf gives the code that an app sees for an error.
func codeOf(err error) platform.Code {
	if e, ok := errors.AsType[*platform.Error](err); ok && e.Code != "" {
		return e.Code
	}
	var checks models.FieldErrors
	if unusable(err) || errors.As(err, &checks) {
		return platform.CodeUploadFailed
	}
	return platform.CodePublishFailed
}
