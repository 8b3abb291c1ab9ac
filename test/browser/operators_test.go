//go:build browser

package browser

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"socialqueue/sandbox"
	"socialqueue/sandbox/sample"
)

const (
	operatorPassword = "operator-of-the-tests"
	viewerPassword   = "viewer-of-the-tests"
)

// logIn shows the browser a password, which it then sends by itself.
func (b *browser) logIn(w *world, password, path string) visit {
	b.t.Helper()
	address, err := url.Parse(w.url() + path)
	w.must(err)
	address.User = url.UserPassword("operator", password)
	b.open(address.String())
	return b.open(w.url() + path)
}

// store stores a file as the app does.
func (w *world) store(content []byte) string {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.url()+"/api/media", bytes.NewReader(content))
	w.must(err)
	req.Header.Set("Authorization", "Bearer "+w.key.Reveal())
	resp, err := w.http.Do(req)
	w.must(err)
	defer resp.Body.Close()
	var stored struct{ ID string }
	w.must(json.NewDecoder(resp.Body).Decode(&stored))
	return stored.ID
}

type post struct{ ID, Status string }

func (w *world) post(path string, body map[string]any) (id string) {
	w.t.Helper()
	var p post
	w.call("POST", path, body, &p)
	return p.ID
}

func (w *world) untilStatus(id, status string) {
	w.t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		var p post
		if w.call("GET", "/api/posts/"+id, nil, &p); p.Status == status {
			return
		}
	}
	w.t.Fatalf("post %s never was %s", id, status)
}

// show is a system with posts in every state that an operator cares for.
type show struct {
	uncertain, failed, scheduled string
	tiktok, instagram            int64
	still                        string
}

func (w *world) stage(b *browser) show {
	w.t.Helper()
	people := w.hire()
	for platform, person := range map[string]string{"tiktok": people.tiktok.Nickname, "instagram": people.facebook.Name} {
		w.ask(b, platform, w.returnURL())
		b.choose(person)
		b.press("Allow")
	}
	ids := map[string]int64{}
	for _, a := range w.accounts() {
		ids[a.Platform] = a.ID
	}
	clip, still := w.store(sample.Video), w.store(sample.Picture)
	video := func(title string, in time.Duration) string {
		return w.post("/api/tiktok/upload", map[string]any{
			"account_id": ids["tiktok"], "media_id": clip, "title": title, "privacy_level": "PUBLIC_TO_EVERYONE", "publish_at": time.Now().Add(in),
		})
	}
	w.untilStatus(video("Opening day #bakery", 0), "published")
	s := show{tiktok: ids["tiktok"], instagram: ids["instagram"], still: still}
	w.sim.Script(sandbox.Fault{Op: sandbox.OpTikTokInit, Mode: sandbox.ModeError, Code: "privacy_level_option_mismatch"})
	s.failed = video("Refused", 0)
	w.untilStatus(s.failed, "failed")
	w.sim.Script(
		sandbox.Fault{Op: sandbox.OpInstagramPublish, Mode: sandbox.ModeReset, After: true},
		sandbox.Fault{Op: sandbox.OpInstagramContainerStatus, Mode: sandbox.ModeStatus, Status: 503, Skip: 1, Times: -1},
		sandbox.Fault{Op: sandbox.OpInstagramMedia, Mode: sandbox.ModeStatus, Status: 503, Times: -1},
	)
	s.uncertain = w.post("/api/instagram/publish", map[string]any{"account_id": ids["instagram"], "media_type": "IMAGE", "media_id": still, "caption": "Fresh <b>bread</b>"})
	w.untilStatus(s.uncertain, "uncertain")
	s.scheduled = video("Tomorrow", 24*time.Hour)
	return s
}

