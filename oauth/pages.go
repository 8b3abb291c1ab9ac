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
	"socialqueue/platform"
	"socialqueue/platform/instagram"
	"socialqueue/secrets"
)

const (
	// contradictedWait is for what Meta says of a Page's token and does not mean.
	contradictedWait = 10 * time.Minute
	// pagesAtOnce bounds the calls for the Pages of one login.
	pagesAtOnce = 8
)

// checkPages asks Meta whether Page tokens still live, and has those renewed that
// do not, one after the other: each takes the claim of their login. What cannot be
// asked now stays as it is.
func (s *Service) checkPages(ctx context.Context, accounts []models.InstagramAccount) error {
	refused := make([]*Token, len(accounts))
	err := atOnce(len(accounts), func(i int) (err error) {
		refused[i], err = s.refusedPage(ctx, &accounts[i])
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

// refusedPage gives the token of an account if Meta says, with one of its codes for
// that, that it is dead.
func (s *Service) refusedPage(ctx context.Context, ig *models.InstagramAccount) (*Token, error) {
	if ig.Status != models.AccountActive {
		return nil, nil
	}
	token, err := s.pageToken(ig)
	if err != nil {
		return nil, err
	}
	info, err := s.Instagram.InspectToken(ctx, token.Access)
	if err != nil {
		observe.OfInstagram(ctx, s.Log, ig).WithError(err).Info("a Page's token could not be checked; it stays in use")
		return nil, nil
	}
	if !info.Dead() {
		return nil, nil
	}
	return &token, nil
}

// rereadPages reads the Page tokens of a login anew. One that cannot be read
// stays as it is: it has no end of its own.
func (s *Service) rereadPages(ctx context.Context, loginID int64, user secrets.Secret) error {
	accounts, err := s.DB.Accounts.InstagramAccountsOf(ctx, loginID)
	if err != nil {
		return err
	}
	return atOnce(len(accounts), func(i int) error {
		ig := &accounts[i]
		if ig.PageID == "" {
			return nil
		}
		token, err := s.Instagram.PageToken(ctx, user, ig.PageID)
		if err != nil || token.Empty() {
			observe.OfInstagram(ctx, s.Log, ig).WithError(err).Info("a Page's token could not be read anew; the old one stays in use")
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
		return nil // it got another one meanwhile
	}
	if err != nil || ig.Status == models.AccountActive {
		return err
	}
	return s.DB.Admission.WakeLane(ctx, models.Lane(models.Instagram, ig.ID), now)
}

// renewPageToken reads the token of a Page anew that Meta refused. dead is set if
// it did so by one of its codes for a dead token: only then can the account be
// given up.
func (s *Service) renewPageToken(ctx context.Context, refused Token, dead bool) error {
	ig, err := s.DB.Accounts.InstagramAccount(ctx, refused.accountID)
	if err != nil {
		return err
	}
	if done, err := s.renewed(ig, refused); done || err != nil {
		return err
	}
	login, user, err := s.claimLogin(ctx, ig.OAuthAccountID, func(*models.OAuthAccount) error { return nil })
	if err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	err = s.renewClaimed(ctx, login, user, refused, dead)
	return errors.Join(err, s.releaseLogin(ctx, login))
}

// renewed reports whether an account has another token than the one refused.
func (s *Service) renewed(ig *models.InstagramAccount, refused Token) (bool, error) {
	current, err := s.pageToken(ig)
	return err == nil && current.Access != refused.Access, err
}

// renewClaimed looks again now that nobody else can be at it, and asks once.
func (s *Service) renewClaimed(ctx context.Context, login *models.OAuthAccount, user secrets.Secret, refused Token, dead bool) error {
	ig, err := s.DB.Accounts.InstagramAccount(ctx, refused.accountID)
	if err != nil {
		return err
	}
	if done, err := s.renewed(ig, refused); done || err != nil {
		return err
	}
	reread, reason, err := s.readAnew(ctx, ig, user, refused)
	switch {
	case reason == "" && err != nil:
		return err
	case reason == "":
		return s.storePageToken(ctx, ig, reread)
	case !dead:
		return &LaterError{In: contradictedWait, Err: fmt.Errorf("%s, but Meta has not said that the token is dead", reason)}
	}
	return s.pageLost(ctx, login, ig, reason)
}

// readAnew asks for the token of a Page once more. It gives the new one, or the
// reason why there is none any more; an error is neither.
func (s *Service) readAnew(ctx context.Context, ig *models.InstagramAccount, user secrets.Secret, refused Token) (token secrets.Secret, reason string, err error) {
	if ig.PageID == "" || user.Empty() {
		return "", "the token was imported and cannot be read anew", nil
	}
	if age := s.Now().Sub(ig.UpdatedAt); age < youngToken {
		return "", "", youngRefused(age)
	}
	token, err = s.rereadPage(ctx, user, ig.PageID)
	switch {
	case err == nil && token.Empty():
		return "", "Meta gives no token for the Page any more", nil
	case err == nil && token == refused.Access:
		return s.lastWord(ctx, refused, "Meta refuses the Page's token")
	case err == nil:
		return token, "", nil
	case instagram.IsUnseen(err):
		return s.lastWord(ctx, refused, "the Facebook login does not reach the Page any more")
	case instagram.IsDeadToken(err):
		return "", "the Facebook login behind the Page's token is dead", nil
	case platform.KindOf(err) == platform.Rejected && permissionLost(err):
		return "", "the Facebook login may not use the Page any more", nil
	}
	return "", "", &LaterError{In: waitAfter(0, err), Err: err}
}

func (s *Service) rereadPage(ctx context.Context, user secrets.Secret, pageID string) (secrets.Secret, error) {
	ctx, cancel := context.WithTimeout(ctx, refreshCall)
	defer cancel()
	return s.Instagram.PageToken(ctx, user, pageID)
}

// permissionLost tells a permission that is missing, which the client codes as a
// matter of the token, from any other refusal.
func permissionLost(err error) bool {
	e, ok := errors.AsType[*platform.Error](err)
	return ok && e.Code == platform.CodeTokenInvalid
}

// lastWord is for a refused token of which the Page's answer does not tell whether
// it is dead: debug_token does. If it is, the reason is the one given.
func (s *Service) lastWord(ctx context.Context, refused Token, dead string) (_ secrets.Secret, reason string, err error) {
	info, err := s.Instagram.InspectToken(ctx, refused.Access)
	switch {
	case err != nil:
		return "", "", &LaterError{In: waitAfter(0, err), Err: err}
	case info.Dead():
		return "", dead, nil
	}
	return "", "", &LaterError{In: contradictedWait, Err: errors.New("the Page's token is refused, but Meta does not call it dead")}
}

func (s *Service) pageLost(ctx context.Context, login *models.OAuthAccount, ig *models.InstagramAccount, reason string) error {
	return s.reauthorize(ctx, login, db.Ending{Platform: models.Instagram, AccountID: ig.ID, Reason: reason}, db.Refused{Sealed: ig.AccessToken})
}

// atOnce calls fn for 0 to n-1, a few at a time. An error of one does not stop the
// others.
func atOnce(n int, fn func(i int) error) error {
	var group errgroup.Group
	group.SetLimit(pagesAtOnce)
	errs := make([]error, n)
	for i := range n {
		group.Go(func() error {
			errs[i] = fn(i)
			return nil
		})
	}
	_ = group.Wait() // its functions keep their errors
	return errors.Join(errs...)
}
