//go:build browser

package browser

import (
	"fmt"
	"slices"
	"strings"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// nameControl names a button by its text and where it sends its form, whichever post that
// is about, and a link by its text.
const nameControl = `(e => !e ? "" : !e.form ? e.textContent.trim() :
	e.textContent.trim() + " to " + new URL(e.form.action).pathname.replace(/[0-9a-f]{8}-[0-9a-f-]{27}/, "ID"))`

// noteControls remembers what can be pressed on a page of the console.
func (b *browser) noteControls() {
	b.t.Helper()
	if !strings.HasPrefix(b.last.address.Path, "/console") {
		return
	}
	const all = `[...document.querySelectorAll("button, a[href*=follow], footer a")].map(` + nameControl + `)`
	for _, name := range run(b, "look for controls", chromedp.Evaluate[[]string](all)) {
		b.seen[name] = true
	}
}

// notePress remembers that what a script finds is about to be pressed.
func (b *browser) notePress(element string) {
	b.t.Helper()
	b.pressed[run(b, "name "+element, chromedp.Evaluate[string](nameControl+"("+element+")"))] = true
}

// wantAllPressed wants each control that was seen on the console's pages to have been
// pressed somewhere.
func (b *browser) wantAllPressed() {
	b.t.Helper()
	for name := range b.seen {
		if !b.pressed[name] {
			b.t.Errorf("nobody pressed: %s", name)
		}
	}
}

// mostTabs is how often Tab is pressed before a control counts as out of reach.
const mostTabs = 60

// tabTo presses Tab until what is named has the focus, and wants the focus to be seen at
// every stop on the way. Fields have the name that they send.
func (b *browser) tabTo(name string) {
	b.t.Helper()
	const focused = `(() => {
		const e = document.activeElement, style = getComputedStyle(e), at = e.getBoundingClientRect();
		const around = parseFloat(style.outlineWidth) + parseFloat(style.outlineOffset);
		return {
			name: e.matches("button, a") ? e.textContent.trim() : e.name || e.type || "",
			seen: e === document.body || (e.matches(":focus-visible") && style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2
				&& at.width > 0 && at.left >= 0 && at.top >= around && at.bottom + around <= innerHeight),
		}})()`
	type stop struct {
		Name string `json:"name"`
		Seen bool   `json:"seen"`
	}
	var names []string
	for range mostTabs {
		run(b, "press Tab", chromedp.KeyEvent(kb.Tab))
		at := run(b, "look where the focus is", chromedp.Evaluate[stop](focused))
		if !at.Seen {
			b.t.Errorf("%v: the focus on %q is not seen", b.last, at.Name)
		}
		if at.Name == name {
			return
		}
		names = append(names, at.Name)
	}
	b.t.Fatalf("%v: Tab does not come to %q, but to %q", b.last, name, slices.Compact(names))
}

// keys types into what has the focus.
func (b *browser) keys(text string) {
	b.t.Helper()
	run(b, fmt.Sprintf("type %q", text), chromedp.KeyEvent(text))
}

// enter presses Enter on what has the focus, which leads to another page.
func (b *browser) enter() visit {
	b.t.Helper()
	b.notePress("document.activeElement")
	return b.arrive("press Enter", leaving(chromedp.KeyEvent(kb.Enter)))
}

// pick chooses the option of a list that begins with a text.
func (b *browser) pick(name, text string) {
	b.t.Helper()
	run(b, "pick "+text, chromedp.SendKeys(fmt.Sprintf(`//select[@name=%q]`, name), text))
}
