package instagram

import (
	"context"

	"socialqueue/models"
	"socialqueue/oauth"
	"socialqueue/publish"
)

// ReadLimits asks content_publishing_limit. quota_usage lags by minutes (seen in the field,
// 2026-09).
func (p *Publisher) ReadLimits(ctx context.Context, token oauth.Token) (publish.Limits, error) {
	if p.client == nil {
		return publish.Limits{}, errNoAppSecret
	}
	quota, err := p.client.Quota(ctx, token.Access, token.ProviderAccountID)
	if err != nil {
		return publish.Limits{}, err
	}
	return publish.Limits{Limits: []publish.Limit{{
		Name: "posts", Window: quota.Window, Limit: quota.Total, Used: quota.Used, Source: publish.LimitOfPlatform,
	}}}, nil
}

// CheckLimits notes nothing: a quota that is used up defers a post, and does not refuse it.
func (p *Publisher) CheckLimits(*models.FieldErrors, publish.Limits, publish.Options, string, []*models.Media) {
}
