package instagram

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"socialqueue/platform"
	"socialqueue/platform/wire"
	"socialqueue/secrets"
)

const opUpload = "instagram.upload"

// Reel is one video post. Its bytes are uploaded, not fetched by Meta.
type Reel struct {
	Caption, LocationID string
	// ShareToFeed requests the feed too, which is not guaranteed; nil lets Instagram choose.
	ShareToFeed *bool
	// CoverURL is fetched by Meta and takes precedence over ThumbOffsetMs.
	CoverURL      secrets.Secret
	ThumbOffsetMs *int64
	Collaborators []string
	// UserTags have no position on a reel.
	UserTags []UserTag
}

// CreateReel creates the container of a reel for a resumable upload (Resumable Uploads,
// 2026-03-15). A container is harmless until it is published.
func (c *Client) CreateReel(ctx context.Context, token secrets.Secret, igID string, reel Reel) (Container, error) {
	form := url.Values{"media_type": {"REELS"}, "upload_type": {"resumable"}}
	setText(form, "caption", reel.Caption)
	setText(form, "location_id", reel.LocationID)
	setText(form, "cover_url", reel.CoverURL.Reveal())
	if reel.ShareToFeed != nil {
		form.Set("share_to_feed", strconv.FormatBool(*reel.ShareToFeed))
	}
	if reel.ThumbOffsetMs != nil {
		form.Set("thumb_offset", strconv.FormatInt(*reel.ThumbOffsetMs, 10))
	}
	tags := make([]UserTag, len(reel.UserTags))
	for i, t := range reel.UserTags {
		tags[i] = UserTag{Username: t.Username}
	}
	setPeople(form, reel.Collaborators, tags)
	id, err := c.create(ctx, token, igID, form, "reel", reel.CoverURL)
	if err != nil {
		return Container{}, err
	}
	target, _ := c.uploadURL(id) // cannot fail: readID has checked the id
	return Container{ID: id, UploadURL: target}, nil
}

// uploadURL returns the upload address of a container. The answer's own uri is not used,
// because the token is sent with the bytes.
func (c *Client) uploadURL(containerID string) (string, error) {
	return join(c.upload, []string{"ig-api-upload", c.version, containerID})
}

// UploadReel sends the file's bytes from offset to its end; open returns them at every
// call. The address is built from the container's id.
//
// Kind Unknown means that some bytes may have arrived: read BytesTransferred and continue
// from there. Kind Gone means that the container has failed; the same file often succeeds
// with a new one, whatever "retriable" says (seen in the field, 2026).
func (c *Client) UploadReel(ctx context.Context, token secrets.Secret, container Container, offset, size int64, open func(offset int64) (io.ReadCloser, error)) error {
	x := c.begin(opUpload, wire.Uploading, token)
	x.add(fmt.Sprintf("bytes %d-%d/%d", offset, size-1, size))
	return x.Finish(ctx, c.uploadReel(ctx, x, token, container.ID, offset, size, open))
}

func (c *Client) uploadReel(ctx context.Context, x *exchange, token secrets.Secret, containerID string, offset, size int64, open func(offset int64) (io.ReadCloser, error)) error {
	if offset < 0 || offset >= size {
		return x.Fail(badUpload, "", errors.New("the offset is not within the file"))
	}
	if err := x.Ready(ctx, token); err != nil {
		return err
	}
	target, err := c.uploadURL(containerID)
	if err != nil {
		return x.Fail(badUpload, "", err)
	}
	ctx, cancel := context.WithTimeout(ctx, c.uploadTimeout(size-offset))
	defer cancel()
	req, err := newUploadRequest(ctx, token, target, offset, size, open)
	if err != nil {
		return x.Fail(x.Class.Unsent(), "", x.Hide.Err(err))
	}
	resp, err := c.send(x, req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return x.decodeUpload(resp)
}

// newUploadRequest builds the upload request; rupload requires the scheme OAuth.
func newUploadRequest(ctx context.Context, token secrets.Secret, target string, offset, size int64, open func(offset int64) (io.ReadCloser, error)) (*http.Request, error) {
	body := func() (io.ReadCloser, error) {
		r, err := open(offset)
		if err != nil {
			return nil, fmt.Errorf("open video: %w", err)
		}
		return wire.ExactBody(r, size-offset), nil
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, nil)
	if err != nil {
		return nil, err
	}
	if req.Body, err = body(); err != nil {
		return nil, err
	}
	req.GetBody = body
	req.ContentLength = size - offset
	req.Header.Set("Authorization", "OAuth "+token.Reveal())
	req.Header.Set("Content-Type", "application/octet-stream")
	req.Header.Set("offset", strconv.FormatInt(offset, 10))
	req.Header.Set("file_size", strconv.FormatInt(size, 10))
	return req, nil
}

// uploadTypes is the table of rupload's debug_info.type (Resumable Uploads,
// 2026-03-15, and seen in the field).
var uploadTypes = map[string]wire.Verdict{
	"ProcessingFailedError": {Kind: platform.Gone, Code: platform.CodeUploadFailed},
	"NotAuthorizedError":    reconnect,
}

// uploadAnswer is an answer of rupload.
type uploadAnswer struct {
	success, debug, retriable bool
	kind, message             string
}

func parseUploadAnswer(body []byte) uploadAnswer {
	var a struct {
		Success wire.Scalar `json:"success"`
		Debug   *struct {
			Retriable wire.Scalar `json:"retriable"`
			Type      wire.Scalar `json:"type"`
			Message   wire.Scalar `json:"message"`
		} `json:"debug_info"`
	}
	if json.Unmarshal(body, &a) != nil {
		return uploadAnswer{}
	}
	u := uploadAnswer{success: a.Success.Bool()}
	if a.Debug != nil {
		u.debug, u.retriable = true, a.Debug.Retriable.Bool()
		u.kind, u.message = string(a.Debug.Type), string(a.Debug.Message)
	}
	return u
}

// decodeUpload decodes an answer of rupload, which has its own format or that of the graph.
func (x *exchange) decodeUpload(resp *http.Response) error {
	body, err := wire.ReadBody(resp)
	var e graphError
	if err == nil {
		e, err = parseError(body)
	}
	if err != nil {
		return x.Fail(x.unread(resp), "", x.Hide.Err(err))
	}
	a := parseUploadAnswer(body)
	switch {
	case e.present:
		return x.refusal(resp, e)
	case a.debug:
		x.Code = x.Hide.Text(a.kind)
		return x.Fail(judgeUpload(resp, a), a.message, nil)
	case resp.StatusCode < 200 || resp.StatusCode > 299:
		return x.refusal(resp, e)
	case !a.success:
		return x.Fail(x.Class.Lost(), "", errors.New("answer without success"))
	}
	return nil
}

func judgeUpload(resp *http.Response, a uploadAnswer) wire.Verdict {
	v, ok := uploadTypes[a.kind]
	switch {
	case resp.StatusCode == http.StatusTooManyRequests: // whatever the body says
		v = throttled
		v.Wait = throttleWait(resp.Header)
		return v
	case ok:
		return v
	case a.retriable || resp.StatusCode < 400 || resp.StatusCode >= 500:
		return wire.Uploading.Lost()
	}
	return wire.Verdict{Kind: platform.Gone, Code: platform.CodeUploadFailed}
}
