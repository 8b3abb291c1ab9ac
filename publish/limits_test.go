package publish_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"socialqueue/db"
	"socialqueue/models"
	"socialqueue/platform"
	"socialqueue/publish"
	tiktokposts "socialqueue/publish/tiktok"
	"socialqueue/sandbox"
)

// The reason of a wait follows from what the platform said, however long the wait is.
func TestReasonOfAWait(t *testing.T) {
	for name, tc := range map[string]struct {
		f      flow
		fault  sandbox.Fault
		reason string
		atMost time.Duration
		code   string // of the error that is shown while the post waits
	}{
		"throttled for long": {
			instagramImage, sandbox.Fault{Op: sandbox.OpInstagramContainer, Mode: sandbox.ModeRateLimit, Minutes: 45},
			models.DeferredRateLimit, time.Hour, "",
		},
		"blocked for policy": {
			instagramImage, sandbox.Fault{Op: sandbox.OpInstagramPublish, Mode: sandbox.ModeError, Code: "368"},
			models.DeferredRestricted, 7 * time.Hour, "RATE_LIMITED",
		},
		"activity restricted": {
			instagramImage, sandbox.Fault{Op: sandbox.OpInstagramPublish, Mode: sandbox.ModeError, Code: "4", Subcode: 2207051},
			models.DeferredRestricted, 7 * time.Hour, "RATE_LIMITED",
		},
		"quota of the account": {
			instagramImage, sandbox.Fault{Op: sandbox.OpInstagramPublish, Mode: sandbox.ModeError, Code: "9", Subcode: 2207042},
			models.DeferredDailyCap, 2 * time.Hour, "",
		},
		"posts of the creator": {
			tiktokVideo, sandbox.Fault{Op: sandbox.OpTikTokInit, Mode: sandbox.ModeError, Status: 403, Code: "spam_risk_too_many_posts"},
			models.DeferredDailyCap, 2 * time.Hour, "",
		},
		"posts of the creator, after the upload": {
			tiktokVideo, sandbox.Fault{Op: sandbox.OpTikTokProcess, Mode: sandbox.ModeFail, Code: "spam_risk_too_many_posts"},
			models.DeferredDailyCap, 2 * time.Hour, "",
		},
		"drafts of the creator": {
			tiktokVideo, sandbox.Fault{Op: sandbox.OpTikTokInit, Mode: sandbox.ModeError, Status: 403, Code: "spam_risk_too_many_pending_share"},
			models.DeferredPendingCap, 2 * time.Hour, "",
		},
		"creators of the app": {
			tiktokVideo, sandbox.Fault{Op: sandbox.OpTikTokInit, Mode: sandbox.ModeError, Status: 403, Code: "reached_active_user_cap"},
			models.DeferredRateLimit, 2 * time.Hour, "RATE_LIMITED",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := onSQLite(t)
			w.sim.Script(tc.fault)
			p := w.until(w.accept(tc.f), "deferred", func(p *models.Post) bool { return p.DeferredReason != "" })
			if wait := p.DeferredUntil.Sub(w.clock.Now()); p.DeferredReason != tc.reason || wait <= 0 || wait > tc.atMost || p.ErrorCode != tc.code {
				t.Errorf("deferred_reason %q for %s, error %q: %s", p.DeferredReason, wait, p.ErrorCode, w.story(p))
			}
			w.wantStatus(w.settle(p), models.Published)
			if p = w.post(p); p.ErrorCode != "" {
				t.Errorf("a live post shows the error %s", p.ErrorCode)
			}
			w.wantLive(1)
		})
	}
}

// Limits asks the platform once in a minute for each account, with a token that works.
func TestLimitsAreAskedOnceInAMinute(t *testing.T) {
	w := onSQLite(t)
	for range 3 {
		limits, err := w.Limits(w.ctx, w.app.ID, models.TikTok, w.tiktok)
		w.must(err)
		if limits.Creator == nil || len(limits.Limits) != 2 || !limits.CheckedAt.Equal(w.clock.Now()) {
			t.Fatalf("limits %+v", limits)
		}
	}
	if n := w.sim.CountCalls(sandbox.OpTikTokCreatorInfo); n != 1 {
		t.Errorf("TikTok was asked %d times", n)
	}
	w.clock.Advance(time.Minute)
	if _, err := w.Limits(w.ctx, w.app.ID, models.TikTok, w.tiktok); err != nil || w.sim.CountCalls(sandbox.OpTikTokCreatorInfo) != 2 {
		t.Errorf("after a minute: %v, %d calls", err, w.sim.CountCalls(sandbox.OpTikTokCreatorInfo))
	}

	limits, err := w.Limits(w.ctx, w.app.ID, models.Instagram, w.insta)
	w.must(err)
	if want := (publish.Limit{Name: "posts", Window: 24 * time.Hour, Limit: 100, Source: publish.LimitOfPlatform}); limits.Creator != nil || len(limits.Limits) != 2 || limits.Limits[0] != want {
		t.Errorf("limits of Instagram %+v, want %+v", limits, want)
	}
}

