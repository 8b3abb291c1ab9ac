package notify

import (
	"context"

	"socialqueue/db"
	"socialqueue/models"
)

// DeliveryFilter selects deliveries for a list. Zero fields select all.
type DeliveryFilter = db.DeliveryFilter

// Endpoints returns the webhook endpoints of an app.
func (s *Service) Endpoints(ctx context.Context, appID int64) ([]models.WebhookEndpoint, error) {
	return s.DB.Outbox.Endpoints(ctx, appID)
}

// Endpoint returns a webhook endpoint of an app.
func (s *Service) Endpoint(ctx context.Context, appID int64, id string) (*models.WebhookEndpoint, error) {
	return s.DB.Outbox.Endpoint(ctx, appID, id)
}

// Delete deletes a webhook endpoint of an app. Its deliveries are deleted later.
func (s *Service) Delete(ctx context.Context, appID int64, id string) error {
	return s.DB.Outbox.DeleteEndpoint(ctx, appID, id, s.Now())
}

// Deliveries returns the deliveries to the endpoint f.EndpointID of an app, newest
// first.
func (s *Service) Deliveries(ctx context.Context, appID int64, f DeliveryFilter) ([]models.WebhookDelivery, error) {
	if _, err := s.DB.Outbox.Endpoint(ctx, appID, f.EndpointID); err != nil {
		return nil, err
	}
	return s.DB.Outbox.Deliveries(ctx, f)
}

// Attempts returns the attempts of deliveries, by delivery id. The caller must have checked
// that the deliveries belong to the app.
func (s *Service) Attempts(ctx context.Context, deliveries []int64) (map[int64][]models.WebhookAttempt, error) {
	return s.DB.Outbox.Attempts(ctx, deliveries)
}
