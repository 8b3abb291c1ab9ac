package media

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"net"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"
)

// openFiles opens a store on a new folder, and returns the folder too.
func openFiles(t *testing.T, maxBytes int64) (*Store, string) {
	t.Helper()
	dir := t.TempDir()
	return openStore(t, "file://"+filepath.ToSlash(dir), maxBytes), dir
}

func openStore(t *testing.T, bucketURL string, maxBytes int64) *Store {
	t.Helper()
	s, err := OpenStore(t.Context(), bucketURL, maxBytes)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// filesIn lists all files below dir, half-written ones included.
func filesIn(t *testing.T, dir string) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, d.Name())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestSave(t *testing.T) {
	file := fixture(t, "h264.mp4")
	sum := sha256.Sum256(file)
	dir := t.TempDir()
	for _, bucketURL := range []string{"mem://", "file://" + filepath.ToSlash(dir) + "/new?create_dir=true"} {
		s := openStore(t, bucketURL, int64(len(file)))
		info, err := s.Save(t.Context(), "1/a.mp4", iotest.HalfReader(bytes.NewReader(file)))
		if err != nil {
			t.Fatal(err)
		}
		if info.Bytes != int64(len(file)) || info.SHA256 != hex.EncodeToString(sum[:]) || info.Width != 180 {
			t.Errorf("%s: info %+v", bucketURL, info)
		}
		if got := readAll(t, s, "1/a.mp4", 0, -1); !bytes.Equal(got, file) {
			t.Errorf("%s: read other bytes than were saved", bucketURL)
		}
		if got := readAll(t, s, "1/a.mp4", 10, 20); !bytes.Equal(got, file[10:30]) {
			t.Errorf("%s: the range is wrong", bucketURL)
		}
	}
	if files := filesIn(t, dir); len(files) != 1 || files[0] != "a.mp4" {
		t.Errorf("files %v, want the one saved", files)
	}
}

func readAll(t *testing.T, s *Store, key string, offset, length int64) []byte {
	t.Helper()
	r, err := s.NewRangeReader(t.Context(), key, offset, length)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A failed upload leaves nothing behind, and the earlier file stays.
func TestSaveFailureLeavesNothing(t *testing.T) {
	file := fixture(t, "h264.mp4")
	lost := errors.New("connection lost")
	cut := func(err error) io.Reader {
		return io.MultiReader(bytes.NewReader(file[:9000]), iotest.ErrReader(err))
	}
	for name, tc := range map[string]struct {
		r    io.Reader
		want func(error) bool
	}{
		"empty":           {strings.NewReader(""), is(ErrEmpty)},
		"too large":       {bytes.NewReader(append(bytes.Clone(file), 0)), is(ErrTooLarge)},
		"text":            {strings.NewReader("a text file"), isRejected},
		"truncated":       {bytes.NewReader(file[:9000]), isRejected},
		"lost":            {cut(lost), is(lost)},
		"lost at once":    {iotest.ErrReader(lost), is(lost)},
		"lost, no length": {cut(io.ErrUnexpectedEOF), func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) && !isRejected(err) }},
	} {
		t.Run(name, func(t *testing.T) {
			s, dir := openFiles(t, int64(len(file)))
			if _, err := s.Save(t.Context(), "k", tc.r); !tc.want(err) {
				t.Errorf("err = %v", err)
			}
			if files := filesIn(t, dir); len(files) != 0 {
				t.Errorf("left behind: %v", files)
			}
		})
	}
}

// TestSaveWhileTheStorageHangs has a storage that takes connections and never answers.
func TestSaveWhileTheStorageHangs(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "key")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	s := openStore(t, "s3://bucket?region=us-east-1&use_path_style=true&endpoint=http://"+silent.Addr().String(), 1<<20)
	s.stall = 200 * time.Millisecond
	_, err = s.Save(t.Context(), "k", bytes.NewReader(fixture(t, "h264.mp4")))
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "the storage did not answer") {
		t.Errorf("err = %v", err)
	}
}

func is(target error) func(error) bool {
	return func(err error) bool { return errors.Is(err, target) }
}

func isRejected(err error) bool {
	_, ok := errors.AsType[*RejectedError](err)
	return ok
}

