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

// nextRefresh is when tokens that were given at issued are refreshed next. It is nil
// where the platform told no time, or there is nothing to refresh with.
func (t Traits) nextRefresh(issued time.Time, tokens db.NewTokens) *time.Time {
	if t.Prolongs {
		return nextProlonging(issued, tokens)
	}
	var next *time.Time
	for _, ends := range []*time.Time{tokens.ExpiresAt, tokens.ReconnectBy} { // whichever has to be renewed first decides
		if ends == nil || tokens.Refresh == nil {
			continue
		}
		if at := refreshTime(issued, *ends); next == nil || at.Before(*next) {
			next = &at
		}
	}
	return next
}

// nextProlonging is the same for a token that is prolonged: by its life, and once when
// the end of the consent comes near, which is told then.
func nextProlonging(issued time.Time, tokens db.NewTokens) *time.Time {
	if tokens.ExpiresAt == nil {
		return nil
	}
	at := refreshTime(issued, *tokens.ExpiresAt)
	if tokens.ReconnectBy != nil {
		if warn := tokens.ReconnectBy.Add(-warnDays * 24 * time.Hour); warn.After(issued) && warn.Before(at) {
			at = warn
		}
	}
	return &at
}

// refreshable reports whether there is something to refresh an account with.
func (s *Service) refreshable(a *models.OAuthAccount) bool {
	return s.traits(a.Provider).Prolongs || a.RefreshToken != nil
}

// unsettledAlive reports whether a refresh is not settled and the old token still
// lives: then the refresh token, which may be used up, is left alone. Prolonging a
// token uses nothing up.
func (s *Service) unsettledAlive(a *models.OAuthAccount, now time.Time) bool {
	return a.RefreshUnsettled && a.ExpiresAt != nil && now.Before(*a.ExpiresAt) && !s.traits(a.Provider).Prolongs
}

// renewAccount refreshes an account whose token was refused. Where there is nothing
// to refresh with, the account ends only if the platform calls the token dead.
func (s *Service) renewAccount(ctx context.Context, refused Token, dead bool, refusal error) error {
	var sealed string
	err := s.refresh(ctx, refused.platform, refused.accountID, func(a *models.OAuthAccount) error {
		sealed = a.AccessToken
		return s.stillRefused(a, refused.Access)
	})
	if !errors.Is(err, errNoRefreshToken) {
		return err
	}
	if !dead {
		return notNow(refusal)
	}
	a, err := s.DB.Accounts.OAuthAccount(ctx, refused.accountID)
	if err != nil {
		return err
	}
	return s.reauthorize(ctx, a, db.Deactivation{
		Platform: a.Provider, AccountID: a.ID, Reason: s.traits(a.Provider).Name + " refused the access token, and there is no refresh token",
	}, db.Refused{Sealed: sealed})
}

// notNow is for what no refresh mends by itself.
func notNow(err error) error {
	return &LaterError{In: refreshWaits[len(refreshWaits)-1], Err: err}
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
	case s.unsettledAlive(a, now):
		return nil // the old token is dead before its time: there is nothing to lose
	}
	return backingOff(a, now)
}

