package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"socialqueue/highwater"
	"socialqueue/sandbox"
	"socialqueue/sandbox/sample"
	"socialqueue/test/testkit"
)

const (
	operatorPassword = "operator-of-the-tests"
	viewerPassword   = "viewer-of-the-tests"
)

// page asks for a page of the console, as who has that password; form posts.
func (w *system) page(password, path string, form url.Values) (status int, location, body string) {
	w.t.Helper()
	method, content := http.MethodGet, ""
	if form != nil {
		method, content = http.MethodPost, form.Encode()
	}
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.url()+path, strings.NewReader(content))
	w.must(err)
	if password != "" {
		req.SetBasicAuth("operator", password)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	browser := *w.http
	browser.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := browser.Do(req)
	w.must(err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	w.must(err)
	return resp.StatusCode, resp.Header.Get("Location"), string(text)
}

// looks is a page that has to be there.
func (w *system) looks(path string) string {
	w.t.Helper()
	status, _, body := w.page(operatorPassword, path, nil)
	if status != http.StatusOK {
		w.t.Fatalf("%s: %d %s", path, status, body)
	}
	return body
}

// does posts a form that has to succeed, and returns the page that it leads to.
func (w *system) does(path string, form url.Values) string {
	w.t.Helper()
	status, location, body := w.page(operatorPassword, path, form)
	if status != http.StatusSeeOther {
		w.t.Fatalf("%s: %d %s", path, status, body)
	}
	return w.looks(location)
}

// settles does it as soon as no worker looks at the post any more, as the page asks for,
// and answers the page after it.
func (w *system) settles(id string, form url.Values) string {
	w.t.Helper()
	path, location := "/console/posts/"+id+"/resolve", ""
	testkit.Await(w.t, testkit.Patience, "the post is settled", func() (bool, string) {
		var status int
		var body string
		status, location, body = w.page(operatorPassword, path, form)
		if status != http.StatusSeeOther && status != http.StatusConflict {
			w.t.Fatalf("%s: %d %s", path, status, body)
		}
		return status == http.StatusSeeOther, body
	})
	return w.looks(location)
}

func wantText(t *testing.T, page string, wanted ...string) {
	t.Helper()
	plain := strings.Join(strings.Fields(tags.ReplaceAllString(page, " ")), " ")
	for _, text := range wanted {
		if !strings.Contains(plain, text) {
			t.Errorf("the page lacks %q: %s", text, plain)
		}
	}
}

var tags = regexp.MustCompile(`<[^>]*>`)

func operated() setup {
	return setup{sandbox: unlimited(), env: map[string]string{"OPERATOR_PASSWORD": operatorPassword, "OPERATOR_READONLY_PASSWORD": viewerPassword}}
}

// uncertain is a post whose sending call's answer is lost and that nobody can look at.
func (w *system) uncertain(a account, still, caption string) post {
	w.t.Helper()
	w.sim.Script(
		sandbox.Fault{Op: sandbox.OpInstagramPublish, Mode: sandbox.ModeReset, After: true},
		sandbox.Fault{Op: sandbox.OpInstagramContainerStatus, Mode: sandbox.ModeStatus, Status: 503, Skip: 1, Times: -1},
		sandbox.Fault{Op: sandbox.OpInstagramMedia, Mode: sandbox.ModeStatus, Status: 503, Times: -1},
	)
	p := w.accept(a, picture(a, still, caption))
	w.untilStatus(testkit.Patience, p.ID, "uncertain")
	return p
}

// An operator finds an uncertain post, reads why, and settles it both ways; runs a
// failed one again; pauses and resumes. What is live at the end is what should be.
func TestConsole(t *testing.T) {
	t.Parallel()
	w := newSystem(t, operated())
	w.startScheduler()
	w.startWorker()
	ig, tt := w.instagramAccount(), w.tiktokAccount()
	still, clip := w.upload("image/jpeg", sample.Picture), w.upload("video/mp4", sample.Video)

	lost := w.uncertain(ig, still, "fresh <b>bread</b>")
	wantText(t, w.looks("/console"), "uncertain sent; it is unknown whether it is live", lost.ID)
	page := w.looks("/console/posts/" + lost.ID)
	wantText(t, page, "Settle this post", "instagram.publish", "queued → publishing", "e2e (", "fresh &lt;b&gt;bread&lt;/b&gt;")
	page = w.settles(lost.ID, url.Values{"outcome": {"live"}, "platform_post_id": {"18000000000000001"}})
	wantText(t, page, "The post is settled: live.", "published live", "settled by operator: live as 18000000000000001")

	w.sim.ClearFaults()
	w.sim.Script(sandbox.Fault{Op: sandbox.OpTikTokInit, Mode: sandbox.ModeError, Code: "privacy_level_option_mismatch"})
	refused := w.accept(tt, video(tt, clip, "refused at first"))
	w.untilStatus(testkit.Patience, refused.ID, "failed")
	wantText(t, w.looks("/console"), "PUBLISH_FAILED on TikTok")
	wantText(t, w.looks("/console/posts?status=failed&platform=tiktok"), refused.ID, "Retry the 1 failed and missed posts of this page")
	wantText(t, w.does("/console/posts/"+refused.ID+"/retry", url.Values{}), "The post was queued again.", "run again by operator")
	w.untilStatus(testkit.Patience, refused.ID, "published")

	page = w.does("/console/pause", url.Values{"scope": {tt.lane}, "reason": {"its owner asked"}})
	wantText(t, page, "Paused.", tt.lane+" is paused", "by operator: its owner asked")
	held := w.accept(tt, video(tt, clip, "held"))
	w.untilDeferred(held.ID, "paused")
	wantText(t, w.looks("/console/posts/"+held.ID), "Deferred: paused by an operator")
	wantText(t, w.does("/console/resume", url.Values{"scope": {tt.lane}}), "Resumed.")
	w.untilStatus(testkit.Patience, held.ID, "published")

	later := w.accept(tt, video(tt, clip, "not at all").with(fields{"publish_at": time.Now().Add(time.Hour)}))
	wantText(t, w.does("/console/posts/"+later.ID+"/cancel", url.Values{}), "canceled will not be sent", "canceled by operator")
	wantText(t, w.looks("/console/posts?q="+later.ID), "Posts with the id "+later.ID)
	wantText(t, w.looks("/console/accounts"), "TikTok "+fmt.Sprint(tt.id), "active")
	wantText(t, w.looks(fmt.Sprintf("/console/accounts/instagram/%d", ig.id)), "Live in the last 24 h 1", lost.ID, "0 of 10000 used in 24 h, as of 20")
	wantText(t, w.looks(fmt.Sprintf("/console/accounts/tiktok/%d", tt.id)), "Live in the last 24 h 2", "TikTok's own count not available", "Deferred by a limit none")
	if n := len(w.sim.LivePosts()); n != 3 {
		t.Errorf("%d posts are live, want 3", n)
	}
}

// Who is at a limit sees how much is used, what waits for it, why and until when. That
// the count cannot be kept is nothing to a post.
func TestConsoleShowsBudgets(t *testing.T) {
	t.Parallel()
	w := newSystem(t, operated())
	w.startScheduler()
	w.startWorker()
	ig, tt := w.instagramAccount(), w.tiktokAccount()
	still, clip := w.upload("image/jpeg", sample.Picture), w.upload("video/mp4", sample.Video)
	page := fmt.Sprintf("/console/accounts/instagram/%d", ig.id)
	wantText(t, w.looks(page), "Instagram's own count not known yet")
	w.sim.AddInstagramAccount(sandbox.InstagramAccount{IGID: ig.external, QuotaTotal: 1})
	w.untilStatus(20*time.Second, w.accept(ig, picture(ig, still, "the only one")).ID, "published")
	second := w.accept(ig, picture(ig, still, "one too many"))
	w.untilDeferred(second.ID, "daily_cap")
	wantText(t, w.looks(page), "1 of 1 used in 24 h, as of 20", "Deferred by a limit 1, the last until 20", "the daily limit of the account is reached")

	w.sim.Script(sandbox.Fault{Op: sandbox.OpTikTokCreatorInfo, Mode: sandbox.ModeError, Code: "spam_risk_too_many_posts", Times: -1})
	refused := w.accept(tt, video(tt, clip, "refused for today"))
	w.untilDeferred(refused.ID, "daily_cap")
	wantText(t, w.looks(fmt.Sprintf("/console/accounts/tiktok/%d", tt.id)), "TikTok's own count not available", "the daily limit of the account is reached")
	wantText(t, w.looks("/console/posts/"+refused.ID), "spam_risk_too_many_posts")

	w.sim.AddInstagramAccount(sandbox.InstagramAccount{IGID: ig.external, QuotaTotal: 100})
	w.exec("ALTER TABLE instagram_accounts RENAME COLUMN quota_used TO gone")
	w.untilStatus(20*time.Second, w.accept(ig, picture(ig, still, "not kept")).ID, "published")
	if !strings.Contains(w.logs.String(), "could not store the account's quota") {
		t.Error("the quota was kept, and should not have been")
	}
}

// What is not live is sent again at the operator's word, once, and only after they said
// that they looked.
func TestConsoleReleases(t *testing.T) {
	t.Parallel()
	w := newSystem(t, operated())
	w.startScheduler()
	w.startWorker()
	ig := w.instagramAccount()
	still := w.upload("image/jpeg", sample.Picture)
	w.sim.Script(
		sandbox.Fault{Op: sandbox.OpInstagramPublish, Mode: sandbox.ModeReset}, // it never arrived
		sandbox.Fault{Op: sandbox.OpInstagramContainerStatus, Mode: sandbox.ModeStatus, Status: 503, Skip: 1, Times: -1},
		sandbox.Fault{Op: sandbox.OpInstagramMedia, Mode: sandbox.ModeStatus, Status: 503, Times: -1},
	)
	p := w.accept(ig, picture(ig, still, "again"))
	w.untilStatus(testkit.Patience, p.ID, "uncertain")
	path := "/console/posts/" + p.ID + "/resolve"
	if status, _, body := w.page(operatorPassword, path, url.Values{"outcome": {"not_live"}}); status != http.StatusUnprocessableEntity || !strings.Contains(body, "looked") {
		t.Errorf("released unseen: %d %s", status, body)
	}
	// While Instagram cannot be read no worker is to begin anew.
	w.does("/console/pause", url.Values{"scope": {ig.lane}, "reason": {"Instagram cannot be read"}})
	w.settles(p.ID, url.Values{"outcome": {"not_live"}, "looked": {"yes"}})
	w.sim.ClearFaults()
	w.does("/console/resume", url.Values{"scope": {ig.lane}})
	w.untilStatus(testkit.Patience, p.ID, "published")
	if n := len(w.sim.LivePosts()); n != 1 {
		t.Errorf("%d posts are live, want 1", n)
	}
}

// Behind a proxy, which this test is, who guesses passwords locks nobody else out.
func TestConsoleBehindAProxy(t *testing.T) {
	t.Parallel()
	s := operated()
	s.env["TRUSTED_PROXIES"] = "192.0.2.0/24,127.0.0.1"
	w := newSystem(t, s)
	visit := func(visitor, password string) int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url()+"/console", nil)
		w.must(err)
		req.Header.Set("X-Forwarded-For", visitor)
		req.SetBasicAuth("operator", password)
		resp, err := w.http.Do(req)
		w.must(err)
		w.must(resp.Body.Close())
		return resp.StatusCode
	}
	for range 10 {
		visit("203.0.113.1", "guess")
	}
	if guesser, operator := visit("203.0.113.1", operatorPassword), visit("203.0.113.2", operatorPassword); guesser != 429 || operator != 200 {
		t.Errorf("the one who guessed gets %d, the other %d", guesser, operator)
	}
}