// An operator goes through the console and presses every button that it has.
func TestConsole(t *testing.T) {
	w, b := newWorld(t), newBrowser(t)
	s := w.stage(b)
	b.wantPage(b.logIn(w, operatorPassword, "/console"), 200, "Overview", s.uncertain, s.failed)
	b.photograph("console-overview")
	b.wantPage(b.open(w.url()+"/console/posts"), 200, "Posts", s.uncertain, s.failed, s.scheduled)
	b.photograph("console-posts")
	b.wantPage(b.open(w.url()+"/console/posts/"+s.failed), 200, "Post "+s.failed, "PUBLISH_FAILED", "tiktok.init")
	b.photograph("console-failed")
	b.wantPage(b.press("Run again"), 200, "Post "+s.failed, "The post runs again.")
	w.untilStatus(s.failed, "published")

	b.wantPage(b.open(w.url()+"/console/posts/"+s.uncertain), 200, "Post "+s.uncertain, "Settle it", "Fresh <b>bread</b>")
	b.photograph("console-uncertain")
	b.fill("platform_post_id", "18000000000000001")
	b.wantPage(b.press("It is live"), 200, "Post "+s.uncertain, "The post is settled: live.")
	b.photograph("console-settled")

	b.open(w.url() + "/console/posts/" + s.scheduled)
	b.choose("Withdraw it for good")
	b.wantPage(b.press("Cancel"), 200, "Post "+s.scheduled, "The post is canceled.")

	b.wantPage(b.open(fmt.Sprintf("%s/console/accounts/tiktok/%d", w.url(), s.tiktok)), 200, fmt.Sprintf("TikTok %d @zuckerbaeckerei.sonne", s.tiktok), "Live in the last 24 h")
	b.fill("reason", "its owner asked")
	v := b.press("Pause this account")
	b.wantPage(v, 200, fmt.Sprintf("TikTok %d @zuckerbaeckerei.sonne", s.tiktok), "is paused by operator: its owner asked")
	b.photograph("console-paused")
	v = b.press("Resume")
	b.wantPage(v, 200, fmt.Sprintf("TikTok %d @zuckerbaeckerei.sonne", s.tiktok), "Resumed.")
	b.wantPage(b.open(w.url()+"/console/accounts"), 200, "Accounts", "active")
	b.photograph("console-accounts")
	b.open(w.url() + "/console")
	b.wantPage(b.press("Pause Instagram"), 200, "Overview", "instagram is paused")
	b.press("Resume")
	b.wantPage(b.open(w.url()+"/console/posts?status=lost"), 422, "That cannot be done so", "status")
	b.photograph("console-trouble")
	if n := len(w.sim.LivePosts()); n != 3 {
		t.Errorf("%d posts are live, want 3", n)
	}
}

// Who only looks finds no button, on any page.
func TestConsoleOfAViewer(t *testing.T) {
	w, b := newWorld(t), newBrowser(t)
	s := w.stage(b)
	b.logIn(w, viewerPassword, "/console")
	for _, path := range []string{"", "/posts", "/posts/" + s.failed, "/posts/" + s.uncertain, "/posts/" + s.scheduled, fmt.Sprintf("/accounts/tiktok/%d", s.tiktok)} {
		if v := b.open(w.url() + "/console" + path); v.status != 200 {
			t.Errorf("%v", v)
		}
		if n := run(b, "count forms", chromedp.Evaluate[int](`document.querySelectorAll("form[method=post]").length`)); n != 0 {
			t.Errorf("%s has %d forms for who may look only", path, n)
		}
	}
	b.photograph("console-viewer")
}

// The page of the queues works without any other network, in its own fonts and icons;
// its buttons do what they say, and no post is lost or doubled by it.
func TestMonitoring(t *testing.T) {
	w, b := newWorld(t), newBrowser(t)
	s := w.stage(b)
	b.look(atDesk)
	w.sim.ClearFaults()
	w.untilStatus(s.uncertain, "published")
	soon := w.post("/api/instagram/publish", map[string]any{
		"account_id": s.instagram, "media_type": "IMAGE", "media_id": s.still, "caption": "Soon", "publish_at": time.Now().Add(45 * time.Second),
	})
	b.logIn(w, operatorPassword, "/monitoring")
	b.wantCell("publish")
	b.pressInRow("publish", "Pause")
	b.wantCell("paused")
	b.shoot("monitoring", atDesk)

	// Whatever is done to a post's task, the sweep gives the post another one.
	b.openTasks(w, "scheduled")
	b.wantCell("instagram:publish")
	b.shoot("monitoring-task", atDesk)
	b.pressTask(soon, "Archive")
	b.openTasks(w, "archived")
	b.pressTask(soon, "Run")
	b.openTasks(w, "pending")
	b.pressTask(soon, "Archive")
	b.openTasks(w, "archived")
	b.pressTask(soon, "Delete")
	for _, page := range []string{"/servers", "/schedulers", "/redis", "/settings"} {
		if v := b.open(w.url() + "/monitoring" + page); v.status != 200 {
			t.Errorf("%v", v)
		}
	}
	b.open(w.url() + "/monitoring")
	b.wantCell("publish")
	b.pressInRow("publish", "Resume")
	w.untilStatus(soon, "published")
	if n := len(w.sim.LivePosts()); n != 3 {
		t.Errorf("%d posts are live, want 3", n)
	}
}

