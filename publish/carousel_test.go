package publish_test

import (
	"bytes"
	"errors"
	pictures "image"
	"image/jpeg"
	"strings"
	"testing"
	"time"

	"socialqueue/models"
	"socialqueue/publish"
	instagramposts "socialqueue/publish/instagram"
	"socialqueue/sandbox"
	"socialqueue/test/testkit"
)

// containers counts the containers that the account has made: what 400 a day limits.
func (w *fixture) containers() int { return w.sim.CountCalls(sandbox.OpInstagramContainer) }

// TestFailedChildIsMadeAgainAlone: Instagram cannot fetch one of three files. Only that one
// gets another container, and the carousel goes live whole and in order.
func TestFailedChildIsMadeAgainAlone(t *testing.T) {
	for name, fault := range map[string]sandbox.Fault{
		"while processing": {Op: sandbox.OpInstagramProcess, Mode: sandbox.ModeFail, Code: "2207052"},
		"stuck":            {Op: sandbox.OpInstagramProcess, Mode: sandbox.ModeStuck},
		"at once":          {Op: sandbox.OpInstagramContainer, Mode: sandbox.ModeError, Code: "9004", Subcode: 2207052},
		"upload":           {Op: sandbox.OpInstagramUpload, Mode: sandbox.ModeError, Code: "ProcessingFailedError"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := onSQLite(t)
			w.sim.Script(fault)
			p := w.settle(w.accept(instagramCarousel))
			w.wantStatus(p, models.Published)
			w.wantLive(1)
			if got := len(w.sim.LivePosts()[0].Media); got != 3 {
				t.Errorf("%d files are live, want 3: %s", got, w.story(p))
			}
			if n := w.containers(); n != 3+1+1 {
				t.Errorf("%d containers were asked for, want one for each file, one again and the carousel's: %s", n, w.story(p))
			}
		})
	}
}

// TestRefusedChildNamesItsFile: the file of one child can never be published.
func TestRefusedChildNamesItsFile(t *testing.T) {
	w := onSQLite(t)
	p := w.accept(instagramCarousel)
	w.sim.Script(sandbox.Fault{Op: sandbox.OpInstagramProcess, Mode: sandbox.ModeFail, Code: "2207009"})
	p = w.settle(p)
	w.wantStatus(p, models.Failed)
	w.wantLive(0)
	if !strings.Contains(p.ErrorMessage, "file 1: ") || !strings.Contains(p.ErrorMessage, "This file is image/jpeg") {
		t.Errorf("error %q", p.ErrorMessage)
	}
}

// TestCarouselKeepsItsChildren: the process dies at each call. The next run makes at most the
// container again that was being made.
func TestCarouselKeepsItsChildren(t *testing.T) {
	calls := callsOf(t, instagramCarousel)
	for n := 0; n < calls; n += stride() {
		for _, after := range []bool{false, true} {
			w := onSQLite(t)
			w.wire.CutPower(n, after)
			p := w.settle(w.accept(instagramCarousel))
			w.wantStatus(p, models.Published)
			w.wantLive(1)
			if made := w.containers(); made > 3+1+1 {
				t.Errorf("cut at call %d, answered %v: %d containers: %s", n, after, made, w.story(p))
			}
		}
	}
}

// TestCarouselWaitsWithoutAWorker: the files take Instagram minutes. The post is polled
// meanwhile, and the account's other posts go out.
func TestCarouselWaitsWithoutAWorker(t *testing.T) {
	w := onSQLite(t)
	w.sim.Script(sandbox.Fault{Op: sandbox.OpInstagramProcess, Mode: sandbox.ModeStuck})
	slow := w.accept(instagramCarousel)
	w.until(slow, "processing", func(p *models.Post) bool { return p.Status == models.Processing })
	other := w.settle(w.accept(instagramImage))
	w.wantStatus(other, models.Published)
	w.wantStatus(slow, models.Processing)
	w.wantStatus(w.settle(slow), models.Published)
	w.wantLive(2)
}

// TestCarouselFromLinks: every file comes from a link of its own.
func TestCarouselFromLinks(t *testing.T) {
	w := onSQLite(t)
	l := newLink(t, sendVideo)
	p := w.accept(instagramCarousel, func(r *publish.Request) {
		r.Files = []publish.File{{URL: l.url + "?1"}, {MediaID: w.picture}, {URL: l.url + "?2"}}
	})
	p = w.settle(p)
	w.wantStatus(p, models.Published)
	w.wantLive(1)
	if got := len(w.sim.LivePosts()[0].Media); got != 3 || l.served.Load() != 2 {
		t.Errorf("%d files are live, %d were fetched: %s", got, l.served.Load(), w.story(p))
	}
}

