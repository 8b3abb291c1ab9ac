package sandbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// routeControl adds the control API: what the Go methods do, for a child process or curl (see the package comment).
func (s *Server) routeControl(mux *http.ServeMux) {
	mux.HandleFunc("GET /_sandbox", getIndex)
	mux.HandleFunc("GET /_sandbox/", getIndex)
	mux.HandleFunc("GET /_sandbox/faults", s.getFaults)
	mux.HandleFunc("POST /_sandbox/faults", s.postFaults)
	mux.HandleFunc("DELETE /_sandbox/faults", s.deleteFaults)
	mux.HandleFunc("POST /_sandbox/advance", s.postAdvance)
	mux.HandleFunc("GET /_sandbox/live", s.getLive)
	mux.HandleFunc("GET /_sandbox/drafts", s.getDrafts)
	mux.HandleFunc("GET /_sandbox/calls", s.getCalls)
	mux.HandleFunc("POST /_sandbox/accounts/tiktok", s.postTikTokAccount)
	mux.HandleFunc("POST /_sandbox/accounts/instagram", s.postInstagramAccount)
	mux.HandleFunc("POST /_sandbox/accounts/facebook", s.postFacebookUser)
	mux.HandleFunc("POST /_sandbox/revoke", s.postRevoke)
	mux.HandleFunc("GET /_sandbox/webhooks", s.getWebhooks)
	mux.HandleFunc("POST /_sandbox/webhooks", s.postWebhooks)
	mux.HandleFunc("POST /_sandbox/webhooks/instagram", s.postInstagramWebhook)
}

// The bodies that the control API takes, for its index and for a request that has none.
const (
	wantFaults    = `{"op":"tiktok.init","mode":"error","code":"internal_error","times":2}, or a list of them`
	wantAdvance   = `{"duration":"2h"}`
	wantTikTok    = `{"open_id":"-000Sim","username":"simcafe","private":true}, or {} for made-up values`
	wantInstagram = `{"ig_id":"17841400000000001","username":"bakery"}, or {} for made-up values`
	wantFacebook  = `{"name":"Ann","pages":[{"name":"Bakery","instagram_id":"17841400000000001"}]}, or {} for one without Pages`
	wantRevoke    = `{"platform":"tiktok","id":"-000Sim"}, or {"platform":"facebook","id":"122...","subcode":460}`
)

const controlIndex = `The control API of the simulated platforms.

GET    /_sandbox/live                 every live post
GET    /_sandbox/drafts               videos in a TikTok inbox, not live
GET    /_sandbox/calls?op=            calls seen, and how many of each operation; op is optional
GET    /_sandbox/faults               faults still to come
POST   /_sandbox/faults               ` + wantFaults + `
DELETE /_sandbox/faults               forget them
POST   /_sandbox/advance              ` + wantAdvance + `: set the clock forward
POST   /_sandbox/accounts/tiktok      ` + wantTikTok + `
POST   /_sandbox/accounts/instagram   ` + wantInstagram + `
POST   /_sandbox/accounts/facebook    ` + wantFacebook + `
POST   /_sandbox/revoke               ` + wantRevoke + `:
                                      tokens die. "access_only":true spares TikTok's refresh token;
                                      "page":"..." takes a Facebook user only the role on that Page
GET    /_sandbox/webhooks             deliveries so far, each with its last headers
POST   /_sandbox/webhooks             ` + wantWebhooks + `
POST   /_sandbox/webhooks/instagram   ` + wantEntries + `

Users consent at /tiktok-auth/v2/auth/authorize/ and /facebook/{version}/dialog/oauth.
An account's answer holds its tokens. A wrong operation or mode is answered with those there are.
The feed of both platforms is at /.
`

// getIndex tells what the control API has, at its root and wherever it has nothing.
func getIndex(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if strings.TrimRight(r.URL.Path, "/") != "/_sandbox" {
		w.WriteHeader(http.StatusNotFound)
	}
	_, _ = io.WriteString(w, controlIndex)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	rep := jsonReply(status, v)
	writeHead(w, rep)
	_, _ = w.Write(rep.body)
}

// readControl decodes a control request. Unlike the platforms it refuses unknown fields: a typo in a script must show.
func readControl(w http.ResponseWriter, r *http.Request, v any, wanted string) bool {
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequestBody))
	dec.DisallowUnknownFields()
	err := dec.Decode(v)
	if errors.Is(err, io.EOF) {
		err = errors.New("the body is empty: send " + wanted)
	}
	if err != nil {
		controlError(w, err)
		return false
	}
	return true
}

func controlError(w http.ResponseWriter, err error) {
	writeJSON(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
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
		if err := out[i].Validate(); err != nil {
			return nil, err
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
	if !readControl(w, r, &list, wantFaults) {
		return
	}
	faults, err := list.faults()
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

// getCalls answers the log, newest last, and the counters; ?op= narrows the log to one operation.
func (s *Server) getCalls(w http.ResponseWriter, r *http.Request) {
	calls := []Call{}
	for _, c := range s.Calls() {
		if op := r.URL.Query().Get("op"); op == "" || op == c.Op {
			calls = append(calls, c)
		}
	}
	writeJSON(w, http.StatusOK, map[string]any{"counts": s.calls.all(), "calls": calls})
}

func (s *Server) postTikTokAccount(w http.ResponseWriter, r *http.Request) {
	var a TikTokAccount
	if readControl(w, r, &a, wantTikTok) {
		writeJSON(w, http.StatusOK, s.AddTikTokAccount(a))
	}
}

func (s *Server) postInstagramAccount(w http.ResponseWriter, r *http.Request) {
	var a InstagramAccount
	if readControl(w, r, &a, wantInstagram) {
		writeJSON(w, http.StatusOK, s.AddInstagramAccount(a))
	}
}

func (s *Server) postFacebookUser(w http.ResponseWriter, r *http.Request) {
	var u FacebookUser
	if readControl(w, r, &u, wantFacebook) {
		writeJSON(w, http.StatusOK, s.AddFacebookUser(u))
	}
}
