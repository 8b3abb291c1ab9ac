package simulate

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"socialqueue/models"
	"socialqueue/publish"
	"socialqueue/sandbox"
)

// check asks what was promised of the whole history.
func (h *history) check() {
	if len(h.violations) > 0 {
		return
	}
	live := h.livePosts()
	for _, p := range h.plan.posts {
		h.checkPost(p, live[p.ordinal])
	}
	if live[0] > 0 {
		h.violate("%d posts are live that no run made", live[0])
	}
	if len(h.violations) > 0 {
		return
	}
	h.checkComments()
	if !h.restored { // the app may have been told of what the backup does not know
		h.checkOutbox()
	}
	h.checkAccount()
}

// livePosts counts the live posts of each post, by what the platform made for its runs.
func (h *history) livePosts() map[int]int {
	count := map[int]int{}
	for _, p := range h.sim.LivePosts() {
		made := p.ContainerID
		if p.PublishID != "" {
			made = p.PublishID
		}
		count[h.wire.made[made]]++
	}
	return count
}

// checkPost: at most one live post, and a post that ended says what is true.
func (h *history) checkPost(p *posted, live int) {
	row, err := h.row(p)
	h.store.must(err)
	switch {
	case live > 1:
		h.violate("%s is live %d times", p.name(), live)
	case row == nil && p.accepted:
		h.violate("%s was accepted and is lost", p.name())
	case row == nil && live > 0 && !h.restored:
		h.violate("%s is live and has no row", p.name())
	case row == nil, h.held(row):
	case row.Admission != models.AdmissionNone || !row.Status.Ended():
		h.violate("%s did not end: it is %s, %s, due %v, deferred for %q", p.name(), row.Status, row.Admission, row.RunAt, row.DeferredReason)
	case row.Status == models.Published && live != 1 && (!h.restored || !h.plan.twins): // else it was taken for a twin that the backup does not know
		h.violate("%s is published and live %d times", p.name(), live)
	case row.Status != models.Published && live != 0 && !h.restored: // else it ended before the backup, and was run again behind it
		h.violate("%s is %s and live %d times", p.name(), row.Status, live)
	case !slices.IsSorted(h.fences(row.ID)):
		h.violate("%s: a run that was replaced began another call: the ledger has the fences %v", p.name(), h.fences(row.ID))
	case row.Attempts > len(publish.DefaultTimings().Retries)+1:
		h.violate("%s used %d attempts", p.name(), row.Attempts)
	}
}

// checkComments: no post has a comment twice, and a first comment that ended says what is true.
func (h *history) checkComments() {
	under := map[string]int{} // by the media and the text
	for _, p := range h.sim.LivePosts() {
		for _, c := range p.Comments {
			under[p.ID+" "+c.Text]++
		}
	}
	for key, n := range under {
		if n > 1 {
			h.violate("the comment %q is there %d times", key, n)
		}
	}
	if h.restored { // a restored row may have taken a twin's media for its own
		return
	}
	for _, p := range h.plan.posts {
		options, wants := p.request.Options.(publish.Commenter)
		row, err := h.row(p)
		h.store.must(err)
		if !wants || options.FirstComment() == "" || row == nil || row.Status != models.Published || row.PlatformPostID == nil {
			continue
		}
		found, err := h.store.FirstComments.Of(h.t.Context(), []string{row.ID})
		h.store.must(err)
		c, n := found[row.ID], under[*row.PlatformPostID+" "+options.FirstComment()]
		switch {
		case c == nil:
			h.violate("%s is live and lost its first comment", p.name())
		case c.Status == models.CommentPosted && n != 1, c.Status == models.CommentFailed && n != 0:
			h.violate("the first comment of %s is %s and there %d times", p.name(), c.Status, n)
		}
	}
}

// fences lists the fences of the recorded calls of a post, oldest first.
func (h *history) fences(id string) (all []int) {
	for _, fence := range h.texts("SELECT fence FROM ledger WHERE post_id = '" + id + "' ORDER BY id") {
		n, err := strconv.Atoi(fence)
		h.store.must(err)
		all = append(all, n)
	}
	return all
}

// row reads the row of a post; nil if there is none.
func (h *history) row(p *posted) (*models.Post, error) {
	id, err := h.store.ask("SELECT id FROM posts WHERE correlation_id = ?", p.name())
	if err != nil || id == nil {
		return nil, err
	}
	return h.store.Posts.ByID(h.t.Context(), fmt.Sprint(id))
}

