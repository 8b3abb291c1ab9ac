package sandboxtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// TikTokAnswer is what the calls of the Content Posting API answer.
type TikTokAnswer struct {
	Data struct {
		PublishID  string          `json:"publish_id"`
		UploadURL  string          `json:"upload_url"`
		Status     string          `json:"status"`
		FailReason string          `json:"fail_reason"`
		PostIDs    json.RawMessage `json:"publicaly_available_post_id"`
		Uploaded   int64           `json:"uploaded_bytes"`
		Downloaded int64           `json:"downloaded_bytes"`
		Privacy    []string        `json:"privacy_level_options"`
		Duet       bool            `json:"duet_disabled"`
	} `json:"data"`
	Error struct {
		Code    string `json:"code"`
		Message string `json:"message"`
		LogID   string `json:"log_id"`
	} `json:"error"`
	HTTPStatus int `json:"-"`
}

// The paths of the Content Posting API.
const (
	PathInfo   = "/v2/post/publish/creator_info/query/"
	PathInit   = "/v2/post/publish/video/init/"
	PathInbox  = "/v2/post/publish/inbox/video/init/"
	PathPhoto  = "/v2/post/publish/content/init/"
	PathStatus = "/v2/post/publish/status/fetch/"
	PathCancel = "/v2/post/publish/cancel/"
)

// TikTokRequest is a call with the current TikTok token.
func (e *Env) TikTokRequest(path, body string) *http.Request {
	return e.Request("POST", e.TikTokURL()+path, body, "Authorization", "Bearer "+e.TikTok.AccessToken,
		"Content-Type", "application/json; charset=UTF-8")
}

// CallTikTok makes a call and checks its log id.
func (e *Env) CallTikTok(path, body string) TikTokAnswer {
	e.T.Helper()
	a := e.MustDo(e.TikTokRequest(path, body))
	var out TikTokAnswer
	a.JSON(e.T, &out)
	out.HTTPStatus = a.HTTPStatus
	if out.Error.LogID == "" || a.Header.Get("X-Tt-Logid") != out.Error.LogID {
		e.T.Errorf("log id: header %q, body %q", a.Header.Get("X-Tt-Logid"), out.Error.LogID)
	}
	return out
}

// WantTikTok makes a call that must answer a status and an error code.
func (e *Env) WantTikTok(path, body string, status int, code string) TikTokAnswer {
	e.T.Helper()
	a := e.CallTikTok(path, body)
	if a.HTTPStatus != status || a.Error.Code != code {
		e.T.Fatalf("%s %s: got %d %s (%s), want %d %s", path, body, a.HTTPStatus, a.Error.Code, a.Error.Message, status, code)
	}
	return a
}

// InitBody is the body of a direct post by upload.
func InitBody(info string, size, chunk, count int64) string {
	return fmt.Sprintf(`{"post_info":%s,"source_info":{"source":"FILE_UPLOAD","video_size":%d,"chunk_size":%d,"total_chunk_count":%d}}`, info, size, chunk, count)
}

// PublicPost is a post_info that everybody can see.
const PublicPost = `{"title":"New roast #coffee","privacy_level":"PUBLIC_TO_EVERYONE"}`

// Init opens a direct post of one chunk.
func (e *Env) Init(info string, size int64) TikTokAnswer {
	e.T.Helper()
	return e.WantTikTok(PathInit, InitBody(info, size, size, 1), 200, "ok")
}

// PutChunk sends one chunk.
func (e *Env) PutChunk(uploadURL string, data []byte, first, last, total int64) Answer {
	return e.Do(e.ChunkRequest(uploadURL, data, first, last, total))
}

// ChunkRequest is the request that sends one chunk.
func (e *Env) ChunkRequest(uploadURL string, data []byte, first, last, total int64) *http.Request {
	req, err := http.NewRequest("PUT", uploadURL, bytes.NewReader(data))
	if err != nil {
		e.T.Fatal(err)
	}
	req.Header.Set("Content-Type", "video/mp4")
	req.Header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, last, total))
	return req
}

// PutFile sends a whole file as one chunk.
func (e *Env) PutFile(uploadURL string, data []byte) {
	e.T.Helper()
	n := int64(len(data))
	if a := e.PutChunk(uploadURL, data, 0, n-1, n); a.Err != nil || a.HTTPStatus != 201 {
		e.T.Fatalf("PUT: %d %s %v", a.HTTPStatus, a.Body, a.Err)
	}
}

