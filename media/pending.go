package media

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"gocloud.dev/blob"
)

// prepareURL completes the URL of a file bucket; others pass as they are. The
// half-written file must lie beside the final one, as a rename into another
// file system fails, and the sidecar files with attributes are of no use to
// us: Info is kept by our callers.
func prepareURL(bucketURL string) (string, error) {
	u, err := url.Parse(bucketURL)
	if err != nil {
		return "", err
	}
	if u.Scheme != "file" {
		return bucketURL, nil
	}
	query := u.Query()
	query.Set("no_tmp_dir", "true")
	query.Set("metadata", "skip")
	u.RawQuery = query.Encode()
	return u.String(), nil
}

// pending is a file being written, which nobody sees before its commit.
type pending struct {
	store *Store
	key   string
	w     *blob.Writer
	ctx   context.Context
	abort context.CancelFunc
	file  *os.File // the half-written file of a file bucket, nil in others
	err   error    // the first failed write
}

func (s *Store) create(ctx context.Context, key, contentType string) (*pending, error) {
	ctx, abort := context.WithCancel(ctx)
	p := &pending{store: s, key: key, ctx: ctx, abort: abort}
	w, err := s.bucket.NewWriter(ctx, key, &blob.WriterOptions{
		ContentType: contentType,
		BeforeWrite: func(as func(any) bool) error {
			as(&p.file)
			return nil
		},
	})
	if err != nil {
		abort()
		return nil, fmt.Errorf("create media %s: %w", key, err)
	}
	p.w = w
	return p, nil
}

// Write appends to the file.
func (p *pending) Write(b []byte) (int, error) {
	n, err := p.w.Write(b)
	if err != nil {
		p.err = fmt.Errorf("write media %s: %w", p.key, err)
	}
	return n, p.err
}

// commit makes the file appear under its key. gocloud's file driver renames
// the finished file but syncs nothing, and what we accept must outlive a power
// cut: so its bytes are synced before the rename and its folders after it.
func (p *pending) commit() error {
	if p.file != nil {
		if err := p.file.Sync(); err != nil {
			return fmt.Errorf("sync media %s: %w", p.key, err)
		}
	}
	w := p.w
	p.w = nil
	if err := w.Close(); err != nil {
		return fmt.Errorf("finish media %s: %w", p.key, err)
	}
	if p.file == nil {
		return nil
	}
	if err := syncFolders(filepath.Dir(p.file.Name()), p.key); err != nil {
		_ = p.store.Delete(p.ctx, p.key) // the disk fails: what we refuse should not stay, if it can go
		return fmt.Errorf("sync folder of media %s: %w", p.key, err)
	}
	return nil
}

// discard drops a file that was not committed; after a commit it only frees
// what the writing held.
func (p *pending) discard() {
	p.abort()
	if p.w != nil {
		_ = p.w.Close() // a closed writer whose context is canceled stores nothing
		p.w = nil
	}
}

// syncFolders syncs the folder a file was renamed into and those above it that
// its key may have created, the bucket's own included.
func syncFolders(dir, key string) error {
	for range strings.Count(key, "/") + 1 {
		if err := syncFolder(dir); err != nil {
			return err
		}
		dir = filepath.Dir(dir)
	}
	return nil
}

func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
