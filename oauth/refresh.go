package oauth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sirupsen/logrus"

	"socialqueue/db"
	"socialqueue/models"
	"socialqueue/observe"
	"socialqueue/platform"
	"socialqueue/platform/tiktok"
	"socialqueue/secrets"
)

const (
	// refreshCall bounds the call, and with keepPairFor stays below refreshLease, so
	// that nobody else refreshes while a new pair is still to be stored. It is below
	// SHUTDOWN_TIMEOUT as well.
	refreshCall  = 20 * time.Second
	refreshLease = 5 * time.Minute
	// A refresh by somebody else is waited for as long as it has been going on:
	// most take a moment, and one whose worker died its whole lease.
	leastBusyWait = time.Second
	mostBusyWait  = 20 * time.Second
	// refreshMargin is the least life that a token should have left when it is
	// refreshed (Manage User Access Tokens, 2026-11-02: tokens of two hours).
	refreshMargin = 15 * time.Minute
	// youngToken is the age from which on a refused token is renewed. It bounds how
	// often tokens are asked for that nobody then takes.
	youngToken = time.Minute
)

// refreshWaits space the refreshes after failures; the last one repeats.
var refreshWaits = []time.Duration{
	time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 30 * time.Minute,
}

var (
	// errNotNeeded: somebody else did it meanwhile.
	errNotNeeded = errors.New("the refresh is not needed any more")
	// errNoRefreshToken: the account came without one, by an import.
	errNoRefreshToken = errors.New("the account has no refresh token")
)

// refreshTime is when a token is refreshed that was given at issued: when a
// quarter of its life is left, but never with less than refreshMargin, nor before
// half of its life is over.
func refreshTime(issued, ends time.Time) time.Time {
	life := ends.Sub(issued)
	return ends.Add(-max(life/4, min(refreshMargin, life/2)))
}

// nextRefresh is when a TikTok account's tokens are refreshed next: whichever of
// the pair has to be renewed first decides. It is nil where the platform told no
// time, or there is nothing to refresh with.
func nextRefresh(issued time.Time, t db.NewTokens) *time.Time {
	var next *time.Time
	for _, ends := range []*time.Time{t.ExpiresAt, t.ReconnectBy} {
		if ends == nil || t.Refresh == nil {
			continue
		}
		if at := refreshTime(issued, *ends); next == nil || at.Before(*next) {
			next = &at
		}
	}
	return next
}

// unsettledAlive reports whether a refresh is not settled and the old token still
// lives: then the refresh token, which may be used up, is left alone. Prolonging a
// Facebook login uses nothing up.
func unsettledAlive(a *models.OAuthAccount, now time.Time) bool {
	return a.Provider == models.TikTok && a.RefreshUnsettled && a.ExpiresAt != nil && now.Before(*a.ExpiresAt)
}

// renewTikTok refreshes an account whose token was refused. Where there is nothing
// to refresh with, only TikTok's own word for a dead token ends the account.
func (s *Service) renewTikTok(ctx context.Context, refused Token, refusal error) error {
	var sealed string
	err := s.refreshTikTok(ctx, refused.accountID, func(a *models.OAuthAccount) error {
		sealed = a.AccessToken
		return s.stillRefused(a, refused.Access)
	})
	if !errors.Is(err, errNoRefreshToken) {
		return err
	}
	if !tiktok.IsDeadToken(refusal) {
		return &LaterError{In: refreshWaits[len(refreshWaits)-1], Err: refusal}
	}
	a, err := s.DB.Accounts.OAuthAccount(ctx, refused.accountID)
	if err != nil {
		return err
	}
	return s.reauthorize(ctx, a, db.Ending{
		Platform: models.TikTok, AccountID: a.ID, Reason: "TikTok refused the access token, and there is no refresh token",
	}, db.Refused{Sealed: sealed})
}

