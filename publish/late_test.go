package publish_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"socialqueue/models"
	"socialqueue/platform/instagram"
	"socialqueue/publish"
	"socialqueue/sandbox"
	"socialqueue/secrets"
	"socialqueue/test/testkit"
)

var errLost = errors.New("the answer was lost")

// hold keeps the first n requests to a path that change something from arriving: their
// sender gets no answer. Deliver lets them arrive, late.
func (w *fixture) hold(path string, n int) (deliver func()) {
	var held []*http.Request
	w.wire.Intercept(func(r *http.Request) (*http.Response, error) {
		if len(held) == n || r.Method == http.MethodGet || !strings.Contains(r.URL.Path, path) {
			return nil, nil
		}
		body, err := io.ReadAll(r.Body)
		w.must(err)
		late := r.Clone(context.Background())
		late.Body, late.GetBody = io.NopCloser(bytes.NewReader(body)), nil
		held = append(held, late)
		return nil, errLost
	})
	return func() {
		w.t.Helper()
		if len(held) == 0 {
			w.t.Fatalf("no request to %s was held", path)
		}
		w.wire.Intercept(nil)
		for _, r := range held {
			resp, err := http.DefaultTransport.RoundTrip(r)
			w.must(err)
			w.must(resp.Body.Close())
		}
	}
}

// answer makes an answer that a platform could have given.
func answer(status int, body string) *http.Response {
	return &http.Response{
		StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)),
	}
}

func graphRefusal(code, subcode int) string {
	return fmt.Sprintf(`{"error":{"message":"no","type":"OAuthException","code":%d,"error_subcode":%d}}`, code, subcode)
}

// sending is the request that makes the posts of a flow live.
func sending(f flow) (path string, op models.LedgerOp) {
	if f.name == tiktokVideo.name {
		return "tiktok-upload", "tiktok.last_chunk"
	}
	return "media_publish", "instagram.publish"
}

// foundMissing reports whether a later look found no effect of the sending call.
func (w *fixture) foundMissing(f flow) func(*models.Post) bool {
	_, op := sending(f)
	return func(p *models.Post) bool {
		ledger, err := w.db.Runs.Ledger(w.ctx, p.ID)
		w.must(err)
		last := ledger.Latest(op)
		return last != nil && last.State == models.Missing
	}
}

// wantOwnID: an id that the post carries is that of the post that it made.
func (w *fixture) wantOwnID(p *models.Post) {
	w.t.Helper()
	got := w.post(p)
	for _, live := range w.sim.LivePosts() {
		own := got.ContainerID != nil && live.ContainerID == *got.ContainerID || got.PublishID != nil && live.PublishID == *got.PublishID
		if own && got.PlatformPostID != nil && *got.PlatformPostID != live.ID {
			w.t.Errorf("the post carries the id %s, it made %s: %s", *got.PlatformPostID, live.ID, w.story(p))
		}
	}
}

// outage has every read of a container fail, as fresh ones do for weeks.
func outage(times int) sandbox.Fault {
	return sandbox.Fault{Op: sandbox.OpInstagramContainerStatus, Mode: sandbox.ModeError, Code: "100", Subcode: 33, Times: times}
}

// TestNobodyTakesBackWhatMayStillArrive: the sending call got no answer and a
// look found no effect. It may still arrive, so the post is neither canceled,
// nor changed, nor missed, nor run anew; when it arrives, it is live once.
func TestNobodyTakesBackWhatMayStillArrive(t *testing.T) {
	for _, f := range flows {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			w := onSQLite(t)
			path, _ := sending(f)
			deliver := w.hold(path, 1+chunkTries(f))
			p := w.accept(f, func(r *publish.Request) { lateness := time.Second; r.MaxLateness = &lateness })
			before := w.until(p, "found missing", w.foundMissing(f))
			for what, try := range map[string]func() error{
				"cancel":     func() error { _, err := w.Cancel(w.ctx, w.app.ID, p.ID); return err },
				"reschedule": func() error { _, err := w.Reschedule(w.ctx, w.app.ID, p.ID, w.clock.Now().Add(time.Hour)); return err },
				"retry":      func() error { _, err := w.Retry(w.ctx, w.app.ID, p.ID); return err },
			} {
				if err := try(); !errors.Is(err, publish.ErrConflict) {
					t.Errorf("%s: %v, want ErrConflict", what, err)
				}
			}
			w.must(w.MissLate(w.ctx))
			w.wantStatus(p, before.Status)
			deliver()
			p = w.settle(p)
			w.wantLive(1)
			w.wantStatus(p, models.Published)
			w.wantOwnID(p)
		})
	}
}

