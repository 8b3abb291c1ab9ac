// Package instagram is a client for Meta's Graph API with Facebook Login: containers of
// images and reels, resumable upload, the publish call, quota, reads that settle a lost
// answer, user consent, tokens, and the Pages of a user.
//
// A client holds no user: each call takes the token. It retries nothing, because only the
// caller's ledger knows what may be sent twice. Every error is a *platform.Error whose Kind
// says what may be done next. Errors and recorded calls never contain a secret.
//
// # Sources
//
// Comments name pages below https://developers.facebook.com/ by their title:
//
//   - Content Publishing, 2026-03: documentation/instagram-platform/content-publishing
//   - Resumable Uploads, 2026-03-15: .../content-publishing/resumable-uploads
//   - IG User Media, 2026-03: documentation/instagram-platform/instagram-graph-api/reference/ig-user/media
//   - Media Publish, Content Publishing Limit: .../reference/ig-user/media_publish, .../content_publishing_limit
//   - IG Container: .../reference/ig-container
//   - Error Codes, 2026-06-02: .../reference/error-codes
//   - Handling Errors: docs/graph-api/guides/error-handling
//   - Rate Limits: docs/graph-api/overview/rate-limiting
//   - Versions: docs/graph-api/changelog/versions
//   - Secure Requests: docs/graph-api/guides/secure-requests
//   - Facebook Login, manual flow: docs/facebook-login/guides/advanced/manual-flow
//   - Access Tokens: docs/facebook-login/guides/access-tokens
//   - Page, Subscribed Apps: docs/graph-api/reference/page/subscribed_apps
//   - Instagram Platform, Webhooks: docs/instagram-platform/webhooks
//   - Data Deletion Callback: docs/development/create-an-app/app-dashboard/data-deletion-callback
//
// The date is the page's last change, if known. All pages were read on 2026-11-22. "Seen in
// the field" marks what other users of the API published.
package instagram

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"socialqueue/models"
	"socialqueue/platform/wire"
	"socialqueue/secrets"
)

const (
	// DefaultGraphURL is Meta's API.
	DefaultGraphURL = "https://graph.facebook.com"
	// DefaultUploadURL is the host that takes the bytes of reels.
	DefaultUploadURL = "https://rupload.facebook.com"
	// DefaultDialogURL is the host of Facebook's consent dialog.
	DefaultDialogURL = "https://www.facebook.com"
	// DefaultVersion is the API version that this client was written for, usable
	// until 2028-07-29 (Graph API, Versions).
	DefaultVersion = "v27.0"
)

// Config says where the API is and how to reach it.
type Config struct {
	// GraphURL, UploadURL and DialogURL may carry a path prefix. Empty means
	// Meta's own.
	GraphURL, UploadURL, DialogURL string
	// Version is the first path segment. Empty means DefaultVersion.
	Version string
	// AppID is the app's public id. Only the consent dialog and the calls that issue or
	// inspect a user's token need it.
	AppID string
	// AppSecret signs every graph call (appsecret_proof). It is required.
	AppSecret secrets.Secret
	// HTTP sends the requests. Its Timeout, redirect policy and cookies are not used. Nil
	// means a client with its own time limits.
	HTTP *http.Client
	// Now is the clock of recorded calls. Nil means time.Now.
	Now func() time.Time
}

// Client calls the API. It is safe for concurrent use.
type Client struct {
	graph, upload, dialog string
	version               string
	appID                 string
	appSecret             secrets.Secret
	http                  *http.Client
	now                   func() time.Time

	callTimeout   time.Duration
	uploadTimeout func(bytes int64) time.Duration
}

var versionForm = regexp.MustCompile(`^v[0-9]{1,3}\.[0-9]{1,2}$`)

// New checks the configuration and returns a client.
func New(cfg Config) (*Client, error) {
	version := cmp.Or(cfg.Version, DefaultVersion)
	if !versionForm.MatchString(version) {
		return nil, fmt.Errorf("graph API version %q must have the form v27.0", version)
	}
	if cfg.AppSecret.Empty() {
		return nil, errors.New("the Facebook app secret is missing: every call is signed with it")
	}
	graph, err := parseMeta("Facebook graph URL", cmp.Or(cfg.GraphURL, DefaultGraphURL))
	if err != nil {
		return nil, err
	}
	upload, err := parseMeta("Instagram upload URL", cmp.Or(cfg.UploadURL, DefaultUploadURL))
	if err != nil {
		return nil, err
	}
	dialog, err := parseMeta("Facebook dialog URL", cmp.Or(cfg.DialogURL, DefaultDialogURL))
	if err != nil {
		return nil, err
	}
	c := &Client{
		graph: graph, upload: upload, dialog: dialog,
		version: version, appID: cfg.AppID, appSecret: cfg.AppSecret,
		http: wire.Client(cfg.HTTP), now: cfg.Now,
		callTimeout: wire.CallTimeout, uploadTimeout: wire.UploadTimeout,
	}
	if c.now == nil {
		c.now = time.Now
	}
	return c, nil
}

