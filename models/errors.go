package models

import "errors"

var (
	// ErrNotFound is the error for a row that does not exist, or that the caller may
	// not see.
	ErrNotFound = errors.New("not found")
	// ErrStale is the error for a guarded write whose row another holder changed. Stop,
	// and send nothing.
	ErrStale = errors.New("stale: another holder moved the row on")
)
