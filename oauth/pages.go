package oauth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"socialqueue/db"
	"socialqueue/models"
	"socialqueue/observe"
	"socialqueue/secrets"
)

const (
	// contradictedWait is how long a Page's token stays in use if the platform refused it
	// and gives no other, but did not report it dead.
	contradictedWait = 10 * time.Minute
	// pagesAtOnce limits the concurrent calls for the Pages of one login.
	pagesAtOnce = 8
)

// checkPages asks the platform whether the tokens of accounts behind a login still work,
// and renews the dead ones. It renews one at a time because each renewal claims the login.
// A token that cannot be checked now stays as it is.
func (s *Service) checkPages(ctx context.Context, c LoginConnector, accounts []models.InstagramAccount) error {
	refused := make([]*Token, len(accounts))
	err := parallel(len(accounts), func(i int) (err error) {
		refused[i], err = s.refusedPage(ctx, c, &accounts[i])
		return err
	})
	if err != nil {
		return err
	}
	var errs []error
	for _, token := range refused {
		if token != nil {
			errs = append(errs, s.renewPageToken(ctx, *token, true))
		}
	}
	return errors.Join(errs...)
}

// refusedPage returns an account's token if the platform reports it dead, else nil.
func (s *Service) refusedPage(ctx context.Context, c LoginConnector, ig *models.InstagramAccount) (*Token, error) {
	if ig.Status != models.AccountActive {
		return nil, nil
	}
	token, err := s.pageToken(ig)
	if err != nil {
		return nil, err
	}
	dead, err := c.Check(ctx, token.Access)
	if err != nil {
		observe.OfInstagram(ctx, s.Log, ig).WithError(err).Info("cannot check a Page's token; it stays in use")
		return nil, nil
	}
	if !dead {
		return nil, nil
	}
	return &token, nil
}

// rereadPages reads the Page tokens of a login again. A token that cannot be read stays in
// use, because Page tokens have no expiry of their own.
func (s *Service) rereadPages(ctx context.Context, p models.Platform, loginID int64, login secrets.Secret) error {
	c, err := s.loginConnector(p)
	if err != nil {
		return err
	}
	accounts, err := s.DB.Accounts.InstagramAccountsOf(ctx, loginID)
	if err != nil {
		return err
	}
	return parallel(len(accounts), func(i int) error {
		ig := &accounts[i]
		if ig.PageID == "" {
			return nil
		}
		token, err := c.PageToken(ctx, login, ig.PageID)
		if err != nil || token.Empty() {
			observe.OfInstagram(ctx, s.Log, ig).WithError(err).Info("cannot read a Page's token again; the old one stays in use")
			return nil
		}
		return s.storePageToken(ctx, ig, token)
	})
}

func (s *Service) storePageToken(ctx context.Context, ig *models.InstagramAccount, token secrets.Secret) error {
	sealed, err := s.Keys.Seal(token, ig.SealedIn())
	if err != nil {
		return fmt.Errorf("seal the page token of Instagram account %d: %w", ig.ID, err)
	}
	now := s.Now()
	err = db.Persist(ctx, persistFor, func(ctx context.Context) error {
		return s.DB.Tokens.ReplacePageToken(ctx, ig.ID, ig.AccessToken, sealed, now)
	}, nil)
	if errors.Is(err, db.ErrStale) {
		return nil // another process replaced the token meanwhile
	}
	if err != nil || ig.Status == models.AccountActive {
		return err
	}
	return s.DB.Admission.WakeLane(ctx, ig.Lane(), now)
}

// renewPageToken reads the token of a Page again after the platform refused it. dead is set
// if the refusal carried one of the platform's codes for a dead token. Only then may the
// account become reauth_required.
func (s *Service) renewPageToken(ctx context.Context, refused Token, dead bool) error {
	ig, err := s.DB.Accounts.InstagramAccount(ctx, refused.accountID)
	if err != nil {
		return err
	}
	if done, err := s.renewed(ig, refused); done || err != nil {
		return err
	}
	login, token, err := s.claimLogin(ctx, ig.OAuthAccountID)
	if err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	err = s.renewClaimed(ctx, login, token, refused, dead)
	return errors.Join(err, s.releaseLogin(ctx, login))
}

// renewed reports whether an account has another token than the refused one.
func (s *Service) renewed(ig *models.InstagramAccount, refused Token) (bool, error) {
	current, err := s.pageToken(ig)
	return err == nil && current.Access != refused.Access, err
}

// renewClaimed checks again, now under the claim, and asks the platform once.
func (s *Service) renewClaimed(ctx context.Context, login *models.OAuthAccount, token secrets.Secret, refused Token, dead bool) error {
	ig, err := s.DB.Accounts.InstagramAccount(ctx, refused.accountID)
	if err != nil {
		return err
	}
	if done, err := s.renewed(ig, refused); done || err != nil {
		return err
	}
	renewed, lost, err := s.rereadPageToken(ctx, ig, token, refused)
	switch {
	case err != nil:
		return err
	case lost == "":
		return s.storePageToken(ctx, ig, renewed)
	case !dead:
		return &LaterError{In: contradictedWait, Err: fmt.Errorf("%s, but the platform has not reported the token dead", lost)}
	}
	return s.pageLost(ctx, login, ig, lost)
}

// rereadPageToken asks for the token of a Page once more. It returns the new token, or in
// lost the reason why there is none any more. After an error neither is known.
func (s *Service) rereadPageToken(ctx context.Context, ig *models.InstagramAccount, login secrets.Secret, refused Token) (token secrets.Secret, lost string, err error) {
	if ig.PageID == "" || login.Empty() {
		return "", "the token was imported and cannot be read again", nil
	}
	if age := s.Now().Sub(ig.UpdatedAt); age < youngToken {
		return "", "", youngRefused(age)
	}
	c, err := s.loginConnector(refused.platform)
	if err != nil {
		return "", "", notNow(err)
	}
	ctx, cancel := context.WithTimeout(ctx, refreshCall)
	defer cancel()
	token, lost, err = c.RenewPageToken(ctx, login, ig.PageID, refused.Access)
	if _, later := errors.AsType[*LaterError](err); err != nil && !later {
		err = &LaterError{In: waitAfter(0, err), Err: err}
	}
	return token, lost, err
}

func (s *Service) pageLost(ctx context.Context, login *models.OAuthAccount, ig *models.InstagramAccount, reason string) error {
	return s.reauthorize(ctx, login, db.Deactivation{Platform: ig.Platform(), AccountID: ig.ID, Reason: reason}, db.Refused{Sealed: ig.AccessToken})
}

// parallel calls fn for 0 to n-1, a few at a time. An error does not stop the other calls.
func parallel(n int, fn func(i int) error) error {
	var group errgroup.Group
	group.SetLimit(pagesAtOnce)
	errs := make([]error, n)
	for i := range n {
		group.Go(func() error {
			errs[i] = fn(i)
			return nil
		})
	}
	_ = group.Wait() // the functions store their errors in errs
	return errors.Join(errs...)
}
