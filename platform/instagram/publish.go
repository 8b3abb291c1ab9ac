package instagram

import (
	"context"
	"net/http"
	"net/url"

	"socialqueue/platform/wire"
	"socialqueue/secrets"
)

const opPublish = "instagram.publish"

// Publish publishes a finished container. It is the one call that can post twice, so call
// it at most once per decision. After kind Unknown read the container; StatePublished means
// that it worked. What Meta answers to a second publish of one container is not documented.
//
// After kind NotReady repeat the call with the same container after 2 to 30 s, even if Meta
// says that it does not exist, because replicas lag. If that lasts, read the container's
// status.
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
