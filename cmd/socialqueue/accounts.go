package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"

	"socialqueue/sandbox"
	"socialqueue/secrets"
)

// The demo accounts at the simulated platforms. They are the same at every start, because
// the simulated platforms lose their data and the database does not.
const (
	demoOpenID    = "-000SimCafe"
	demoFacebook  = "9001000000000001"
	demoInstagram = "17841400000000001"
)

// demoAccounts are an app with its key, a user, and an account on each platform.
type demoAccounts struct {
	AppID       int64  `json:"app_id"`
	APIKey      string `json:"api_key"`
	UserID      int64  `json:"user_id"`
	TikTokID    int64  `json:"tiktok_account_id"`
	InstagramID int64  `json:"instagram_account_id"`
}

func (a demoAccounts) key() secrets.Secret { return secrets.Secret(a.APIKey) }

// connect loads the demo accounts from a file or creates them, and connects them.
func (e *environment) connect(ctx context.Context, path string) error {
	if err := e.loadAccounts(path); err != nil {
		return err
	}
	if e.accounts.AppID == 0 {
		if err := e.createTenant(ctx); err != nil {
			return err
		}
	}
	e.register()
	var err error
	if e.accounts.TikTokID, err = e.consent(ctx, "tiktok", demoOpenID); err != nil {
		return err
	}
	if e.accounts.InstagramID, err = e.consent(ctx, "instagram", demoFacebook); err != nil {
		return err
	}
	return e.saveAccounts(path)
}

func (e *environment) loadAccounts(path string) error {
	if path == "" {
		return nil
	}
	raw, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(raw, &e.accounts)
	}
	if err != nil {
		return fmt.Errorf("read the demo accounts in %s: %w", path, err)
	}
	return nil
}

func (e *environment) saveAccounts(path string) error {
	if path == "" {
		return nil
	}
	raw, err := json.MarshalIndent(e.accounts, "", "  ")
	if err == nil {
		err = os.WriteFile(path, raw, 0o600)
	}
	if err != nil {
		return fmt.Errorf("store the demo accounts: %w", err)
	}
	return nil
}

// createTenant creates the app and its user.
func (e *environment) createTenant(ctx context.Context) error {
	appID, key, err := e.system.CreateApp(ctx, "demo")
	if err != nil {
		return err
	}
	e.accounts.AppID, e.accounts.APIKey = appID, key.Reveal()
	e.accounts.UserID, err = e.newClient().createUser(ctx)
	return err
}

// register creates the accounts at the simulated platforms.
func (e *environment) register() {
	e.sim.AddTikTokAccount(sandbox.TikTokAccount{OpenID: demoOpenID, Username: "simcafe", Nickname: "Sim Cafe"})
	e.sim.AddInstagramAccount(sandbox.InstagramAccount{IGID: demoInstagram, Username: "simbakery", Name: "Sim Bakery"})
	e.sim.AddFacebookUser(sandbox.FacebookUser{
		ID: demoFacebook, Name: "Sim Baker", Pages: []sandbox.FacebookPage{{Name: "Sim Bakery", InstagramID: demoInstagram}},
	})
}

// consent connects an account as a user does: it requests the consent page from the api,
// allows access there, and follows the redirect.
func (e *environment) consent(ctx context.Context, platform, person string) (accountID int64, err error) {
	c := e.newClient()
	page, err := c.authorizationURL(ctx, platform, e.accounts.UserID)
	if err != nil {
		return 0, err
	}
	form := url.Values{"decision": {"allow"}, "account": {person}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, page, strings.NewReader(form.Encode()))
	if err != nil {
		return 0, fmt.Errorf("consent at %s: %w", platform, err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultClient.Do(req) // follows the redirect to the callback
	if err != nil {
		return 0, fmt.Errorf("consent at %s: %w", platform, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("consent at %s: the callback answered %s", platform, resp.Status)
	}
	return c.connectedAccount(ctx, platform, e.accounts.UserID)
}