// stillRefused says whether a refused token is to be refreshed: not if the
// account has another one by now, or got this one a moment ago, or has just tried.
func (s *Service) stillRefused(a *models.OAuthAccount, refused secrets.Secret) error {
	if err := usable(a.Status); err != nil {
		return err
	}
	current, err := s.Keys.Open(a.AccessToken, a.SealedIn(models.ColumnAccessToken))
	if err != nil {
		return fmt.Errorf("open the access token of account %d: %w", a.ID, err)
	}
	now := s.Now()
	switch {
	case current != refused:
		return errNotNeeded
	case a.RefreshedAt != nil && now.Sub(*a.RefreshedAt) < youngToken:
		return youngRefused(now.Sub(*a.RefreshedAt))
	case unsettledAlive(a, now):
		return nil // the old token is dead before its time: there is nothing to lose
	}
	return backingOff(a, now)
}

// backingOff says when an account is refreshed again whose last refresh failed,
// however many posts ask for it meanwhile.
func backingOff(a *models.OAuthAccount, now time.Time) error {
	if a.RefreshFailures == 0 || a.UpkeepAt == nil || !a.UpkeepAt.After(now) {
		return nil
	}
	return &LaterError{In: a.UpkeepAt.Sub(now), Err: errors.New("the last refresh failed")}
}

// busy is for a refresh that somebody else has the claim of.
func (s *Service) busy(a *models.OAuthAccount, err error) error {
	since := refreshLease - a.RefreshLeaseUntil.Sub(s.Now())
	return &LaterError{In: min(max(since, leastBusyWait), mostBusyWait), Err: err}
}

// youngRefused is for a token that is refused although the platform gave it a
// moment ago: another one would not help now.
func youngRefused(age time.Duration) error {
	return &LaterError{In: max(youngToken-age, time.Second), Err: errors.New("the platform refuses a token that it gave a moment ago")}
}

// refreshTikTok refreshes an account's tokens if needed still says so under the
// row's lock. That somebody else did it is nil.
func (s *Service) refreshTikTok(ctx context.Context, id int64, needed func(*models.OAuthAccount) error) error {
	var old secrets.Secret
	a, err := s.DB.Tokens.ClaimRefresh(ctx, id, s.Now(), refreshLease, func(a *models.OAuthAccount) (err error) {
		if err := needed(a); err != nil {
			return err
		}
		if a.RefreshToken == nil || *a.RefreshToken == "" {
			return errNoRefreshToken
		}
		if old, err = s.Keys.Open(*a.RefreshToken, a.SealedIn(models.ColumnRefreshToken)); err != nil {
			return fmt.Errorf("open the refresh token of account %d: %w", id, err)
		}
		return nil
	})
	switch {
	case errors.Is(err, errNotNeeded):
		return nil
	case errors.Is(err, db.ErrBusy):
		return s.busy(a, err)
	case err != nil:
		return err
	}
	// The claim stands: from here on neither a stopping worker nor a caller that
	// left ends the call, whose answer would be lost with it.
	ctx = context.WithoutCancel(ctx)
	grant, err := s.callTikTok(ctx, old)
	if err != nil {
		return s.refreshFailed(ctx, a, err)
	}
	return s.storeGrant(ctx, a, grant)
}

func (s *Service) callTikTok(ctx context.Context, old secrets.Secret) (tiktok.Grant, error) {
	ctx, cancel := context.WithTimeout(ctx, refreshCall)
	defer cancel()
	return s.TikTok.RefreshGrant(ctx, old)
}

