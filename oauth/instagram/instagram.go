// Package instagram connects Instagram accounts, which are reached through a Facebook login
// and its Pages. It implements oauth.LoginConnector.
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

// These scopes are requested, but not needed.
const (
	// businessScope lets a login list the Pages of its businesses.
	businessScope = "business_management"
	// commentScope is for first comments, and for webhooks about comments.
	commentScope = "instagram_manage_comments"
	// metadataScope lets the app subscribe to the webhooks of a Page.
	metadataScope = "pages_manage_metadata"
)

var (
	needed = []string{"pages_show_list", "pages_read_engagement", "instagram_basic", "instagram_content_publish"}
	scopes = append([]string{businessScope, commentScope, metadataScope}, needed...)
)

// userTokenLife is assumed for a long-lived user token if the answer has no lifetime: about
// 60 days (Facebook Login, manual flow), less one.
const userTokenLife = 59 * 24 * time.Hour

// Settings names the settings that the client of New needs.
const Settings = "FACEBOOK_APP_ID and FACEBOOK_APP_SECRET"

// Connector is Instagram's oauth.LoginConnector, and verifies Meta's signed requests.
type Connector struct {
	client    *client.Client
	appSecret secrets.Secret
	now       func() time.Time
}

// New returns a Connector. appSecret is the client's app secret; it verifies signed
// requests.
func New(c *client.Client, appSecret secrets.Secret, now func() time.Time) *Connector {
	return &Connector{client: c, appSecret: appSecret, now: now}
}

// Platform returns models.Instagram.
func (c *Connector) Platform() models.Platform { return models.Instagram }

// Traits returns the properties of Facebook Login: a refresh prolongs the login's own
// token.
func (c *Connector) Traits() oauth.Traits {
	return oauth.Traits{
		Name: "Instagram", Needed: needed, Prolongs: true,
		Optional: []oauth.OptionalScope{
			{Scope: commentScope, For: []string{"first comments", "webhooks about comments"}},
			{Scope: metadataScope, For: []string{"webhooks about comments"}},
		},
		Subscribes: metadataScope,
		Fragment:   true, // Facebook appends #_=_
		NoAccounts: "None of the allowed Facebook Pages has an Instagram account that can be posted to. " +
			"Use a professional Instagram account that is linked to a Page, tick that Page when you allow access, and make sure that you may create content on it.",
		LoginEnded: "the Facebook login has ended; connect it again before the tokens of its Pages end too",
	}
}

// Configured returns nil: a Connector with a client is configured.
func (c *Connector) Configured() error { return nil }

// AuthorizeURL returns the address of the Facebook Login dialog.
func (c *Connector) AuthorizeURL(a oauth.Authorization) string {
	return c.client.AuthorizationURL(client.Authorization{RedirectURI: a.RedirectURI, State: a.State, Scopes: scopes})
}

// Exchange turns the code into a short-lived token and then into a long-lived one. That
// comes first, because Page tokens read with a short-lived token expire with it within
// hours. Then it reads who consented and to which scopes: the callback does not prove
// either.
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
	grant.ReconnectBy = info.DataAccessExpiresAt // data access ends independently of the token; only a new consent extends it
	return grant, err
}

// Refresh exchanges a live user token for one that lives longer. The old token stays valid.
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

// Check asks debug_token whether a user's or a Page's token is dead.
func (c *Connector) Check(ctx context.Context, access secrets.Secret) (dead bool, err error) {
	info, err := c.client.InspectToken(ctx, access)
	return err == nil && info.Dead(), err
}

// Revoke removes the app from the person's Facebook account.
func (c *Connector) Revoke(ctx context.Context, access secrets.Secret, userID string) error {
	return c.client.RevokeAll(ctx, access, userID)
}

// IsDead reports whether err carries one of Meta's codes for a dead token.
func (c *Connector) IsDead(err error) bool { return client.IsDeadToken(err) }

// Verify parses a signed_request. Meta sends one if a person removed the app or asks for
// the deletion of their data.
func (c *Connector) Verify(signed string) (oauth.Withdrawal, error) {
	request, err := client.ParseSignedRequest(signed, c.appSecret)
	if err != nil {
		return oauth.Withdrawal{}, err
	}
	return oauth.Withdrawal{
		ProviderAccountID: request.UserID, Reason: "the person removed this app at Facebook", At: request.IssuedAt,
	}, nil
}

// pagesOf lists the Pages of a login, and those of its businesses if that was granted.
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
