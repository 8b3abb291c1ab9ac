package tiktok

import (
	"fmt"
	"time"

	"socialqueue/sandbox/engine"
)

// RemoveApp acts as the user who removes the app: both tokens end, and authorization.removed is sent. It panics on an
// unknown id.
func (t *Platform) RemoveApp(openID string) {
	engine.Must(t.trigger(openID, (*Platform).userRemovesApp))
}

// ExpireAccess ends the access token early; the refresh token stays valid. It panics on an unknown id.
func (t *Platform) ExpireAccess(openID string) { engine.Must(t.trigger(openID, (*Platform).endAccess)) }

func (t *Platform) trigger(openID string, end func(*Platform, *account, time.Time)) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	acc := t.accounts[openID]
	if acc == nil {
		return fmt.Errorf("there is no TikTok account %q", openID)
	}
	end(t, acc, t.host.Now())
	return nil
}

// revocation is the body of a revoke request.
type revocation struct {
	Platform   string `json:"platform"`
	ID         string `json:"id"`
	AccessOnly bool   `json:"access_only"` // the refresh token lives
}

func (t *Platform) revoke(in revocation) error {
	if in.AccessOnly {
		return t.trigger(in.ID, (*Platform).endAccess)
	}
	return t.trigger(in.ID, (*Platform).userRemovesApp)
}
