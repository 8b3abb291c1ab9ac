package engine

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

// headBytes is how much of each file stays in memory: enough to detect its format.
const headBytes = 64

// Blob is one uploaded or fetched file. It is streamed to disk, hashed and counted in constant memory. Only one
// goroutine may write at a time; size and file may be read meanwhile.
type Blob struct {
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

// BlobMark is a point to which a Blob can be rolled back.
type BlobMark struct {
	n    int64
	hash hash.Hash
	head int
}

func (s *Server) newBlob() (*Blob, error) {
	b := &Blob{id: fmt.Sprintf("%x", s.ids.next()), retain: s.opts.Retain, headLimit: headBytes, hash: sha256.New()}
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

// KeepHead keeps the first n bytes in memory until First, for a format whose header may be long.
func (b *Blob) KeepHead(n int) { b.headLimit = n }

// Path returns the path under which the feed serves the file while its bytes are kept.
func (b *Blob) Path() string { return "/_sandbox/files/" + b.id }

// Write appends p. When the file grows beyond Options.Retain, its bytes are deleted from disk; counting and hashing
// continue.
func (b *Blob) Write(p []byte) (int, error) {
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

// Mark returns the current end of the file for Rollback.
func (b *Blob) Mark() (BlobMark, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c, err := b.hash.(hash.Cloner).Clone()
	if err != nil {
		return BlobMark{}, fmt.Errorf("remember hash: %w", err)
	}
	return BlobMark{n: b.n, hash: c, head: len(b.head)}, nil
}

// Rollback truncates the file to a mark, as if the later bytes had never been sent.
func (b *Blob) Rollback(m BlobMark) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.n, b.hash, b.head = m.n, m.hash, b.head[:m.head]
}

// Finish closes the file for writing.
func (b *Blob) Finish() {
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

// First returns the beginning of the file, up to the length set by KeepHead, and frees all but headBytes of it.
func (b *Blob) First() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	head := b.head
	b.head = append([]byte(nil), head[:min(len(head), headBytes)]...)
	return head
}

// Discard deletes the stored bytes. The count and the hash stay.
func (b *Blob) Discard() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.drop()
}

func (b *Blob) drop() {
	if b.f != nil {
		b.f.Close()
		b.f = nil
	}
	if b.kept {
		_ = os.Remove(b.path)
	}
	b.kept = false
}

// Size returns how many bytes have arrived.
func (b *Blob) Size() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.n
}

// Sum returns the SHA-256 of the bytes that have arrived, in hex.
func (b *Blob) Sum() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return hex.EncodeToString(b.hash.Sum(nil))
}

// open opens the stored bytes for reading. It returns false if they were not kept.
func (b *Blob) open() (*os.File, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.kept {
		return nil, false
	}
	f, err := os.Open(b.path)
	return f, err == nil
}

// ContentType returns the media type detected from the first bytes, whatever the client declared.
func (b *Blob) ContentType() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return sniff(b.head)
}

// Fill streams r into the blob and reports how many bytes arrived.
func (b *Blob) Fill(r io.Reader) (int64, error) {
	return io.Copy(b, r)
}
