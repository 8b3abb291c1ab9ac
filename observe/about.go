package observe

import (
	"context"

	"github.com/sirupsen/logrus"

	"socialqueue/models"
	"socialqueue/platform"
)

// In returns a log entry with the correlation id of ctx.
func In(ctx context.Context, log logrus.FieldLogger) *logrus.Entry {
	if id := CorrelationID(ctx); id != "" {
		return log.WithField(FieldCorrelationID, id)
	}
	return log.WithFields(nil)
}

// OfPost returns a log entry about a post. Its correlation id is that of the request that
// created the post.
func OfPost(log logrus.FieldLogger, p *models.Post) *logrus.Entry {
	return log.WithFields(Post(p)).WithFields(logrus.Fields{FieldCorrelationID: p.CorrelationID, FieldFence: p.Fence})
}

// OfAccount returns a log entry about an OAuth account, which may have no row yet.
func OfAccount(ctx context.Context, log logrus.FieldLogger, a *models.OAuthAccount) *logrus.Entry {
	return In(ctx, log).WithFields(account(a))
}

// OfInstagram returns a log entry about an Instagram account.
func OfInstagram(ctx context.Context, log logrus.FieldLogger, a *models.InstagramAccount) *logrus.Entry {
	return In(ctx, log).WithFields(Instagram(a))
}

// OfEvent returns a log entry about a platform's webhook event.
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

// Post returns the fields that identify a post and its account.
func Post(p *models.Post) logrus.Fields {
	return logrus.Fields{FieldUserID: p.UserID, FieldProvider: p.Platform, FieldPostID: p.ID, FieldAccountID: p.AccountID()}
}

// Instagram returns the fields that identify an Instagram account.
func Instagram(a *models.InstagramAccount) logrus.Fields {
	return logrus.Fields{FieldUserID: a.UserID, FieldProvider: a.Platform(), FieldAccountID: a.ID}
}

// account returns the fields that identify an OAuth account.
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
