package engine

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// Mode is what a Fault does to the call it meets.
type Mode string

// The modes. Those marked [After] leave no effect by default and all of it with Fault.After.
const (
	ModeError     Mode = "error"      // [After] the platform's own error: Status, Code, Subcode, Message
	ModeStatus    Mode = "status"     // [After] a gateway's answer: Status (503) with an HTML page, or Body
	ModeRateLimit Mode = "rate_limit" // [After] the platform's own throttle answer
	ModeReset     Mode = "reset"      // [After] the connection is cut without an answer; with After: a lost answer
	ModeHang      Mode = "hang"       // [After] no answer until the client gives up or the sandbox closes
	ModeSlow      Mode = "slow"       // [After] waits Delay of real time, then goes on even if the client left
	ModeTruncate  Mode = "truncate"   // the effect happens, the answer's body breaks off half way
	ModePartial   Mode = "partial"    // Bytes of the request body are read, then the connection is cut
	ModeFail      Mode = "fail"       // ops "*.process" only: processing ends in Code (a fail_reason, or a subcode)
	ModeStuck     Mode = "stuck"      // ops "*.process" only: processing never ends

	ModeDuplicate    Mode = "duplicate"     // ops "*.webhook" only, like those below: sent twice
	ModeLate         Mode = "late"          // sent Delay of virtual time after it was due
	ModeReorder      Mode = "reorder"       // sent after the next one of its platform, however long that takes
	ModeBadSignature Mode = "bad_signature" // signed with another secret
)

// The modes that each kind of operation can take. A platform's webhooks may know more.
var (
	CallModes    = []Mode{ModeError, ModeStatus, ModeRateLimit, ModeReset, ModeHang, ModeSlow, ModeTruncate, ModePartial}
	ProcessModes = []Mode{ModeFail, ModeStuck}
	WebhookModes = []Mode{ModeDuplicate, ModeLate, ModeReorder, ModeBadSignature}
)

func joinModes(modes []Mode) string {
	names := make([]string, len(modes))
	for i, m := range modes {
		names[i] = string(m)
	}
	return strings.Join(names, ", ")
}

// opTable holds the operations of all platforms that a fault can name.
type opTable []Op

func (t *opTable) add(op Op) {
	if _, ok := t.find(op.Name); ok {
		panic(fmt.Sprintf("sandbox: there are two operations %q", op.Name))
	}
	if op.Modes == nil {
		op.Modes = CallModes
	}
	*t = append(*t, op)
}

func (t opTable) find(name string) (Op, bool) {
	i := slices.IndexFunc(t, func(op Op) bool { return op.Name == name })
	if i < 0 {
		return Op{}, false
	}
	return t[i], true
}

func (t opTable) names() string {
	names := make([]string, len(t))
	for i, op := range t {
		names[i] = op.Name
	}
	return strings.Join(names, ", ")
}

// modes returns every mode that some operation takes.
func (t opTable) modes() []Mode {
	modes := slices.Concat(CallModes, ProcessModes, WebhookModes)
	for _, op := range t {
		for _, m := range op.Modes {
			if !slices.Contains(modes, m) {
				modes = append(modes, m)
			}
		}
	}
	return modes
}

// Fault is one scripted misbehaviour.
type Fault struct {
	Op    string `json:"op"`              // an operation of one of the platforms
	Match string `json:"match,omitempty"` // account id; empty matches every account
	Skip  int    `json:"skip,omitempty"`  // matching calls that pass first
	Times int    `json:"times,omitempty"` // calls it meets; 0 is once, negative is until ClearFaults
	Mode  Mode   `json:"mode"`
	After bool   `json:"after,omitempty"` // the effect happens before the fault

	Status  int           `json:"status,omitempty"`  // HTTP status; default is the platform's usual one for Code, or 503
	Code    string        `json:"code,omitempty"`    // the platform's error code, or the reason that processing fails for
	Subcode int           `json:"subcode,omitempty"` // where the platform has them
	Message string        `json:"message,omitempty"` // default: the platform's usual text for Code
	Body    string        `json:"body,omitempty"`    // ModeStatus: the body instead of an HTML page
	Bytes   int64         `json:"bytes,omitempty"`   // ModePartial: how much of the request body is read
	Minutes int           `json:"minutes,omitempty"` // ModeRateLimit: the wait, where the platform tells it
	Delay   time.Duration `json:"-"`                 // ModeSlow, ModeLate; "delay":"2s" in the control API
}

// ValidateFault returns an error for a fault that can have no effect: an unknown operation, a mode that the operation
// does not take, or a missing or wrong value.
func (s *Server) ValidateFault(f Fault) error {
	op, ok := s.ops.find(f.Op)
	if !ok {
		return fmt.Errorf("fault: unknown op %q (known: %s)", f.Op, s.ops.names())
	}
	if known := s.ops.modes(); !slices.Contains(known, f.Mode) {
		return fmt.Errorf("fault: unknown mode %q (known: %s)", f.Mode, joinModes(known))
	}
	if !slices.Contains(op.Modes, f.Mode) {
		return fmt.Errorf("fault: %q cannot take mode %q (it takes: %s)", f.Op, f.Mode, joinModes(op.Modes))
	}
	return op.validate(f)
}

func (op Op) validate(f Fault) error {
	switch {
	case f.Mode == ModeFail && f.Code == "":
		return errors.New("fault: mode fail needs a code")
	case f.Mode == ModeLate && f.Delay == 0:
		return errors.New("fault: mode late needs a delay")
	case f.Mode == ModeError && f.Code == "" && !op.CodeOptional:
		return errors.New("fault: mode error needs a code")
	}
	if f.Code != "" && op.CheckCode != nil {
		if err := op.CheckCode(f.Code); err != nil {
			return fmt.Errorf("fault: %w", err)
		}
	}
	if f.Delay < 0 || f.Skip < 0 || f.Bytes < 0 {
		return errors.New("fault: delay, skip and bytes cannot be negative")
	}
	return nil
}

// faultScript holds the scripted faults in the order they were given.
type faultScript struct {
	mu     sync.Mutex
	faults []Fault
}

// take returns the first fault that matches the call and consumes one of its uses. Earlier matching faults that still
// have Skip left count the call as skipped.
func (fs *faultScript) take(op, account string) (Fault, bool) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for i := range fs.faults {
		f := &fs.faults[i]
		if f.Op != op || f.Match != "" && f.Match != account {
			continue
		}
		if f.Skip > 0 {
			f.Skip--
			continue
		}
		taken := *f
		if f.Times > 0 {
			f.Times--
		}
		if f.Times == 0 {
			fs.faults = slices.Delete(fs.faults, i, i+1)
		}
		return taken, true
	}
	return Fault{}, false
}

// Script appends faults. It panics on a fault that ValidateFault refuses.
func (s *Server) Script(faults ...Fault) {
	for _, f := range faults {
		Must(s.ValidateFault(f))
	}
	s.script(faults)
}

func (s *Server) script(faults []Fault) {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	for _, f := range faults {
		if f.Times == 0 {
			f.Times = 1
		}
		s.faults.faults = append(s.faults.faults, f)
	}
}

// ClearFaults removes every remaining fault.
func (s *Server) ClearFaults() {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.faults = nil
}

// PendingFaults returns the remaining faults. A test that scripted a fault should check that none is left.
func (s *Server) PendingFaults() []Fault {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	return slices.Clone(s.faults.faults)
}