// chunkTries is how often one run sends a chunk again.
func chunkTries(f flow) int {
	if f.name == tiktokVideo.name {
		return 3
	}
	return 0
}

// TestLateArrivalMeetsTheSecondCall: the lost call arrives right before the one
// that repeats it, whatever that is answered then.
func TestLateArrivalMeetsTheSecondCall(t *testing.T) {
	for name, second := range map[string]func(live string) (*http.Response, error){
		"the same id":     func(live string) (*http.Response, error) { return answer(200, `{"id":"`+live+`"}`), nil },
		"not found":       func(string) (*http.Response, error) { return answer(400, graphRefusal(24, 2207006)), nil },
		"not ready":       func(string) (*http.Response, error) { return answer(400, graphRefusal(9007, 2207027)), nil },
		"bad parameter":   func(string) (*http.Response, error) { return answer(400, graphRefusal(100, 0)), nil },
		"upload failed":   func(string) (*http.Response, error) { return answer(400, graphRefusal(352, 2207085)), nil },
		"too many calls":  func(string) (*http.Response, error) { return answer(400, graphRefusal(4, 0)), nil },
		"bad token":       func(string) (*http.Response, error) { return answer(400, graphRefusal(190, 463)), nil },
		"lost once more":  func(string) (*http.Response, error) { return nil, errLost },
		"a gateway's 502": func(string) (*http.Response, error) { return answer(502, "<html>"), nil },
	} {
		t.Run(name, func(t *testing.T) {
			w := onSQLite(t)
			deliver := w.hold("media_publish", 1)
			p := w.accept(instagramImage)
			w.until(p, "found missing", w.foundMissing(instagramImage))
			calls := 0
			w.wire.Intercept(func(r *http.Request) (*http.Response, error) {
				if !strings.Contains(r.URL.Path, "media_publish") {
					return nil, nil
				}
				calls++
				deliver()
				return second(w.sim.LivePosts()[0].ID)
			})
			p = w.settle(p)
			w.wantLive(1)
			w.wantStatus(p, models.Published)
			w.wantOwnID(p)
			if calls != 1 {
				t.Errorf("%d calls met the late arrival, want 1", calls)
			}
		})
	}
}

// TestLateChunkMeetsTheSecondOne: the same at TikTok, where the same upload
// takes the same bytes once.
func TestLateChunkMeetsTheSecondOne(t *testing.T) {
	w := onSQLite(t)
	deliver := w.hold("tiktok-upload", 1+chunkTries(tiktokVideo))
	p := w.accept(tiktokVideo)
	w.until(p, "found missing", w.foundMissing(tiktokVideo))
	w.wire.Intercept(func(r *http.Request) (*http.Response, error) {
		if strings.Contains(r.URL.Path, "tiktok-upload") {
			deliver()
		}
		return nil, nil
	})
	p = w.settle(p)
	w.wantLive(1)
	w.wantStatus(p, models.Published)
	w.wantOwnID(p)
	if inits := w.sim.CountCalls(sandbox.OpTikTokInit); inits != 1 {
		t.Errorf("%d uploads were opened, want 1", inits)
	}
}

