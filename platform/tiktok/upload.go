package tiktok

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"socialqueue/platform/wire"
	"socialqueue/secrets"
)

const opChunk = "tiktok.chunk"

// Chunk is one byte range of the file, both ends included.
type Chunk struct {
	First, Last, Total int64
	// ContentType is video/mp4, video/quicktime or video/webm.
	ContentType string
}

// Progress is the progress of an upload.
type Progress struct {
	// Complete means that TikTok has all bytes and processes the video.
	Complete bool
	// Received is how many bytes TikTok reports, or -1 if it reports none.
	Received int64
}

// PutChunk sends one chunk. open returns its bytes, from First to Last, at every call. Send
// chunks in order, one at a time.
//
// A chunk that TikTok does not expect now (416) is no error: Progress says what it has.
// Kind Unknown means that the bytes may have arrived: read the progress before sending
// more, and after the last chunk expect the post to go live. Kind Gone means that the
// upload URL has expired or is unknown.
func (c *Client) PutChunk(ctx context.Context, link secrets.Secret, chunk Chunk, open func() (io.ReadCloser, error)) (Progress, error) {
	x := c.begin(opChunk, wire.Uploading)
	x.Hide.Link(link.Reveal())
	x.Detail = fmt.Sprintf("bytes %d-%d/%d", chunk.First, chunk.Last, chunk.Total)
	p, err := c.putChunk(ctx, x, link, chunk, open)
	return p, x.Finish(ctx, err)
}

func (c *Client) putChunk(ctx context.Context, x *exchange, link secrets.Secret, chunk Chunk, open func() (io.ReadCloser, error)) (Progress, error) {
	none := Progress{Received: -1}
	if chunk.First < 0 || chunk.Last < chunk.First || chunk.Last >= chunk.Total {
		return none, x.Fail(badUpload, "", errors.New("the chunk is not a range of the file"))
	}
	if err := ctx.Err(); err != nil {
		return none, x.Fail(x.Class.Unsent(), "", err)
	}
	target, err := c.uploadURL(x, link)
	if err != nil {
		return none, err
	}
	size := chunk.Last - chunk.First + 1
	ctx, cancel := context.WithTimeout(ctx, c.uploadTimeout(size))
	defer cancel()
	req, err := newChunkRequest(ctx, target, chunk, size, open)
	if err != nil {
		return none, x.Fail(x.Class.Unsent(), "", x.Hide.Err(err))
	}
	resp, err := c.send(x, req)
	if err != nil {
		return none, err
	}
	defer resp.Body.Close()
	return x.progress(resp, chunk)
}

// newChunkRequest builds the PUT. It sets length and GetBody itself, because net/http would
// otherwise use chunked encoding, which TikTok refuses. There is no Authorization header:
// the URL is the credential (Media Transfer Guide, 2026-09-11).
func newChunkRequest(ctx context.Context, target *url.URL, chunk Chunk, size int64, open func() (io.ReadCloser, error)) (*http.Request, error) {
	body := func() (io.ReadCloser, error) {
		r, err := open()
		if err != nil {
			return nil, fmt.Errorf("open chunk: %w", err)
		}
		return wire.ExactBody(r, size), nil
	}
	first, err := body()
	if err != nil {
		return nil, err
	}
	req := (&http.Request{
		Method: http.MethodPut, URL: target, Host: target.Host, Header: http.Header{},
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Body: first, GetBody: body, ContentLength: size,
	}).WithContext(ctx)
	req.Header.Set("Content-Type", chunk.ContentType)
	req.Header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", chunk.First, chunk.Last, chunk.Total))
	return req, nil
}

// uploadURL allows TikTok's own hosts over https on port 443 (five are known), and with a
// sandbox also the configured hosts.
func (c *Client) uploadURL(x *exchange, link secrets.Secret) (*url.URL, error) {
	u, err := url.Parse(link.Reveal())
	if err != nil || u.Host == "" {
		return nil, x.Fail(badUpload, "", errors.New("upload_url is not a URL"))
	}
	web := u.Scheme == "https" || u.Scheme == "http"
	switch {
	case u.User != nil:
	case u.Scheme == "https" && strings.HasSuffix(strings.ToLower(u.Hostname()), "."+tiktokDomain) && (u.Port() == "" || u.Port() == "443"):
		return u, nil
	case web && c.uploadHosts[hostPort(u)]:
		return u, nil
	}
	return nil, x.Fail(badUpload, "", fmt.Errorf("upload_url has a host that is not allowed: %s", x.Hide.Text(u.Host)))
}

// progress decodes the answer to a PUT, which has no envelope.
func (x *exchange) progress(resp *http.Response, chunk Chunk) (Progress, error) {
	p := Progress{Received: received(resp.Header.Get("Content-Range"), chunk.Total)}
	body, _ := wire.ReadBody(resp) // the status decides; the body only adds a text
	last := chunk.Last == chunk.Total-1
	switch resp.StatusCode {
	case http.StatusCreated:
		return Progress{Complete: true, Received: chunk.Total}, nil
	case http.StatusOK: // not documented, but seen in the field
		if last {
			return Progress{Complete: true, Received: chunk.Total}, nil
		}
		return p, nil
	case http.StatusPartialContent:
		return p, nil
	case http.StatusRequestedRangeNotSatisfiable:
		p.Complete = p.Received == chunk.Total
		return p, nil
	}
	e, _ := parseEnvelope(body) // zero if there is none
	x.note(e)
	v := chunkVerdict(resp.StatusCode)
	v.Wait = waitOf(v, resp)
	return Progress{Received: -1}, x.Fail(v, e.message, nil)
}

// chunkVerdicts is the Media Transfer Guide's table (2026-09-11) of failed uploads.
var chunkVerdicts = map[int]wire.Verdict{
	http.StatusBadRequest:      badUpload,  // malformed headers or length: a bug of ours
	http.StatusForbidden:       goneUpload, // upload_url expired
	http.StatusNotFound:        goneUpload, // no such upload
	http.StatusTooManyRequests: throttled,
	http.StatusRequestTimeout:  internalError,
}

func chunkVerdict(status int) wire.Verdict {
	v, ok := chunkVerdicts[status]
	switch {
	case ok && v != internalError:
		return v
	case !ok && status >= 400 && status < 500:
		return badUpload
	}
	return wire.Uploading.Lost()
}

var contentRange = regexp.MustCompile(`^(?:bytes )?0-([0-9]{1,18})/([0-9]{1,18})$`)

// received parses the progress header, "bytes 0-{UPLOADED_BYTES}/{TOTAL}". The page does
// not say whether that number is a count or the index of the last byte, so it is read as
// the one that is on a chunk boundary of the plan; if neither is, as the smaller one.
func received(header string, total int64) int64 {
	m := contentRange.FindStringSubmatch(strings.TrimSpace(header))
	if m == nil {
		return -1
	}
	n, _ := strconv.ParseInt(m[1], 10, 64) // 18 digits always fit
	of, _ := strconv.ParseInt(m[2], 10, 64)
	plan, err := PlanUpload(total)
	if err != nil || of != total || n > total {
		return -1
	}
	if n >= total-1 {
		return total
	}
	if _, ok := plan.ChunkAt(n + 1); ok {
		return n + 1
	}
	return n
}
