package tiktok

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"

	"socialqueue/sandbox/engine"
)

// serveUpload serves the host of upload_url: bare statuses, no envelope, and the URL is the credential.
func (t *Platform) serveUpload(w http.ResponseWriter, r *http.Request) {
	x := t.host.NewExchange(r)
	x.Op, x.LogID = OpChunk, logID(t.host.NextID(), x.Now)
	p := t.upload(r)
	if p != nil {
		x.Account = p.account.OpenID
	}
	t.host.Perform(w, x, t, func(x *engine.Exchange) engine.Reply { return t.putChunk(x, p) })
}

// upload returns the task that a URL belongs to, or nil.
func (t *Platform) upload(r *http.Request) *publishTask {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.uploads[r.URL.Query().Get("upload_id")]
	if p == nil || r.URL.Path != "/tiktok-upload/upload" || r.URL.Query().Get("upload_token") != p.uploadToken {
		return nil
	}
	return p
}

// putChunk takes one chunk. The bytes are streamed to disk outside the lock; busy refuses a second PUT meanwhile.
func (t *Platform) putChunk(x *engine.Exchange, p *publishTask) engine.Reply {
	first, last, refused := t.openChunk(x, p)
	if refused != nil {
		return *refused
	}
	file := p.files[0]
	mark, err := file.Mark()
	var n int64
	if err == nil {
		n, err = file.Fill(x.Request.Body)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	p.busy = false
	if err != nil || n != last-first+1 {
		file.Rollback(mark)
		return t.uploadReply(p, http.StatusBadRequest, "length differs from the body")
	}
	p.received += n
	if p.received < p.plan.size {
		return t.uploadReply(p, http.StatusPartialContent, "")
	}
	file.Finish()
	t.take(p, checkVideo(file), t.host.Now())
	return t.uploadReply(p, http.StatusCreated, "")
}

// openChunk checks the request line and headers, and reserves the upload for this chunk.
func (t *Platform) openChunk(x *engine.Exchange, p *publishTask) (first, last int64, refused *engine.Reply) {
	t.mu.Lock()
	defer t.mu.Unlock()
	refuse := func(status int, why string) (int64, int64, *engine.Reply) {
		rep := t.uploadReply(p, status, why)
		return 0, 0, &rep
	}
	if p == nil {
		return refuse(http.StatusNotFound, "no such upload task")
	}
	if x.Request.Method != http.MethodPut {
		return refuse(http.StatusMethodNotAllowed, "PUT only")
	}
	if p.expired(x.Now) {
		return refuse(http.StatusForbidden, "upload_url expired")
	}
	if !isVideo(x.Request.Header.Get("Content-Type")) {
		return refuse(http.StatusBadRequest, "Content-Type must be video/mp4, video/quicktime or video/webm")
	}
	first, last, total, ok := parseContentRange(x.Request.Header.Get("Content-Range"))
	if !ok || x.Request.ContentLength != last-first+1 {
		return refuse(http.StatusBadRequest, "Content-Range and Content-Length are required and must agree")
	}
	if p.busy || total != p.plan.size || first != p.received || last != p.plan.lastByte(first) {
		return refuse(http.StatusRequestedRangeNotSatisfiable, "Content-Range does not match the progress")
	}
	p.busy = true
	return first, last, nil
}

var contentRange = regexp.MustCompile(`^bytes (\d{1,18})-(\d{1,18})/(\d{1,18})$`)

func parseContentRange(h string) (first, last, total int64, ok bool) {
	m := contentRange.FindStringSubmatch(h)
	if m == nil {
		return 0, 0, 0, false
	}
	first, _ = strconv.ParseInt(m[1], 10, 64)
	last, _ = strconv.ParseInt(m[2], 10, 64)
	total, _ = strconv.ParseInt(m[3], 10, 64)
	return first, last, total, first <= last && last < total
}

// uploadReply is a bare status with the progress header. The header holds the count of bytes; TikTok's page does not
// say whether it means the count or the last index.
func (t *Platform) uploadReply(p *publishTask, status int, why string) engine.Reply {
	rep := engine.TextReply(status, "text/plain; charset=utf-8", why)
	if p != nil {
		rep.Header["Content-Range"] = []string{fmt.Sprintf("bytes 0-%d/%d", p.received, p.plan.size)}
	}
	return rep
}
