package sandbox

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"sync"
)

// headBytes of a file are kept in memory, enough to tell its format.
const headBytes = 64

// blob is one file on its way in or stored: streamed to disk, hashed and counted in constant memory. One goroutine
// writes at a time (the upload's busy flag sees to that); size and file may be read meanwhile.
type blob struct {
	id        string
	path      string // "" when bytes are discarded
	retain    int64
	headLimit int

	mu   sync.Mutex
	f    *os.File // nil when closed or not kept
	kept bool     // the file on disk holds everything written so far
	n    int64
	hash hash.Hash
	head []byte
}

// blobMark is a point to which a blob can be rolled back.
type blobMark struct {
	n    int64
	hash hash.Hash
	head int
}

func (s *Server) newBlob() (*blob, error) {
	b := &blob{id: fmt.Sprintf("%x", s.ids.next()), retain: s.opts.Retain, headLimit: headBytes, hash: sha256.New()}
	if s.opts.DiscardBytes {
		return b, nil
	}
	if s.dataDirErr != nil {
		return nil, fmt.Errorf("store upload: %w", s.dataDirErr)
	}
	b.path = filepath.Join(s.dataDir, b.id+".bin")
	f, err := os.OpenFile(b.path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("store upload: %w", err)
	}
	b.f, b.kept = f, true
	return b, nil
}

// Write appends p. A file that outgrows the retained size is dropped from disk; counting and hashing go on.
func (b *blob) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.kept && b.n+int64(len(p)) > b.retain {
		b.drop()
	}
	if b.kept {
		if _, err := b.f.WriteAt(p, b.n); err != nil {
			return 0, fmt.Errorf("store upload: %w", err)
		}
	}
	b.hash.Write(p)
	if room := b.headLimit - len(b.head); room > 0 {
		b.head = append(b.head, p[:min(room, len(p))]...)
	}
	b.n += int64(len(p))
	return len(p), nil
}

// mark remembers the present end; rollback returns to it, as if what came later had never been sent.
func (b *blob) mark() (blobMark, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c, err := b.hash.(hash.Cloner).Clone()
	if err != nil {
		return blobMark{}, fmt.Errorf("remember hash: %w", err)
	}
	return blobMark{n: b.n, hash: c, head: len(b.head)}, nil
}

func (b *blob) rollback(m blobMark) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.n, b.hash, b.head = m.n, m.hash, b.head[:m.head]
}

// finish closes the file for writing.
func (b *blob) finish() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.f != nil {
		if b.kept {
			_ = b.f.Truncate(b.n) // a rolled back chunk may have left bytes behind
		}
		b.f.Close()
		b.f = nil
	}
}

// first gives the beginning of the file, up to headLimit, and lets go of all but headBytes of it.
func (b *blob) first() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	head := b.head
	b.head = append([]byte(nil), head[:min(len(head), headBytes)]...)
	return head
}

// discard forgets the stored bytes; the count and the hash stay.
func (b *blob) discard() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.drop()
}

func (b *blob) drop() {
	if b.f != nil {
		b.f.Close()
		b.f = nil
	}
	if b.kept {
		_ = os.Remove(b.path)
	}
	b.kept = false
}

func (b *blob) size() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.n
}

func (b *blob) sum() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return hex.EncodeToString(b.hash.Sum(nil))
}

// open gives the stored bytes to read, or false when they were not kept.
func (b *blob) open() (*os.File, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.kept {
		return nil, false
	}
	f, err := os.Open(b.path)
	return f, err == nil
}

// contentType is the type the feed page serves the file as: told by its first bytes, not by what the client said.
func (b *blob) contentType() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return sniff(b.head)
}

// fill streams r into the blob and reports how many bytes arrived.
func (b *blob) fill(r io.Reader) (int64, error) {
	return io.Copy(b, r)
}