// TestReadOutageHidesTheLateArrival: from the late arrival on containers cannot
// be read. The post is found in the account; nothing is sent while it is sought.
func TestReadOutageHidesTheLateArrival(t *testing.T) {
	for _, f := range []flow{instagramImage, instagramReel} {
		t.Run(f.name, func(t *testing.T) {
			w := onSQLite(t)
			deliver := w.hold("media_publish", 1)
			p := w.accept(f)
			w.until(p, "found missing", w.foundMissing(f))
			deliver()
			w.sim.Script(outage(-1))
			calls := w.sim.CountCalls(sandbox.OpInstagramPublish)
			p = w.settle(p)
			w.wantLive(1)
			w.wantStatus(p, models.Published)
			w.wantOwnID(p)
			if more := w.sim.CountCalls(sandbox.OpInstagramPublish) - calls; more != 0 {
				t.Errorf("media_publish was called %d times for a post that was live", more)
			}
		})
	}
}

// TestReadOutageAfterALostCall: the answer is lost, the call had no effect, and
// containers cannot be read for most of a day: no second container is made in
// the first one's stead, and the post goes live in the end.
func TestReadOutageAfterALostCall(t *testing.T) {
	w := onSQLite(t)
	w.sim.Script(sandbox.Fault{Op: sandbox.OpInstagramPublish, Mode: sandbox.ModeReset})
	p := w.accept(instagramImage)
	w.until(p, "uncertain", func(p *models.Post) bool { return p.Status == models.Uncertain })
	w.sim.Script(outage(-1))
	for begin := w.clock.Now(); w.clock.Now().Sub(begin) < 20*time.Hour && !w.post(p).Status.Ended(); {
		w.moveTo(w.post(p))
	}
	w.sim.ClearFaults()
	p = w.settle(p)
	w.wantLive(1)
	w.wantStatus(p, models.Published)
	if n := w.sim.CountCalls(sandbox.OpInstagramContainer); n != 1 {
		t.Errorf("%d containers, want 1", n)
	}
}

// TestNothingIsRepeatedUnread: the answer is lost, and for hours neither the container nor
// the account can be read. The post stays uncertain all the time, and media_publish is made
// again only once a read has shown that it had no effect.
func TestNothingIsRepeatedUnread(t *testing.T) {
	w := onSQLite(t)
	w.sim.Script(sandbox.Fault{Op: sandbox.OpInstagramPublish, Mode: sandbox.ModeReset})
	p := w.accept(instagramImage)
	w.until(p, "uncertain", func(p *models.Post) bool { return p.Status == models.Uncertain })
	w.sim.Script(outage(-1), sandbox.Fault{Op: sandbox.OpInstagramMedia, Mode: sandbox.ModeStatus, Status: 503, Times: -1})
	for begin := w.clock.Now(); w.clock.Now().Sub(begin) < 3*time.Hour; {
		w.moveTo(w.post(p))
		w.wantStatus(p, models.Uncertain)
	}
	if n := w.sim.CountCalls(sandbox.OpInstagramPublish); n != 1 {
		t.Errorf("media_publish was called %d times while nothing could be read, want once", n)
	}
	w.sim.ClearFaults()
	w.wantStatus(w.settle(p), models.Published)
	w.wantLive(1)
}

// TestPublishedIsNeverPublishedAgain: the post is known to be live, only its id
// is not; whatever the reads say then, no call is made that could make another.
func TestPublishedIsNeverPublishedAgain(t *testing.T) {
	for name, after := range map[string]sandbox.Fault{
		"containers cannot be read": outage(-1),
		"the list is forbidden":     {Op: sandbox.OpInstagramMedia, Mode: sandbox.ModeError, Code: "10", Times: -1},
		"the list is down":          {Op: sandbox.OpInstagramMedia, Mode: sandbox.ModeStatus, Status: 503, Times: -1},
	} {
		t.Run(name, func(t *testing.T) {
			w := onSQLite(t)
			w.sim.Script(sandbox.Fault{Op: sandbox.OpInstagramPublish, Mode: sandbox.ModeReset, After: true})
			w.sim.Script(sandbox.Fault{Op: sandbox.OpInstagramMedia, Mode: sandbox.ModeStatus, Status: 503})
			p := w.accept(instagramImage)
			w.until(p, "published", func(p *models.Post) bool { return p.Status == models.Published })
			w.sim.Script(after)
			p = w.settle(p)
			w.wantLive(1)
			w.wantStatus(p, models.Published)
			w.wantOwnID(p)
			if n := w.sim.CountCalls(sandbox.OpInstagramPublish); n != 1 {
				t.Errorf("media_publish was called %d times, want once", n)
			}
		})
	}
}