func TestSaveKeepsEarlierFileOnFailure(t *testing.T) {
	file := fixture(t, "baseline.jpg")
	s, dir := openFiles(t, 1<<20)
	if _, err := s.Save(t.Context(), "k", bytes.NewReader(file)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Save(t.Context(), "k", bytes.NewReader(file[:3000])); !isRejected(err) {
		t.Errorf("err = %v", err)
	}
	if got := readAll(t, s, "k", 0, -1); !bytes.Equal(got, file) {
		t.Error("the earlier file changed")
	}
	if files := filesIn(t, dir); len(files) != 1 {
		t.Errorf("files %v", files)
	}
}

// The file is not there before all of it is: a reader in the middle of an
// upload finds nothing under the key.
func TestSaveIsInvisibleUntilDone(t *testing.T) {
	file := fixture(t, "h264.mp4")
	s, _ := openFiles(t, 1<<20)
	seen := true
	look := readerFunc(func([]byte) (int, error) {
		var err error
		if seen, err = s.Exists(t.Context(), "k"); err != nil {
			return 0, err
		}
		return 0, io.EOF
	})
	if _, err := s.Save(t.Context(), "k", io.MultiReader(bytes.NewReader(file), look)); err != nil {
		t.Fatal(err)
	}
	if seen {
		t.Error("visible before it was complete")
	}
	if done, err := s.Exists(t.Context(), "k"); err != nil || !done {
		t.Errorf("not there afterwards: %v", err)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestSaveCanceled(t *testing.T) {
	s, dir := openFiles(t, 1<<20)
	ctx, cancel := context.WithCancel(t.Context())
	file := fixture(t, "h264.mp4")
	last := readerFunc(func([]byte) (int, error) { cancel(); return 0, io.EOF })
	if _, err := s.Save(ctx, "k", io.MultiReader(bytes.NewReader(file), last)); !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v", err)
	}
	if files := filesIn(t, dir); len(files) != 0 {
		t.Errorf("left behind: %v", files)
	}
}

func TestMissingFile(t *testing.T) {
	s, _ := openFiles(t, 1)
	if _, err := s.NewRangeReader(t.Context(), "k", 0, -1); !errors.Is(err, ErrNotFound) {
		t.Errorf("read: err = %v", err)
	}
	if err := s.Delete(t.Context(), "k"); err != nil {
		t.Errorf("delete: err = %v", err)
	}
	if ok, err := s.Exists(t.Context(), "k"); ok || err != nil {
		t.Errorf("exists: %t, %v", ok, err)
	}
}

func TestDelete(t *testing.T) {
	s, dir := openFiles(t, 1<<20)
	if _, err := s.Save(t.Context(), "k", bytes.NewReader(fixture(t, "baseline.jpg"))); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	if files := filesIn(t, dir); len(files) != 0 {
		t.Errorf("left behind: %v", files)
	}
}

func TestKeysCannotLeaveTheBucket(t *testing.T) {
	s, dir := openFiles(t, 1<<20)
	if _, err := s.Save(t.Context(), "../k", bytes.NewReader(fixture(t, "baseline.jpg"))); err == nil {
		if files := filesIn(t, dir); len(files) != 1 {
			t.Error("stored outside of the bucket")
		}
	}
}

func TestOpenStoreRefuses(t *testing.T) {
	for _, bucketURL := range []string{"", "nope://x", "file:///nonexistent/folder", "file://%zz"} {
		if _, err := OpenStore(t.Context(), bucketURL, 1); err == nil {
			t.Errorf("%q was opened", bucketURL)
		}
	}
}

// A large file needs no more memory than a small one.
func TestSaveUsesConstantMemory(t *testing.T) {
	const size, allowed = 256 << 20, 8 << 20
	s, _ := openFiles(t, size)
	var before runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var peak atomic.Uint64
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			var now runtime.MemStats
			runtime.ReadMemStats(&now)
			peak.Store(max(peak.Load(), now.HeapAlloc))
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	info, err := s.Save(t.Context(), "large", largeMP4(t, size))
	close(stop)
	<-done
	if err != nil || info.Bytes != size {
		t.Fatalf("got %+v, %v", info, err)
	}
	grown := int64(peak.Load()) - int64(before.HeapAlloc)
	t.Logf("heap grew by %d KiB at most", grown>>10)
	if grown > allowed {
		t.Errorf("heap grew by %d bytes, want at most %d", grown, allowed)
	}
}

// largeMP4 is the fixture with media data that fills it up to size.
func largeMP4(t *testing.T, size int64) io.Reader {
	file := fixture(t, "h264.mp4")
	mdat := bytes.Index(file, []byte("mdat")) - 4
	head := binary.BigEndian.AppendUint32(bytes.Clone(file[:mdat]), uint32(size-int64(mdat)))
	head = append(head, "mdat"...)
	return io.MultiReader(bytes.NewReader(head), io.LimitReader(zeros{}, size-int64(len(head))))
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
