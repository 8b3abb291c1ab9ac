package oauth

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/sirupsen/logrus"

	"socialqueue/db"
	"socialqueue/models"
	"socialqueue/observe"
	"socialqueue/platform"
)

// finishNow limits how long a disconnect waits for the platform and for the posts to be
// canceled. Token maintenance does the rest.
const finishNow = 5 * time.Second

// endingFor is how long a disconnect is retried if the database refuses it, for example
// because of a conflict with another change. The platform may not report it again.
const endingFor = 5 * time.Second

// Disconnect disconnects an account of an app. Posts whose sending has not begun are
// canceled, and the consent is revoked at the platform. Repeating it is no error. Posts
// that are being sent go on as far as they need no token.
func (s *Service) Disconnect(ctx context.Context, appID int64, p models.Platform, id int64) (*db.Account, error) {
	if _, err := s.DB.Accounts.Get(ctx, appID, p, id); err != nil {
		return nil, err
	}
	const reason = "the account was disconnected"
	ending, now := db.Deactivation{Platform: p, AccountID: id, Reason: reason, Note: canceledNote(reason)}, s.Now()
	var login int64
	err := db.Persist(ctx, endingFor, func(ctx context.Context) (err error) {
		login, err = s.DB.Connections.Disconnect(ctx, ending, now)
		return err
	}, nil)
	if err != nil {
		return nil, err
	}
	if err := s.finishEnding(ctx, login); err != nil {
		observe.In(ctx, s.Log).WithFields(logrus.Fields{observe.FieldProvider: p, observe.FieldAccountID: id}).WithError(err).Warn("a disconnected account still has posts to cancel or a consent to revoke; token maintenance does it later")
	}
	return s.DB.Accounts.Get(ctx, appID, p, id)
}

// canceledNote is the timeline message of a post that is canceled because its account was
// disconnected.
func canceledNote(reason string) string { return "canceled: " + reason }

// finishEnding cancels the posts of disconnected accounts and revokes their consent now, so
// that the caller need not wait for token maintenance.
func (s *Service) finishEnding(ctx context.Context, login int64) error {
	ctx, cancel := context.WithTimeout(ctx, finishNow)
	defer cancel()
	a, err := s.DB.Accounts.OAuthAccount(ctx, login)
	if err != nil {
		return err
	}
	if a.Status == models.AccountDisconnected {
		return s.Maintain(ctx, login)
	}
	return s.DB.Connections.FinishDisconnect(ctx, a, canceledNote, s.Now())
}

// revoke withdraws a disconnected account's consent at the platform and deletes its tokens.
// If the platform fails for a day, the tokens are deleted anyway.
func (s *Service) revoke(ctx context.Context, a *models.OAuthAccount) error {
	shared, err := s.consentShared(ctx, a)
	if err != nil {
		return err
	}
	if a.AccessToken != "" && !shared {
		err := s.callRevoke(ctx, a)
		if err != nil && temporary(err) && s.Now().Sub(a.UpdatedAt) < revokeFor {
			observe.OfAccount(ctx, s.Log, a).WithError(err).Warn("cannot revoke a disconnected account now; it is tried again")
			return s.maintainIn(context.WithoutCancel(ctx), a, refreshWaits[0])
		}
		if err != nil {
			observe.OfAccount(ctx, s.Log, a).WithError(err).Warn("cannot revoke a disconnected account at the platform; its tokens are deleted")
		}
	}
	return s.DB.Connections.ForgetTokens(context.WithoutCancel(ctx), a)
}

// consentShared reports whether another user has the same person's account connected.
// Platforms know one consent per person, and revoking it would disconnect that user too.
func (s *Service) consentShared(ctx context.Context, a *models.OAuthAccount) (bool, error) {
	same, err := s.DB.Accounts.OAuthAccountsOf(ctx, a.Provider, a.ProviderAccountID)
	if err != nil {
		return false, err
	}
	for _, other := range same {
		if other.ID != a.ID && other.Status != models.AccountDisconnected {
			return true, nil
		}
	}
	return false, nil
}

func (s *Service) callRevoke(ctx context.Context, a *models.OAuthAccount) error {
	access, err := s.Keys.Open(a.AccessToken, a.SealedIn(models.ColumnAccessToken))
	if err != nil {
		return fmt.Errorf("open the token of account %d: %w", a.ID, err)
	}
	c, err := s.connector(a.Provider)
	if err != nil {
		return err
	}
	return c.Revoke(ctx, access, a.ProviderAccountID)
}

// temporary reports whether another attempt may succeed.
func temporary(err error) bool {
	switch platform.KindOf(err) {
	case platform.AuthExpired, platform.Rejected:
		return false
	}
	return !errors.Is(err, ErrNotConfigured)
}

