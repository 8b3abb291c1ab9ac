package models

import "errors"

// NotFoundError is an ErrNotFound of an id in a request. Field is the field with the id.
type NotFoundError struct {
	Field string
	What  string // such as "media 0190…"
}

// Error names what was not found.
func (e *NotFoundError) Error() string { return e.What + ": " + ErrNotFound.Error() }

// Is reports that it is an ErrNotFound.
func (e *NotFoundError) Is(target error) bool { return target == ErrNotFound }

var (
	// ErrNotFound means that the row does not exist, or that the caller may not see it.
	ErrNotFound = errors.New("not found")
	// ErrStale means that a guarded write changed nothing, because another writer changed
	// the row first. Stop, and send nothing.
	ErrStale = errors.New("stale: another writer changed the row first")
)
