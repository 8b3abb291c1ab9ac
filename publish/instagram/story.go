package instagram

import (
	"context"

	"socialqueue/platform/instagram"
	"socialqueue/publish"
)

// prepareStory prepares the call that makes a story's container.
func (p *Publisher) prepareStory(ctx context.Context, run *publish.Run) (publish.Call, error) {
	options, err := p.prepare(ctx, run)
	if err != nil {
		return nil, err
	}
	story := instagram.Story{UserTags: tags(options.UserTags)}
	file, err := run.File(ctx, 0)
	if err != nil {
		return nil, err
	}
	if !isVideo(file) {
		if story.ImageURL, err = run.Link(ctx, 0, run.Now().Add(linkLife)); err != nil {
			return nil, err
		}
	}
	return func(ctx context.Context) (publish.Result, error) {
		id, err := p.client.CreateStory(ctx, run.Token().Access, run.Token().ProviderAccountID, story)
		return made(id, ""), err
	}, nil
}
