package publish

import (
	"context"
	"fmt"

	"socialqueue/db"
	"socialqueue/models"
)

// fetchSource brings the file behind a customer's link into our storage, once.
// It returns nil at once for a post whose file we have.
func (r *run) fetchSource(ctx context.Context) error {
	if r.post.MediaID != nil || r.post.SourceURL == "" {
		return nil
	}
	link, err := r.Keys.Open(r.post.SourceURL, models.SourceSealedIn(r.post.ID))
	if err != nil {
		return fmt.Errorf("open media_url: %w", err)
	}
	body, _, err := r.Fetcher.Open(ctx, link.Reveal())
	if err != nil {
		return err
	}
	defer body.Close()
	id := models.NewID()
	info, err := r.Store.Save(ctx, id, body)
	if err != nil {
		return err
	}
	return r.keepSource(ctx, mediaRow(id, r.post.AppID, info, r.Now()))
}

// keepSource makes the fetched file the post's, if it will do.
func (r *run) keepSource(ctx context.Context, m *models.Media) error {
	options, err := r.kind.Decode(r.post.Options())
	if err != nil {
		return fmt.Errorf("decode the options of post %s: %w", r.post.ID, err)
	}
	var errs models.FieldErrors
	options.CheckFile(&errs, "media_url", r.post.Kind, m)
	if err := errs.Err(); err != nil {
		return joinCleanup(err, r.Store.Delete(ctx, m.ID))
	}
	if err := r.insertMedia(ctx, m, nil); err != nil {
		return err
	}
	r.post.MediaID, r.post.SourceURL = &m.ID, ""
	r.post.UpdatedAt = r.Now()
	return r.write(ctx, fmt.Sprintf("fetched the file: %d bytes, %s", m.Bytes, m.ContentType), db.RunWrite{})
}
