package testkit

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"socialqueue/models"
	"socialqueue/secrets"
)

// Client calls the API as an app does: the one at URL, or Handler if it is set.
type Client struct {
	T       testing.TB
	URL     string
	HTTP    *http.Client
	Handler http.Handler
	Key     secrets.Secret
}

// NewHTTP returns an HTTP client that closes its connections at the end of the test.
func NewHTTP(t testing.TB) *http.Client {
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// NewBrowser returns a client as NewHTTP does that follows no redirect.
func NewBrowser(t testing.TB) *http.Client {
	client := NewHTTP(t)
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return client
}

// Call is one request. Its zero value is a GET with the client's key.
type Call struct {
	Method, Path string
	JSON         any // a string is sent as it is
	Body         io.Reader
	Length       int64 // of Body, where net/http cannot know it
	ContentType  string
	Headers      map[string]string
	Key          secrets.Secret // instead of the client's
	NoKey        bool
	From         string // address of the caller, for a Handler
}

// Request builds the request of a call.
func (c *Client) Request(call Call) (*http.Request, error) {
	if call.JSON != nil {
		text, ok := call.JSON.(string)
		if !ok {
			encoded, err := json.Marshal(call.JSON)
			if err != nil {
				return nil, err
			}
			text = string(encoded)
		}
		call.Body = strings.NewReader(text)
		if call.ContentType == "" {
			call.ContentType = "application/json"
		}
	}
	r, err := c.newRequest(call)
	if err != nil {
		return nil, err
	}
	if call.Length > 0 {
		r.ContentLength = call.Length
	}
	if call.ContentType != "" {
		r.Header.Set("Content-Type", call.ContentType)
	}
	if call.Key == "" {
		call.Key = c.Key
	}
	if !call.NoKey {
		r.Header.Set("Authorization", "Bearer "+call.Key.Reveal())
	}
	for name, value := range call.Headers {
		r.Header.Set(name, value)
	}
	return r, nil
}

func (c *Client) newRequest(call Call) (*http.Request, error) {
	if c.Handler == nil {
		return http.NewRequestWithContext(c.T.Context(), call.Method, c.URL+call.Path, call.Body)
	}
	r := httptest.NewRequestWithContext(c.T.Context(), call.Method, call.Path, call.Body)
	if call.From != "" {
		r.RemoteAddr = call.From
	}
	return r, nil
}

// Do makes a call that has to be answered.
func (c *Client) Do(call Call) *Reply {
	c.T.Helper()
	reply, err := c.Try(call)
	Must(c.T, err)
	return reply
}

// Try makes a call. It may be used on any goroutine.
func (c *Client) Try(call Call) (*Reply, error) {
	r, err := c.Request(call)
	if err != nil {
		return nil, err
	}
	return c.Send(r)
}

// Send sends a request and reads the answer.
func (c *Client) Send(r *http.Request) (*Reply, error) {
	if c.Handler != nil {
		rec := httptest.NewRecorder()
		c.Handler.ServeHTTP(rec, r)
		return &Reply{T: c.T, Status: rec.Code, Header: rec.Header(), Body: rec.Body.Bytes()}, nil
	}
	resp, err := c.HTTP.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return &Reply{T: c.T, Status: resp.StatusCode, Header: resp.Header, Body: body}, err
}

// Upload stores a file and returns its media id.
func (c *Client) Upload(contentType string, file []byte) string {
	c.T.Helper()
	return c.Do(Call{Method: "POST", Path: "/api/media", Body: bytes.NewReader(file), ContentType: contentType}).Want(http.StatusCreated).Text("id")
}

// Reply is an answer that was read to its end.
type Reply struct {
	T      testing.TB
	Status int
	Header http.Header
	Body   []byte
}

// Want ends the test unless the answer has this status.
func (r *Reply) Want(status int) *Reply {
	r.T.Helper()
	if r.Status != status {
		r.T.Fatalf("status = %d, want %d: %s", r.Status, status, r.Body)
	}
	return r
}

// WantOK ends the test unless the status is one of success.
func (r *Reply) WantOK() *Reply {
	r.T.Helper()
	if r.Status/100 != 2 {
		r.T.Fatalf("status = %d: %s", r.Status, r.Body)
	}
	return r
}

// Into decodes the answer.
func (r *Reply) Into(v any) {
	r.T.Helper()
	if err := json.Unmarshal(r.Body, v); err != nil {
		r.T.Fatalf("%v in %q", err, r.Body)
	}
}

// Object returns the answer as a JSON object.
func (r *Reply) Object() map[string]any {
	r.T.Helper()
	var v map[string]any
	r.Into(&v)
	return v
}

// Array returns the answer as a list of JSON objects.
func (r *Reply) Array() []map[string]any {
	r.T.Helper()
	var v []map[string]any
	if r.Into(&v); v == nil {
		r.T.Fatalf("no list: %s", r.Body)
	}
	return v
}

// Text returns a field that has to be a string.
func (r *Reply) Text(name string) string {
	r.T.Helper()
	s, ok := r.Object()[name].(string)
	if !ok {
		r.T.Fatalf("no text %q in %s", name, r.Body)
	}
	return s
}

// Number returns a field that has to be a number.
func (r *Reply) Number(name string) int64 {
	r.T.Helper()
	n, ok := r.Object()[name].(float64)
	if !ok {
		r.T.Fatalf("no number %q in %s", name, r.Body)
	}
	return int64(n)
}

// WantProblem checks the status and code of a problem document, that it names the field if one is given, and that it
// has the form that all errors have.
func (r *Reply) WantProblem(status int, code, field string) {
	r.T.Helper()
	r.Want(status)
	if got := r.Header.Get("Content-Type"); got != "application/problem+json" {
		r.T.Errorf("Content-Type = %q", got)
	}
	var p struct {
		Type, Title, Code, Detail string
		Status                    int
		Errors                    []models.FieldError
		CorrelationID             string `json:"correlation_id"`
	}
	if !bytes.HasSuffix(r.Body, []byte("}\n")) {
		r.T.Errorf("the answer does not end with a newline: %q", r.Body)
	}
	r.Into(&p)
	if p.Code != code || p.Status != status || p.Type == "" || p.Title == "" || p.Detail == "" || p.Errors == nil ||
		p.CorrelationID == "" || p.CorrelationID != r.Header.Get("X-Request-ID") {
		r.T.Errorf("want code %s in a full problem, got %s", code, r.Body)
	}
	if field != "" && !slices.ContainsFunc(p.Errors, func(e models.FieldError) bool { return e.Field == field && e.Message != "" }) {
		r.T.Errorf("want field %q named, got %s", field, r.Body)
	}
}
