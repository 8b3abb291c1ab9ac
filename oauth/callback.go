package oauth

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"socialqueue/db"
	"socialqueue/models"
	"socialqueue/observe"
	"socialqueue/platform"
	"socialqueue/secrets"
)

// Callback is what a platform's redirect brought.
type Callback struct {
	Platform models.Platform
	State    string
	Code     secrets.Secret
	// Error is set instead of Code if the user, or the platform, said no.
	Error string
}

// The codes of a connect that failed, as return_url and the page show them.
const (
	CodeStateInvalid  = "STATE_INVALID"
	CodeStateExpired  = "STATE_EXPIRED"
	CodeDenied        = "ACCESS_DENIED"
	CodeScopesMissing = "SCOPES_MISSING"
	CodeNoAccounts    = "NO_ACCOUNTS"
	CodeRefused       = "CODE_REFUSED"
	CodeInterrupted   = "INTERRUPTED"
	CodePlatform      = "PLATFORM_UNAVAILABLE"
	CodeErasing       = "DELETION_UNDER_WAY"
)

// Outcome is how a connect ended.
type Outcome struct {
	Platform  models.Platform
	UserID    int64
	ReturnURL string
	// Code is empty if the account is connected; then Accounts has at least one.
	Code string
	// Detail says in words what happened and what to do.
	Detail   string
	Accounts []ConnectedAccount
	// Unusable are Pages that cannot be posted to, with the reason.
	Unusable []UnusablePage

	// fragment is that of the platform's Traits.
	fragment bool
}

// ConnectedAccount is one account that a consent connected.
type ConnectedAccount struct {
	ID   int64
	Name string
}

// UnusablePage is a Page that a consent showed and that cannot be posted to.
type UnusablePage struct {
	Name, Reason string
}

// Redirect is where the browser goes: the app's own return_url with the outcome
// in its query. It is empty where the app named none.
func (o Outcome) Redirect() string {
	u, err := url.Parse(o.ReturnURL)
	if err != nil || o.ReturnURL == "" {
		return ""
	}
	q := url.Values{"platform": {string(o.Platform)}, "user_id": {strconv.FormatInt(o.UserID, 10)}}
	if o.Code != "" {
		q.Set("status", "error")
		q.Set("code", o.Code)
	} else {
		o.addAccounts(q)
	}
	if n := len(o.Unusable); n > 0 {
		q.Set("unusable_pages", strconv.Itoa(n))
		q.Set("reasons", strings.Join(o.reasons(), ","))
	}
	u.RawQuery = strings.Join(append(foreignPairs(u.RawQuery), q.Encode()), "&")
	if o.fragment {
		return u.String() + "#" // or the browser would keep the fragment that the platform sent it along with
	}
	return u.String()
}

// outcomeNames are what Redirect may add to a return_url.
var outcomeNames = []string{"status", "code", "platform", "user_id", "account_id", "account_ids", "unusable_pages", "reasons"}

// foreignPairs gives the pairs of an app's own query as they stand, without those
// that could be taken for the outcome.
func foreignPairs(query string) []string {
	return slices.DeleteFunc(strings.Split(query, "&"), func(pair string) bool {
		name, _, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(name)
		return pair == "" || err == nil && slices.Contains(outcomeNames, name)
	})
}

func (o Outcome) addAccounts(q url.Values) {
	ids := make([]string, len(o.Accounts))
	for i, a := range o.Accounts {
		ids[i] = strconv.FormatInt(a.ID, 10)
	}
	q.Set("status", "connected")
	q.Set("account_id", ids[0])
	q.Set("account_ids", strings.Join(ids, ","))
}

// reasons are the different ones why Pages cannot be posted to.
func (o Outcome) reasons() []string {
	var reasons []string
	for _, p := range o.Unusable {
		if !slices.Contains(reasons, p.Reason) {
			reasons = append(reasons, p.Reason)
		}
	}
	return reasons
}

// finishTime bounds the calls of a connect: a login may show hundreds of Pages.
const finishTime = 45 * time.Second

