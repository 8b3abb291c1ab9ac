package sandbox

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// What a Graph call can be on.
const (
	nodeApp      = "app" // the app itself: its credentials are among the parameters
	nodeUser     = "user"
	nodePage     = "page"
	nodeBusiness = "business"
	nodeAccount  = "account" // an Instagram account, its containers and media
)

var (
	pageScopes     = []string{"pages_show_list"}
	businessScopes = []string{"business_management"}
)

// loginEdges are the calls that connect an account (Facebook Login, Graph API User and Business).
var loginEdges = map[string]graphRoute{
	"GET app oauth/access_token":  {OpInstagramExchangeCode, nil, (*instagram).accessToken},
	"POST app oauth/access_token": {OpInstagramExchangeCode, nil, (*instagram).accessToken},
	"GET app debug_token":         {OpInstagramDebugToken, nil, (*instagram).debugToken},
	"GET user ":                   {OpInstagramMe, nil, (*instagram).readMe},
	"GET user permissions":        {OpInstagramPermissions, nil, (*instagram).readPermissions},
	"GET user accounts":           {OpInstagramPages, pageScopes, (*instagram).listPages},
	"GET user businesses":         {OpInstagramBusinesses, businessScopes, (*instagram).listBusinesses},
	"GET business owned_pages":    {OpInstagramBusinessPages, businessScopes, (*instagram).listBusinessPages},
	"GET business client_pages":   {OpInstagramBusinessPages, businessScopes, (*instagram).listBusinessPages},
	"GET page ":                   {OpInstagramPage, pageScopes, (*instagram).readPage},
	"DELETE user permissions":     {OpInstagramRevoke, nil, (*instagram).deletePermissions},
}

// loginRoute finds the row for a call that connects an account. Only the parameters tell the two exchanges apart, and
// whose call it is.
func (ig *instagram) loginRoute(c *graphCall, params url.Values) (graphRoute, bool) {
	ig.mu.Lock()
	defer ig.mu.Unlock()
	node, edge := ig.loginNode(c.id), c.edge
	if node == nodeApp {
		edge = strings.Trim(c.id+"/"+c.edge, "/")
	}
	if c.r.Method == http.MethodDelete {
		edge, _, _ = strings.Cut(edge, "/") // the name of one permission may follow
	}
	route, ok := loginEdges[c.r.Method+" "+node+" "+edge]
	if !ok {
		return route, false
	}
	if params.Get("grant_type") == exchangeGrant {
		route.op = OpInstagramExchangeToken
	}
	c.node, c.account = node, ig.whose(tokenOf(c.r, params), params)
	return route, true
}

// loginNode tells what an id stands for.
func (ig *instagram) loginNode(id string) string {
	if isAppEndpoint(id) {
		return nodeApp
	}
	if id == "me" || ig.facebook.users[id] != nil {
		return nodeUser
	}
	for _, u := range ig.facebook.users {
		for _, p := range u.Pages {
			switch id {
			case p.ID:
				return nodePage
			case p.Business:
				return nodeBusiness
			}
		}
	}
	return ""
}

// isAppEndpoint knows the two paths that may go without a version.
func isAppEndpoint(id string) bool { return id == "oauth" || id == "debug_token" }

// reaches tells whether the call's token reaches what the call is on.
func (ig *instagram) reaches(c *graphCall) bool {
	user := c.token.user
	switch c.node {
	case nodeAccount:
		_, ok := ig.reach(c.token, c.account)
		return ok
	case nodeUser:
		return user != nil && (c.id == "me" || c.id == user.ID)
	case nodePage:
		return user != nil && user.page(c.id) != nil && c.token.covers(c.id)
	case nodeBusiness:
		return user != nil && c.token.page == "" &&
			slices.ContainsFunc(user.Pages, func(p FacebookPage) bool { return p.Business == c.id })
	}
	return false
}

// readMe answers GET /me: the user, or the Page when a Page token asks.
func (ig *instagram) readMe(c *graphCall) reply {
	ig.mu.Lock()
	defer ig.mu.Unlock()
	me := map[string]any{"id": c.token.user.ID, "name": c.token.user.Name}
	if page := c.token.user.page(c.token.page); page != nil {
		me = map[string]any{"id": page.ID, "name": page.Name}
	}
	if c.params.Get("fields") == "" {
		return ig.ok(c, me)
	}
	return ig.selectFields(c, me)
}

func (ig *instagram) readPermissions(c *graphCall) reply {
	ig.mu.Lock()
	defer ig.mu.Unlock()
	return ig.ok(c, map[string]any{"data": c.token.user.permissions})
}

// deletePermissions takes one permission back, or removes the app, which ends every token of the user.
func (ig *instagram) deletePermissions(c *graphCall) reply {
	ig.mu.Lock()
	defer ig.mu.Unlock()
	user := c.token.user
	_, scope, one := strings.Cut(c.edge, "/")
	switch {
	case !one:
		ig.kill(user, appRemoved)
	case user.status(scope) == "":
		return ig.fail(c.exchange, *param(fmt.Sprintf("The permission %s was not asked for", scope)))
	default:
		user.setStatus(scope, statusDeclined)
	}
	return ig.ok(c, map[string]bool{"success": true})
}
