package sandboxtest

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"image"
	"image/jpeg"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// MP4 is n bytes that begin like an MP4 file.
func MP4(n int) []byte {
	b := bytes.Repeat([]byte{0x5a}, n)
	copy(b, "\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isommp41")
	return b
}

// JPEG is a grey picture.
func JPEG(width, height int) []byte {
	var b bytes.Buffer
	_ = jpeg.Encode(&b, image.NewGray(image.Rect(0, 0, width, height)), nil)
	return b.Bytes()
}

// WebP is the header of a WebP picture.
func WebP(width, height int) []byte {
	b := []byte("RIFF\x12\x00\x00\x00WEBPVP8L\x05\x00\x00\x00\x2f")
	return append(binary.LittleEndian.AppendUint32(b, uint32(width-1)|uint32(height-1)<<14), 0)
}

// MediaHost serves files by path, each with a content type.
func MediaHost(t *testing.T, files map[string][]byte) *httptest.Server {
	t.Helper()
	types := map[string]string{".jpg": "image/jpeg", ".png": "image/png", ".webp": "image/webp", ".mp4": "video/mp4", ".html": "text/html"}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/moved.jpg" || r.URL.Path == "/moved.mp4" {
			http.Redirect(w, r, "/ok"+r.URL.Path[6:], http.StatusFound)
			return
		}
		data, ok := files[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		for ext, ct := range types {
			if strings.HasSuffix(r.URL.Path, ext) {
				w.Header().Set("Content-Type", ct)
			}
		}
		_, _ = w.Write(data)
	}))
	t.Cleanup(srv.Close)
	return srv
}

// SHA256 is the digest of b in hex.
func SHA256(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

// SlowHost sends the beginning of a video and then waits for its client to leave.
func SlowHost(t *testing.T) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "video/mp4")
		_, _ = w.Write(MP4(100))
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}))
	t.Cleanup(srv.Close)
	return srv.URL + "/slow.mp4"
}
