package instagram

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"socialqueue/platform"
	"socialqueue/platform/wire"
	"socialqueue/secrets"
)

const (
	opPages         = "instagram.pages"
	opBusinesses    = "instagram.businesses"
	opBusinessPages = "instagram.business_pages"
	opPage          = "instagram.page"
	opSubscribe     = "instagram.subscribe"

	// pageFields lists the fields of a Page that every edge has.
	pageFields = "id,name,access_token,instagram_business_account{id,username,name,profile_picture_url,followers_count,media_count}"
	// accountsFields adds tasks, which only me/accounts has: elsewhere it is a "nonexisting
	// field" and the whole call fails (seen in the field, 2026-08).
	accountsFields = pageFields + ",tasks"

	// maxBusinesses limits how many businesses are read, because a user waits.
	maxBusinesses = 50
)

// Page is a Facebook Page, through which a user reaches an Instagram account.
type Page struct {
	ID, Name string
	// Token is empty if the user has no role on the Page, only on the business that owns it.
	Token secrets.Secret
	// Tasks lists what the user may do on the Page; nil if Meta did not say.
	Tasks []string
	// Account is nil if no professional account is linked.
	Account *Account
}

// CanPublish reports whether the user may post through the Page, which needs CREATE_CONTENT
// or MANAGE (IG User Media, 2026-03). If Meta did not return the tasks, a token proves a
// role on the Page, and the first post shows whether it is enough.
func (p Page) CanPublish() bool {
	if p.Tasks == nil {
		return !p.Token.Empty()
	}
	return slices.ContainsFunc(p.Tasks, func(task string) bool {
		task = strings.TrimPrefix(task, "PROFILE_PLUS_") // in the New Pages Experience
		return task == "CREATE_CONTENT" || task == "MANAGE"
	})
}

// Pages lists the Pages on which the user has a role. Those of a business may be missing;
// see BusinessPages.
func (c *Client) Pages(ctx context.Context, token secrets.Secret) ([]Page, error) {
	r := pageReader{client: c, token: token}
	return r.pages(ctx, opPages, []string{"me", "accounts"}, accountsFields)
}

// BusinessPages lists the Pages of the user's businesses, which Pages omits in the New
// Pages Experience (trypostit/trypost PR 291). It needs the permission business_management.
// A business whose Pages are refused is skipped: the user could not post through them
// either.
func (c *Client) BusinessPages(ctx context.Context, token secrets.Secret) ([]Page, error) {
	r := pageReader{client: c, token: token}
	businesses, err := r.businesses(ctx)
	if err != nil {
		return nil, err
	}
	var all []Page
	for _, id := range businesses {
		for _, edge := range []string{"owned_pages", "client_pages"} {
			pages, err := r.pages(ctx, opBusinessPages, []string{id, edge}, pageFields)
			if err != nil && platform.KindOf(err) != platform.Rejected {
				return nil, err
			}
			all = append(all, pages...)
		}
	}
	return MergePages(all), nil
}

// PageToken reads the token of one Page. It is empty if the user has no role on the Page.
func (c *Client) PageToken(ctx context.Context, userToken secrets.Secret, pageID string) (secrets.Secret, error) {
	var token secrets.Secret
	query := url.Values{"fields": {"id,access_token"}}
	err := c.get(ctx, opPage, userToken, []string{pageID}, query, func(body []byte) error {
		p, err := parsePage(body)
		token = p.Token
		return err
	})
	return token, err
}

// Subscribe subscribes the app to the webhooks of a Page, with the token of that Page and the
// permission pages_manage_metadata. Without it Meta sends no webhook about the Instagram
// account behind the Page. Which field is named does not matter: a subscription brings all
// fields about the account that the app has (Page, Subscribed Apps; Instagram Platform,
// Webhooks, 2026-10-20). It may be repeated.
func (c *Client) Subscribe(ctx context.Context, pageToken secrets.Secret, pageID string) error {
	x := c.begin(opSubscribe, wire.Reading, pageToken)
	fields := url.Values{"subscribed_fields": {"feed"}}
	return x.Finish(ctx, c.exchange(ctx, x, pageToken, http.MethodPost, []string{pageID, "subscribed_apps"}, fields, readSuccess))
}

// MergePages merges lists, with each Page once. An entry with a token is preferred, then
// the earlier one; its missing fields are taken from the other entry.
func MergePages(lists ...[]Page) []Page {
	var merged []Page
	place := map[string]int{}
	for _, p := range slices.Concat(lists...) {
		i, known := place[p.ID]
		if !known {
			place[p.ID] = len(merged)
			merged = append(merged, p)
			continue
		}
		merged[i] = mergePage(merged[i], p)
	}
	return merged
}

func mergePage(first, second Page) Page {
	if first.Token.Empty() && !second.Token.Empty() {
		first, second = second, first
	}
	if first.Tasks == nil {
		first.Tasks = second.Tasks
	}
	if first.Account == nil {
		first.Account = second.Account
	}
	return first
}
