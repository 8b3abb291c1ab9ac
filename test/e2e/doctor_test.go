package e2e

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"socialqueue/app"
	"socialqueue/config"
	"socialqueue/doctor"
	"socialqueue/highwater"
	"socialqueue/jobs"
	"socialqueue/sandbox/sample"
	"socialqueue/secrets"
	"socialqueue/test/testkit"
)

// examine is `socialqueue doctor`, with settings changed.
func (w *system) examine(how doctor.Options, env map[string]string) []doctor.Finding {
	w.t.Helper()
	all := maps.Clone(w.env)
	maps.Copy(all, env)
	cfg, err := config.Load(config.Scheduler, func(name string) string { return all[name] })
	w.must(err)
	found, err := app.Examine(w.t.Context(), cfg, w.options("doctor"), how)
	w.must(err)
	return found
}

// wantFound says that a check finds something as bad as level that holds a text.
func wantFound(t *testing.T, found []doctor.Finding, level doctor.Level, check, text string) doctor.Finding {
	t.Helper()
	for _, f := range found {
		if f.Level == level && f.Check == check && strings.Contains(f.What, text) {
			if f.Level != doctor.OK && f.Do == "" && !f.Fixed {
				t.Errorf("%q does not say what to do", f.What)
			}
			return f
		}
	}
	t.Errorf("no finding %s of %s that says %q: %s", level, check, text, tell(found))
	return doctor.Finding{}
}

func tell(found []doctor.Finding) string {
	var b strings.Builder
	for _, f := range found {
		fmt.Fprintf(&b, "\n  %s %s: %s (fixed: %v)", f.Level, f.Check, f.What, f.Fixed)
	}
	return b.String()
}

// A healthy system is healthy, and what is broken is found and told.
func TestDoctor(t *testing.T) {
	t.Parallel()
	w := newSystem(t, operated())
	stopScheduler, stopWorker := w.startScheduler(), w.startWorker()
	tt := w.tiktokAccount()
	p := w.accept(tt, video(tt, w.upload("video/mp4", sample.Video), "healthy"))
	w.untilStatus(testkit.Patience, p.ID, "published")
	w.untilIdle(testkit.Patience)
	found := w.examine(doctor.Options{}, nil)
	if doctor.Unhealthy(found) {
		t.Errorf("a healthy system is reported as unhealthy: %s", tell(found))
	}
	wantFound(t, found, doctor.OK, "workers", "1 alive")
	wantFound(t, found, doctor.OK, "secrets", "stored secrets can be decrypted")

	stopWorker()
	stopScheduler()
	w.must(w.redis.Del(t.Context(), "socialqueue:scheduler").Err())
	w.exec("DROP INDEX posts_lane")
	w.exec("UPDATE oauth_accounts SET status = 'reauth_required'")
	w.exec("INSERT INTO pauses (scope, paused_by, created_at) VALUES ('tiktok', 'anna', NOW())")
	w.must(w.inspector().PauseQueue("sync"))
	w.must(w.redis.SRem(t.Context(), "asynq:queues", "tokens").Err())
	w.exec("UPDATE posts SET status = 'uncertain', waiting_since = NOW() - INTERVAL '2 hours'")
	found = w.examine(doctor.Options{}, map[string]string{"TOKEN_ENCRYPTION_KEY": secrets.NewRandomKey()})
	wantFound(t, found, doctor.Bad, "workers", "no worker is alive")
	wantFound(t, found, doctor.Bad, "scheduler", "no scheduler was active")
	wantFound(t, found, doctor.Bad, "database", "posts_lane")
	wantFound(t, found, doctor.Bad, "secrets", "cannot be decrypted")
	wantFound(t, found, doctor.Warn, "accounts", "1 have to be connected again")
	wantFound(t, found, doctor.Warn, "pauses", "tiktok is paused by anna")
	wantFound(t, found, doctor.Warn, "queues", "paused: sync")
	wantFound(t, found, doctor.Warn, "queues", "tokens, so tools do not show them")
	wantFound(t, found, doctor.Warn, "uncertain", p.ID)
	if !doctor.Unhealthy(found) {
		t.Error("it is not reported as unhealthy")
	}
}