// What is counted here is new with each answer, and says when there is room again.
func TestCountedLimits(t *testing.T) {
	w := onSQLite(t)
	p := w.settle(w.accept(tiktokVideo))
	w.clock.Advance(time.Hour)
	for _, used := range []int{0, 6} {
		limits, err := w.Limits(w.ctx, w.app.ID, models.TikTok, w.tiktok)
		w.must(err)
		want := publish.Limit{Name: "post_starts", Window: time.Minute, Limit: 6, Used: used, Source: publish.LimitCounted}
		if used == 6 {
			want.FreeAt = w.clock.Now().Add(time.Minute + 5*time.Second)
		}
		if got := limits.Limits; len(got) != 2 || got[0].Name != "pending_shares" || got[1] != want {
			t.Errorf("limits %+v, want %+v", got, want)
		}
		w.must(w.fillBudget(p, models.Lane(models.TikTok, w.tiktok)+"/post_starts", 6))
	}
}

func TestLimitsOfNobody(t *testing.T) {
	w := onSQLite(t)
	if _, err := w.Limits(w.ctx, w.app.ID, models.TikTok, w.tiktok); err != nil {
		t.Fatal(err)
	}
	for name, read := range map[string]func() error{
		"another app's account": func() error { _, err := w.Limits(w.ctx, w.app.ID+1, models.TikTok, w.tiktok); return err },
		"no such account":       func() error { _, err := w.Limits(w.ctx, w.app.ID, models.Instagram, 9999); return err },
	} {
		if err := read(); !errors.Is(err, db.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := w.sim.CountCalls(sandbox.OpTikTokCreatorInfo); n != 1 {
		t.Errorf("TikTok was asked %d times", n)
	}
}

// A refusal of the platform is kept for a moment, so that an app that repeats its call does not
// use up TikTok's 20 a minute.
func TestLimitsThatAreRefused(t *testing.T) {
	w := onSQLite(t)
	w.sim.Script(sandbox.Fault{Op: sandbox.OpTikTokCreatorInfo, Mode: sandbox.ModeError, Status: 200, Code: "spam_risk_user_banned_from_posting"})
	for range 2 {
		_, err := w.Limits(w.ctx, w.app.ID, models.TikTok, w.tiktok)
		if platform.KindOf(err) != platform.Rejected || !strings.Contains(err.Error(), "banned this account") {
			t.Errorf("error %v", err)
		}
	}
	if n := w.sim.CountCalls(sandbox.OpTikTokCreatorInfo); n != 1 {
		t.Errorf("TikTok was asked %d times", n)
	}
	w.clock.Advance(6 * time.Second)
	if _, err := w.Limits(w.ctx, w.app.ID, models.TikTok, w.tiktok); err != nil {
		t.Errorf("a moment later: %v", err)
	}
}

// A post is checked against an answer that is at hand; without one, TikTok is not asked when a
// post is accepted.
func TestAcceptChecksWhatIsAtHand(t *testing.T) {
	w := onSQLite(t)
	request := tiktokVideo.request(w)
	request.Options = &tiktokposts.Options{Title: "x", PrivacyLevel: "FOLLOWER_OF_CREATOR"}
	later := w.clock.Now().Add(24 * time.Hour)
	request.PublishAt = &later
	if _, err := w.Accept(w.ctx, request); err != nil || w.sim.CountCalls(sandbox.OpTikTokCreatorInfo) != 0 {
		t.Fatalf("without an answer at hand: %v, %d calls", err, w.sim.CountCalls(sandbox.OpTikTokCreatorInfo))
	}
	_, err := w.Limits(w.ctx, w.app.ID, models.TikTok, w.tiktok)
	w.must(err)
	refused := func() string {
		_, err := w.Accept(w.ctx, request)
		fields, _ := errors.AsType[models.FieldErrors](err)
		return fields.Error()
	}
	if got := refused(); !strings.Contains(got, "privacy_level") || !strings.Contains(got, "[PUBLIC_TO_EVERYONE MUTUAL_FOLLOW_FRIENDS SELF_ONLY]") {
		t.Errorf("refused with %q", got)
	}
	w.clock.Advance(time.Minute)
	if _, err := w.Accept(w.ctx, request); err != nil {
		t.Errorf("when the answer is old: %v", err)
	}
	w.ttSim.MaxVideoSeconds = 1
	w.sim.AddTikTokAccount(w.ttSim)
	_, err = w.Limits(w.ctx, w.app.ID, models.TikTok, w.tiktok)
	w.must(err)
	request.Options = &tiktokposts.Options{Title: "x", PrivacyLevel: "SELF_ONLY"}
	if got := refused(); !strings.Contains(got, "media_id") || !strings.Contains(got, "this creator may post 1s at most") {
		t.Errorf("refused with %q", got)
	}
}
