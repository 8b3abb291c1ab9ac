package instagram

import (
	"context"
	"fmt"
	"strings"
	"time"

	"socialqueue/models"
	"socialqueue/platform/instagram"
	"socialqueue/publish"
)

const (
	// lostPage and lostPages bound how far back a search of the account goes: 2,000 posts.
	lostPage  = 100
	lostPages = 20
)

// searchLost searches the account for a post that may have gone live within the window
// although the database does not know. The list shows all posts but stories (GET
// /{ig-user}/media, 2026-06).
func (p *Publisher) searchLost(ctx context.Context, run *publish.Run, w publish.Window) (publish.Verdict, error) {
	if p.client == nil {
		return publish.Verdict{}, errNoAppSecret
	}
	options, err := Of(run.Post())
	if err != nil {
		return publish.Verdict{}, err
	}
	list, complete, err := p.mediaSince(ctx, run, w)
	if err != nil {
		return publish.Verdict{}, err
	}
	alike, err := unknownAlike(ctx, run, options, list)
	if err != nil {
		return publish.Verdict{}, err
	}
	switch {
	case len(alike) == 0 && complete:
		return publish.Verdict{
			State: publish.NotLive, Message: "the account shows no such post since " + w.From.Format(time.RFC3339),
		}, nil
	case len(alike) == 0:
		return publish.Verdict{Message: fmt.Sprintf("the account's newest %d posts do not reach back to %s", len(list), w.From.Format(time.RFC3339))}, nil
	}
	found := &alike[0]
	rival, err := hasRival(ctx, run, options)
	if err != nil {
		return publish.Verdict{}, err
	}
	if len(alike) > 1 || rival || plainText(options.Caption) == "" {
		return publish.Verdict{ID: found.ID, Message: fmt.Sprintf("the account shows %d posts with this text, such as %s, and it is not clear whose they are", len(alike), found.ID)}, nil
	}
	v, err := p.seen(run, found)
	v.At = found.Timestamp
	return v, err
}

// mediaSince lists the account's posts of the window. complete reports whether the list
// reaches back to its beginning.
func (p *Publisher) mediaSince(ctx context.Context, run *publish.Run, w publish.Window) (list []instagram.Media, complete bool, err error) {
	after := ""
	for range lostPages {
		page, err := p.client.MediaPage(ctx, run.Token().Access, run.Token().ProviderAccountID, lostPage, after)
		if err != nil {
			return nil, false, err
		}
		for _, m := range page.Media {
			if m.Timestamp.Before(w.From) && !m.Timestamp.IsZero() {
				return list, true, nil
			}
			if !m.Timestamp.After(w.To) {
				list = append(list, m)
			}
		}
		if page.Next == "" || page.Next == after {
			return list, page.Next == "", nil
		}
		after = page.Next
	}
	return list, false, nil
}

// unknownAlike picks those of a list that have the post's text and kind and are no post that
// is known.
func unknownAlike(ctx context.Context, run *publish.Run, o *Options, list []instagram.Media) ([]instagram.Media, error) {
	var alike []instagram.Media
	var ids []string
	for _, m := range list {
		if plainText(m.Caption) == plainText(o.Caption) && (m.MediaType == mediaType(run.Post()) || m.MediaType == "") {
			alike, ids = append(alike, m), append(ids, m.ID)
		}
	}
	known, err := run.Known(ctx, ids)
	if err != nil {
		return nil, err
	}
	unknown := alike[:0]
	for _, m := range alike {
		if !known[m.ID] {
			unknown = append(unknown, m)
		}
	}
	return unknown, nil
}

// hasRival reports whether a found post may be another one of the account.
func hasRival(ctx context.Context, run *publish.Run, o *Options) (bool, error) {
	rivals, more, err := run.Rivals(ctx)
	if err != nil || more {
		return more, err
	}
	for i := range rivals {
		other, err := Of(&rivals[i])
		if err != nil {
			return false, err
		}
		if rivals[i].Kind == run.Post().Kind && plainText(other.Caption) == plainText(o.Caption) {
			return true, nil
		}
	}
	return false, nil
}

// plainText is a caption without differences in white space, which Instagram may change.
func plainText(caption string) string { return strings.Join(strings.Fields(caption), " ") }

// mediaType is how Instagram names the kind of a post. A reel reads as a video, a story as an
// image or a video: it is empty for those.
func mediaType(p *models.Post) string {
	switch p.Kind {
	case models.Reel:
		return "VIDEO"
	case models.Carousel:
		return "CAROUSEL_ALBUM"
	case models.Story:
		return ""
	}
	return "IMAGE"
}
