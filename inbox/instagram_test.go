package inbox_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"socialqueue/db"
	"socialqueue/db/dbtest"
	"socialqueue/inbox"
	"socialqueue/models"
	"socialqueue/sandbox"
	"socialqueue/view"
)

func newSQLiteWorld(t *testing.T) *fixture {
	t.Helper()
	return newFixture(t, dbtest.SQLite(t))
}

// change returns a message with one change of the account.
func change(field, value string) string {
	return fmt.Sprintf(`{"object":"instagram","entry":[{"id":%q,"time":1795687009,"changes":[{"field":%q,"value":%s}]}]}`, igID, field, value)
}

const lovely = `{"id":"179001","text":"Sch\u00f6n \ud83d\ude00","from":{"id":"684","username":"ann"},"media":{"id":"1801","media_product_type":"FEED"}}`

// comments lists what is stored of comments, as id, media, text and whether it is our
// own; and how many each post has.
func (w *fixture) comments() (comments, counts string) {
	w.t.Helper()
	var all []string
	rows, err := w.db.Pool().QueryContext(w.ctx, "SELECT ig_comment_id, COALESCE(ig_media_id, '-'), COALESCE(parent_id, '-'), text, own FROM instagram_comments ORDER BY id")
	w.must(err)
	defer rows.Close()
	for rows.Next() {
		var id, media, parent, text string
		var own bool
		w.must(rows.Scan(&id, &media, &parent, &text, &own))
		all = append(all, fmt.Sprintf("%s %s %s %s %v", id, media, parent, text, own))
	}
	w.must(rows.Err())
	return strings.Join(all, "; "), w.mediaRows()
}

func (w *fixture) mediaRows() string {
	w.t.Helper()
	var all []string
	rows, err := w.db.Pool().QueryContext(w.ctx, "SELECT ig_id, COALESCE(comments_count, 0), COALESCE(CAST(metrics_json AS TEXT), '-'), ours FROM ig_media ORDER BY ig_id")
	w.must(err)
	defer rows.Close()
	for rows.Next() {
		var id, metrics string
		var count int
		var ours bool
		w.must(rows.Scan(&id, &count, &metrics, &ours))
		all = append(all, fmt.Sprintf("%s %d %s %v", id, count, w.inOrder(metrics), ours))
	}
	w.must(rows.Err())
	return strings.Join(all, "; ")
}

// inOrder writes an object with its keys in order, which databases do not keep.
func (w *fixture) inOrder(object string) string {
	w.t.Helper()
	if object == "-" {
		return object
	}
	var values map[string]any
	w.must(json.Unmarshal([]byte(object), &values))
	raw, err := json.Marshal(values)
	w.must(err)
	return string(raw)
}

// A notification has its effect once, however often it is sent.
func TestInstagramNotices(t *testing.T) {
	for name, tt := range map[string]struct {
		body            string
		status          models.WebhookStatus
		comments, media string
		reported        int
	}{
		"comment":         {change("comments", lovely), models.WebhookProcessed, "179001 1801 - Schön 😀 false", "1801 1 - false", 1},
		"live comment":    {change("live_comments", lovely), models.WebhookProcessed, "179001 1801 - Schön 😀 false", "1801 1 - false", 1},
		"reply":           {change("comments", strings.Replace(lovely, `"id":"179001"`, `"id":"179001","parent_id":"178"`, 1)), models.WebhookProcessed, "179001 1801 178 Schön 😀 false", "1801 1 - false", 1},
		"comment_id":      {change("comments", strings.Replace(lovely, `"id":"179001"`, `"comment_id":"179001"`, 1)), models.WebhookProcessed, "179001 1801 - Schön 😀 false", "1801 1 - false", 1},
		"without a post":  {change("comments", `{"id":"179001","text":"hi","from":{"id":"684"}}`), models.WebhookProcessed, "179001 - - hi false", "", 1},
		"own, by its id":  {change("comments", strings.Replace(lovely, "684", igID, 1)), models.WebhookProcessed, "179001 1801 - Schön 😀 true", "1801 1 - false", 0},
		"own, by the key": {change("comments", strings.Replace(lovely, `"username"`, `"self_ig_scoped_id":"5","username"`, 1)), models.WebhookProcessed, "179001 1801 - Schön 😀 true", "1801 1 - false", 0},
		"flat": {
			fmt.Sprintf(`{"object":"instagram","entry":[{"id":%q,"time":1795687009,"field":"comments","value":%s}]}`, igID, lovely),
			models.WebhookProcessed, "179001 1801 - Schön 😀 false", "1801 1 - false", 1,
		},
		"no comment":    {change("comments", `{"text":"x"}`), models.WebhookUnknown, "", "", 0},
		"not an object": {change("comments", `[1]`), models.WebhookUnknown, "", "", 0},
		"story insights": {
			change("story_insights", `{"media_id":"1802","impressions":28,"reach":17,"replies":-1,"odd":"x","no\u0000name":1}`),
			models.WebhookProcessed, "", `1802 0 {"impressions":28,"reach":17,"replies":-1} false`, 0,
		},
		"media":    {change("media", `{"media_id":"1803"}`), models.WebhookProcessed, "", "1803 0 - false", 0},
		"media id": {change("media", `{"id":"1803"}`), models.WebhookProcessed, "", "1803 0 - false", 0},
		"mention":  {change("mentions", `{"media_id":"1804","comment_id":"9"}`), models.WebhookProcessed, "", "", 0},
		"message": {
			fmt.Sprintf(`{"object":"instagram","entry":[{"id":%q,"time":1795687009123,"messaging":[{"sender":{"id":"6"},"message":{"mid":"m1","text":"hi"}}]}]}`, igID),
			models.WebhookProcessed, "", "", 0,
		},
		"another field":   {change("follows", `{}`), models.WebhookUnknown, "", "", 0},
		"another object":  {`{"object":"page","entry":[{"id":"1","time":1,"changes":[{"field":"comments","value":{"id":"5"}}]}]}`, models.WebhookUnknown, "", "", 0},
		"another account": {strings.Replace(change("comments", lovely), igID, "178999", 1), models.WebhookUnmatched, "", "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, w *fixture) {
				for range 3 {
					w.sendMeta(tt.body)
					w.runEvents()
				}
				for range 10 { // unmatched is what is still unknown after a while
					w.clock.Advance(time.Hour)
					w.must(w.Sweep(w.ctx))
					w.runEvents()
				}
				w.wantEvents(tt.status)
				if comments, media := w.comments(); comments != tt.comments || media != tt.media {
					t.Errorf("stored %q and %q, want %q and %q", comments, media, tt.comments, tt.media)
				}
				if reported := w.commentsReported(); len(reported) != tt.reported {
					t.Errorf("the app gets %d events, want %d", len(reported), tt.reported)
				}
			})
		})
	}
}

