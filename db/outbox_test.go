package db_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"socialqueue/db"
	"socialqueue/models"
	"socialqueue/view"
)

// subscribe creates an endpoint of the app that is subscribed to these events; none means
// all.
func (f *fixture) subscribe(appID int64, events ...models.AppEvent) *models.WebhookEndpoint {
	f.t.Helper()
	var names []string
	for _, e := range events {
		names = append(names, string(e))
	}
	e := &models.WebhookEndpoint{
		ID: models.NewID(), AppID: appID, URL: "https://app.example.com", Events: strings.Join(names, ","), Secret: "sealed",
		Status: models.EndpointEnabled, CreatedAt: epoch, UpdatedAt: epoch,
	}
	f.must(f.Outbox.CreateEndpoint(f.t.Context(), e, 20, nil))
	return e
}

// events lists the events that were stored for an endpoint, oldest first.
func (f *fixture) events(e *models.WebhookEndpoint) []view.Event {
	f.t.Helper()
	rows, err := f.Outbox.Deliveries(f.t.Context(), db.DeliveryFilter{EndpointID: e.ID, Limit: 2000})
	f.must(err)
	slices.Reverse(rows)
	events := make([]view.Event, len(rows))
	for i, row := range rows {
		f.must(json.Unmarshal([]byte(row.Payload), &events[i]))
		if events[i].ID != row.EventID || events[i].Type != row.EventType {
			f.t.Errorf("the payload %s is not that of %s %s", row.Payload, row.EventType, row.EventID)
		}
	}
	return events
}

// wantEvents compares the types of the events that were stored for an endpoint.
func (f *fixture) wantEvents(e *models.WebhookEndpoint, want ...models.AppEvent) []view.Event {
	f.t.Helper()
	events := f.events(e)
	got := make([]models.AppEvent, len(events))
	for i := range events {
		got[i] = events[i].Type
	}
	if !slices.Equal(got, want) {
		f.t.Errorf("events = %v, want %v", got, want)
	}
	return events
}

// run claims a post and writes the result of the run.
func (f *fixture) run(p *models.Post, change func(*models.Post)) {
	f.t.Helper()
	p = f.reload(p)
	claimed, err := f.Runs.Claim(f.t.Context(), p.ID, p.Fence, "w", epoch.Add(time.Hour), time.Minute)
	f.must(err)
	from := claimed.Status
	claimed.LeaseUntil, claimed.LeaseOwner = nil, ""
	change(claimed)
	f.must(f.Runs.Write(f.t.Context(), db.RunWrite{Post: claimed, From: from, Release: true}))
}

// TestMovesStoreEvents checks that the write of a status stores the event for that status,
// and no other event.
func TestMovesStoreEvents(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		for status, want := range map[models.Status]models.AppEvent{
			models.Published: models.EventPostPublished, models.Delivered: models.EventPostDelivered, models.Failed: models.EventPostFailed,
			models.Uncertain: models.EventPostUncertain, models.Missed: models.EventPostMissed, models.Processing: "", models.Queued: "",
		} {
			endpoint := f.subscribe(f.app.ID)
			p := f.post(func(p *models.Post) { p.CorrelationID = "req-1" })
			f.run(p, func(p *models.Post) { p.Status = status })
			if want == "" {
				f.wantEvents(endpoint)
			} else if events := f.wantEvents(endpoint, want); len(events) == 1 {
				if shown := view.OfPost(f.reload(p), epoch); events[0].Post.Status != status || events[0].Post.ID != p.ID || events[0].Post.UpdatedAt != shown.UpdatedAt {
					t.Errorf("%s: event of %+v, want %+v", status, events[0].Post, shown)
				}
			}
			f.must(f.Outbox.DeleteEndpoint(t.Context(), f.app.ID, endpoint.ID, epoch))
		}
	})
}

// TestFailedWritesStoreNoEvent checks that a write that is rolled back stores no event.
func TestFailedWritesStoreNoEvent(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		endpoint, p := f.subscribe(f.app.ID), f.post(nil)
		claimed, err := f.Runs.Claim(t.Context(), p.ID, 0, "w", epoch, time.Minute)
		f.must(err)
		claimed.Status = models.Published
		bad := &models.TikTokPost{UserID: -1, OAuthAccountID: f.account.ID, PublishID: "v1", Status: "published", CreatedAt: epoch, UpdatedAt: epoch}
		if err := f.Runs.Write(t.Context(), db.RunWrite{Post: claimed, From: models.Publishing, Record: bad}); err == nil {
			t.Fatal("a row without a user was written")
		}
		old := *claimed
		old.Fence--
		wantStale(t, f.Runs.Write(t.Context(), db.RunWrite{Post: &old, From: models.Publishing}))
		f.wantEvents(endpoint)
		f.must(f.Runs.Write(t.Context(), db.RunWrite{Post: claimed, From: models.Publishing}))
		wantStale(t, f.Runs.Write(t.Context(), db.RunWrite{Post: claimed, From: models.Publishing})) // repeated after a lost response
		f.wantEvents(endpoint, models.EventPostPublished)
	})
}

