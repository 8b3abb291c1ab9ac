package publish_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"socialqueue/models"
	"socialqueue/observe"
	"socialqueue/publish"
	tiktokposts "socialqueue/publish/tiktok"
	"socialqueue/sandbox"
	"socialqueue/sandbox/sample"
)

// TestInstagramOddities: what Instagram is known to answer around
// media_publish, and what must be live afterwards (seen in the field, 2026).
func TestInstagramOddities(t *testing.T) {
	for name, tc := range map[string]struct {
		faults []sandbox.Fault
		live   int
		status models.Status
	}{
		"not ready after FINISHED, three times": {
			[]sandbox.Fault{{Op: sandbox.OpInstagramPublish, Mode: sandbox.ModeError, Code: "9007", Subcode: 2207027, Times: 3}}, 1, models.Published,
		},
		"not found seconds after FINISHED": {
			[]sandbox.Fault{{Op: sandbox.OpInstagramPublish, Mode: sandbox.ModeError, Code: "24", Subcode: 2207006, Times: 2}}, 1, models.Published,
		},
		"never found: a new container": {
			[]sandbox.Fault{{Op: sandbox.OpInstagramPublish, Mode: sandbox.ModeError, Code: "24", Subcode: 2207006, Times: 12}}, 1, models.Published,
		},
		"activity restricted, and live all the same": {
			[]sandbox.Fault{{Op: sandbox.OpInstagramPublish, Mode: sandbox.ModeError, Code: "4", Subcode: 2207051, After: true}}, 1, models.Published,
		},
		"activity restricted, and not live": {
			[]sandbox.Fault{{Op: sandbox.OpInstagramPublish, Mode: sandbox.ModeError, Code: "4", Subcode: 2207051}}, 1, models.Published,
		},
		"fresh containers cannot be read": {
			[]sandbox.Fault{{Op: sandbox.OpInstagramContainerStatus, Mode: sandbox.ModeError, Code: "100", Subcode: 33, Times: -1}}, 1, models.Published,
		},
		"answer lost, and containers cannot be read": {
			[]sandbox.Fault{
				{Op: sandbox.OpInstagramPublish, Mode: sandbox.ModeReset, After: true},
				{Op: sandbox.OpInstagramContainerStatus, Mode: sandbox.ModeError, Code: "100", Subcode: 33, Times: -1, Skip: 1},
			}, 1, models.Published,
		},
		"answer lost, media_publish never happened": {
			[]sandbox.Fault{{Op: sandbox.OpInstagramPublish, Mode: sandbox.ModeReset}}, 1, models.Published,
		},
		"daily quota at the call": {
			[]sandbox.Fault{{Op: sandbox.OpInstagramPublish, Mode: sandbox.ModeError, Code: "9", Subcode: 2207042}}, 1, models.Published,
		},
		"account restricted": {
			[]sandbox.Fault{{Op: sandbox.OpInstagramPublish, Mode: sandbox.ModeError, Code: "25", Subcode: 2207050, Times: -1}}, 0, models.Failed,
		},
		"the picture could not be fetched, once": {
			[]sandbox.Fault{{Op: sandbox.OpInstagramProcess, Mode: sandbox.ModeFail, Code: "2207052"}}, 1, models.Published,
		},
		"the picture is refused": {
			[]sandbox.Fault{{Op: sandbox.OpInstagramProcess, Mode: sandbox.ModeFail, Code: "2207009"}}, 0, models.Failed,
		},
		"the container hangs": {
			[]sandbox.Fault{{Op: sandbox.OpInstagramProcess, Mode: sandbox.ModeStuck}}, 1, models.Published,
		},
		"the permalink cannot be read": {
			[]sandbox.Fault{{Op: sandbox.OpInstagramPermalink, Mode: sandbox.ModeError, Code: "100", Subcode: 33, Times: -1}}, 1, models.Published,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := onSQLite(t)
			w.sim.Script(tc.faults...)
			p := w.settle(w.accept(instagramImage))
			w.wantLive(tc.live)
			w.wantStatus(p, tc.status)
			if tc.status == models.Failed && (p.ErrorCode == "" || p.ErrorMessage == "") {
				t.Errorf("the post does not say why it failed: %s", w.story(p))
			}
		})
	}
}

// TestLostAnswerFindsItsOwnPost: two posts with the same caption, both answers
// lost: each ends published and none takes the other's id.
func TestLostAnswerFindsItsOwnPost(t *testing.T) {
	w := onSQLite(t)
	w.sim.Script(sandbox.Fault{Op: sandbox.OpInstagramPublish, Mode: sandbox.ModeReset, After: true, Times: 2})
	a, b := w.accept(instagramImage), w.accept(instagramImage)
	a, b = w.settle(a), w.settle(b)
	w.wantLive(2)
	w.wantStatus(a, models.Published)
	w.wantStatus(b, models.Published)
	if a.PlatformPostID != nil && b.PlatformPostID != nil && *a.PlatformPostID == *b.PlatformPostID {
		t.Errorf("both posts claim the id %s", *a.PlatformPostID)
	}
}