// The app's event shows the comment as it is, with the account that it is for.
func TestCommentReceived(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		w.sendMeta(change("comments", lovely))
		w.runEvents()
		var event view.Event
		w.must(json.Unmarshal([]byte(w.commentsReported()[0].Payload), &event))
		c := event.Comment
		if event.Type != models.EventCommentReceived || c.ID != "179001" || c.Text != "Schön 😀" || c.From.Username != "ann" || *c.MediaID != "1801" ||
			c.AccountID != w.insta || *c.CreatedAt != "2026-11-26T09:56:49Z" {
			t.Errorf("comment %+v", c)
		}
	})
}

// A thousand notices in one message, some of them twice, are stored together.
func TestBatch(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		var entries []string
		for i := range 1000 {
			entries = append(entries, fmt.Sprintf(`{"id":%q,"time":1795687009,"changes":[{"field":"comments","value":{"id":"c%d","text":"x","media":{"id":"m%d"}}}]}`, igID, i%900, i%3))
		}
		w.sendMeta(`{"object":"instagram","entry":[` + strings.Join(entries, ",") + `]}`)
		if n := w.queue.Events.Len(); n != 900 {
			t.Errorf("%d tasks, want 900", n)
		}
		if w.db.Dialect() == db.Postgres { // where xmin and cmin name the transaction and statement that stored a row
			var n int
			w.must(w.db.Pool().QueryRowContext(w.ctx, "SELECT COUNT(DISTINCT xmin::text || '.' || cmin::text) FROM webhook_events").Scan(&n))
			if n != 1 {
				t.Errorf("they are stored by %d statements", n)
			}
		}
		w.runEvents()
		if _, media := w.comments(); media != "m0 300 - false; m1 300 - false; m2 300 - false" {
			t.Errorf("posts have %s", media)
		}
	})
}

// More events than one statement holds are stored too, all or none.
func TestMoreThanABatch(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		batch := func(prefix, last string) string {
			var entries []string
			for i := range 2500 {
				entries = append(entries, fmt.Sprintf(`{"id":%q,"time":1795687009,"changes":[{"field":"mentions","value":{"media_id":"%s%d"}}]}`, igID, prefix, i))
			}
			return `{"object":"instagram","entry":[` + strings.Join(entries, ",") + last + `]}`
		}
		w.sendMeta(batch("a", ""))
		if n := len(w.events()); n != 2500 || w.queue.Events.Len() != n {
			t.Fatalf("%d events and %d tasks, want 2500", n, w.queue.Events.Len())
		}
		// The last one cannot be stored: nothing of its request is, nor has it a task.
		w.refuseEvents("x")
		body := batch("b", `,{"id":"1","time":1,"changes":[{"field":"x","value":{}}]}`)
		if err := w.receiveMeta(body); err == nil || errors.Is(err, inbox.ErrNotAuthentic) {
			t.Errorf("error %v, want one of the database", err)
		}
		if n := len(w.events()); n != 2500 || w.queue.Events.Len() != n {
			t.Errorf("%d events and %d tasks after a request that failed, want 2500", n, w.queue.Events.Len())
		}
	})
}

