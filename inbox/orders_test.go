package inbox_test

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"socialqueue/db/dbtest"
	"socialqueue/models"
	"socialqueue/platform/tiktok"
	"socialqueue/sandbox"
)

// fate is what becomes of a post, and what TikTok tells of it.
type fate struct {
	name    string
	privacy string
	// hidden and shown are told after the video was on view.
	hidden, shown bool
	fails         bool
	status        models.Status
	// public is what is known in the end of its being on view.
	public string
}

const everyone = "PUBLIC_TO_EVERYONE"

var fates = []fate{
	{name: "public", privacy: everyone, status: models.Published, public: "true"},
	{name: "self", privacy: "SELF_ONLY", status: models.Published, public: "null"},
	{name: "hidden", privacy: everyone, hidden: true, status: models.Published, public: "false"},
	{name: "shown again", privacy: everyone, hidden: true, shown: true, status: models.Published, public: "true"},
}

// orders is one run of many posts in one order of events.
type orders struct {
	*world
	rand  *rand.Rand
	fates map[string]fate // by post
	last  map[string]models.Status

	mu    sync.Mutex
	pool  []string // what TikTok sent and was not delivered yet
	sent  []string // everything that TikTok sent
	early []string // what is to be delivered before its upload is known
}

// captures is where TikTok sends to: what comes is kept until the test delivers it.
func (o *orders) captures() {
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			o.take(string(body))
		}
	}))
	o.t.Cleanup(server.Close)
	o.sim.SetTikTokWebhook(server.URL)
}

// take takes what TikTok tells. Of a video that comes on view follows what its fate
// has TikTok tell later.
func (o *orders) take(body string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	told := []string{body}
	event, err := tiktok.ParseEvent([]byte(body))
	if err == nil && event.Name == tiktok.EventPubliclyAvailable {
		f := o.fateOfUpload(event.PublishID)
		for i, name := range []string{tiktok.EventNoLongerAvailable, tiktok.EventPubliclyAvailable} {
			if f.hidden && (i == 0 || f.shown) {
				later := event.CreatedAt.Add(time.Duration(i+1) * 10 * time.Second)
				told = append(told, tellOf(name, event, later))
			}
		}
	}
	o.pool = append(o.pool, told...)
	o.sent = append(o.sent, told...)
}

func tellOf(name string, e tiktok.Event, at time.Time) string {
	return told(name, e.PublishID, e.PostID, at)
}

func (o *orders) fateOfUpload(publishID string) fate {
	for _, live := range o.sim.LivePosts() {
		if live.PublishID == publishID {
			for _, f := range o.fates {
				if strings.HasPrefix(live.Caption, f.name+" ") {
					return f
				}
			}
		}
	}
	return fate{}
}

// draw takes an event at random; now and then it stays, and comes again.
func (o *orders) draw() (string, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.pool) == 0 {
		return "", false
	}
	i := o.rand.IntN(len(o.pool))
	body := o.pool[i]
	if o.rand.IntN(4) > 0 {
		o.pool = slices.Delete(o.pool, i, i+1)
	}
	return body, true
}

// meetEarly tells of an upload between TikTok's opening it and our knowing of it.
func (o *orders) meetEarly(path string, body []byte) {
	if !strings.HasSuffix(path, "/video/init/") || o.rand.IntN(3) > 0 {
		return
	}
	var answer struct {
		Data struct {
			PublishID string `json:"publish_id"`
		} `json:"data"`
	}
	if json.Unmarshal(body, &answer) == nil && answer.Data.PublishID != "" {
		o.tiktokTells(told(tiktok.EventPublishComplete, answer.Data.PublishID, "", o.clock.Now().Add(-time.Second)))
		o.runEvents()
	}
}

// step does one thing at random.
func (o *orders) step() {
	switch o.rand.IntN(4) {
	case 0:
		if body, ok := o.draw(); ok {
			o.tiktokTells(body)
		}
	case 1:
		o.runEvents()
	case 2:
		o.clock.advance(time.Duration(o.rand.IntN(3000)) * time.Millisecond)
		o.tick()
	default:
		if !o.runPost() {
			o.clock.advance(time.Second)
			o.tick()
		}
	}
}

// watch sees to it that no post takes a step back.
func (o *orders) watch() {
	o.t.Helper()
	for id := range o.fates {
		now, before := o.post(id).Status, o.last[id]
		if before == models.Published && now != models.Published || before != "" && before != now && rank(now) < rank(before) {
			o.t.Fatalf("post %s went from %s to %s", id, before, now)
		}
		o.last[id] = now
	}
}

// rank orders the states of a post that meets no trouble.
func rank(s models.Status) int {
	return slices.Index([]models.Status{models.Scheduled, models.Queued, models.Publishing, models.Processing, models.Published}, s)
}