// storeGrant stores a new pair. If the account was connected anew meanwhile, that
// pair counts and this one is dropped.
func (s *Service) storeGrant(ctx context.Context, a *models.OAuthAccount, grant tiktok.Grant) error {
	now := s.Now()
	tokens, err := s.seal(a, grant, now)
	if err != nil {
		return err
	}
	scheduled := *tokens
	if scheduled.Refresh == nil {
		scheduled.Refresh = a.RefreshToken
	}
	end := db.RefreshEnd{AccountID: a.ID, Fence: a.RefreshFence, UpkeepAt: nextRefresh(now, scheduled), Tokens: tokens}
	err = db.Persist(ctx, keepPairFor, func(ctx context.Context) error { return s.DB.Tokens.EndRefresh(ctx, end, now) }, nil)
	switch {
	case errors.Is(err, db.ErrStale):
		return s.dropGrant(ctx, a, grant)
	case err != nil:
		observe.OfAccount(ctx, s.Log, a).WithError(err).Error("a refreshed token could not be stored; the account may have to be connected again when its old one ends")
		return err
	}
	s.Metrics.Refreshed(string(a.Provider), observe.RefreshDone)
	s.warnAhead(ctx, a, tokens.ReconnectBy, now)
	observe.OfAccount(ctx, s.Log, a).WithField(observe.FieldAction, "token:refresh").Info("the tokens were refreshed")
	return nil
}

// dropGrant is for a pair that came too late to be stored. One of an account that
// was disconnected meanwhile is revoked.
func (s *Service) dropGrant(ctx context.Context, a *models.OAuthAccount, grant tiktok.Grant) error {
	current, err := s.DB.Accounts.OAuthAccount(ctx, a.ID)
	gone := errors.Is(err, db.ErrNotFound)
	if err != nil && !gone || err == nil && current.Status != models.AccountDisconnected {
		return err
	}
	shared, err := s.consentShared(ctx, a)
	if err == nil && !shared {
		err = s.TikTok.Revoke(ctx, grant.Access)
	}
	if err != nil {
		observe.OfAccount(ctx, s.Log, a).WithError(err).Warn("the last token of a disconnected account could not be revoked")
	}
	return ErrDisconnected
}

// seal makes a grant fit for the row.
func (s *Service) seal(a *models.OAuthAccount, grant tiktok.Grant, now time.Time) (*db.NewTokens, error) {
	access, err := s.Keys.Seal(grant.Access, a.SealedIn(models.ColumnAccessToken))
	if err != nil {
		return nil, fmt.Errorf("seal the access token: %w", err)
	}
	t := &db.NewTokens{Access: access, ExpiresAt: after(now, grant.ExpiresIn), ReconnectBy: after(now, grant.RefreshExpiresIn)}
	if !grant.Refresh.Empty() {
		refresh, err := s.Keys.Seal(grant.Refresh, a.SealedIn(models.ColumnRefreshToken))
		if err != nil {
			return nil, fmt.Errorf("seal the refresh token: %w", err)
		}
		t.Refresh = &refresh
	}
	if scope := joinScopes(grant.Scopes); scope != "" {
		t.Scope = &scope
	}
	return t, nil
}

// after is when something ends that lasts from now on; nil where that was not
// told.
func after(now time.Time, lasts time.Duration) *time.Time {
	if lasts <= 0 {
		return nil
	}
	at := models.Time(now.Add(lasts))
	return &at
}

// warnDays is how many days before the end of a consent its coming is told.
const warnDays = 14

// warnAhead tells once a day that an account's consent is about to end.
func (s *Service) warnAhead(ctx context.Context, a *models.OAuthAccount, reconnectBy *time.Time, now time.Time) {
	if reconnectBy == nil || a.RefreshedAt == nil {
		return
	}
	days := func(at time.Time) int { return int(reconnectBy.Sub(at) / (24 * time.Hour)) }
	if left := days(now); left <= warnDays && left != days(*a.RefreshedAt) {
		observe.OfAccount(ctx, s.Log, a).WithField("reconnect_by", reconnectBy).Warn("the account has to be connected again soon")
	}
}

