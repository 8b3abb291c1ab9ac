//go:build alerts

package alerts

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hibiken/asynq"

	"socialqueue/app"
	"socialqueue/highwater"
	"socialqueue/jobs"
	"socialqueue/models"
	"socialqueue/observe"
	"socialqueue/sandbox"
	"socialqueue/test/testkit"
)

// trouble is something that breaks.
type trouble struct {
	name string
	// alerts are those that watch it: each of them fires while it lasts.
	alerts []string
	// after are those that fire when it is over, because of what it left behind.
	after []string
	// beside are those that may fire too, as the same trouble can be seen elsewhere.
	beside []string
	// start breaks it and returns how to mend it.
	start func(w *system) (mend func())
}

var troubles = []trouble{
	{name: "the only worker stops", alerts: []string{"NoWorker"}, start: func(w *system) func() {
		w.stopWorker()
		return w.startWorker
	}},
	{
		name: "the queue of uploads is paused while a post is due", alerts: []string{"QueuePaused", "QueueStuck", "PostsOverdue"}, after: []string{"PostsLate"},
		start: func(w *system) func() {
			w.queue("upload", "pause")
			id := w.postVideo()
			return func() {
				w.queue("upload", "resume")
				w.untilStatus(id, "published")
			}
		},
	},
	{name: "an operator lets nothing be sent to TikTok", alerts: []string{"SendingPaused"}, start: func(w *system) func() {
		w.must(w.db.Admission.Pause(w.t.Context(), models.Pause{Scope: "tiktok", PausedBy: "anna", CreatedAt: time.Now()}))
		return func() {
			_, err := w.db.Admission.Resume(w.t.Context(), "tiktok")
			w.must(err)
		}
	}},
	{
		name: "the queue of webhooks is paused while an event comes", alerts: []string{"WebhooksWaiting"}, beside: []string{"QueuePaused", "QueueStuck"},
		start: func(w *system) func() {
			w.queue("webhooks", "pause")
			w.comment()
			return func() { w.queue("webhooks", "resume") }
		},
	},
	{name: "the only api stops", alerts: []string{"NoAPI"}, start: func(w *system) func() {
		w.stopAPI()
		return w.startAPI
	}},
	{name: "the only scheduler stops", alerts: []string{"NoScheduler"}, start: func(w *system) func() {
		w.stopScheduler()
		return w.startScheduler
	}},
	{
		name: "a scheduler of another host hangs with the lock of a tick while a post waits", alerts: []string{"NoScheduler", "PostsOverdue"},
		start: func(w *system) func() {
			letGo := w.holdTick("admit")
			id := w.postLater(time.Hour)
			_, err := w.db.Pool().ExecContext(w.t.Context(), "UPDATE posts SET run_at = now() - interval '1 minute' WHERE id = $1", id)
			w.must(err)
			return func() {
				letGo()
				w.untilStatus(id, "published")
			}
		},
	},
	{name: "Postgres is away", alerts: []string{"NumbersMissing", "NoScheduler"}, start: func(w *system) func() {
		w.toPostgres.Cut()
		return w.toPostgres.Mend
	}},
	{
		// A worker that is not heard of for ten seconds counts as gone.
		name: "Redis is away", alerts: []string{"NumbersMissing", "NoScheduler"}, beside: []string{"NoWorker"},
		start: func(w *system) func() {
			w.toRedis.Cut()
			return w.toRedis.Mend
		},
	},
	{
		name: "Redis loses everything while a post waits", alerts: []string{"RedisLostTasks"}, beside: []string{"NoWorker"},
		start: func(w *system) func() {
			id := w.postLater(time.Minute) // which is near enough to be in Redis
			w.untilScheduled()
			w.must(w.redis.FlushDB(w.t.Context()).Err())
			return func() { w.call("DELETE", "/api/posts/"+id, nil, nil) }
		},
	},
	{name: "a task cannot be read", alerts: []string{"TasksArchived"}, start: func(w *system) func() {
		const id = "unreadable"
		_, err := asynq.NewClientFromRedisClient(w.redis).EnqueueContext(w.t.Context(), asynq.NewTask("tiktok:publish", []byte("not JSON")),
			asynq.Queue(jobs.QueuePublish), asynq.TaskID(id))
		w.must(err)
		return func() { w.must(w.inspector().DeleteTask(jobs.QueuePublish, id)) }
	}},
	{name: "TikTok answers 503", alerts: []string{"PlatformTrouble", "PlatformDown"}, start: func(w *system) func() {
		w.sim.Script(sandbox.Fault{Op: sandbox.OpTikTokCreatorInfo, Mode: sandbox.ModeStatus, Status: http.StatusServiceUnavailable, Times: -1})
		var ids []string
		for range 6 {
			ids = append(ids, w.postVideo())
		}
		return func() {
			w.sim.ClearFaults()
			for _, id := range ids {
				w.untilStatus(id, "published")
			}
		}
	}},
	{name: "TikTok takes no video", alerts: []string{"PostsFailing"}, start: func(w *system) func() {
		w.sim.Script(sandbox.Fault{Op: sandbox.OpTikTokProcess, Mode: sandbox.ModeFail, Code: "file_format_check_failed", Times: -1})
		w.untilStatus(w.postVideo(), "failed")
		return w.sim.ClearFaults
	}},
	{
		name: "Instagram's answer is lost, and what came of it cannot be read", alerts: []string{"PostsUncertain"}, beside: []string{"PlatformTrouble"},
		start: func(w *system) func() {
			w.sim.Script(
				sandbox.Fault{Op: sandbox.OpInstagramPublish, Mode: sandbox.ModeReset, After: true},
				sandbox.Fault{Op: sandbox.OpInstagramContainerStatus, Mode: sandbox.ModeStatus, Status: http.StatusServiceUnavailable, Skip: 1, Times: -1},
				sandbox.Fault{Op: sandbox.OpInstagramMedia, Mode: sandbox.ModeStatus, Status: http.StatusServiceUnavailable, Times: -1})
			id := w.postPicture()
			return func() {
				w.sim.ClearFaults()
				w.untilStatus(id, "published")
			}
		},
	},
	{
		name: "the database lacks calls that were made, and a post of it may be live", alerts: []string{"DatabaseRestored", "PostsHeld"},
		start: func(w *system) func() {
			id := w.postVideoLater(8 * time.Second) // by then a scheduler has noticed
			w.aheadOfLedger()
			return func() {
				w.release(id)
				w.untilStatus(id, "published")
				w.exec("DELETE FROM restores") // or the alert would last for a day
			}
		},
	},
	{name: "many people remove the app, and TikTok's word of it is lost", alerts: []string{"AccountsDying"}, start: func(w *system) func() {
		w.sim.SetTikTokWebhook("")
		for range 8 {
			w.sim.InvalidateTikTok(w.tiktokAccount(2 * time.Second).external)
		}
		return func() { w.sim.SetTikTokWebhook(w.tiktokWebhook()) }
	}},
	{
		name: "TikTok refreshes no token", alerts: []string{"RefreshesPutOff", "TokensEnding"}, beside: []string{"PlatformTrouble"},
		start: func(w *system) func() {
			w.sim.Script(sandbox.Fault{Op: sandbox.OpTikTokRefreshToken, Mode: sandbox.ModeStatus, Status: http.StatusServiceUnavailable, Times: -1})
			for range 3 {
				w.tiktokAccount(2 * time.Second)
			}
			return func() {
				w.sim.ClearFaults()
				w.refreshAgain()
			}
		},
	},
	{
		name: "TikTok takes the bytes of videos and does not answer", alerts: []string{"NoFreePlace"}, beside: []string{"NoWorker", "PostsOverdue", "QueueStuck", "PlatformTrouble", "PostsLate"},
		start: func(w *system) func() {
			w.sim.Script(sandbox.Fault{Op: sandbox.OpTikTokChunk, Mode: sandbox.ModeHang, Times: uploadPlaces})
			var ids []string
			for range uploadPlaces {
				ids = append(ids, w.postVideo())
			}
			return func() {
				w.stopWorker() // which cuts off what waits for an answer
				w.startWorker()
				for _, id := range ids {
					w.untilStatus(id, "published")
				}
			}
		},
	},
	{name: "Redis lost a task that a worker had", alerts: []string{"TasksOrphaned"}, start: func(w *system) func() {
		letGo := w.holdTick("repair") // which would mend it, perhaps before anybody saw it
		w.must(w.redis.LPush(w.t.Context(), "asynq:{"+jobs.QueuePublish+"}:active", "lost").Err())
		return letGo
	}},
	{
		name: "a job is canceled that waits for an answer", alerts: []string{"HandlersStuck", "TokensEnding"}, beside: []string{"RefreshesPutOff", "PlatformTrouble"},
		start: func(w *system) func() {
			w.sim.Script(sandbox.Fault{Op: sandbox.OpTikTokRefreshToken, Mode: sandbox.ModeHang})
			w.tiktokAccount(2 * time.Second)
			testkit.Await(w.t, 30*time.Second, "the job waits for TikTok's answer", func() (bool, string) {
				return len(w.sim.PendingFaults()) == 0, "it does not"
			})
			w.cancelJob(jobs.QueueTokens)
			return w.refreshAgain
		},
	},
	{name: "Redis has little memory left", alerts: []string{"RedisMemory"}, start: func(w *system) func() {
		w.redisConfig("maxmemory", fmt.Sprint(w.redisMemory()*10/9))
		return func() { w.redisConfig("maxmemory", "0") }
	}},
	{
		name: "Redis throws keys away", alerts: []string{"RedisEvicted"}, beside: []string{"RedisMemory", "NoWorker"},
		start: func(w *system) func() {
			for i := range 40 {
				w.must(w.redis.Set(w.t.Context(), fmt.Sprint("filler", i), strings.Repeat("x", 256<<10), time.Hour).Err())
			}
			w.redisConfig("maxmemory-policy", "volatile-lru")
			w.redisConfig("maxmemory", fmt.Sprint(w.redisMemory()-1<<20))
			w.must(w.redis.Set(w.t.Context(), "filler", "x", time.Hour).Err())
			return func() {
				w.redisConfig("maxmemory", "0")
				w.redisConfig("maxmemory-policy", "noeviction")
				for i := range 40 {
					w.must(w.redis.Del(w.t.Context(), fmt.Sprint("filler", i)).Err())
				}
				w.must(w.redis.Do(w.t.Context(), "CONFIG", "RESETSTAT").Err())
			}
		},
	},
	{name: "Redis cannot write its snapshot", alerts: []string{"RedisNotKept"}, start: func(w *system) func() {
		dir, err := w.redis.ConfigGet(w.t.Context(), "dir").Result()
		w.must(err)
		inTheWay := filepath.Join(dir["dir"], "dump.rdb")
		if err := os.Mkdir(inTheWay, 0o700); err != nil {
			w.t.Fatalf("Redis has to run on this machine (redis-server, not Docker): %v", err)
		}
		w.save()
		return func() {
			w.must(os.Remove(inTheWay))
			w.save()
		}
	}},
	{name: "a replica of Redis goes away", alerts: []string{"RedisReplicaGone"}, start: func(w *system) func() {
		gone := w.replica()
		testkit.Await(w.t, 30*time.Second, "Prometheus has seen the replica twice", func() (bool, string) {
			seen := w.prometheus.query("", `sum_over_time(socialqueue_redis_replicas[1m]) >= 2`)
			return len(seen) > 0, fmt.Sprint(seen)
		})
		gone()
		return func() {}
	}},
	{name: "somebody forges webhooks", alerts: []string{"WebhooksRefused"}, start: func(w *system) func() {
		for range 25 {
			w.forgeWebhook()
		}
		return func() {}
	}},
	{name: "the only app's endpoint answers 500", alerts: []string{"AppsNotTold"}, start: func(w *system) func() {
		w.endpoint.answer.Store(http.StatusInternalServerError)
		w.untilStatus(w.postPicture(), "published")
		return func() {
			w.endpoint.answer.Store(http.StatusNoContent)
			w.redeliverAll()
		}
	}},
	{
		name: "an app has been away for hours", alerts: []string{"AppBehind"}, beside: []string{"AppsNotTold"},
		start: func(w *system) func() {
			w.endpoint.answer.Store(http.StatusInternalServerError)
			w.untilStatus(w.postPicture(), "published")
			w.exec("UPDATE webhook_deliveries SET give_up_at = give_up_at - interval '2 hours' WHERE status = 'pending'")
			return func() {
				w.endpoint.answer.Store(http.StatusNoContent)
				w.redeliverAll()
			}
		},
	},
	{
		name: "an app's endpoint says that it is gone", alerts: []string{"EndpointDisabled"}, beside: []string{"AppsNotTold"},
		start: func(w *system) func() {
			w.endpoint.answer.Store(http.StatusGone)
			w.untilStatus(w.postPicture(), "published")
			return func() {
				w.endpoint.answer.Store(http.StatusNoContent)
				w.call("PATCH", "/api/webhook-endpoints/"+w.endpoint.id, map[string]any{"status": "enabled"}, nil)
				w.redeliverAll()
			}
		},
	},
	{
		name: "a clean-up does not run while old events are stored", alerts: []string{"CleanUpBehind"}, beside: []string{"NoScheduler"},
		start: func(w *system) func() {
			letGo := w.holdTick("webhooks clean-up")
			if w.exec("UPDATE webhook_events SET received_at = received_at - interval '31 days' WHERE run_at IS NULL") == 0 {
				w.t.Fatal("no event is settled")
			}
			return func() {
				letGo()
				w.stopScheduler() // one that starts cleans up at once
				w.startScheduler()
				testkit.Await(w.t, 30*time.Second, "the old events are gone", func() (bool, string) {
					overdue, err := w.db.Inbox.PruneOverdue(w.t.Context(), time.Now().Add(-30*24*time.Hour))
					return err == nil && overdue == 0, fmt.Sprint(overdue, err)
				})
			}
		},
	},
}

