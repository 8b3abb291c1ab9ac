package e2e

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"socialqueue/models"
	"socialqueue/sandbox"
	"socialqueue/sandbox/sample"
)

// 200 posts of 200 accounts are due in the same second. One worker and one
// scheduler with the settings of production see to them.
func TestDueInTheSameSecond(t *testing.T) {
	w := newWorld(t, setup{sandbox: sandbox.Options{Limits: &sandbox.Limits{}, DiscardBytes: true}})
	clip, still := w.upload("video/mp4", sample.Video), w.upload("image/jpeg", sample.Picture)
	const each = 100
	var orders []order
	for i := range each {
		tt, ig := w.tiktokAccount(), w.instagramAccount()
		orders = append(orders,
			order{tt, video(tt, clip, fmt.Sprintf("video %d", i))},
			order{ig, picture(ig, still, fmt.Sprintf("image %d", i))})
	}
	at := time.Now().Add(5 * time.Second).Truncate(time.Second)
	for i := range orders {
		orders[i].body["publish_at"] = at
	}
	w.startWorker()
	w.startScheduler()
	w.acceptAll(orders)
	if left := time.Until(at); left < time.Second {
		t.Logf("the machine is slow: only %s were left when the last post was accepted", left)
	}
	w.untilAllLive(45*time.Second, 2*each)

	late := w.lateness(at)
	var all []time.Duration
	for _, platform := range []models.Platform{models.TikTok, models.Instagram} {
		all = append(all, late[platform]...)
		t.Logf("MEASURED lateness platform=%s %s", platform, spread(late[platform]))
	}
	t.Logf("MEASURED lateness posts=%d accounts=%d %s", len(all), 2*each, spread(all))
	slices.Sort(all)
	if all[0] < 0 {
		t.Errorf("a platform was called %s before its time", -all[0])
	}
	if p99 := percentile(all, 99); p99 > 20*time.Second {
		t.Errorf("p99 is %s", p99)
	}
}

// lateness is how long after its time each post's platform was first called.
func (w *world) lateness(at time.Time) map[models.Platform][]time.Duration {
	w.t.Helper()
	late := map[models.Platform][]time.Duration{}
	for _, p := range w.posts() {
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

