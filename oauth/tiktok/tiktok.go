// Package tiktok connects TikTok accounts. It implements oauth.Connector.
package tiktok

import (
	"context"
	"errors"
	"fmt"
	"time"

	"socialqueue/models"
	"socialqueue/oauth"
	client "socialqueue/platform/tiktok"
	"socialqueue/secrets"
)

// inboxScope is for TikTok's inbox.
const inboxScope = "video.upload"

// scopes are requested; needed are those that publishing cannot do without.
var (
	scopes = []string{"user.info.basic", "video.publish", inboxScope}
	needed = []string{"user.info.basic", "video.publish"}
)

// profileTime limits the calls that only describe an account.
const profileTime = 10 * time.Second

// Connector is TikTok's oauth.Connector. The account is the consent itself.
type Connector struct {
	client *client.Client
	now    func() time.Time
}

// New returns a Connector.
func New(c *client.Client, now func() time.Time) *Connector { return &Connector{client: c, now: now} }

// Platform returns models.TikTok.
func (c *Connector) Platform() models.Platform { return models.TikTok }

// Traits returns the properties of TikTok: a refresh consumes the refresh token.
func (c *Connector) Traits() oauth.Traits {
	return oauth.Traits{Name: "TikTok", Needed: needed, Optional: []oauth.OptionalScope{{Scope: inboxScope, For: []string{"posts to the inbox"}}}}
}

// Configured returns an error that names the settings if the client has no credentials.
func (c *Connector) Configured() error {
	if c.client.Configured() {
		return nil
	}
	return fmt.Errorf("TIKTOK_CLIENT_KEY and TIKTOK_CLIENT_SECRET: %w", oauth.ErrNotConfigured)
}

// AuthorizeURL returns the address of TikTok's consent page.
func (c *Connector) AuthorizeURL(a oauth.Authorization) string {
	return c.client.AuthorizationURL(client.Authorization{
		RedirectURI: a.RedirectURI, State: a.State, Challenge: client.Challenge(a.Verifier.Reveal()), Scopes: scopes,
	})
}

// Exchange turns a code into the first pair of tokens.
func (c *Connector) Exchange(ctx context.Context, code, verifier secrets.Secret, redirectURI string) (oauth.Grant, error) {
	grant, err := c.client.ExchangeCode(ctx, code, verifier, redirectURI)
	if err != nil {
		return oauth.Grant{}, err
	}
	if grant.OpenID == "" {
		return oauth.Grant{}, errors.New("TikTok's answer has no open_id")
	}
	return c.grant(grant), nil
}

func (c *Connector) grant(g client.Grant) oauth.Grant {
	now := c.now()
	return oauth.Grant{
		Access: g.Access, Refresh: g.Refresh, ProviderAccountID: g.OpenID, Scopes: g.Scopes,
		ExpiresAt: after(now, g.ExpiresIn), ReconnectBy: after(now, g.RefreshExpiresIn),
	}
}

// after returns the end of a lifetime that starts now; zero if TikTok gave none.
func after(now time.Time, lasts time.Duration) time.Time {
	if lasts <= 0 {
		return time.Time{}
	}
	return now.Add(lasts)
}

// Accounts reads the names and the picture of the account, as far as TikTok returns them.
// It does not fail.
func (c *Connector) Accounts(ctx context.Context, grant oauth.Grant) (oauth.Reach, error) {
	ctx, cancel := context.WithTimeout(ctx, profileTime)
	defer cancel()
	var reach oauth.Reach
	user, userErr := c.client.UserInfo(ctx, grant.Access)
	if userErr == nil {
		reach.Profile = oauth.Profile{Username: user.Username, Name: user.DisplayName, PictureURL: user.AvatarURL}
	}
	// The username, needed for links, comes with the scope for posting.
	creator, creatorErr := c.client.CreatorInfo(ctx, grant.Access)
	if creatorErr == nil {
		reach.Profile.Username = creator.Username
		if reach.Profile.Name == "" {
			reach.Profile.Name = creator.Nickname
		}
	}
	reach.Unread = errors.Join(userErr, creatorErr)
	return reach, nil
}

// Refresh exchanges the refresh token for a new pair.
func (c *Connector) Refresh(ctx context.Context, refresh secrets.Secret) (oauth.Grant, error) {
	grant, err := c.client.RefreshGrant(ctx, refresh)
	if err != nil {
		return oauth.Grant{}, err
	}
	return c.grant(grant), nil
}

// Check reads the profile, which every token may read.
func (c *Connector) Check(ctx context.Context, access secrets.Secret) (dead bool, err error) {
	_, err = c.client.UserInfo(ctx, access)
	if client.IsDeadToken(err) {
		return true, nil
	}
	return false, err
}

// Revoke removes the app from the person's connected apps.
func (c *Connector) Revoke(ctx context.Context, access secrets.Secret, _ string) error {
	return c.client.Revoke(ctx, access)
}

// IsDead reports whether TikTok reported the access token or the refresh token as invalid.
func (c *Connector) IsDead(err error) bool { return client.IsDeadToken(err) || client.IsDeadGrant(err) }
