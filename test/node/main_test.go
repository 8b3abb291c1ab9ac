//go:build node

// Package node has the webhooks to apps verified by somebody else: a receiver in
// Node.js, with the library of Standard Webhooks for JavaScript. `make node` runs it;
// it needs node and npm, and no server.
package node

import (
	"fmt"
	"os"
	"os/exec"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if err := ready(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

// ready says what is missing, as a test that skipped would look like one that passed.
func ready() error {
	if _, err := exec.LookPath("node"); err != nil {
		return fmt.Errorf("node is not there (%w): install Node.js 18 or later, with npm", err)
	}
	if _, err := os.Stat("node_modules/standardwebhooks/package.json"); err != nil {
		return fmt.Errorf("the receiver's library is not there (%w): run `make node`, or `npm ci` in test/node", err)
	}
	return nil
}