// checkOutbox: the app got the event of every change of a post once, in order.
func (h *history) checkOutbox() {
	for _, p := range h.plan.posts {
		told := h.texts("SELECT event_id || ' ' || event_type FROM webhook_deliveries WHERE correlation_id = '" + p.name() + "' ORDER BY id")
		var ids, types []string
		for _, line := range told {
			id, event, _ := strings.Cut(line, " ")
			ids, types = append(ids, id), append(types, event)
		}
		if got := h.app.got[p.name()]; !slices.Equal(got, ids) {
			h.violate("%s: the app was told in the order %v, want %v", p.name(), got, ids)
		}
		var want []string
		for _, to := range h.texts("SELECT e.to_status FROM post_events e JOIN posts p ON p.id = e.post_id WHERE e.type = 'state' AND p.correlation_id = '" + p.name() + "' ORDER BY e.id") {
			if event := models.EventOf(models.Status(to)); event != "" {
				want = append(want, string(event))
			}
		}
		types = slices.DeleteFunc(types, func(t string) bool {
			return t == string(models.EventPostDeferred) || t == string(models.EventPostFirstComment)
		})
		if !slices.Equal(types, want) {
			h.violate("%s: the app was told of %v, the timeline has %v", p.name(), types, want)
		}
	}
}

func (h *history) texts(query string) []string {
	rows, err := h.store.query(query, nil)
	h.store.must(err)
	return texts(rows)
}

// checkAccount: an account is lost only if the newest tokens never came.
func (h *history) checkAccount() {
	status, err := h.store.ask("SELECT status FROM oauth_accounts WHERE provider = 'tiktok'")
	h.store.must(err)
	if status != string(models.AccountActive) && h.storedRotation() == len(h.wire.pairs)-1 {
		h.violate("the TikTok account is %s, although it has the newest tokens", status)
	}
}

// reconnect has the owner of a lost account connect it again, once faults stop.
func (h *history) reconnect() {
	status, err := h.store.ask("SELECT status FROM oauth_accounts WHERE provider = 'tiktok'")
	h.store.must(err)
	if !h.calm.Load() || status == string(models.AccountActive) {
		return
	}
	h.checkAccount()
	h.consents++
	h.spawn(&actor{name: fmt.Sprintf("owner connects again %d", h.consents)}, func(ctx context.Context) error {
		fresh := fmt.Sprintf("%d-%d", h.seed, h.consents)
		a := h.sim.AddTikTokAccount(sandbox.TikTokAccount{
			OpenID: openID, PostsCap: -1, AccessToken: "act." + fresh, RefreshToken: "rft." + fresh, ExpiresAt: time.Now().Add(24 * time.Hour),
		})
		h.wire.gave(pair{a.AccessToken, a.RefreshToken})
		return h.importTikTok(ctx, a)
	}, nil)
}

// storedRotation returns which of TikTok's pairs is stored.
func (h *history) storedRotation() int {
	if len(h.wire.pairs) < 2 {
		return 0
	}
	sealed, err := h.store.ask("SELECT access_token FROM oauth_accounts WHERE provider = 'tiktok'")
	h.store.must(err)
	account := models.OAuthAccount{UserID: h.tenant.User.ID, Provider: models.TikTok, ProviderAccountID: openID}
	token, err := h.keys.Open(fmt.Sprint(sealed), account.SealedIn(models.ColumnAccessToken))
	h.store.must(err)
	return h.rotationOf(token.Reveal())
}

func (h *history) rotationOf(token string) int {
	h.wire.mu.Lock()
	defer h.wire.mu.Unlock()
	return slices.IndexFunc(h.wire.pairs, func(p pair) bool { return p.access == token || p.refresh == token })
}

// checkToken: whoever begins after a new pair of tokens was stored uses none that it replaced.
func (h *history) checkToken(c *call) {
	token := strings.TrimPrefix(c.header.Get("Authorization"), "Bearer ")
	stored := c.actor.rotation
	if strings.Contains(c.url.Path, "/oauth/token") {
		form := http.Request{Method: http.MethodPost, Header: c.header, Body: http.NoBody}
		form.Body = c.request().Body
		token, stored = form.FormValue("refresh_token"), h.storedRotation()
	} else if !strings.Contains(c.url.Path, "/tiktok/") {
		return
	}
	if used := h.rotationOf(token); used < stored {
		h.violate("%s uses token %d in %s; token %d was stored before", c.actor.name, used, c.what, stored)
	}
}