// refusals are the errors that media_publish is known to be answered with.
var refusals = []struct{ code, subcode int }{
	{-2, 2207003}, {-2, 2207020}, {-1, 2207032}, {-1, 2207053}, {-1, 2207001}, {-2, 0}, {2, 0}, {1, 0}, {4, 2207051}, {24, 2207006},
	{24, 2207008}, {9007, 2207027}, {9004, 2207052}, {9, 2207042}, {100, 0}, {100, 33}, {25, 2207050}, {352, 2207085}, {4, 0}, {368, 0}, {190, 463}, {10, 0},
}

// TestRefusalWithEffect: media_publish answers with an error, and the post is
// live all the same: it is found to be, also when the container cannot be read
// at first.
func TestRefusalWithEffect(t *testing.T) {
	n := 0
	for _, r := range refusals {
		for _, unreadable := range []int{0, 1, 3} {
			if n++; n%stride() != 0 {
				continue
			}
			t.Run(fmt.Sprintf("%d_%d, unreadable %d times", r.code, r.subcode, unreadable), func(t *testing.T) {
				t.Parallel()
				w := onSQLite(t)
				w.sim.Script(sandbox.Fault{Op: sandbox.OpInstagramPublish, Mode: sandbox.ModeError, Code: fmt.Sprint(r.code), Subcode: r.subcode, After: true})
				if unreadable > 0 {
					fault := outage(unreadable)
					fault.Skip = 1 // the read before media_publish
					w.sim.Script(fault)
				}
				p := w.settle(w.accept(instagramImage))
				w.wantLive(1)
				w.wantStatus(p, models.Published)
				w.wantOwnID(p)
				if n := w.sim.CountCalls(sandbox.OpInstagramContainer); n != 1 {
					t.Errorf("%d containers, want 1", n)
				}
			})
		}
	}
}

// TestTheMediaListIsNotNeeded: the container itself says what became of a lost
// call, to an app that may not list the account's posts.
func TestTheMediaListIsNotNeeded(t *testing.T) {
	w := onSQLite(t)
	w.sim.Script(
		sandbox.Fault{Op: sandbox.OpInstagramPublish, Mode: sandbox.ModeReset},
		sandbox.Fault{Op: sandbox.OpInstagramMedia, Mode: sandbox.ModeError, Code: "10", Times: -1},
	)
	p := w.settle(w.accept(instagramImage))
	w.wantLive(1)
	w.wantStatus(p, models.Published)
}

// TestNoPostTakesTheIDOfAnother: same caption, same minute, lost answers: an id
// is right or missing.
func TestNoPostTakesTheIDOfAnother(t *testing.T) {
	lost := sandbox.Fault{Op: sandbox.OpInstagramPublish, Mode: sandbox.ModeReset}
	lostLive := lost
	lostLive.After = true
	for name, faults := range map[string][]sandbox.Fault{
		"both live":            {lostLive, lostLive},
		"only the first live":  {lostLive, lost},
		"only the second live": {lost, lostLive},
		"none live":            {lost, lost},
	} {
		for _, unreadable := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, unreadable %v", name, unreadable), func(t *testing.T) {
				w := onSQLite(t)
				a, b := w.accept(instagramImage), w.accept(instagramImage)
				w.step()
				w.step()
				w.sim.Script(faults...)
				w.step()
				w.step()
				if unreadable {
					w.sim.Script(outage(8))
				}
				for _, p := range []*models.Post{w.settle(a), w.settle(b)} {
					w.wantStatus(p, models.Published)
					w.wantOwnID(p)
				}
				w.wantLive(2)
			})
		}
	}
}

