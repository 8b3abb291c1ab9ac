package instagram

import (
	"net/http"
	"reflect"
	"testing"
	"time"

	"socialqueue/platform"
)

const sampleTokenInfo = `{"data":{"app_id":"111","type":"PAGE","application":"Our app","is_valid":true,"issued_at":1788000000,"expires_at":0,
 "data_access_expires_at":1795776000,"scopes":["pages_show_list","instagram_basic"],
 "granular_scopes":[{"scope":"instagram_basic","target_ids":["17841400000000001"]}],"user_id":"9001","profile_id":"1029384756"}}`

func TestInspectToken(t *testing.T) {
	for name, tt := range map[string]struct {
		body string
		want TokenInfo
	}{
		"page token": {sampleTokenInfo, TokenInfo{
			Valid: true, AppID: "111", UserID: "9001", ProfileID: "1029384756", Type: "PAGE",
			DataAccessExpiresAt: time.Unix(1795776000, 0).UTC(), Scopes: []string{"pages_show_list", "instagram_basic"},
		}},
		"user token": {`{"data":{"app_id":111,"type":"USER","is_valid":"true","expires_at":"1793183944","user_id":9001}}`, TokenInfo{
			Valid: true, AppID: "111", UserID: "9001", Type: "USER", ExpiresAt: time.Unix(1793183944, 0).UTC(),
		}},
		"dead": {`{"data":{"error":{"code":190,"message":"Session has expired","subcode":463},"is_valid":false,"scopes":[]}}`, TokenInfo{
			Scopes: []string{}, ErrorCode: 190, ErrorSubcode: 463,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, c, calls := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodGet || r.URL.Path != "/v27.0/debug_token" || r.URL.Query().Get("input_token") != testToken.Reveal() {
					t.Errorf("got %s %s", r.Method, r.URL)
				}
				answer(200, tt.body)(w, r)
			})
			got, err := c.InspectToken(ctx, testToken)
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %+v %v, want %+v", got, err, tt.want)
			}
			if len(*calls) != 1 || (*calls)[0].Err != nil {
				t.Errorf("recorded %+v", *calls)
			}
		})
	}
}

// TestInspectTokenNeverBlamesTheUser checks that a refusal concerns the app's token, and
// that an answer without is_valid is no verdict.
func TestInspectTokenNeverBlamesTheUser(t *testing.T) {
	for name, tt := range map[string]struct {
		status int
		body   string
		kind   platform.Kind
	}{
		"dead app token":    {400, errorBody(190, 0), platform.Rejected},
		"expired app token": {400, errorBody(190, 463), platform.Rejected},
		"no session":        {400, errorBody(102, 0), platform.Rejected},
		"unauthorized":      {401, errorBody(424242, 0), platform.Rejected},
		"another app's":     {400, errorBody(100, 0), platform.Rejected},
		"instagram login's": {500, errorBody(2, 0), platform.Transient},
		"throttled":         {400, errorBody(4, 0), platform.RateLimited},
		"no data":           {200, `{}`, platform.Transient},
		"no verdict":        {200, `{"data":{"app_id":"111"}}`, platform.Transient},
		"list":              {200, `{"data":[]}`, platform.Transient},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, c, _ := serve(t, answer(tt.status, tt.body))
			if _, err := c.InspectToken(ctx, testToken); platform.KindOf(err) != tt.kind {
				t.Errorf("got %v, want %s", err, tt.kind)
			}
		})
	}
}
