package instagram

import (
	"context"
	"time"

	"socialqueue/models"
	"socialqueue/platform/instagram"
	"socialqueue/publish"
)

const (
	// matchSlack forgives the clocks when a post is searched for by its time, and
	// matchSpan is how long after the call it may have gone live.
	matchSlack = 10 * time.Second
	matchSpan  = 10 * time.Minute
	// recentMedia is how many of the account's newest posts are searched.
	recentMedia = 25
	// storyLife is how long a story is listed (24 h), less a margin.
	storyLife = 23 * time.Hour
)

// finding is what a search of the account came to.
type finding struct {
	// media is the post; nil if it was not found.
	media *instagram.Media
	// absent: the account was searched and does not show the post.
	absent bool
}

// find searches the account's newest posts for this one, by caption and time. One that is
// known already is another post. Where several could be meant, in the account or among our
// own, it finds none and does not call the post absent: a wrong id is worse than a missing
// one, and neither is proof that the post is not live.
func (p *Publisher) find(ctx context.Context, run *publish.Run, sent *models.LedgerEntry) (finding, error) {
	options, err := Of(run.Post())
	if err != nil {
		return finding{}, err
	}
	twins, err := hasTwins(ctx, run, options.Caption, sent.CreatedAt.Add(-matchSlack))
	if err != nil || twins {
		return finding{}, err
	}
	recent, err := p.recent(ctx, run)
	if err != nil {
		return finding{}, err
	}
	ids := make([]string, len(recent))
	for i, m := range recent {
		ids[i] = m.ID
	}
	known, err := run.Known(ctx, ids)
	if err != nil {
		return finding{}, err
	}
	found := match(recent, known, options.Caption, sent.CreatedAt)
	if run.Post().Kind == models.Story && run.Now().After(sent.CreatedAt.Add(storyLife)) {
		found.absent = false // it is no longer in the list, whatever became of it
	}
	return found, nil
}

// recent lists the account's newest posts of the kind that the post is of: stories have a list
// of their own.
func (p *Publisher) recent(ctx context.Context, run *publish.Run) ([]instagram.Media, error) {
	if run.Post().Kind == models.Story {
		return p.client.Stories(ctx, run.Token().Access, run.Token().ProviderAccountID, recentMedia)
	}
	return p.client.RecentMedia(ctx, run.Token().Access, run.Token().ProviderAccountID, recentMedia)
}

// hasTwins reports whether another post of the account with the same caption, which was
// not live yet at since, lacks its id as well.
func hasTwins(ctx context.Context, run *publish.Run, caption string, since time.Time) (bool, error) {
	others, err := run.Siblings(ctx)
	if err != nil {
		return false, err
	}
	for i := range others {
		other := &others[i]
		if other.PublishedAt != nil && other.PublishedAt.Before(since) || (other.Kind == models.Story) != (run.Post().Kind == models.Story) {
			continue
		}
		options, err := Of(other)
		if err != nil {
			return false, err
		}
		if options.Caption == caption {
			return true, nil
		}
	}
	return false, nil
}

func match(recent []instagram.Media, known map[string]bool, caption string, sentAt time.Time) finding {
	var found *instagram.Media
	reachesBack, undated := len(recent) < recentMedia, false
	for i, m := range recent {
		if m.Timestamp.IsZero() { // it could be ours
			undated = true
			continue
		}
		reachesBack = reachesBack || m.Timestamp.Before(sentAt.Add(-matchSlack))
		early, late := m.Timestamp.Before(sentAt.Add(-matchSlack)), m.Timestamp.After(sentAt.Add(matchSpan))
		if known[m.ID] || m.Caption != caption || early || late {
			continue
		}
		if found != nil {
			return finding{}
		}
		found = &recent[i]
	}
	return finding{media: found, absent: found == nil && reachesBack && !undated}
}
