package oauth

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"socialqueue/models"
	"socialqueue/secrets"
)

// Start asks for a user to connect an account.
type Start struct {
	AppID, UserID int64
	Platform      models.Platform
	// ReturnURL is where the browser goes afterwards; empty shows a page of ours.
	ReturnURL string
}

// maxReturnURL is the longest return_url, in bytes.
const maxReturnURL = 2000

// Begin makes the address of the consent page to send the user's browser to. Bad
// input is models.FieldErrors, a user that the app does not have db.ErrNotFound,
// and a platform whose credentials are missing ErrNotConfigured.
//
// The address is made for that one user: whoever consents there connects their
// account to that user. So an app hands it to nobody else.
func (s *Service) Begin(ctx context.Context, start Start) (address string, err error) {
	connector, err := s.connector(start.Platform)
	if err != nil {
		return "", err
	}
	if err := connector.Configured(); err != nil {
		return "", err
	}
	if _, err := s.DB.Tenants.User(ctx, start.AppID, start.UserID); err != nil {
		return "", err
	}
	if err := s.checkReturn(ctx, start); err != nil {
		return "", err
	}
	c := connect{
		UserID: start.UserID, Platform: start.Platform, ReturnURL: start.ReturnURL,
		Verifier: oauth2.GenerateVerifier(), At: s.Now(),
	}
	state := rand.Text()
	if err := s.connects.open(ctx, state, c); err != nil {
		return "", err
	}
	return connector.AuthorizeURL(Authorization{RedirectURI: s.redirectURI(c.Platform), State: state, Verifier: c.verifier()}), nil
}

// checkReturn lets a browser be sent back only to where the app said beforehand.
func (s *Service) checkReturn(ctx context.Context, start Start) error {
	if start.ReturnURL == "" {
		return nil
	}
	var errs models.FieldErrors
	host, problem := returnHost(start.ReturnURL)
	if problem != "" {
		errs.Add("return_url", "%s", problem)
		return errs
	}
	allowed, err := s.DB.Connections.MayReturn(ctx, start.AppID, host)
	if err != nil {
		return err
	}
	if !allowed {
		errs.Add("return_url", "leads to %s, which is not registered: run `socialqueue app allow-return --app %d %s`", host, start.AppID, host)
	}
	return errs.Err()
}

// returnHost gives the host, with its port if one is named, of a return_url, or
// says what is wrong with that. Browsers and net/url read some addresses
// differently, so all that either could misread is refused.
func returnHost(raw string) (host, problem string) {
	const form = "must be an absolute https:// address, without user and fragment"
	if len(raw) > maxReturnURL || strings.ContainsFunc(raw, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '\\' }) {
		return "", fmt.Sprintf("%s, of at most %d visible ASCII characters", form, maxReturnURL)
	}
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" || u.User != nil || u.Fragment != "" || u.Opaque != "" {
		return "", form
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())) {
		return "", form + "; http:// is for this machine only"
	}
	return strings.ToLower(u.Host), ""
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// AllowReturn registers a host, with its port if it has one, that an app's users
// may be sent back to.
func (s *Service) AllowReturn(ctx context.Context, appID int64, host string) error {
	var errs models.FieldErrors
	clean, problem := returnHost("https://" + host)
	if problem != "" || clean != strings.ToLower(host) {
		errs.Add("host", "must be a host such as app.example.com, or a host with its port such as localhost:8080")
		return errs
	}
	return s.DB.Connections.AllowReturn(ctx, models.ReturnHost{AppID: appID, Host: clean, CreatedAt: s.Now()})
}

// redirectURI is where a platform sends the browser back to. It has to be
// registered there, to the letter.
func (s *Service) redirectURI(p models.Platform) string {
	return s.PublicURL + "/api/auth/" + string(p) + "/callback"
}

// connect is a consent that is asked for.
type connect struct {
	UserID    int64
	Platform  models.Platform
	ReturnURL string
	// Verifier is PKCE's. It is a secret, as the whole record is sealed.
	Verifier string
	At       time.Time
}

func (c *connect) verifier() secrets.Secret { return secrets.Secret(c.Verifier) }

// connectLife is how long a user has for the consent page.
const connectLife = 15 * time.Minute

func (c *connect) expired(now time.Time) bool { return now.Sub(c.At) > connectLife }

// joinScopes writes scopes as the row keeps them.
func joinScopes(scopes []string) string { return strings.Join(scopes, ",") }
