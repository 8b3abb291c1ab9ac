package instagram

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"socialqueue/sandbox/engine"
)

// pageFields are the webhook fields of a Page that an app may subscribe to, among others (Page, Subscribed Apps).
var pageFields = []string{"feed", "mention", "messages", "name"}

// subscribeApp answers POST /{page-id}/subscribed_apps. The fields replace those of an earlier call. One subscription
// brings the webhooks of the Page's Instagram account with all fields that the app has (Instagram Platform, Webhooks).
func (ig *Platform) subscribeApp(c *graphCall) engine.Reply {
	ig.mu.Lock()
	defer ig.mu.Unlock()
	fields, e := readPageFields(c)
	if e != nil {
		return ig.fail(c.Exchange, *e)
	}
	ig.facebook.subscriptions[c.id] = fields
	return ig.ok(c, map[string]bool{"success": true})
}

func readPageFields(c *graphCall) ([]string, *graphError) {
	if e := c.needsPageToken(); e != nil {
		return nil, e
	}
	if e := checkNames(c.params, "subscribed_fields"); e != nil {
		return nil, e
	}
	given := c.params.Get("subscribed_fields")
	if given == "" {
		return nil, param("The parameter subscribed_fields is required.")
	}
	fields := strings.Split(given, ",")
	for _, f := range fields {
		if !slices.Contains(pageFields, f) {
			return nil, param(fmt.Sprintf("Param subscribed_fields must be one of {%s} - got %q.", strings.Join(pageFields, ", "), f))
		}
	}
	return fields, nil
}

// listSubscribedApps answers GET /{page-id}/subscribed_apps.
func (ig *Platform) listSubscribedApps(c *graphCall) engine.Reply {
	ig.mu.Lock()
	defer ig.mu.Unlock()
	if e := c.needsPageToken(); e != nil {
		return ig.fail(c.Exchange, *e)
	}
	apps := []any{}
	if fields := ig.facebook.subscriptions[c.id]; len(fields) > 0 {
		apps = append(apps, map[string]any{"id": ig.opts.AppID, "name": "socialqueue sandbox", "subscribed_fields": fields})
	}
	return ig.ok(c, map[string]any{"data": apps})
}

// needsPageToken returns the error for another token than that of the call's Page.
func (c *graphCall) needsPageToken() *graphError {
	if c.token.page == c.id {
		return nil
	}
	return &graphError{Code: 210, Message: "(#210) A page access token is required to request this resource."}
}

// unsubscribe ends the subscriptions of a user's Pages, as when the user removes the app.
func (ig *Platform) unsubscribe(user *facebookUser) {
	maps.DeleteFunc(ig.facebook.subscriptions, func(pageID string, _ []string) bool {
		return slices.ContainsFunc(user.Pages, func(p FacebookPage) bool { return p.ID == pageID })
	})
}

// hasWebhooks reports whether the app gets webhooks about an Instagram account: about one behind a Page of a Facebook
// user only if it is subscribed to the Page. ig.mu is held.
func (ig *Platform) hasWebhooks(igID string) bool {
	behindPage := false
	for _, u := range ig.facebook.users {
		for _, p := range u.Pages {
			if p.InstagramID != igID {
				continue
			}
			if ig.facebook.subscriptions[p.ID] != nil {
				return true
			}
			behindPage = true
		}
	}
	return !behindPage
}