// comment has Instagram send an event.
func (w *system) comment() {
	w.sim.SendInstagram(w.sim.CommentEntry(w.instagram.external, sandbox.InstagramComment{Text: "Lovely!", Username: "ann"}))
}

// forgeWebhook sends what claims to be from TikTok and is not signed by it.
func (w *system) forgeWebhook() {
	w.t.Helper()
	reply := w.client().Do(testkit.Call{
		Method: "POST", Path: "/api/webhooks/tiktok", JSON: `{"event":"post.publish.complete"}`,
		Headers: map[string]string{"TikTok-Signature": fmt.Sprintf("t=%d,s=%064d", time.Now().Unix(), 0)},
	})
	if reply.Status/100 != 4 {
		w.t.Fatalf("a forged webhook is answered %d", reply.Status)
	}
}

// aheadOfLedger raises the high-water mark beyond the ledger, as a restore of the database
// from a backup leaves it.
func (w *system) aheadOfLedger() {
	w.t.Helper()
	marks := highwater.NewRedis(w.redis)
	mark, err := marks.Read(w.t.Context())
	w.must(err)
	replaced, err := marks.Replace(w.t.Context(), mark, highwater.New(mark.Identity, mark.Seq+1000, time.Now()))
	w.must(err)
	if !replaced {
		w.t.Fatal("another run raised the mark")
	}
}

