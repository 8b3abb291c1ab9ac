package instagram

import (
	"slices"
	"strconv"
	"time"

	"socialqueue/sandbox/engine"
)

const (
	day = 24 * time.Hour

	facebookTokenLife = 60 * day // a long-lived user token (Facebook Login, manual flow)
)

// Account is a professional account behind a Facebook Page.
type Account struct {
	IGID       string `json:"ig_id"`
	Username   string `json:"username"`
	Name       string `json:"name"`
	PageID     string `json:"page_id"`
	QuotaTotal int    `json:"quota_total"` // posts in 24 h; default 100
	Restricted bool   `json:"restricted"`  // media_publish answers 25/2207050

	AccountType    string `json:"account_type"` // default BUSINESS; a PERSONAL one is not there for the API
	FollowersCount int    `json:"followers_count"`

	UserToken          string    `json:"user_token"`
	UserTokenExpiresAt time.Time `json:"user_token_expires_at"` // default sixty days of virtual time
	PageToken          string    `json:"page_token"`            // does not expire
	Scopes             []string  `json:"scopes"`                // default: all that publishing and commenting need
}

const accountPersonal = "PERSONAL"

// account is an account with its rate windows and media. Platform.mu guards it.
type account struct {
	Account
	calls      engine.Windows // under the key ""
	containers engine.Windows
	media      []*publishedMedia // oldest first
	selfID     string            // self_ig_scoped_id, in what the account writes itself
}

// AddAccount connects an account and returns it with its tokens. Several accounts may share one user token. Adding an
// ig-id again changes its settings and keeps its media; the tokens stay too, unless new ones are given.
func (ig *Platform) AddAccount(a Account) Account {
	ig.mu.Lock()
	defer ig.mu.Unlock()
	return ig.add(a, ig.host.Now())
}

// add registers an account. ig.mu is held.
func (ig *Platform) add(a Account, now time.Time) Account {
	acc := ig.accounts[a.IGID]
	if acc == nil {
		acc = &account{calls: engine.Windows{}, containers: engine.Windows{}, selfID: ig.newID("685")}
	}
	old := acc.Account
	engine.SetDefault(&a.IGID, ig.newID("178"))
	engine.SetDefault(&a.Username, old.Username)
	engine.SetDefault(&a.Username, "sim"+a.IGID[len(a.IGID)-min(6, len(a.IGID)):])
	engine.SetDefault(&a.Name, old.Name)
	engine.SetDefault(&a.Name, a.Username)
	engine.SetDefault(&a.PageID, old.PageID)
	engine.SetDefault(&a.PageID, ig.newID("10"))
	engine.SetDefault(&a.QuotaTotal, 100)
	engine.SetDefault(&a.AccountType, old.AccountType)
	engine.SetDefault(&a.AccountType, "BUSINESS")
	if a.UserToken == "" {
		engine.SetDefault(&a.UserTokenExpiresAt, old.UserTokenExpiresAt)
	}
	engine.SetDefault(&a.UserTokenExpiresAt, now.Add(facebookTokenLife))
	engine.SetDefault(&a.UserToken, old.UserToken)
	engine.SetDefault(&a.UserToken, ig.host.Secret("EAASIMuser"))
	engine.SetDefault(&a.PageToken, old.PageToken)
	engine.SetDefault(&a.PageToken, ig.host.Secret("EAASIMpage"))
	if a.Scopes == nil {
		a.Scopes = old.Scopes
	}
	if a.Scopes == nil {
		a.Scopes = []string{"pages_show_list", "pages_read_engagement", "business_management", "instagram_basic", "instagram_content_publish",
			"instagram_manage_comments"}
	}
	ig.revoke(old.UserToken, a.UserToken, a.IGID)
	ig.revoke(old.PageToken, a.PageToken, a.IGID)
	acc.Account = a
	ig.accounts[a.IGID] = acc
	ig.grant(a.UserToken, a, now).expiresAt = a.UserTokenExpiresAt
	ig.grant(a.PageToken, a, now).page = a.PageID
	return a
}

// revoke removes an account from a token that was replaced by another.
func (ig *Platform) revoke(token, replacement, igID string) {
	t := ig.tokens[token]
	if t == nil || token == replacement {
		return
	}
	delete(t.accounts, igID)
	if len(t.accounts) == 0 {
		delete(ig.tokens, token)
	}
}

func (ig *Platform) grant(token string, a Account, now time.Time) *graphToken {
	t := ig.tokens[token]
	if t == nil {
		t = &graphToken{accounts: map[string]bool{}, issuedAt: now}
		ig.tokens[token] = t
	}
	t.accounts[a.IGID] = true
	t.scopes = slices.Clone(a.Scopes)
	return t
}

// readAccount answers GET /{ig-id}. An IG User of Facebook's graph has no account_type: only /me of Instagram Login has it
// (Business Login for Instagram, 2026-03-13), so asking for it is refused as any unknown field.
func (ig *Platform) readAccount(c *graphCall) engine.Reply {
	ig.mu.Lock()
	defer ig.mu.Unlock()
	a := c.acc
	return ig.selectFields(c, map[string]any{
		"id": a.IGID, "username": a.Username, "name": a.Name, "biography": "", "website": "",
		"profile_picture_url": c.Base + "/_sandbox/avatar.svg", "followers_count": a.FollowersCount, "follows_count": 0,
		"media_count": len(a.media),
	})
}

// quota answers content_publishing_limit. quota_usage may lag behind what media_publish enforces.
func (ig *Platform) quota(c *graphCall) engine.Reply {
	ig.mu.Lock()
	defer ig.mu.Unlock()
	from := c.Now.Add(-day)
	if v := c.params.Get("since"); v != "" {
		unix, err := strconv.ParseInt(v, 10, 64)
		since := time.Unix(unix, 0)
		if err != nil || since.Before(from.Truncate(time.Second)) || since.After(c.Now) {
			return ig.fail(c.Exchange, *param("since must be a time within the last 24 hours"))
		}
		from = since
	}
	row := map[string]any{
		"quota_usage": c.acc.published(from, c.Now.Add(-ig.opts.Delays.QuotaLag)),
		"config":      map[string]int{"quota_total": c.acc.QuotaTotal, "quota_duration": int(day.Seconds())},
	}
	fields, e := parseFields(c.params, row, "quota_usage")
	if e != nil {
		return ig.fail(c.Exchange, *e)
	}
	return ig.ok(c, map[string]any{"data": []any{pick(row, fields)}})
}

// published counts the account's posts after from and not after to.
func (a *account) published(from, to time.Time) int {
	n := 0
	for i := len(a.media) - 1; i >= 0 && a.media[i].at.After(from); i-- {
		if !a.media[i].at.After(to) {
			n++
		}
	}
	return n
}
