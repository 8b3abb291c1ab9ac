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

// listens makes an endpoint of the app that asked for these events; none is all.
func (f *fixture) listens(appID int64, events ...models.AppEvent) *models.WebhookEndpoint {
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

// told lists what an endpoint was told, the oldest first, each with the payload.
func (f *fixture) told(e *models.WebhookEndpoint) []view.Event {
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

// wantTold compares the types of what an endpoint was told.
func (f *fixture) wantTold(e *models.WebhookEndpoint, want ...models.AppEvent) []view.Event {
	f.t.Helper()
	events := f.told(e)
	got := make([]models.AppEvent, len(events))
	for i := range events {
		got[i] = events[i].Type
	}
	if !slices.Equal(got, want) {
		f.t.Errorf("told %v, want %v", got, want)
	}
	return events
}

// run claims a post and writes what the run came to.
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

// Every state that an app is told of is told with the write that brought it, and no
// other one is.
func TestMovesAreTold(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		for status, want := range map[models.Status]models.AppEvent{
			models.Published: models.EventPostPublished, models.Delivered: models.EventPostDelivered, models.Failed: models.EventPostFailed,
			models.Uncertain: models.EventPostUncertain, models.Missed: models.EventPostMissed, models.Processing: "", models.Queued: "",
		} {
			endpoint := f.listens(f.app.ID)
			p := f.post(func(p *models.Post) { p.CorrelationID = "req-1" })
			f.run(p, func(p *models.Post) { p.Status = status })
			if want == "" {
				f.wantTold(endpoint)
			} else if told := f.wantTold(endpoint, want); len(told) == 1 {
				if shown := view.OfPost(f.reload(p), epoch); told[0].Post.Status != status || told[0].Post.ID != p.ID || told[0].Post.UpdatedAt != shown.UpdatedAt {
					t.Errorf("%s: told %+v, want %+v", status, told[0].Post, shown)
				}
			}
			f.must(f.Outbox.DeleteEndpoint(t.Context(), f.app.ID, endpoint.ID, epoch))
		}
	})
}

// A write that does not happen tells nothing.
func TestWhatDidNotHappenIsNotTold(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		endpoint, p := f.listens(f.app.ID), f.post(nil)
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
		f.wantTold(endpoint)
		f.must(f.Runs.Write(t.Context(), db.RunWrite{Post: claimed, From: models.Publishing}))
		wantStale(t, f.Runs.Write(t.Context(), db.RunWrite{Post: claimed, From: models.Publishing})) // its answer was lost
		f.wantTold(endpoint, models.EventPostPublished)
	})
}

// Who is told: every endpoint of the post's app that asked for it and is enabled.
func TestWhoIsTold(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		other := models.App{Name: "other", CreatedAt: epoch}
		f.must(f.Tenants.CreateApp(t.Context(), &other, &models.APIKey{Prefix: "q-" + models.NewID()[24:], Hash: []byte("h"), CreatedAt: epoch}))
		all, asked, twice := f.listens(f.app.ID), f.listens(f.app.ID, models.EventPostFailed), f.listens(f.app.ID, models.EventPostPublished, models.EventPostFailed)
		not, foreign, off, gone := f.listens(f.app.ID, models.EventPostPublished), f.listens(other.ID), f.listens(f.app.ID), f.listens(f.app.ID)
		disabled := models.EndpointDisabled
		f.must(f.Outbox.ChangeEndpoint(t.Context(), f.app.ID, off.ID, db.EndpointChange{Status: &disabled}, epoch))
		f.must(f.Outbox.DeleteEndpoint(t.Context(), f.app.ID, gone.ID, epoch))
		f.run(f.post(nil), func(p *models.Post) { p.Status = models.Failed })
		ids := map[string]bool{}
		for _, e := range []*models.WebhookEndpoint{all, asked, twice} {
			for _, event := range f.wantTold(e, models.EventPostFailed) {
				ids[event.ID] = true
			}
		}
		if len(ids) != 1 {
			t.Errorf("one event has the ids %v", ids)
		}
		for _, e := range []*models.WebhookEndpoint{not, foreign, off, gone} {
			f.wantTold(e)
		}
	})
}

