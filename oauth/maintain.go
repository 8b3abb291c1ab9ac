package oauth

import (
	"context"
	"errors"
	"time"

	"socialqueue/db"
	"socialqueue/models"
	"socialqueue/observe"
	"socialqueue/platform"
)

const (
	// postsAhead is how long before their posts accounts are checked, so that their owner
	// has time to connect them again.
	postsAhead = time.Hour
	// askedFresh is how long a check counts as recent.
	askedFresh = time.Hour
	// postsLooked limits how many posts one tick reads, and maintainBatch how many accounts
	// it enqueues.
	postsLooked   = 5000
	maintainBatch = 500
	// unreadableWait is the wait if no key of this process decrypts an account's token.
	unreadableWait = 10 * time.Minute
	// revokeFor is how long revoking a disconnected account is retried.
	revokeFor = 24 * time.Hour
)

// EnqueueDue enqueues a task for every account whose tokens need maintenance. It is one
// tick of the scheduler. A lost task is enqueued again by the next tick.
func (s *Service) EnqueueDue(ctx context.Context) error {
	now := s.Now()
	if err := s.DB.Subscriptions.MakeDue(ctx, now, now.Add(subscribeAhead), subscribeBatch); err != nil {
		return err
	}
	if err := s.DB.Tokens.CheckBeforePosts(ctx, now, now.Add(postsAhead), now.Add(-askedFresh), postsLooked); err != nil {
		return err
	}
	due, err := s.DB.Tokens.DueMaintenance(ctx, now, maintainBatch)
	if err != nil {
		return err
	}
	for _, u := range due {
		if err := s.Queue.EnqueueMaintenance(ctx, u.ID, u.Fence); err != nil {
			return err
		}
	}
	return nil
}

