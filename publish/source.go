package publish

import (
	"context"
	"fmt"

	"socialqueue/db"
	"socialqueue/models"
)

// fetchFiles brings the files of the post that are behind customers' links into our storage,
// in order. Each is written as soon as it is ours, so a run that takes over after a crash
// fetches only the others.
func (r *run) fetchFiles(ctx context.Context) error {
	if err := r.readFiles(ctx); err != nil {
		return err
	}
	for i := range r.files {
		if f := &r.files[i]; f.ToFetch() {
			if err := r.fetch(ctx, f); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *run) fetch(ctx context.Context, f *models.PostMedia) error {
	link, err := r.Keys.Open(f.SourceURL, models.SourceSealedIn(f.PostID, f.Position))
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
	return r.keepFetched(ctx, f, mediaRow(id, r.post.AppID, info, r.Now()))
}

// keepFetched makes a fetched file one of the post's, if it will do.
func (r *run) keepFetched(ctx context.Context, f *models.PostMedia, m *models.Media) error {
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
	f.MediaID, f.SourceURL, f.Media = &m.ID, "", m
	if f.Position == 0 {
		r.post.MediaID, r.post.SourceURL = f.MediaID, "" // the previous release reads them
	}
	r.post.UpdatedAt = r.Now()
	return r.write(ctx, fmt.Sprintf("fetched the file: %d bytes, %s", m.Bytes, m.ContentType), db.RunWrite{File: f})
}
