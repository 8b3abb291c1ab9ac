package instagram

import (
	"context"
	"net/http"
	"net/url"

	"socialqueue/platform/wire"
	"socialqueue/secrets"
)

const opPublish = "instagram.publish"

// Publish makes a finished container live. It is the one call that can
// post twice, so it runs at most once per decision: after kind Unknown read the
// container, StatePublished means that it worked. What Meta answers to a second
// publish of one container is not documented.
//
// Kind NotReady asks for the same container after 2 to 30 s, also when Meta
// says that it does not exist, because a lagging replica says so; when that
// lasts, read the container's status.
func (c *Client) Publish(ctx context.Context, token secrets.Secret, igID, containerID string) (mediaID string, err error) {
	x := c.begin(opPublish, wire.Creating, token)
	x.add("container " + x.Hide.Text(containerID))
	form := url.Values{"creation_id": {containerID}}
	err = c.exchange(ctx, x, token, http.MethodPost, []string{igID, "media_publish"}, form, func(body []byte) (err error) {
		mediaID, err = readID(body)
		return err
	})
	return mediaID, x.Finish(ctx, err)
}