// Maintain refreshes or checks the tokens of one account, and revokes a disconnected
// account. The row says when it is due next. After an error the row may be unchanged.
func (s *Service) Maintain(ctx context.Context, id int64) error {
	a, err := s.DB.Accounts.OAuthAccount(ctx, id)
	if errors.Is(err, db.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	ctx = platform.WithRecorder(ctx, s.recordOf(ctx, a))
	err = noteResult(ctx, s.maintain(ctx, a))
	if err != nil && isUnreadable(err) {
		observe.OfAccount(ctx, s.Log, a).WithError(err).Error("cannot decrypt a token with TOKEN_ENCRYPTION_KEY; the account stays connected")
		return s.maintainIn(ctx, a, unreadableWait)
	}
	return err
}

// noteResult records the result for the metrics. Results that are stored in the account's
// row are no errors.
func noteResult(ctx context.Context, err error) error {
	later, puts := errors.AsType[*LaterError](err)
	a := observe.AttemptOf(ctx)
	switch {
	case puts && errors.Is(err, db.ErrBusy): // another process is refreshing
		a.Outcome = observe.AttemptSnooze
	case puts:
		a.Outcome, a.Class = observe.AttemptRetry, observe.ClassOf(later.Err)
	case errors.Is(err, ErrReauthorize):
		a.Outcome, a.Class = observe.AttemptDead, observe.ClassAuth
	case errors.Is(err, ErrDisconnected):
		a.Outcome = observe.AttemptRevoked
	default:
		return err
	}
	return nil
}

func (s *Service) maintain(ctx context.Context, a *models.OAuthAccount) error {
	now := s.Now()
	if err := s.DB.Connections.FinishDisconnect(ctx, a, canceledNote, now); err != nil {
		return err
	}
	if a.Status == models.AccountDisconnected {
		return s.revoke(ctx, a)
	}
	c, err := s.connector(a.Provider)
	switch {
	case err != nil:
		return s.maintainIn(ctx, a, unreadableWait)
	case a.Provider.BehindLogin():
		return s.maintainLogin(ctx, a)
	case a.Status != models.AccountActive:
		return s.DB.Tokens.SetMaintenance(ctx, a, 0, nil)
	case s.refreshDue(a, now) && !s.unsettledAlive(a, now):
		return s.refresh(ctx, a.Provider, a.ID, s.stillDue)
	default:
		return s.check(ctx, c, a)
	}
}

// refreshDue reports whether a token is due for a refresh.
func (s *Service) refreshDue(a *models.OAuthAccount, now time.Time) bool {
	at := s.plannedRefresh(a)
	return at != nil && !at.After(now)
}

// plannedRefresh returns when an account's tokens are refreshed next, if nothing fails.
func (s *Service) plannedRefresh(a *models.OAuthAccount) *time.Time {
	issued := a.UpdatedAt // an import: the time of issue is unknown
	if a.RefreshedAt != nil {
		issued = *a.RefreshedAt
	}
	return s.traits(a.Provider).nextRefresh(issued, db.NewTokens{Refresh: a.RefreshToken, ExpiresAt: a.ExpiresAt, ReconnectBy: a.ReconnectBy})
}

func (s *Service) stillDue(a *models.OAuthAccount) error {
	now := s.Now()
	if err := usable(a.Status); err != nil {
		return err
	}
	if !s.refreshDue(a, now) || s.unsettledAlive(a, now) || (a.MaintenanceAt != nil && a.MaintenanceAt.After(now)) {
		return errNotNeeded
	}
	return nil
}

// check asks the platform whether a token still works. A refusal is handled at once, hours
// before a post would fail.
func (s *Service) check(ctx context.Context, c Connector, a *models.OAuthAccount) error {
	token, err := s.accountToken(a)
	if err != nil {
		return err
	}
	dead, err := c.Check(ctx, token.Access)
	switch {
	case dead:
		err := s.renewAccount(ctx, token, true, nil)
		if later, ok := errors.AsType[*LaterError](err); ok {
			return s.maintainIn(ctx, a, later.In) // a failed refresh has written the same itself
		}
		return err
	case err != nil && a.RefreshFailures > 0: // the token may be dead: it could not be refreshed either
		return s.maintainIn(ctx, a, waitAfter(a.RefreshFailures, err))
	}
	return s.planNext(ctx, a)
}

// planNext schedules the next maintenance of an account whose token works, or could not be
// checked.
func (s *Service) planNext(ctx context.Context, a *models.OAuthAccount) error {
	next := s.plannedRefresh(a)
	if s.unsettledAlive(a, s.Now()) {
		next = a.ExpiresAt
	}
	return s.DB.Tokens.SetMaintenance(ctx, a, 0, next)
}

// maintainLogin subscribes the app to the Pages of a login that it has yet to subscribe to,
// and refreshes the login, or checks those of its accounts that post soon. The accounts can
// post even after the login has ended.
func (s *Service) maintainLogin(ctx context.Context, a *models.OAuthAccount) error {
	c, err := s.loginConnector(a.Provider)
	if err != nil {
		return s.maintainIn(ctx, a, unreadableWait)
	}
	s.subscribe(ctx, a)
	if a.Status == models.AccountActive && s.refreshDue(a, s.Now()) {
		return s.refresh(ctx, a.Provider, a.ID, s.stillDue)
	}
	accounts, err := s.DB.Accounts.InstagramAccountsPosting(ctx, a.ID, s.Now().Add(postsAhead))
	if err != nil {
		return err
	}
	err = s.checkPages(ctx, c, accounts)
	var readErr error
	if a, readErr = s.DB.Accounts.OAuthAccount(ctx, a.ID); readErr != nil { // renewing a token changed the login's fence
		return errors.Join(err, readErr)
	}
	if later, ok := errors.AsType[*LaterError](err); ok {
		return s.maintainIn(ctx, a, later.In)
	}
	if err := noteResult(ctx, err); err != nil {
		return err
	}
	if a.Status != models.AccountActive {
		return s.DB.Tokens.SetMaintenance(ctx, a, 0, nil)
	}
	return s.planNext(ctx, a)
}

// maintainIn schedules the next maintenance after a wait. If the row has changed since it
// was read, the row's own time stays.
func (s *Service) maintainIn(ctx context.Context, a *models.OAuthAccount, wait time.Duration) error {
	at := s.Now().Add(wait)
	return s.DB.Tokens.SetMaintenance(ctx, a, a.RefreshFailures, &at)
}

// recordOf returns a recorder that counts and logs platform calls for an account.
func (s *Service) recordOf(ctx context.Context, a *models.OAuthAccount) func(platform.Call) {
	return func(c platform.Call) {
		s.Metrics.PlatformCalled(string(c.Provider), c.Op, c.Outcome(), c.Duration)
		observe.Called(observe.OfAccount(ctx, s.Log, a), c)
	}
}