// backingOff says when an account is refreshed again whose last refresh failed,
// however many posts ask for it meanwhile.
func backingOff(a *models.OAuthAccount, now time.Time) error {
	if a.RefreshFailures == 0 || a.MaintenanceAt == nil || !a.MaintenanceAt.After(now) {
		return nil
	}
	return &LaterError{In: a.MaintenanceAt.Sub(now), Err: errors.New("the last refresh failed")}
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

// refresh refreshes an account's tokens if needed still says so under the row's lock,
// and then reads the tokens of the accounts behind a login again. That somebody else
// did it is nil.
func (s *Service) refresh(ctx context.Context, p models.Platform, id int64, needed func(*models.OAuthAccount) error) error {
	c, err := s.connector(p)
	if err != nil {
		return notNow(err)
	}
	a, token, err := s.claim(ctx, id, func(a *models.OAuthAccount) (secrets.Secret, error) {
		if err := needed(a); err != nil {
			return "", err
		}
		return s.openForRefresh(a)
	})
	if errors.Is(err, errNotNeeded) {
		return nil
	}
	if err != nil {
		return err
	}
	// The claim stands: from here on neither a stopping worker nor a caller that
	// left ends the call, whose answer would be lost with it.
	ctx = context.WithoutCancel(ctx)
	grant, err := callRefresh(ctx, c, token)
	if err != nil {
		return s.refreshFailed(ctx, c, a, err)
	}
	if err := s.storeGrant(ctx, c, a, grant); err != nil || !p.BehindLogin() {
		return err
	}
	return s.rereadPages(ctx, p, a.ID, grant.Access)
}

// claim makes the caller the only one who may get new tokens with those of a row,
// if open, which sees the row under its lock, agrees. It returns the row and the token
// that open gave.
func (s *Service) claim(ctx context.Context, id int64, open func(*models.OAuthAccount) (secrets.Secret, error)) (*models.OAuthAccount, secrets.Secret, error) {
	var token secrets.Secret
	a, err := s.DB.Tokens.ClaimRefresh(ctx, id, s.Now(), refreshLease, func(a *models.OAuthAccount) (err error) {
		token, err = open(a)
		return err
	})
	if errors.Is(err, db.ErrBusy) {
		err = s.busy(a, err)
	}
	return a, token, err
}

// openForRefresh opens the token that a refresh takes.
func (s *Service) openForRefresh(a *models.OAuthAccount) (secrets.Secret, error) {
	if s.traits(a.Provider).Prolongs {
		return s.openAccess(a)
	}
	if a.RefreshToken == nil || *a.RefreshToken == "" {
		return "", errNoRefreshToken
	}
	token, err := s.Keys.Open(*a.RefreshToken, a.SealedIn(models.ColumnRefreshToken))
	if err != nil {
		return "", fmt.Errorf("open the refresh token of account %d: %w", a.ID, err)
	}
	return token, nil
}

func (s *Service) openAccess(a *models.OAuthAccount) (secrets.Secret, error) {
	token, err := s.Keys.Open(a.AccessToken, a.SealedIn(models.ColumnAccessToken))
	if err != nil {
		return "", fmt.Errorf("open the access token of account %d: %w", a.ID, err)
	}
	return token, nil
}

func callRefresh(ctx context.Context, c Connector, token secrets.Secret) (Grant, error) {
	ctx, cancel := context.WithTimeout(ctx, refreshCall)
	defer cancel()
	return c.Refresh(ctx, token)
}

// storeGrant stores what a refresh returned. If the account was connected again
// meanwhile, those tokens count and these are dropped.
func (s *Service) storeGrant(ctx context.Context, c Connector, a *models.OAuthAccount, grant Grant) error {
	now, traits := s.Now(), c.Traits()
	tokens, err := s.seal(a, grant)
	if err != nil {
		return err
	}
	scheduled, persist := *tokens, keepPairFor
	if scheduled.Refresh == nil {
		scheduled.Refresh = a.RefreshToken
	}
	if traits.Prolongs {
		scheduled.ReconnectBy, persist = a.ReconnectBy, persistFor
	}
	end := db.RefreshResult{AccountID: a.ID, Fence: a.RefreshFence, MaintenanceAt: traits.nextRefresh(now, scheduled), Tokens: tokens}
	err = db.Persist(ctx, persist, func(ctx context.Context) error { return s.DB.Tokens.FinishRefresh(ctx, end, now) }, nil)
	switch {
	case errors.Is(err, db.ErrStale):
		return s.dropGrant(ctx, c, a, grant)
	case err != nil:
		observe.OfAccount(ctx, s.Log, a).WithError(err).Error("a refreshed token could not be stored; the account may have to be connected again when its old one ends")
		return err
	}
	s.Metrics.Refreshed(string(a.Provider), observe.RefreshDone)
	s.warnAhead(ctx, a, scheduled.ReconnectBy, now)
	observe.OfAccount(ctx, s.Log, a).WithField(observe.FieldAction, "token:refresh").Info("the tokens were refreshed")
	return nil
}

// dropGrant is for tokens that came too late to be stored. Those of an account that
// was disconnected meanwhile are revoked, unless the token that they came from still
// works and is revoked anyway.
func (s *Service) dropGrant(ctx context.Context, c Connector, a *models.OAuthAccount, grant Grant) error {
	if c.Traits().Prolongs {
		return nil
	}
	current, err := s.DB.Accounts.OAuthAccount(ctx, a.ID)
	gone := errors.Is(err, db.ErrNotFound)
	if err != nil && !gone || err == nil && current.Status != models.AccountDisconnected {
		return err
	}
	shared, err := s.consentShared(ctx, a)
	if err == nil && !shared {
		err = c.Revoke(ctx, grant.Access, a.ProviderAccountID)
	}
	if err != nil {
		observe.OfAccount(ctx, s.Log, a).WithError(err).Warn("the last token of a disconnected account could not be revoked")
	}
	return ErrDisconnected
}

// seal makes a grant fit for the row.
func (s *Service) seal(a *models.OAuthAccount, grant Grant) (*db.NewTokens, error) {
	access, err := s.Keys.Seal(grant.Access, a.SealedIn(models.ColumnAccessToken))
	if err != nil {
		return nil, fmt.Errorf("seal the access token: %w", err)
	}
	t := &db.NewTokens{Access: access, ExpiresAt: told(grant.ExpiresAt), ReconnectBy: told(grant.ReconnectBy)}
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
func (s *Service) refreshFailed(ctx context.Context, c Connector, a *models.OAuthAccount, cause error) error {
	traits := c.Traits()
	switch dead := c.IsDead(cause); {
	case dead && a.Provider.BehindLogin():
		return s.loginEnded(ctx, a, traits.LoginEnded)
	case dead:
		return s.reauthorize(ctx, a, db.Deactivation{Platform: a.Provider, AccountID: a.ID, Reason: traits.refusedRefresh(a)}, db.Refused{Fence: a.RefreshFence})
	}
	now := s.Now()
	wait := waitAfter(a.RefreshFailures, cause)
	end := db.RefreshResult{
		AccountID: a.ID, Fence: a.RefreshFence, Failures: a.RefreshFailures + 1,
		Unsettled: !traits.Prolongs && (a.RefreshUnsettled || platform.KindOf(cause) == platform.Unknown),
	}
	at := now.Add(wait)
	if end.Unsettled && a.ExpiresAt != nil && a.ExpiresAt.After(at) {
		at = *a.ExpiresAt
	}
	end.MaintenanceAt = &at
	err := db.Persist(ctx, persistFor, func(ctx context.Context) error { return s.DB.Tokens.FinishRefresh(ctx, end, now) }, nil)
	if err != nil && !errors.Is(err, db.ErrStale) {
		return err
	}
	s.Metrics.Refreshed(string(a.Provider), observe.RefreshPutOff)
	s.tellFailure(ctx, a, cause)
	return &LaterError{In: wait, Err: cause}
}

// refusedRefresh says why an account ended whose refresh the platform refused.
func (t Traits) refusedRefresh(a *models.OAuthAccount) string {
	switch {
	case t.Prolongs:
		return t.Name + " takes the access token no more"
	case a.RefreshUnsettled:
		return t.Name + " takes the refresh token no more; the answer to an earlier refresh was lost"
	}
	return t.Name + " takes the refresh token no more"
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
func (s *Service) reauthorize(ctx context.Context, a *models.OAuthAccount, e db.Deactivation, refused db.Refused) error {
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
	err = db.Persist(ctx, persistFor, func(ctx context.Context) error { return s.DB.Connections.DeferPosts(ctx, e, until, now) }, nil)
	if err != nil {
		log.WithError(err).Warn("posts of the account could not be put off together; each finds out by itself")
	}
	return fmt.Errorf("%w: %s", ErrReauthorize, e.Reason)
}
