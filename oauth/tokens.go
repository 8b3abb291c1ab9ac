// Package oauth owns the tokens of accounts. It is the only place that reads
// them in clear and the only one that writes them.
package oauth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"socialqueue/db"
	"socialqueue/models"
	"socialqueue/secrets"
)

var (
	// ErrReauthorize: the platform refused the token for good. The account's
	// owner has to connect it again.
	ErrReauthorize = errors.New("the account needs to be connected again")
	// ErrDisconnected: the account was disconnected.
	ErrDisconnected = errors.New("the account is disconnected")
)

// Token is an access token with what is needed to use it.
type Token struct {
	Access secrets.Secret
	// ProviderAccountID is the platform's id of the account: TikTok's open_id,
	// Instagram's professional account id.
	ProviderAccountID string
	Username          string

	platform  models.Platform
	accountID int64
	sealed    string
}

// Tokens gives out and stores tokens. It is safe for concurrent use.
type Tokens struct {
	db   *db.DB
	keys *secrets.Keyring
	now  func() time.Time
}

// NewTokens makes a Tokens over the accounts of d, sealed by keys.
func NewTokens(d *db.DB, keys *secrets.Keyring, now func() time.Time) *Tokens {
	return &Tokens{db: d, keys: keys, now: now}
}

// For gives the token that a post's account uses. Its errors are
// ErrReauthorize, ErrDisconnected, or of the database or the keyring; none of
// them means that the account is lost.
func (t *Tokens) For(ctx context.Context, p *models.Post) (Token, error) {
	if p.InstagramAccountID != nil {
		return t.instagram(ctx, *p.InstagramAccountID)
	}
	return t.tiktok(ctx, p.OAuthAccountID)
}

func (t *Tokens) tiktok(ctx context.Context, id int64) (Token, error) {
	a, err := t.db.OAuthAccount(ctx, id)
	if err != nil {
		return Token{}, err
	}
	token := Token{
		ProviderAccountID: a.ProviderAccountID, Username: a.Username,
		platform: models.TikTok, accountID: a.ID, sealed: a.AccessToken,
	}
	return t.open(token, a.Status, oauthRow(a, "access_token"))
}

func (t *Tokens) instagram(ctx context.Context, id int64) (Token, error) {
	a, err := t.db.InstagramAccount(ctx, id)
	if err != nil {
		return Token{}, err
	}
	token := Token{ProviderAccountID: a.IGBusinessID, platform: models.Instagram, accountID: a.ID, sealed: a.AccessToken}
	if a.Username != nil {
		token.Username = *a.Username
	}
	return t.open(token, a.Status, instagramRow(a.IGBusinessID))
}

func (t *Tokens) open(token Token, status models.AccountStatus, row string) (Token, error) {
	switch status {
	case models.AccountReauthorize:
		return Token{}, fmt.Errorf("%s account %d: %w", token.platform, token.accountID, ErrReauthorize)
	case models.AccountDisconnected:
		return Token{}, fmt.Errorf("%s account %d: %w", token.platform, token.accountID, ErrDisconnected)
	}
	access, err := t.keys.Open(token.sealed, row)
	if err != nil {
		return Token{}, fmt.Errorf("open the token of %s account %d: %w", token.platform, token.accountID, err)
	}
	token.Access = access
	return token, nil
}

// Refused notes that the platform refused a token for good. If the account got
// another token meanwhile, nothing changes.
func (t *Tokens) Refused(ctx context.Context, token Token) error {
	return t.db.RequireReauthorization(ctx, token.platform, token.accountID, token.sealed, t.now())
}

// The names of rows, to which sealed tokens are bound.

func oauthRow(a *models.OAuthAccount, column string) string {
	return fmt.Sprintf("oauth_accounts/%d/%s/%s/%s", a.UserID, a.Provider, a.ProviderAccountID, column)
}

func instagramRow(igBusinessID string) string {
	return fmt.Sprintf("instagram_accounts/%s/access_token", igBusinessID)
}
