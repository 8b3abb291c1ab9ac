package media

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Serve answers a GET or HEAD for a file, with ranges and conditional requests; the ETag is
// the SHA-256. If it returns an error it has written nothing. The error is ErrNotFound if
// the file is gone. A file of another size than info says is an error, unless info says none:
// a platform would refuse what is left of it for good, as an invalid file.
func (s *Store) Serve(w http.ResponseWriter, r *http.Request, key string, info Info) error {
	attrs, err := s.bucket.Attributes(r.Context(), key)
	if err != nil {
		return bucketError("read", key, err)
	}
	if info.Bytes > 0 && attrs.Size != info.Bytes {
		return fmt.Errorf("media %s is damaged: the storage has %d bytes of %d", key, attrs.Size, info.Bytes)
	}
	content := &content{ctx: r.Context(), store: s, key: key, size: attrs.Size}
	defer content.close()
	h := w.Header()
	h.Set("Content-Type", info.ContentType)
	h.Set("ETag", `"`+info.SHA256+`"`)
	h.Set("X-Content-Type-Options", "nosniff")
	var undated time.Time // a file's bytes never change, so the ETag is enough
	http.ServeContent(w, r, "", undated, content)
	return nil
}

// content reads a stored file for http.ServeContent, which seeks to find the size and to
// start a range. It opens the file at the first read.
type content struct {
	ctx   context.Context
	store *Store
	key   string
	size  int64
	at    int64
	open  io.ReadCloser // reads from at on; nil after a seek
}

var errSeek = errors.New("seek before the start of a file")

// Seek sets where the next Read begins.
func (c *content) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += c.at
	case io.SeekEnd:
		offset += c.size
	}
	if offset < 0 {
		return 0, errSeek
	}
	if offset != c.at {
		c.close()
		c.at = offset
	}
	return offset, nil
}

// Read streams from the bucket.
func (c *content) Read(p []byte) (int, error) {
	if c.at >= c.size {
		return 0, io.EOF
	}
	if c.open == nil {
		open, err := c.store.NewRangeReader(c.ctx, c.key, c.at, -1)
		if err != nil {
			return 0, err
		}
		c.open = open
	}
	n, err := c.open.Read(p)
	c.at += int64(n)
	return n, err
}

func (c *content) close() {
	if c.open != nil {
		_ = c.open.Close() // it was only read
		c.open = nil
	}
}