// Whoever only looks, has no password, or comes from another site does nothing, and
// wrong input is told.
func TestConsoleRefuses(t *testing.T) {
	t.Parallel()
	w := newSystem(t, operated())
	tt := w.tiktokAccount()
	p := w.accept(tt, video(tt, w.upload("video/mp4", sample.Video), "waits").with(fields{"publish_at": time.Now().Add(time.Hour)}))
	for name, c := range map[string]struct {
		password, path string
		form           url.Values
		status         int
		says           string
	}{
		"nobody looks":        {"", "/console", nil, 401, ""},
		"wrong password":      {"guess", "/console/posts", nil, 401, ""},
		"viewer looks":        {viewerPassword, "/console/posts/" + p.ID, nil, 200, "read-only access"},
		"viewer cancels":      {viewerPassword, "/console/posts/" + p.ID + "/cancel", url.Values{}, 403, ""},
		"viewer pauses":       {viewerPassword, "/console/pause", url.Values{"scope": {"tiktok"}}, 403, ""},
		"no such post":        {operatorPassword, "/console/posts/" + strings.Repeat("0", 8) + "-0000-7000-8000-000000000000", nil, 404, "not found"},
		"no id":               {operatorPassword, "/console/posts/x%00y", nil, 404, ""},
		"no such page":        {operatorPassword, "/console/nothing", nil, 404, "Not found"},
		"no such account":     {operatorPassword, "/console/accounts/tiktok/4711", nil, 404, ""},
		"huge account":        {operatorPassword, "/console/accounts/tiktok/99999999999999999999", nil, 404, ""},
		"no such state":       {operatorPassword, "/console/posts?status=lost", nil, 422, "status: must be one of"},
		"no number":           {operatorPassword, "/console/posts?account=x&app=-1", nil, 422, "account"},
		"no cursor":           {operatorPassword, "/console/posts?before=x", nil, 422, "before"},
		"NUL in the search":   {operatorPassword, "/console/posts?q=%00", nil, 422, "q: is not a valid id"},
		"no UTF-8 to search":  {operatorPassword, "/console/posts?q=%ff", nil, 422, "q: is not a valid id"},
		"settle, no UTF-8":    {operatorPassword, "/console/posts/" + p.ID + "/resolve", url.Values{"outcome": {"live"}, "platform_post_id": {"\xff"}}, 422, "platform_post_id"},
		"run again, no ids":   {operatorPassword, "/console/posts/retry", url.Values{"id": {"x\x00y", "\xff", p.ID}}, 303, ""},
		"pause, no UTF-8":     {operatorPassword, "/console/pause", url.Values{"scope": {"tiktok"}, "reason": {"odd \xff"}}, 303, ""},
		"and resume":          {operatorPassword, "/console/resume", url.Values{"scope": {"tiktok"}}, 303, ""},
		"retry of a live one": {operatorPassword, "/console/posts/" + p.ID + "/retry", url.Values{}, 409, "only failed and missed posts"},
		"settle a sure one":   {operatorPassword, "/console/posts/" + p.ID + "/resolve", url.Values{"outcome": {"live"}, "platform_post_id": {"1"}}, 409, "only posts whose result is unknown"},
		"settle without id":   {operatorPassword, "/console/posts/" + p.ID + "/resolve", url.Values{"outcome": {"live"}}, 422, "platform_post_id"},
		"settle, script link": {operatorPassword, "/console/posts/" + p.ID + "/resolve", url.Values{"outcome": {"live"}, "platform_post_id": {"1"}, "permalink": {"javascript:alert(1)"}}, 422, "permalink"},
		"settle as what":      {operatorPassword, "/console/posts/" + p.ID + "/resolve", url.Values{}, 422, "outcome"},
		"pause what":          {operatorPassword, "/console/pause", url.Values{"scope": {"facebook"}}, 422, "platform"},
		"pause nobody":        {operatorPassword, "/console/pause", url.Values{"scope": {"tiktok:4711"}}, 422, "account"},
		"pause, long reason":  {operatorPassword, "/console/pause", url.Values{"scope": {"tiktok"}, "reason": {strings.Repeat("x", 501)}}, 422, "reason"},
		"a form too large":    {operatorPassword, "/console/pause", url.Values{"scope": {strings.Repeat("x", 70_000)}}, 422, "too large"},
		"the method":          {operatorPassword, "/console/accounts", url.Values{}, 404, ""},
	} {
		status, _, body := w.page(c.password, c.path, c.form)
		if status != c.status || !strings.Contains(body, c.says) {
			t.Errorf("%s: %d, want %d and %q: %s", name, status, c.status, c.says, body)
		}
		if c.status >= 400 && strings.Contains(body, "goroutine") {
			t.Errorf("%s: a panic is shown", name)
		}
	}
	forged, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url()+"/console/posts/"+p.ID+"/cancel", nil)
	w.must(err)
	forged.SetBasicAuth("operator", operatorPassword)
	forged.Header.Set("Origin", "https://evil.example")
	resp, err := w.http.Do(forged)
	w.must(err)
	_ = resp.Body.Close()
	if got := w.post(p.ID).Status; resp.StatusCode != http.StatusForbidden || got != "scheduled" {
		t.Errorf("another site: %s, the post is %s", resp.Status, got)
	}
	if strings.Contains(w.logs.String(), operatorPassword) {
		t.Error("the password is in the log")
	}
}