// TestTikTokFailReasons: TikTok takes the upload and refuses it later.
func TestTikTokFailReasons(t *testing.T) {
	for reason, want := range map[string]models.Status{
		"internal":                            models.Published, // officially retryable, with a new init
		"file_format_check_failed":            models.Failed,
		"duration_check_failed":               models.Failed,
		"frame_rate_check_failed":             models.Failed,
		"picture_size_check_failed":           models.Failed,
		"publish_cancelled":                   models.Failed,
		"auth_removed":                        models.Failed,
		"spam_risk_too_many_posts":            models.Published, // later
		"spam_risk_user_banned_from_posting":  models.Failed,
		"spam_risk_text":                      models.Failed,
		"spam_risk":                           models.Failed,
		"a_reason_that_nobody_has_heard_of_1": models.Failed,
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			w := onSQLite(t)
			w.sim.Script(sandbox.Fault{Op: sandbox.OpTikTokProcess, Mode: sandbox.ModeFail, Code: reason})
			p := w.settle(w.accept(tiktokVideo))
			w.wantStatus(p, want)
			live := 0
			if want == models.Published {
				live = 1
			}
			w.wantLive(live)
			if want == models.Failed && !strings.Contains(p.ErrorMessage, reason) {
				t.Errorf("error_message %q does not name %s", p.ErrorMessage, reason)
			}
		})
	}
}

// TestTikTokRefusals: what TikTok answers at creator_info and init.
func TestTikTokRefusals(t *testing.T) {
	for name, tc := range map[string]struct {
		fault  sandbox.Fault
		status models.Status
		code   string
	}{
		"banned":           {sandbox.Fault{Op: sandbox.OpTikTokCreatorInfo, Mode: sandbox.ModeError, Status: 200, Code: "spam_risk_user_banned_from_posting"}, models.Failed, "PUBLISH_FAILED"},
		"too many posts":   {sandbox.Fault{Op: sandbox.OpTikTokCreatorInfo, Mode: sandbox.ModeError, Status: 200, Code: "spam_risk_too_many_posts"}, models.Published, ""},
		"app cap":          {sandbox.Fault{Op: sandbox.OpTikTokInit, Mode: sandbox.ModeError, Code: "reached_active_user_cap"}, models.Published, ""},
		"scope missing":    {sandbox.Fault{Op: sandbox.OpTikTokInit, Mode: sandbox.ModeError, Code: "scope_not_authorized"}, models.Failed, "TOKEN_INVALID"},
		"bad parameter":    {sandbox.Fault{Op: sandbox.OpTikTokInit, Mode: sandbox.ModeError, Code: "invalid_params"}, models.Failed, "PUBLISH_FAILED"},
		"unaudited":        {sandbox.Fault{Op: sandbox.OpTikTokInit, Mode: sandbox.ModeError, Code: "unaudited_client_can_only_post_to_private_accounts"}, models.Failed, "PUBLISH_FAILED"},
		"upload gone once": {sandbox.Fault{Op: sandbox.OpTikTokChunk, Mode: sandbox.ModeStatus, Status: 404}, models.Published, ""},
		"hangs in process": {sandbox.Fault{Op: sandbox.OpTikTokStatus, Mode: sandbox.ModeError, Status: 500, Code: "internal_error", Times: 5}, models.Published, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := onSQLite(t)
			w.sim.Script(tc.fault)
			p := w.settle(w.accept(tiktokVideo))
			w.wantStatus(p, tc.status)
			if p.ErrorCode != tc.code {
				t.Errorf("error code = %q, want %q: %s", p.ErrorCode, tc.code, w.story(p))
			}
			if tc.status == models.Published {
				w.wantLive(1)
			} else {
				w.wantLive(0)
			}
		})
	}
}

// TestCreatorSettingsAreHonoured: what the creator's account forbids is asked
// right before sending.
func TestCreatorSettingsAreHonoured(t *testing.T) {
	w := onSQLite(t)
	w.sim.AddTikTokAccount(sandbox.TikTokAccount{OpenID: w.ttSim.OpenID, Username: w.ttSim.Username, Private: true, PostsCap: -1})
	p := w.settle(w.accept(tiktokVideo))
	w.wantStatus(p, models.Failed)
	w.wantLive(0)
	if !strings.Contains(p.ErrorMessage, "privacy_level") || w.sim.CountCalls(sandbox.OpTikTokInit) != 0 {
		t.Errorf("%d inits; %s", w.sim.CountCalls(sandbox.OpTikTokInit), p.ErrorMessage)
	}

	short := onSQLite(t)
	short.sim.AddTikTokAccount(sandbox.TikTokAccount{OpenID: short.ttSim.OpenID, Username: short.ttSim.Username, MaxVideoSeconds: 3, PostsCap: -1})
	p = short.settle(short.accept(tiktokVideo))
	short.wantStatus(p, models.Failed)
	if short.sim.CountCalls(sandbox.OpTikTokInit) != 0 {
		t.Error("a video longer than the creator may post was sent")
	}
}