// release has a held post sent, as an operator does.
func (w *system) release(id string) {
	w.t.Helper()
	posts, err := app.OperatorPosts(w.db, w.redis, observe.NewLogger("operator", "debug", "json", w.logs))
	w.must(err)
	_, err = posts.ReleaseHeld(w.t.Context(), id, "anna")
	w.must(err)
}

// holdTick keeps every scheduler from a tick, as another one does that works on it.
func (w *system) holdTick(name string) (letGo func()) {
	w.t.Helper()
	end, held := make(chan struct{}), make(chan struct{})
	ended := make(chan error, 1)
	go func() {
		for ran := false; !ran; { // the scheduler of this system may just work on it
			var err error
			ran, err = w.db.TryTick(context.WithoutCancel(w.t.Context()), name, func(context.Context) error {
				close(held)
				<-end
				return nil
			})
			if err != nil {
				ended <- err
				return
			}
		}
		ended <- nil
	}()
	select {
	case <-held:
	case err := <-ended:
		w.t.Fatalf("hold tick %s: %v", name, err)
	}
	letGo = sync.OnceFunc(func() {
		close(end)
		if err := <-ended; err != nil {
			w.t.Errorf("hold tick %s: %v", name, err)
		}
	})
	w.t.Cleanup(letGo)
	return letGo
}

