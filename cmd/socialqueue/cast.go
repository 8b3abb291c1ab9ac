package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"socialqueue/models"
	"socialqueue/oauth"
	"socialqueue/sandbox"
	"socialqueue/secrets"
)

// demoTokenLife is how long the demo accounts stay connected.
const demoTokenLife = 365 * 24 * time.Hour

// cast is who acts on a stage: an app with its key, a user, and an account of
// each platform. It is kept over restarts, because the simulated platforms
// forget everything and the database does not.
type cast struct {
	AppID          int64  `json:"app_id"`
	APIKey         string `json:"api_key"`
	UserID         int64  `json:"user_id"`
	TikTokID       int64  `json:"tiktok_account_id"`
	TikTokOpenID   string `json:"tiktok_open_id"`
	TikTokToken    string `json:"tiktok_token"`
	InstagramID    int64  `json:"instagram_account_id"`
	InstagramIGID  string `json:"instagram_ig_id"`
	InstagramToken string `json:"instagram_token"`
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
	if err := s.importAccounts(ctx); err != nil {
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
	s.cast.TikTokOpenID = "-000SimCafe"
	s.cast.InstagramIGID = "17841400000000001"
	s.cast.UserID, err = s.newClient().createUser(ctx)
	return err
}

// register makes the accounts known to the simulated platforms.
func (s *stage) register() {
	tt := s.sim.AddTikTokAccount(sandbox.TikTokAccount{
		OpenID: s.cast.TikTokOpenID, Username: "simcafe", Nickname: "Sim Cafe",
		AccessToken: s.cast.TikTokToken, ExpiresAt: s.sim.Now().Add(demoTokenLife),
	})
	ig := s.sim.AddInstagramAccount(sandbox.InstagramAccount{
		IGID: s.cast.InstagramIGID, Username: "simbakery", Name: "Sim Bakery", PageToken: s.cast.InstagramToken,
	})
	s.cast.TikTokToken, s.cast.InstagramToken = tt.AccessToken, ig.PageToken
}

func (s *stage) importAccounts(ctx context.Context) error {
	var err error
	s.cast.TikTokID, err = s.system.Accounts().Import(ctx, oauth.Import{
		AppID: s.cast.AppID, UserID: s.cast.UserID, Platform: models.TikTok,
		ProviderAccountID: s.cast.TikTokOpenID, Username: "simcafe", Access: secrets.Secret(s.cast.TikTokToken),
	})
	if err != nil {
		return err
	}
	s.cast.InstagramID, err = s.system.Accounts().Import(ctx, oauth.Import{
		AppID: s.cast.AppID, UserID: s.cast.UserID, Platform: models.Instagram,
		ProviderAccountID: s.cast.InstagramIGID, Username: "simbakery", Access: secrets.Secret(s.cast.InstagramToken),
	})
	return err
}
