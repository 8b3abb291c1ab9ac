package publish

import (
	"context"

	"socialqueue/db"
	"socialqueue/models"
)

// Filter narrows a list of posts. Zero values do not narrow.
type Filter = db.PostFilter

// Get returns a post of an app.
func (s *Service) Get(ctx context.Context, appID int64, id string) (*models.Post, error) {
	return s.DB.Posts.Get(ctx, appID, id)
}

// ByPublishID returns an app's post by the id that TikTok gave it.
func (s *Service) ByPublishID(ctx context.Context, appID int64, publishID string) (*models.Post, error) {
	return s.DB.Posts.ByPublishID(ctx, appID, publishID)
}

// List returns the posts of the app f.AppID, newest first.
func (s *Service) List(ctx context.Context, f Filter) ([]models.Post, error) {
	return s.DB.Posts.List(ctx, f)
}

// Timeline returns a post of an app with the events of its timeline, oldest first.
func (s *Service) Timeline(ctx context.Context, appID int64, id string) (*models.Post, []models.PostEvent, error) {
	p, err := s.DB.Posts.Get(ctx, appID, id)
	if err != nil {
		return nil, nil, err
	}
	events, err := s.DB.Posts.Events(ctx, id)
	return p, events, err
}

// Public reports whether everybody can see a TikTok post, as TikTok last said; nil
// while TikTok has not said.
func (s *Service) Public(ctx context.Context, p *models.Post) (*bool, error) {
	if p.PublishID == nil {
		return nil, nil
	}
	return s.DB.Runs.TikTokAvailability(ctx, *p.PublishID)
}

// File returns the row of a file, whichever app owns it. Only the holder of a signed
// link may see the file.
func (s *Service) File(ctx context.Context, id string) (*models.Media, error) {
	return s.DB.Media.ByID(ctx, id)
}
