package oauth

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"socialqueue/db"
	"socialqueue/models"
	"socialqueue/observe"
	"socialqueue/platform/instagram"
	"socialqueue/secrets"
)

// login is what a consent at Facebook gave.
type login struct {
	id, name string
	token    instagram.UserToken
	granted  []string
	// dataAccessEnds is a clock of its own, which only a new consent winds up.
	dataAccessEnds time.Time
	pages          []instagram.Page
}

// connectInstagram connects every Instagram account that a Facebook login may post
// to.
func (s *Service) connectInstagram(ctx context.Context, c connect, code secrets.Secret) (Outcome, error) {
	token, err := s.userToken(ctx, c, code)
	if err != nil {
		return c.refused(err)
	}
	l, err := s.readLogin(ctx, token)
	if err != nil {
		return c.refused(err)
	}
	if missing := lacking(instagramNeeded, l.granted); len(missing) > 0 {
		return c.scopesMissing(missing), nil
	}
	if l.pages, err = s.pagesOf(ctx, l); err != nil {
		return c.refused(err)
	}
	connection, err := s.loginRows(ctx, c, l)
	if err != nil {
		return c.unstored(err)
	}
	return s.storeLogin(ctx, c, connection)
}

// userToken exchanges the code for a short token, and that for a long-lived one
// before anything else: the Page tokens that a short one gives die with it within
// hours.
func (s *Service) userToken(ctx context.Context, c connect, code secrets.Secret) (instagram.UserToken, error) {
	short, err := s.Instagram.ExchangeCode(ctx, code, s.redirectURI(c.Platform))
	if err != nil {
		return instagram.UserToken{}, err
	}
	return s.Instagram.ProlongToken(ctx, short.Access)
}

// readLogin asks who consented, and to what: a callback proves neither.
func (s *Service) readLogin(ctx context.Context, token instagram.UserToken) (login, error) {
	l := login{token: token}
	var err error
	if l.granted, _, err = s.Instagram.Permissions(ctx, token.Access); err != nil {
		return login{}, err
	}
	if l.id, l.name, err = s.Instagram.Me(ctx, token.Access); err != nil {
		return login{}, err
	}
	info, err := s.Instagram.InspectToken(ctx, token.Access)
	l.dataAccessEnds = info.DataAccessExpiresAt
	return l, err
}

// pagesOf lists the Pages of a login, those of its businesses among them if the
// user let us see them.
func (s *Service) pagesOf(ctx context.Context, l login) ([]instagram.Page, error) {
	own, err := s.Instagram.Pages(ctx, l.token.Access)
	if err != nil || !slices.Contains(l.granted, businessScope) {
		return own, err
	}
	business, err := s.Instagram.BusinessPages(ctx, l.token.Access)
	if err != nil {
		return nil, err
	}
	return instagram.MergePages(own, business), nil
}

// loginRows makes the rows of a login.
func (s *Service) loginRows(ctx context.Context, c connect, l login) (*db.Connection, error) {
	now := s.Now()
	scope, expires := joinScopes(l.granted), userTokenEnd(now, l.token)
	if end := s.pagesEnd(ctx, l.pages); !end.IsZero() && end.Before(expires) {
		expires = models.Time(end) // they are read anew when the login is prolonged
	}
	a := &models.OAuthAccount{
		UserID: c.UserID, Provider: models.Instagram, ProviderAccountID: l.id, DisplayName: cut(l.name), Scope: &scope, TokenType: tokenType,
		Status: models.AccountActive, ExpiresAt: &expires, ConnectedAt: now, RefreshedAt: &now, AskedAt: &now, CreatedAt: now, UpdatedAt: now,
	}
	if !l.dataAccessEnds.IsZero() {
		ends := models.Time(l.dataAccessEnds)
		a.ReconnectBy = &ends
	}
	if err := s.sealInto(a, l.token.Access, ""); err != nil {
		return nil, err
	}
	a.UpkeepAt = plannedRefresh(a)
	pages, err := s.pageRows(ctx, c, l.pages, now)
	return &db.Connection{Account: a, Pages: pages}, err
}