// behind raises the high-water mark beyond the ledger, as a restore of the database from a
// backup leaves it, and waits until the scheduler has noticed.
func (w *system) behind() {
	w.t.Helper()
	marks := highwater.NewRedis(w.redis)
	testkit.Await(w.t, testkit.Patience, "there is a mark", func() (bool, string) {
		mark, err := marks.Read(w.t.Context())
		w.must(err)
		if mark == nil {
			return false, "none"
		}
		replaced, err := marks.Replace(w.t.Context(), mark, highwater.New(mark.Identity, mark.Seq+1000, time.Now()))
		w.must(err)
		return replaced, "another run raised it"
	})
	testkit.Await(w.t, testkit.Patience, "the restore is noticed", func() (bool, string) {
		restores, err := w.db.Restores.List(w.t.Context())
		w.must(err)
		return len(restores) > 0, "it is not"
	})
}

// Posts of a restored database that may be live are listed with the reason, and go out only
// once an operator releases them; those that no search could have found one by one.
func TestConsoleReleasesHeldPosts(t *testing.T) {
	t.Parallel()
	w := newSystem(t, operated())
	w.startScheduler()
	ig, tt := w.instagramAccount(), w.tiktokAccount()
	still, clip := w.upload("image/jpeg", sample.Picture), w.upload("video/mp4", sample.Video)
	if page := w.looks("/console"); strings.Contains(page, "estored") {
		t.Errorf("nothing was restored, and the overview speaks of it: %s", page)
	}
	wantText(t, w.looks("/console/restored"), "No restore was found.", "No post is held.")
	first, second := w.accept(ig, picture(ig, still, "the <first>")), w.accept(ig, picture(ig, still, "the second"))
	hidden := w.accept(tt, video(tt, clip, "nobody can find it"))
	w.behind()
	w.startWorker()
	testkit.Await(t, testkit.Patience, "three posts are held", func() (bool, string) {
		page := w.looks("/console/restored")
		return strings.Contains(page, "Held posts: 3"), page
	})

	wantText(t, w.looks("/console"), "The database was found restored", "3 posts are held until you release them.")
	page := w.looks("/console/restored")
	wantText(t, page, "Calls were made that the database does not know of.", "searched for on its account before it is sent",
		first.ID, second.ID, hidden.ID, "the &lt;first&gt;", "nobody can find it", "A search of the account did not find the post",
		"No search can show whether the post is live.", "Release all 2 that a search did not find", "1 post has to be released one by one")
	if _, _, seen := w.page(viewerPassword, "/console/restored", nil); !strings.Contains(seen, hidden.ID) || strings.Contains(seen, "<button>Release") {
		t.Errorf("who may only look sees %s", seen)
	}
	release := "/console/posts/" + hidden.ID + "/release"
	looked := url.Values{"looked": {"yes"}}
	for name, c := range map[string]struct {
		password, path string
		form           url.Values
		status         int
	}{
		"all, without looking":  {operatorPassword, "/console/restored/release", url.Values{}, 422},
		"one, without looking":  {operatorPassword, release, url.Values{}, 422},
		"all, by a viewer":      {viewerPassword, "/console/restored/release", looked, 403},
		"one, by a viewer":      {viewerPassword, release, looked, 403},
		"a page behind no post": {operatorPassword, "/console/restored?after=x", nil, 422},
	} {
		if status, _, body := w.page(c.password, c.path, c.form); status != c.status {
			t.Errorf("%s: %d, want %d: %s", name, status, c.status, body)
		}
	}

	wantText(t, w.does("/console/restored/release", looked), "All posts that a search did not find were released.", "Held posts: 1")
	for _, p := range []post{first, second} {
		w.untilStatus(testkit.Patience, p.ID, "published")
	}
	if n := len(w.sim.LivePosts()); n != 2 {
		t.Errorf("%d posts are live before the third is released, want 2", n)
	}
	wantText(t, w.looks("/console/posts/"+hidden.ID), "Held: No search can show whether the post is live.", "none, held until you release it", "Release this post")
	wantText(t, w.does(release, url.Values{"looked": {"yes"}, "back": {"restored"}}), "The post was released. It will be sent.", "Held posts: 0")
	w.untilStatus(testkit.Patience, hidden.ID, "published")
	wantText(t, w.looks("/console/posts/"+hidden.ID), "released by operator: not live; it is sent")
	if status, _, body := w.page(operatorPassword, release, looked); status != http.StatusConflict {
		t.Errorf("released twice: %d %s", status, body)
	}
	if n := len(w.sim.LivePosts()); n != 3 {
		t.Errorf("%d posts are live, want 3", n)
	}
}

