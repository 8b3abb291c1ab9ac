package toy_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
)

// server is the toy platform. It publishes a draft as often as it is asked to: nothing of
// its own keeps a post from being live twice.
type server struct {
	mu     sync.Mutex
	drafts []*draft
	// announced counts the announcements of each text.
	announced map[string]int
	calls     int
	trap      trap
}

type draft struct {
	text string
	size int64
	live []string
}

// trap springs at one of the next calls.
type trap struct {
	in     int  // calls until then
	after  bool // the call has had its effect by then
	spring func()
}

// set has spring called at the n-th call from now on, whose answer nobody gets.
func (s *server) set(t trap) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trap = t
}

// sprung reports whether the trap springs at this call.
func (s *server) sprung() (trap, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	s.trap.in--
	return s.trap, s.trap.spring != nil && s.trap.in == 0
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	t, springs := s.sprung()
	if springs && !t.after {
		t.spring()
		panic(http.ErrAbortHandler)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler) // its sender died
	}
	answer := s.effect(r.Method, strings.Split(strings.Trim(r.URL.Path, "/"), "/"), body)
	if springs {
		t.spring()
		panic(http.ErrAbortHandler)
	}
	if answer == nil {
		http.NotFound(w, r)
		return
	}
	_ = json.NewEncoder(w).Encode(answer) // the caller reads it or is dead
}

// effect does what a call asks for and returns its answer, or nil for what is not there.
func (s *server) effect(method string, path []string, body []byte) any {
	s.mu.Lock()
	defer s.mu.Unlock()
	if path[0] == "announcements" {
		s.announced[string(body)]++
		return map[string]bool{"ok": true}
	}
	if len(path) == 1 {
		s.drafts = append(s.drafts, &draft{text: string(body)})
		return map[string]string{"id": fmt.Sprint(len(s.drafts) - 1)}
	}
	var id int
	if _, err := fmt.Sscan(path[1], &id); err != nil || id >= len(s.drafts) {
		return nil
	}
	d := s.drafts[id]
	switch method {
	case http.MethodPut:
		d.size = int64(len(body))
	case http.MethodPost:
		d.live = append(d.live, fmt.Sprintf("%d-%d", id, len(d.live)))
		return map[string]string{"id": d.live[len(d.live)-1]}
	}
	return map[string]any{"live": d.live}
}

// count tells how often each text is live, and how often it was announced.
func (s *server) count() (live, announced map[string]int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	live, announced = map[string]int{}, map[string]int{}
	for _, d := range s.drafts {
		if d.size > 0 {
			live[d.text] += len(d.live)
		}
	}
	for text, n := range s.announced {
		announced[text] = n
	}
	return live, announced
}
