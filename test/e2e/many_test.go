package e2e

import (
	"fmt"
	"testing"
	"time"

	"socialqueue/jobs/redistest"
	"socialqueue/sandbox/sample"
	"socialqueue/test/testkit"
)

// Two of each process do no harm to one another.
func TestTwoOfEach(t *testing.T) {
	w := newSystem(t, setup{sandbox: unlimited()})
	for range 2 {
		w.startWorker()
		w.startScheduler()
	}
	w.untilAllLive(testkit.Patience, w.acceptMany(10, 6))
}

// acceptMany has posts accepted for so many accounts of each platform, every second one
// scheduled two seconds ahead. It returns how many there are.
func (w *system) acceptMany(accounts, each int) int {
	w.t.Helper()
	clip, still := w.upload("video/mp4", sample.Video), w.upload("image/jpeg", sample.Picture)
	at := time.Now().Add(2 * time.Second)
	var orders []order
	for i := range accounts {
		tt, ig := w.tiktokAccount(), w.instagramAccount()
		for k := range each {
			when := fields{}
			if k%2 == 0 {
				when["publish_at"] = at
			}
			orders = append(orders,
				order{tt, video(tt, clip, fmt.Sprintf("video %d.%d", i, k)).with(when)},
				order{ig, picture(ig, still, fmt.Sprintf("image %d.%d", i, k)).with(when)})
		}
	}
	w.acceptAll(orders)
	return len(orders)
}

// While nobody reaches Redis the api still accepts, and what it accepted goes
// live when Redis is back.
func TestRedisAway(t *testing.T) {
	var redis *redistest.Proxy
	w := newSystem(t, setup{sandbox: unlimited(), redisVia: func(addr string) string {
		redis = redistest.NewProxy(t, addr)
		return redis.Addr()
	}})
	w.startWorker()
	w.startScheduler()
	tt, ig := w.tiktokAccount(), w.instagramAccount()
	clip, still := w.upload("video/mp4", sample.Video), w.upload("image/jpeg", sample.Picture)

	redis.Cut()
	began := time.Now()
	ids := []string{w.accept(tt, video(tt, clip, "accepted without redis")).ID, w.accept(ig, picture(ig, still, "also without redis")).ID}
	took := time.Since(began) / 2
	scheduled := w.accept(ig, picture(ig, still, "scheduled without redis").with(fields{"publish_at": time.Now().Add(time.Second)}))
	w.untilStatus(testkit.Patience, scheduled.ID, "queued") // its time comes while Redis is away
	for _, id := range ids {
		if p := w.post(id); p.Status != "queued" {
			t.Errorf("without redis the post is %s", p.Status)
		}
	}
	redis.Mend()
	mended := time.Now()
	w.untilAllLive(testkit.Patience, 3)
	t.Logf("MEASURED redis_away accept=%dms live_after_mend=%.1fs", took.Milliseconds(), time.Since(mended).Seconds())
}
