package sandbox

import "strings"

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
	value func(*exchange, *tiktokAccount) any
}{
	"open_id":          {scopeBasic, func(_ *exchange, a *tiktokAccount) any { return a.OpenID }},
	"union_id":         {scopeBasic, func(_ *exchange, a *tiktokAccount) any { return a.UnionID }},
	"avatar_url":       {scopeBasic, avatarURL},
	"avatar_url_100":   {scopeBasic, avatarURL},
	"avatar_large_url": {scopeBasic, avatarURL},
	"display_name":     {scopeBasic, func(_ *exchange, a *tiktokAccount) any { return a.Nickname }},

	"username":          {scopeProfile, func(_ *exchange, a *tiktokAccount) any { return a.Username }},
	"bio_description":   {scopeProfile, func(_ *exchange, a *tiktokAccount) any { return a.Bio }},
	"is_verified":       {scopeProfile, func(_ *exchange, a *tiktokAccount) any { return a.Verified }},
	"profile_deep_link": {scopeProfile, profileURL},
	"profile_web_link":  {scopeProfile, profileURL},

	"follower_count":  {scopeStats, func(_ *exchange, a *tiktokAccount) any { return a.FollowerCount }},
	"following_count": {scopeStats, func(_ *exchange, a *tiktokAccount) any { return a.FollowingCount }},
	"likes_count":     {scopeStats, func(_ *exchange, a *tiktokAccount) any { return a.LikesCount }},
	"video_count":     {scopeStats, func(_ *exchange, a *tiktokAccount) any { return a.VideoCount }},
}

func avatarURL(x *exchange, _ *tiktokAccount) any { return x.base + "/_sandbox/avatar.svg" }

func profileURL(x *exchange, a *tiktokAccount) any { return x.base + "/@" + a.Username }

// userInfo answers the asked fields. One outside the granted scopes refuses the whole call: of the three answers that
// sources report, the one seen in the field.
func (t *tiktok) userInfo(x *exchange, acc *tiktokAccount) reply {
	asked := x.r.URL.Query().Get("fields")
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