// What Asynq and Redis leave behind is found, mended by --fix, and costs no post.
func TestDoctorFixes(t *testing.T) {
	t.Parallel()
	w := newSystem(t, operated())
	ctx := t.Context()
	tt := w.tiktokAccount()
	clip := w.upload("video/mp4", sample.Video)
	upload := func(key string) string { return "asynq:{upload}:" + key }
	w.must(jobs.NewQueue(w.redis, app.TaskKinds()).Refilled(ctx)) // as a scheduler that was here once did

	taskless := w.accept(tt, video(tt, clip, "its task is lost"))
	unleased := w.accept(tt, video(tt, clip, "its worker is lost"))
	archived := w.accept(tt, video(tt, clip, "its task is archived"))
	testkit.Await(w.t, testkit.Patience, "three tasks are in Redis", func() (bool, string) {
		n, err := w.redis.LLen(ctx, upload("pending")).Result()
		return n == 3, fmt.Sprint(n, err)
	})
	w.must(w.redis.Del(ctx, upload("t:"+taskless.ID+":0")).Err()) // as an eviction does
	w.must(w.redis.LRem(ctx, upload("pending"), 0, unleased.ID+":0").Err())
	w.must(w.redis.LPush(ctx, upload("active"), unleased.ID+":0").Err())
	w.must(w.inspector().ArchiveTask("upload", archived.ID+":0"))
	w.must(w.redis.ZAdd(ctx, upload("archived"), redis.Z{Score: float64(time.Now().Add(-15 * 24 * time.Hour).Unix()), Member: archived.ID + ":0"}).Err())
	_, err := asynq.NewClientFromRedisClient(w.redis).EnqueueContext(ctx, asynq.NewTask("tiktok:upload", []byte(`{"v":1,"post_id":"gone"}`)), asynq.TaskID("gone:0"), asynq.Queue("upload"), asynq.ProcessIn(time.Hour))
	w.must(err)
	w.exec("UPDATE posts SET enqueued_at = NOW() - INTERVAL '2 minutes', run_at = NOW() - INTERVAL '2 minutes'")

	for range 2 { // without --fix it changes nothing
		found := w.examine(doctor.Options{}, nil)
		if f := wantFound(t, found, doctor.Bad, "orphans", "1 ids in Asynq's lists have no task"); !f.Fixable || f.Fixed {
			t.Errorf("%+v", f)
		}
		wantFound(t, found, doctor.Bad, "orphans", "1 tasks are active without a lease")
		wantFound(t, found, doctor.Warn, "archive", "1 archived tasks")
		wantFound(t, found, doctor.Bad, "posts", "3 posts are due and no worker processes them")
		wantFound(t, found, doctor.OK, "tasks", "1 of ")
	}
	found := w.examine(doctor.Options{Fix: true}, nil)
	for _, f := range []doctor.Finding{
		wantFound(t, found, doctor.Bad, "orphans", "1 ids"), wantFound(t, found, doctor.Bad, "orphans", "1 tasks"),
		wantFound(t, found, doctor.Warn, "archive", "1 archived"), wantFound(t, found, doctor.Bad, "posts", "3 posts"),
		wantFound(t, found, doctor.OK, "tasks", "1 of"),
	} {
		if !f.Fixed {
			t.Errorf("not fixed: %+v", f)
		}
	}
	// Nothing else has run yet: this is what --fix did.
	pending, err := w.redis.LRange(ctx, upload("pending"), 0, -1).Result()
	w.must(err)
	slices.Sort(pending)
	want := []string{taskless.ID + ":0", unleased.ID + ":1", archived.ID + ":0"}
	if slices.Sort(want); !slices.Equal(pending, want) {
		t.Errorf("pending are %q, want %q", pending, want)
	}
	for _, id := range pending {
		if n, err := w.redis.Exists(ctx, upload("t:"+id)).Result(); err != nil || n != 1 {
			t.Errorf("%s has no task: %v", id, err)
		}
	}
	if until, err := w.redis.ZScore(ctx, upload("lease"), unleased.ID+":0").Result(); err != nil || until > float64(time.Now().Unix()) {
		t.Errorf("the lease of the lost worker's task ends at %v: %v", until, err)
	}
	for _, key := range []string{"archived", "scheduled", "t:gone:0"} {
		if n, err := w.redis.Exists(ctx, upload(key)).Result(); err != nil || n != 0 {
			t.Errorf("%s is still there: %v", key, err)
		}
	}
	for id, fence := range map[string]int64{taskless.ID: 0, unleased.ID: 1, archived.ID: 0} {
		p, err := w.db.Posts.ByID(ctx, id)
		w.must(err)
		if p.Fence != fence || p.EnqueuedAt == nil || time.Since(*p.EnqueuedAt) > time.Minute {
			t.Errorf("post %s has fence %d and was seen in Asynq at %v", id, p.Fence, p.EnqueuedAt)
		}
	}
	w.startScheduler()
	w.startWorker()
	testkit.Await(w.t, testkit.Patience, "nothing is left", func() (bool, string) {
		again := w.examine(doctor.Options{}, nil)
		return !doctor.Unhealthy(again), tell(again)
	})
	w.untilAllLive(90*time.Second, 3)
}

