//go:build node

package node

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"testing"
	"time"
)

// patience is how long a webhook, or a word of the receiver, may take.
const patience = 20 * time.Second

// receiver is the app's server, a process of Node.js.
type receiver struct {
	t     *testing.T
	url   string
	stdin io.WriteCloser
	said  chan report
}

// report is one line of the receiver.
type report struct {
	Port   int
	Secret bool
	// The rest is about a request.
	ID         string
	Signatures string
	Status     int
	Error      string
	Event      *event // as the library returned it
}

// event is a webhook as an app reads it.
type event struct {
	ID, Type string
	Time     time.Time
	Account  *struct {
		Name, Username, Status string
	}
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "node", "receiver.js")
	cmd.Stderr = t.Output()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r := &receiver{t: t, stdin: stdin, said: make(chan report, 100)}
	read := make(chan struct{})
	go func() {
		defer close(read)
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			var said report
			if err := json.Unmarshal(lines.Bytes(), &said); err != nil {
				t.Errorf("the receiver says %s: %v", lines.Bytes(), err)
			}
			r.said <- said
		}
	}()
	t.Cleanup(func() {
		_ = stdin.Close()
		<-read
		_ = cmd.Wait() // it was killed at the end of the test, or ended by itself
	})
	r.url = fmt.Sprintf("http://127.0.0.1:%d/hooks", r.next().Port)
	return r
}

// next waits for the receiver's next word.
func (r *receiver) next() report {
	r.t.Helper()
	select {
	case said := <-r.said:
		return said
	case <-time.After(patience):
		r.t.Fatal("the receiver says nothing")
		return report{}
	}
}

// knows gives the receiver a secret to verify with.
func (r *receiver) knows(secret string) {
	r.t.Helper()
	if _, err := fmt.Fprintln(r.stdin, secret); err != nil {
		r.t.Fatal(err)
	}
	if said := r.next(); !said.Secret {
		r.t.Fatalf("the receiver says %+v", said)
	}
}

// verified waits for the next webhook, which has to be good, and of that type.
func (r *receiver) verified(eventType string) report {
	r.t.Helper()
	said := r.next()
	if said.Status != 204 || said.Event == nil || said.Event.Type != eventType || said.Event.ID != said.ID {
		r.t.Fatalf("the receiver says %+v %+v, want a verified %s", said, said.Event, eventType)
	}
	return said
}
