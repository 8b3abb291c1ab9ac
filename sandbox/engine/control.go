package engine

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// routeControl adds the control API, which offers the Go methods to other processes and curl.
func (s *Server) routeControl(mux *http.ServeMux) {
	mux.HandleFunc("GET /_sandbox", s.getIndex)
	mux.HandleFunc("GET /_sandbox/", s.getIndex)
	mux.HandleFunc("GET /_sandbox/faults", s.getFaults)
	mux.HandleFunc("POST /_sandbox/faults", s.postFaults)
	mux.HandleFunc("DELETE /_sandbox/faults", s.deleteFaults)
	mux.HandleFunc("POST /_sandbox/advance", s.postAdvance)
	mux.HandleFunc("GET /_sandbox/live", s.getLive)
	mux.HandleFunc("GET /_sandbox/drafts", s.getDrafts)
	mux.HandleFunc("GET /_sandbox/calls", s.getCalls)
	mux.HandleFunc("POST /_sandbox/revoke", s.postRevoke)
	mux.HandleFunc("GET /_sandbox/webhooks", s.getWebhooks)
	mux.HandleFunc("POST /_sandbox/webhooks", s.postWebhooks)
	for _, p := range s.platforms {
		for _, c := range p.Control {
			mux.HandleFunc("POST /_sandbox/"+c.Path, serveControl(c))
		}
	}
}

// wantAdvance is an example body of the advance endpoint.
const wantAdvance = `{"duration":"2h"}`

// wantFaults returns an example body of the faults endpoint.
func (s *Server) wantFaults() string {
	op := "..."
	if len(s.ops) > 0 {
		op = s.ops[0].Name
	}
	return fmt.Sprintf(`{"op":%q,"mode":"reset","times":2}, or a list of them`, op)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	rep := JSONReply(status, v)
	writeHead(w, rep)
	_, _ = w.Write(rep.Body)
}

// readControl decodes the body of a control request into v. On an error it writes the answer and returns false.
func readControl(w http.ResponseWriter, r *http.Request, v any, wanted string) bool {
	body, err := readControlBody(w, r, wanted)
	if err == nil {
		err = decodeControl(body, v)
	}
	if err != nil {
		controlError(w, err)
		return false
	}
	return true
}

func readControlBody(w http.ResponseWriter, r *http.Request, wanted string) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequestBody))
	if err == nil && len(bytes.TrimSpace(body)) == 0 {
		err = errors.New("the body is empty: send " + wanted)
	}
	return body, err
}

// decodeControl refuses unknown fields, unlike the platforms, so that a typo in a script is reported.
func decodeControl(body []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	return dec.Decode(v)
}

func controlError(w http.ResponseWriter, err error) {
	writeJSON(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
}

// serveControl serves a platform's endpoint.
func serveControl(c Control) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var answer any
		body, err := readControlBody(w, r, c.Wants)
		if err == nil {
			answer, err = c.Serve(body)
		}
		if err != nil {
			controlError(w, err)
			return
		}
		writeJSON(w, http.StatusOK, answer)
	}
}

// wireFault is a Fault with its delay written as "2s".
type wireFault struct {
	Fault
	Delay string `json:"delay,omitempty"`
}

// wireFaults is one fault or a list of them.
type wireFaults []wireFault

func (l *wireFaults) UnmarshalJSON(b []byte) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if bytes.HasPrefix(bytes.TrimSpace(b), []byte("[")) {
		return dec.Decode((*[]wireFault)(l))
	}
	*l = make(wireFaults, 1)
	return dec.Decode(&(*l)[0])
}

func (l wireFaults) faults() ([]Fault, error) {
	out := make([]Fault, len(l))
	for i, wf := range l {
		out[i] = wf.Fault
		if wf.Delay != "" {
			d, err := time.ParseDuration(wf.Delay)
			if err != nil {
				return nil, fmt.Errorf("delay: %w", err)
			}
			out[i].Delay = d
		}
	}
	return out, nil
}

func (s *Server) getFaults(w http.ResponseWriter, _ *http.Request) {
	list := wireFaults{}
	for _, f := range s.PendingFaults() {
		wf := wireFault{Fault: f}
		if f.Delay > 0 {
			wf.Delay = f.Delay.String()
		}
		list = append(list, wf)
	}
	writeJSON(w, http.StatusOK, list)
}

func (s *Server) postFaults(w http.ResponseWriter, r *http.Request) {
	var list wireFaults
	if !readControl(w, r, &list, s.wantFaults()) {
		return
	}
	faults, err := list.faults()
	for i := 0; err == nil && i < len(faults); i++ {
		err = s.ValidateFault(faults[i])
	}
	if err != nil {
		controlError(w, err)
		return
	}
	s.script(faults)
	w.WriteHeader(http.StatusNoContent)
}

func (s *Server) deleteFaults(w http.ResponseWriter, _ *http.Request) {
	s.ClearFaults()
	w.WriteHeader(http.StatusNoContent)
}

func (s *Server) postAdvance(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Duration string `json:"duration"`
	}
	if !readControl(w, r, &in, wantAdvance) {
		return
	}
	d, err := time.ParseDuration(in.Duration)
	if in.Duration == "" {
		err = errors.New("the duration is missing: send " + wantAdvance)
	}
	if err == nil && d < 0 {
		err = errors.New("the clock does not run backwards")
	}
	if err != nil {
		controlError(w, err)
		return
	}
	s.Advance(d)
	writeJSON(w, http.StatusOK, map[string]time.Time{"now": s.Now()})
}

func (s *Server) getLive(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, s.LivePosts())
}

func (s *Server) getDrafts(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, s.Drafts())
}

// getCalls returns the counters and the call log, newest last; ?op= restricts the log to one operation.
func (s *Server) getCalls(w http.ResponseWriter, r *http.Request) {
	calls := []Call{}
	for _, c := range s.Calls() {
		if op := r.URL.Query().Get("op"); op == "" || op == c.Op {
			calls = append(calls, c)
		}
	}
	writeJSON(w, http.StatusOK, map[string]any{"counts": s.calls.all(), "calls": calls})
}