// TestSelfOnlyNeverGetsAnID: a post that only its creator sees is published
// without one, and nobody waits for it.
func TestSelfOnlyNeverGetsAnID(t *testing.T) {
	w := onSQLite(t)
	p := w.settle(w.accept(tiktokVideo, func(r *publish.Request) { r.Options.(*tiktokposts.Options).PrivacyLevel = tiktokposts.PrivacySelfOnly }))
	w.wantStatus(p, models.Published)
	w.wantLive(1)
	if p.PlatformPostID != nil || p.Permalink != nil {
		t.Errorf("id %v, link %v", p.PlatformPostID, p.Permalink)
	}
}

// TestChunksResume: a file of several chunks, cut off in the middle, goes on
// where TikTok has it.
func TestChunksResume(t *testing.T) {
	big := bigVideo(66_259_900) // 6 chunks, the last of 16,259,900 bytes
	for name, cut := range map[string]func(*fixture){
		"undisturbed": func(*fixture) {},
		"a chunk fails once": func(w *fixture) {
			w.sim.Script(sandbox.Fault{Op: sandbox.OpTikTokChunk, Skip: 2, Mode: sandbox.ModeStatus, Status: 502})
		},
		"an answer is lost": func(w *fixture) {
			w.sim.Script(sandbox.Fault{Op: sandbox.OpTikTokChunk, Skip: 2, Mode: sandbox.ModeReset, After: true})
		},
		"the last answer is lost": func(w *fixture) {
			w.sim.Script(sandbox.Fault{Op: sandbox.OpTikTokChunk, Skip: 5, Mode: sandbox.ModeReset, After: true})
		},
		"power cut after the fourth": func(w *fixture) { w.wire.CutPower(5, true) },
		"power cut before the last":  func(w *fixture) { w.wire.CutPower(7, false) },
		"a chunk breaks off half way": func(w *fixture) {
			w.sim.Script(sandbox.Fault{Op: sandbox.OpTikTokChunk, Skip: 1, Mode: sandbox.ModePartial, Bytes: 1000})
		},
		"the last breaks off half way": func(w *fixture) {
			w.sim.Script(sandbox.Fault{Op: sandbox.OpTikTokChunk, Skip: 5, Mode: sandbox.ModePartial, Bytes: 1000})
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := onSQLite(t)
			w.video = w.upload(big)
			cut(w)
			p := w.settle(w.accept(tiktokVideo))
			w.wantStatus(p, models.Published)
			w.wantLive(1)
			if got := w.sim.LivePosts()[0].Bytes; got != int64(len(big)) {
				t.Errorf("%d bytes are live, want %d", got, len(big))
			}
			if inits := w.sim.CountCalls(sandbox.OpTikTokInit); inits != 1 {
				t.Errorf("%d uploads were opened, want one that goes on", inits)
			}
		})
	}
}

// bigVideo is the sample with a box of nothing behind it.
func bigVideo(size int) []byte {
	pad := size - len(sample.Video)
	box := make([]byte, pad)
	box[0], box[1], box[2], box[3] = byte(pad>>24), byte(pad>>16), byte(pad>>8), byte(pad)
	copy(box[4:], "free")
	return append(bytes.Clone(sample.Video), box...)
}

// TestUploadURLExpires: the upload's hour passes before its last byte is sent.
func TestUploadURLExpires(t *testing.T) {
	w := onSQLite(t)
	w.wire.CutPower(2, false) // dies before the only chunk
	p := w.accept(tiktokVideo)
	w.step()
	w.clock.Advance(2 * time.Hour)
	p = w.settle(p)
	w.wantStatus(p, models.Published)
	w.wantLive(1)
	if inits := w.sim.CountCalls(sandbox.OpTikTokInit); inits != 2 {
		t.Errorf("%d uploads were opened, want a second one after the first expired", inits)
	}
}