// TestAPostMadeByHandIsNobodys: somebody posts the same caption by hand, and our
// own call gets lost without effect.
func TestAPostMadeByHandIsNobodys(t *testing.T) {
	for name, tc := range map[string]struct {
		earlier    time.Duration
		unreadable int
	}{
		"at the same time": {0, 0},
		"a minute earlier": {time.Minute, 0},
		"a minute earlier, containers cannot be read": {time.Minute, 3},
	} {
		t.Run(name, func(t *testing.T) {
			w := onSQLite(t)
			w.postByHand("Fresh bread")
			w.clock.Advance(tc.earlier)
			p := w.accept(instagramImage)
			w.sim.Script(sandbox.Fault{Op: sandbox.OpInstagramPublish, Mode: sandbox.ModeReset})
			w.until(p, "uncertain", func(p *models.Post) bool { return p.Status == models.Uncertain })
			if tc.unreadable > 0 {
				w.sim.Script(outage(tc.unreadable))
			}
			p = w.settle(p)
			w.wantLive(2)
			w.wantStatus(p, models.Published)
			w.wantOwnID(p)
		})
	}
}

// postByHand makes a post of which we know nothing.
func (w *fixture) postByHand(caption string) {
	w.t.Helper()
	token := secrets.Secret(w.igSim.PageToken)
	id, err := w.graph.CreateImage(w.ctx, token, w.igSim.IGID, instagram.Image{URL: w.Links.Link(w.picture, w.clock.Now().Add(time.Hour)), Caption: caption})
	w.must(err)
	w.clock.Advance(5 * time.Second)
	_, err = w.graph.Publish(w.ctx, token, w.igSim.IGID, id)
	w.must(err)
}

// TestReelReadOutage: a reel whose container cannot be read is uploaded once and
// goes live.
func TestReelReadOutage(t *testing.T) {
	w := onSQLite(t)
	w.sim.Script(outage(-1))
	p := w.settle(w.accept(instagramReel))
	w.wantLive(1)
	w.wantStatus(p, models.Published)
	if uploads := w.sim.CountCalls(sandbox.OpInstagramUpload); uploads != 1 || p.Attempts != 0 {
		t.Errorf("%d uploads, %d attempts; want one and none", uploads, p.Attempts)
	}
}

// TestUploadHostDown: TikTok takes no bytes for 70 minutes, longer than an
// upload lives. The post is not given up, nor opened twice at a time.
func TestUploadHostDown(t *testing.T) {
	for _, status := range []int{503, 404, 403} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			w := onSQLite(t)
			w.sim.Script(sandbox.Fault{Op: sandbox.OpTikTokChunk, Mode: sandbox.ModeStatus, Status: status, Times: -1})
			p := w.accept(tiktokVideo)
			for begin := w.clock.Now(); w.clock.Now().Sub(begin) < 70*time.Minute; {
				w.moveTo(w.post(p))
				if w.post(p).Admission == models.AdmissionNone {
					break
				}
				w.clock.Advance(8 * time.Minute)
			}
			w.wantLive(0)
			w.sim.ClearFaults()
			p = w.settle(p)
			w.wantStatus(p, models.Published)
			w.wantLive(1)
		})
	}
}

