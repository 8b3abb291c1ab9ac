package highwater

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// fileName is the file in the data folder that holds the mark.
const fileName = "highwater"

// File keeps the mark in a file of the data folder, beside an embedded database. Only one
// process may use the folder.
type File struct {
	path string
	mu   sync.Mutex
}

// NewFile makes a store in a folder that exists.
func NewFile(dir string) *File { return &File{path: filepath.Join(dir, fileName)} }

// Read returns the mark.
func (s *File) Read(context.Context) (*Mark, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.read()
}

func (s *File) read() (*Mark, error) {
	text, err := os.ReadFile(s.path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil //nolint:nilnil // there is no mark, which is no error
	}
	if err != nil {
		return nil, fmt.Errorf("read the high-water mark: %w", err)
	}
	m, err := Parse(strings.TrimSpace(string(text)))
	return &m, err
}

// Replace puts another mark in the place of old.
func (s *File) Replace(_ context.Context, old *Mark, m Mark) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	current, err := s.read()
	if err != nil || !same(current, old) {
		return false, err
	}
	return true, s.write(m)
}

// write replaces the file as a whole, and returns once a power cut can no longer undo it.
func (s *File) write(m Mark) error {
	next := s.path + ".next"
	err := writeSynced(next, m.String()+"\n")
	if err == nil {
		err = os.Rename(next, s.path)
	}
	if err == nil {
		err = syncFolder(filepath.Dir(s.path))
	}
	if err != nil {
		return fmt.Errorf("write the high-water mark: %w", err)
	}
	return nil
}

func writeSynced(path, text string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