// redeliverAll has everything delivered now that waits.
func (w *system) redeliverAll() {
	w.t.Helper()
	var list struct{ Deliveries []struct{ ID int64 } }
	w.call("GET", "/api/webhook-endpoints/"+w.endpoint.id+"/deliveries?status=pending", nil, &list)
	for _, d := range list.Deliveries {
		w.call("POST", fmt.Sprintf("/api/webhook-deliveries/%d/redeliver", d.ID), nil, nil)
	}
}

// TestAlerts has the system do its work, of which no alert may say anything, and then
// meets one trouble after the other.
func TestAlerts(t *testing.T) {
	w := newSystem(t)
	w.prometheus = startPrometheus(t, testkit.FreeAddr(t), password, w.addrs)
	p := w.prometheus
	began := time.Now()
	w.work(p)
	if fired := p.fired(began); len(fired) > 0 {
		t.Fatalf("all is well, and %q fired", fired)
	}
	for _, metric := range watchedMetrics(t) {
		if len(p.query("", "count("+metric+")")) == 0 {
			t.Errorf("all is well, and no process shows %s, which an alert watches", metric)
		}
	}
	for _, trouble := range troubles {
		w.meet(p, trouble)
	}
	w.checkMetrics() // now that most of what can be counted was
}

// work is a bit of everything: posts to both platforms, of which the app is told and
// TikTok tells, a post that waits, a comment, and a refresh.
func (w *system) work(p *server) {
	w.t.Helper()
	w.postLater(24 * time.Hour)
	w.tiktokAccount(2 * time.Second)
	for _, id := range []string{w.postVideo(), w.postPicture(), w.postVideo(), w.postPicture()} {
		w.untilStatus(id, "published")
	}
	w.comment()
	testkit.Await(w.t, 30*time.Second, "the work is done and seen", func() (bool, string) {
		told := w.endpoint.told.Load()
		refreshed := p.query("", `sum(socialqueue_token_refreshes_total{outcome="refreshed"})`)[""]
		heard := p.query("", `sum(socialqueue_webhooks_received_total{outcome="stored"})`)[""]
		seen := p.query("", `count_over_time(socialqueue_collected{source="database"}[1m]) > 20`)
		return told >= 5 && refreshed == "1" && heard >= "2" && len(seen) > 0,
			fmt.Sprintf("told %d, refreshed %s, heard %s, seen %v", told, refreshed, heard, seen)
	})
}

