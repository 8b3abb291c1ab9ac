package tiktok

import (
	"context"
	"fmt"
	"time"

	"socialqueue/platform/tiktok"
	"socialqueue/publish"
	"socialqueue/secrets"
)

// photoLinkLife is how long TikTok may fetch the photos: a download takes an hour at most
// (media transfer guide, 2026-09-11), and may begin late.
const photoLinkLife = 24 * time.Hour

// preparePhotos makes the photos what TikTok takes, and asks what the creator's account allows
// now. TikTok takes no PNG, and a photo of more than 1080 pixels fails the whole post
// (gitroomhq/postiz-app PR 1875, trypostit/trypost PR 120).
func (p *Publisher) preparePhotos(ctx context.Context, run *publish.Run) (publish.Call, error) {
	options, err := Of(run.Post())
	if err != nil {
		return nil, err
	}
	links, err := p.photoLinks(ctx, run)
	if err != nil {
		return nil, err
	}
	creator, err := p.creator(ctx, run, options)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (publish.Result, error) {
		id, err := p.client.InitPhotos(ctx, run.Token().Access, photoPost(creator, options, links))
		if err != nil {
			return publish.Result{}, err
		}
		return publish.Result{
			ID: id, Message: "TikTok made the post " + id, Waiting: "TikTok fetches the photos",
			Record: record(run, options, id, "", "processing"),
		}, nil
	}, nil
}

func (p *Publisher) photoLinks(ctx context.Context, run *publish.Run) ([]secrets.Secret, error) {
	files, err := run.Files(ctx)
	if err != nil {
		return nil, err
	}
	links := make([]secrets.Secret, len(files))
	for i := range files {
		if err := run.Stopping(ctx); err != nil {
			return nil, err
		}
		if links[i], err = run.Picture(ctx, i, p.Photos, run.Now().Add(photoLinkLife)); err != nil {
			return nil, fmt.Errorf("photo %d: %w", i+1, err)
		}
	}
	return links, nil
}

// photoPost fills the post. What the creator's account forbids is switched off here too, as
// the guidelines ask.
func photoPost(c tiktok.CreatorInfo, o *Options, links []secrets.Secret) tiktok.PhotoPost {
	return tiktok.PhotoPost{
		Inbox: o.inbox(), URLs: links, Cover: int(o.PhotoCover), Title: o.Title, Description: o.Description, PrivacyLevel: o.PrivacyLevel,
		DisableComment: o.DisableComment || c.CommentDisabled, AddMusic: o.AddMusic,
		BrandContent: o.BrandContent, BrandOrganic: o.BrandOrganic, AIGC: o.AIGC,
	}
}
