package instagram

import (
	"slices"

	"socialqueue/sandbox/engine"
)

// listPages answers /me/accounts, which omits the Pages of a portfolio (observed, 2026).
func (ig *Platform) listPages(c *graphCall) engine.Reply {
	ig.mu.Lock()
	defer ig.mu.Unlock()
	pages := c.token.user.visible(func(p FacebookPage) bool { return p.Business == "" })
	return ig.pagesReply(c, pages, "id,name,access_token,tasks")
}

// listBusinessPages answers owned_pages and client_pages of a portfolio.
func (ig *Platform) listBusinessPages(c *graphCall) engine.Reply {
	ig.mu.Lock()
	defer ig.mu.Unlock()
	client := c.edge == "client_pages"
	pages := c.token.user.visible(func(p FacebookPage) bool { return p.Business == c.id && p.Client == client })
	return ig.pagesReply(c, pages, "id,name")
}

func (ig *Platform) pagesReply(c *graphCall, pages []FacebookPage, def string) engine.Reply {
	return listReply(ig, c, pages, func(p FacebookPage) string { return p.ID },
		func(p FacebookPage) (map[string]any, *graphError) { return ig.pageObject(c, p, def) })
}

// listBusinesses answers /me/businesses: the portfolios of the user's Pages.
func (ig *Platform) listBusinesses(c *graphCall) engine.Reply {
	ig.mu.Lock()
	defer ig.mu.Unlock()
	var ids []string
	for _, p := range c.token.user.Pages {
		if p.Business != "" && !slices.Contains(ids, p.Business) {
			ids = append(ids, p.Business)
		}
	}
	return listReply(ig, c, ids, func(id string) string { return id }, func(id string) (map[string]any, *graphError) {
		return selectFrom(c.params.Get("fields"), "id,name", map[string]any{"id": id, "name": "Sim Portfolio " + lastDigits(id)})
	})
}

// readPage answers GET /{page-id}.
func (ig *Platform) readPage(c *graphCall) engine.Reply {
	ig.mu.Lock()
	defer ig.mu.Unlock()
	page := c.token.user.page(c.id)
	if page == nil { // lost since the checks
		return ig.fail(c.Exchange, *c.unsupported())
	}
	object, e := ig.pageObject(c, *page, "id,name")
	if e != nil {
		return ig.fail(c.Exchange, *e)
	}
	return ig.ok(c, object)
}

// pageObject returns the requested fields of a Page. The Instagram account needs a scope of its own.
func (ig *Platform) pageObject(c *graphCall, p FacebookPage, def string) (map[string]any, *graphError) {
	asked := c.params.Get("fields")
	object := map[string]any{"id": p.ID, "name": p.Name, "tasks": p.Tasks, "access_token": ig.pageTokenOf(c, p),
		"instagram_business_account": nil}
	fields, e := splitFields(asked)
	if e != nil {
		return nil, e
	}
	for _, f := range fields {
		if f.name != "instagram_business_account" {
			continue
		}
		if e := c.token.lacks(readScopes); e != nil {
			return nil, e
		}
		if object[f.name], e = ig.linkedAccount(c, p, f.sub); e != nil {
			return nil, e
		}
	}
	return selectFrom(asked, def, object)
}

func (ig *Platform) pageTokenOf(c *graphCall, p FacebookPage) string {
	switch {
	case p.NoToken:
		return ""
	case c.token.page != "":
		return c.accessToken // a Page token asks for itself
	}
	return ig.pageToken(c.token, p.ID)
}

// linkedAccount returns the instagram_business_account of a Page, or nil if it has no professional account.
func (ig *Platform) linkedAccount(c *graphCall, p FacebookPage, fields string) (any, *graphError) {
	acc := ig.professional(p.InstagramID)
	if acc == nil {
		return nil, nil
	}
	object, e := selectFrom(fields, "id", map[string]any{
		"id": acc.IGID, "username": acc.Username, "name": acc.Name, "profile_picture_url": c.Base + "/_sandbox/avatar.svg",
		"followers_count": acc.FollowersCount, "media_count": len(acc.media),
	})
	if e != nil {
		return nil, e
	}
	return object, nil
}

// professional returns an account that the API serves, or nil. Personal accounts are unknown to the API.
func (ig *Platform) professional(igID string) *account {
	if acc := ig.accounts[igID]; acc != nil && acc.AccountType != accountPersonal {
		return acc
	}
	return nil
}
