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
	"socialqueue/platform"
	"socialqueue/platform/tiktok"
	"socialqueue/publish"
	tiktokposts "socialqueue/publish/tiktok"
	"socialqueue/sandbox"
)

// fate describes what happens to a post, and which events TikTok sends about it.
type fate struct {
	name    string
	privacy string
	// hidden and shown are sent after the video was visible to everybody.
	hidden, shown bool
	// account is whose video it is: TikTok refuses all of one account's, and as many
	// of another's as that has, whose posts take another upload for each.
	account string
	// canceled by the app, or missed: neither was begun.
	canceled, missed bool

	// The end. public is the availability that is stored, events how many TikTok sends.
	status models.Status
	public string
	code   platform.Code
	events int
}

const (
	everyone = "PUBLIC_TO_EVERYONE"
	refuses  = "-000refuses"
	stumbles = "-000stumbles"
)

var fates = []fate{
	{name: "public", privacy: everyone, status: models.Published, public: "true", events: 2},
	{name: "self", privacy: "SELF_ONLY", status: models.Published, public: "null", events: 1},
	{name: "hidden", privacy: everyone, hidden: true, status: models.Published, public: "false", events: 3},
	{name: "shown again", privacy: everyone, hidden: true, shown: true, status: models.Published, public: "true", events: 4},
	{name: "refused", privacy: everyone, account: refuses, status: models.Failed, code: platform.CodePublishFailed, public: "null", events: 1},
	{name: "taken late", privacy: everyone, account: stumbles, status: models.Published, public: "true", events: 3},
	{name: "canceled", privacy: everyone, canceled: true, status: models.Canceled},
	{name: "missed", privacy: everyone, missed: true, status: models.Missed},
}

// Posts that must not begin are scheduled for a time after the end of all others.
const (
	laterOn  = 10 * time.Hour
	lateness = time.Minute
)

// orders is one run of many posts in one order of events.
type orders struct {
	*fixture
	rand     *rand.Rand
	accounts map[string]int64
	fates    map[string]fate // by post
	last     map[string]models.Status
	toCancel []string

	mu   sync.Mutex
	pool []string // what TikTok sent and was not delivered yet
	sent []string // everything that TikTok sent
}

// captures receives TikTok's events and stores them until the test delivers them.
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

// take stores an event. After a video became visible, the later events of its fate follow.
func (o *orders) take(body string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := []string{body}
	event, err := tiktok.ParseEvent([]byte(body))
	if err == nil && event.Name == tiktok.EventPubliclyAvailable {
		f := o.fateOfUpload(event.PublishID)
		for i, name := range []string{tiktok.EventNoLongerAvailable, tiktok.EventPubliclyAvailable} {
			if f.hidden && (i == 0 || f.shown) {
				later := event.CreatedAt.Add(time.Duration(i+1) * 10 * time.Second)
				all = append(all, tiktokEvent(name, event.PublishID, event.PostID, later))
			}
		}
	}
	o.sent = append(o.sent, all...)
	if !isLate(event) {
		o.pool = append(o.pool, all...)
	}
}

// isLate selects some events that are delivered after everything has ended.
func isLate(e tiktok.Event) bool {
	ends := e.Name == tiktok.EventPublishComplete || e.Name == tiktok.EventPublishFailed
	return ends && (strings.HasSuffix(e.PublishID, "1") || strings.HasSuffix(e.PublishID, "2"))
}

func (o *orders) fateOfUpload(publishID string) fate {
	for _, live := range o.sim.LivePosts() {
		if live.PublishID == publishID {
			for _, f := range fates {
				if strings.HasPrefix(live.Caption, f.name+" ") {
					return f
				}
			}
		}
	}
	return fate{}
}

// draw returns an event at random. Sometimes the event stays and is delivered again.
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

// meetEarly sends an event about an upload after TikTok opened it and before we know it.
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
		name := []string{tiktok.EventPublishComplete, tiktok.EventPublishFailed}[o.rand.IntN(2)]
		o.sendTikTok(tiktokEvent(name, answer.Data.PublishID, "", o.clock.Now().Add(-time.Second)))
		o.runEvents()
	}
}

