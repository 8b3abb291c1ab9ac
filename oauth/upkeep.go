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
	// postsAhead is how long before their posts accounts are asked for, so that
	// their owner has time to connect them again.
	postsAhead = time.Hour
	// askedFresh is how long nobody asks for an account again.
	askedFresh = time.Hour
	// postsLooked bounds how many posts one tick looks at, and upkeepBatch how many
	// accounts it asks for.
	postsLooked = 5000
	upkeepBatch = 500
	// unreadableWait is when an account is looked at again whose token no key of
	// this process opens.
	unreadableWait = 10 * time.Minute
	// revokeFor is how long the revoking of a disconnected account is tried.
	revokeFor = 24 * time.Hour
)

// EnqueueDue makes a task for every account that somebody has to see to. It is
// one tick of the scheduler, and all that keeps tokens alive: a task that gets
// lost is made again by the next tick.
func (s *Service) EnqueueDue(ctx context.Context) error {
	now := s.Now()
	if err := s.DB.Tokens.CheckBeforePosts(ctx, now, now.Add(postsAhead), now.Add(-askedFresh), postsLooked); err != nil {
		return err
	}
	due, err := s.DB.Tokens.DueMaintenance(ctx, now, upkeepBatch)
	if err != nil {
		return err
	}
	for _, u := range due {
		if err := s.Queue.EnqueueUpkeep(ctx, u.ID, u.Fence); err != nil {
			return err
		}
	}
	return nil
}

// Upkeep sees to one account: it refreshes what is to be refreshed, asks the
// platform about the rest, and revokes what was disconnected. When it is next due
// is in the row; an error means that nothing is known to be written.
func (s *Service) Upkeep(ctx context.Context, id int64) error {
	a, err := s.DB.Accounts.OAuthAccount(ctx, id)
	if errors.Is(err, db.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	ctx = platform.WithRecorder(ctx, s.recordOf(ctx, a))
	err = settled(ctx, s.see(ctx, a))
	if err != nil && isUnreadable(err) {
		observe.OfAccount(ctx, s.Log, a).WithError(err).Error("a token cannot be read with TOKEN_ENCRYPTION_KEY; the account stays connected")
		return s.upkeepIn(ctx, a, unreadableWait)
	}
	return err
}

// settled is for an upkeep: what the accounts' rows say by now is no error, and only
// noted for the metrics.
func settled(ctx context.Context, err error) error {
	later, puts := errors.AsType[*LaterError](err)
	a := observe.AttemptOf(ctx)
	switch {
	case puts && errors.Is(err, db.ErrBusy): // somebody else is at it
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

func (s *Service) see(ctx context.Context, a *models.OAuthAccount) error {
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
		return s.upkeepIn(ctx, a, unreadableWait)
	case a.Provider.BehindLogin():
		return s.seeToLogin(ctx, a)
	case a.Status != models.AccountActive:
		return s.DB.Tokens.SetMaintenance(ctx, a, 0, nil)
	case s.refreshDue(a, now) && !s.unsettledAlive(a, now):
		return s.refresh(ctx, a.Provider, a.ID, s.stillDue)
	default:
		return s.check(ctx, c, a)
	}
}

// refreshDue reports whether a token is so old that it is refreshed.
func (s *Service) refreshDue(a *models.OAuthAccount, now time.Time) bool {
	at := s.plannedRefresh(a)
	return at != nil && !at.After(now)
}

// plannedRefresh is when an account's tokens are refreshed if nothing goes wrong.
func (s *Service) plannedRefresh(a *models.OAuthAccount) *time.Time {
	issued := a.UpdatedAt // of an import, of which nobody knows when its token was given
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

// check asks whether a token is still taken. A refusal is settled at once, hours
// before a post would meet it.
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
			return s.upkeepIn(ctx, a, later.In) // which a refresh that failed has written itself
		}
		return err
	case err != nil && a.RefreshFailures > 0: // the token that could not be refreshed may be dead
		return s.upkeepIn(ctx, a, waitAfter(a.RefreshFailures, err))
	}
	return s.asked(ctx, a)
}

// asked plans the next upkeep of an account whose token is taken, as far as anybody
// knows.
func (s *Service) asked(ctx context.Context, a *models.OAuthAccount) error {
	next := s.plannedRefresh(a)
	if s.unsettledAlive(a, s.Now()) {
		next = a.ExpiresAt
	}
	return s.DB.Tokens.SetMaintenance(ctx, a, 0, next)
}

// seeToLogin refreshes a login, or checks those of its accounts that are about to
// post. They may do so when the login has ended.
func (s *Service) seeToLogin(ctx context.Context, a *models.OAuthAccount) error {
	c, err := s.loginConnector(a.Provider)
	if err != nil {
		return s.upkeepIn(ctx, a, unreadableWait)
	}
	if a.Status == models.AccountActive && s.refreshDue(a, s.Now()) {
		return s.refresh(ctx, a.Provider, a.ID, s.stillDue)
	}
	accounts, err := s.DB.Accounts.InstagramAccountsPosting(ctx, a.ID, s.Now().Add(postsAhead))
	if err != nil {
		return err
	}
	err = s.checkPages(ctx, c, accounts)
	var readErr error
	if a, readErr = s.DB.Accounts.OAuthAccount(ctx, a.ID); readErr != nil { // renewing a token takes the login's fence on
		return errors.Join(err, readErr)
	}
	if later, ok := errors.AsType[*LaterError](err); ok {
		return s.upkeepIn(ctx, a, later.In)
	}
	if err := settled(ctx, err); err != nil {
		return err
	}
	if a.Status != models.AccountActive {
		return s.DB.Tokens.SetMaintenance(ctx, a, 0, nil)
	}
	return s.asked(ctx, a)
}

// upkeepIn has an upkeep come again, unless the row has changed since it was read:
// then its own time counts.
func (s *Service) upkeepIn(ctx context.Context, a *models.OAuthAccount, wait time.Duration) error {
	at := s.Now().Add(wait)
	return s.DB.Tokens.SetMaintenance(ctx, a, a.RefreshFailures, &at)
}

// recordOf logs the calls of an account's upkeep.
func (s *Service) recordOf(ctx context.Context, a *models.OAuthAccount) func(platform.Call) {
	return func(c platform.Call) {
		s.Metrics.PlatformCalled(string(c.Provider), c.Op, c.Outcome(), c.Duration)
		observe.Called(observe.OfAccount(ctx, s.Log, a), c)
	}
}