// Finish takes a platform's callback. A browser may make it twice: the first one
// exchanges the code, and every one gets the same answer. An error is an internal
// one that leaves the connect as it was, so that the callback may be made again.
func (s *Service) Finish(ctx context.Context, cb Callback) (Outcome, error) {
	o, err := s.finishOnce(ctx, cb)
	o.fragment = s.traits(cb.Platform).Fragment
	return o, err
}

func (s *Service) finishOnce(ctx context.Context, cb Callback) (Outcome, error) {
	ctx = context.WithoutCancel(ctx) // a code works once: a browser that left must not stop it
	c, err := s.connects.read(ctx, cb.State)
	if errors.Is(err, errUnknownState) || err == nil && c.Platform != cb.Platform {
		return stateInvalid(cb.Platform), nil
	}
	if err != nil {
		return Outcome{}, err
	}
	first, err := s.connects.claim(ctx, cb.State)
	if err != nil {
		return Outcome{}, err
	}
	if !first {
		return s.answerAgain(ctx, c, cb)
	}
	o := s.finish(ctx, c, cb)
	s.Metrics.Connected(string(o.Platform), o.told())
	if err := s.connects.keep(ctx, cb.State, o); err != nil {
		observe.In(ctx, s.Log).WithError(err).Warn("a connect is done, but a second callback will not get its answer")
	}
	return o, nil
}

// told is what came of a connect, for those who count.
func (o Outcome) told() string {
	if o.Code == "" {
		return "connected"
	}
	return o.Code
}

func stateInvalid(p models.Platform) Outcome {
	return Outcome{
		Platform: p, Code: CodeStateInvalid,
		Detail: "This link belongs to no connection that was begun here. Go back to the app and connect the account from there.",
	}
}

func (s *Service) answerAgain(ctx context.Context, c connect, cb Callback) (Outcome, error) {
	o, err := s.connects.answer(ctx, cb.State)
	if errors.Is(err, errInterrupted) {
		return c.failed(CodeInterrupted, "The connection was interrupted. Go back to the app and connect the account again."), nil
	}
	return o, err
}

func (c *connect) failed(code, detail string) Outcome {
	return Outcome{Platform: c.Platform, UserID: c.UserID, ReturnURL: c.ReturnURL, Code: code, Detail: detail}
}

// finish does what a callback asks for, the one time.
func (s *Service) finish(ctx context.Context, c connect, cb Callback) Outcome {
	switch {
	case c.expired(s.Now()):
		return c.failed(CodeStateExpired, fmt.Sprintf("The consent took longer than %d minutes. Go back to the app and connect the account again.", int(connectLife.Minutes())))
	case cb.Error != "" || cb.Code.Empty():
		return c.failed(CodeDenied, "The consent was not given, so nothing was connected. To connect the account, go back to the app and allow the access.")
	}
	ctx, cancel := context.WithTimeout(ctx, finishTime)
	defer cancel()
	account := &models.OAuthAccount{Provider: c.Platform, UserID: c.UserID} // it has no row yet
	log := observe.OfAccount(ctx, s.Log, account).WithField(observe.FieldAction, "connect")
	ctx = platform.WithRecorder(ctx, s.recordOf(ctx, account))
	o, err := s.exchange(ctx, c, cb.Code)
	if err != nil {
		log.WithError(err).Warn("an account could not be connected")
		return o
	}
	log.WithFields(map[string]any{"code": o.Code, "accounts": len(o.Accounts)}).Info("a connect has ended")
	return o
}

