package sandbox_test

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"socialqueue/sandbox"
)

func TestUploadInChunks(t *testing.T) {
	const size, chunk = 12_000_123, 6_000_000
	w := newWorld(t, sandbox.Options{})
	data := mp4(size)
	a := w.wantTikTok(pathInit, initBody(publicPost, size, chunk, 2), 200, "ok")
	u := a.Data.UploadURL
	if len(u) > 256 || len(a.Data.PublishID) > 64 || !strings.HasPrefix(a.Data.PublishID, "v_pub_file~v2-1.") {
		t.Errorf("ids: %q %q", a.Data.PublishID, u)
	}
	steps := []struct {
		name        string
		first, last int64
		status      int
		progress    string
	}{
		{"the second chunk first", chunk, size - 1, 416, "bytes 0-0/12000123"},
		{"a shorter chunk than planned", 0, chunk - 2, 416, "bytes 0-0/12000123"},
		{"the first chunk", 0, chunk - 1, 206, "bytes 0-6000000/12000123"},
		{"the first chunk again", 0, chunk - 1, 416, "bytes 0-6000000/12000123"},
		{"the last chunk without the remainder", chunk, 2*chunk - 1, 416, "bytes 0-6000000/12000123"},
		{"the last chunk", chunk, size - 1, 201, "bytes 0-12000123/12000123"},
		{"the last chunk again", chunk, size - 1, 416, "bytes 0-12000123/12000123"},
	}
	for _, st := range steps {
		got := w.put(u, data[st.first:st.last+1], st.first, st.last, size)
		if got.err != nil || got.status != st.status || got.header.Get("Content-Range") != st.progress {
			t.Fatalf("%s: %d %q %v", st.name, got.status, got.header.Get("Content-Range"), got.err)
		}
		if st.status == 206 {
			if s := w.wantStatus(a.Data.PublishID, "PROCESSING_UPLOAD", ""); s.Data.Uploaded != chunk {
				t.Errorf("uploaded_bytes %d", s.Data.Uploaded)
			}
		}
	}
	w.Advance(time.Minute)
	if live := w.wantLive(1); live[0].SHA256 != sum(data) || live[0].Bytes != size {
		t.Errorf("live: %+v", live[0])
	}
}

func TestUploadHeaders(t *testing.T) {
	w := newWorld(t, sandbox.Options{})
	u := w.init(publicPost, 100).Data.UploadURL
	for name, tc := range map[string]struct {
		header, value string
		status        int
	}{
		"no range":     {"Content-Range", "", 400},
		"odd range":    {"Content-Range", "bytes 0-99", 400},
		"reversed":     {"Content-Range", "bytes 99-0/100", 400},
		"other length": {"Content-Range", "bytes 0-98/100", 400},
		"other total":  {"Content-Range", "bytes 0-99/101", 416},
		"wrong type":   {"Content-Type", "application/octet-stream", 400},
		"parameter":    {"Content-Type", "video/mp4; codecs=avc1", 400},
		"no type":      {"Content-Type", "", 400},
	} {
		req := w.putRequest(u, mp4(100), 0, 99, 100)
		req.Header.Set(tc.header, tc.value)
		if a := w.mustDo(req); a.status != tc.status {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	chunked := w.putRequest(u, mp4(100), 0, 99, 100)
	chunked.Body, chunked.ContentLength = io.NopCloser(bytes.NewReader(mp4(100))), -1
	if a := w.mustDo(chunked); a.status != 400 {
		t.Errorf("no Content-Length: %d", a.status)
	}
	if a := w.put(strings.Replace(u, "upload_token=", "upload_token=x", 1), mp4(100), 0, 99, 100); a.status != 404 {
		t.Errorf("wrong token: %d", a.status)
	}
	w.Advance(time.Hour - time.Second)
	ok := w.putRequest(u, mp4(100), 0, 99, 100)
	ok.Header.Set("Content-Type", "video/quicktime")
	if a := w.mustDo(ok); a.status != 201 {
		t.Errorf("the right request: %d %s", a.status, a.body)
	}
}

func TestUploadURLLivesOneHour(t *testing.T) {
	w := newWorld(t, sandbox.Options{})
	a := w.init(publicPost, 100)
	w.Advance(time.Hour)
	if got := w.put(a.Data.UploadURL, mp4(100), 0, 99, 100); got.status != 403 {
		t.Errorf("after an hour: %d", got.status)
	}
	w.wantLive(0)
}

func TestUploadFaults(t *testing.T) {
	w := newWorld(t, sandbox.Options{})
	a := w.init(publicPost, 1000)
	u, data := a.Data.UploadURL, mp4(1000)
	put := func() answer { return w.put(u, data, 0, 999, 1000) }

	w.Script(sandbox.Fault{Op: sandbox.OpTikTokChunk, Mode: sandbox.ModeStatus, Status: 502},
		sandbox.Fault{Op: sandbox.OpTikTokChunk, Mode: sandbox.ModeReset},
		sandbox.Fault{Op: sandbox.OpTikTokChunk, Mode: sandbox.ModePartial, Bytes: 400},
		sandbox.Fault{Op: sandbox.OpTikTokChunk, Mode: sandbox.ModeReset, After: true})
	if got := put(); got.status != 502 {
		t.Fatalf("gateway: %d", got.status)
	}
	for range 2 {
		if got := put(); got.err == nil {
			t.Fatalf("cut: %d", got.status)
		}
	}
	if st := w.status(a.Data.PublishID); st.Data.Uploaded != 0 {
		t.Fatalf("a refused chunk left %d bytes", st.Data.Uploaded)
	}
	if got := put(); got.err == nil {
		t.Fatalf("lost answer: %d", got.status)
	}
	if st := w.status(a.Data.PublishID); st.Data.Uploaded != 1000 {
		t.Fatalf("the chunk with the lost answer was not taken: %d", st.Data.Uploaded)
	}
	if got := put(); got.status != 416 {
		t.Fatalf("repeat: %d", got.status)
	}
	w.Advance(time.Minute)
	if live := w.wantLive(1); live[0].SHA256 != sum(data) {
		t.Error("the bytes differ after the broken attempts")
	}
	if n := len(w.PendingFaults()); n != 0 {
		t.Errorf("%d faults left", n)
	}
}

func TestDiscardedAndOversizedFilesAreStillHashed(t *testing.T) {
	for name, opts := range map[string]sandbox.Options{"discard": {DiscardBytes: true}, "retain": {Retain: 99}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, opts)
			w.putAll(w.init(publicPost, 100).Data.UploadURL, mp4(100))
			w.Advance(time.Minute)
			live := w.wantLive(1)[0]
			if live.SHA256 != sum(mp4(100)) || live.Bytes != 100 || live.Media[0].URL != "" {
				t.Errorf("%+v", live)
			}
		})
	}
}