// step does one thing at random. Events lag behind the posts' own runs as often as
// they come before them.
func (o *orders) step() {
	switch o.rand.IntN(8) {
	case 0, 1:
		if body, ok := o.draw(); ok {
			o.sendTikTok(body)
		}
	case 2:
		o.runEvents()
	case 3:
		o.clock.Advance(time.Duration(o.rand.IntN(3000)) * time.Millisecond)
		o.tick()
	case 4:
		o.cancelOne()
	default:
		if !o.runPost() {
			o.clock.Advance(time.Second)
			o.tick()
		}
	}
}

func (o *orders) cancelOne() {
	o.t.Helper()
	if len(o.toCancel) > 0 {
		_, err := o.posts.Cancel(o.ctx, o.app.ID, o.toCancel[0])
		o.must(err)
		o.toCancel = o.toCancel[1:]
	}
}

// standing is where a post stands.
type standing struct {
	status    models.Status
	admission models.Admission
}

func (o *orders) standings() map[string]standing {
	o.t.Helper()
	rows, err := o.db.Pool().QueryContext(o.ctx, "SELECT id, status, admission FROM posts")
	o.must(err)
	defer rows.Close()
	all := map[string]standing{}
	for rows.Next() {
		var id string
		var s standing
		o.must(rows.Scan(&id, &s.status, &s.admission))
		all[id] = s
	}
	o.must(rows.Err())
	return all
}

// watch checks that no post goes back to an earlier status.
func (o *orders) watch(all map[string]standing) {
	o.t.Helper()
	for id, s := range all {
		before := o.last[id]
		back := rank(s.status) < rank(before) && o.fates[id].account != stumbles
		if before.Ended() && s.status != before || back {
			o.t.Fatalf("post %s, %s, went from %s to %s", id, o.fates[id].name, before, s.status)
		}
		o.last[id] = s.status
	}
}

// rank orders the states of a post that meets no failure.
func rank(s models.Status) int {
	if s.Ended() {
		return 10
	}
	return slices.Index([]models.Status{models.Scheduled, models.Queued, models.Publishing, models.Processing}, s)
}

// live lets everything happen, in any order, until every post has ended that begins.
func (o *orders) live() {
	o.t.Helper()
	for end := time.Now().Add(time.Minute); !o.ended(); {
		o.step()
		if time.Now().After(end) {
			o.t.Fatalf("it does not come to an end: %v", o.standings())
		}
	}
}

// ended watches the posts, and reports whether nothing is left to do for them.
func (o *orders) ended() bool {
	o.t.Helper()
	all := o.standings()
	o.watch(all)
	if len(o.toCancel) > 0 {
		return false
	}
	for id, s := range all {
		if !o.fates[id].missed && (!s.status.Ended() || s.admission != models.AdmissionNone) {
			return false
		}
	}
	return true
}

// listen delivers the events that TikTok still has to send.
func (o *orders) listen() {
	o.t.Helper()
	for end := time.Now().Add(time.Minute); !o.receivedAll(); {
		for body, ok := o.draw(); ok; body, ok = o.draw() {
			o.sendTikTok(body)
		}
		o.runEvents()
		if time.Now().After(end) {
			o.t.Fatalf("events of TikTok are missing: %v", o.standings())
		}
		o.clock.Advance(time.Second)
		o.tick()
		o.watch(o.standings())
	}
}

func (o *orders) receivedAll() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.pool) == 0 && len(o.sent) == o.expected()
}

// expected is how many events TikTok sends about all posts.
func (o *orders) expected() int {
	n := 0
	for _, f := range o.fates {
		n += f.events
	}
	return n
}

// passTime advances the clock past the waits of early events, and then past the time of
// missed posts.
func (o *orders) passTime() {
	o.t.Helper()
	for range 12 {
		o.clock.Advance(15 * time.Minute)
		o.tick()
		o.runEvents()
		o.watch(o.standings())
	}
	o.clock.Advance(laterOn)
	o.tick()
	o.watch(o.standings())
}

// upload is a row of the original guide.
type upload struct {
	publishID, status, videoID, public string
}

