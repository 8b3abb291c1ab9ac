// Package tiktok is a client of TikTok's Content Posting API v2 and of Login Kit:
// the creator's current options, the start of a direct video post, the upload of
// its bytes and its progress; the user's consent, the tokens that come of it, who
// the user is, and the webhooks.
//
// A client holds no user: each call takes the token. It retries nothing, since
// only the caller's ledger knows what may be sent twice; every error is a
// *platform.Error whose Kind says so. No secret is ever in an error or in a
// recorded call.
//
// # Sources
//
// Comments name pages below https://developers.tiktok.com/doc/ by their title:
//
//   - Direct Post reference, 2026-09-11: content-posting-api-reference-direct-post
//   - Upload Video reference: content-posting-api-reference-upload-video
//   - Media Transfer Guide, 2026-09-11: content-posting-api-media-transfer-guide
//   - Query Creator Info: content-posting-api-reference-query-creator-info
//   - Get Post Status: content-posting-api-reference-get-video-status
//   - Content Sharing Guidelines, 2026-09-11: content-sharing-guidelines
//   - Login Kit for Web and for Desktop: login-kit-web, login-kit-desktop
//   - Manage User Access Tokens, 2026-11-02: oauth-user-access-token-management
//   - OAuth Error Handling: oauth-error-handling
//   - Get User Info: tiktok-api-v2-get-user-info
//   - Webhooks, Events and Verification: webhooks-events, webhooks-verification
//
// The date is the day of the page's last change, where it tells one; all were
// read on 2026-11-22. What others met in their own use of the API and published
// is "seen in the field".
package tiktok

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"socialqueue/models"
	"socialqueue/platform/wire"
	"socialqueue/secrets"
)

const (
	// DefaultAPIURL is TikTok's own API.
	DefaultAPIURL = "https://open.tiktokapis.com"
	// DefaultAuthURL is where TikTok asks its users for their consent.
	DefaultAuthURL = "https://www.tiktok.com"
)

// Config says where the API is and how to reach it.
type Config struct {
	// APIURL is the base of the API and may carry a path prefix. Empty means
	// DefaultAPIURL.
	APIURL string
	// AuthURL is the base of the consent page and may carry a path prefix. Empty
	// means DefaultAuthURL.
	AuthURL string
	// ClientKey and ClientSecret are the app's credentials. Only consent and the
	// calls that give or take tokens need them.
	ClientKey    string
	ClientSecret secrets.Secret
	// HTTP sends the requests; its Timeout, redirect policy and cookies are not
	// used. Nil means a client with time-outs of its own.
	HTTP *http.Client
	// Now is the clock of recorded calls. Nil means time.Now.
	Now func() time.Time
	// UploadHosts are further "host:port" that upload URLs may name. They are for
	// a sandbox: next to TikTok's own API they are refused.
	UploadHosts []string
}

// Client calls the API. It is safe for use by several goroutines at once.
type Client struct {
	base, auth   string
	clientKey    string
	clientSecret secrets.Secret
	http         *http.Client
	now          func() time.Time
	uploadHosts  map[string]bool

	callTimeout   time.Duration
	uploadTimeout func(bytes int64) time.Duration
}