// refreshFailed writes down what an error of a refresh means and gives the claim
// up.
func (s *Service) refreshFailed(ctx context.Context, a *models.OAuthAccount, cause error) error {
	if platform.KindOf(cause) == platform.AuthExpired {
		reason := "TikTok takes the refresh token no more"
		if a.RefreshUnsettled {
			reason += "; the answer to an earlier refresh was lost"
		}
		return s.reauthorize(ctx, a, db.Ending{Platform: models.TikTok, AccountID: a.ID, Reason: reason}, db.Refused{Fence: a.RefreshFence})
	}
	now := s.Now()
	wait := waitAfter(a.RefreshFailures, cause)
	end := db.RefreshEnd{
		AccountID: a.ID, Fence: a.RefreshFence, Failures: a.RefreshFailures + 1,
		Unsettled: a.RefreshUnsettled || platform.KindOf(cause) == platform.Unknown,
	}
	at := now.Add(wait)
	if end.Unsettled && a.ExpiresAt != nil && a.ExpiresAt.After(at) {
		at = *a.ExpiresAt
	}
	end.UpkeepAt = &at
	err := db.Persist(ctx, persistFor, func(ctx context.Context) error { return s.DB.Tokens.EndRefresh(ctx, end, now) }, nil)
	if err != nil && !errors.Is(err, db.ErrStale) {
		return err
	}
	s.Metrics.Refreshed(string(a.Provider), observe.RefreshPutOff)
	s.tellFailure(ctx, a, cause)
	return &LaterError{In: wait, Err: cause}
}

// waitAfter is the wait after a failure, of which there were some before.
func waitAfter(before int, cause error) time.Duration {
	wait := refreshWaits[min(before, len(refreshWaits)-1)]
	if e, ok := errors.AsType[*platform.Error](cause); ok {
		wait = max(wait, e.RetryAfter)
	}
	return wait
}

// tellFailure logs a refresh that gave no token: what only an operator can mend
// as an error.
func (s *Service) tellFailure(ctx context.Context, a *models.OAuthAccount, cause error) {
	log := observe.OfAccount(ctx, s.Log, a).WithError(cause).WithField(observe.FieldAction, "token:refresh")
	switch platform.KindOf(cause) {
	case platform.Rejected:
		log.Error("the platform refuses this installation; check its credentials in the settings. The account stays connected")
	case platform.Unknown:
		log.Warn("the answer to a refresh was lost; the old token is used while it lives")
	default:
		log.Warn("a refresh is put off; the account stays connected")
	}
}

// reauthorizeFor is how long the posts of a dead account wait before they look
// by themselves; connecting it again wakes them at once.
const reauthorizeFor = 6 * time.Hour

// reauthorize notes that a platform refused an account for good. It returns
// ErrReauthorize, or nil if the account got another token meanwhile.
func (s *Service) reauthorize(ctx context.Context, a *models.OAuthAccount, e db.Ending, refused db.Refused) error {
	now := s.Now()
	until := now.Add(reauthorizeFor)
	e.Note = "waits until the account is connected again: " + e.Reason
	err := db.Persist(ctx, persistFor, func(ctx context.Context) error { return s.DB.Connections.Reauthorize(ctx, e, refused, until, now) }, nil)
	switch {
	case errors.Is(err, db.ErrStale):
		return nil
	case err != nil:
		return err
	}
	s.Metrics.Refreshed(string(e.Platform), observe.RefreshDead)
	log := observe.OfAccount(ctx, s.Log, a).WithFields(logrus.Fields{observe.FieldAccountID: e.AccountID, observe.FieldReason: e.Reason})
	log.Warn("the account needs to be connected again; its posts wait")
	err = db.Persist(ctx, persistFor, func(ctx context.Context) error { return s.DB.Connections.PutOff(ctx, e, until, now) }, nil)
	if err != nil {
		log.WithError(err).Warn("posts of the account could not be put off together; each finds out by itself")
	}
	return fmt.Errorf("%w: %s", ErrReauthorize, e.Reason)
}