// TestUploadExpiresWithTheLastChunkOnItsWay: the workers are down until an
// upload is about to expire whose last chunk got no answer. No other is opened
// before the first is surely dead.
func TestUploadExpiresWithTheLastChunkOnItsWay(t *testing.T) {
	for name, tc := range map[string]struct {
		arrives bool
		inits   int
	}{
		"it arrives in the last minute": {true, 1},
		"it never arrives":              {false, 2},
	} {
		t.Run(name, func(t *testing.T) {
			w := onSQLite(t)
			deliver := w.hold("tiktok-upload", 1)
			w.sim.Script(sandbox.Fault{Op: sandbox.OpTikTokStatus, Mode: sandbox.ModeRateLimit})
			p := w.accept(tiktokVideo)
			w.step()
			w.wantStatus(p, models.Uncertain)
			w.clock.Advance(58 * time.Minute)
			w.step()
			w.step()
			w.wantStatus(p, models.Uncertain)
			if tc.arrives {
				deliver()
			}
			p = w.settle(p)
			w.wantLive(1)
			w.wantStatus(p, models.Published)
			w.wantOwnID(p)
			if inits := w.sim.CountCalls(sandbox.OpTikTokInit); inits != tc.inits {
				t.Errorf("%d uploads were opened, want %d: %s", inits, tc.inits, w.story(p))
			}
		})
	}
}

// TestRefusedLooksFailNothing: looks are refused after a late chunk arrived:
// what TikTok has is not called failed.
func TestRefusedLooksFailNothing(t *testing.T) {
	for code, times := range map[string]int{"scope_not_authorized": 3, "invalid_publish_id": 3, "invalid_params": 3, "access_token_invalid": 1} {
		t.Run(code, func(t *testing.T) {
			w := onSQLite(t)
			deliver := w.hold("tiktok-upload", 1+chunkTries(tiktokVideo))
			p := w.accept(tiktokVideo)
			w.until(p, "found missing", w.foundMissing(tiktokVideo))
			deliver()
			w.sim.Script(sandbox.Fault{Op: sandbox.OpTikTokStatus, Mode: sandbox.ModeError, Code: code, Times: times})
			for range 6 {
				w.moveTo(w.post(p))
				if got := w.post(p); got.Status.Ended() && got.Status != models.Published {
					t.Fatalf("called %s: %s", got.Status, w.story(p))
				}
			}
			w.importTikTok(w.ttSim.AccessToken) // connected again
			p = w.settle(p)
			w.wantLive(1)
			w.wantStatus(p, models.Published)
			if n := w.sim.CountCalls(sandbox.OpTikTokInit); n != 1 {
				t.Errorf("%d uploads were opened, want 1", n)
			}
		})
	}
}

// TestDailyCapIsNotHammered: TikTok takes the upload and then says that the
// creator posted too much: it gets no upload a minute.
func TestDailyCapIsNotHammered(t *testing.T) {
	w := onSQLite(t)
	w.sim.Script(sandbox.Fault{Op: sandbox.OpTikTokProcess, Mode: sandbox.ModeFail, Code: "spam_risk_too_many_posts", Times: -1})
	p := w.accept(tiktokVideo)
	for begin := w.clock.Now(); w.clock.Now().Sub(begin) < 2*time.Hour; {
		w.moveTo(w.post(p))
	}
	w.wantLive(0)
	if got, n := w.post(p), w.sim.CountCalls(sandbox.OpTikTokChunk); n > 3 || got.Attempts != 0 {
		t.Errorf("%d uploads in two hours, %d attempts: %s", n, got.Attempts, w.story(p))
	}
	w.sim.ClearFaults()
	w.wantStatus(w.settle(p), models.Published)
	w.wantLive(1)
}

// TestFileIsGone: a post whose file the store lost fails and says so.
func TestFileIsGone(t *testing.T) {
	for _, f := range []flow{tiktokVideo, instagramReel} {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			w := onSQLite(t)
			p := w.accept(f)
			w.must(w.store.Delete(w.ctx, w.video))
			p = w.settle(p)
			w.wantLive(0)
			w.wantStatus(p, models.Failed)
			if p.ErrorCode != "UPLOAD_FAILED" {
				t.Errorf("error code %q: %s", p.ErrorCode, w.story(p))
			}
		})
	}
}

