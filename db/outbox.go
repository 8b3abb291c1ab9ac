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

// deliverFor is how long it is tried to tell an app of something.
const deliverFor = 72 * time.Hour

// news is something that an app is to be told of.
type news struct {
	event models.AppEvent
	// subject, lane and correlationID are those of the delivery.
	subject, lane, correlationID string
	// post is the one that it is about; nil if it is about something else.
	post *models.Post
	// show puts into the event what it is about, as it is now.
	show func(*view.Event)
}

// listener is an endpoint that may be told.
type listener = models.WebhookEndpoint

// listeners lists the endpoints of an app that are told of events.
func listeners(tx *gorm.DB, app string, arg any) ([]listener, error) {
	var found []listener
	err := tx.Select("id", "events").Where(app, arg).Where("status = ? AND deleted_at IS NULL", models.EndpointEnabled).Order("id").Find(&found).Error
	if err != nil {
		return nil, fmt.Errorf("list the webhook endpoints that are told: %w", err)
	}
	return found, nil
}

// tell writes news for the endpoints that asked for it. It belongs into the
// transaction of the change that it tells of: so nothing that happened is left
// out, and nothing is told that did not happen.
func tell(tx *gorm.DB, to []listener, now time.Time, all ...news) error {
	var rows []models.WebhookDelivery
	for _, n := range all {
		wanting := slices.DeleteFunc(slices.Clone(to), func(l listener) bool { return !l.Wants(n.event) })
		if len(wanting) == 0 {
			continue
		}
		restored, err := n.restored(tx)
		if err != nil {
			return err
		}
		row, err := n.delivery(restored, now)
		if err != nil {
			return err
		}
		for _, l := range wanting {
			row.EndpointID = l.ID
			rows = append(rows, row)
		}
	}
	if err := tx.CreateInBatches(rows, rowsAtOnce).Error; err != nil {
		return fmt.Errorf("write what apps are told: %w", err)
	}
	return nil
}

// showNothing is for an event that is about nothing.
func showNothing(*view.Event) {}

// restored reports whether the app may have had the event before the database was restored:
// nobody knows that its post may be sent since.
func (n news) restored(tx *gorm.DB) (bool, error) {
	if n.post == nil {
		return false, nil
	}
	newest, err := newestRestore(tx)
	return newest != nil && newest.Covers(n.post) && n.post.RestoreID < newest.ID, wrap(err, "read the newest restore")
}

// delivery is what every endpoint gets.
func (n news) delivery(restored bool, now time.Time) (models.WebhookDelivery, error) {
	event := view.NewEvent(n.event, now)
	event.Restored = restored
	n.show(&event)
	payload, err := json.Marshal(event)
	if err != nil {
		return models.WebhookDelivery{}, fmt.Errorf("encode %s: %w", n.event, err)
	}
	return models.WebhookDelivery{
		EventID: event.ID, EventType: n.event, Subject: n.subject, Lane: n.lane, Payload: string(payload), CorrelationID: n.correlationID,
		Status: models.DeliveryPending, NextAt: &now, GiveUpAt: now.Add(deliverFor), CreatedAt: now,
	}, nil
}

func newsOfPost(p *models.Post, event models.AppEvent, now time.Time) news {
	return news{
		event: event, subject: "post:" + p.ID, lane: p.Lane, correlationID: p.CorrelationID, post: p,
		show: func(e *view.Event) { shown := view.OfPost(p, now); e.Post = &shown },
	}
}

// tellOfMove tells of a post that came from one state to another, or is put off.
func tellOfMove(tx *gorm.DB, p *models.Post, from models.Status) error {
	if from.Ended() && p.Status == models.Queued { // it runs again: why it waits is told anew
		if err := tx.Model(&models.Post{}).Where("id = ?", p.ID).UpdateColumn("deferral_told", "").Error; err != nil {
			return fmt.Errorf("forget why post %s waited: %w", p.ID, err)
		}
	}
	event := models.EventOf(p.Status)
	if from == p.Status || event == "" {
		var err error
		if event, err = deferral(tx, p); err != nil || event == "" {
			return err
		}
	}
	to, err := listeners(tx, "app_id = ?", p.AppID)
	if err != nil {
		return err
	}
	return tell(tx, to, p.UpdatedAt, newsOfPost(p, event, p.UpdatedAt))
}

// deferral is what is told of a post that waits: that it does, once for each
// reason that is new.
func deferral(tx *gorm.DB, p *models.Post) (models.AppEvent, error) {
	if p.Status != models.Queued || p.DeferredReason == "" {
		return "", nil
	}
	changed, err := noteDeferral(tx, []string{p.ID}, p.DeferredReason)
	if err != nil || len(changed) == 0 {
		return "", err
	}
	return models.EventPostDeferred, nil
}

// noteDeferral notes that the app is told this reason, and returns the posts of
// which it was last told another one.
func noteDeferral(tx *gorm.DB, ids []string, reason string) ([]string, error) {
	var changed []string
	err := tx.Raw("UPDATE posts SET deferral_told = ? WHERE id IN ? AND deferral_told <> ? RETURNING id", reason, ids, reason).Scan(&changed).Error
	if err != nil {
		return nil, fmt.Errorf("note why posts wait: %w", err)
	}
	return changed, nil
}

// tellOfPosts tells of posts that were changed behind their backs.
func tellOfPosts(tx *gorm.DB, ids []string, event models.AppEvent, now time.Time) error {
	var posts []models.Post
	err := tx.Where("id IN ?", ids).
		Where("app_id IN (SELECT app_id FROM webhook_endpoints WHERE status = ? AND deleted_at IS NULL)", models.EndpointEnabled).
		Order("app_id, id").Find(&posts).Error
	if err != nil {
		return fmt.Errorf("read the posts that apps are told of: %w", err)
	}
	for len(posts) > 0 {
		app := posts[0].AppID
		end := slices.IndexFunc(posts, func(p models.Post) bool { return p.AppID != app })
		if end < 0 {
			end = len(posts)
		}
		to, err := listeners(tx, "app_id = ?", app)
		if err != nil {
			return err
		}
		all := make([]news, end)
		for i := range all {
			all[i] = newsOfPost(&posts[i], event, now)
		}
		if err := tell(tx, to, now, all...); err != nil {
			return err
		}
		posts = posts[end:]
	}
	return nil
}

// tellOfAccount tells of an account as it is stored now.
func tellOfAccount(tx *gorm.DB, o *models.OAuthAccount, ig *models.InstagramAccount, event models.AppEvent, now time.Time) error {
	shown := view.OfAccount(o, ig)
	lane := models.Lane(shown.Platform, shown.ID)
	return tellUsersApp(tx, o.UserID, now, news{event: event, subject: "account:" + lane, lane: lane, show: func(e *view.Event) { e.Account = &shown }})
}

// tellAnonymously tells of an account whose owner wants all that is stored of them
// deleted: without what says who that is, and not to be deleted with it.
func tellAnonymously(tx *gorm.DB, o *models.OAuthAccount, ig *models.InstagramAccount, event models.AppEvent, now time.Time) error {
	shown := view.OfAccount(o, ig).Anonymous()
	return tellUsersApp(tx, o.UserID, now, news{
		event: event, subject: "account:" + models.Lane(shown.Platform, shown.ID), show: func(e *view.Event) { e.Account = &shown },
	})
}

func tellUsersApp(tx *gorm.DB, userID int64, now time.Time, n news) error {
	to, err := listeners(tx, "app_id = (SELECT app_id FROM users WHERE id = ?)", userID)
	if err != nil {
		return err
	}
	return tell(tx, to, now, n)
}