// Status reads the status of a publish.
func (e *Env) Status(publishID string) TikTokAnswer {
	e.T.Helper()
	return e.WantTikTok(PathStatus, `{"publish_id":"`+publishID+`"}`, 200, "ok")
}

// WantStatus reads a status that must be so.
func (e *Env) WantStatus(publishID, status, reason string) TikTokAnswer {
	e.T.Helper()
	a := e.Status(publishID)
	if a.Data.Status != status || a.Data.FailReason != reason {
		e.T.Fatalf("status %s %s, want %s %s", a.Data.Status, a.Data.FailReason, status, reason)
	}
	return a
}

// What an authorize request holds by default; Challenge is the SHA-256 of Verifier, in hex.
const (
	TikTokRedirect = "http://127.0.0.1:8080/api/auth/tiktok/callback"
	TikTokScopes   = "user.info.basic,video.publish,video.upload"
	Verifier       = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"
	Challenge      = "834b6e67aab8d76ccef4846478052cf0737a3107973ec19c7b7ec9dd1b1cf304"
)

// AuthorizeURL is TikTok's consent page; kv changes its parameters.
func (e *Env) AuthorizeURL(kv ...string) string {
	return e.TikTokAuthURL() + "/v2/auth/authorize/?" + SetPairs(url.Values{
		"client_key": {"sim-client-key"}, "response_type": {"code"}, "scope": {TikTokScopes}, "redirect_uri": {TikTokRedirect},
		"state": {"st&1"}, "code_challenge": {Challenge}, "code_challenge_method": {"S256"},
	}, kv).Encode()
}

// The paths of the token endpoint.
const (
	PathToken  = "/v2/oauth/token/"
	PathRevoke = "/v2/oauth/revoke/"
)

// InvalidToken is the error code of a token that does not work.
const InvalidToken = "access_token_invalid"

// OAuthAnswer is what TikTok's token endpoint answers.
type OAuthAnswer struct {
	AccessToken      string `json:"access_token"`
	ExpiresIn        int64  `json:"expires_in"`
	OpenID           string `json:"open_id"`
	RefreshExpiresIn int64  `json:"refresh_expires_in"`
	RefreshToken     string `json:"refresh_token"`
	Scope            string `json:"scope"`
	TokenType        string `json:"token_type"`
	Error            string `json:"error"`
	Description      string `json:"error_description"`
	LogID            string `json:"log_id"`
	HTTPStatus       int    `json:"-"`
}

// TikTokCode consents to all scopes and returns the code.
func (e *Env) TikTokCode(form url.Values, kv ...string) string {
	e.T.Helper()
	form.Set("decision", "allow")
	return e.WantConsent(e.AuthorizeURL(kv...), form).Get("code")
}

// OAuth posts a form with the app's credentials.
func (e *Env) OAuth(path string, kv ...string) OAuthAnswer {
	e.T.Helper()
	form := SetPairs(url.Values{"client_key": {"sim-client-key"}, "client_secret": {"sim-client-secret"}}, kv)
	a := e.MustDo(e.Request("POST", e.TikTokURL()+path, form.Encode(), "Content-Type", "application/x-www-form-urlencoded"))
	var out OAuthAnswer
	a.JSON(e.T, &out)
	out.HTTPStatus = a.HTTPStatus
	if id := a.Header.Get("X-Tt-Logid"); id == "" || out.Error != "" && id != out.LogID {
		e.T.Errorf("log id: header %q, body %q", id, out.LogID)
	}
	if strings.Contains(string(a.Body), `"data"`) {
		e.T.Errorf("the answer has an envelope: %s", a.Body)
	}
	return out
}

// TryExchangeTikTok exchanges a code, whatever comes of it.
func (e *Env) TryExchangeTikTok(code string, kv ...string) OAuthAnswer {
	e.T.Helper()
	return e.OAuth(PathToken, append([]string{"grant_type", "authorization_code", "code", code,
		"redirect_uri", TikTokRedirect, "code_verifier", Verifier}, kv...)...)
}