// uploads lists those of each post.
func (o *orders) uploads() map[string][]upload {
	o.t.Helper()
	rows, err := o.db.Pool().QueryContext(o.ctx, `SELECT post_id, publish_id, status, COALESCE(video_id, ''),
		CASE WHEN publicly_available THEN 'true' WHEN NOT publicly_available THEN 'false' ELSE 'null' END FROM tiktok_posts ORDER BY id`)
	o.must(err)
	defer rows.Close()
	all := map[string][]upload{}
	for rows.Next() {
		var post string
		var u upload
		o.must(rows.Scan(&post, &u.publishID, &u.status, &u.videoID, &u.public))
		all[post] = append(all[post], u)
	}
	o.must(rows.Err())
	return all
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
	uploads, opened, published, late := o.uploads(), 0, 0, 0
	for id, f := range o.fates {
		p := o.post(id)
		options, err := tiktokposts.Of(p)
		o.must(err)
		l := live[options.Title]
		if p.Status != f.status || p.ErrorCode != string(f.code) || p.RunAt != nil || p.Admission != models.AdmissionNone {
			o.t.Errorf("%s: %s, error %s, runs at %v; want %s, %s", f.name, p.Status, p.ErrorCode, p.RunAt, f.status, f.code)
		}
		opened += len(uploads[id])
		if f.account == stumbles {
			late++
		} else if n := len(uploads[id]); n > 1 || (n == 0) != (f.canceled || f.missed) {
			o.t.Errorf("%s: %d uploads", f.name, n)
		}
		if f.status == models.Published {
			published++
		}
		o.wantPost(p, f, l, uploads[id])
		o.wantTimeline(p)
	}
	if n := o.sim.CountCalls(sandbox.OpTikTokInit); n != opened || len(live) != published {
		o.t.Errorf("%d uploads were opened, %d are known; %d posts are live, want %d", n, opened, len(live), published)
	}
	if n := countUploads(uploads, o.fates); n != 2*late { // each refusal costs one upload
		o.t.Errorf("%d posts that stumble took %d uploads", late, n)
	}
	strangers := 0
	for _, e := range o.events() {
		switch {
		case e.Status == models.WebhookUnmatched && strings.Contains(string(e.Payload), "stranger"):
			strangers++
		case e.Status != models.WebhookProcessed:
			o.t.Errorf("event %s %s is %s: %s", e.Name, e.Payload, e.Status, e.Outcome)
		}
	}
	if strangers != 2 {
		o.t.Errorf("%d events are of nobody, want 2", strangers)
	}
}

func countUploads(uploads map[string][]upload, fates map[string]fate) int {
	n := 0
	for id, of := range uploads {
		if fates[id].account == stumbles {
			n += len(of)
		}
	}
	return n
}

// wantPost compares the ids of a post, and the rows of its uploads. The last upload became
// the post, and those before it were given up.
func (o *orders) wantPost(p *models.Post, f fate, l sandbox.LivePost, uploads []upload) {
	o.t.Helper()
	var id, link string
	if f.status == models.Published && f.privacy == everyone {
		id, link = l.ID, "/video/"+l.ID
	}
	var gotID, gotLink string
	if p.PlatformPostID != nil {
		gotID = *p.PlatformPostID
	}
	if p.Permalink != nil {
		gotLink = *p.Permalink
	}
	if gotID != id || !strings.HasSuffix(gotLink, link) {
		o.t.Errorf("%s: id %q, link %q; want %q", f.name, gotID, gotLink, id)
	}
	for i, u := range uploads {
		want := upload{publishID: u.publishID, status: "failed", public: "null"}
		if i == len(uploads)-1 {
			want = upload{publishID: *p.PublishID, status: string(f.status), videoID: id, public: f.public}
		}
		if u != want {
			o.t.Errorf("%s: upload %d of %d is %+v, want %+v", f.name, i+1, len(uploads), u, want)
		}
	}
}

