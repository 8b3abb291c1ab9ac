package models

import "errors"

var (
	// ErrNotFound means that the row does not exist, or that the caller may not see it.
	ErrNotFound = errors.New("not found")
	// ErrStale means that a guarded write changed nothing, because another writer changed
	// the row first. Stop, and send nothing.
	ErrStale = errors.New("stale: another writer changed the row first")
)
