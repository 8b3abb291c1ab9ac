package instagram

import (
	"fmt"
	"slices"

	"socialqueue/sandbox/engine"
)

// appRemoved is the subcode of a token whose user removed the app, pageLost that of one whose user lost the Page.
const (
	appRemoved = 458
	pageLost   = 492
)

// InvalidateFacebook revokes all tokens of a user and their Page tokens: calls answer 190 with the subcode, such as 460
// for a changed password. 458 also deletes the consent. It panics on an unknown id.
func (ig *Platform) InvalidateFacebook(userID string, subcode int) {
	engine.Must(ig.invalidate(userID, subcode))
}

// LosePage removes a user's role on a Page: its Page tokens answer 190/492 and lists omit the Page. It panics on an
// unknown id.
func (ig *Platform) LosePage(userID, pageID string) { engine.Must(ig.losePage(userID, pageID)) }

func (ig *Platform) invalidate(userID string, subcode int) error {
	ig.mu.Lock()
	defer ig.mu.Unlock()
	user := ig.facebook.users[userID]
	if user == nil {
		return fmt.Errorf("there is no Facebook user %q", userID)
	}
	ig.kill(user, subcode)
	return nil
}

// kill revokes all tokens of a user. ig.mu is held.
func (ig *Platform) kill(user *facebookUser, subcode int) {
	if subcode == appRemoved {
		user.withdraw()
		ig.unsubscribe(user)
	}
	for _, t := range ig.tokens {
		if t.user == user {
			t.dead = &graphError{Code: 190, Subcode: subcode}
		}
	}
}

func (ig *Platform) losePage(userID, pageID string) error {
	ig.mu.Lock()
	defer ig.mu.Unlock()
	user := ig.facebook.users[userID]
	if user == nil {
		return fmt.Errorf("there is no Facebook user %q", userID)
	}
	i := slices.IndexFunc(user.Pages, func(p FacebookPage) bool { return p.ID == pageID })
	if i < 0 {
		return fmt.Errorf("there is no Page %q of Facebook user %q", pageID, userID)
	}
	user.Pages = slices.Delete(user.Pages, i, i+1)
	for _, t := range ig.tokens {
		if t.user == user && t.page == pageID {
			t.dead = &graphError{Code: 190, Subcode: pageLost}
		}
	}
	return nil
}

// revocation is the body of a revoke request.
type revocation struct {
	Platform string `json:"platform"`
	ID       string `json:"id"`
	Subcode  int    `json:"subcode"` // 458 when left out
	Page     string `json:"page"`    // only the role on this Page is lost
}

func (ig *Platform) revokeAccess(in revocation) error {
	if in.Page != "" {
		return ig.losePage(in.ID, in.Page)
	}
	engine.SetDefault(&in.Subcode, appRemoved)
	return ig.invalidate(in.ID, in.Subcode)
}
