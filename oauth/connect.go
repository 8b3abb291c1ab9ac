package oauth

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"socialqueue/models"
	"socialqueue/secrets"
)

// Start describes a connect to begin.
type Start struct {
	AppID, UserID int64
	Platform      models.Platform
	// ReturnURL is where the browser goes afterwards. If it is empty, our own page is shown.
	ReturnURL string
}

// maxReturnURL is the longest return_url, in bytes.
const maxReturnURL = 2000

// Begin returns the address of the consent page for the user's browser. Its errors are
// models.FieldErrors for bad input, db.ErrNotFound for a user that the app does not have,
// and ErrNotConfigured if the platform's credentials are missing.
//
// The address is valid for that user only. Anyone who consents there connects their account
// to that user, so apps must not pass it to others.
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
		AppID: start.AppID, UserID: start.UserID, Platform: start.Platform, ReturnURL: start.ReturnURL,
		Verifier: oauth2.GenerateVerifier(), At: s.Now(),
	}
	state := rand.Text()
	if err := s.admitConnect(ctx, start, state); err != nil {
		return "", err
	}
	if err := s.connects.open(ctx, state, c); err != nil {
		return "", err
	}
	return connector.AuthorizeURL(Authorization{RedirectURI: s.redirectURI(c.Platform), State: state, Verifier: c.verifier()}), nil
}

// admitConnect returns *models.QuotaError if the user or the app has too many open connects:
// each is stored in Redis, which must not fill up.
func (s *Service) admitConnect(ctx context.Context, start Start, state string) error {
	most, err := s.DB.Tenants.Quota(ctx, start.AppID, models.QuotaOpenConnects)
	if err != nil {
		return err
	}
	ok, err := s.connects.admit(ctx, userOwner(start.UserID), state, models.MaxUserConnects, s.Now())
	if err == nil && !ok {
		err = &models.QuotaError{Whose: "user", Of: models.QuotaOpenConnects.Title(), Most: models.MaxUserConnects}
	}
	if err != nil {
		return err
	}
	ok, err = s.connects.admit(ctx, appOwner(start.AppID), state, most, s.Now())
	if err == nil && !ok {
		err = errors.Join(models.QuotaOpenConnects.Exceeded(most), s.connects.done(ctx, state, userOwner(start.UserID)))
	}
	return err
}

func userOwner(id int64) string { return fmt.Sprintf("user:%d", id) }
func appOwner(id int64) string  { return fmt.Sprintf("app:%d", id) }

// checkReturn accepts only a return_url whose host the app has registered.
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
		errs.Add("return_url", "has the host %s, which is not registered: run `socialqueue app allow-return --app %d %s`", host, start.AppID, host)
	}
	return errs.Err()
}

// returnHost returns the host of a return_url, with its port if there is one, or says what
// is wrong with the URL. Browsers and net/url parse some addresses differently, so it
// refuses everything ambiguous.
func returnHost(raw string) (host, problem string) {
	const form = "must be an absolute https:// URL without user info and fragment"
	if len(raw) > maxReturnURL || strings.ContainsFunc(raw, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '\\' }) {
		return "", fmt.Sprintf("%s, of at most %d visible ASCII characters", form, maxReturnURL)
	}
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" || u.User != nil || u.Fragment != "" || u.Opaque != "" {
		return "", form
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())) {
		return "", form + "; http:// is allowed for localhost only"
	}
	return strings.ToLower(u.Host), ""
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// AllowReturn registers a host, with its port if it has one, as a return address for an
// app's users.
func (s *Service) AllowReturn(ctx context.Context, appID int64, host string) error {
	var errs models.FieldErrors
	clean, problem := returnHost("https://" + host)
	if problem != "" || clean != strings.ToLower(host) {
		errs.Add("host", "must be a host such as app.example.com, or a host with its port such as localhost:8080")
		return errs
	}
	return s.DB.Connections.AllowReturn(ctx, models.ReturnHost{AppID: appID, Host: clean, CreatedAt: s.Now()})
}

// redirectURI is where a platform sends the browser back to. The same string must be
// registered at the platform.
func (s *Service) redirectURI(p models.Platform) string {
	return s.PublicURL + "/api/auth/" + string(p) + "/callback"
}

// connect is a pending connect.
type connect struct {
	AppID, UserID int64
	Platform      models.Platform
	ReturnURL     string
	// Verifier is the PKCE code verifier. It is secret; the whole record is stored
	// encrypted.
	Verifier string
	At       time.Time
}

func (c *connect) verifier() secrets.Secret { return secrets.Secret(c.Verifier) }

// connectLife is how long a user may take on the consent page.
const connectLife = 15 * time.Minute

func (c *connect) expired(now time.Time) bool { return now.Sub(c.At) > connectLife }

// joinScopes formats scopes for the database.
func joinScopes(scopes []string) string { return strings.Join(scopes, ",") }
