package tiktok

import (
	"slices"
	"strings"
	"time"
)

// accessToken is an access token. It is revoked by setting its end.
type accessToken struct {
	openID string
	endsAt time.Time
}

// tokenLives are the lifetimes of an app's tokens.
type tokenLives struct {
	access, refresh time.Duration
	rotates         bool // a refresh answers a new refresh token and ends the pair before it
}

// lives returns the lifetimes of a profile (Manage User Access Tokens, 2026-11-02, and its edition before autumn 2026).
func (p Profile) lives() tokenLives {
	if p == ProfileLegacy {
		return tokenLives{access: day, refresh: 365 * day}
	}
	return tokenLives{access: 2 * time.Hour, refresh: 180 * day, rotates: true}
}

// ownerOf returns the account that an access token is or was for. t.mu is held.
func (t *Platform) ownerOf(token string) string {
	if known := t.access[token]; known != nil {
		return known.openID
	}
	return ""
}

// holder returns the account of a valid access token, or nil. t.mu is held.
func (t *Platform) holder(token string, now time.Time) *account {
	known := t.access[token]
	if known == nil || !now.Before(known.endsAt) {
		return nil
	}
	return t.accounts[known.openID]
}

// connect gives an account the tokens of a new consent. Earlier tokens end (strict reading: the page documents only
// what a refresh does).
func (t *Platform) connect(acc *account, scopes []string, now time.Time) {
	t.endAccess(acc, now)
	acc.Scopes = scopes
	acc.RefreshExpiresAt = now.Add(t.opts.Profile.lives().refresh)
	t.issueRefresh(acc)
	t.issueAccess(acc, now)
}

// renew is a refresh. The old access token ends with the old refresh token: the strict reading of "the previous one
// stops working" (Refresh a User Access Token, 2026-11-02). RefreshExpiresAt does not change: no page says that the 180
// days start again, so they count from the consent.
func (t *Platform) renew(acc *account, now time.Time) {
	if t.opts.Profile.lives().rotates {
		t.endAccess(acc, now)
		t.issueRefresh(acc)
	}
	t.issueAccess(acc, now)
}

func (t *Platform) issueAccess(acc *account, now time.Time) {
	acc.AccessToken = t.host.Secret("act.SIM")
	acc.ExpiresAt = now.Add(t.opts.Profile.lives().access)
	t.access[acc.AccessToken] = &accessToken{acc.OpenID, acc.ExpiresAt}
}

func (t *Platform) issueRefresh(acc *account) {
	acc.RefreshToken = t.host.Secret("rft.SIM")
	t.refresh[acc.RefreshToken] = acc.OpenID
}

// endAccess ends every access token of an account, including those that a legacy refresh left valid.
func (t *Platform) endAccess(acc *account, now time.Time) {
	for _, token := range t.access {
		if token.openID == acc.OpenID && now.Before(token.endsAt) {
			token.endsAt = now
		}
	}
	if now.Before(acc.ExpiresAt) {
		acc.ExpiresAt = now
	}
}

// disconnect ends both tokens. The event is emitted only if the authorization was still valid.
func (t *Platform) disconnect(acc *account, now time.Time, reason int) {
	t.endAccess(acc, now)
	if now.Before(acc.RefreshExpiresAt) {
		acc.RefreshExpiresAt = now
		t.emit(eventRemoved, acc.OpenID, now, removal{reason})
	}
}

func (t *Platform) userRemovesApp(acc *account, now time.Time) {
	t.disconnect(acc, now, removedByUser)
}

// byUsername returns the accounts in the order of the consent page. t.mu is held.
func (t *Platform) byUsername() []*account {
	accounts := make([]*account, 0, len(t.accounts))
	for _, acc := range t.accounts {
		accounts = append(accounts, acc)
	}
	slices.SortFunc(accounts, func(a, b *account) int {
		return strings.Compare(a.Username+a.OpenID, b.Username+b.OpenID)
	})
	return accounts
}
