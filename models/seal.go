package models

import "fmt"

// The names of the places where secrets are stored. A sealed value is bound to
// its place: copied to another row it does not open.

// SealedIn names a token column of this account.
func (a *OAuthAccount) SealedIn(column string) string {
	return fmt.Sprintf("oauth_accounts/%d/%s/%s/%s", a.UserID, a.Provider, a.ProviderAccountID, column)
}

// The token columns of an OAuth account.
const (
	ColumnAccessToken  = "access_token"
	ColumnRefreshToken = "refresh_token"
)

// SealedIn names the page token of this account.
func (a *InstagramAccount) SealedIn() string {
	return fmt.Sprintf("instagram_accounts/%s/%s", a.IGBusinessID, ColumnAccessToken)
}

// UploadSealedIn names TikTok's upload URL in the ledger of a post.
func UploadSealedIn(postID string) string { return "ledger/" + postID + "/upload_url" }

// SealedIn names a secret of this endpoint.
func (e *WebhookEndpoint) SealedIn(column string) string {
	return "webhook_endpoints/" + e.ID + "/" + column
}

// The columns of an endpoint's secrets.
const (
	ColumnSecret    = "secret"
	ColumnOldSecret = "old_secret"
)
