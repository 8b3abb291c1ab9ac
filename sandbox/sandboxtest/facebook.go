package sandboxtest

import (
	"net/http"
	"net/url"
	"strings"

	"socialqueue/sandbox"
)

// What a request of the login dialog holds by default.
const (
	FacebookRedirect = "http://localhost:8080/api/auth/instagram/callback"
	FacebookScopes   = "pages_show_list,pages_read_engagement,business_management,instagram_basic,instagram_content_publish"
)

// DialogURL is Facebook's login dialog; kv changes its parameters.
func (e *Env) DialogURL(kv ...string) string {
	return e.FacebookDialogURL() + "/v25.0/dialog/oauth?" + SetPairs(url.Values{
		"client_id": {"100000000000001"}, "response_type": {"code"}, "scope": {FacebookScopes}, "redirect_uri": {FacebookRedirect},
		"state": {"st&1"}, "auth_type": {"rerequest"},
	}, kv).Encode()
}

// AddAnn holds a bakery with an Instagram account and a workshop without.
func (e *Env) AddAnn() sandbox.FacebookUser {
	return e.AddFacebookUser(sandbox.FacebookUser{Name: "Ann", Pages: []sandbox.FacebookPage{
		{ID: "1001", Name: "Bakery", InstagramID: e.Instagram.IGID}, {ID: "1002", Name: "Workshop", Tasks: []string{"ANALYZE"}},
	}})
}

// Login consents, by default to everything, and keeps the short user token for the calls that follow.
func (e *Env) Login(form url.Values, kv ...string) TokenAnswer {
	e.T.Helper()
	form.Set("decision", "allow")
	a := e.ExchangeFacebook("code", e.WantConsent(e.DialogURL(kv...), form).Get("code"))
	e.WantOK(a.GraphAnswer)
	e.Instagram.PageToken = a.AccessToken
	return a
}

// Permissions are those of the user, each with its status.
func (e *Env) Permissions() string {
	e.T.Helper()
	var list []string
	for _, p := range e.Pages("me/permissions").Data {
		list = append(list, p.Permission+"="+p.Status)
	}
	return strings.Join(list, " ")
}

// PageList is a list of Pages or permissions.
type PageList struct {
	Data []struct {
		ID          string   `json:"id"`
		Name        string   `json:"name"`
		AccessToken string   `json:"access_token"`
		Tasks       []string `json:"tasks"`
		Permission  string   `json:"permission"`
		Status      string   `json:"status"`
		Instagram   *struct {
			ID        string `json:"id"`
			Username  string `json:"username"`
			Name      string `json:"name"`
			Picture   string `json:"profile_picture_url"`
			Followers int    `json:"followers_count"`
			Media     *int   `json:"media_count"`
		} `json:"instagram_business_account"`
	} `json:"data"`
	Paging struct {
		Next    string `json:"next"`
		Cursors struct {
			Before string `json:"before"`
			After  string `json:"after"`
		} `json:"cursors"`
	} `json:"paging"`
}

// IDs are those of the list, with spaces between.
func (l PageList) IDs() string {
	var ids []string
	for _, p := range l.Data {
		ids = append(ids, p.ID)
	}
	return strings.Join(ids, " ")
}

// Pages reads a list with the current token.
func (e *Env) Pages(path string, params ...string) PageList {
	e.T.Helper()
	a := e.MustDo(e.GraphRequest("GET", path, params...))
	if a.HTTPStatus != 200 {
		e.T.Fatalf("%s: %d %s", path, a.HTTPStatus, a.Body)
	}
	var out PageList
	a.JSON(e.T, &out)
	return out
}

// PageToken reads one Page's token, as a client's last resort does.
func (e *Env) PageToken(id string) string {
	e.T.Helper()
	var out struct {
		AccessToken string `json:"access_token"`
	}
	e.MustDo(e.GraphRequest("GET", id, "fields", "access_token")).JSON(e.T, &out)
	return out.AccessToken
}

