package tiktok

import (
	"net/http"
	"testing"

	"socialqueue/platform"
)

func TestUserInfo(t *testing.T) {
	for body, want := range map[string]UserInfo{
		`{"user":{"open_id":"-000SimOpenId","union_id":"u-1","avatar_url":"https://cdn.sim.test/a.jpeg","display_name":"Sim Cafe"}}`: {
			OpenID: "-000SimOpenId", UnionID: "u-1", DisplayName: "Sim Cafe", AvatarURL: "https://cdn.sim.test/a.jpeg",
		},
		`{"user":{"open_id":"_1","username":"simcafe","display_name":null,"avatar_url":{}}}`: {OpenID: "_1", Username: "simcafe"},
	} {
		ctx, c, calls := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet || r.URL.Path != "/v2/user/info/" || r.URL.RawQuery != "fields=open_id,union_id,avatar_url,display_name" ||
				r.Header.Get("Authorization") != "Bearer "+testToken.Reveal() || r.Header.Get("Content-Type") != "" || r.ContentLength != 0 {
				t.Errorf("got %s %s %v", r.Method, r.URL, r.Header)
			}
			answer(200, `{"data":`+body+`,"error":{"code":"ok","message":"","log_id":"L"}}`)(w, r)
		})
		if got, err := c.UserInfo(ctx, testToken); err != nil || got != want {
			t.Errorf("got %+v %v, want %+v", got, err, want)
		}
		if len(*calls) != 1 || (*calls)[0].Err != nil || (*calls)[0].LogID != "L" {
			t.Errorf("recorded %+v", *calls)
		}
	}
}

func TestUserInfoOfNobody(t *testing.T) {
	for _, data := range []string{`{}`, `{"user":{}}`, `{"user":null}`, `{"user":[]}`, `null`} {
		ctx, c, _ := serve(t, answer(200, `{"data":`+data+`,"error":{"code":"ok"}}`))
		_, err := c.UserInfo(ctx, testToken)
		wantError(t, err, platform.Transient, platform.CodePublishFailed)
	}
}

// TestUserInfoRefused checks that a missing scope, reported in two ways, is not a dead
// token.
func TestUserInfoRefused(t *testing.T) {
	for code, status := range map[string]int{"scope_not_authorized": 401, "scope_permission_missed": 400} {
		ctx, c, _ := serve(t, answer(status, `{"data":{},"error":{"code":"`+code+`"}}`))
		_, err := c.UserInfo(ctx, testToken)
		wantError(t, err, platform.Rejected, platform.CodeTokenInvalid)
	}
}