// TestAttemptsBoundTheRepeats: media_publish gets no answer all day and has no
// effect. It is repeated as often as there are attempts, then only looked at,
// until the container expires.
func TestAttemptsBoundTheRepeats(t *testing.T) {
	w := onSQLite(t)
	w.sim.Script(sandbox.Fault{Op: sandbox.OpInstagramPublish, Mode: sandbox.ModeReset, Times: -1})
	p := w.settle(w.accept(instagramImage))
	w.wantLive(0)
	w.wantStatus(p, models.Failed)
	if n, most := w.sim.CountCalls(sandbox.OpInstagramPublish), len(publish.DefaultTimings().Retries)+1; n > most {
		t.Errorf("media_publish was called %d times, want %d at most", n, most)
	}
}

// TestOneNamelessPostHidesNoOther: a post whose id was never found does not keep
// later ones with its caption from finding theirs.
func TestOneNamelessPostHidesNoOther(t *testing.T) {
	w := onSQLite(t)
	lost := sandbox.Fault{Op: sandbox.OpInstagramPublish, Mode: sandbox.ModeReset, After: true}
	w.sim.Script(lost, sandbox.Fault{Op: sandbox.OpInstagramMedia, Mode: sandbox.ModeStatus, Status: 503, Times: -1})
	nameless := w.settle(w.accept(instagramImage))
	w.sim.ClearFaults()
	w.clock.Advance(24 * time.Hour)
	w.sim.Script(lost)
	later := w.settle(w.accept(instagramImage))
	w.wantLive(2)
	w.wantOwnID(later)
	if nameless.PlatformPostID != nil || later.PlatformPostID == nil {
		t.Errorf("ids %v and %v; want none and one", nameless.PlatformPostID, later.PlatformPostID)
	}
}

// TestRunEndsAtABadChunk: TikTok takes the first chunk again and again and never
// the second, and counts none of them: the run ends.
func TestRunEndsAtABadChunk(t *testing.T) {
	w := onSQLite(t)
	w.video = w.upload(bigVideo(66_259_900))
	sent := 0
	w.wire.Intercept(func(r *http.Request) (*http.Response, error) {
		switch {
		case strings.Contains(r.URL.Path, "status/fetch"):
			return answer(http.StatusOK, `{"data":{"status":"PROCESSING_UPLOAD","uploaded_bytes":0},"error":{"code":"ok"}}`), nil
		case strings.Contains(r.URL.Path, "tiktok-upload") && !strings.HasPrefix(r.Header.Get("Content-Range"), "bytes 0-"):
			if sent++; sent > 20 {
				panic(testkit.PowerCut{})
			}
			return answer(http.StatusServiceUnavailable, "down"), nil
		}
		return nil, nil
	})
	p := w.accept(tiktokVideo)
	w.step()
	w.wire.Intercept(nil)
	if sent != 1+chunkTries(tiktokVideo) {
		t.Errorf("the bad chunk was sent %d times in one run", sent)
	}
	w.wantStatus(w.settle(p), models.Published)
	w.wantLive(1)
}

// TestSentPostWaitsForNoLane: what may be live is looked at in time, however
// many of the account's posts wait for their turn.
func TestSentPostWaitsForNoLane(t *testing.T) {
	w := onSQLite(t)
	w.Timings.Retries[0] = 5 * time.Minute
	deliver := w.hold("tiktok-upload", 1+chunkTries(tiktokVideo))
	p := w.accept(tiktokVideo)
	due := *w.until(p, "found missing", w.foundMissing(tiktokVideo)).RunAt
	deliver()
	w.queue.Posts.SetDown(true) // no worker comes to the backlog
	for range 5 {
		w.accept(tiktokVideo)
	}
	w.clock.Advance(due.Sub(w.clock.Now()))
	w.must(w.AdmitDue(w.ctx))
	if got := w.post(p); got.Status != models.Publishing || got.Admission != models.AdmissionAdmitted {
		t.Errorf("%s, %s; want publishing and admitted", got.Status, got.Admission)
	}
	w.queue.Posts.SetDown(false)
	w.wantStatus(w.settle(p), models.Published)
	w.wantOwnID(p)
}
