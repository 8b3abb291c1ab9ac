package sandbox

import (
	"net/http"
	"slices"
	"strings"
	"time"
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

// TikTokAccount is a creator who connected the app, or is about to on the consent page.
type TikTokAccount struct {
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

type tiktokAccount struct {
	TikTokAccount
	posted windows          // whole videos taken, all under the key ""
	shares []*tiktokPublish // inbox sends of the last 24 h
}

// AddTikTokAccount connects an account and returns it with its tokens. Adding an open_id again changes its settings
// and keeps its posts, and its tokens too unless new ones are given.
func (s *Server) AddTikTokAccount(a TikTokAccount) TikTokAccount {
	s.tiktok.mu.Lock()
	defer s.tiktok.mu.Unlock()
	return s.tiktok.add(a, s.clock.now())
}

// add registers an account. t.mu is held.
func (t *tiktok) add(a TikTokAccount, now time.Time) TikTokAccount {
	acc := &tiktokAccount{posted: windows{}}
	if old := t.accounts[a.OpenID]; old != nil {
		acc.posted, acc.shares = old.posted, old.shares
		setDefault(&a.UnionID, old.UnionID)
		setDefault(&a.Username, old.Username)
		setDefault(&a.Nickname, old.Nickname)
		if a.RefreshToken == "" {
			a.RefreshToken = old.RefreshToken
			setDefault(&a.RefreshExpiresAt, old.RefreshExpiresAt)
		}
		if a.AccessToken == "" {
			a.AccessToken = old.AccessToken
			setDefault(&a.ExpiresAt, old.ExpiresAt)
		} else if a.AccessToken != old.AccessToken {
			t.endAccess(old, now)
		}
		if a.Scopes == nil {
			a.Scopes = old.Scopes
		}
	}
	setDefault(&a.OpenID, t.s.ids.secret("-000SIM"))
	setDefault(&a.UnionID, t.s.ids.secret("sim-union-"))
	setDefault(&a.Username, "sim"+strings.ToLower(a.OpenID[len(a.OpenID)-min(6, len(a.OpenID)):]))
	setDefault(&a.Nickname, a.Username)
	setDefault(&a.MaxVideoSeconds, 600)
	setDefault(&a.PostsCap, 15)
	setDefault(&a.AccessToken, t.s.ids.secret("act.SIM"))
	setDefault(&a.RefreshToken, t.s.ids.secret("rft.SIM"))
	lives := t.s.opts.TikTokProfile.lives()
	setDefault(&a.ExpiresAt, now.Add(lives.access))
	setDefault(&a.RefreshExpiresAt, now.Add(lives.refresh))
	if a.Scopes == nil {
		a.Scopes = []string{"user.info.basic", "video.publish", "video.upload"}
	}
	acc.TikTokAccount = a
	t.accounts[a.OpenID] = acc
	t.access[a.AccessToken] = &tiktokToken{a.OpenID, a.ExpiresAt}
	t.refresh[a.RefreshToken] = a.OpenID
	return a
}

func (a *tiktokAccount) hasScope(oneOf []string) bool {
	return slices.ContainsFunc(oneOf, func(s string) bool { return slices.Contains(a.Scopes, s) })
}

// privacyOptions follow from the account's type (Query Creator Info).
func (a *tiktokAccount) privacyOptions() []string {
	if a.Private {
		return []string{privacyFollowers, privacyFriends, privacySelf}
	}
	return []string{privacyPublic, privacyFriends, privacySelf}
}

// atCap tells that the account has used its posts of the last 24 h.
func (a *tiktokAccount) atCap(now time.Time) bool {
	return a.PostsCap >= 0 && a.posted.count("", now, day) >= a.PostsCap
}

// blocked is the error code that keeps an account from posting at present, or "".
func (t *tiktok) blocked(acc *tiktokAccount, now time.Time) string {
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

func (t *tiktok) isActiveCreator(acc *tiktokAccount, now time.Time) bool {
	return t.creators.count(acc.OpenID, now, day) > 0
}

func (t *tiktok) creatorsFull(now time.Time) bool {
	limit := t.s.opts.Limits.TikTokActiveCreators
	if t.s.opts.Unaudited && (limit == 0 || limit > unauditedUsers) {
		limit = unauditedUsers
	}
	if limit == 0 {
		return false
	}
	for id := range t.creators {
		t.creators.count(id, now, day) // drops those of yesterday
	}
	return len(t.creators) >= limit
}

// creatorInfo answers creator_info/query; a blocked account gets HTTP 200 with the blocking code.
func (t *tiktok) creatorInfo(x *exchange, acc *tiktokAccount) reply {
	if code := t.blocked(acc, x.now); code != "" {
		return t.failWith(x, http.StatusOK, code, "")
	}
	return t.ok(x, map[string]any{
		"creator_username":            acc.Username,
		"creator_nickname":            acc.Nickname,
		"creator_avatar_url":          x.base + "/_sandbox/avatar.svg",
		"privacy_level_options":       acc.privacyOptions(),
		"comment_disabled":            acc.CommentDisabled,
		"duet_disabled":               acc.DuetDisabled || acc.Private,
		"stitch_disabled":             acc.StitchDisabled || acc.Private,
		"max_video_post_duration_sec": acc.MaxVideoSeconds,
	})
}
