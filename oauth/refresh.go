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
	// refreshCall limits the call. Together with keepPairFor it stays below refreshLease, so
	// that no other process refreshes while a new pair still has to be stored. It is below
	// SHUTDOWN_TIMEOUT as well.
	refreshCall  = 20 * time.Second
	refreshLease = 5 * time.Minute
	// The wait for a refresh by another process equals the time it has been running. Most
	// take a moment; a refresh whose worker died blocks for its whole lease.
	leastBusyWait = time.Second
	mostBusyWait  = 20 * time.Second
	// refreshMargin is the least remaining life of a token when it is refreshed (Manage User
	// Access Tokens, 2026-11-02: tokens of two hours).
	refreshMargin = 15 * time.Minute
	// youngToken is the age that a token must have before a refusal makes us renew it. It
	// limits how often we request tokens that the platform then refuses.
	youngToken = time.Minute
)

// refreshWaits are the waits after consecutive failures; the last one repeats.
var refreshWaits = []time.Duration{
	time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 30 * time.Minute,
}

var (
	// errNotNeeded means that another process refreshed meanwhile.
	errNotNeeded = errors.New("the refresh is no longer needed")
	// errNoRefreshToken means that the account was imported without a refresh token.
	errNoRefreshToken = errors.New("the account has no refresh token")
)

// refreshTime returns when to refresh a token that was issued at issued: when a quarter of
// its life is left, but at least refreshMargin, and not before half of its life is over.
func refreshTime(issued, ends time.Time) time.Time {
	life := ends.Sub(issued)
	return ends.Add(-max(life/4, min(refreshMargin, life/2)))
}

// nextRefresh returns when to refresh tokens that were issued at issued. It is nil if the
// platform gave no expiry, or if there is nothing to refresh with.
func (t Traits) nextRefresh(issued time.Time, tokens db.NewTokens) *time.Time {
	if t.Prolongs {
		return nextProlonging(issued, tokens)
	}
	var next *time.Time
	for _, ends := range []*time.Time{tokens.ExpiresAt, tokens.ReconnectBy} { // the earlier one decides
		if ends == nil || tokens.Refresh == nil {
			continue
		}
		if at := refreshTime(issued, *ends); next == nil || at.Before(*next) {
			next = &at
		}
	}
	return next
}

// nextProlonging is nextRefresh for a token that is prolonged. It adds one refresh warnDays
// before the end of the consent, at which warnAhead logs the warning.
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

// refreshable reports whether an account has a token to refresh with.
func (s *Service) refreshable(a *models.OAuthAccount) bool {
	return s.traits(a.Provider).Prolongs || a.RefreshToken != nil
}

// unsettledAlive reports whether the result of a refresh is unknown and the old access
// token is still valid. The refresh token may be consumed then, and is not used. Prolonging
// consumes nothing.
func (s *Service) unsettledAlive(a *models.OAuthAccount, now time.Time) bool {
	return a.RefreshUnsettled && a.ExpiresAt != nil && now.Before(*a.ExpiresAt) && !s.traits(a.Provider).Prolongs
}

// renewAccount refreshes an account whose token was refused. Without a refresh token, the
// account becomes reauth_required only if the platform reports the token dead.
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

// notNow defers for an error that a refresh cannot fix.
func notNow(err error) error {
	return &LaterError{In: refreshWaits[len(refreshWaits)-1], Err: err}
}

// stillRefused returns nil if a refused token has to be refreshed. It returns an error if
// the account has another token by now, got this one a moment ago, or has just failed to
// refresh.
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
		return nil // the old token died early, so try the refresh token although the earlier result is unknown
	}
	return backingOff(a, now)
}

// backingOff returns a *LaterError until the next refresh after a failure is due, however
// many posts ask for a token meanwhile.
func backingOff(a *models.OAuthAccount, now time.Time) error {
	if a.RefreshFailures == 0 || a.MaintenanceAt == nil || !a.MaintenanceAt.After(now) {
		return nil
	}
	return &LaterError{In: a.MaintenanceAt.Sub(now), Err: errors.New("the last refresh failed")}
}

// busy returns the *LaterError for a refresh that another process has claimed.
func (s *Service) busy(a *models.OAuthAccount, err error) error {
	since := refreshLease - a.RefreshLeaseUntil.Sub(s.Now())
	return &LaterError{In: min(max(since, leastBusyWait), mostBusyWait), Err: err}
}

// youngRefused returns the *LaterError for a token that the platform refuses right after
// issuing it. Another one would not help now.
func youngRefused(age time.Duration) error {
	return &LaterError{In: max(youngToken-age, time.Second), Err: errors.New("the platform refuses a token that it issued a moment ago")}
}