// ExchangeTikTok keeps the account of a code for the calls that follow.
func (e *Env) ExchangeTikTok(code string) OAuthAnswer {
	e.T.Helper()
	a := e.TryExchangeTikTok(code)
	if a.HTTPStatus != 200 || a.AccessToken == "" || a.Error != "" || a.TokenType != "Bearer" {
		e.T.Fatalf("exchange: %+v", a)
	}
	e.TikTok.OpenID, e.TikTok.AccessToken = a.OpenID, a.AccessToken
	return a
}

// TryRefreshTikTok uses a refresh token, whatever comes of it.
func (e *Env) TryRefreshTikTok(token string) OAuthAnswer {
	e.T.Helper()
	return e.OAuth(PathToken, "grant_type", "refresh_token", "refresh_token", token)
}

// RefreshTikTok uses a refresh token that must work.
func (e *Env) RefreshTikTok(token string) OAuthAnswer {
	e.T.Helper()
	a := e.TryRefreshTikTok(token)
	if a.HTTPStatus != 200 || a.AccessToken == "" || a.Error != "" {
		e.T.Fatalf("refresh: %+v", a)
	}
	return a
}

// WantOAuthError checks a refusal.
func (e *Env) WantOAuthError(a OAuthAnswer, code, description string) {
	e.T.Helper()
	if a.HTTPStatus != 200 || a.Error != code || !strings.Contains(a.Description, description) || a.AccessToken != "" {
		e.T.Errorf("got %+v, want %s (%s)", a, code, description)
	}
}

// WantAccess tells whether an access token works.
func (e *Env) WantAccess(token string, works bool) {
	e.T.Helper()
	e.TikTok.AccessToken = token
	if works {
		e.WantTikTok(PathInfo, "", 200, "ok")
	} else {
		e.WantTikTok(PathInfo, "", 401, InvalidToken)
	}
}

// PullBody is the body of a direct post by URL.
func PullBody(u string) string {
	return fmt.Sprintf(`{"post_info":%s,"source_info":{"source":"PULL_FROM_URL","video_url":%q}}`, PublicPost, u)
}

// PublicPhoto is a post_info of photos that everybody can see.
const PublicPhoto = `{"title":"Opening day","description":"Come by #coffee","privacy_level":"PUBLIC_TO_EVERYONE"}`

// PhotoBody is the body of a photo post whose cover is the first photo; mode is DIRECT_POST or MEDIA_UPLOAD.
func PhotoBody(mode, info string, urls ...string) string {
	return fmt.Sprintf(`{"media_type":"PHOTO","post_mode":%q,"post_info":%s,"source_info":{"source":"PULL_FROM_URL","photo_cover_index":0,"photo_images":["%s"]}}`,
		mode, info, strings.Join(urls, `","`))
}

// Photos opens a direct post of photos.
func (e *Env) Photos(urls ...string) TikTokAnswer {
	e.T.Helper()
	return e.WantTikTok(PathPhoto, PhotoBody("DIRECT_POST", PublicPhoto, urls...), 200, "ok")
}

// WantEnd moves the clock until a publish is in a final state, which must be so. Downloads take real time.
func (e *Env) WantEnd(publishID, status, reason string) TikTokAnswer {
	e.T.Helper()
	Eventually(e.T, publishID+" ends", func() bool {
		e.Advance(10 * time.Second)
		return !strings.HasPrefix(e.Status(publishID).Data.Status, "PROCESSING_")
	})
	return e.WantStatus(publishID, status, reason)
}

// UserAnswer is what user/info answers.
type UserAnswer struct {
	Data struct {
		User map[string]any `json:"user"`
	} `json:"data"`
	Error struct {
		Code  string `json:"code"`
		LogID string `json:"log_id"`
	} `json:"error"`
}

// WantUser reads user/info with the current token and returns the user.
func (e *Env) WantUser(query string, status int, code string) map[string]any {
	e.T.Helper()
	a := e.MustDo(e.Request("GET", e.TikTokURL()+"/v2/user/info/"+query, "", "Authorization", "Bearer "+e.TikTok.AccessToken))
	var out UserAnswer
	a.JSON(e.T, &out)
	if a.HTTPStatus != status || out.Error.Code != code || out.Error.LogID != a.Header.Get("X-Tt-Logid") {
		e.T.Errorf("%s: got %d %s, want %d %s", query, a.HTTPStatus, a.Body, status, code)
	}
	return out.Data.User
}
