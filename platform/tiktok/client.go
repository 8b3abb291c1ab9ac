// Package tiktok is a client for TikTok's Content Posting API v2 and Login Kit: the
// creator's options, direct video posts with their upload and status, user consent, tokens
// and user info, and webhooks.
//
// A client holds no user: each call takes the token. It retries nothing, because only the
// caller's ledger knows what may be sent twice. Every error is a *platform.Error whose Kind
// says what may be done next. Errors and recorded calls never contain a secret.
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
// The date is the page's last change, if it shows one. All pages were read on 2026-11-22.
// "Seen in the field" marks what other users of the API published.
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
	// DefaultAuthURL is the host of TikTok's consent page.
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
	// ClientKey and ClientSecret are the app's credentials. Only the consent page and the
	// token calls need them.
	ClientKey    string
	ClientSecret secrets.Secret
	// HTTP sends the requests. Its Timeout, redirect policy and cookies are not used. Nil
	// means a client with its own time limits.
	HTTP *http.Client
	// Now is the clock of recorded calls. Nil means time.Now.
	Now func() time.Time
	// UploadHosts lists more "host:port" that upload URLs may have. They are for a sandbox,
	// and refused with TikTok's own API.
	UploadHosts []string
}

// Client calls the API. It is safe for concurrent use.
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

// New checks the configuration and returns a client.
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
			return nil, fmt.Errorf("TikTok upload host %q must have the form host:port", h)
		}
		c.uploadHosts[strings.ToLower(h)] = true
	}
	return c, nil
}

const (
	tiktokDomain  = "tiktokapis.com"
	consentDomain = "tiktok.com"
)

// parseTikTok parses a base URL. TikTok's own hosts require https.
func parseTikTok(setting, raw string) (*url.URL, error) {
	u, err := wire.ParseBase(setting, raw)
	if err != nil {
		return nil, err
	}
	if u.Scheme != "https" && (isTikTok(u.Hostname()) || within(u.Hostname(), consentDomain)) {
		return nil, fmt.Errorf("%s: must use https", setting)
	}
	return u, nil
}

// isTikTok reports whether a host belongs to TikTok's API.
func isTikTok(host string) bool { return within(host, tiktokDomain) }

func within(host, domain string) bool {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	return host == domain || strings.HasSuffix(host, "."+domain)
}

// hostPort returns host and port of u, with the default port of its scheme.
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

// exchange is one call in progress; its methods read TikTok's answers.
type exchange struct{ wire.Exchange }

func (c *Client) begin(op string, class wire.Class) *exchange {
	return &exchange{wire.Begin(models.TikTok, op, class, c.now)}
}

// exchange makes one API call. in is the JSON body, or nil for none. read decodes the
// answer's data; its error means that the answer was not understood.
func (c *Client) exchange(ctx context.Context, x *exchange, token secrets.Secret, method, path string, in any, read func(json.RawMessage) error) error {
	if err := x.Ready(ctx, token); err != nil {
		return err
	}
	build := func(ctx context.Context) (*http.Request, error) { return c.newRequest(ctx, token, method, path, in) }
	return c.roundTrip(ctx, x, build, func(resp *http.Response) error { return x.decode(resp, read) })
}

// roundTrip builds a request, sends it and decodes its answer, within the time limit of one
// call.
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

// newRequest builds a request. Every path ends in "/": without it the gateway answers 404
// "Unsupported path(Janus)" (pilcrowonpaper/arctic issue 251).
func (c *Client) newRequest(ctx context.Context, token secrets.Secret, method, path string, in any) (*http.Request, error) {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return nil, fmt.Errorf("encode body: %w", err)
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

// send sends a request and stores the log id from the answer's header.
func (c *Client) send(x *exchange, req *http.Request) (*http.Response, error) {
	resp, err := x.Send(c.http, req)
	if err != nil {
		return nil, err
	}
	x.LogID = x.Hide.Text(resp.Header.Get("x-tt-logid"))
	return resp, nil
}
