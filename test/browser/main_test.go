//go:build browser

// Package browser walks through the consent pages as a person does: a real
// Chromium opens them, somebody looks, ticks and clicks, and what counts is where
// the browser ends and what the api then says. Every page is photographed on the
// way. `make browser` runs it; it needs no server.
package browser

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	var err error
	if chromium, err = findChromium(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}