// A list of held posts has pages.
func TestConsolePagesHeldPosts(t *testing.T) {
	t.Parallel()
	w := newSystem(t, operated())
	tt := w.tiktokAccount()
	clip := w.upload("video/mp4", sample.Video)
	const n = 51
	for i := range n {
		w.accept(tt, video(tt, clip, fmt.Sprint("held ", i)).with(fields{"publish_at": time.Now().Add(time.Hour)}))
	}
	w.exec("UPDATE posts SET admission = 'held', held_reason = 'not_searchable'")
	first := w.looks("/console/restored")
	next := regexp.MustCompile(`href="(/console/restored\?after=[^"]+)"`).FindStringSubmatch(first)
	if next == nil || strings.Count(first, ">Release<") != n-1 {
		t.Fatalf("the first page does not hold %d posts and a link: %s", n-1, first)
	}
	if second := w.looks(next[1]); strings.Count(second, ">Release<") != 1 || strings.Contains(second, "More held posts") {
		t.Errorf("the second page does not hold the last post: %s", second)
	}
}

// A post can be settled in every state in which the result of a call is unknown.
func TestConsoleSettlesBetweenTries(t *testing.T) {
	t.Parallel()
	w := newSystem(t, operated())
	w.startScheduler()
	stopWorker := w.startWorker()
	ig := w.instagramAccount()
	p := w.uncertain(ig, w.upload("image/jpeg", sample.Picture), "between two tries")
	stopWorker()
	w.exec("UPDATE posts SET status = 'publishing', lease_until = NULL")
	wantText(t, w.looks("/console/posts/"+p.ID), "Settle this post")
	wantText(t, w.settles(p.ID, url.Values{"outcome": {"live"}, "platform_post_id": {"18000000000000001"}}), "published live")
}
