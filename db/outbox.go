package db

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"gorm.io/gorm"

	"socialqueue/models"
	"socialqueue/view"
)

// Outbox stores the webhook endpoints of apps and the deliveries to them.
type Outbox struct{ conn }

// deliverFor is how long a delivery is retried.
const deliverFor = 72 * time.Hour

// outboxEvent is an event for an app, before it is stored as deliveries.
type outboxEvent struct {
	kind models.AppEvent
	// subject, lane and correlationID are those of the deliveries.
	subject, lane, correlationID string
	// post is the one that the event is about; nil if it is about something else.
	post *models.Post
	// fill adds the post, account or comment that the event is about.
	fill func(*view.Event)
}

// enabledEndpoints lists the enabled endpoints of the app that the condition selects.
func enabledEndpoints(tx *gorm.DB, app string, arg any) ([]models.WebhookEndpoint, error) {
	var found []models.WebhookEndpoint
	err := tx.Select("id", "events").Where(app, arg).Where("status = ? AND deleted_at IS NULL", models.EndpointEnabled).Order("id").Find(&found).Error
	if err != nil {
		return nil, fmt.Errorf("list the enabled webhook endpoints: %w", err)
	}
	return found, nil
}

// storeDeliveries stores events as deliveries to the endpoints that subscribed to them. tx
// must be the transaction of the change that the events report: then every change has its
// event, and no event reports a change that was rolled back.
func storeDeliveries(tx *gorm.DB, endpoints []models.WebhookEndpoint, now time.Time, events ...outboxEvent) error {
	var rows []models.WebhookDelivery
	for _, event := range events {
		subscribed := slices.DeleteFunc(slices.Clone(endpoints), func(e models.WebhookEndpoint) bool { return !e.Wants(event.kind) })
		if len(subscribed) == 0 {
			continue
		}
		restored, err := event.restored(tx)
		if err != nil {
			return err
		}
		row, err := event.delivery(restored, now)
		if err != nil {
			return err
		}
		for _, e := range subscribed {
			row.EndpointID = e.ID
			rows = append(rows, row)
		}
	}
	if err := tx.CreateInBatches(rows, rowsAtOnce).Error; err != nil {
		return fmt.Errorf("store webhook deliveries: %w", err)
	}
	return nil
}

// restored reports whether the app may have had the event before the database was restored:
// nobody knows yet that the post may be sent.
func (o outboxEvent) restored(tx *gorm.DB) (bool, error) {
	if o.post == nil {
		return false, nil
	}
	newest, err := newestRestore(tx)
	return newest != nil && newest.Covers(o.post) && o.post.RestoreID < newest.ID, wrap(err, "read the newest restore")
}

// delivery returns the delivery of the event, without its endpoint.
func (o outboxEvent) delivery(restored bool, now time.Time) (models.WebhookDelivery, error) {
	event := view.NewEvent(o.kind, now)
	event.Restored = restored
	o.fill(&event)
	payload, err := json.Marshal(event)
	if err != nil {
		return models.WebhookDelivery{}, fmt.Errorf("encode %s: %w", o.kind, err)
	}
	return models.WebhookDelivery{
		EventID: event.ID, EventType: o.kind, Subject: o.subject, Lane: o.lane, Payload: string(payload), CorrelationID: o.correlationID,
		Status: models.DeliveryPending, NextAt: &now, GiveUpAt: now.Add(deliverFor), CreatedAt: now,
	}, nil
}

func eventOfPost(p *models.Post, kind models.AppEvent, now time.Time) outboxEvent {
	return outboxEvent{
		kind: kind, subject: "post:" + p.ID, lane: p.Lane, correlationID: p.CorrelationID, post: p,
		fill: func(e *view.Event) { shown := view.OfPost(p, now); e.Post = &shown },
	}
}

