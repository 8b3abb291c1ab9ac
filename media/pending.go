package media

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gocloud.dev/blob"
)

// prepareURL adds parameters to the URL of a file bucket and leaves other URLs unchanged.
// The temporary file must be in the folder of the final one, because a rename to another
// file system fails. Sidecar files with attributes are not needed: our callers store Info.
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

// pending is a file that is being written. It is not visible before its commit.
type pending struct {
	store *Store
	key   string
	w     *blob.Writer
	ctx   context.Context
	abort context.CancelFunc
	file  *os.File // the temporary file of a file bucket, nil in others
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

// stallTime is how long the storage may take for one write, or to finish a file.
const stallTime = 2 * time.Minute

// limited calls the storage, and gives the file up if that takes too long.
func (p *pending) limited(call func() error) error {
	limit := time.AfterFunc(p.store.stall, p.abort)
	err := call()
	if !limit.Stop() && err != nil {
		return fmt.Errorf("the storage did not answer within %s: %w", p.store.stall, context.DeadlineExceeded)
	}
	return err
}

// Write appends to the file.
func (p *pending) Write(b []byte) (n int, err error) {
	err = p.limited(func() (err error) {
		n, err = p.w.Write(b)
		return err
	})
	if err != nil {
		p.err = fmt.Errorf("write media %s: %w", p.key, err)
	}
	return n, p.err
}

// commit makes the file visible under its key. gocloud's file driver renames the finished
// file but syncs nothing, and accepted files must survive a power failure. So commit syncs
// the file before the rename and its folders after it.
func (p *pending) commit() error {
	if p.file != nil {
		if err := p.file.Sync(); err != nil {
			return fmt.Errorf("sync media %s: %w", p.key, err)
		}
	}
	w := p.w
	p.w = nil
	if err := p.limited(w.Close); err != nil {
		return fmt.Errorf("finish media %s: %w", p.key, err)
	}
	if p.file == nil {
		return nil
	}
	if err := syncFolders(filepath.Dir(p.file.Name()), p.key); err != nil {
		_ = p.store.Delete(p.ctx, p.key) // the disk fails: delete the refused file if possible
		return fmt.Errorf("sync folder of media %s: %w", p.key, err)
	}
	return nil
}

// discard deletes a file that was not committed. After a commit it only releases resources.
func (p *pending) discard() {
	p.abort()
	if p.w != nil {
		_ = p.w.Close() // a closed writer whose context is canceled stores nothing
		p.w = nil
	}
}

// syncFolders syncs the folder of a renamed file and the folders above it that its key may
// have created, including the bucket's.
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
