package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"socialqueue/models"
	"socialqueue/publish"
	"socialqueue/sandbox"
	"socialqueue/sandbox/sample"
	"socialqueue/test/testkit"
)

// 200 posts of 200 accounts are due in the same second. One worker and one
// scheduler with the settings of production see to them: first as they come from
// a quiet hour, without a connection to the database, then once more.
func TestDueInTheSameSecond(t *testing.T) {
	w := newSystem(t, setup{sandbox: sandbox.Options{Limits: &sandbox.Limits{}, DiscardBytes: true}})
	clip, still := w.upload("video/mp4", sample.Video), w.upload("image/jpeg", sample.Picture)
	const each = 100
	var tiktoks, instagrams []account
	for range each {
		tiktoks = append(tiktoks, w.tiktokAccount())
		instagrams = append(instagrams, w.instagramAccount())
	}
	w.startWorker()
	w.startScheduler()
	var latest time.Duration
	for i, state := range []string{"cold", "warm"} {
		tomorrow := func(caption string) fields { return video(tiktoks[0], clip, caption) }
		ahead := w.timeFor(2*each, tiktoks[0], tomorrow, 4*time.Second)
		at := time.Now().Add(ahead).Truncate(time.Second)
		when := fields{"publish_at": at}
		var orders []order
		for k := range each {
			tt, ig := tiktoks[k], instagrams[k]
			orders = append(orders,
				order{tt, video(tt, clip, fmt.Sprintf("%s video %d", state, k)).with(when)},
				order{ig, picture(ig, still, fmt.Sprintf("%s image %d", state, k)).with(when)})
		}
		w.acceptAll(orders)
		if left := time.Until(at); left < 500*time.Millisecond {
			t.Logf("the machine is slow: only %s were left when the last post was accepted", left)
		}
		w.untilAllLive(5*testkit.Patience, (i+1)*2*each)
		latest = max(latest, w.wantNoneEarly(state, at))
	}
	// The sweep is for what got lost, and nothing was. It looks at what waits for long.
	if rescued := strings.Count(w.logs.String(), "the sweep enqueued a post"); rescued > 0 && latest < publish.DefaultTimings().CheckAfter {
		t.Errorf("%d posts had lost their task and waited for the sweep", rescued)
	}
}

// wantNoneEarly wants that the platform was called for no post before its time. It logs how
// late they were, which depends on the machine (make bench measures it), and returns how late
// the last one was.
func (w *system) wantNoneEarly(state string, at time.Time) time.Duration {
	w.t.Helper()
	late := w.lateness(at)
	var all []time.Duration
	for _, platform := range []models.Platform{models.TikTok, models.Instagram} {
		all = append(all, late[platform]...)
		w.t.Logf("MEASURED lateness %s platform=%s %s", state, platform, spread(late[platform]))
	}
	w.t.Logf("MEASURED lateness %s posts=%d accounts=%d %s", state, len(all), len(all), spread(all))
	slices.Sort(all)
	if all[0] < 0 {
		w.t.Errorf("a platform was called %s before its time", -all[0])
	}
	return all[len(all)-1]
}

// lateness is how long after their time the platform was first called for each
// post of that time.
func (w *system) lateness(at time.Time) map[models.Platform][]time.Duration {
	w.t.Helper()
	late := map[models.Platform][]time.Duration{}
	for _, p := range w.posts() {
		if !p.PublishAt.Equal(at) {
			continue
		}
		made := calls(w.events(p.ID))
		if len(made) == 0 {
			w.t.Fatalf("post %s is live without a call", p.ID)
		}
		platform := models.Platform(p.Platform)
		late[platform] = append(late[platform], made[0].At.Sub(at))
	}
	return late
}

func spread(d []time.Duration) string {
	slices.Sort(d)
	return fmt.Sprintf("p50=%dms p90=%dms p99=%dms max=%dms",
		percentile(d, 50).Milliseconds(), percentile(d, 90).Milliseconds(), percentile(d, 99).Milliseconds(), d[len(d)-1].Milliseconds())
}

// percentile of a sorted list, by nearest rank.
func percentile(sorted []time.Duration, p int) time.Duration {
	return sorted[(len(sorted)*p+99)/100-1]
}