// Into a Redis that lost everything --fix puts all tasks again, also those that were
// seen there a moment ago; to name the queues again does not pass for that.
func TestDoctorRefills(t *testing.T) {
	t.Parallel()
	w := newSystem(t, operated())
	ctx := t.Context()
	tt := w.tiktokAccount()
	p := w.accept(tt, video(tt, w.upload("video/mp4", sample.Video), "lost with Redis"))
	w.must(w.redis.FlushDB(ctx).Err())
	found := w.examine(doctor.Options{Fix: true}, nil)
	if f := wantFound(t, found, doctor.Bad, "posts", "Redis lost its data"); !f.Fixed {
		t.Errorf("not fixed: %+v", f)
	}
	wantFound(t, found, doctor.OK, "queues", "no scheduler has named the queues")
	if pending, err := w.redis.LRange(ctx, "asynq:{upload}:pending", 0, -1).Result(); err != nil || !slices.Equal(pending, []string{p.ID + ":0"}) {
		t.Errorf("pending are %q: %v", pending, err)
	}
	wantFound(t, w.examine(doctor.Options{}, nil), doctor.OK, "posts", "every due post has a task")
}

// A key that can be guessed protects no token; the doctor says so without showing it.
func TestDoctorOfAGuessableKey(t *testing.T) {
	t.Parallel()
	w := newSystem(t, operated())
	key := strings.Repeat("a", secrets.KeySize)
	found := w.examine(doctor.Options{}, map[string]string{"TOKEN_ENCRYPTION_KEY": key})
	wantFound(t, found, doctor.Warn, "secrets", "can be guessed")
	if strings.Contains(tell(found), key) {
		t.Error("the key is shown")
	}
}

// Redis and a database that are new have lost nothing.
func TestDoctorOfANewInstallation(t *testing.T) {
	t.Parallel()
	w := newSystem(t, operated())
	found := w.examine(doctor.Options{}, nil)
	wantFound(t, found, doctor.OK, "queues", "no scheduler has named the queues")
	wantFound(t, found, doctor.OK, "posts", "every due post has a task")
	if text := tell(found); strings.Contains(text, "lost") {
		t.Errorf("something is reported as lost: %s", text)
	}
}

// The scheduler mends by itself what it can.
func TestSchedulerRepairs(t *testing.T) {
	t.Parallel()
	w := newSystem(t, operated())
	ctx := t.Context()
	tt := w.tiktokAccount()
	p := w.accept(tt, video(tt, w.upload("video/mp4", sample.Video), "stuck"))
	w.must(w.redis.LRem(ctx, "asynq:{upload}:pending", 0, p.ID+":0").Err())
	w.must(w.redis.LPush(ctx, "asynq:{upload}:active", "gone:0").Err()) // an id without its task
	w.must(w.redis.SRem(ctx, "asynq:queues", "upload").Err())
	w.startScheduler()
	testkit.Await(w.t, testkit.Patience, "the orphan is gone and the queue is named", func() (bool, string) {
		active, err := w.redis.LRange(ctx, "asynq:{upload}:active", 0, -1).Result()
		named, nameErr := w.redis.SIsMember(ctx, "asynq:queues", "upload").Result()
		return len(active) == 0 && named, fmt.Sprint(active, err, named, nameErr)
	})
	w.startWorker()
	w.untilStatus(testkit.Patience, p.ID, "published")
}