// refresh refreshes an account's tokens if needed, called under the row's lock, returns
// nil. Then it reads the tokens of the accounts behind a login again. It returns nil if
// another process refreshed meanwhile.
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
	// From here on neither a shutdown nor a canceled caller may interrupt the call, or its
	// answer would be lost.
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

// claim gives the caller the exclusive right to get new tokens for a row, if open, called
// under the row's lock, returns no error. It returns the row and the token that open
// returned.
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

// openForRefresh decrypts the token that a refresh takes.
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

// storeGrant stores the result of a refresh. If the account was connected again meanwhile,
// the newer tokens stay and these are dropped.
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
		observe.OfAccount(ctx, s.Log, a).WithError(err).Error("cannot store a refreshed token; the account may have to be connected again when the old token expires")
		return err
	}
	s.Metrics.Refreshed(string(a.Provider), observe.RefreshDone)
	s.warnAhead(ctx, a, scheduled.ReconnectBy, now)
	observe.OfAccount(ctx, s.Log, a).WithField(observe.FieldAction, "token:refresh").Info("the tokens were refreshed")
	return nil
}

// dropGrant handles tokens that came too late to be stored. If the account was disconnected
// meanwhile it revokes them, unless the token that they were made from still works and is
// revoked anyway.
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
		observe.OfAccount(ctx, s.Log, a).WithError(err).Warn("cannot revoke the last token of a disconnected account")
	}
	return ErrDisconnected
}

// seal encrypts a grant for the row.
func (s *Service) seal(a *models.OAuthAccount, grant Grant) (*db.NewTokens, error) {
	access, err := s.Keys.Seal(grant.Access, a.SealedIn(models.ColumnAccessToken))
	if err != nil {
		return nil, fmt.Errorf("seal the access token: %w", err)
	}
	t := &db.NewTokens{Access: access, ExpiresAt: nullTime(grant.ExpiresAt), ReconnectBy: nullTime(grant.ReconnectBy)}
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

// warnDays is how many days before the end of a consent the warning starts.
const warnDays = 14

// warnAhead logs once a day that an account's consent is about to end.
func (s *Service) warnAhead(ctx context.Context, a *models.OAuthAccount, reconnectBy *time.Time, now time.Time) {
	if reconnectBy == nil || a.RefreshedAt == nil {
		return
	}
	days := func(at time.Time) int { return int(reconnectBy.Sub(at) / (24 * time.Hour)) }
	if left := days(now); left <= warnDays && left != days(*a.RefreshedAt) {
		observe.OfAccount(ctx, s.Log, a).WithField("reconnect_by", reconnectBy).Warn("the account has to be connected again soon")
	}
}

// refreshFailed stores the result of a failed refresh and releases the claim.
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
	s.logFailure(ctx, a, cause)
	return &LaterError{In: wait, Err: cause}
}

// refusedRefresh is the reason of an account whose refresh the platform refused for good.
func (t Traits) refusedRefresh(a *models.OAuthAccount) string {
	switch {
	case t.Prolongs:
		return t.Name + " no longer accepts the access token"
	case a.RefreshUnsettled:
		return t.Name + " no longer accepts the refresh token; the answer to an earlier refresh was lost"
	}
	return t.Name + " no longer accepts the refresh token"
}

// waitAfter returns the wait after a failure; before counts the earlier ones in a row.
func waitAfter(before int, cause error) time.Duration {
	wait := refreshWaits[min(before, len(refreshWaits)-1)]
	if e, ok := errors.AsType[*platform.Error](cause); ok {
		wait = max(wait, e.RetryAfter)
	}
	return wait
}

// logFailure logs a failed refresh. The level is error if only an operator can fix it.
func (s *Service) logFailure(ctx context.Context, a *models.OAuthAccount, cause error) {
	log := observe.OfAccount(ctx, s.Log, a).WithError(cause).WithField(observe.FieldAction, "token:refresh")
	switch platform.KindOf(cause) {
	case platform.Rejected:
		log.Error("the platform refuses this installation; check its credentials in the settings. The account stays connected")
	case platform.Unknown:
		log.Warn("the answer to a refresh was lost; the old token is used until it expires")
	default:
		log.Warn("a refresh failed and is tried again; the account stays connected")
	}
}

// reauthorizeFor is how often posts of a dead account check it again. Connecting the
// account resumes them at once.
const reauthorizeFor = 6 * time.Hour

// reauthorize marks an account as refused for good. It returns ErrReauthorize, or nil if
// the account got another token meanwhile.
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
		log.WithError(err).Warn("cannot defer the posts of the account together; each is deferred when it runs")
	}
	return fmt.Errorf("%w: %s", ErrReauthorize, e.Reason)
}