// Why a post waits is told once for each reason that is new, however often it is put
// off again; and anew when it runs again.
func TestDeferralsAreToldOnce(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		endpoint, p := f.listens(f.app.ID), f.post(nil)
		wait := func(reason string) {
			f.run(p, func(p *models.Post) { p.Status, p.DeferredReason, p.DeferredUntil = models.Queued, reason, &epoch })
		}
		for _, reason := range []string{models.DeferredRateLimit, models.DeferredRateLimit, models.DeferredRetry, models.DeferredRetry, models.DeferredRateLimit} {
			wait(reason)
		}
		const deferred = models.EventPostDeferred
		told := f.wantTold(endpoint, deferred, deferred, deferred)
		for i, reason := range []string{models.DeferredRateLimit, models.DeferredRetry, models.DeferredRateLimit} {
			if got := told[i].Post.DeferredReason; got == nil || *got != reason {
				t.Errorf("deferral %d is told with the reason %v, want %s", i, got, reason)
			}
		}
		f.run(p, func(p *models.Post) { p.Status = models.Failed })
		again := f.reload(p)
		from := again.Status
		again.Status, again.RunAt, again.Admission = models.Queued, &epoch, models.AdmissionAdmitted
		f.must(f.Posts.Revive(t.Context(), again, models.PostEvent{PostID: p.ID, At: epoch, Type: models.EventState, From: from, To: models.Queued}))
		wait(models.DeferredRateLimit)
		f.wantTold(endpoint, deferred, deferred, deferred, models.EventPostFailed, deferred)
	})
}

// What happens to an account is told, and so is what it does to each of its posts,
// also when they are more than one batch.
func TestAccountsAreTold(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		endpoint := f.listens(f.app.ID)
		const posts = 501
		for range posts {
			f.post(nil)
		}
		ctx, e := t.Context(), db.Ending{Platform: models.TikTok, AccountID: f.account.ID, Reason: "why"}
		for range 2 { // doing it twice is no news
			f.must(f.Connections.Reauthorize(ctx, e, db.Refused{Fence: f.account.RefreshFence}, epoch.Add(time.Hour), epoch))
			f.must(f.Connections.PutOff(ctx, e, epoch.Add(time.Hour), epoch))
		}
		told := f.told(endpoint)
		if len(told) != posts+1 || told[0].Type != models.EventAccountReauthorize || told[0].Account.ID != f.account.ID || *told[0].Account.StatusReason != "why" {
			t.Fatalf("%d told, the first %+v", len(told), told[0])
		}
		seen := map[string]bool{}
		for _, event := range told[1:] {
			if event.Type != models.EventPostDeferred || *event.Post.DeferredReason != models.DeferredReauthorize {
				t.Fatalf("told %+v", event)
			}
			seen[event.Post.ID] = true
		}
		if len(seen) != posts {
			t.Errorf("%d posts are told of, want %d", len(seen), posts)
		}
		for range 2 {
			_, err := f.Connections.Disconnect(ctx, e, epoch)
			f.must(err)
			a, err := f.Accounts.OAuthAccount(ctx, f.account.ID)
			f.must(err)
			f.must(f.Connections.FinishEnding(ctx, a, func(reason string) string { return reason }, epoch))
		}
		count := map[models.AppEvent]int{}
		for _, event := range f.told(endpoint)[len(told):] {
			count[event.Type]++
		}
		if fmt.Sprint(count) != fmt.Sprint(map[models.AppEvent]int{models.EventAccountDisconnected: 1, models.EventPostCanceled: posts}) {
			t.Errorf("then told %v", count)
		}
	})
}

// When a person's data is deleted, what was to be told of it goes too. That the
// account ended is told all the same, and shows nothing of the person.
func TestDeletionIsToldAnonymously(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		endpoint := f.listens(f.app.ID)
		f.run(f.post(nil), func(p *models.Post) { p.Status = models.Failed })
		f.must(f.Inbox.Store(t.Context(), []models.WebhookEvent{{
			Platform: models.TikTok, DedupeKey: "k", Name: "x", Account: "open-1", Payload: []byte("{}"), Status: models.WebhookProcessed, ReceivedAt: epoch,
		}}))
		_, err := f.Connections.RequestDeletion(t.Context(), db.Deletion{
			Provider: models.TikTok, ProviderAccountID: "open-1", AskedAt: epoch.Add(time.Minute), Code: "c", Reason: "deleted",
		}, epoch)
		f.must(err)
		for more := true; more; {
			more, err = f.Connections.Erase(t.Context(), 100, epoch)
			f.must(err)
		}
		told := f.wantTold(endpoint, models.EventAccountDisconnected)
		if a := told[0].Account; a.ID != f.account.ID || a.ExternalID != "" || a.Username != "" || a.Name != "" {
			t.Errorf("told %+v", a)
		}
		events, err := f.Inbox.List(t.Context(), db.WebhookFilter{Limit: 10})
		f.must(err)
		if len(events) != 0 {
			t.Errorf("what TikTok told of the person is kept: %+v", events)
		}
	})
}

// What was stored before has no id, be it within one batch or before.
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
