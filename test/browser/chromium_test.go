//go:build browser

package browser

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// stepTimeout bounds each thing that the browser does. It is long for a loaded
// machine: nothing waits for it unless something is wrong.
const stepTimeout = 30 * time.Second

// chromium is the browser's binary.
var chromium string

func findChromium() (string, error) {
	const install = "install Chromium or Chrome (on Debian: apt-get install chromium), or name its binary in CHROMIUM"
	if named := os.Getenv("CHROMIUM"); named != "" {
		path, err := exec.LookPath(named)
		if err != nil {
			return "", fmt.Errorf("CHROMIUM=%s is no program that runs here (%w): %s", named, err, install)
		}
		return path, nil
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("the browser tests drive a real browser, and there is none here: %s", install)
}

// picturesDir is where the pictures go; without BROWSER_PICTURES they are gone
// after the test. A relative one starts at the root of the repository.
func picturesDir(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("BROWSER_PICTURES")
	if dir == "" {
		return t.TempDir()
	}
	if !filepath.IsAbs(dir) {
		dir = filepath.Join("..", "..", dir)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// browser is a Chromium of its own, with one tab and an empty profile.
type browser struct {
	t        *testing.T
	ctx      context.Context
	pictures string
	last     visit
	// seen and pressed are the controls of the console.
	seen, pressed map[string]bool
}

func newBrowser(t *testing.T) *browser {
	t.Helper()
	// Not the test's context: it ends before Cleanup, and the browser with it.
	ctx, cancelAllocator := chromedp.NewExecAllocator(context.Background(), flags()...)
	ctx, cancel := chromedp.NewContext(ctx)
	t.Cleanup(cancelAllocator)
	t.Cleanup(func() {
		closing, done := context.WithTimeout(ctx, stepTimeout)
		defer done()
		if err := chromedp.Cancel(closing); err != nil {
			t.Errorf("close the browser: %v", err)
		}
	})
	b := &browser{t: t, ctx: ctx, pictures: picturesDir(t), seen: map[string]bool{}, pressed: map[string]bool{}}
	// The browser lives as long as the context of its first call, so that has no
	// timeout of its own.
	late := time.AfterFunc(stepTimeout, cancel)
	err := chromedp.Do(ctx)
	if !late.Stop() {
		t.Fatalf("%s did not start within %v", chromium, stepTimeout)
	}
	if err != nil {
		t.Fatalf("start %s: %v", chromium, err)
	}
	if err := chromedp.Listen(ctx, b.hear); err != nil {
		t.Fatal(err)
	}
	b.look(onPhone)
	return b
}

// flags are how Chromium is started. Its profile is a new folder each time, gone
// afterwards.
func flags() []chromedp.ExecAllocatorOption {
	options := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(chromium), chromedp.Headless, chromedp.DisableGPU, chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck,
		// chromedp loses its way in a page that Chromium kept: load the one before anew.
		chromedp.Flag("disable-features", "BackForwardCache"),
	}
	for _, name := range []string{
		"disable-quic", "disable-background-networking", "disable-breakpad", "disable-component-update", "disable-dev-shm-usage", "disable-sync",
	} {
		options = append(options, chromedp.Flag(name, true))
	}
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // it does not work for root
	}
	return options
}

// hear fails the test if a page's script fails, or if its security policy stops a
// part of it.
func (b *browser) hear(event any) {
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		b.t.Errorf("a script failed: %v", &chromedp.ExceptionError{ExceptionDetails: e.ExceptionDetails})
	case *log.EventEntryAdded:
		if e.Entry.Source != log.EntrySourceNetwork { // such as a status of 400
			b.t.Errorf("the browser says: %s (%s)", e.Entry.Text, e.Entry.Source)
		}
	}
}

// run does one thing in the browser's tab.
func run[T any](b *browser, what string, action chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, stepTimeout)
	defer cancel()
	v, err := chromedp.Run(ctx, action)
	if err != nil {
		b.t.Fatalf("%s: %v, after %v", what, err, b.last)
	}
	return v
}

// visit is a page that the browser came to.
type visit struct {
	address *url.URL // as the address bar shows it
	status  int64
}

func (v visit) String() string { return fmt.Sprintf("%v (%d)", v.address, v.status) }

// open goes to an address as if it was typed in.
func (b *browser) open(address string) visit {
	b.t.Helper()
	return b.arrive("open "+address, chromedp.NavigateResponse(address))
}

// press clicks a button that leads to another page.
func (b *browser) press(button string) visit {
	b.t.Helper()
	return b.leaveBy(fmt.Sprintf(`//button[normalize-space()=%q]`, button))
}

// follow clicks a link.
func (b *browser) follow(link string) visit {
	b.t.Helper()
	return b.leaveBy(fmt.Sprintf(`//a[normalize-space()=%q]`, link))
}