// parseMeta parses a base URL. Meta's own hosts require https.
func parseMeta(setting, raw string) (string, error) {
	u, err := wire.ParseBase(setting, raw)
	if err != nil {
		return "", err
	}
	host := strings.ToLower(u.Hostname())
	if u.Scheme != "https" && (strings.HasSuffix(host, ".facebook.com") || strings.HasSuffix(host, ".instagram.com")) {
		return "", fmt.Errorf("%s: must use https", setting)
	}
	return strings.TrimRight(u.String(), "/"), nil
}

// proof returns the appsecret_proof of a token: the lower-case hex HMAC-SHA256 of the
// token, keyed with the app secret (Secure Requests).
func (c *Client) proof(token secrets.Secret) string {
	mac := hmac.New(sha256.New, []byte(c.appSecret.Reveal()))
	mac.Write([]byte(token.Reveal()))
	return hex.EncodeToString(mac.Sum(nil))
}

// exchange is one call in progress; its methods read Meta's answers.
type exchange struct{ wire.Exchange }

func (c *Client) begin(op string, class wire.Class, token secrets.Secret) *exchange {
	x := &exchange{wire.Begin(models.Instagram, op, class, c.now)}
	x.Hide.Secret(token.Reveal())
	x.Hide.Secret(c.appSecret.Reveal())
	x.Hide.Secret(c.proof(token))
	return x
}

// add appends a fact to the call's detail.
func (x *exchange) add(fact string) {
	if x.Detail != "" {
		x.Detail += "; "
	}
	x.Detail += fact
}

// get makes a GET call; path holds the segments of the path.
func (c *Client) get(ctx context.Context, op string, token secrets.Secret, path []string, query url.Values, read func(body []byte) error) error {
	x := c.begin(op, wire.Reading, token)
	return x.Finish(ctx, c.exchange(ctx, x, token, http.MethodGet, path, query, read))
}

// exchange makes one graph call, signed with the proof of its token.
func (c *Client) exchange(ctx context.Context, x *exchange, token secrets.Secret, method string, path []string, params url.Values, read func(body []byte) error) error {
	if err := x.Ready(ctx, token); err != nil {
		return err
	}
	params.Set("appsecret_proof", c.proof(token))
	return c.call(ctx, x, token, method, path, params, read)
}

// call makes one graph call; an empty token is omitted. read decodes a successful answer;
// its error means that the answer was not understood.
func (c *Client) call(ctx context.Context, x *exchange, token secrets.Secret, method string, path []string, params url.Values, read func(body []byte) error) error {
	ctx, cancel := context.WithTimeout(ctx, c.callTimeout)
	defer cancel()
	req, err := c.newRequest(ctx, token, method, path, params)
	if err != nil {
		return x.Fail(refused, "", x.Hide.Err(err))
	}
	resp, err := c.send(x, req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return x.decode(resp, read)
}

// newRequest builds a graph request. The token is in a header, never in the URL. Parameters
// of a POST are in a form body, which also keeps the "#" in captions.
func (c *Client) newRequest(ctx context.Context, token secrets.Secret, method string, path []string, params url.Values) (*http.Request, error) {
	target, err := join(c.graph, append([]string{c.version}, path...))
	if err != nil {
		return nil, err
	}
	var req *http.Request
	if method == http.MethodPost {
		req, err = http.NewRequestWithContext(ctx, method, target, strings.NewReader(params.Encode()))
	} else {
		req, err = http.NewRequestWithContext(ctx, method, target+"?"+params.Encode(), nil)
	}
	if err != nil {
		return nil, err
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if !token.Empty() {
		req.Header.Set("Authorization", "Bearer "+token.Reveal())
	}
	req.Header.Set("Accept", "application/json")
	return req, nil
}

// join appends segments to a base. It refuses an id that could change the path.
func join(base string, segments []string) (string, error) {
	var b strings.Builder
	b.WriteString(base)
	for _, s := range segments {
		if s == "" || s == "." || s == ".." {
			return "", fmt.Errorf("the id %q cannot be part of a path", s)
		}
		b.WriteByte('/')
		b.WriteString(url.PathEscape(s))
	}
	return b.String(), nil
}

// send sends a request and stores what the answer's headers say.
func (c *Client) send(x *exchange, req *http.Request) (*http.Response, error) {
	resp, err := x.Send(c.http, req)
	if err != nil {
		return nil, err
	}
	x.LogID = x.Hide.Text(resp.Header.Get("x-fb-trace-id"))
	// Calls to a retired version are silently served by another one (Versions).
	if served := resp.Header.Get("facebook-api-version"); served != "" && served != c.version {
		x.add("asked for " + c.version + ", served by " + x.Hide.Text(served))
	}
	if p := usageOf(resp.Header).percent; p >= 75 {
		x.add(fmt.Sprintf("%d %% of the call limit used", p))
	}
	return resp, nil
}
