package media

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"
)

// streamBuffer is the buffer of one upload, in bytes.
const streamBuffer = 64 << 10

// Store stores files in a bucket, each under a key that the caller chooses.
type Store struct {
	bucket   *blob.Bucket
	maxBytes int64
	// stall is the constant; tests shorten it.
	stall time.Duration
}

// OpenStore opens a bucket by its gocloud.dev/blob URL. Files larger than
// maxBytes are refused.
func OpenStore(ctx context.Context, bucketURL string, maxBytes int64) (*Store, error) {
	prepared, err := prepareURL(bucketURL)
	if err != nil {
		return nil, fmt.Errorf("open media bucket: %w", err)
	}
	bucket, err := blob.OpenBucket(ctx, prepared)
	if err != nil {
		return nil, fmt.Errorf("open media bucket: %w", err)
	}
	return &Store{bucket: bucket, maxBytes: maxBytes, stall: stallTime}, nil
}

// Close releases the bucket. Reads and writes in progress fail.
func (s *Store) Close() error { return s.bucket.Close() }

// Try writes, reads and deletes a file, to check that the bucket works.
func (s *Store) Try(ctx context.Context) error {
	const key = ".socialqueue-try"
	want := []byte("this file may be deleted\n")
	if err := s.write(ctx, key, want); err != nil {
		return fmt.Errorf("write a file: %w", err)
	}
	got, err := s.bucket.ReadAll(ctx, key)
	if err == nil && !bytes.Equal(got, want) {
		err = errors.New("its content differs")
	}
	if err != nil {
		return fmt.Errorf("read the file again: %w", err)
	}
	if err := s.bucket.Delete(ctx, key); err != nil {
		return fmt.Errorf("delete the file: %w", err)
	}
	return nil
}

// write stores a small file in the way of Save.
func (s *Store) write(ctx context.Context, key string, content []byte) error {
	dst, err := s.create(ctx, key, "text/plain")
	if err != nil {
		return err
	}
	defer dst.discard()
	if _, err := dst.Write(content); err != nil {
		return err
	}
	return dst.commit()
}

// Save streams a file into the bucket and returns its properties. The file appears under
// its key only when it is complete, accepted and, in a file bucket, synced to disk; it then
// replaces any earlier one. After an error the key is unchanged, except if the disk fails
// in the last step, which leaves no file.
//
// The errors that the sender can fix are ErrEmpty, ErrTooLarge and *RejectedError. An error
// of r is wrapped.
func (s *Store) Save(ctx context.Context, key string, r io.Reader) (Info, error) {
	src := &source{r: r, left: s.maxBytes, sum: sha256.New()}
	head := make([]byte, sniffLen)
	n, err := io.ReadFull(src, head)
	if n == 0 && errors.Is(err, io.EOF) {
		return Info{}, ErrEmpty
	}
	if src.err != nil {
		return Info{}, src.err
	}
	form, err := sniff(head[:n])
	if err != nil {
		return Info{}, err
	}
	dst, err := s.create(ctx, key, form.contentType)
	if err != nil {
		return Info{}, err
	}
	defer dst.discard()
	info, err := copyAndProbe(dst, io.MultiReader(bytes.NewReader(head[:n]), src), form)
	if err := firstError(src.err, dst.err, err); err != nil {
		return Info{}, err
	}
	if err := dst.commit(); err != nil {
		return Info{}, err
	}
	info.Bytes = src.read
	info.SHA256 = hex.EncodeToString(src.sum.Sum(nil))
	return info, nil
}

// copyAndProbe writes all of r to dst, and passes each byte to the probe on the way. A
// probe can neither seek nor read a byte twice, which limits the cost of a malicious file,
// and no rejected file is ever stored.
func copyAndProbe(dst io.Writer, r io.Reader, form format) (Info, error) {
	in := bufio.NewReaderSize(io.TeeReader(r, dst), streamBuffer)
	info, err := form.probe(in)
	if err != nil {
		return Info{}, err
	}
	info.ContentType = form.contentType
	_, err = skipAll(in)
	return info, err
}

// firstError returns the first error that is not nil. A lost connection or a full disk also
// makes the probe fail, but is the cause.
func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// source counts and hashes what is read. It ends with ErrTooLarge if that is too much, and
// stores its own error.
type source struct {
	r    io.Reader
	left int64 // bytes still allowed
	read int64
	sum  hash.Hash
	err  error
}

func (s *source) Read(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	n, err := s.r.Read(p)
	if int64(n) > s.left {
		s.err = ErrTooLarge
		return 0, s.err
	}
	s.left -= int64(n)
	s.read += int64(n)
	s.sum.Write(p[:n])
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = fmt.Errorf("read upload: %w", err)
		return n, s.err
	}
	return n, err
}

// NewRangeReader reads length bytes of a file from offset; a negative length reads to the
// end. A missing file is ErrNotFound.
func (s *Store) NewRangeReader(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	r, err := s.bucket.NewRangeReader(ctx, key, offset, length, nil)
	if err != nil {
		return nil, bucketError("read", key, err)
	}
	return r, nil
}

// Exists reports whether there is a file under this key.
func (s *Store) Exists(ctx context.Context, key string) (bool, error) {
	ok, err := s.bucket.Exists(ctx, key)
	if err != nil {
		return false, bucketError("look up", key, err)
	}
	return ok, nil
}

// Delete deletes a file, and the variants of a picture before it. A missing file is no error,
// so an interrupted deletion can be repeated.
func (s *Store) Delete(ctx context.Context, key string) error {
	keys := []string{key}
	if _, variant := Original(key); !variant {
		for _, v := range variants {
			keys = append(keys, v.Key(key))
		}
	}
	for _, k := range slices.Backward(keys) {
		if err := s.bucket.Delete(ctx, k); err != nil && gcerrors.Code(err) != gcerrors.NotFound {
			return bucketError("delete", k, err)
		}
	}
	return nil
}

func bucketError(op, key string, err error) error {
	if gcerrors.Code(err) == gcerrors.NotFound {
		return fmt.Errorf("%s media %s: %w", op, key, ErrNotFound)
	}
	return fmt.Errorf("%s media %s: %w", op, key, err)
}

// EachOlder calls fn with the key of every file that was last changed before a time, until
// fn returns an error.
func (s *Store) EachOlder(ctx context.Context, before time.Time, fn func(key string) error) error {
	files := s.bucket.List(nil)
	for {
		file, err := files.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("list files: %w", err)
		}
		if file.IsDir || !file.ModTime.Before(before) {
			continue
		}
		if err := fn(file.Key); err != nil {
			return err
		}
	}
}