// ErrNotAuthentic means that a message was not signed by the platform.
var ErrNotAuthentic = errors.New("the message is not signed by the platform")

// Removed disconnects the accounts of a person who withdrew the consent at the platform at
// that time. reason is shown in the accounts and in their posts' timelines. An account that
// was connected later stays, because notifications arrive late and more than once. Removed
// reports whether the person has an account here.
func (s *Service) Removed(ctx context.Context, p models.Platform, providerAccountID, reason string, at time.Time) (known bool, err error) {
	accounts, err := s.DB.Accounts.OAuthAccountsOf(ctx, p, providerAccountID)
	if err != nil {
		return false, err
	}
	return len(accounts) > 0, s.deauthorize(ctx, accounts, reason, at)
}

// deauthorize disconnects accounts whose owner withdrew the consent at that time.
func (s *Service) deauthorize(ctx context.Context, accounts []models.OAuthAccount, reason string, at time.Time) error {
	for i := range accounts {
		a := &accounts[i]
		if a.Status == models.AccountDisconnected {
			continue
		}
		if err := s.deauthorizeOne(ctx, a, reason, at); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) deauthorizeOne(ctx context.Context, a *models.OAuthAccount, reason string, at time.Time) error {
	var ended bool
	now := s.Now()
	err := db.Persist(ctx, endingFor, func(ctx context.Context) (err error) {
		ended, err = s.DB.Connections.Deauthorize(ctx, a.ID, reason, at, now)
		return err
	}, nil)
	if err != nil || !ended {
		return err
	}
	log := observe.OfAccount(ctx, s.Log, a)
	log.WithField(observe.FieldReason, reason).Warn("the account was disconnected at the platform")
	if err := s.finishEnding(ctx, a.ID); err != nil {
		log.WithError(err).Warn("a disconnected account still has posts to cancel; token maintenance does it later")
	}
	return nil
}

// Withdrawn is Removed for a request that the platform signed: every account connected
// through that consent is disconnected. It returns ErrNotAuthentic if the platform did not
// sign the request.
func (s *Service) Withdrawn(ctx context.Context, p models.Platform, signed string) error {
	w, err := s.verify(p, signed)
	if err != nil {
		return err
	}
	_, err = s.Removed(ctx, p, w.ProviderAccountID, w.Reason, w.At)
	return err
}

func (s *Service) verify(p models.Platform, signed string) (Withdrawal, error) {
	v, ok := s.connectors[p].(Verifier)
	if !ok {
		return Withdrawal{}, fmt.Errorf("%w: requests of %s cannot be verified", ErrNotAuthentic, p)
	}
	w, err := v.Verify(signed)
	if err != nil {
		return Withdrawal{}, fmt.Errorf("%w: %w", ErrNotAuthentic, err)
	}
	return w, nil
}

// RequestDeletion handles a person's request, signed by the platform, to delete their data.
// The accounts are disconnected at once; the data is deleted by the next ticks of Erase. It
// returns the code for the status page, or ErrNotAuthentic if the platform did not sign the
// request.
func (s *Service) RequestDeletion(ctx context.Context, p models.Platform, signed string) (code string, err error) {
	w, err := s.verify(p, signed)
	if err != nil {
		return "", err
	}
	deletion := db.Deletion{
		Provider: p, ProviderAccountID: w.ProviderAccountID, RequestedAt: w.At, Code: rand.Text(),
		Reason: "the person asked for the deletion of their data",
	}
	now := s.Now()
	err = db.Persist(ctx, endingFor, func(ctx context.Context) (err error) {
		code, err = s.DB.Connections.RequestDeletion(ctx, deletion, now)
		return err
	}, nil)
	if err != nil {
		return "", err
	}
	observe.In(ctx, s.Log).WithField("code", code).Warn("a person asked for the deletion of their data")
	return code, nil
}

// erasePosts is how many posts one transaction deletes, and eraseRounds how many
// transactions one tick makes. Each scans all idempotency keys: an index on them would slow
// down every accepted post for a rare request.
const (
	erasePosts  = 2000
	eraseRounds = 10
)

// Erase deletes the data of pending deletion requests. It is one tick of the scheduler.
func (s *Service) Erase(ctx context.Context) error {
	for range eraseRounds {
		more, err := s.DB.Connections.Erase(ctx, erasePosts, s.Now())
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// DeletionURL returns the address of the page with the status of a deletion.
func (s *Service) DeletionURL(p models.Platform, code string) string {
	return s.PublicURL + "/api/auth/" + string(p) + "/deletions/" + code
}
