package instagram

import (
	"net/http"
	"strconv"
	"strings"

	"socialqueue/sandbox/engine"
)

// serveUpload is rupload.facebook.com: POST /ig-api-upload/{version}/{container} (Resumable Uploads).
func (ig *Platform) serveUpload(w http.ResponseWriter, r *http.Request) {
	x := ig.host.NewExchange(r)
	x.Op, x.LogID = OpUpload, ig.newTrace()
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	var n *container
	version := ""
	if len(parts) == 3 && parts[0] == "ig-api-upload" {
		version = parts[1]
		n = ig.container(parts[2])
	}
	if n != nil {
		x.Account = n.account.IGID
	}
	ig.host.Perform(w, x, uploadFace{}, func(x *engine.Exchange) engine.Reply { return ig.upload(x, n, version) })
}

func (ig *Platform) container(id string) *container {
	ig.mu.Lock()
	defer ig.mu.Unlock()
	return ig.containers[id]
}

// upload takes bytes from the offset on. Bytes that arrived before a broken connection are kept: a client reads their
// count from the container and sends the rest.
func (ig *Platform) upload(x *engine.Exchange, n *container, version string) engine.Reply {
	if refused := ig.openUpload(x, n, version); refused != nil {
		return *refused
	}
	if u := x.Request.Header.Get("file_url"); u != "" {
		return ig.uploadFromURL(n, u)
	}
	_, err := n.blob.Fill(x.Request.Body)
	ig.mu.Lock()
	defer ig.mu.Unlock()
	n.busy = false
	if err != nil || n.blob.Size() < n.fileSize {
		return uploadFailure("ProcessingFailedError", "Request processing failed")
	}
	ig.arrive(n, ig.host.Now())
	return uploadSuccess()
}

func (ig *Platform) uploadFromURL(n *container, rawURL string) engine.Reply {
	ig.mu.Lock()
	defer ig.mu.Unlock()
	if err := ig.startFetch(n, rawURL); err != nil {
		n.busy = false
		return uploadFailure("ProcessingFailedError", err.Error())
	}
	return uploadSuccess()
}

// openUpload checks the request and reserves the container for it.
func (ig *Platform) openUpload(x *engine.Exchange, n *container, version string) *engine.Reply {
	ig.mu.Lock()
	defer ig.mu.Unlock()
	refuse := func(kind, message string) *engine.Reply {
		rep := uploadFailure(kind, message)
		return &rep
	}
	if x.Request.Method != http.MethodPost || n == nil || !n.resumable || !versionPattern.MatchString(version) {
		return refuse("ProcessingFailedError", "Request processing failed")
	}
	if !ig.mayUpload(x, n) {
		return refuse("NotAuthorizedError", "User is not authorized to perform this request")
	}
	if n.busy || !n.arrivedAt.IsZero() || !x.Now.Before(n.createdAt.Add(containerLife)) {
		return refuse("ProcessingFailedError", "The container takes no more bytes")
	}
	if x.Request.Header.Get("file_url") == "" {
		if message := ig.openBytes(x, n); message != "" {
			return refuse("ProcessingFailedError", message)
		}
	}
	n.busy = true
	return nil
}

// mayUpload verifies "Authorization: OAuth {token}". It is not known whether the upload host requires appsecret_proof,
// so a proof is checked only if it is sent.
func (ig *Platform) mayUpload(x *engine.Exchange, n *container) bool {
	token, ok := strings.CutPrefix(x.Request.Header.Get("Authorization"), "OAuth ")
	if !ok {
		return false
	}
	t, e := ig.checkToken(token, x.Now)
	if e != nil {
		return false
	}
	if _, ok := ig.reach(t, n.account.IGID); !ok {
		return false
	}
	proof := x.Request.URL.Query().Get("appsecret_proof")
	return proof == "" || ig.checkProof(token, proof) == nil
}

// openBytes checks offset, file_size and Content-Length against the bytes that have arrived.
func (ig *Platform) openBytes(x *engine.Exchange, n *container) (message string) {
	offset, err1 := strconv.ParseInt(x.Request.Header.Get("offset"), 10, 64)
	size, err2 := strconv.ParseInt(x.Request.Header.Get("file_size"), 10, 64)
	if err1 != nil || err2 != nil || size <= 0 {
		return "offset and file_size headers are required"
	}
	if size > n.maxBytes() {
		return "file_size is too large"
	}
	if n.blob == nil {
		b, err := ig.host.NewBlob()
		if err != nil {
			return err.Error()
		}
		n.blob, n.fileSize = b, size
	}
	switch {
	case size != n.fileSize:
		return "file_size differs from the first request"
	case offset != n.blob.Size():
		return "offset does not match the bytes received"
	case x.Request.ContentLength > size-offset:
		return "more bytes than file_size announced"
	}
	x.Request.Body = http.MaxBytesReader(nil, x.Request.Body, size-offset) // a chunked body has no length to check
	return ""
}

func uploadSuccess() engine.Reply {
	rep := engine.JSONReply(http.StatusOK, map[string]any{"success": true, "message": "Upload successful."})
	rep.Code = "ok"
	return rep
}

func uploadFailure(kind, message string) engine.Reply {
	rep := engine.JSONReply(http.StatusBadRequest, map[string]any{
		"debug_info": map[string]any{"retriable": false, "type": kind, "message": message},
	})
	rep.Code = kind
	return rep
}

// uploadFace renders the answers of the upload host, including those of faults.
type uploadFace struct{}

func (uploadFace) Refuse(_ *engine.Exchange, f engine.Fault) engine.Reply {
	kind, message := f.Code, f.Message
	engine.SetDefault(&kind, "ProcessingFailedError")
	engine.SetDefault(&message, "Request processing failed")
	rep := uploadFailure(kind, message)
	switch {
	case f.Status != 0:
		rep.Status = f.Status
	case f.Mode == engine.ModeRateLimit:
		rep.Status = http.StatusTooManyRequests
	}
	return rep
}

func (uploadFace) Finish(x *engine.Exchange, rep *engine.Reply) {
	if rep.Header == nil {
		rep.Header = http.Header{}
	}
	rep.Header.Set("X-Fb-Trace-Id", x.LogID)
}

// isVideo reports whether a type is MP4 or MOV (IG User Media, 2026-03).
func isVideo(mime string) bool { return mime == "video/mp4" || mime == "video/quicktime" }
