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

// finishNow bounds how long the end of an account waits for the platform, and for
// posts that are very many; after that the upkeep goes on with it.
const finishNow = 5 * time.Second

// endingFor is how long the end of an account is tried again that the database did
// not take, as when it met another change of the same rows. Nobody tells of it twice.
const endingFor = 5 * time.Second

// Disconnect ends an account of an app: posts whose sending has not begun are
// canceled, and the consent is revoked at the platform. Doing it twice is no
// error. What is on its way already goes on, as far as it needs no token.
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
		observe.In(ctx, s.Log).WithFields(logrus.Fields{observe.FieldProvider: p, observe.FieldAccountID: id}).WithError(err).Warn("a disconnected account has posts or a consent left; its upkeep goes on with it")
	}
	return s.DB.Accounts.Get(ctx, appID, p, id)
}

// canceledNote is the message in the timeline of a post that is canceled because its
// account ended.
func canceledNote(reason string) string { return "canceled: " + reason }

// finishEnding does at once what the upkeep of a login would do for its accounts
// that ended, so that whoever ended one finds its posts canceled, and the consent
// gone at the platform too.
func (s *Service) finishEnding(ctx context.Context, login int64) error {
	ctx, cancel := context.WithTimeout(ctx, finishNow)
	defer cancel()
	a, err := s.DB.Accounts.OAuthAccount(ctx, login)
	if err != nil {
		return err
	}
	if a.Status == models.AccountDisconnected {
		return s.Upkeep(ctx, login)
	}
	return s.DB.Connections.FinishDisconnect(ctx, a, canceledNote, s.Now())
}

// revoke takes a disconnected account's consent back at the platform and forgets
// its tokens. What the platform does not take for a day is forgotten all the same.
func (s *Service) revoke(ctx context.Context, a *models.OAuthAccount) error {
	shared, err := s.consentShared(ctx, a)
	if err != nil {
		return err
	}
	if a.AccessToken != "" && !shared {
		err := s.callRevoke(ctx, a)
		if err != nil && passing(err) && s.Now().Sub(a.UpdatedAt) < revokeFor {
			observe.OfAccount(ctx, s.Log, a).WithError(err).Warn("a disconnected account could not be revoked yet")
			return s.upkeepIn(context.WithoutCancel(ctx), a, refreshWaits[0])
		}
		if err != nil {
			observe.OfAccount(ctx, s.Log, a).WithError(err).Warn("a disconnected account was not revoked at the platform; its tokens are forgotten")
		}
	}
	return s.DB.Connections.ForgetTokens(context.WithoutCancel(ctx), a)
}

// consentShared reports whether somebody else has the same person's account
// connected: platforms know one consent per person, and revoking it would
// disconnect them too.
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

// passing reports whether another try may have another end.
func passing(err error) bool {
	switch platform.KindOf(err) {
	case platform.AuthExpired, platform.Rejected:
		return false
	}
	return !errors.Is(err, ErrNotConfigured)
}

// ErrNotAuthentic: a message does not come from the platform that it names.
var ErrNotAuthentic = errors.New("the message is not signed by the platform")

// Removed ends the accounts of a person who withdrew the consent at that time, as
// the platform says. reason is told in the accounts and in their posts' timelines. An
// account that was connected after that stays: events come late, and more than once.
// It reports whether the person has an account here.
func (s *Service) Removed(ctx context.Context, p models.Platform, providerAccountID, reason string, at time.Time) (known bool, err error) {
	accounts, err := s.DB.Accounts.OAuthAccountsOf(ctx, p, providerAccountID)
	if err != nil {
		return false, err
	}
	return len(accounts) > 0, s.deauthorize(ctx, accounts, reason, at)
}

// deauthorize ends accounts whose owner withdrew the consent at that time.
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
		log.WithError(err).Warn("a disconnected account has posts left; its upkeep goes on with them")
	}
	return nil
}

// Withdrawn is Removed for a request that the platform signed: all that was connected
// through that consent ends. ErrNotAuthentic: the platform did not sign it.
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
		return Withdrawal{}, fmt.Errorf("%w: no requests of %s can be verified here", ErrNotAuthentic, p)
	}
	w, err := v.Verify(signed)
	if err != nil {
		return Withdrawal{}, fmt.Errorf("%w: %w", ErrNotAuthentic, err)
	}
	return w, nil
}

// RequestDeletion takes a person's request, signed by the platform, to delete what we
// have of them. The accounts end at once, the data goes with the next ticks. It
// returns the code by which the person can follow it. ErrNotAuthentic: the platform
// did not sign it.
func (s *Service) RequestDeletion(ctx context.Context, p models.Platform, signed string) (code string, err error) {
	w, err := s.verify(p, signed)
	if err != nil {
		return "", err
	}
	deletion := db.Deletion{
		Provider: p, ProviderAccountID: w.ProviderAccountID, RequestedAt: w.At, Code: rand.Text(),
		Reason: "the person asked for their data to be deleted",
	}
	now := s.Now()
	err = db.Persist(ctx, endingFor, func(ctx context.Context) (err error) {
		code, err = s.DB.Connections.RequestDeletion(ctx, deletion, now)
		return err
	}, nil)
	if err != nil {
		return "", err
	}
	observe.In(ctx, s.Log).WithField("code", code).Warn("a person asked for their data to be deleted")
	return code, nil
}

// erasePosts is how many posts one transaction deletes, and eraseRounds how many
// transactions one tick makes. Each looks through all idempotency keys: an index
// on them would cost every post that is accepted, for what people rarely ask.
const (
	erasePosts  = 2000
	eraseRounds = 10
)

// Erase deletes what people asked to be deleted. It is one tick of the scheduler.
func (s *Service) Erase(ctx context.Context) error {
	for range eraseRounds {
		more, err := s.DB.Connections.Erase(ctx, erasePosts, s.Now())
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// DeletionURL is where a person sees how far the deletion of their data is.
func (s *Service) DeletionURL(p models.Platform, code string) string {
	return s.PublicURL + "/api/auth/" + string(p) + "/deletions/" + code
}