// TestSubscribers checks that an event goes to every enabled endpoint of the post's app that
// subscribed to it, and to no other.
func TestSubscribers(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		other := models.App{Name: "other", CreatedAt: epoch}
		f.must(f.Tenants.CreateApp(t.Context(), &other, &models.APIKey{Prefix: "q-" + models.NewID()[24:], Hash: []byte("h"), CreatedAt: epoch}))
		all, one, two := f.subscribe(f.app.ID), f.subscribe(f.app.ID, models.EventPostFailed), f.subscribe(f.app.ID, models.EventPostPublished, models.EventPostFailed)
		unsubscribed, foreign, off, gone := f.subscribe(f.app.ID, models.EventPostPublished), f.subscribe(other.ID), f.subscribe(f.app.ID), f.subscribe(f.app.ID)
		disabled := models.EndpointDisabled
		f.must(f.Outbox.ChangeEndpoint(t.Context(), f.app.ID, off.ID, db.EndpointChange{Status: &disabled}, epoch))
		f.must(f.Outbox.DeleteEndpoint(t.Context(), f.app.ID, gone.ID, epoch))
		f.run(f.post(nil), func(p *models.Post) { p.Status = models.Failed })
		ids := map[string]bool{}
		for _, e := range []*models.WebhookEndpoint{all, one, two} {
			for _, event := range f.wantEvents(e, models.EventPostFailed) {
				ids[event.ID] = true
			}
		}
		if len(ids) != 1 {
			t.Errorf("one event has the ids %v", ids)
		}
		for _, e := range []*models.WebhookEndpoint{unsubscribed, foreign, off, gone} {
			f.wantEvents(e)
		}
	})
}

// TestDeferralsAreReportedOnce checks that a deferral is reported only if its reason is new,
// however often the post is deferred, and again after a retry.
func TestDeferralsAreReportedOnce(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		endpoint, p := f.subscribe(f.app.ID), f.post(nil)
		wait := func(reason string) {
			f.run(p, func(p *models.Post) { p.Status, p.DeferredReason, p.DeferredUntil = models.Queued, reason, &epoch })
		}
		for _, reason := range []string{models.DeferredRateLimit, models.DeferredRateLimit, models.DeferredRetry, models.DeferredRetry, models.DeferredRateLimit} {
			wait(reason)
		}
		const deferred = models.EventPostDeferred
		events := f.wantEvents(endpoint, deferred, deferred, deferred)
		for i, reason := range []string{models.DeferredRateLimit, models.DeferredRetry, models.DeferredRateLimit} {
			if got := events[i].Post.DeferredReason; got == nil || *got != reason {
				t.Errorf("deferral %d has the reason %v, want %s", i, got, reason)
			}
		}
		f.run(p, func(p *models.Post) { p.Status = models.Failed })
		again := f.reload(p)
		from := again.Status
		again.Status, again.RunAt, again.Admission = models.Queued, &epoch, models.AdmissionAdmitted
		f.must(f.Posts.Revive(t.Context(), again, models.PostEvent{PostID: p.ID, At: epoch, Type: models.EventState, From: from, To: models.Queued}))
		wait(models.DeferredRateLimit)
		f.wantEvents(endpoint, deferred, deferred, deferred, models.EventPostFailed, deferred)
	})
}