func (b *browser) leaveBy(control string) visit {
	b.t.Helper()
	b.notePress(fmt.Sprintf(`document.evaluate(%q, document, null, XPathResult.FIRST_ORDERED_NODE_TYPE).singleNodeValue`, control))
	return b.arrive("press "+control, leaving(chromedp.Click(control)))
}

// reload loads the page again.
func (b *browser) reload() visit {
	b.t.Helper()
	return b.arrive("reload", leaving(chromedp.Reload()))
}

// back goes to the page before.
func (b *browser) back() visit {
	b.t.Helper()
	return b.arrive("go back", leaving(chromedp.NavigateBack()))
}

// leaving does what leads to another page and waits until that is there.
func leaving(action chromedp.Action[chromedp.Void]) chromedp.Action[*network.Response] {
	return func(ctx context.Context, _ *chromedp.Target) (*network.Response, error) {
		return chromedp.RunResponse(ctx, action)
	}
}

func (b *browser) arrive(what string, action chromedp.Action[*network.Response]) visit {
	b.t.Helper()
	response := run(b, what, action)
	address, err := url.Parse(run(b, what, chromedp.Location()))
	if err != nil {
		b.t.Fatalf("%s: %v", what, err)
	}
	b.last = visit{address, response.Status}
	b.noteControls()
	return b.last
}

// choose clicks the text beside a radio button or a checkbox.
func (b *browser) choose(text string) {
	b.t.Helper()
	run(b, "choose "+text, chromedp.Click(labelOf(text)))
}

// fill types into the field of a form.
func (b *browser) fill(name, text string) {
	b.t.Helper()
	run(b, "fill "+name, chromedp.SendKeys(fmt.Sprintf(`//input[@name=%q]`, name), text))
}

func labelOf(text string) string { return fmt.Sprintf(`//label[contains(., %q)]`, text) }

func (b *browser) wantShown(text string) {
	b.t.Helper()
	run(b, text+" is shown", chromedp.WaitVisible(labelOf(text)))
}

func (b *browser) wantHidden(text string) {
	b.t.Helper()
	run(b, text+" is hidden", chromedp.WaitNotVisible(labelOf(text)))
}

// wantTicked says whether the box beside a text is ticked.
func (b *browser) wantTicked(text string, want bool) {
	b.t.Helper()
	if got := run(b, "look at "+text, chromedp.JavascriptAttribute[bool](labelOf(text)+"/input", "checked")); got != want {
		b.t.Errorf("%s is ticked: %v, want %v", text, got, want)
	}
}

// wantPage says which page the browser shows, and what is written on it.
func (b *browser) wantPage(v visit, status int64, heading string, parts ...string) {
	b.t.Helper()
	if got := run(b, "read the heading", chromedp.Text(chromedp.CSS("h1"))); v.status != status || got != heading {
		b.t.Fatalf("%v shows %q, want %d %q", v, got, status, heading)
	}
	text := run(b, "read the page", chromedp.Text(chromedp.CSS("main")))
	for _, part := range parts {
		if !strings.Contains(text, part) {
			b.t.Errorf("%v does not say %q:\n%s", v, part, text)
		}
	}
}

// screen is how a page is looked at.
type screen struct {
	width, height int64
	scheme        string // prefers-color-scheme
}

func (s screen) String() string { return fmt.Sprintf("%dx%d-%s", s.width, s.height, s.scheme) }

func (s screen) isPhone() bool { return s.width < 600 }

// onPhone is how the people here look at pages; screens are all that are
// photographed.
var (
	onPhone = screen{360, 740, "light"}
	atDesk  = screen{1280, 800, "light"}
	screens = []screen{onPhone, {360, 740, "dark"}, atDesk, {1280, 800, "dark"}}
)

func (b *browser) look(s screen) {
	b.t.Helper()
	var options []chromedp.EmulateViewportOption
	if s.isPhone() {
		options = append(options, chromedp.EmulateMobile)
	}
	features := []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: s.scheme}}
	run(b, "look", chromedp.Steps(
		chromedp.EmulateViewport(s.width, s.height, options...),
		chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
			_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features})
			return err
		}),
	))
}

// photograph takes a picture of the whole page on every screen, and says that
// none of them has to be scrolled sideways.
func (b *browser) photograph(name string) {
	b.t.Helper()
	for _, s := range screens {
		b.look(s)
		width := run(b, "measure", chromedp.Evaluate[int64](`document.documentElement.scrollWidth`))
		if width > s.width {
			b.t.Errorf("%s is %d pixels wide on %v", name, width, s)
		}
		b.shoot(name, s)
	}
	b.look(onPhone)
}

// shoot takes a picture as the page is, which shows on a screen.
func (b *browser) shoot(name string, s screen) {
	b.t.Helper()
	picture := run(b, "photograph", chromedp.FullScreenshot(100))
	if err := os.WriteFile(filepath.Join(b.pictures, fmt.Sprintf("%s-%v.png", name, s)), picture, 0o644); err != nil {
		b.t.Fatal(err)
	}
}