// wantTimeline follows the moves that a post made: each is one of the table, and
// begins where the one before ended.
func (o *orders) wantTimeline(p *models.Post) {
	o.t.Helper()
	events, err := o.db.Posts.Events(o.ctx, p.ID)
	o.must(err)
	var at models.Status
	for _, e := range events {
		if e.Type != models.EventState {
			continue
		}
		if at != "" && e.From != at || e.From != "" && !models.CanMove(e.From, e.To) {
			o.t.Errorf("post %s was %s and went from %s to %s: %s", p.ID, at, e.From, e.To, e.Message)
		}
		at = e.To
	}
	if at != p.Status {
		o.t.Errorf("post %s is %s, its timeline ends with %s", p.ID, p.Status, at)
	}
}

// TestEveryOrder checks that in every order of events, repeated, early or late, the end is
// the same, and that no post goes back to an earlier status.
func TestEveryOrder(t *testing.T) {
	posts := 200
	if testing.Short() { // as under the race detector
		posts = 60
	}
	t.Run(fmt.Sprint(posts, " posts"), func(t *testing.T) { anyOrder(newFixture(t, dbtest.SQLite(t)), 1, posts) })
	for seed := range uint64(2) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { anyOrder(newFixture(t, dbtest.SQLite(t)), seed, 24) })
	}
	t.Run("postgres", func(t *testing.T) { anyOrder(newFixture(t, dbtest.Postgres(t)), 7, 12) })
}

func anyOrder(w *fixture, seed uint64, posts int) {
	w.t.Helper()
	o := &orders{fixture: w, rand: rand.New(rand.NewPCG(seed, 0)), fates: map[string]fate{}, last: map[string]models.Status{}} //nolint:gosec // a test's order is no secret
	o.captures()
	o.wire.OnAnswer(o.meetEarly)
	o.acceptAll(posts)
	o.live()
	o.listen()
	o.passTime()
	o.wantEnd()

	// Deliver everything again, much later.
	o.clock.Advance(30 * time.Hour)
	o.mu.Lock()
	late := slices.Clone(o.sent)
	o.mu.Unlock()
	o.rand.Shuffle(len(late), func(i, j int) { late[i], late[j] = late[j], late[i] })
	for _, body := range late {
		o.sendTikTok(body)
	}
	o.runEvents()
	for o.runPost() {
		continue
	}
	o.watch(o.standings())
	o.wantEnd()
}

func (o *orders) acceptAll(posts int) {
	o.t.Helper()
	o.accounts = map[string]int64{"": o.tiktok, refuses: o.connectTikTok(refuses), stumbles: o.connectTikTok(stumbles)}
	o.pool = []string{
		tiktokEvent(tiktok.EventPublishComplete, "v_pub_file~v2-1.stranger", "", o.clock.Now()),
		fmt.Sprintf(`{"event":"authorization.removed","create_time":%d,"user_openid":"-000stranger","content":"{\"reason\":1}"}`, o.clock.Now().Unix()),
	}
	later, within, stumbling := o.clock.Now().Add(laterOn), lateness, 0
	for i := range posts {
		f := fates[i%len(fates)]
		r := publish.Request{
			AccountID: o.accounts[f.account],
			Options:   &tiktokposts.Options{Title: fmt.Sprint(f.name, " ", i), PrivacyLevel: f.privacy},
		}
		if f.canceled || f.missed {
			r.PublishAt, r.MaxLateness = &later, &within
		}
		p := o.accept(r)
		o.fates[p.ID] = f
		if f.canceled {
			o.toCancel = append(o.toCancel, p.ID)
		}
		if f.account == stumbles {
			stumbling++
		}
	}
	o.sim.Script(
		sandbox.Fault{Op: sandbox.OpTikTokProcess, Match: refuses, Mode: sandbox.ModeFail, Code: "file_format_check_failed", Times: -1},
		sandbox.Fault{Op: sandbox.OpTikTokProcess, Match: stumbles, Mode: sandbox.ModeFail, Code: "internal", Times: stumbling},
	)
}

func (o *orders) connectTikTok(openID string) int64 {
	o.t.Helper()
	a := o.sim.AddTikTokAccount(sandbox.TikTokAccount{
		OpenID: openID, Username: strings.TrimPrefix(openID, "-000"), PostsCap: -1, ExpiresAt: o.clock.Now().Add(365 * 24 * time.Hour),
	})
	return o.importAccount(models.TikTok, openID, a.AccessToken)
}
