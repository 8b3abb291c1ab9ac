package instagram

import (
	"slices"
	"strings"
	"time"

	"socialqueue/sandbox/engine"
)

// granularScope is a scope with the objects it applies to.
type granularScope struct {
	Scope     string   `json:"scope"`
	TargetIDs []string `json:"target_ids,omitempty"`
}

// debugToken answers debug_token for the app's own token {app-id}|{app-secret} (Debugging and Validating Tokens).
func (ig *Platform) debugToken(c *graphCall) engine.Reply {
	ig.mu.Lock()
	defer ig.mu.Unlock()
	if c.accessToken != ig.opts.AppID+"|"+ig.opts.AppSecret {
		return ig.fail(c.Exchange, graphError{Code: 190, Message: "Invalid OAuth access token signature."})
	}
	input := c.params.Get("input_token")
	if input == "" {
		return ig.fail(c.Exchange, *param("The parameter input_token is required"))
	}
	_, e := ig.checkToken(input, c.Now)
	t := ig.tokens[input]
	if t == nil {
		return ig.ok(c, map[string]any{"data": map[string]any{"is_valid": false, "error": debugError(*e), "scopes": []string{}}})
	}
	data := map[string]any{
		"app_id": ig.opts.AppID, "type": "USER", "application": "socialqueue sandbox", "is_valid": e == nil,
		"issued_at": t.issuedAt.Unix(), "expires_at": unixOrZero(t.expiresAt), "scopes": t.granted(),
		"granular_scopes": ig.granularScopes(t),
	}
	if t.user != nil {
		data["user_id"] = t.user.ID
		data["data_access_expires_at"] = t.user.consentAt.Add(dataAccessLife).Unix()
	}
	if t.page != "" {
		data["type"], data["profile_id"] = "PAGE", t.page
	}
	if e != nil {
		data["error"] = debugError(*e)
	}
	return ig.ok(c, map[string]any{"data": data})
}

func debugError(e graphError) map[string]any {
	engine.SetDefault(&e.Message, graphTexts[[2]int{e.Code, e.Subcode}].message)
	out := map[string]any{"code": e.Code, "message": e.Message}
	if e.Subcode != 0 {
		out["subcode"] = e.Subcode
	}
	return out
}

func unixOrZero(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

// granularScopes returns the Pages, Instagram accounts or portfolios of each scope.
func (ig *Platform) granularScopes(t *graphToken) []granularScope {
	targets := ig.targets(t)
	out := []granularScope{}
	for _, scope := range t.granted() {
		family, _, _ := strings.Cut(scope, "_")
		out = append(out, granularScope{scope, targets[family]})
	}
	return out
}

// targets returns the objects that a token has access to, by the first word of the scopes.
func (ig *Platform) targets(t *graphToken) map[string][]string {
	targets := map[string][]string{}
	if t.user == nil {
		for id := range t.accounts {
			targets["instagram"] = append(targets["instagram"], id)
			targets["pages"] = append(targets["pages"], ig.accounts[id].PageID)
		}
	} else {
		for _, p := range t.pages() {
			targets["pages"] = append(targets["pages"], p.ID)
			if ig.professional(p.InstagramID) != nil {
				targets["instagram"] = append(targets["instagram"], p.InstagramID)
			}
			if p.Business != "" {
				targets["business"] = append(targets["business"], p.Business)
			}
		}
	}
	for family, ids := range targets {
		slices.Sort(ids)
		targets[family] = slices.Compact(ids)
	}
	return targets
}
