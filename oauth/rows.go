package oauth

import (
	"fmt"
	"strings"
	"time"

	"socialqueue/db"
	"socialqueue/models"
	"socialqueue/secrets"
)

// rows builds the rows of a consent that was given at now.
func (s *Service) rows(c connect, grant Grant, reach Reach, now time.Time) (*db.Connection, error) {
	scope := joinScopes(grant.Scopes)
	a := &models.OAuthAccount{
		UserID: c.UserID, Provider: c.Platform, ProviderAccountID: grant.ProviderAccountID, Scope: &scope, TokenType: tokenType,
		Username: truncate(reach.Profile.Username), DisplayName: truncate(reach.Profile.Name), PictureURL: reach.Profile.PictureURL,
		Status: models.AccountActive, ExpiresAt: nullTime(grant.ExpiresAt), ReconnectBy: nullTime(grant.ReconnectBy),
		ConnectedAt: now, RefreshedAt: &now, CheckedAt: &now, CreatedAt: now, UpdatedAt: now,
	}
	if end := nullTime(reach.PagesEnd); end != nil && (a.ExpiresAt == nil || end.Before(*a.ExpiresAt)) {
		a.ExpiresAt = end // the Pages' tokens are read again when the login is refreshed
	}
	if err := s.sealInto(a, grant.Access, grant.Refresh); err != nil {
		return nil, err
	}
	a.MaintenanceAt = s.plannedRefresh(a)
	pages, err := s.pageRows(c, reach.Pages, now)
	return &db.Connection{Account: a, Pages: pages}, err
}

// pageRows builds the rows of Pages and of the accounts behind them.
func (s *Service) pageRows(c connect, pages []Page, now time.Time) ([]db.PageConnection, error) {
	rows := make([]db.PageConnection, len(pages))
	for i, page := range pages {
		rows[i].Page = models.FacebookPage{PageID: page.ID, Name: truncate(page.Name), Reason: page.Reason}
		if page.Reason != "" {
			continue
		}
		ig := accountRow(c, page, now)
		var err error
		if ig.AccessToken, err = s.Keys.Seal(page.Token, ig.SealedIn()); err != nil {
			return nil, fmt.Errorf("seal page token: %w", err)
		}
		rows[i].Instagram = ig
	}
	return rows, nil
}

func accountRow(c connect, page Page, now time.Time) *models.InstagramAccount {
	username, name, picture := truncate(page.Account.Username), truncate(page.Account.Name), page.Account.PictureURL
	return &models.InstagramAccount{
		UserID: c.UserID, IGBusinessID: page.AccountID, Username: &username, Name: &name, ProfilePictureURL: &picture,
		FollowersCount: page.Followers, MediaCount: page.Media, PageID: page.ID, Status: models.AccountActive, CreatedAt: now, UpdatedAt: now,
	}
}

// connectedAccounts lists the accounts of a stored consent.
func connectedAccounts(connection *db.Connection) []ConnectedAccount {
	a := connection.Account
	if !a.Provider.BehindLogin() {
		name := a.DisplayName
		if name == "" {
			name = a.Username
		}
		return []ConnectedAccount{{ID: a.ID, Name: name}}
	}
	var accounts []ConnectedAccount
	for _, p := range connection.Pages {
		if p.Instagram != nil {
			accounts = append(accounts, ConnectedAccount{ID: p.Instagram.ID, Name: "@" + *p.Instagram.Username})
		}
	}
	return accounts
}

func unusablePages(connection *db.Connection) []UnusablePage {
	var pages []UnusablePage
	for _, p := range connection.Pages {
		if p.Page.Reason != "" {
			pages = append(pages, UnusablePage{Name: p.Page.Name, Reason: p.Page.Reason})
		}
	}
	return pages
}

// truncate fits a platform's text into a column of 255 characters.
func truncate(s string) string {
	const most = 255
	s = strings.ReplaceAll(strings.ToValidUTF8(s, ""), "\x00", "")
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most])
	}
	return s
}

// nullTime converts a time for the row. It is nil if the platform gave none.
func nullTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = models.Time(t)
	return &t
}

const tokenType = "Bearer"

// sealInto encrypts the tokens of an account into its row.
func (s *Service) sealInto(a *models.OAuthAccount, access, refresh secrets.Secret) error {
	var err error
	if a.AccessToken, err = s.Keys.Seal(access, a.SealedIn(models.ColumnAccessToken)); err != nil {
		return fmt.Errorf("seal access token: %w", err)
	}
	if refresh.Empty() {
		return nil
	}
	sealed, err := s.Keys.Seal(refresh, a.SealedIn(models.ColumnRefreshToken))
	if err != nil {
		return fmt.Errorf("seal refresh token: %w", err)
	}
	a.RefreshToken = &sealed
	return nil
}
