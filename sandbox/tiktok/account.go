package tiktok

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"socialqueue/sandbox/engine"
)

const (
	day            = 24 * time.Hour
	unauditedUsers = 5 // posting users of an unaudited client per 24 h (Content Sharing Guidelines)
)

// The privacy levels.
const (
	privacyPublic    = "PUBLIC_TO_EVERYONE"
	privacyFriends   = "MUTUAL_FOLLOW_FRIENDS"
	privacyFollowers = "FOLLOWER_OF_CREATOR"
	privacySelf      = "SELF_ONLY"
)

// Account is a creator's account. The creator has connected the app, or can do so on the consent page.
type Account struct {
	OpenID   string `json:"open_id"`
	UnionID  string `json:"union_id"` // the same for all apps of one developer
	Username string `json:"username"`
	Nickname string `json:"nickname"`

	Bio            string `json:"bio_description"`
	Verified       bool   `json:"is_verified"`
	FollowerCount  int64  `json:"follower_count"`
	FollowingCount int64  `json:"following_count"`
	LikesCount     int64  `json:"likes_count"`
	VideoCount     int64  `json:"video_count"`

	Private         bool `json:"private"`
	CommentDisabled bool `json:"comment_disabled"`
	DuetDisabled    bool `json:"duet_disabled"`
	StitchDisabled  bool `json:"stitch_disabled"`
	MaxVideoSeconds int  `json:"max_video_seconds"` // default 600
	Banned          bool `json:"banned"`
	PostsCap        int  `json:"posts_cap"` // posts in 24 h, all apps together; default 15, negative is unlimited

	AccessToken  string    `json:"access_token"`
	RefreshToken string    `json:"refresh_token"`
	Scopes       []string  `json:"scopes"`     // default: user.info.basic, video.publish, video.upload
	ExpiresAt    time.Time `json:"expires_at"` // of AccessToken; default two hours of virtual time

	RefreshExpiresAt time.Time `json:"refresh_expires_at"` // default 180 days of virtual time
}

type account struct {
	Account
	posted engine.Windows // posts whose files were taken, all under the key ""
	shares []*publishTask // inbox sends of the last 24 h
}

// AddAccount connects an account and returns it with its tokens. Adding an open_id again changes its settings and keeps
// its posts; the tokens stay too, unless new ones are given.
func (t *Platform) AddAccount(a Account) Account {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.add(a, t.host.Now())
}

// add registers an account. t.mu is held.
func (t *Platform) add(a Account, now time.Time) Account {
	acc := &account{posted: engine.Windows{}}
	if old := t.accounts[a.OpenID]; old != nil {
		acc.posted, acc.shares = old.posted, old.shares
		engine.SetDefault(&a.UnionID, old.UnionID)
		engine.SetDefault(&a.Username, old.Username)
		engine.SetDefault(&a.Nickname, old.Nickname)
		if a.RefreshToken == "" {
			a.RefreshToken = old.RefreshToken
			engine.SetDefault(&a.RefreshExpiresAt, old.RefreshExpiresAt)
		}
		if a.AccessToken == "" {
			a.AccessToken = old.AccessToken
			engine.SetDefault(&a.ExpiresAt, old.ExpiresAt)
		} else if a.AccessToken != old.AccessToken {
			t.endAccess(old, now)
		}
		if a.Scopes == nil {
			a.Scopes = old.Scopes
		}
	}
	engine.SetDefault(&a.OpenID, t.host.Secret("-000SIM"))
	engine.SetDefault(&a.UnionID, t.host.Secret("sim-union-"))
	engine.SetDefault(&a.Username, "sim"+strings.ToLower(a.OpenID[len(a.OpenID)-min(6, len(a.OpenID)):]))
	engine.SetDefault(&a.Nickname, a.Username)
	engine.SetDefault(&a.MaxVideoSeconds, 600)
	engine.SetDefault(&a.PostsCap, 15)
	engine.SetDefault(&a.AccessToken, t.host.Secret("act.SIM"))
	engine.SetDefault(&a.RefreshToken, t.host.Secret("rft.SIM"))
	lives := t.opts.Profile.lives()
	engine.SetDefault(&a.ExpiresAt, now.Add(lives.access))
	engine.SetDefault(&a.RefreshExpiresAt, now.Add(lives.refresh))
	if a.Scopes == nil {
		a.Scopes = []string{"user.info.basic", "video.publish", "video.upload"}
	}
	acc.Account = a
	t.accounts[a.OpenID] = acc
	t.access[a.AccessToken] = &accessToken{a.OpenID, a.ExpiresAt}
	t.refresh[a.RefreshToken] = a.OpenID
	return a
}

func (a *account) hasScope(oneOf []string) bool {
	return slices.ContainsFunc(oneOf, func(s string) bool { return slices.Contains(a.Scopes, s) })
}

// privacyOptions returns the privacy levels of the account's type (Query Creator Info).
func (a *account) privacyOptions() []string {
	if a.Private {
		return []string{privacyFollowers, privacyFriends, privacySelf}
	}
	return []string{privacyPublic, privacyFriends, privacySelf}
}

// atCap reports whether the account has used its posts of the last 24 h.
func (a *account) atCap(now time.Time) bool {
	return a.PostsCap >= 0 && a.posted.Count("", now, day) >= a.PostsCap
}

// blocked returns the error code that currently keeps an account from posting, or "".
func (t *Platform) blocked(acc *account, now time.Time) string {
	switch {
	case acc.Banned:
		return "spam_risk_user_banned_from_posting"
	case acc.atCap(now):
		return "spam_risk_too_many_posts"
	case !t.isActiveCreator(acc, now) && t.creatorsFull(now):
		return "reached_active_user_cap"
	}
	return ""
}

func (t *Platform) isActiveCreator(acc *account, now time.Time) bool {
	return t.creators.Count(acc.OpenID, now, day) > 0
}

func (t *Platform) creatorsFull(now time.Time) bool {
	limit := t.opts.Limits.ActiveCreators
	if t.opts.Unaudited && (limit == 0 || limit > unauditedUsers) {
		limit = unauditedUsers
	}
	if limit == 0 {
		return false
	}
	for id := range t.creators {
		t.creators.Count(id, now, day) // drops those of yesterday
	}
	return len(t.creators) >= limit
}

// creatorInfo answers creator_info/query. A blocked account gets HTTP 200 with the blocking code.
func (t *Platform) creatorInfo(x *engine.Exchange, acc *account) engine.Reply {
	if code := t.blocked(acc, x.Now); code != "" {
		return t.failWith(x, http.StatusOK, code, "")
	}
	return t.ok(x, map[string]any{
		"creator_username":            acc.Username,
		"creator_nickname":            acc.Nickname,
		"creator_avatar_url":          x.Base + "/_sandbox/avatar.svg",
		"privacy_level_options":       acc.privacyOptions(),
		"comment_disabled":            acc.CommentDisabled,
		"duet_disabled":               acc.DuetDisabled || acc.Private,
		"stitch_disabled":             acc.StitchDisabled || acc.Private,
		"max_video_post_duration_sec": acc.MaxVideoSeconds,
	})
}
