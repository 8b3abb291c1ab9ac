package sandbox

import (
	"net/http"
	"strconv"
	"strings"
)

// serveUpload is rupload.facebook.com: POST /ig-api-upload/{version}/{container} (Resumable Uploads).
func (ig *instagram) serveUpload(w http.ResponseWriter, r *http.Request) {
	x := ig.s.newExchange(r)
	x.op, x.logID = OpInstagramUpload, ig.s.ids.trace()
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	var n *igContainer
	version := ""
	if len(parts) == 3 && parts[0] == "ig-api-upload" {
		version = parts[1]
		n = ig.container(parts[2])
	}
	if n != nil {
		x.account = n.account.IGID
	}
	ig.s.perform(w, x, uploadFace{}, func(x *exchange) reply { return ig.upload(x, n, version) })
}

func (ig *instagram) container(id string) *igContainer {
	ig.mu.Lock()
	defer ig.mu.Unlock()
	return ig.containers[id]
}

// upload takes bytes from the offset on. What came before a connection broke is kept: a client asks the container
// how much that was and sends the rest.
func (ig *instagram) upload(x *exchange, n *igContainer, version string) reply {
	if refused := ig.openUpload(x, n, version); refused != nil {
		return *refused
	}
	if u := x.r.Header.Get("file_url"); u != "" {
		return ig.uploadFromURL(n, u)
	}
	_, err := n.blob.fill(x.r.Body)
	ig.mu.Lock()
	defer ig.mu.Unlock()
	n.busy = false
	if err != nil || n.blob.size() < n.fileSize {
		return uploadFailure("ProcessingFailedError", "Request processing failed")
	}
	ig.arrive(n, ig.s.clock.now())
	return uploadSuccess()
}

func (ig *instagram) uploadFromURL(n *igContainer, rawURL string) reply {
	ig.mu.Lock()
	defer ig.mu.Unlock()
	if err := ig.startFetch(n, rawURL); err != nil {
		n.busy = false
		return uploadFailure("ProcessingFailedError", err.Error())
	}
	return uploadSuccess()
}

// openUpload checks the request and reserves the container for it.
func (ig *instagram) openUpload(x *exchange, n *igContainer, version string) *reply {
	ig.mu.Lock()
	defer ig.mu.Unlock()
	refuse := func(kind, message string) *reply {
		rep := uploadFailure(kind, message)
		return &rep
	}
	if x.r.Method != http.MethodPost || n == nil || !n.resumable || !versionPattern.MatchString(version) {
		return refuse("ProcessingFailedError", "Request processing failed")
	}
	if !ig.mayUpload(x, n) {
		return refuse("NotAuthorizedError", "User is not authorized to perform this request")
	}
	if n.busy || !n.arrivedAt.IsZero() || !x.now.Before(n.createdAt.Add(containerLife)) {
		return refuse("ProcessingFailedError", "The container takes no more bytes")
	}
	if x.r.Header.Get("file_url") == "" {
		if message := ig.openBytes(x, n); message != "" {
			return refuse("ProcessingFailedError", message)
		}
	}
	n.busy = true
	return nil
}

// mayUpload verifies "Authorization: OAuth {token}". Whether the upload host wants appsecret_proof is not known, so
// one is checked only when it is sent.
func (ig *instagram) mayUpload(x *exchange, n *igContainer) bool {
	token, ok := strings.CutPrefix(x.r.Header.Get("Authorization"), "OAuth ")
	if !ok {
		return false
	}
	t, e := ig.checkToken(token, x.now)
	if e != nil {
		return false
	}
	if _, ok := ig.reach(t, n.account.IGID); !ok {
		return false
	}
	proof := x.r.URL.Query().Get("appsecret_proof")
	return proof == "" || ig.checkProof(token, proof) == nil
}

// openBytes holds offset, file_size and Content-Length against what has arrived.
func (ig *instagram) openBytes(x *exchange, n *igContainer) (message string) {
	offset, err1 := strconv.ParseInt(x.r.Header.Get("offset"), 10, 64)
	size, err2 := strconv.ParseInt(x.r.Header.Get("file_size"), 10, 64)
	if err1 != nil || err2 != nil || size <= 0 {
		return "offset and file_size headers are required"
	}
	if size > n.maxBytes() {
		return "file_size is too large"
	}
	if n.blob == nil {
		b, err := ig.s.newBlob()
		if err != nil {
			return err.Error()
		}
		n.blob, n.fileSize = b, size
	}
	switch {
	case size != n.fileSize:
		return "file_size differs from the first request"
	case offset != n.blob.size():
		return "offset does not match the bytes received"
	case x.r.ContentLength > size-offset:
		return "more bytes than file_size announced"
	}
	x.r.Body = http.MaxBytesReader(nil, x.r.Body, size-offset) // a chunked body has no length to check
	return ""
}

func uploadSuccess() reply {
	rep := jsonReply(http.StatusOK, map[string]any{"success": true, "message": "Upload successful."})
	rep.code = "ok"
	return rep
}

func uploadFailure(kind, message string) reply {
	rep := jsonReply(http.StatusBadRequest, map[string]any{
		"debug_info": map[string]any{"retriable": false, "type": kind, "message": message},
	})
	rep.code = kind
	return rep
}

// uploadFace gives the fault machinery the upload host's shapes.
type uploadFace struct{}

func (uploadFace) refuse(_ *exchange, f Fault) reply {
	kind, message := f.Code, f.Message
	setDefault(&kind, "ProcessingFailedError")
	setDefault(&message, "Request processing failed")
	rep := uploadFailure(kind, message)
	switch {
	case f.Status != 0:
		rep.status = f.Status
	case f.Mode == ModeRateLimit:
		rep.status = http.StatusTooManyRequests
	}
	return rep
}

func (uploadFace) finish(x *exchange, rep *reply) {
	if rep.header == nil {
		rep.header = http.Header{}
	}
	rep.header.Set("X-Fb-Trace-Id", x.logID)
}
