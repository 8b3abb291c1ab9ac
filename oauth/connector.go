package oauth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"socialqueue/models"
	"socialqueue/secrets"
)

// Connector makes the OAuth calls of one platform. It stores nothing and uses neither the
// database nor Redis: it takes tokens as arguments, and the Service stores what it returns.
// It is safe for concurrent use.
//
// Its errors come from the platform's client. The Service reads their platform.Kind, and
// asks IsDead whether the token is dead.
//
// If accounts of the platform are reached through a login (models.Platform.BehindLogin),
// its Connector also implements LoginConnector.
type Connector interface {
	Platform() models.Platform
	Traits() Traits
	// Configured returns nil if users can connect accounts. Otherwise it returns an error
	// that wraps ErrNotConfigured and names the missing settings.
	Configured() error
	// AuthorizeURL returns the address of the consent page for the user's browser.
	AuthorizeURL(Authorization) string
	// Exchange turns the code of a callback into tokens and identifies the account. A code
	// works once. verifier and redirectURI are those of the Authorization.
	Exchange(ctx context.Context, code, verifier secrets.Secret, redirectURI string) (Grant, error)
	// Accounts reads the accounts that a new grant gives access to. It fails only if they
	// cannot be connected without the missing data.
	Accounts(ctx context.Context, grant Grant) (Reach, error)
	// Refresh returns new tokens. It takes the refresh token, or the access token if
	// Traits.Prolongs is set.
	Refresh(ctx context.Context, token secrets.Secret) (Grant, error)
	// Check asks the platform whether an access token works. dead is true only if the
	// platform answers with one of its codes for a dead token. An error says nothing about
	// the token.
	Check(ctx context.Context, access secrets.Secret) (dead bool, err error)
	// Revoke withdraws the consent of the account with that id at the platform. It may be
	// repeated.
	Revoke(ctx context.Context, access secrets.Secret, providerAccountID string) error
	// IsDead reports whether an error carries one of the platform's codes for a token that
	// will never work again. Only such an error makes an account reauth_required.
	IsDead(err error) bool
}

// LoginConnector is the Connector of a platform whose accounts are reached through a login.
// Each account has its own token, which is read with the login's token.
type LoginConnector interface {
	Connector
	// PageToken reads the token of a Page. It returns an empty token if the login has none
	// for the Page.
	PageToken(ctx context.Context, login secrets.Secret, pageID string) (secrets.Secret, error)
	// RenewPageToken reads a Page's token again after the platform refused it. If there will
	// be no other token, it returns the reason as lost instead. After an error neither is
	// known; a *LaterError also says when to try again.
	RenewPageToken(ctx context.Context, login secrets.Secret, pageID string, refused secrets.Secret) (token secrets.Secret, lost string, err error)
	// Subscribe makes the platform send webhooks about the account behind a Page. It needs
	// the scope Traits.Subscribes, and may be repeated.
	Subscribe(ctx context.Context, pageToken secrets.Secret, pageID string) error
}

// Verifier is a Connector whose platform sends signed requests when a person withdraws
// their consent or asks for their data to be deleted.
type Verifier interface {
	// Verify parses such a request. Any error means that the platform did not sign it.
	Verify(signed string) (Withdrawal, error)
}

// Withdrawal reports that a person withdrew their consent.
type Withdrawal struct {
	ProviderAccountID string
	// Reason is shown in the account and in the timelines of its posts.
	Reason string
	// At is zero if the platform did not say.
	At time.Time
}

// Traits are the constant properties of a platform. The zero value is the safe choice.
type Traits struct {
	// Name is the platform's display name.
	Name string
	// Needed lists the scopes that an account must have to be connected.
	Needed []string
	// Optional lists the scopes that some uses need.
	Optional []OptionalScope
	// Prolongs is true if a refresh takes a live access token and returns one that lives
	// longer. The old token stays valid, so the call may be repeated. Otherwise a refresh
	// consumes the refresh token.
	Prolongs bool
	// Fragment is true if the platform appends a fragment to the redirect after a consent.
	// It must not reach the app's return_url.
	Fragment bool
	// Subscribes is the scope that LoginConnector.Subscribe needs. Only logins have it.
	Subscribes string
	// NoAccounts tells a user what to do if their login has no account that can be
	// connected. Only logins need it.
	NoAccounts string
	// LoginEnded is the reason shown on a login whose token has ended while the accounts
	// behind it still work. Only logins need it.
	LoginEnded string
}

// OptionalScope is a scope that an account can be connected without.
type OptionalScope struct {
	Scope string
	// For lists what needs it.
	For []string
}

// Authorization holds the parameters of a consent page.
type Authorization struct {
	// RedirectURI is where the platform sends the browser back to. It must match the
	// registered one exactly.
	RedirectURI string
	// State is returned unchanged in the callback.
	State string
	// Verifier is the PKCE code verifier.
	Verifier secrets.Secret
}

// Grant is what a platform returned for a code or a refresh. Values that a refresh does not
// return stay as they are.
type Grant struct {
	Access secrets.Secret
	// Refresh is empty if there is none, or if the previous one stays valid.
	Refresh secrets.Secret
	// ProviderAccountID is the platform's id of the person who consented. Only Exchange sets
	// it.
	ProviderAccountID string
	// Name is the display name of the person who consented; it may be empty.
	Name string
	// Scopes lists the granted scopes.
	Scopes []string
	// ExpiresAt is when the access token expires. ReconnectBy is when refreshing stops
	// working and the user must connect again. Both are zero if the platform did not say.
	ExpiresAt, ReconnectBy time.Time
}

// Reach describes the accounts that a grant gives access to.
type Reach struct {
	// Profile describes the person who consented.
	Profile Profile
	// Pages lists the Pages of a login. Other platforms leave it empty.
	Pages []Page
	// PagesEnd is when the tokens of the Pages expire, if the platform said so.
	PagesEnd time.Time
	// Unread says why a part of the profile is missing. The account works without it.
	Unread error
}

// Profile is the public profile of an account. Unknown fields are empty.
type Profile struct {
	Username, Name, PictureURL string
}

// Page is one entry of a login, with the account behind it.
type Page struct {
	ID, Name string
	// Reason says why the Page cannot be posted to (models.PageNoInstagram and the others).
	// It is empty if it can; only then the fields below are set.
	Reason string
	Token  secrets.Secret
	// AccountID is the platform's id of the account, and Account its profile.
	AccountID        string
	Account          Profile
	Followers, Media int
}

// Unconfigured returns a Connector for a platform without credentials in this installation.
// Every call fails with ErrNotConfigured and names the settings.
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

// Verify does not wrap ErrNotConfigured, so that the unauthenticated sender gets the same
// answer as for a wrong signature.
func (u unconfigured) Verify(string) (Withdrawal, error) {
	return Withdrawal{}, errors.New(u.err.Error())
}
