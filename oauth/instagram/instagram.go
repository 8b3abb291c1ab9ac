// Package instagram connects Instagram accounts, which are reached through a
// Facebook login and its Pages: it makes the calls of oauth.LoginConnector.
package instagram

import (
	"context"
	"slices"
	"time"

	"socialqueue/models"
	"socialqueue/oauth"
	client "socialqueue/platform/instagram"
	"socialqueue/secrets"
)

// businessScope lets a login show the Pages of its businesses. It is asked for, but
// not needed.
const businessScope = "business_management"

var (
	needed = []string{"pages_show_list", "pages_read_engagement", "instagram_basic", "instagram_content_publish"}
	scopes = append([]string{businessScope}, needed...)
)

// userTokenLife is taken for a long-lived user token whose answer tells none: about
// 60 days (Facebook Login, manual flow), less one.
const userTokenLife = 59 * 24 * time.Hour

// Settings are the names of what New's client needs.
const Settings = "FACEBOOK_APP_ID and FACEBOOK_APP_SECRET"

// Connector is Instagram's oauth.LoginConnector, and verifies Meta's signed requests.
type Connector struct {
	client    *client.Client
	appSecret secrets.Secret
	now       func() time.Time
}

// New makes a Connector. appSecret is the client's; it verifies signed requests.
func New(c *client.Client, appSecret secrets.Secret, now func() time.Time) *Connector {
	return &Connector{client: c, appSecret: appSecret, now: now}
}

// Platform is Instagram.
func (c *Connector) Platform() models.Platform { return models.Instagram }

// Traits says that a refresh prolongs the login's own token.
func (c *Connector) Traits() oauth.Traits {
	return oauth.Traits{
		Name: "Instagram", Needed: needed, Prolongs: true,
		Fragment: true, // Facebook appends #_=_
		NoAccounts: "None of the Facebook Pages that were allowed leads to an Instagram account that can be posted to. " +
			"Use a professional Instagram account that is linked to a Page, tick that Page in the consent, and make sure that you may create content on it.",
		LoginEnded: "the Facebook login has ended; connect it again before its Pages' tokens end too",
	}
}

// Configured is nil: there is a client.
func (c *Connector) Configured() error { return nil }

// AuthorizeURL is the dialog of Facebook Login.
func (c *Connector) AuthorizeURL(a oauth.Authorization) string {
	return c.client.AuthorizationURL(client.Authorization{RedirectURI: a.RedirectURI, State: a.State, Scopes: scopes})
}

// Exchange turns the code into a short token, and that into a long-lived one before
// anything else: the Page tokens that a short one gives die with it within hours.
// Then it asks who consented, and to what: a callback proves neither.
func (c *Connector) Exchange(ctx context.Context, code, _ secrets.Secret, redirectURI string) (oauth.Grant, error) {
	short, err := c.client.ExchangeCode(ctx, code, redirectURI)
	if err != nil {
		return oauth.Grant{}, err
	}
	grant, err := c.Refresh(ctx, short.Access)
	if err != nil {
		return oauth.Grant{}, err
	}
	if grant.Scopes, _, err = c.client.Permissions(ctx, grant.Access); err != nil {
		return oauth.Grant{}, err
	}
	if grant.ProviderAccountID, grant.Name, err = c.client.Me(ctx, grant.Access); err != nil {
		return oauth.Grant{}, err
	}
	info, err := c.client.InspectToken(ctx, grant.Access)
	grant.ReconnectBy = info.DataAccessExpiresAt // a clock of its own, which only a new consent winds up
	return grant, err
}

// Refresh exchanges a live user token for one that lives longer. Nothing is used up
// by it.
func (c *Connector) Refresh(ctx context.Context, access secrets.Secret) (oauth.Grant, error) {
	token, err := c.client.ProlongToken(ctx, access)
	if err != nil {
		return oauth.Grant{}, err
	}
	life := token.ExpiresIn
	if life <= 0 {
		life = userTokenLife
	}
	return oauth.Grant{Access: token.Access, ExpiresAt: c.now().Add(life)}, nil
}

// Check asks debug_token what a user's or a Page's token is worth.
func (c *Connector) Check(ctx context.Context, access secrets.Secret) (dead bool, err error) {
	info, err := c.client.InspectToken(ctx, access)
	return err == nil && info.Dead(), err
}

// Revoke takes the app out of the person's Facebook account.
func (c *Connector) Revoke(ctx context.Context, access secrets.Secret, userID string) error {
	return c.client.RevokeAll(ctx, access, userID)
}

// IsDead reports whether Meta refused with one of its codes for a dead token.
func (c *Connector) IsDead(err error) bool { return client.IsDeadToken(err) }

// Verify reads a signed_request, in which Meta says that a person removed the app or
// wants their data to be deleted.
func (c *Connector) Verify(signed string) (oauth.Withdrawal, error) {
	request, err := client.ParseSignedRequest(signed, c.appSecret)
	if err != nil {
		return oauth.Withdrawal{}, err
	}
	return oauth.Withdrawal{
		ProviderAccountID: request.UserID, Reason: "the person removed this app at Facebook", At: request.IssuedAt,
	}, nil
}

// pagesOf lists the Pages of a login, and those of its businesses if the person let
// us see them.
func (c *Connector) pagesOf(ctx context.Context, grant oauth.Grant) ([]client.Page, error) {
	own, err := c.client.Pages(ctx, grant.Access)
	if err != nil || !slices.Contains(grant.Scopes, businessScope) {
		return own, err
	}
	business, err := c.client.BusinessPages(ctx, grant.Access)
	if err != nil {
		return nil, err
	}
	return client.MergePages(own, business), nil
}