// TestStuckProcessing: a post without a verdict is uncertain after a day, is
// looked at ever more seldom, and is never sent again.
func TestStuckProcessing(t *testing.T) {
	w := onSQLite(t)
	w.sim.Script(sandbox.Fault{Op: sandbox.OpTikTokProcess, Mode: sandbox.ModeStuck})
	p := w.accept(tiktokVideo)
	begin := w.clock.Now()
	for w.clock.Now().Sub(begin) < 30*24*time.Hour {
		got := w.post(p)
		if day := w.clock.Now().Sub(begin); day > 26*time.Hour && got.Status != models.Uncertain {
			t.Fatalf("%s after %s", got.Status, day)
		}
		if got.Admission == models.AdmissionWaiting {
			w.clock.Advance(max(0, got.RunAt.Sub(w.clock.Now())))
			w.tick()
		}
		w.step()
	}
	w.wantStatus(p, models.Uncertain)
	got := w.post(p)
	if got.Admission == models.AdmissionNone {
		t.Error("nobody looks at it any more")
	}
	if inits := w.sim.CountCalls(sandbox.OpTikTokInit); inits != 1 || got.Attempts != 0 {
		t.Errorf("%d inits, %d attempts; want one and none", inits, got.Attempts)
	}
	if looks := w.sim.CountCalls(sandbox.OpTikTokStatus); looks > 300 {
		t.Errorf("%d looks in a month", looks)
	}
}

// TestUsesUpItsAttempts: a platform that stays down fails the post after the
// last retry, and the app may run it again.
func TestUsesUpItsAttempts(t *testing.T) {
	w := onSQLite(t)
	w.sim.Script(sandbox.Fault{Op: sandbox.OpTikTokCreatorInfo, Mode: sandbox.ModeStatus, Status: 503, Times: -1})
	p := w.settle(w.accept(tiktokVideo))
	w.wantStatus(p, models.Failed)
	if want := len(publish.DefaultTimings().Retries) + 1; p.Attempts != want {
		t.Errorf("%d attempts, want %d", p.Attempts, want)
	}
	if got, want := w.lastAttempt(), (observe.Attempt{Outcome: observe.AttemptDead, Class: observe.ClassTransient, Exhausted: true}); got != want {
		t.Errorf("the metrics are told %+v, want %+v", got, want)
	}
	if first, want := w.attempts[0], (observe.Attempt{Outcome: observe.AttemptRetry, Class: observe.ClassTransient}); first != want {
		t.Errorf("of the first try the metrics are told %+v, want %+v", first, want)
	}
	w.sim.ClearFaults()
	again, err := w.Retry(w.ctx, w.app.ID, p.ID)
	w.must(err)
	if again.Status != models.Queued || again.Attempts != 0 || again.ErrorCode != "" {
		t.Errorf("after retry: %+v", again)
	}
	w.wantStatus(w.settle(p), models.Published)
	w.wantLive(1)
}

// TestQuarantineSparesTheInnocent: a post that died eight times with its workers, and does
// not die once it runs apart from the others, goes live.
func TestQuarantineSparesTheInnocent(t *testing.T) {
	w := onSQLite(t)
	p := w.accept(tiktokVideo)
	for w.post(p).DeferredReason != models.DeferredInternal {
		w.wire.CutPower(0, false)
		w.step()
		w.clock.Advance(30 * time.Second)
	}
	w.wire.KeepPower()
	if got := w.post(p); got.Status != models.Queued || got.DeferredUntil.Sub(w.clock.Now()) < 20*time.Second {
		t.Errorf("quarantined: %+v", got)
	}
	w.wantStatus(w.settle(p), models.Published)
	w.wantLive(1)
	if n := w.post(p).UnfinishedRuns; n != 0 {
		t.Errorf("%d unfinished runs count still", n)
	}
}

// TestQuarantine: a post whose runs keep dying is set aside, and a post of which
// something may be live is never called failed.
func TestQuarantine(t *testing.T) {
	for _, sent := range []bool{false, true} {
		t.Run(fmt.Sprintf("sent %v", sent), func(t *testing.T) {
			w := onSQLite(t)
			p := w.accept(tiktokVideo)
			if sent {
				w.wire.CutPower(2, true) // the chunk went out, the answer was not read
				w.step()
			}
			for range 60 {
				w.wire.CutPower(0, false) // every run dies at its first call
				w.step()
				w.clock.Advance(30 * time.Second)
			}
			w.wire.KeepPower()
			got := w.post(p)
			want := models.Failed
			if sent {
				want = models.Uncertain
			}
			if got.Status != want {
				t.Errorf("status %s, want %s: %s", got.Status, want, w.story(p))
			}
			outcome := map[bool]string{false: observe.AttemptDead, true: observe.AttemptUnknown}[sent]
			if aside := (observe.Attempt{Outcome: outcome, Quarantined: true}); !slices.Contains(w.attempts, aside) {
				t.Errorf("the metrics are told %+v, want %+v among it", w.attempts, aside)
			}
			if sent {
				w.wantStatus(w.settle(p), models.Published) // the looks go on, an hour apart
				w.wantLive(1)
			}
		})
	}
}
