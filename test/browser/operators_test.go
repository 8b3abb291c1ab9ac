//go:build browser

package browser

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"socialqueue/sandbox"
	"socialqueue/sandbox/sample"
	"socialqueue/test/testkit"
)

const (
	operatorPassword = "operator-of-the-tests"
	viewerPassword   = "viewer-of-the-tests"
)

// logIn shows the browser a password, which it then sends by itself.
func (b *browser) logIn(w *system, password, path string) visit {
	b.t.Helper()
	address, err := url.Parse(w.url() + path)
	w.must(err)
	address.User = url.UserPassword("operator", password)
	b.open(address.String())
	return b.open(w.url() + path)
}

// store stores a file as the app does.
func (w *system) store(content []byte) string {
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

func (w *system) post(path string, body map[string]any) (id string) {
	w.t.Helper()
	var p post
	w.call("POST", path, body, &p)
	return p.ID
}

func (w *system) untilStatus(id, status string) {
	w.t.Helper()
	testkit.Await(w.t, 2*time.Minute, "post "+id+" is "+status, func() (bool, string) {
		var p post
		w.call("GET", "/api/posts/"+id, nil, &p)
		return p.Status == status, p.Status
	})
}

// show is a system with posts in every state that an operator cares for.
type show struct {
	uncertain, failed, scheduled string
	tiktok, instagram            int64
	// video and picture post something that is due in a while.
	video, picture func(text string, in time.Duration) (id string)
}

func (w *system) stage(b *browser) show {
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
	picture := func(caption string, in time.Duration) string {
		return w.post("/api/instagram/publish", map[string]any{
			"account_id": ids["instagram"], "media_type": "IMAGE", "media_id": still, "caption": caption, "publish_at": time.Now().Add(in),
		})
	}
	w.untilStatus(video("Opening day #bakery", 0), "published")
	s := show{tiktok: ids["tiktok"], instagram: ids["instagram"], video: video, picture: picture}
	s.failed = w.refused(s)
	w.sim.Script(
		sandbox.Fault{Op: sandbox.OpInstagramPublish, Mode: sandbox.ModeReset, After: true},
		sandbox.Fault{Op: sandbox.OpInstagramContainerStatus, Mode: sandbox.ModeStatus, Status: 503, Skip: 1, Times: -1},
		sandbox.Fault{Op: sandbox.OpInstagramMedia, Mode: sandbox.ModeStatus, Status: 503, Times: -1},
	)
	s.uncertain = picture("Fresh <b>bread</b>", 0)
	w.untilStatus(s.uncertain, "uncertain")
	s.scheduled = video("Tomorrow", 24*time.Hour)
	return s
}

// refused is a post that TikTok refuses.
func (w *system) refused(s show) (id string) {
	w.t.Helper()
	w.sim.Script(sandbox.Fault{Op: sandbox.OpTikTokInit, Mode: sandbox.ModeError, Code: "privacy_level_option_mismatch"})
	id = s.video("Refused", 0)
	w.untilStatus(id, "failed")
	return id
}

// settle does what settles a post, once no worker looks at it: until then the page says
// to try again.
func (b *browser) settle(w *system, id string, do func() visit) visit {
	b.t.Helper()
	for deadline := time.Now().Add(stepTimeout); ; {
		b.open(w.url() + "/console/posts/" + id)
		if v := do(); v.status != http.StatusConflict || time.Now().After(deadline) {
			return v
		}
	}
}

// An operator goes through the console and presses every button that it has.
func TestConsole(t *testing.T) {
	w, b := newSystem(t), newBrowser(t)
	s := w.stage(b)
	b.wantPage(b.logIn(w, operatorPassword, "/console"), 200, "Overview", s.uncertain, s.failed)
	b.photograph("console-overview")
	b.wantPage(b.open(w.url()+"/console/posts"), 200, "Posts", s.uncertain, s.failed, s.scheduled)
	b.photograph("console-posts")
	b.wantPage(b.open(w.url()+"/console/posts/"+s.failed), 200, "Post "+s.failed, "PUBLISH_FAILED", "tiktok.init")
	b.photograph("console-failed")
	b.wantPage(b.press("Retry"), 200, "Post "+s.failed, "The post was queued again.")
	w.untilStatus(s.failed, "published")

	b.wantPage(b.open(w.url()+"/console/posts/"+s.uncertain), 200, "Post "+s.uncertain, "Settle this post", "Fresh <b>bread</b>")
	b.photograph("console-uncertain")
	v := b.settle(w, s.uncertain, func() visit {
		b.fill("platform_post_id", "18000000000000001")
		return b.press("Mark as live")
	})
	b.wantPage(v, 200, "Post "+s.uncertain, "The post is settled: live.")
	b.photograph("console-settled")

	b.open(w.url() + "/console/posts/" + s.scheduled)
	b.choose("Cancel this post permanently")
	b.wantPage(b.press("Cancel"), 200, "Post "+s.scheduled, "The post is canceled.")

	b.wantPage(b.open(fmt.Sprintf("%s/console/accounts/tiktok/%d", w.url(), s.tiktok)), 200, fmt.Sprintf("TikTok %d @zuckerbaeckerei.sonne", s.tiktok), "Live in the last 24 h")
	b.fill("reason", "its owner asked")
	v = b.press("Pause this account")
	b.wantPage(v, 200, fmt.Sprintf("TikTok %d @zuckerbaeckerei.sonne", s.tiktok), "is paused by operator: its owner asked")
	b.photograph("console-paused")
	v = b.press("Resume")
	b.wantPage(v, 200, fmt.Sprintf("TikTok %d @zuckerbaeckerei.sonne", s.tiktok), "Resumed.")
	b.wantPage(b.open(w.url()+"/console/accounts"), 200, "Accounts", "active")
	b.photograph("console-accounts")
	b.pick("platform", "Instagram")
	b.wantPage(b.press("Show"), 200, "Accounts", "Instagram "+fmt.Sprint(s.instagram))
	b.wantPage(b.open(fmt.Sprintf("%s/console/accounts/instagram/%d", w.url(), s.instagram)), 200, fmt.Sprintf("Instagram %d @sim000002", s.instagram), "0 of 100 used in 24 h")
	b.photograph("console-budget")
	b.open(w.url() + "/console")
	b.wantPage(b.press("Pause Instagram"), 200, "Overview", "instagram is paused")
	b.press("Resume")
	b.wantPage(b.follow("Follow this page"), 200, "Overview")
	b.wantPage(b.arrive("wait for the page to reload", leaving(chromedp.Func(func(context.Context, *chromedp.Target) error { return nil }))), 200, "Overview")
	b.follow("stop")

	refused := w.refused(s)
	b.fill("q", refused)
	b.wantPage(b.press("Find"), 200, "Posts", "Posts with the id "+refused)
	b.open(w.url() + "/console/posts")
	b.pick("status", "failed")
	b.wantPage(b.press("Show"), 200, "Posts", refused)
	b.choose("Retry the 1 failed and missed posts of this page")
	b.wantPage(b.press("Retry"), 200, "Posts", "All these posts were queued again.")
	w.untilStatus(refused, "published")
	b.wantPage(b.open(w.url()+"/console/posts?status=lost"), 422, "Invalid input", "status")
	b.photograph("console-error")

	b.look(atDesk)
	w.byKeyboard(b, s)
	b.wantAllPressed()
	if n := len(w.sim.LivePosts()); n != 5 {
		t.Errorf("%d posts are live, want 5", n)
	}
}

// byKeyboard pauses a platform, resumes it and has a post sent again without a mouse.
func (w *system) byKeyboard(b *browser, s show) {
	w.t.Helper()
	b.open(w.url() + "/console")
	b.tabTo("Skip to content")
	b.tabTo("reason")
	b.keys("by keyboard")
	b.tabTo("Pause TikTok")
	b.shoot("console-focus", atDesk)
	b.wantPage(b.enter(), 200, "Overview", "tiktok is paused by operator: by keyboard")
	b.tabTo("Resume")
	b.wantPage(b.enter(), 200, "Overview", "Resumed.")

	w.sim.ClearFaults()
	w.sim.Script(
		sandbox.Fault{Op: sandbox.OpInstagramPublish, Mode: sandbox.ModeReset}, // it never arrived
		sandbox.Fault{Op: sandbox.OpInstagramContainerStatus, Mode: sandbox.ModeStatus, Status: 503, Skip: 1, Times: -1},
		sandbox.Fault{Op: sandbox.OpInstagramMedia, Mode: sandbox.ModeStatus, Status: 503, Times: -1},
	)
	lost := s.picture("Lost on the way", 0)
	w.untilStatus(lost, "uncertain")
	v := b.settle(w, lost, func() visit {
		b.tabTo("looked")
		b.keys(" ")
		b.tabTo("Send it again")
		return b.enter()
	})
	b.wantPage(v, 200, "Post "+lost, "The post is settled: not live. It will be sent again.")
	w.sim.ClearFaults()
	w.untilStatus(lost, "published")
}

// Who only looks finds no button, on any page.
func TestConsoleOfAViewer(t *testing.T) {
	w, b := newSystem(t), newBrowser(t)
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
	w, b := newSystem(t), newBrowser(t)
	s := w.stage(b)
	b.look(atDesk)
	w.sim.ClearFaults()
	w.untilStatus(s.uncertain, "published")
	soon := s.picture("Soon", 75*time.Second)
	others := []string{s.picture("Another", 75*time.Second), s.picture("A third", 75*time.Second)}
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
	b.monitorMany(w, others)
	for _, page := range []string{"/servers", "/schedulers", "/redis", "/settings"} {
		if v := b.open(w.url() + "/monitoring" + page); v.status != 200 {
			t.Errorf("%v", v)
		}
	}
	b.open(w.url() + "/monitoring")
	b.wantCell("publish")
	b.pressInRow("publish", "Resume")
	for _, id := range append(others, soon) {
		w.untilStatus(id, "published")
	}
	b.cancelActive(w, s)
	if n := len(w.sim.LivePosts()); n != 6 {
		t.Errorf("%d posts are live, want 6", n)
	}
}

// monitorMany does to several tasks at once whatever asynqmon offers: to those that are
// ticked, and to all.
func (b *browser) monitorMany(w *system, posts []string) {
	b.t.Helper()
	gone := func(what string, ids ...string) {
		b.t.Helper()
		for _, id := range ids {
			run(b, id+" is gone: "+what, chromedp.WaitNotPresent(rowOf(id)))
		}
	}
	in := func(state string) {
		b.t.Helper()
		b.openTasks(w, state)
		for _, id := range posts {
			run(b, id+" is "+state, chromedp.WaitVisible(rowOf(id)))
		}
	}
	in("scheduled")
	b.all("Archive All")
	gone("Archive All", posts...)
	in("archived")
	b.all("Run All")
	gone("Run All", posts...)
	in("pending")
	b.ticked(`//thead//input[@type="checkbox"]`, "Archive")
	gone("Archive", posts...)
	in("archived")
	b.shoot("monitoring-many", atDesk)
	b.ticked(`//thead//input[@type="checkbox"]`, "Run")
	gone("Run", posts...)
	in("pending")
	b.ticked(rowOf(posts[0])+`//input[@type="checkbox"]`, "Delete")
	gone("Delete", posts[0])
	b.all("Delete All")
	gone("Delete All", posts...)
}

// ticked ticks a box, and presses the button for all tasks that are ticked.
func (b *browser) ticked(box, title string) {
	b.t.Helper()
	button := fmt.Sprintf(`//button[@title=%q and not(ancestor::tbody)]`, title)
	run(b, "a box to tick", chromedp.WaitReady(box))
	b.onRow(box, "row.click()")
	run(b, title+" is shown", chromedp.WaitVisible(button))
	b.onRow(button, "row.click()")
}

// all picks what is done to all tasks of a list from its menu.
func (b *browser) all(item string) {
	b.t.Helper()
	run(b, "open the menu", chromedp.Click(`//button[@aria-label="actions"]`))
	run(b, item, chromedp.Click(fmt.Sprintf(`//li[normalize-space()=%q]`, item)))
}

// cancelActive cancels a task in the middle of its work: the post is handed back, and
// goes live all the same.
func (b *browser) cancelActive(w *system, s show) {
	b.t.Helper()
	w.sim.Script(sandbox.Fault{Op: sandbox.OpInstagramQuota, Mode: sandbox.ModeHang})
	id := s.picture("Cut off", 0)
	w.untilStatus(id, "publishing")
	b.openTasks(w, "active")
	b.pressInRow(id, "Cancel")
	w.untilStatus(id, "published")
	var timeline struct {
		Events []struct{ Message string }
	}
	w.call("GET", "/api/posts/"+id+"/events", nil, &timeline)
	for _, e := range timeline.Events {
		if strings.HasPrefix(e.Message, "handed back") {
			return
		}
	}
	b.t.Errorf("the task was not canceled: %+v", timeline.Events)
}

// Who only looks sees the same pages without buttons.
func TestMonitoringOfAViewer(t *testing.T) {
	w, b := newSystem(t), newBrowser(t)
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
	w, b := newSystem(t), newBrowser(t)
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
func (b *browser) openTasks(w *system, state string) {
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
