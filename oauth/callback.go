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

// Callback holds the parameters of a platform's redirect.
type Callback struct {
	Platform models.Platform
	State    string
	Code     secrets.Secret
	// Refusal is set if the user or the platform refused.
	Refusal *Refusal
}

// Refusal is what a platform's redirect says instead of a code. It is text from the address
// of a request.
type Refusal struct {
	// Error is the code of the refusal.
	Error string
	// Words is all that the platform said, beginning with its code.
	Words []string
}

// accessDenied is the one code that means that the user said no (RFC 6749, 4.1.2.1).
const accessDenied = "access_denied"

// said returns the platform's words as they may be logged and shown.
func (cb Callback) said() string {
	if cb.Refusal == nil {
		return ""
	}
	return platform.Words(strings.ReplaceAll(strings.Join(cb.Refusal.Words, ": "), cb.State, platform.Hidden))
}

// Codes of a failed connect, as shown in return_url and on our page.
const (
	CodeStateInvalid  = "STATE_INVALID"
	CodeStateExpired  = "STATE_EXPIRED"
	CodeDenied        = "ACCESS_DENIED"
	CodeRefusedThere  = "PLATFORM_REFUSED"
	CodeScopesMissing = "SCOPES_MISSING"
	CodeNoAccounts    = "NO_ACCOUNTS"
	CodeRefused       = "CODE_REFUSED"
	CodeInterrupted   = "INTERRUPTED"
	CodePlatform      = "PLATFORM_UNAVAILABLE"
	CodeErasing       = "DELETION_UNDER_WAY"
)

// Outcome is the result of a connect.
type Outcome struct {
	Platform  models.Platform
	UserID    int64
	ReturnURL string
	// Code is empty if the account is connected; Accounts then has at least one entry.
	Code string
	// Detail tells the user what happened and what to do next.
	Detail string
	// Said is what the platform said of a refusal in its redirect. It is foreign text.
	Said     string
	Accounts []ConnectedAccount
	// Unusable lists the Pages that cannot be posted to, with the reason.
	Unusable []UnusablePage

	// fragment is Traits.Fragment of the platform.
	fragment bool
}

// ConnectedAccount is one account that a consent connected.
type ConnectedAccount struct {
	ID   int64
	Name string
}

// UnusablePage is a Page of the login that cannot be posted to.
type UnusablePage struct {
	Name, Reason string
}

// Redirect returns the app's return_url with the outcome in its query. It is empty if the
// app gave no return_url.
func (o Outcome) Redirect() string {
	u, err := url.Parse(o.ReturnURL)
	if err != nil || o.ReturnURL == "" {
		return ""
	}
	q := url.Values{"platform": {string(o.Platform)}, "user_id": {strconv.FormatInt(o.UserID, 10)}}
	if o.Code != "" {
		q.Set("status", "error")
		q.Set("code", o.Code)
		if o.Said != "" {
			q.Set("detail", o.Said)
		}
	} else {
		o.addAccounts(q)
	}
	if n := len(o.Unusable); n > 0 {
		q.Set("unusable_pages", strconv.Itoa(n))
		q.Set("reasons", strings.Join(o.reasons(), ","))
	}
	u.RawQuery = strings.Join(append(foreignPairs(u.RawQuery), q.Encode()), "&")
	if o.fragment {
		return u.String() + "#" // without this, browsers keep the fragment that the platform appended
	}
	return u.String()
}

// outcomeNames are the parameters that Redirect may add to a return_url.
var outcomeNames = []string{"status", "code", "detail", "platform", "user_id", "account_id", "account_ids", "unusable_pages", "reasons"}

// foreignPairs returns the parameters of the app's own query unchanged, without those that
// could be mistaken for the outcome.
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

// reasons lists, without duplicates, why Pages cannot be posted to.
func (o Outcome) reasons() []string {
	var reasons []string
	for _, p := range o.Unusable {
		if !slices.Contains(reasons, p.Reason) {
			reasons = append(reasons, p.Reason)
		}
	}
	return reasons
}

// finishTime limits the calls of a connect. A login may have hundreds of Pages.
const finishTime = 45 * time.Second

// Finish handles a platform's callback. A browser may send it twice: the first request
// exchanges the code, and every request gets the same outcome. An error is an internal
// error that left the connect unchanged, so the callback may be repeated.
func (s *Service) Finish(ctx context.Context, cb Callback) (Outcome, error) {
	o, err := s.finishOnce(ctx, cb)
	o.fragment = s.traits(cb.Platform).Fragment
	return o, err
}

func (s *Service) finishOnce(ctx context.Context, cb Callback) (Outcome, error) {
	ctx = context.WithoutCancel(ctx) // a code works once, so a closed browser must not interrupt the exchange
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
		return s.repeatAnswer(ctx, c, cb)
	}
	if err := s.connects.done(ctx, cb.State, userOwner(c.UserID), appOwner(c.AppID)); err != nil {
		observe.In(ctx, s.Log).WithError(err).Warn("cannot count a connect as finished; its count expires by itself")
	}
	o := s.finish(ctx, c, cb)
	s.Metrics.Connected(string(o.Platform), o.result())
	if err := s.connects.keep(ctx, cb.State, o); err != nil {
		observe.In(ctx, s.Log).WithError(err).Warn("cannot store the outcome of a connect; a repeated callback will not get it")
	}
	return o, nil
}

// result is the outcome as a metric label.
func (o Outcome) result() string {
	if o.Code == "" {
		return "connected"
	}
	return o.Code
}