const (
	// fireWithin and resolveWithin are generous: a busy machine is no trouble.
	fireWithin    = 45 * time.Second
	resolveWithin = 45 * time.Second
)

// meet breaks something, waits for the alerts that watch it, mends it, and waits until
// nothing fires any more. An alert that has nothing to do with it may not fire.
func (w *system) meet(p *server, tr trouble) {
	w.t.Helper()
	began := time.Now()
	mend := tr.start(w)
	w.untilFiring(p, tr.name, tr.alerts)
	mend()
	w.untilFiring(p, tr.name+", and that is over", tr.after)
	mended := time.Now()
	var firing map[string]string
	testkit.Await(w.t, resolveWithin, tr.name+" is over and no alert fires", func() (bool, string) {
		firing = p.firing()
		return len(firing) == 0, fmt.Sprint(firing)
	})
	w.t.Logf("RESOLVED  %5.1fs  %s", time.Since(mended).Seconds(), tr.name)
	expected := slices.Concat(tr.alerts, tr.after, tr.beside)
	for _, name := range p.fired(began) {
		if !slices.Contains(expected, name) {
			w.t.Errorf("%s: %s fired too, which watches something else", tr.name, name)
		}
	}
}

// untilFiring waits until each of the alerts has fired.
func (w *system) untilFiring(p *server, trouble string, alerts []string) {
	w.t.Helper()
	began, missing := time.Now(), slices.Clone(alerts)
	testkit.Await(w.t, fireWithin, fmt.Sprintf("%s: %q fire", trouble, alerts), func() (bool, string) {
		firing := p.firing()
		missing = slices.DeleteFunc(missing, func(name string) bool {
			labels, fires := firing[name]
			if fires {
				w.t.Logf("FIRED     %5.1fs  %-16s %s  (%s)", time.Since(began).Seconds(), name, labels, trouble)
			}
			return fires
		})
		return len(missing) == 0, fmt.Sprintf("missing are %q; firing %v", missing, slices.Sorted(maps.Keys(firing)))
	})
}
