package publish

import (
	"context"
	"errors"
	"fmt"
	"time"

	"socialqueue/egress"
	"socialqueue/media"
	"socialqueue/models"
	"socialqueue/oauth"
	"socialqueue/platform"
)

const (
	// minRateWait is the least wait after a rate limit was hit: windows of a minute are the
	// shortest met (TikTok, rate limits page, 2026-11-22).
	minRateWait = time.Minute
	// reauthorizeWait is how often a post checks whether its account was connected again.
	// Connecting the account makes its posts due at once.
	reauthorizeWait = time.Hour
	// internalWait is how soon a post runs again after an internal error, and
	// longInternalWait how soon if the error lasts, such as a missing key.
	internalWait     = 10 * time.Second
	longInternal     = 10 * time.Minute
	longInternalWait = 5 * time.Minute
	// retryJitter spreads retries by up to this share.
	retryJitter = 0.1
)

// isInternal reports whether an error is our own, such as a database that does not answer.
// Such an error says nothing about the post.
func isInternal(err error) bool {
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

// internal leaves a post as it is and runs it again soon, without using an attempt.
func (r *run) internal(err error) outcome {
	r.log.WithError(err).Error("internal error; the post runs again soon")
	o := outcome{status: r.stored, step: r.post.Step, in: internalWait, reason: models.DeferredInternal}
	if r.ledgerRead {
		o.status = r.waitingStatus()
	}
	if r.post.StartedAt != nil && r.Now().Sub(*r.post.StartedAt) > longInternal {
		o.in = longInternalWait
	}
	return o
}

// decide turns the error of a step into what comes next. A post that may be live is only
// polled. One that is not may be tried again, deferred, or fail.
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
	return r.failed(ctx, err)
}

// withoutToken defers a post whose account has no usable token, now or until its owner
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

// tokenRefused renews the account's token in the middle of a run. The next run goes on from
// the ledger, at once and without using an attempt.
func (r *run) tokenRefused(ctx context.Context, refusal error) outcome {
	err := r.Tokens.Renew(ctx, r.token, refusal)
	if err == nil {
		return r.later(0, "", "the token was refused and renewed; the post goes on from here")
	}
	if o, waits := r.withoutToken(err); waits {
		return o
	}
	if isInternal(err) {
		return r.internal(err)
	}
	return r.failed(ctx, err) // the account was disconnected
}

// failed handles an error that is neither about the token nor about a limit.
func (r *run) failed(ctx context.Context, err error) outcome {
	if r.ledger.MayBeLive() {
		return r.pollLater(err.Error())
	}
	if errors.Is(err, oauth.ErrDisconnected) {
		return r.fail(platform.CodeTokenInvalid, err)
	}
	var checks models.FieldErrors
	if platform.KindOf(err) == platform.Rejected || errors.As(err, &checks) || unusable(err) {
		return r.fail(codeOf(err), err)
	}
	if wait := r.noteDown(ctx, err); wait != nil {
		return r.later(wait.In, wait.Reason, wait.Message)
	}
	return r.retry(err)
}

// later defers a post without using an attempt. A post that cannot be live yet is queued
// again, so that the app may still cancel it.
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
	e, ok := errors.AsType[*platform.Error](err)
	if !ok {
		return r.later(minRateWait, models.DeferredRateLimit, err.Error())
	}
	return r.later(0, "", e.Error()).limited(e, max(minRateWait, e.RetryAfter))
}

// limited makes an outcome wait for a limit of the platform. A limit about which people may
// have to do something is shown as the post's error while it waits.
func (o outcome) limited(e *platform.Error, wait time.Duration) outcome {
	o.in, o.reason = wait, limitReasons[e.Limit]
	if e.Limit == platform.LimitApp || e.Limit == platform.LimitPolicy {
		o.code, o.detail = platform.CodeRateLimited, e.Error()
	}
	return o
}

// limitReasons maps a limit of the platform to the reason that apps see while a post waits for
// it. A limit of the app shows as rate_limited, because the account has used up nothing.
var limitReasons = map[platform.Limit]string{
	platform.LimitCalls: models.DeferredRateLimit, platform.LimitApp: models.DeferredRateLimit, platform.LimitDaily: models.DeferredDailyCap,
	platform.LimitPending: models.DeferredPendingCap, platform.LimitPolicy: models.DeferredRestricted,
}

// retry uses one attempt. After the last one the post fails.
func (r *run) retry(err error) outcome {
	if r.exhausted() {
		o := r.fail(codeOf(err), fmt.Errorf("gave up after %d attempts: %w", r.post.Attempts+1, err))
		o.attempt, o.exhausted = true, true
		return o
	}
	wait := r.Timings.Retries[r.post.Attempts]
	wait += time.Duration(retryJitter * r.Rand() * float64(wait))
	return outcome{
		status: r.waitingStatus(), step: r.post.Step, in: wait, reason: models.DeferredRetry, attempt: true,
		message: fmt.Sprintf("attempt %d failed: %v", r.post.Attempts+1, err), code: codeOf(err), detail: err.Error(),
	}
}

// fail ends a post that is not live and will not be.
func (r *run) fail(code platform.Code, err error) outcome {
	if !models.CanMove(r.stored, models.Failed) {
		return outcome{status: r.stored, last: true, message: err.Error()}
	}
	return outcome{status: models.Failed, last: true, message: err.Error(), code: code, detail: err.Error()}
}

// unusable reports whether a post's file can never be published.
func unusable(err error) bool {
	var rejected *media.RejectedError
	var fetch *media.FetchError
	var file *fileError
	return errors.As(err, &rejected) || errors.As(err, &file) || (errors.As(err, &fetch) && fetch.Permanent) ||
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