// New checks the configuration and makes a client.
func New(cfg Config) (*Client, error) {
	base, err := parseTikTok("TikTok API URL", cmp.Or(cfg.APIURL, DefaultAPIURL))
	if err != nil {
		return nil, err
	}
	auth, err := parseTikTok("TikTok auth URL", cmp.Or(cfg.AuthURL, DefaultAuthURL))
	if err != nil {
		return nil, err
	}
	c := &Client{
		base:          strings.TrimRight(base.String(), "/"),
		auth:          strings.TrimRight(auth.String(), "/"),
		clientKey:     cfg.ClientKey,
		clientSecret:  cfg.ClientSecret,
		http:          wire.Client(cfg.HTTP),
		now:           cfg.Now,
		uploadHosts:   map[string]bool{},
		callTimeout:   wire.CallTimeout,
		uploadTimeout: wire.UploadTimeout,
	}
	if c.now == nil {
		c.now = time.Now
	}
	if isTikTok(base.Hostname()) {
		if len(cfg.UploadHosts) > 0 {
			return nil, errors.New("TikTok upload hosts are for a sandbox, not for TikTok's own API")
		}
		return c, nil
	}
	c.uploadHosts[hostPort(base)] = true
	for _, h := range cfg.UploadHosts {
		if _, _, err := net.SplitHostPort(h); err != nil {
			return nil, fmt.Errorf("TikTok upload host %q needs the form host:port", h)
		}
		c.uploadHosts[strings.ToLower(h)] = true
	}
	return c, nil
}

const (
	tiktokDomain  = "tiktokapis.com"
	consentDomain = "tiktok.com"
)

// parseTikTok reads a base URL; TikTok's own hosts are reached by https only.
func parseTikTok(setting, raw string) (*url.URL, error) {
	u, err := wire.ParseBase(setting, raw)
	if err != nil {
		return nil, err
	}
	if u.Scheme != "https" && (isTikTok(u.Hostname()) || within(u.Hostname(), consentDomain)) {
		return nil, fmt.Errorf("%s: https is needed", setting)
	}
	return u, nil
}

// isTikTok reports whether a host is one of TikTok's API.
func isTikTok(host string) bool { return within(host, tiktokDomain) }

func within(host, domain string) bool {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	return host == domain || strings.HasSuffix(host, "."+domain)
}

// hostPort gives host and port of u, with the port its scheme stands for.
func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = "80"
		if u.Scheme == "https" {
			port = "443"
		}
	}
	return net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

// exchange is one call under way; its methods read TikTok's answers.
type exchange struct{ wire.Exchange }

func (c *Client) begin(op string, class wire.Class) *exchange {
	return &exchange{wire.Begin(models.TikTok, op, class, c.now)}
}

// exchange makes one API call: in is the JSON body (nil sends none), and read
// takes the answer's data; its error means that the answer was not understood.
func (c *Client) exchange(ctx context.Context, x *exchange, token secrets.Secret, method, path string, in any, read func(json.RawMessage) error) error {
	if err := x.Ready(ctx, token); err != nil {
		return err
	}
	build := func(ctx context.Context) (*http.Request, error) { return c.newRequest(ctx, token, method, path, in) }
	return c.roundTrip(ctx, x, build, func(resp *http.Response) error { return x.decode(resp, read) })
}

// roundTrip builds a request, sends it and has its answer decoded, all within
// the time of one call.
func (c *Client) roundTrip(ctx context.Context, x *exchange, build func(context.Context) (*http.Request, error), decode func(*http.Response) error) error {
	ctx, cancel := context.WithTimeout(ctx, c.callTimeout)
	defer cancel()
	req, err := build(ctx)
	if err != nil {
		return x.Fail(unsendable, "", x.Hide.Err(err))
	}
	resp, err := c.send(x, req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return decode(resp)
}

// newRequest builds a call. Every path ends in "/": without it the gateway
// answers 404 "Unsupported path(Janus)" (pilcrowonpaper/arctic issue 251).
func (c *Client) newRequest(ctx context.Context, token secrets.Secret, method, path string, in any) (*http.Request, error) {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return nil, fmt.Errorf("write body: %w", err)
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+token.Reveal())
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/json; charset=UTF-8")
	}
	req.Header.Set("Accept", "application/json")
	return req, nil
}

// send sends a request, and notes the log id of the answer's header.
func (c *Client) send(x *exchange, req *http.Request) (*http.Response, error) {
	resp, err := x.Send(c.http, req)
	if err != nil {
		return nil, err
	}
	x.LogID = x.Hide.Text(resp.Header.Get("x-tt-logid"))
	return resp, nil
}