// pagesEnd is when the Page tokens of a login end: from a long-lived user token
// never, which one of them is asked for; zero is never, or not told.
func (s *Service) pagesEnd(ctx context.Context, pages []instagram.Page) time.Time {
	i := slices.IndexFunc(pages, func(p instagram.Page) bool { return !p.Token.Empty() })
	if i < 0 {
		return time.Time{}
	}
	info, err := s.Instagram.InspectToken(ctx, pages[i].Token)
	if err != nil {
		return time.Time{}
	}
	return info.ExpiresAt
}

// pageRows makes the rows of Pages and of the accounts behind them.
func (s *Service) pageRows(ctx context.Context, c connect, pages []instagram.Page, now time.Time) ([]db.PageConnection, error) {
	types := s.accountTypes(ctx, pages)
	rows := make([]db.PageConnection, len(pages))
	for i, page := range pages {
		rows[i].Page = models.FacebookPage{PageID: page.ID, Name: cut(page.Name), Reason: unusableReason(page)}
		if rows[i].Page.Reason != "" {
			continue
		}
		ig := instagramRow(c, page, now)
		ig.AccountType = types[i]
		var err error
		if ig.AccessToken, err = s.Keys.Seal(page.Token, ig.SealedIn()); err != nil {
			return nil, fmt.Errorf("seal page token: %w", err)
		}
		rows[i].Instagram = ig
	}
	return rows, nil
}

func instagramRow(c connect, page instagram.Page, now time.Time) *models.InstagramAccount {
	a := page.Account
	username, name, picture := cut(a.Username), cut(a.Name), a.PictureURL
	return &models.InstagramAccount{
		UserID: c.UserID, IGBusinessID: a.ID, Username: &username, Name: &name, ProfilePictureURL: &picture,
		FollowersCount: a.Followers, MediaCount: a.Media, PageID: page.ID, Status: models.AccountActive, CreatedAt: now, UpdatedAt: now,
	}
}

// cut fits a platform's text into a column of 255 characters.
func cut(s string) string {
	const most = 255
	s = strings.ReplaceAll(strings.ToValidUTF8(s, ""), "\x00", "")
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most])
	}
	return s
}

// unusableReason says why a Page cannot be posted to; empty if it can.
func unusableReason(p instagram.Page) string {
	switch {
	case p.Account == nil:
		return models.PageNoInstagram
	case p.Token.Empty():
		return models.PageNoToken
	case !p.CanPublish():
		return models.PageNoPermission
	}
	return ""
}

// accountTypes asks what kind the accounts are. Not every login tells; then the
// type is not known.
func (s *Service) accountTypes(ctx context.Context, pages []instagram.Page) []*string {
	types := make([]*string, len(pages))
	ctx, cancel := context.WithTimeout(ctx, profileTime)
	defer cancel()
	_ = atOnce(len(pages), func(i int) error {
		if unusableReason(pages[i]) != "" || ctx.Err() != nil {
			return nil
		}
		if kind, err := s.Instagram.AccountType(ctx, pages[i].Token, pages[i].Account.ID); err == nil && kind != "" {
			types[i] = &kind
		}
		return nil
	})
	return types
}

// storeLogin stores what a login showed. One without any account that can be
// posted to is not stored: what was there before stays as it is.
func (s *Service) storeLogin(ctx context.Context, c connect, connection *db.Connection) (Outcome, error) {
	err := s.store(ctx, connection)
	if errors.Is(err, db.ErrNoAccounts) {
		return c.noAccounts(connection), nil
	}
	if err != nil {
		return c.unstored(err)
	}
	var accounts []ConnectedAccount
	for _, p := range connection.Pages {
		if p.Instagram != nil {
			accounts = append(accounts, ConnectedAccount{ID: p.Instagram.ID, Name: "@" + *p.Instagram.Username})
		}
	}
	observe.OfAccount(ctx, s.Log, connection.Account).WithFields(map[string]any{"accounts": len(accounts), "pages": len(connection.Pages)}).
		Info("a Facebook login was connected")
	return c.connected(accounts, unusablePages(connection)), nil
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

// noAccounts is for a login that shows nothing to post to.
func (c *connect) noAccounts(connection *db.Connection) Outcome {
	o := c.failed(CodeNoAccounts, "None of the Facebook Pages that were allowed leads to an Instagram account that can be posted to. "+
		"Use a professional Instagram account that is linked to a Page, tick that Page in the consent, and make sure that you may create content on it.")
	o.Unusable = unusablePages(connection)
	return o
}
