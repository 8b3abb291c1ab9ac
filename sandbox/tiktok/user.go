package tiktok

import (
	"strings"

	"socialqueue/sandbox/engine"
)

// The scopes of user/info (Scopes Overview).
const (
	scopeBasic   = "user.info.basic"
	scopeProfile = "user.info.profile"
	scopeStats   = "user.info.stats"
)

var userInfoScopes = []string{scopeBasic, scopeProfile, scopeStats}

// userFields are the fields of user/info, each with the scope it needs (Get User Info).
var userFields = map[string]struct {
	scope string
	value func(*engine.Exchange, *account) any
}{
	"open_id":          {scopeBasic, func(_ *engine.Exchange, a *account) any { return a.OpenID }},
	"union_id":         {scopeBasic, func(_ *engine.Exchange, a *account) any { return a.UnionID }},
	"avatar_url":       {scopeBasic, avatarURL},
	"avatar_url_100":   {scopeBasic, avatarURL},
	"avatar_large_url": {scopeBasic, avatarURL},
	"display_name":     {scopeBasic, func(_ *engine.Exchange, a *account) any { return a.Nickname }},

	"username":          {scopeProfile, func(_ *engine.Exchange, a *account) any { return a.Username }},
	"bio_description":   {scopeProfile, func(_ *engine.Exchange, a *account) any { return a.Bio }},
	"is_verified":       {scopeProfile, func(_ *engine.Exchange, a *account) any { return a.Verified }},
	"profile_deep_link": {scopeProfile, profileURL},
	"profile_web_link":  {scopeProfile, profileURL},

	"follower_count":  {scopeStats, func(_ *engine.Exchange, a *account) any { return a.FollowerCount }},
	"following_count": {scopeStats, func(_ *engine.Exchange, a *account) any { return a.FollowingCount }},
	"likes_count":     {scopeStats, func(_ *engine.Exchange, a *account) any { return a.LikesCount }},
	"video_count":     {scopeStats, func(_ *engine.Exchange, a *account) any { return a.VideoCount }},
}

func avatarURL(x *engine.Exchange, _ *account) any { return x.Base + "/_sandbox/avatar.svg" }

func profileURL(x *engine.Exchange, a *account) any { return x.Base + "/@" + a.Username }

// userInfo answers the requested fields. A field outside the granted scopes refuses the whole call; sources report
// three different answers, this one was observed.
func (t *Platform) userInfo(x *engine.Exchange, acc *account) engine.Reply {
	asked := x.Request.URL.Query().Get("fields")
	if asked == "" {
		return t.fail(x, "invalid_params", "The fields parameter is required")
	}
	user := map[string]any{}
	for name := range strings.SplitSeq(asked, ",") {
		field, ok := userFields[name]
		switch {
		case !ok:
			return t.fail(x, "invalid_params", "The field "+name+" does not exist")
		case !acc.hasScope([]string{field.scope}):
			return t.fail(x, "scope_not_authorized", "")
		}
		user[name] = field.value(x, acc)
	}
	return t.ok(x, map[string]any{"user": user})
}