func stateInvalid(p models.Platform) Outcome {
	return Outcome{
		Platform: p, Code: CodeStateInvalid,
		Detail: "This link was not created here, or it is too old. Go back to the app and connect the account from there.",
	}
}

func (s *Service) repeatAnswer(ctx context.Context, c connect, cb Callback) (Outcome, error) {
	o, err := s.connects.answer(ctx, cb.State)
	if errors.Is(err, errInterrupted) {
		return c.failed(CodeInterrupted, "The connection was interrupted. Go back to the app and connect the account again."), nil
	}
	return o, err
}

func (c *connect) failed(code, detail string) Outcome {
	return Outcome{Platform: c.Platform, UserID: c.UserID, ReturnURL: c.ReturnURL, Code: code, Detail: detail}
}

// finish handles the first callback of a connect.
func (s *Service) finish(ctx context.Context, c connect, cb Callback) Outcome {
	switch {
	case c.expired(s.Now()):
		return c.failed(CodeStateExpired, fmt.Sprintf("The sign-in took longer than %d minutes. Go back to the app and connect the account again.", int(connectLife.Minutes())))
	}
	account := &models.OAuthAccount{Provider: c.Platform, UserID: c.UserID} // for the log; it has no row yet
	log := observe.OfAccount(ctx, s.Log, account).WithField(observe.FieldAction, "connect")
	if cb.Refusal != nil || cb.Code.Empty() {
		o := c.notAllowed(cb)
		log.WithFields(map[string]any{"code": o.Code, "platform_said": o.Said}).Warn("the platform sent the browser back without a code")
		return o
	}
	ctx, cancel := context.WithTimeout(ctx, finishTime)
	defer cancel()
	ctx = platform.WithRecorder(ctx, s.recordOf(ctx, account))
	o, err := s.exchange(ctx, c, cb.Code)
	if err != nil {
		log.WithError(err).Warn("cannot connect an account")
		return o
	}
	log.WithFields(map[string]any{"code": o.Code, "accounts": len(o.Accounts)}).Info("connect finished")
	return o
}

// notAllowed is the outcome of a callback without a code. Only access_denied means that the
// user said no. Anything else is about this app at the platform, such as a permission that it
// does not have: the user can do nothing about it.
func (c *connect) notAllowed(cb Callback) Outcome {
	o := c.failed(CodeRefusedThere, "The platform refused the sign-in. Most likely this app is not set up correctly there, which you cannot change. "+
		"Try again once; if it fails again, tell the operator of the app, and quote the reference below and the time.")
	if cb.Refusal != nil && cb.Refusal.Error == accessDenied {
		o = c.failed(CodeDenied, "Access was not allowed, so nothing was connected. To connect the account, go back to the app and allow access.")
	}
	o.Said = cb.said()
	return o
}

// exchange turns a code into connected accounts. It always returns the outcome to show; an
// error is for the log.
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
	if missing := missingScopes(connector.Traits().Needed, grant.Scopes); len(missing) > 0 {
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
		observe.OfAccount(ctx, s.Log, connection.Account).WithError(reach.Unread).Info("cannot read the whole profile; the account is connected without it")
	}
	return s.storeConsent(ctx, c, connection)
}

// storeConsent stores a consent with its accounts. A login without any usable account is
// not stored; what was stored before stays.
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
		Info("consent stored")
	if c.Platform.BehindLogin() {
		s.subscribe(ctx, connection.Account)
	}
	return c.connected(accounts, unusablePages(connection)), nil
}

// store stores a consent or an import, and resumes the posts that waited for the account.
func (s *Service) store(ctx context.Context, c *db.Connection) error {
	now := c.Account.ConnectedAt
	c.LeftReason = "its accounts are now reached through another login"
	err := db.Persist(ctx, persistFor, func(ctx context.Context) error { return s.DB.Connections.Connect(ctx, c, now) }, nil)
	if err != nil {
		return err
	}
	err = db.Persist(ctx, persistFor, func(ctx context.Context) error { return s.DB.Connections.WakeConnected(ctx, c, now) }, nil)
	if err != nil {
		observe.OfAccount(ctx, s.Log, c.Account).WithError(err).Warn("cannot resume the posts of a connected account; they check again on their own schedule")
	}
	return nil
}

// refused is the outcome if the platform gave no token, or did not let us read what the
// token gives access to.
func (c *connect) refused(err error) (Outcome, error) {
	switch platform.KindOf(err) {
	case platform.Rejected, platform.AuthExpired:
		return c.failed(CodeRefused, "The platform did not accept the sign-in. Go back to the app and connect the account again."), err
	default:
		return c.failed(CodePlatform, "The platform did not answer correctly. Wait a minute, then go back to the app and connect the account again."), err
	}
}

// unstored is the outcome if the accounts could not be stored.
func (c *connect) unstored(err error) (Outcome, error) {
	if errors.Is(err, db.ErrErasing) {
		return c.failed(CodeErasing, "The data of this account is being deleted, as requested. Wait a minute, then connect it again."), err
	}
	return c.failed(CodeInterrupted, "The account could not be stored because of an internal error. Go back to the app and connect the account again."), err
}

func (c *connect) scopesMissing(missing []string) Outcome {
	return c.failed(CodeScopesMissing, fmt.Sprintf(
		"Posting needs these permissions, which were not allowed: %s. Go back to the app, connect the account again and leave them ticked.",
		strings.Join(missing, ", ")))
}

// missingScopes lists the needed scopes that were not granted.
func missingScopes(needed, granted []string) []string {
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
