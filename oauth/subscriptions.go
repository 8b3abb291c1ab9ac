package oauth

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"socialqueue/db"
	"socialqueue/models"
	"socialqueue/observe"
	"socialqueue/platform"
)

const (
	// subscribeTime limits the calls for the Pages of one login: after a consent a user waits
	// for them. Pages that are left over are tried by the maintenance.
	subscribeTime = 10 * time.Second
	// subscribeWait is the wait after a failure that may pass, and refusedWait after a refusal,
	// which most often stays until the owner connects the account again.
	subscribeWait = time.Hour
	refusedWait   = 24 * time.Hour
	// subscribeBatch limits for how many Pages one tick makes the maintenance due, so that
	// the calls after an upgrade are spread: every connected Page has yet to be subscribed.
	subscribeBatch = 20
	// subscribeAhead is longer than the wait for a setting or a key that is missing, which a
	// tick must not shorten: maintenance that is due until then comes anyway.
	subscribeAhead = 30 * time.Minute
)

// subscribe subscribes the app to the Pages of a login where that is due, so that the platform
// sends webhooks about the accounts behind them. The accounts work without them. So a failure
// is stored at the Page and tried again by the maintenance of the login; it is no error here.
func (s *Service) subscribe(ctx context.Context, login *models.OAuthAccount) {
	if err := s.subscribeDue(ctx, login); err != nil {
		observe.OfAccount(ctx, s.Log, login).WithError(err).Warn("cannot subscribe to the Pages of a login; tried again later")
	}
}

func (s *Service) subscribeDue(ctx context.Context, login *models.OAuthAccount) error {
	c, err := s.loginConnector(login.Provider)
	if err != nil {
		return err
	}
	now := s.Now()
	accounts, err := s.DB.Subscriptions.Claim(ctx, login.ID, now, now.Add(subscribeWait))
	if err != nil || len(accounts) == 0 {
		return err
	}
	calls, cancel := context.WithTimeout(ctx, subscribeTime)
	defer cancel()
	results := make([]models.FacebookPage, len(accounts))
	_ = parallel(len(accounts), func(i int) error { // the results hold the failures
		results[i] = s.subscribePage(calls, c, login, &accounts[i])
		return nil
	})
	return db.Persist(ctx, persistFor, func(ctx context.Context) error { return s.DB.Subscriptions.Record(ctx, results) }, nil)
}

// subscribePage makes the call for one Page, and returns the result as its row stores it.
func (s *Service) subscribePage(ctx context.Context, c LoginConnector, login *models.OAuthAccount, ig *models.InstagramAccount) models.FacebookPage {
	page := models.FacebookPage{OAuthAccountID: login.ID, PageID: ig.PageID}
	failed := func(err error, wait time.Duration) models.FacebookPage {
		observe.OfInstagram(ctx, s.Log, ig).WithError(err).Info("cannot subscribe to the Page of an account; no webhooks come about it, and it is tried again")
		at := s.Now().Add(wait)
		page.SubscriptionError, page.SubscribeAt = platform.Words(err.Error()), &at
		return page
	}
	if scope := c.Traits().Subscribes; !granted(login, scope) {
		return failed(fmt.Errorf("the permission %s was not allowed", scope), refusedWait)
	}
	token, err := s.pageToken(ig)
	if err == nil {
		err = c.Subscribe(ctx, token.Access, ig.PageID)
	}
	if err != nil {
		return failed(err, subscribeAgain(err))
	}
	now := s.Now()
	page.SubscribedAt = &now
	return page
}

// granted reports whether the owner of a login allowed a scope.
func granted(login *models.OAuthAccount, scope string) bool {
	return login.Scope != nil && slices.Contains(strings.Split(*login.Scope, ","), scope)
}

// subscribeAgain returns the wait after a failed call.
func subscribeAgain(err error) time.Duration {
	e, ok := errors.AsType[*platform.Error](err)
	switch {
	case !ok:
		return subscribeWait
	case e.Kind == platform.Rejected || e.Kind == platform.AuthExpired:
		return refusedWait
	}
	return max(subscribeWait, e.RetryAfter)
}
