package tiktok_test

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"socialqueue/sandbox"
	"socialqueue/sandbox/sandboxtest"
)

func TestUploadInChunks(t *testing.T) {
	const size, chunk = 12_000_123, 6_000_000
	w := sandboxtest.New(t, sandbox.Options{})
	data := sandboxtest.MP4(size)
	a := w.WantTikTok(sandboxtest.PathInit, sandboxtest.InitBody(sandboxtest.PublicPost, size, chunk, 2), 200, "ok")
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
		got := w.PutChunk(u, data[st.first:st.last+1], st.first, st.last, size)
		if got.Err != nil || got.HTTPStatus != st.status || got.Header.Get("Content-Range") != st.progress {
			t.Fatalf("%s: %d %q %v", st.name, got.HTTPStatus, got.Header.Get("Content-Range"), got.Err)
		}
		if st.status == 206 {
			if s := w.WantStatus(a.Data.PublishID, "PROCESSING_UPLOAD", ""); s.Data.Uploaded != chunk {
				t.Errorf("uploaded_bytes %d", s.Data.Uploaded)
			}
		}
	}
	w.Advance(time.Minute)
	if live := w.WantLive(1); live[0].SHA256 != sandboxtest.SHA256(data) || live[0].Bytes != size {
		t.Errorf("live: %+v", live[0])
	}
}

func TestUploadHeaders(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{})
	u := w.Init(sandboxtest.PublicPost, 100).Data.UploadURL
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
		req := w.ChunkRequest(u, sandboxtest.MP4(100), 0, 99, 100)
		req.Header.Set(tc.header, tc.value)
		if a := w.MustDo(req); a.HTTPStatus != tc.status {
			t.Errorf("%s: %d %s", name, a.HTTPStatus, a.Body)
		}
	}
	chunked := w.ChunkRequest(u, sandboxtest.MP4(100), 0, 99, 100)
	chunked.Body, chunked.ContentLength = io.NopCloser(bytes.NewReader(sandboxtest.MP4(100))), -1
	if a := w.MustDo(chunked); a.HTTPStatus != 400 {
		t.Errorf("no Content-Length: %d", a.HTTPStatus)
	}
	if a := w.PutChunk(strings.Replace(u, "upload_token=", "upload_token=x", 1), sandboxtest.MP4(100), 0, 99, 100); a.HTTPStatus != 404 {
		t.Errorf("wrong token: %d", a.HTTPStatus)
	}
	w.Advance(time.Hour - time.Second)
	ok := w.ChunkRequest(u, sandboxtest.MP4(100), 0, 99, 100)
	ok.Header.Set("Content-Type", "video/quicktime")
	if a := w.MustDo(ok); a.HTTPStatus != 201 {
		t.Errorf("the right request: %d %s", a.HTTPStatus, a.Body)
	}
}

func TestUploadURLLivesOneHour(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{})
	a := w.Init(sandboxtest.PublicPost, 100)
	w.Advance(time.Hour)
	if got := w.PutChunk(a.Data.UploadURL, sandboxtest.MP4(100), 0, 99, 100); got.HTTPStatus != 403 {
		t.Errorf("after an hour: %d", got.HTTPStatus)
	}
	w.WantLive(0)
}

func TestUploadFaults(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{})
	a := w.Init(sandboxtest.PublicPost, 1000)
	u, data := a.Data.UploadURL, sandboxtest.MP4(1000)
	put := func() sandboxtest.Answer { return w.PutChunk(u, data, 0, 999, 1000) }

	w.Script(sandbox.Fault{Op: sandbox.OpTikTokChunk, Mode: sandbox.ModeStatus, Status: 502},
		sandbox.Fault{Op: sandbox.OpTikTokChunk, Mode: sandbox.ModeReset},
		sandbox.Fault{Op: sandbox.OpTikTokChunk, Mode: sandbox.ModePartial, Bytes: 400},
		sandbox.Fault{Op: sandbox.OpTikTokChunk, Mode: sandbox.ModeReset, After: true})
	if got := put(); got.HTTPStatus != 502 {
		t.Fatalf("gateway: %d", got.HTTPStatus)
	}
	for range 2 {
		if got := put(); got.Err == nil {
			t.Fatalf("cut: %d", got.HTTPStatus)
		}
	}
	if st := w.Status(a.Data.PublishID); st.Data.Uploaded != 0 {
		t.Fatalf("a refused chunk left %d bytes", st.Data.Uploaded)
	}
	if got := put(); got.Err == nil {
		t.Fatalf("lost answer: %d", got.HTTPStatus)
	}
	if st := w.Status(a.Data.PublishID); st.Data.Uploaded != 1000 {
		t.Fatalf("the chunk with the lost answer was not taken: %d", st.Data.Uploaded)
	}
	if got := put(); got.HTTPStatus != 416 {
		t.Fatalf("repeat: %d", got.HTTPStatus)
	}
	w.Advance(time.Minute)
	if live := w.WantLive(1); live[0].SHA256 != sandboxtest.SHA256(data) {
		t.Error("the bytes differ after the broken attempts")
	}
	if n := len(w.PendingFaults()); n != 0 {
		t.Errorf("%d faults left", n)
	}
}

func TestDiscardedAndOversizedFilesAreStillHashed(t *testing.T) {
	for name, opts := range map[string]sandbox.Options{"discard": {DiscardBytes: true}, "retain": {Retain: 99}} {
		t.Run(name, func(t *testing.T) {
			w := sandboxtest.New(t, opts)
			w.PutFile(w.Init(sandboxtest.PublicPost, 100).Data.UploadURL, sandboxtest.MP4(100))
			w.Advance(time.Minute)
			live := w.WantLive(1)[0]
			if live.SHA256 != sandboxtest.SHA256(sandboxtest.MP4(100)) || live.Bytes != 100 || live.Media[0].URL != "" {
				t.Errorf("%+v", live)
			}
		})
	}
}