// emitMove stores the event for a post that changed its status or was deferred.
func emitMove(tx *gorm.DB, p *models.Post, from models.Status) error {
	if from.Ended() && p.Status == models.Queued { // it runs again: report its deferrals again
		if err := tx.Model(&models.Post{}).Where("id = ?", p.ID).UpdateColumn("deferral_told", "").Error; err != nil {
			return fmt.Errorf("reset the reported deferral of post %s: %w", p.ID, err)
		}
	}
	kind := models.EventOf(p.Status)
	if from == p.Status || kind == "" {
		var err error
		if kind, err = deferralEvent(tx, p); err != nil || kind == "" {
			return err
		}
	}
	endpoints, err := enabledEndpoints(tx, "app_id = ?", p.AppID)
	if err != nil {
		return err
	}
	return storeDeliveries(tx, endpoints, p.UpdatedAt, eventOfPost(p, kind, p.UpdatedAt))
}

// deferralEvent returns post.deferred if the post is deferred and its reason has not been
// reported yet; otherwise it returns an empty event.
func deferralEvent(tx *gorm.DB, p *models.Post) (models.AppEvent, error) {
	if p.Status != models.Queued || p.DeferredReason == "" {
		return "", nil
	}
	changed, err := recordDeferral(tx, []string{p.ID}, p.DeferredReason)
	if err != nil || len(changed) == 0 {
		return "", err
	}
	return models.EventPostDeferred, nil
}

// recordDeferral records reason as the last reported one, and returns the posts for which
// it is new.
func recordDeferral(tx *gorm.DB, ids []string, reason string) ([]string, error) {
	var changed []string
	err := tx.Raw("UPDATE posts SET deferral_told = ? WHERE id IN ? AND deferral_told <> ? RETURNING id", reason, ids, reason).Scan(&changed).Error
	if err != nil {
		return nil, fmt.Errorf("record the reported deferral of posts: %w", err)
	}
	return changed, nil
}

// emitForPosts stores one event for each of the posts, as they are stored now.
func emitForPosts(tx *gorm.DB, ids []string, kind models.AppEvent, now time.Time) error {
	var posts []models.Post
	err := tx.Where("id IN ?", ids).
		Where("app_id IN (SELECT app_id FROM webhook_endpoints WHERE status = ? AND deleted_at IS NULL)", models.EndpointEnabled).
		Order("app_id, id").Find(&posts).Error
	if err != nil {
		return fmt.Errorf("read the posts for webhook events: %w", err)
	}
	for len(posts) > 0 {
		app := posts[0].AppID
		end := slices.IndexFunc(posts, func(p models.Post) bool { return p.AppID != app })
		if end < 0 {
			end = len(posts)
		}
		endpoints, err := enabledEndpoints(tx, "app_id = ?", app)
		if err != nil {
			return err
		}
		events := make([]outboxEvent, end)
		for i := range events {
			events[i] = eventOfPost(&posts[i], kind, now)
		}
		if err := storeDeliveries(tx, endpoints, now, events...); err != nil {
			return err
		}
		posts = posts[end:]
	}
	return nil
}

// emitForAccount stores an event about an account.
func emitForAccount(tx *gorm.DB, o *models.OAuthAccount, ig *models.InstagramAccount, kind models.AppEvent, now time.Time) error {
	shown := view.OfAccount(o, ig)
	lane := models.Lane(shown.Platform, shown.ID)
	return emitToUsersApp(tx, o.UserID, now, outboxEvent{kind: kind, subject: "account:" + lane, lane: lane, fill: func(e *view.Event) { e.Account = &shown }})
}

// emitAnonymously stores an event about an account whose owner requested the deletion of
// their data. The event contains no personal data, and the deletion does not remove it.
func emitAnonymously(tx *gorm.DB, o *models.OAuthAccount, ig *models.InstagramAccount, kind models.AppEvent, now time.Time) error {
	shown := view.OfAccount(o, ig).Anonymous()
	return emitToUsersApp(tx, o.UserID, now, outboxEvent{
		kind: kind, subject: "account:" + models.Lane(shown.Platform, shown.ID), fill: func(e *view.Event) { e.Account = &shown },
	})
}

// emitToUsersApp stores an event for the app that a user belongs to.
func emitToUsersApp(tx *gorm.DB, userID int64, now time.Time, event outboxEvent) error {
	endpoints, err := enabledEndpoints(tx, "app_id = (SELECT app_id FROM users WHERE id = ?)", userID)
	if err != nil {
		return err
	}
	return storeDeliveries(tx, endpoints, now, event)
}
