package instagram

import (
	"context"
	"net/url"
	"slices"
	"strings"

	"socialqueue/platform"
	"socialqueue/secrets"
)

const (
	opPages         = "instagram.pages"
	opBusinesses    = "instagram.businesses"
	opBusinessPages = "instagram.business_pages"
	opPage          = "instagram.page"

	// pageFields are those of a Page everywhere.
	pageFields = "id,name,access_token,instagram_business_account{id,username,name,profile_picture_url,followers_count,media_count}"
	// accountsFields has tasks too, which only me/accounts knows: elsewhere they
	// are a "nonexisting field" and the whole call is refused (seen in the field,
	// 2026-08).
	accountsFields = pageFields + ",tasks"

	// maxBusinesses bounds how many are looked into: a user waits for it.
	maxBusinesses = 50
)

// Page is a Facebook Page, by which a user reaches an Instagram account.
type Page struct {
	ID, Name string
	// Token is empty when the user has no role on the Page, only on the business
	// that holds it.
	Token secrets.Secret
	// Tasks are what the user may do on the Page; nil when Meta did not say.
	Tasks []string
	// Account is nil when no professional account is linked.
	Account *Account
}

// CanPublish reports whether the user may post by the Page, which needs
// CREATE_CONTENT or MANAGE (IG User Media, 2026-03). Where Meta does not tell the
// tasks, a token tells of a role on the Page, and the first post whether it is
// enough.
func (p Page) CanPublish() bool {
	if p.Tasks == nil {
		return !p.Token.Empty()
	}
	return slices.ContainsFunc(p.Tasks, func(task string) bool {
		task = strings.TrimPrefix(task, "PROFILE_PLUS_") // in the New Pages Experience
		return task == "CREATE_CONTENT" || task == "MANAGE"
	})
}

// Pages lists the Pages on which the user has a role. Those held through a
// business may be missing; see BusinessPages.
func (c *Client) Pages(ctx context.Context, token secrets.Secret) ([]Page, error) {
	r := pageReader{client: c, token: token}
	return r.pages(ctx, opPages, []string{"me", "accounts"}, accountsFields)
}

// BusinessPages lists the Pages of the user's businesses, which Pages leaves out
// in the New Pages Experience (trypostit/trypost PR 291). It needs the permission
// business_management. A business whose Pages are refused is passed over: the
// user could not post by them either.
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

// PageToken gets the token of one Page. It is empty when the user has no role on
// the Page.
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

// MergePages puts lists together, each Page once. An entry with a token goes
// before one without, an earlier before a later one; what the better entry does
// not tell is taken from the other.
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
