package oauth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"socialqueue/models"
	"socialqueue/secrets"
)

// Connector makes the calls that the consents and tokens of one platform need. It
// stores nothing and reaches neither the database nor Redis: tokens come in as
// arguments, and the Service stores what comes back. It is safe for concurrent use.
//
// Errors of its calls are those of the platform's client. The Service reads their
// platform.Kind, and asks IsDead what they say of a token.
//
// The Connector of a platform whose accounts are reached through a login
// (models.Platform.BehindLogin) is a LoginConnector as well.
type Connector interface {
	Platform() models.Platform
	Traits() Traits
	// Configured returns nil if consents can be asked for, else an error that wraps
	// ErrNotConfigured and names the missing settings.
	Configured() error
	// AuthorizeURL is the consent page to send a user's browser to.
	AuthorizeURL(Authorization) string
	// Exchange turns the code of a callback into tokens, and says whose they are. A
	// code works once. verifier and redirectURI are those of the Authorization.
	Exchange(ctx context.Context, code, verifier secrets.Secret, redirectURI string) (Grant, error)
	// Accounts reads what a new grant reaches. It fails only if the accounts cannot be
	// connected without what is missing.
	Accounts(ctx context.Context, grant Grant) (Reach, error)
	// Refresh gets new tokens. It takes the refresh token, or the access token if
	// Traits.Prolongs.
	Refresh(ctx context.Context, token secrets.Secret) (Grant, error)
	// Check asks the platform whether an access token works. dead is true only if the
	// platform says so with one of its codes for a dead token; with an error nothing is
	// known.
	Check(ctx context.Context, access secrets.Secret) (dead bool, err error)
	// Revoke withdraws the consent of the account with that id at the platform. It can
	// be repeated.
	Revoke(ctx context.Context, access secrets.Secret, providerAccountID string) error
	// IsDead reports whether a failed call says, with one of the platform's codes for
	// that, that its token will never work again. Only such an error ends an account.
	IsDead(err error) bool
}

// LoginConnector is the Connector of a platform whose accounts are reached through
// a login: each account has a token of its own, which is read with that of the login.
type LoginConnector interface {
	Connector
	// PageToken reads the token of a Page. It is empty if the login has none for it.
	PageToken(ctx context.Context, login secrets.Secret, pageID string) (secrets.Secret, error)
	// RenewPageToken reads the token of a Page again after the platform refused it. lost
	// is set instead if there will be no other token, and says why. An error means that
	// neither is known; a *LaterError also says when to ask again.
	RenewPageToken(ctx context.Context, login secrets.Secret, pageID string, refused secrets.Secret) (token secrets.Secret, lost string, err error)
}

// Verifier is a Connector whose platform reports in signed requests of its own that
// a person withdrew a consent, or wants their data to be deleted.
type Verifier interface {
	// Verify reads such a request. Any error means that the platform did not sign it.
	Verify(signed string) (Withdrawal, error)
}

// Withdrawal says that a person withdrew a consent.
type Withdrawal struct {
	ProviderAccountID string
	// Reason is told in the account and in the timelines of its posts.
	Reason string
	// At is zero if the platform did not say.
	At time.Time
}

// Traits are the constant facts of a platform. The zero value is the careful one.
type Traits struct {
	// Name is the platform as people know it.
	Name string
	// Needed are the scopes without which nothing is connected.
	Needed []string
	// Prolongs: a refresh takes a live access token and returns one that lives longer.
	// The old one stays as it is, so that the call can be repeated. Otherwise a refresh
	// uses the refresh token up.
	Prolongs bool
	// Fragment: the platform appends a fragment to the redirect that ends a consent,
	// which must not reach the app's return_url.
	Fragment bool
	// NoAccounts tells a person what to do whose login shows no account that can be
	// connected. Only logins need it.
	NoAccounts string
	// LoginEnded is the reason in a login whose token has ended while the accounts
	// behind it work on. Only logins need it.
	LoginEnded string
}

// Authorization is a consent to ask for.
type Authorization struct {
	// RedirectURI is where the platform sends the browser back to, to the letter.
	RedirectURI string
	// State comes back unchanged.
	State string
	// Verifier is that of PKCE.
	Verifier secrets.Secret
}

// Grant is what a platform gave for a code or in a refresh. What a refresh does not
// return stays as it is.
type Grant struct {
	Access secrets.Secret
	// Refresh is empty if there is none, or if the one before is kept.
	Refresh secrets.Secret
	// ProviderAccountID is the platform's id of who consented. Only Exchange sets it.
	ProviderAccountID string
	// Name is of who consented, as people know them; it may be empty.
	Name string
	// Scopes are those that were granted.
	Scopes []string
	// ExpiresAt is when the access token ends, and ReconnectBy when no refresh helps any
	// more; zero if the platform did not say.
	ExpiresAt, ReconnectBy time.Time
}

// Reach is what a grant reaches.
type Reach struct {
	// Profile describes who consented.
	Profile Profile
	// Pages are what a login showed. It is empty for any other platform.
	Pages []Page
	// PagesEnd is when the tokens of the Pages end, if the platform said so.
	PagesEnd time.Time
	// Unread is why a part of the profile is missing. The account works without it.
	Unread error
}

// Profile is how an account looks. Whatever is not known is empty.
type Profile struct {
	Username, Name, PictureURL string
}

// Page is one entry of a login, with the account behind it.
type Page struct {
	ID, Name string
	// Reason says why nothing can be posted through it (models.PageNoInstagram and the
	// others); empty if it can. The fields below are set only if it is empty.
	Reason string
	Token  secrets.Secret
	// AccountID is the platform's id of the account, and Account how it looks.
	AccountID        string
	Account          Profile
	Followers, Media int
	// Type is empty if the platform did not say.
	Type string
}

// Unconfigured is the Connector of a platform for which this installation has no
// credentials. Every call fails with ErrNotConfigured, naming the settings.
func Unconfigured(p models.Platform, settings string) Connector {
	return unconfigured{p, fmt.Errorf("%s: %w", settings, ErrNotConfigured)}
}

type unconfigured struct {
	platform models.Platform
	err      error
}

func (u unconfigured) Platform() models.Platform         { return u.platform }
func (u unconfigured) Traits() Traits                    { return Traits{Name: string(u.platform)} }
func (u unconfigured) Configured() error                 { return u.err }
func (u unconfigured) AuthorizeURL(Authorization) string { return "" }
func (u unconfigured) IsDead(error) bool                 { return false }

func (u unconfigured) Exchange(context.Context, secrets.Secret, secrets.Secret, string) (Grant, error) {
	return Grant{}, u.err
}

func (u unconfigured) Accounts(context.Context, Grant) (Reach, error) { return Reach{}, u.err }

func (u unconfigured) Refresh(context.Context, secrets.Secret) (Grant, error) {
	return Grant{}, u.err
}

func (u unconfigured) Check(context.Context, secrets.Secret) (bool, error) { return false, u.err }

func (u unconfigured) Revoke(context.Context, secrets.Secret, string) error { return u.err }

// Verify names the settings too, but as a matter of the request: whoever sent it is
// not to learn what this installation lacks.
func (u unconfigured) Verify(string) (Withdrawal, error) {
	return Withdrawal{}, errors.New(u.err.Error())
}