// Before the migrations it says just that, and looks at what it can.
func TestDoctorOfAnOldSchema(t *testing.T) {
	w := newSystem(t, operated())
	w.exec("DELETE FROM goose_db_version WHERE version_id = (SELECT MAX(version_id) FROM goose_db_version)")
	found := w.examine(doctor.Options{}, nil)
	if f := wantFound(t, found, doctor.Bad, "database", "older than this program"); !strings.Contains(f.Do, "socialqueue migrate") {
		t.Errorf("it says to do %q", f.Do)
	}
	for _, f := range found {
		if f.Check == "posts" || strings.Contains(f.What, "the check failed") {
			t.Errorf("%+v", f)
		}
	}
}

// Who does not answer is told once, with what to do; what needs it is told in a few words
// to be not looked at, and all the rest is looked at.
func TestDoctorWithoutServers(t *testing.T) {
	w := newSystem(t, operated())
	noRedis := map[string]string{"REDIS_URL": "redis://:unsaid@127.0.0.1:1/0"}
	noDatabase := map[string]string{"DATABASE_URL": "postgresql://postgres:unsaid@127.0.0.1:1/postgres?sslmode=disable"}
	onRedis, onDB := []string{"workers", "scheduler", "queues", "orphans", "archive"}, []string{"stuck", "uncertain", "accounts", "subscriptions", "secrets", "endpoints", "breakers", "pauses", "restored"}
	onBoth := []string{"clock", "posts", "tasks", "durability", "connections", "highwater"}
	for name, tc := range map[string]struct {
		env map[string]string
		// down are the checks that tell what to do, unseen those that are not made.
		down, unseen []string
	}{
		"no Redis":    {env: noRedis, down: []string{"redis"}, unseen: slices.Concat(onRedis, onBoth)},
		"no database": {env: noDatabase, down: []string{"database"}, unseen: slices.Concat(onDB, onBoth)},
		"neither":     {env: merged([]map[string]string{noRedis, noDatabase}), down: []string{"database", "redis"}, unseen: slices.Concat(onRedis, onDB, onBoth)},
	} {
		t.Run(name, func(t *testing.T) {
			found := w.examine(doctor.Options{Fix: true, Production: true}, tc.env)
			var down, unseen []string
			for _, f := range found {
				if strings.HasPrefix(f.What, "does not answer") {
					down = append(down, f.Check)
					if setting := strings.ToUpper(f.Check) + "_URL"; !strings.Contains(f.Do, setting) || !strings.Contains(f.What, "127.0.0.1:1") {
						t.Errorf("it does not say where, or not to look at %s: %+v", setting, f)
					}
				}
				if f.Level == doctor.Unchecked {
					unseen = append(unseen, f.Check)
				}
				if strings.Contains(f.What, "unsaid") {
					t.Errorf("a password is told: %+v", f)
				}
			}
			slices.Sort(tc.unseen)
			if slices.Sort(unseen); !slices.Equal(down, tc.down) || !slices.Equal(unseen, tc.unseen) || !doctor.Unhealthy(found) {
				t.Errorf("down are %q, not looked at %q: %s", down, unseen, tell(found))
			}
			wantFound(t, found, doctor.OK, "media", "a test file was written")
			wantFound(t, found, doctor.Bad, "settings", "PUBLIC_URL")
		})
	}
}

// What is right for trying is told to be wrong for production.
func TestDoctorOfProduction(t *testing.T) {
	w := newSystem(t, operated())
	found := w.examine(doctor.Options{Production: true}, map[string]string{
		"OPERATOR_PASSWORD": "short", "OPERATOR_READONLY_PASSWORD": "shorter", "WEBHOOK_ALLOW_PRIVATE_HOSTS": "true", "TIKTOK_WEBHOOK_PLAIN_SIGNATURE": "true", "LOG_LEVEL": "debug",
	})
	for level, texts := range map[doctor.Level][]string{
		doctor.Bad: {
			"PUBLIC_URL is http://127.0.0.1", "OPERATOR_PASSWORD is short", "OPERATOR_READONLY_PASSWORD is short", "MEDIA_ALLOW_PRIVATE_HOSTS lets", "WEBHOOK_ALLOW_PRIVATE_HOSTS lets",
			"TIKTOK_API_URL does not point", "FACEBOOK_GRAPH_URL does not point",
		},
		doctor.Warn: {"TIKTOK_WEBHOOK_PLAIN_SIGNATURE accepts", "LOG_LEVEL is debug", "files are stored in a folder", "verify token"},
	} {
		for _, text := range texts {
			wantFound(t, found, level, "settings", text)
		}
	}
	for _, f := range found {
		if strings.Contains(f.What+f.Do, "short\"") || strings.Contains(f.What+f.Do, "shorter") || strings.Contains(f.What, encryptionKey) {
			t.Errorf("a secret is told: %+v", f)
		}
	}
	wantFound(t, w.examine(doctor.Options{Production: true}, map[string]string{"OPERATOR_PASSWORD": "", "OPERATOR_READONLY_PASSWORD": ""}), doctor.Warn, "settings", "no operator password")
	wantFound(t, w.examine(doctor.Options{Production: true}, map[string]string{"PUBLIC_URL": "https://social.example.com"}), doctor.Warn, "settings", "TRUSTED_PROXIES is not set")
}

