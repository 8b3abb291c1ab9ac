package sandbox

import (
	"fmt"
	"net/http"
	"slices"
	"time"
)

// appRemoved is the subcode of a token whose user removed the app, pageLost that of one whose user lost the Page.
const (
	appRemoved = 458
	pageLost   = 492
)

// InvalidateTikTok is the user removing the app: both tokens die, and authorization.removed says so. Like the other
// triggers it panics on an id that is not there: that is a mistake in the script.
func (s *Server) InvalidateTikTok(openID string) {
	must(s.tiktok.trigger(openID, (*tiktok).userRemovesApp))
}

// ExpireTikTokAccess ends the access token before its time; the refresh token lives.
func (s *Server) ExpireTikTokAccess(openID string) {
	must(s.tiktok.trigger(openID, (*tiktok).endAccess))
}

// InvalidateFacebook kills all tokens of a user and their Page tokens: they answer 190 with the subcode, such as 460
// for a changed password. With 458 the consent is gone too.
func (s *Server) InvalidateFacebook(userID string, subcode int) {
	must(s.instagram.invalidate(userID, subcode))
}

// LosePage takes a user's role on a Page: its Page tokens answer 190/492 and the lists no longer have it.
func (s *Server) LosePage(userID, pageID string) { must(s.instagram.losePage(userID, pageID)) }

func must(err error) {
	if err != nil {
		panic("sandbox: " + err.Error())
	}
}

func (t *tiktok) trigger(openID string, end func(*tiktok, *tiktokAccount, time.Time)) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	acc := t.accounts[openID]
	if acc == nil {
		return fmt.Errorf("there is no TikTok account %q", openID)
	}
	end(t, acc, t.s.clock.now())
	return nil
}

func (ig *instagram) invalidate(userID string, subcode int) error {
	ig.mu.Lock()
	defer ig.mu.Unlock()
	user := ig.facebook.users[userID]
	if user == nil {
		return fmt.Errorf("there is no Facebook user %q", userID)
	}
	ig.kill(user, subcode)
	return nil
}

// kill ends all tokens of a user. ig.mu is held.
func (ig *instagram) kill(user *facebookUser, subcode int) {
	if subcode == appRemoved {
		user.withdraw()
	}
	for _, t := range ig.tokens {
		if t.user == user {
			t.dead = &graphError{Code: 190, Subcode: subcode}
		}
	}
}

func (ig *instagram) losePage(userID, pageID string) error {
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

// wireRevoke is one trigger in the control API.
type wireRevoke struct {
	Platform   string `json:"platform"`
	ID         string `json:"id"`
	AccessOnly bool   `json:"access_only"` // TikTok: the refresh token lives
	Subcode    int    `json:"subcode"`     // Facebook; 458 when left out
	Page       string `json:"page"`        // Facebook: only the role on this Page is lost
}

func (s *Server) postRevoke(w http.ResponseWriter, r *http.Request) {
	var in wireRevoke
	if !readControl(w, r, &in, wantRevoke) {
		return
	}
	if err := s.revoke(in); err != nil {
		controlError(w, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *Server) revoke(in wireRevoke) error {
	switch {
	case in.Platform == TikTok && in.AccessOnly:
		return s.tiktok.trigger(in.ID, (*tiktok).endAccess)
	case in.Platform == TikTok:
		return s.tiktok.trigger(in.ID, (*tiktok).userRemovesApp)
	case in.Platform == "facebook" && in.Page != "":
		return s.instagram.losePage(in.ID, in.Page)
	case in.Platform == "facebook":
		setDefault(&in.Subcode, appRemoved)
		return s.instagram.invalidate(in.ID, in.Subcode)
	}
	return fmt.Errorf("unknown platform %q: send %s", in.Platform, wantRevoke)
}
