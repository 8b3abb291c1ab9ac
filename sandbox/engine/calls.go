package engine

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// maxCalls bounds the call log. The counters are not bounded.
const maxCalls = 2000

// Call is one request as the simulated platform received it.
type Call struct {
	At      time.Time `json:"at"`
	Op      string    `json:"op"` // one of Description.Ops, or what a platform calls an unknown call
	Account string    `json:"account,omitempty"`
	Method  string    `json:"method"`
	Path    string    `json:"path"`             // without the query: tokens travel there
	Status  int       `json:"status,omitempty"` // 0: the connection was cut without an answer
	Code    string    `json:"code,omitempty"`   // the platform's error code
	LogID   string    `json:"log_id,omitempty"` // the platform's id of the call
	Fault   Mode      `json:"fault,omitempty"`
}

type callLog struct {
	mu     sync.Mutex
	recent []Call
	counts map[string]int
}

func (l *callLog) add(c Call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counts[c.Op]++
	if len(l.recent) == maxCalls {
		l.recent = slices.Delete(l.recent, 0, maxCalls/4) // in blocks: a full log must not cost a copy per call
	}
	l.recent = append(l.recent, c)
}

// Calls returns the most recent calls, oldest first.
func (s *Server) Calls() []Call {
	s.calls.mu.Lock()
	defer s.calls.mu.Unlock()
	return slices.Clone(s.calls.recent)
}

// CountCalls returns how often op was called since the start, including calls that met a fault.
func (s *Server) CountCalls(op string) int {
	s.calls.mu.Lock()
	defer s.calls.mu.Unlock()
	return s.calls.counts[op]
}

func (l *callLog) all() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.counts)
}