// finish lets everything come to its end.
func (o *orders) finish() {
	o.t.Helper()
	for end := time.Now().Add(30 * time.Second); ; {
		for body, ok := o.draw(); ok; body, ok = o.draw() {
			o.tiktokTells(body)
		}
		o.runEvents()
		if !o.runPost() {
			o.clock.advance(2 * time.Second)
			o.tick()
		}
		if o.settled() {
			return
		}
		if time.Now().After(end) {
			o.t.Fatalf("it does not come to an end; events %v", o.pending())
		}
	}
}

func (o *orders) settled() bool {
	for id, f := range o.fates {
		p := o.post(id)
		if p.Status != f.status || p.Admission != models.AdmissionNone {
			return false
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.pool) == 0 && len(o.sent) == o.expected() && o.pending() == 0
}

// expected is how much TikTok tells of all posts.
func (o *orders) expected() int {
	n := 0
	for _, f := range o.fates {
		n++ // complete
		if f.privacy == everyone {
			n++
		}
		if f.hidden {
			n++
		}
		if f.shown {
			n++
		}
	}
	return n
}

func (o *orders) pending() int {
	n := 0
	for _, e := range o.events() {
		if e.Status == models.WebhookPending {
			n++
		}
	}
	return n
}

// wantEnd compares the end with what it is in every order.
func (o *orders) wantEnd() {
	o.t.Helper()
	live := map[string]sandbox.LivePost{}
	for _, l := range o.sim.LivePosts() {
		if _, twice := live[l.Caption]; twice {
			o.t.Errorf("%s is live twice", l.Caption)
		}
		live[l.Caption] = l
	}
	for id, f := range o.fates {
		p := o.post(id)
		l := live[p.Content.TikTok.Title]
		public, err := o.db.TikTokAvailability(o.ctx, *p.PublishID)
		o.must(err)
		shown, err := json.Marshal(public)
		o.must(err)
		if p.Status != f.status || string(shown) != f.public {
			o.t.Errorf("%s: %s, public %s; want %s, %s", f.name, p.Status, shown, f.status, f.public)
		}
		if f.privacy == everyone && (p.PlatformPostID == nil || *p.PlatformPostID != l.ID || p.Permalink == nil) {
			o.t.Errorf("%s: id %v, want %s", f.name, p.PlatformPostID, l.ID)
		}
		if p.Attempts != 0 || p.ErrorCode != "" {
			o.t.Errorf("%s: %d attempts, error %s", f.name, p.Attempts, p.ErrorCode)
		}
	}
	if n := o.sim.CountCalls(sandbox.OpTikTokInit); n != len(o.fates) || len(live) != len(o.fates) {
		o.t.Errorf("%d uploads were opened and %d posts are live, of %d", n, len(live), len(o.fates))
	}
	for _, e := range o.events() {
		if e.Status != models.WebhookProcessed {
			o.t.Errorf("event %+v", e)
		}
	}
}

// TestEveryOrder: whatever order the events come in, twice, early or late, the end is
// the same, and no post takes a step back on the way there.
func TestEveryOrder(t *testing.T) {
	t.Run("200 posts", func(t *testing.T) { anyOrder(newWorld(t, dbtest.SQLite(t)), 1, 200) })
	for seed := range uint64(6) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { anyOrder(newWorld(t, dbtest.SQLite(t)), seed, 20) })
	}
	t.Run("postgres", func(t *testing.T) { anyOrder(newWorld(t, dbtest.Postgres(t)), 7, 40) })
}

func anyOrder(w *world, seed uint64, posts int) {
	w.t.Helper()
	o := &orders{world: w, rand: rand.New(rand.NewPCG(seed, 0)), fates: map[string]fate{}, last: map[string]models.Status{}} //nolint:gosec // a test's order is no secret
	o.captures()
	o.onAnswer = o.meetEarly
	for i := range posts {
		f := fates[i%len(fates)]
		o.fates[o.acceptVideo(fmt.Sprint(f.name, " ", i), f.privacy, nil).ID] = f
	}
	for i := range posts * 4 {
		o.step()
		if i%50 == 0 {
			o.watch()
		}
	}
	o.finish()
	o.watch()
	o.wantEnd()

	// All of it once more, long after.
	o.clock.advance(30 * time.Hour)
	o.mu.Lock()
	late := slices.Clone(o.sent)
	o.mu.Unlock()
	o.rand.Shuffle(len(late), func(i, j int) { late[i], late[j] = late[j], late[i] })
	for _, body := range late {
		o.tiktokTells(body)
	}
	o.runEvents()
	for o.runPost() {
		continue
	}
	o.watch()
	o.wantEnd()
}