// TokenAnswer is what Facebook's token endpoint answers.
type TokenAnswer struct {
	GraphAnswer
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int64  `json:"expires_in"`
}

// WantOK checks that a Graph call succeeded.
func (e *Env) WantOK(a GraphAnswer) {
	e.T.Helper()
	if a.HTTPStatus != 200 || a.Error.Code != 0 {
		e.T.Fatalf("got %d %d/%d %s", a.HTTPStatus, a.Error.Code, a.Error.Subcode, a.Error.Message)
	}
}

// WantGraphError checks a refusal with 400.
func (e *Env) WantGraphError(a GraphAnswer, code, subcode int) {
	e.T.Helper()
	if a.HTTPStatus != 400 || a.Error.Code != code || a.Error.Subcode != subcode || a.Error.Transient {
		e.T.Errorf("got %d %d/%d %s, want %d/%d", a.HTTPStatus, a.Error.Code, a.Error.Subcode, a.Error.Message, code, subcode)
	}
}

// TokenRequest is a call with the app's credentials; kv changes its parameters.
func (e *Env) TokenRequest(method, path string, kv ...string) *http.Request {
	q := SetPairs(url.Values{"client_id": {"100000000000001"}, "client_secret": {"sim-app-secret"}, "redirect_uri": {FacebookRedirect}}, kv)
	if method == "GET" {
		return e.Request("GET", e.GraphURL()+path+"?"+q.Encode(), "")
	}
	return e.Request(method, e.GraphURL()+path, q.Encode(), "Content-Type", "application/x-www-form-urlencoded")
}

// SendToken sends a token request.
func (e *Env) SendToken(req *http.Request) TokenAnswer {
	e.T.Helper()
	a := e.MustDo(req)
	var out TokenAnswer
	a.JSON(e.T, &out)
	out.HTTPStatus, out.Header = a.HTTPStatus, a.Header
	return out
}

// ExchangeFacebook asks for a token with the given parameters.
func (e *Env) ExchangeFacebook(kv ...string) TokenAnswer {
	e.T.Helper()
	return e.SendToken(e.TokenRequest("POST", "/v25.0/oauth/access_token", kv...))
}

// LongToken exchanges a short user token for a long one and keeps it for the calls that follow.
func (e *Env) LongToken(token string) TokenAnswer {
	e.T.Helper()
	a := e.ExchangeFacebook("grant_type", "fb_exchange_token", "fb_exchange_token", token)
	e.WantOK(a.GraphAnswer)
	e.Instagram.PageToken = a.AccessToken
	return a
}

// FacebookCode consents to everything and returns the code.
func (e *Env) FacebookCode() string {
	e.T.Helper()
	return e.WantConsent(e.DialogURL(), Allow).Get("code")
}

// DebugData is what debug_token says.
type DebugData struct {
	AppID        string   `json:"app_id"`
	Type         string   `json:"type"`
	Application  string   `json:"application"`
	IsValid      bool     `json:"is_valid"`
	IssuedAt     int64    `json:"issued_at"`
	ExpiresAt    *int64   `json:"expires_at"`
	DataExpires  int64    `json:"data_access_expires_at"`
	Scopes       []string `json:"scopes"`
	UserID       string   `json:"user_id"`
	ProfileID    string   `json:"profile_id"`
	GranularList []struct {
		Scope   string   `json:"scope"`
		Targets []string `json:"target_ids"`
	} `json:"granular_scopes"`
	Error struct {
		Code, Subcode int
		Message       string
	} `json:"error"`
}

// Debug asks debug_token.
func (e *Env) Debug(token string) DebugData {
	e.T.Helper()
	q := url.Values{"input_token": {token}, "access_token": {"100000000000001|sim-app-secret"}}
	a := e.MustDo(e.Request("GET", e.GraphURL()+"/v25.0/debug_token?"+q.Encode(), ""))
	var out struct{ Data DebugData }
	a.JSON(e.T, &out)
	if a.HTTPStatus != 200 {
		e.T.Fatalf("debug_token: %d %s", a.HTTPStatus, a.Body)
	}
	return out.Data
}
