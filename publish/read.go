package publish

import (
	"context"
	"fmt"

	"socialqueue/db"
	"socialqueue/models"
	"socialqueue/view"
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

// Timeline returns a post of an app and a page of its timeline, oldest first: the entries
// after the one with that id. It returns db.ErrNotFound if the app has no such post.
func (s *Service) Timeline(ctx context.Context, appID int64, id string, after int64, limit int) (*models.Post, []models.PostEvent, error) {
	p, err := s.DB.Posts.Get(ctx, appID, id)
	if err != nil {
		return nil, nil, err
	}
	events, err := s.DB.Posts.EventsAfter(ctx, id, after, limit)
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

// ReadParts reads the files and the first comments of posts, for Show.
func (s *Service) ReadParts(ctx context.Context, posts ...*models.Post) error {
	if len(posts) == 0 {
		return nil
	}
	var ids, commented []string
	for _, p := range posts {
		ids = append(ids, p.ID)
		text, err := s.firstCommentOf(p)
		if err != nil {
			return err
		}
		if text != "" && p.PublishedAt != nil { // the others have no row
			commented = append(commented, p.ID)
		}
	}
	files, err := s.DB.Posts.FilesOf(ctx, ids)
	if err != nil {
		return err
	}
	var comments map[string]*models.FirstComment
	if len(commented) > 0 {
		if comments, err = s.DB.FirstComments.Of(ctx, commented); err != nil {
			return err
		}
	}
	for _, p := range posts {
		p.Files, p.FirstComment = files[p.ID], comments[p.ID]
	}
	return nil
}

// Show shows a post, with its content and its first comment if its files were read. A post of
// a kind that this program does not know has no texts.
func (s *Service) Show(p *models.Post) (view.Post, error) {
	if p.Files == nil {
		return view.OfPost(p, s.Now()), nil
	}
	var c view.Content
	if kind := s.publishers.of(p); kind != nil {
		options, err := kind.Decode(p.Options())
		if err != nil {
			return view.Post{}, fmt.Errorf("decode the options of post %s: %w", p.ID, err)
		}
		c = options.Content(p.Kind)
		if textOfComment(options) != "" && p.FirstComment == nil {
			p.FirstComment = unwritten(p)
		}
	}
	c.Media = view.MediaOf(p.Files)
	shown := view.OfPost(p, s.Now())
	shown.Content = &c
	return shown, nil
}

// unwritten is the first comment of a post without a row for it: the post is not live, or a
// program that knows no first comments published it.
func unwritten(p *models.Post) *models.FirstComment {
	switch {
	case p.Admission != models.AdmissionNone || !p.Status.Ended():
	case p.PublishedAt != nil:
		return &models.FirstComment{Status: models.CommentFailed, Error: "a program of an earlier release published the post"}
	default:
		return &models.FirstComment{Status: models.CommentNotSent}
	}
	return &models.FirstComment{Status: models.CommentPending}
}

// File returns the row of a file, whichever app owns it. Only the holder of a signed
// link may see the file.
func (s *Service) File(ctx context.Context, id string) (*models.Media, error) {
	return s.DB.Media.ByID(ctx, id)
}