// A restored database, its held posts, and a mark that is unreadable or of another database
// are found; looking changes nothing.
func TestDoctorFindsRestores(t *testing.T) {
	t.Parallel()
	w := newSystem(t, operated())
	stopScheduler := w.startScheduler()
	ig, tt := w.instagramAccount(), w.tiktokAccount()
	w.accept(ig, picture(ig, w.upload("image/jpeg", sample.Picture), "in the list"))
	w.accept(tt, video(tt, w.upload("video/mp4", sample.Video), "in no list"))
	marks := highwater.NewRedis(w.redis)
	testkit.Await(t, testkit.Patience, "there is a mark", func() (bool, string) {
		mark, err := marks.Read(t.Context())
		return mark != nil, fmt.Sprint(err)
	})
	found := w.examine(doctor.Options{}, nil)
	wantFound(t, found, doctor.OK, "highwater", "has all calls")
	wantFound(t, found, doctor.OK, "restored", "was not restored in the last 7 days, and no post is held")

	stopScheduler()
	before, err := marks.Read(t.Context())
	w.must(err)
	set := func(text string) { w.must(w.redis.Set(t.Context(), "socialqueue:highwater", text, 0).Err()) }
	ahead := highwater.Mark{Identity: before.Identity, Seq: before.Seq + 1000}
	for text, want := range map[string]struct {
		level doctor.Level
		says  string
	}{
		"not a mark":                          {doctor.Bad, "the high-water mark cannot be read"},
		ahead.String():                        {doctor.Bad, "the database lacks calls that were made"},
		"1/2/3/4#" + fmt.Sprint(1<<40) + "#1": {doctor.Bad, "is not of this database"},
	} {
		set(text)
		for range 2 { // the first look changes nothing
			wantFound(t, w.examine(doctor.Options{Fix: true}, nil), want.level, "highwater", want.says)
		}
		if kept, err := w.redis.Get(t.Context(), "socialqueue:highwater").Result(); err != nil || kept != text {
			t.Errorf("the doctor changed the mark from %q to %q: %v", text, kept, err)
		}
	}
	w.must(w.redis.Del(t.Context(), "socialqueue:highwater").Err())
	wantFound(t, w.examine(doctor.Options{}, nil), doctor.Warn, "highwater", "was lost, with Redis")
	if restores, err := w.db.Restores.List(t.Context()); err != nil || len(restores) > 0 {
		t.Errorf("the doctor recorded %v, %v", restores, err)
	}

	set(ahead.String())
	stopScheduler, stopWorker := w.startScheduler(), w.startWorker()
	testkit.Await(t, testkit.Patience, "two posts are held", func() (bool, string) {
		held, err := w.db.Restores.CountHeld(t.Context())
		return len(held) == 2, fmt.Sprint(held, err)
	})
	found = w.examine(doctor.Options{}, nil)
	wantFound(t, found, doctor.OK, "highwater", "has all calls")
	wantFound(t, found, doctor.Warn, "restored", "the database was found restored at ")
	wantFound(t, found, doctor.Warn, "restored", "2 posts are held because they may be live since a restore: 1 not_found, 1 not_searchable")
	wantFound(t, found, doctor.OK, "stuck", "no work is overdue")
	wantFound(t, found, doctor.OK, "posts", "every due post has a task")
	stopScheduler() // they compare the mark with what is changed here
	stopWorker()
	w.exec("UPDATE restores SET found_at = found_at - INTERVAL '8 days', as_of = as_of - INTERVAL '8 days'")
	found = w.examine(doctor.Options{}, nil)
	if told := tell(found); strings.Contains(told, "was found restored") || !strings.Contains(told, "2 posts are held") {
		t.Errorf("a week later: %s", told)
	}
}