// refuseEvents has the database refuse events of a name.
func (w *fixture) refuseEvents(name string) {
	w.t.Helper()
	statement := fmt.Sprintf(`CREATE TRIGGER refuse BEFORE INSERT ON webhook_events WHEN NEW.name = '%s' BEGIN SELECT RAISE(ABORT, 'refused'); END`, name)
	if w.db.Dialect() == db.Postgres {
		statement = fmt.Sprintf(`ALTER TABLE webhook_events ADD CONSTRAINT refuse CHECK (name <> '%s')`, name)
	}
	_, err := w.db.Pool().ExecContext(w.ctx, statement)
	w.must(err)
}

// A message that is deleted is another event than the message.
func TestDeletedMessages(t *testing.T) {
	w := newSQLiteWorld(t)
	for _, message := range []string{`{"mid":"m1","text":"hi"}`, `{"mid":"m1","text":"hi"}`, `{"mid":"m1","is_deleted":true}`, `{"mid":"m2","text":"hi"}`} {
		w.sendMeta(fmt.Sprintf(`{"object":"instagram","entry":[{"id":%q,"time":1795687009123,"messaging":[{"message":%s}]}]}`, igID, message))
	}
	w.runEvents()
	w.wantEvents(models.WebhookProcessed, models.WebhookProcessed, models.WebhookProcessed)
	if at := w.events()[0].OccurredAt; at == nil || at.UnixMilli() != 1795687009123 {
		t.Errorf("it happened at %v", at)
	}
}

// The answer of media_publish got lost and the container cannot be read. Then a
// comment names the media before we know that it is ours: it is found all the same,
// and nothing is sent a second time.
func TestACommentOnALostPost(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		w.sim.Script(sandbox.Fault{Op: sandbox.OpInstagramPublish, Mode: sandbox.ModeReset, After: true})
		p := w.acceptImage("Fresh bread")
		w.until(p.ID, "live", func(*models.Post) bool { return len(w.sim.LivePosts()) == 1 })
		w.sim.Script(sandbox.Fault{Op: sandbox.OpInstagramContainerStatus, Mode: sandbox.ModeError, Code: "100", Subcode: 33, Times: -1})
		if got := w.post(p.ID); got.PlatformPostID != nil {
			t.Fatalf("the post has its id already: %+v", got)
		}
		id := w.sim.LivePosts()[0].ID
		w.sendMeta(change("comments", fmt.Sprintf(`{"id":"179001","text":"x","media":{"id":%q}}`, id)))
		w.runEvents()
		got := w.until(p.ID, "published", is(models.Published))
		if got.PlatformPostID == nil || *got.PlatformPostID != id {
			t.Errorf("the post's id is %v, want %s", got.PlatformPostID, id)
		}
		if n := w.sim.CountCalls(sandbox.OpInstagramPublish); n != 1 || len(w.sim.LivePosts()) != 1 {
			t.Errorf("%d calls to publish, %d posts live", n, len(w.sim.LivePosts()))
		}
		if rows := w.mediaRows(); rows != id+" 1 - true" {
			t.Errorf("the row is %s", rows)
		}
	})
}

func TestHandshake(t *testing.T) {
	w := newSQLiteWorld(t)
	for name, tt := range map[string]struct {
		mode, token string
		ok          bool
	}{
		"good": {"subscribe", "token", true}, "another token": {"subscribe", "Token", false}, "no token": {"subscribe", "", false},
		"another mode": {"unsubscribe", "token", false}, "no mode": {"", "token", false},
	} {
		got, err := w.Handshake(models.Instagram, handshake(tt.mode, tt.token))
		if tt.ok != (err == nil && got == "1158201444") || (!tt.ok && !errors.Is(err, inbox.ErrNotAuthentic)) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	w.fromMeta.VerifyToken = ""
	if _, err := w.inbox().Handshake(models.Instagram, handshake("subscribe", "")); !errors.Is(err, inbox.ErrNotAuthentic) {
		t.Errorf("without a token of ours: %v", err)
	}
	if _, err := w.Handshake(models.TikTok, handshake("subscribe", "token")); !errors.Is(err, inbox.ErrNotAuthentic) {
		t.Errorf("a platform without a handshake: %v", err)
	}
}

func handshake(mode, token string) url.Values {
	return url.Values{"hub.mode": {mode}, "hub.verify_token": {token}, "hub.challenge": {"1158201444"}}
}