// exchange turns a code into connected accounts. With an error, which is for the
// log, comes the outcome that the user is shown.
func (s *Service) exchange(ctx context.Context, c connect, code secrets.Secret) (Outcome, error) {
	connector, err := s.connector(c.Platform)
	if err != nil {
		return c.refused(err)
	}
	grant, err := connector.Exchange(ctx, code, c.verifier(), s.redirectURI(c.Platform))
	if err != nil {
		return c.refused(err)
	}
	now := s.Now()
	if missing := lacking(connector.Traits().Needed, grant.Scopes); len(missing) > 0 {
		return c.scopesMissing(missing), nil
	}
	reach, err := connector.Accounts(ctx, grant)
	if err != nil {
		return c.refused(err)
	}
	connection, err := s.rows(c, grant, reach, now)
	if err != nil {
		return c.unstored(err)
	}
	if reach.Unread != nil {
		observe.OfAccount(ctx, s.Log, connection.Account).WithError(reach.Unread).Info("a part of the profile could not be read; the account is connected without it")
	}
	return s.storeConsent(ctx, c, connection)
}

// storeConsent stores what a consent reaches. A login without any account that can
// be posted to is not stored: what was there before stays as it is.
func (s *Service) storeConsent(ctx context.Context, c connect, connection *db.Connection) (Outcome, error) {
	err := s.store(ctx, connection)
	if errors.Is(err, db.ErrNoAccounts) {
		o := c.failed(CodeNoAccounts, s.traits(c.Platform).NoAccounts)
		o.Unusable = unusablePages(connection)
		return o, nil
	}
	if err != nil {
		return c.unstored(err)
	}
	accounts := connectedAccounts(connection)
	observe.OfAccount(ctx, s.Log, connection.Account).WithFields(map[string]any{"accounts": len(accounts), "pages": len(connection.Pages)}).
		Info("a consent was stored")
	return c.connected(accounts, unusablePages(connection)), nil
}

// store stores what a consent or an import brought, and lets the posts go on that
// waited for it.
func (s *Service) store(ctx context.Context, c *db.Connection) error {
	now := c.Account.ConnectedAt
	c.LeftReason = "its accounts are reached by another login"
	err := db.Persist(ctx, persistFor, func(ctx context.Context) error { return s.DB.Connections.Connect(ctx, c, now) }, nil)
	if err != nil {
		return err
	}
	err = db.Persist(ctx, persistFor, func(ctx context.Context) error { return s.DB.Connections.WakeConnected(ctx, c, now) }, nil)
	if err != nil {
		observe.OfAccount(ctx, s.Log, c.Account).WithError(err).Warn("posts of an account that is connected still wait; they look again by themselves")
	}
	return nil
}

// refused is the outcome of a platform that gave no token, or not what a token
// should give.
func (c *connect) refused(err error) (Outcome, error) {
	switch platform.KindOf(err) {
	case platform.Rejected, platform.AuthExpired:
		return c.failed(CodeRefused, "The platform did not accept the sign-in. Go back to the app and connect the account again."), err
	default:
		return c.failed(CodePlatform, "The platform did not answer as it should. Wait a minute, then go back to the app and connect the account again."), err
	}
}

// unstored is the outcome of an internal error.
func (c *connect) unstored(err error) (Outcome, error) {
	if errors.Is(err, db.ErrErasing) {
		return c.failed(CodeErasing, "The data of this login is being deleted, as was asked for. Wait a minute, then connect it again."), err
	}
	return c.failed(CodeInterrupted, "The connection was interrupted on our side. Go back to the app and connect the account again."), err
}

func (c *connect) scopesMissing(missing []string) Outcome {
	return c.failed(CodeScopesMissing, fmt.Sprintf(
		"Posting needs the following permissions, which were not given: %s. Go back to the app, connect the account again and leave them ticked.",
		strings.Join(missing, ", ")))
}

// lacking lists what is needed and was not granted.
func lacking(needed, granted []string) []string {
	var missing []string
	for _, scope := range needed {
		if !slices.Contains(granted, scope) {
			missing = append(missing, scope)
		}
	}
	return missing
}

func (c *connect) connected(accounts []ConnectedAccount, unusable []UnusablePage) Outcome {
	return Outcome{Platform: c.Platform, UserID: c.UserID, ReturnURL: c.ReturnURL, Accounts: accounts, Unusable: unusable}
}
