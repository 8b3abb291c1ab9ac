package instagram

import (
	"context"
	"fmt"
	"strings"

	"socialqueue/platform/instagram"
	"socialqueue/publish"
)

// commentPages is how many pages of comments are searched for our own, newest first.
const commentPages = 20

// sendComment comments under the post.
func (p *Publisher) sendComment(ctx context.Context, run *publish.Run, text string) (string, error) {
	if p.client == nil {
		return "", errNoAppSecret
	}
	return p.client.CreateComment(ctx, run.Token().Access, *run.Post().PlatformPostID, text)
}

// findComment searches the comments under the post for one of the account's own with the text.
// The owner's comments are always listed: others' can be hidden, these cannot (Comment
// Moderation; ig-comment reference).
func (p *Publisher) findComment(ctx context.Context, run *publish.Run, text string) (string, error) {
	if p.client == nil {
		return "", errNoAppSecret
	}
	after := ""
	for range commentPages {
		comments, next, err := p.client.Comments(ctx, run.Token().Access, *run.Post().PlatformPostID, after)
		if err != nil {
			return "", err
		}
		for _, c := range comments {
			if !isOthers(run, c) && plainText(c.Text) == plainText(text) {
				return c.ID, nil
			}
		}
		if next == "" {
			return "", nil
		}
		after = next
	}
	return "", fmt.Errorf("%w: there are more than %d pages of comments", publish.ErrNoTelling, commentPages)
}

// isOthers reports whether somebody else surely wrote a comment. Meta has more than one id for
// a person, and leaves some out. In doubt it is ours: a missing comment is better than a second
// one.
func isOthers(run *publish.Run, c instagram.Comment) bool {
	token := run.Token()
	return !c.Own && c.FromID != "" && c.FromID != token.ProviderAccountID && c.Username != "" && !strings.EqualFold(c.Username, token.Username)
}
