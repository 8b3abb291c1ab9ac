package testkit

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"socialqueue/media"
)

// OpenStore opens an empty store in memory that ends with the test.
func OpenStore(t testing.TB) *media.Store {
	t.Helper()
	store, err := media.OpenStore(t.Context(), "mem://", 1<<30)
	Must(t, err)
	t.Cleanup(func() { Must(t, store.Close()) })
	return store
}

// ServeFiles serves the files of a store under /media/{id}/{signature}, as the api does for Instagram. It does not check
// the signature. It returns the address.
func ServeFiles(t testing.TB, store *media.Store) string {
	t.Helper()
	files := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, err := store.NewRangeReader(r.Context(), strings.Split(r.URL.Path, "/")[2], 0, -1)
		if err != nil {
			http.NotFound(rw, r)
			return
		}
		defer body.Close()
		file, err := io.ReadAll(body)
		if err != nil {
			http.Error(rw, err.Error(), http.StatusInternalServerError)
			return
		}
		rw.Header().Set("Content-Type", "image/jpeg")
		http.ServeContent(rw, r, "", time.Time{}, bytes.NewReader(file))
	}))
	t.Cleanup(files.Close)
	return files.URL
}
