package instagram

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"socialqueue/platform"
	"socialqueue/platform/wire"
	"socialqueue/secrets"
)

const opUpload = "instagram.upload"

// uploadURL returns the upload address of a container. The answer's own uri is not used,
// because the token is sent with the bytes.
func (c *Client) uploadURL(containerID string) (string, error) {
	return join(c.upload, []string{"ig-api-upload", c.version, containerID})
}

// UploadVideo sends the bytes of a reel, a video story or a video of a carousel from offset
// to the end; open returns them at every call.
//
// Kind Unknown means that some bytes may have arrived: read BytesTransferred and continue
// from there. Kind Gone means that the container has failed; the same file often succeeds
// with a new one, whatever "retriable" says (seen in the field, 2026).
func (c *Client) UploadVideo(ctx context.Context, token secrets.Secret, containerID string, offset, size int64, open func(offset int64) (io.ReadCloser, error)) error {
	x := c.begin(opUpload, wire.Uploading, token)
	x.add(fmt.Sprintf("bytes %d-%d/%d", offset, size-1, size))
	return x.Finish(ctx, c.uploadVideo(ctx, x, token, containerID, offset, size, open))
}

func (c *Client) uploadVideo(ctx context.Context, x *exchange, token secrets.Secret, containerID string, offset, size int64, open func(offset int64) (io.ReadCloser, error)) error {
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
		x.Code, x.Remedy = x.Hide.Text(a.kind), remedies[a.kind]
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
