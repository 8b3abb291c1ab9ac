package sandboxtest

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/url"
	"time"
)

// Upload sends bytes to the upload host.
func (e *Env) Upload(uri string, data []byte, header ...string) Answer {
	req, err := http.NewRequest("POST", uri, bytes.NewReader(data))
	if err != nil {
		e.T.Fatal(err)
	}
	req.Header.Set("Authorization", "OAuth "+e.Instagram.PageToken)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return e.Do(req)
}

// FinishedContainer makes a container that can be published.
func (e *Env) FinishedContainer(u string) string {
	e.T.Helper()
	id := e.Container("image_url", u)
	e.Advance(time.Minute)
	e.WantContainer(id, "FINISHED")
	return id
}

// Publish publishes a finished container and returns the id of the media.
func (e *Env) Publish(container string) string {
	e.T.Helper()
	return e.WantGraph(200, 0, 0, "POST", e.Instagram.IGID+"/media_publish", "creation_id", container).ID
}

// Comment writes a comment of the account and returns its id.
func (e *Env) Comment(media, message string) string {
	e.T.Helper()
	return e.WantGraph(200, 0, 0, "POST", media+"/comments", "message", message).ID
}

// GraphAnswer is what Graph calls answer.
type GraphAnswer struct {
	ID          string `json:"id"`
	URI         string `json:"uri"`
	StatusCode  string `json:"status_code"`
	Status      string `json:"status"`
	Permalink   string `json:"permalink"`
	Timestamp   string `json:"timestamp"`
	MediaType   string `json:"media_type"`
	Product     string `json:"media_product_type"`
	Comments    int    `json:"comments_count"`
	VideoStatus struct {
		Uploading struct {
			Status string `json:"status"`
			Bytes  int64  `json:"bytes_transferred"`
		} `json:"uploading_phase"`
	} `json:"video_status"`
	Data []struct {
		ID        string `json:"id"`
		Text      string `json:"text"`
		Username  string `json:"username"`
		Timestamp string `json:"timestamp"`
		From      struct {
			ID       string `json:"id"`
			Username string `json:"username"`
		} `json:"from"`
		QuotaUsage int `json:"quota_usage"`
		Config     struct {
			Total    int `json:"quota_total"`
			Duration int `json:"quota_duration"`
		} `json:"config"`
	} `json:"data"`
	Paging struct {
		Next string `json:"next"`
	} `json:"paging"`
	Error struct {
		Message   string `json:"message"`
		Type      string `json:"type"`
		Code      int    `json:"code"`
		Subcode   int    `json:"error_subcode"`
		Transient bool   `json:"is_transient"`
		Trace     string `json:"fbtrace_id"`
	} `json:"error"`
	HTTPStatus int         `json:"-"`
	Header     http.Header `json:"-"`
}

// Proof is the appsecret_proof of a token.
func Proof(token string) string {
	mac := hmac.New(sha256.New, []byte("sim-app-secret"))
	_, _ = io.WriteString(mac, token)
	return hex.EncodeToString(mac.Sum(nil))
}

// GraphRequest is a call with the current Page token; params holds names and values.
func (e *Env) GraphRequest(method, path string, params ...string) *http.Request {
	q := url.Values{"access_token": {e.Instagram.PageToken}, "appsecret_proof": {Proof(e.Instagram.PageToken)}}
	for i := 0; i < len(params); i += 2 {
		q.Set(params[i], params[i+1])
	}
	target := e.GraphURL() + "/v25.0/" + path
	if method == "GET" {
		return e.Request(method, target+"?"+q.Encode(), "")
	}
	return e.Request(method, target, q.Encode(), "Content-Type", "application/x-www-form-urlencoded")
}

// Send sends a Graph request.
func (e *Env) Send(req *http.Request) GraphAnswer {
	e.T.Helper()
	a := e.MustDo(req)
	var out GraphAnswer
	a.JSON(e.T, &out)
	out.HTTPStatus, out.Header = a.HTTPStatus, a.Header
	return out
}

// CallGraph makes a Graph call.
func (e *Env) CallGraph(method, path string, params ...string) GraphAnswer {
	e.T.Helper()
	return e.Send(e.GraphRequest(method, path, params...))
}

// WantGraph makes a Graph call that must answer a status, a code and a subcode.
func (e *Env) WantGraph(status, code, subcode int, method, path string, params ...string) GraphAnswer {
	e.T.Helper()
	a := e.CallGraph(method, path, params...)
	if a.HTTPStatus != status || a.Error.Code != code || a.Error.Subcode != subcode {
		e.T.Fatalf("%s %s %v: got %d %d/%d %s, want %d %d/%d", method, path, params, a.HTTPStatus, a.Error.Code, a.Error.Subcode,
			a.Error.Message, status, code, subcode)
	}
	return a
}

// Container creates a container and returns its id.
func (e *Env) Container(params ...string) string {
	e.T.Helper()
	return e.WantGraph(200, 0, 0, "POST", e.Instagram.IGID+"/media", params...).ID
}

// WantContainer reads a container whose status_code must be so.
func (e *Env) WantContainer(id, code string) GraphAnswer {
	e.T.Helper()
	a := e.WantGraph(200, 0, 0, "GET", id, "fields", "status_code,status,video_status")
	if a.StatusCode != code {
		e.T.Fatalf("container %s (%s), want %s", a.StatusCode, a.Status, code)
	}
	return a
}
