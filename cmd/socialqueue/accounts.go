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

// The demo accounts, as the simulated platforms know them. They are the same at
// every start: those platforms forget everything, and the database does not.
const (
	demoOpenID    = "-000SimCafe"
	demoFacebook  = "9001000000000001"
	demoInstagram = "17841400000000001"
)

// cast is who acts on a stage: an app with its key, a user, and an account of
// each platform.
type cast struct {
	AppID       int64  `json:"app_id"`
	APIKey      string `json:"api_key"`
	UserID      int64  `json:"user_id"`
	TikTokID    int64  `json:"tiktok_account_id"`
	InstagramID int64  `json:"instagram_account_id"`
}

func (c cast) key() secrets.Secret { return secrets.Secret(c.APIKey) }

// connect brings the cast on the stage: the one that kept remembers, or a new
// one.
func (s *stage) connect(ctx context.Context, kept string) error {
	if err := s.recall(kept); err != nil {
		return err
	}
	if s.cast.AppID == 0 {
		if err := s.hire(ctx); err != nil {
			return err
		}
	}
	s.register()
	var err error
	if s.cast.TikTokID, err = s.consent(ctx, "tiktok", demoOpenID); err != nil {
		return err
	}
	if s.cast.InstagramID, err = s.consent(ctx, "instagram", demoFacebook); err != nil {
		return err
	}
	return s.remember(kept)
}

func (s *stage) recall(kept string) error {
	if kept == "" {
		return nil
	}
	raw, err := os.ReadFile(kept)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(raw, &s.cast)
	}
	if err != nil {
		return fmt.Errorf("read the kept demo accounts in %s: %w", kept, err)
	}
	return nil
}

func (s *stage) remember(kept string) error {
	if kept == "" {
		return nil
	}
	raw, err := json.MarshalIndent(s.cast, "", "  ")
	if err == nil {
		err = os.WriteFile(kept, raw, 0o600)
	}
	if err != nil {
		return fmt.Errorf("keep the demo accounts: %w", err)
	}
	return nil
}

// hire makes the app and its user.
func (s *stage) hire(ctx context.Context) error {
	appID, key, err := s.system.CreateApp(ctx, "demo")
	if err != nil {
		return err
	}
	s.cast.AppID, s.cast.APIKey = appID, key.Reveal()
	s.cast.UserID, err = s.newClient().createUser(ctx)
	return err
}

// register makes the accounts known to the simulated platforms.
func (s *stage) register() {
	s.sim.AddTikTokAccount(sandbox.TikTokAccount{OpenID: demoOpenID, Username: "simcafe", Nickname: "Sim Cafe"})
	s.sim.AddInstagramAccount(sandbox.InstagramAccount{IGID: demoInstagram, Username: "simbakery", Name: "Sim Bakery"})
	s.sim.AddFacebookUser(sandbox.FacebookUser{
		ID: demoFacebook, Name: "Sim Baker", Pages: []sandbox.FacebookPage{{Name: "Sim Bakery", InstagramID: demoInstagram}},
	})
}

// consent connects an account the way a person does: it asks the api for the
// consent page, allows there, and follows the way back.
func (s *stage) consent(ctx context.Context, platform, person string) (accountID int64, err error) {
	c := s.newClient()
	page, err := c.authorizationURL(ctx, platform, s.cast.UserID)
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
		return 0, fmt.Errorf("consent at %s: the way back ended in %s", platform, resp.Status)
	}
	return c.connectedAccount(ctx, platform, s.cast.UserID)
}
