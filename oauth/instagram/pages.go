package instagram

import (
	"context"
	"errors"
	"slices"
	"time"

	"socialqueue/models"
	"socialqueue/oauth"
	"socialqueue/platform"
	client "socialqueue/platform/instagram"
	"socialqueue/secrets"
)

// contradictedWait is how long to wait if Meta refuses a Page's token but debug_token does
// not report it dead.
const contradictedWait = 10 * time.Minute

// Accounts lists the Pages of a login with the accounts behind them.
func (c *Connector) Accounts(ctx context.Context, grant oauth.Grant) (oauth.Reach, error) {
	pages, err := c.pagesOf(ctx, grant)
	if err != nil {
		return oauth.Reach{}, err
	}
	reach := oauth.Reach{Profile: oauth.Profile{Name: grant.Name}, PagesEnd: c.pagesEnd(ctx, pages), Pages: make([]oauth.Page, len(pages))}
	for i, page := range pages {
		reach.Pages[i] = pageOf(page)
	}
	return reach, nil
}

func pageOf(p client.Page) oauth.Page {
	page := oauth.Page{ID: p.ID, Name: p.Name, Reason: unusableReason(p)}
	if page.Reason != "" {
		return page
	}
	a := p.Account
	page.Token, page.AccountID = p.Token, a.ID
	page.Account = oauth.Profile{Username: a.Username, Name: a.Name, PictureURL: a.PictureURL}
	page.Followers, page.Media = a.Followers, a.Media
	return page
}

// unusableReason says why a Page cannot be posted to; empty if it can.
func unusableReason(p client.Page) string {
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

// pagesEnd returns when the Page tokens of a login expire, or zero if never or unknown. One
// token is inspected for all: with a long-lived user token they have no end.
func (c *Connector) pagesEnd(ctx context.Context, pages []client.Page) time.Time {
	i := slices.IndexFunc(pages, func(p client.Page) bool { return !p.Token.Empty() })
	if i < 0 {
		return time.Time{}
	}
	info, err := c.client.InspectToken(ctx, pages[i].Token)
	if err != nil {
		return time.Time{}
	}
	return info.ExpiresAt
}

// PageToken reads the token of a Page.
func (c *Connector) PageToken(ctx context.Context, login secrets.Secret, pageID string) (secrets.Secret, error) {
	return c.client.PageToken(ctx, login, pageID)
}

// Subscribe subscribes the app to the webhooks of a Page.
func (c *Connector) Subscribe(ctx context.Context, pageToken secrets.Secret, pageID string) error {
	return c.client.Subscribe(ctx, pageToken, pageID)
}

// RenewPageToken reads the token of a Page again after Meta refused it. An account is lost
// only after a clear answer. Meta has one code for a missing Page, a missing permission and
// a failed read; in these cases debug_token decides.
func (c *Connector) RenewPageToken(ctx context.Context, login secrets.Secret, pageID string, refused secrets.Secret) (token secrets.Secret, lost string, err error) {
	token, err = c.client.PageToken(ctx, login, pageID)
	switch {
	case err == nil && token.Empty():
		return "", "Meta no longer gives a token for the Page", nil
	case err == nil && token == refused:
		lost, err = c.ifDead(ctx, refused, "Meta refuses the Page's token")
		return "", lost, err
	case err == nil:
		return token, "", nil
	case client.IsUnseen(err):
		lost, err = c.ifDead(ctx, refused, "the Facebook login no longer has access to the Page")
		return "", lost, err
	case client.IsDeadToken(err):
		return "", "the Facebook login behind the Page's token is dead", nil
	case platform.KindOf(err) == platform.Rejected && permissionLost(err):
		return "", "the Facebook login may no longer use the Page", nil
	}
	return "", "", err
}

// ifDead returns the reason if debug_token reports the token dead.
func (c *Connector) ifDead(ctx context.Context, token secrets.Secret, reason string) (string, error) {
	dead, err := c.Check(ctx, token)
	switch {
	case err != nil:
		return "", err
	case dead:
		return reason, nil
	}
	return "", &oauth.LaterError{In: contradictedWait, Err: errors.New("the Page's token is refused, and Meta does not report it dead")}
}

// permissionLost reports whether a permission is missing. The client gives such a refusal
// the code TOKEN_INVALID.
func permissionLost(err error) bool {
	e, ok := errors.AsType[*platform.Error](err)
	return ok && e.Code == platform.CodeTokenInvalid
}