// TestCarouselChecks: the number of files and each file are checked, and errors name it.
func TestCarouselChecks(t *testing.T) {
	w := onSQLite(t)
	var narrow bytes.Buffer
	w.must(jpeg.Encode(&narrow, pictures.NewGray(pictures.Rect(0, 0, 100, 100)), nil))
	small := w.upload(narrow.Bytes())
	files := func(ids ...string) (all []publish.File) {
		for _, id := range ids {
			all = append(all, publish.File{MediaID: id})
		}
		return all
	}
	for name, tc := range map[string]struct {
		change func(*publish.Request)
		field  string
	}{
		"none":         {func(r *publish.Request) { r.Files = nil }, "children"},
		"one":          {func(r *publish.Request) { r.Files = files(w.picture) }, "children"},
		"eleven":       {func(r *publish.Request) { r.Files = files(strings.Fields(strings.Repeat(w.picture+" ", 11))...) }, "children"},
		"a small one":  {func(r *publish.Request) { r.Files = files(w.picture, small) }, "children[1].media_id"},
		"two sources":  {func(r *publish.Request) { r.Files[2].URL = "https://a.example/x.jpg" }, "children[2].media_id"},
		"a bad link":   {func(r *publish.Request) { r.Files[1] = publish.File{URL: "file:///etc/passwd"} }, "children[1].media_url"},
		"unknown":      {func(r *publish.Request) { r.Files[1].MediaID = models.NewID() }, "children[1].media_id"},
		"alt text":     {func(r *publish.Request) { r.Options.(*instagramposts.Options).AltText = "x" }, "alt_text"},
		"a reel's own": {func(r *publish.Request) { r.Options.(*instagramposts.Options).CoverURL = "https://a.example/x.jpg" }, "cover_url"},
	} {
		r := instagramCarousel.request(w)
		tc.change(&r)
		_, err := w.Accept(w.ctx, r)
		var errs models.FieldErrors
		var missing *models.NotFoundError
		switch {
		case errors.As(err, &errs) && errs[0].Field == tc.field:
		case errors.As(err, &missing) && missing.Field == tc.field:
		default:
			t.Errorf("%s: %v, want field %s", name, err, tc.field)
		}
	}
}

// TestStoryThatCannotBeRead: the answer to media_publish is lost and the container cannot be
// read. A story that the list shows may be somebody else's, as it has no text: the post stays
// uncertain until the container can be read. That the list shows none is proof.
func TestStoryThatCannotBeRead(t *testing.T) {
	for _, arrived := range []bool{true, false} {
		w := onSQLite(t)
		w.sim.Script(outage(40), sandbox.Fault{Op: sandbox.OpInstagramPublish, Mode: sandbox.ModeReset, After: arrived})
		p := w.settle(w.accept(instagramImageStory))
		w.wantStatus(p, models.Published)
		w.wantLive(1)
		if n := w.sim.CountCalls(sandbox.OpInstagramPublish); arrived && n != 1 {
			t.Errorf("media_publish was called %d times: %s", n, w.story(p))
		}
		w.wantOwnID(p)
	}
}

// TestFailedChildThenPowerCut: the process dies right after it gave a file's container up,
// before it could queue the post.
func TestFailedChildThenPowerCut(t *testing.T) {
	for n := range 3 {
		w := onSQLite(t)
		w.sim.Script(sandbox.Fault{Op: sandbox.OpInstagramProcess, Mode: sandbox.ModeFail, Code: "2207052"})
		p := w.accept(instagramCarousel)
		void := func() bool {
			ledger, err := w.db.Runs.Ledger(w.ctx, p.ID)
			w.must(err)
			return len(ledger) > 0 && ledger[0].State == models.Void
		}
		calls := 0
		w.onNow = func() {
			if void() {
				if calls++; calls == n+1 {
					panic(testkit.PowerCut{})
				}
			}
		}
		for range 30 {
			w.step()
		}
		w.onNow = nil
		p = w.settle(p)
		w.wantStatus(p, models.Published)
		w.wantLive(1)
		if p.UnfinishedRuns != 0 || w.containers() > 3+2+1 {
			t.Errorf("cut %d: %d containers: %s", n, w.containers(), w.story(p))
		}
	}
}

// TestStoryIsNoProofAfterADay: a story that is older than a day is in no list, so that its
// absence says nothing.
func TestStoryIsNoProofAfterADay(t *testing.T) {
	w := onSQLite(t)
	w.sim.Script(outage(-1), sandbox.Fault{Op: sandbox.OpInstagramPublish, Mode: sandbox.ModeReset, After: true})
	p := w.accept(instagramImageStory)
	w.until(p, "uncertain", func(p *models.Post) bool { return p.Status == models.Uncertain })
	w.clock.Advance(25 * time.Hour)
	for range 200 {
		w.step()
	}
	w.wantStatus(p, models.Uncertain)
	w.wantLive(1)
	if n := w.sim.CountCalls(sandbox.OpInstagramPublish); n != 1 {
		t.Errorf("media_publish was called %d times: %s", n, w.story(p))
	}
}
