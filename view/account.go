package view

import (
	"strings"

	"socialqueue/models"
)

// Account is a connected account as apps see it.
type Account struct {
	ID         int64                `json:"id"`
	Platform   models.Platform      `json:"platform"`
	UserID     int64                `json:"user_id"`
	ExternalID string               `json:"external_id"`
	Username   string               `json:"username"`
	Name       string               `json:"name"`
	PictureURL *string              `json:"picture_url"`
	Status     models.AccountStatus `json:"status"`
	// StatusReason says why the status is not active, or what is about to end an
	// account that is.
	StatusReason *string  `json:"status_reason"`
	Scopes       []string `json:"scopes"`
	// ReconnectBy is when the owner has to consent again, as far as that is known.
	ReconnectBy *string `json:"reconnect_by"`
	ConnectedAt string  `json:"connected_at"`
	// The rest is Instagram's.
	AccountType    *string `json:"account_type,omitempty"`
	FollowersCount *int    `json:"followers_count,omitempty"`
	PageID         string  `json:"page_id,omitempty"`
	// DefaultLocationID is the place of posts that name none.
	DefaultLocationID string `json:"default_location_id,omitempty"`
}

// OfAccount shows a TikTok account, or that of Instagram which a login reaches.
func OfAccount(o *models.OAuthAccount, ig *models.InstagramAccount) Account {
	a := Account{
		ID: o.ID, Platform: o.Provider, UserID: o.UserID, ExternalID: o.ProviderAccountID, Username: o.Username, Name: o.DisplayName,
		PictureURL: TextOrNull(o.PictureURL), Status: o.Status, StatusReason: TextOrNull(o.StatusReason), Scopes: scopesOf(o),
		ReconnectBy: TimeOrNull(o.ReconnectBy), ConnectedAt: Time(o.ConnectedAt),
	}
	if ig == nil {
		return a
	}
	a.ID, a.ExternalID, a.Username, a.Name = ig.ID, ig.PlatformID(), textOf(ig.Username), textOf(ig.Name)
	a.PictureURL, a.Status = TextOrNull(textOf(ig.ProfilePictureURL)), ig.Status
	if ig.Status != models.AccountActive || o.Status == models.AccountActive { // else what its login says is the warning
		a.StatusReason = TextOrNull(ig.StatusReason)
	}
	a.AccountType, a.FollowersCount, a.PageID = ig.AccountType, &ig.FollowersCount, ig.PageID
	a.DefaultLocationID = ig.DefaultLocationID
	return a
}

// Anonymous leaves out what says whose account it is.
func (a Account) Anonymous() Account {
	a.ExternalID, a.Username, a.Name, a.PictureURL, a.PageID = "", "", "", nil, ""
	return a
}

func textOf(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func scopesOf(o *models.OAuthAccount) []string {
	if o.Scope == nil || *o.Scope == "" {
		return []string{}
	}
	return strings.Split(*o.Scope, ",")
}
