package observe

import (
	"context"

	"github.com/sirupsen/logrus"

	"socialqueue/models"
	"socialqueue/platform"
)

// In is the log of the work that ctx belongs to.
func In(ctx context.Context, log logrus.FieldLogger) *logrus.Entry {
	if id := CorrelationID(ctx); id != "" {
		return log.WithField(FieldCorrelationID, id)
	}
	return log.WithFields(nil)
}

// OfPost is the log of what happens to a post. Its correlation id is that of the request
// which made the post, whoever is at work on it now.
func OfPost(log logrus.FieldLogger, p *models.Post) *logrus.Entry {
	return log.WithFields(Post(p)).WithFields(logrus.Fields{FieldCorrelationID: p.CorrelationID, FieldFence: p.Fence})
}

// OfAccount is the log of what the work that ctx belongs to does to a consent, or to one
// that is about to be.
func OfAccount(ctx context.Context, log logrus.FieldLogger, a *models.OAuthAccount) *logrus.Entry {
	return In(ctx, log).WithFields(account(a))
}

// OfInstagram is the log of what the work that ctx belongs to does to an Instagram
// account.
func OfInstagram(ctx context.Context, log logrus.FieldLogger, a *models.InstagramAccount) *logrus.Entry {
	return In(ctx, log).WithFields(Instagram(a))
}

// OfEvent is the log of what happens to a platform's webhook event.
func OfEvent(log logrus.FieldLogger, e *models.WebhookEvent) *logrus.Entry {
	return log.WithFields(logrus.Fields{
		FieldCorrelationID: e.CorrelationID, FieldProvider: e.Platform, FieldAction: "webhook:process", FieldEvent: e.Name, FieldWebhookEvent: e.ID,
	})
}

// Called logs a call to a platform.
func Called(log logrus.FieldLogger, c platform.Call) {
	entry := log.WithFields(logrus.Fields{FieldAction: c.Op, FieldDuration: c.Duration, FieldHTTPStatus: c.HTTPStatus, FieldLogID: c.LogID})
	if c.Err != nil {
		entry.WithError(c.Err).Info("platform call failed")
		return
	}
	entry.Info("platform call")
}

// Post are the fields that tell which post a line is about, and whose it is.
func Post(p *models.Post) logrus.Fields {
	return logrus.Fields{FieldUserID: p.UserID, FieldProvider: p.Platform, FieldPostID: p.ID, FieldAccountID: p.AccountID()}
}

// Instagram are the same of an Instagram account.
func Instagram(a *models.InstagramAccount) logrus.Fields {
	return logrus.Fields{FieldUserID: a.UserID, FieldProvider: a.Platform(), FieldAccountID: a.ID}
}

// account are the same of a consent.
func account(a *models.OAuthAccount) logrus.Fields {
	fields := logrus.Fields{FieldUserID: a.UserID, FieldProvider: a.Provider}
	switch {
	case a.ID == 0: // it has no row yet
	case a.Provider.BehindLogin():
		fields[FieldLoginID] = a.ID
	default:
		fields[FieldAccountID] = a.ID
	}
	return fields
}