// Who only looks sees the same pages without buttons.
func TestMonitoringOfAViewer(t *testing.T) {
	w, b := newWorld(t), newBrowser(t)
	w.stage(b)
	b.look(atDesk)
	b.logIn(w, viewerPassword, "/monitoring")
	b.wantCell("publish")
	if n := run(b, "count buttons", chromedp.Evaluate[int](`document.querySelectorAll("tbody button").length`)); n != 0 {
		t.Errorf("%d buttons for who may look only", n)
	}
	status := run(b, "pause as a script would", chromedp.Evaluate[int](`fetch("/monitoring/api/queues/publish:pause", {method: "POST"}).then(r => r.status)`, chromedp.EvalAwaitPromise))
	if status != http.StatusForbidden {
		t.Errorf("a viewer's POST is answered %d", status)
	}
	b.shoot("monitoring-viewer", atDesk)
}

// Another site's page cannot act through an operator's browser, which sends the
// password along by itself.
func TestForgedOrigin(t *testing.T) {
	w, b := newWorld(t), newBrowser(t)
	s := w.stage(b)
	b.logIn(w, operatorPassword, "/console")
	evil := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(rw, `<!doctype html><title>Kittens</title><h1>Kittens</h1><form method="post" action="%s/console/posts/%s/cancel"><button>More kittens</button></form>`, w.url(), s.scheduled)
	}))
	defer evil.Close()
	b.open(evil.URL)
	if v := b.press("More kittens"); v.status != http.StatusForbidden {
		t.Errorf("another site's form: %v", v)
	}
	w.untilStatus(s.scheduled, "scheduled")
}

// openTasks goes to the tasks of the queue publish that are in a state.
func (b *browser) openTasks(w *world, state string) {
	b.t.Helper()
	b.open(w.url() + "/monitoring/queues/publish?status=" + state)
}

// wantCell waits until some cell of a table says it.
func (b *browser) wantCell(text string) {
	b.t.Helper()
	run(b, text+" is shown", chromedp.WaitVisible(fmt.Sprintf(`//tbody//*[normalize-space()=%q]`, text)))
}

// pressInRow presses a button of asynqmon that shows only when the mouse comes near, in
// the row that says text.
func (b *browser) pressInRow(text, title string) {
	b.t.Helper()
	row := rowOf(text)
	run(b, "see "+text+", to "+title, chromedp.WaitVisible(row))
	b.onRow(row, `for (const e of [row, row.lastElementChild]) e.dispatchEvent(new MouseEvent("mouseover", {bubbles: true}))`)
	button := fmt.Sprintf(`%s//button[@title=%q]`, row, title)
	run(b, title+" is shown", chromedp.WaitVisible(button))
	b.onRow(row, fmt.Sprintf(`row.querySelector("button[title=%s]").click()`, title))
}

// pressTask presses such a button of a task, which then leaves the list.
func (b *browser) pressTask(text, title string) {
	b.t.Helper()
	b.pressInRow(text, title)
	run(b, text+" is gone: "+title, chromedp.WaitNotPresent(rowOf(text)))
}

func rowOf(text string) string { return fmt.Sprintf(`//tbody//tr[contains(., %q)]`, text) }

// onRow runs a script on a row.
func (b *browser) onRow(row, script string) {
	b.t.Helper()
	run(b, "run "+script, chromedp.Evaluate[bool](fmt.Sprintf(
		`(() => { const row = document.evaluate(%q, document, null, XPathResult.FIRST_ORDERED_NODE_TYPE).singleNodeValue; %s; return true })()`, row, script)))
}