// TestAccountEvents checks the events of an account and of all its posts, also if the posts
// need more than one batch.
func TestAccountEvents(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		endpoint := f.subscribe(f.app.ID)
		const posts = 501
		for range posts {
			f.post(nil)
		}
		ctx, e := t.Context(), db.Deactivation{Platform: models.TikTok, AccountID: f.account.ID, Reason: "why"}
		for range 2 { // the second time stores no event
			f.must(f.Connections.Reauthorize(ctx, e, db.Refused{Fence: f.account.RefreshFence}, epoch.Add(time.Hour), epoch))
			f.must(f.Connections.DeferPosts(ctx, e, epoch.Add(time.Hour), epoch))
		}
		events := f.events(endpoint)
		if len(events) != posts+1 || events[0].Type != models.EventAccountReauthorize || events[0].Account.ID != f.account.ID || *events[0].Account.StatusReason != "why" {
			t.Fatalf("%d events, the first %+v", len(events), events[0])
		}
		seen := map[string]bool{}
		for _, event := range events[1:] {
			if event.Type != models.EventPostDeferred || *event.Post.DeferredReason != models.DeferredReauthorize {
				t.Fatalf("event %+v", event)
			}
			seen[event.Post.ID] = true
		}
		if len(seen) != posts {
			t.Errorf("%d posts have events, want %d", len(seen), posts)
		}
		for range 2 {
			_, err := f.Connections.Disconnect(ctx, e, epoch)
			f.must(err)
			a, err := f.Accounts.OAuthAccount(ctx, f.account.ID)
			f.must(err)
			f.must(f.Connections.FinishDisconnect(ctx, a, func(reason string) string { return reason }, epoch))
		}
		count := map[models.AppEvent]int{}
		for _, event := range f.events(endpoint)[len(events):] {
			count[event.Type]++
		}
		if fmt.Sprint(count) != fmt.Sprint(map[models.AppEvent]int{models.EventAccountDisconnected: 1, models.EventPostCanceled: posts}) {
			t.Errorf("events after the disconnect: %v", count)
		}
	})
}

// TestDeletionLeavesAnAnonymousEvent checks that the deletion of a person's data also
// deletes the events about it. Only account.disconnected stays, without personal data.
func TestDeletionLeavesAnAnonymousEvent(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		endpoint := f.subscribe(f.app.ID)
		f.run(f.post(nil), func(p *models.Post) { p.Status = models.Failed })
		f.must(f.Inbox.Store(t.Context(), []models.WebhookEvent{{
			Platform: models.TikTok, DedupeKey: "k", Name: "x", Account: "open-1", Payload: []byte("{}"), Status: models.WebhookProcessed, ReceivedAt: epoch,
		}}))
		_, err := f.Connections.RequestDeletion(t.Context(), db.Deletion{
			Provider: models.TikTok, ProviderAccountID: "open-1", RequestedAt: epoch.Add(time.Minute), Code: "c", Reason: "deleted",
		}, epoch)
		f.must(err)
		for more := true; more; {
			more, err = f.Connections.Erase(t.Context(), 100, epoch)
			f.must(err)
		}
		events := f.wantEvents(endpoint, models.EventAccountDisconnected)
		if a := events[0].Account; a.ID != f.account.ID || a.ExternalID != "" || a.Username != "" || a.Name != "" {
			t.Errorf("the event shows %+v", a)
		}
		received, err := f.Inbox.List(t.Context(), db.WebhookFilter{Limit: 10})
		f.must(err)
		if len(received) != 0 {
			t.Errorf("TikTok's events about the person are kept: %+v", received)
		}
	})
}

// TestStoreWebhookEvents checks that an event that was stored before gets no id, whether in
// the same batch or earlier.
func TestStoreWebhookEvents(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		batch := func(keys ...int) []models.WebhookEvent {
			events := make([]models.WebhookEvent, len(keys))
			for i, key := range keys {
				events[i] = models.WebhookEvent{
					Platform: models.Instagram, DedupeKey: fmt.Sprint(key), Name: "comments", Payload: []byte{0xff, 0}, Status: models.WebhookPending, ReceivedAt: epoch, RunAt: &epoch,
				}
			}
			return events
		}
		many := make([]int, 2500)
		for i := range many {
			many[i] = i
		}
		first := batch(append(many, 2400, 2400)...)
		f.must(f.Inbox.Store(t.Context(), first))
		ids := map[int64]bool{}
		for i, e := range first {
			if (e.ID == 0) != (i >= len(many)) || ids[e.ID] && e.ID != 0 {
				t.Fatalf("event %d has the id %d", i, e.ID)
			}
			ids[e.ID] = true
		}
		second := batch(3, 5000)
		f.must(f.Inbox.Store(t.Context(), second))
		if second[0].ID != 0 || second[1].ID == 0 {
			t.Errorf("the ids are %d and %d", second[0].ID, second[1].ID)
		}
		got, err := f.Inbox.Event(t.Context(), second[1].ID)
		f.must(err)
		if string(got.Payload) != "\xff\x00" || got.Status != models.WebhookPending || !got.RunAt.Equal(epoch) {
			t.Errorf("stored %+v", got)
		}
	})
}
