package models

import "fmt"

// The associated data with which stored secrets are encrypted. It names the row and the
// column, so a value that was copied to another row cannot be decrypted there.

// SealedIn returns the associated data of a token column of this account.
func (a *OAuthAccount) SealedIn(column string) string {
	return fmt.Sprintf("oauth_accounts/%d/%s/%s/%s", a.UserID, a.Provider, a.ProviderAccountID, column)
}

// The token columns of an OAuth account.
const (
	ColumnAccessToken  = "access_token"
	ColumnRefreshToken = "refresh_token"
)

// SealedIn returns the associated data of this account's page token.
func (a *InstagramAccount) SealedIn() string {
	return fmt.Sprintf("instagram_accounts/%s/%s", a.IGBusinessID, ColumnAccessToken)
}

// UploadSealedIn returns the associated data of TikTok's upload URL in a post's ledger.
func UploadSealedIn(postID string) string { return "ledger/" + postID + "/upload_url" }

// SealedIn returns the associated data of a secret column of this endpoint.
func (e *WebhookEndpoint) SealedIn(column string) string {
	return "webhook_endpoints/" + e.ID + "/" + column
}

// The secret columns of a webhook endpoint.
const (
	ColumnSecret    = "secret"
	ColumnOldSecret = "old_secret"
)
