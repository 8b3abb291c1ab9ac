package engine

import (
	"fmt"
	"io"
	"net/http"
	"strings"
)

// index returns the help text of the control API for the attached platforms.
func (s *Server) index() string {
	var b strings.Builder
	line := func(method, path, what string) { fmt.Fprintf(&b, "%-6s /_sandbox/%-20s %s\n", method, path, what) }
	b.WriteString("The control API of the simulated platforms.\n\n")
	line("GET", "live", "every live post")
	line("GET", "drafts", "posts that wait for their user, not live")
	line("GET", "calls?op=", "calls seen, and how many of each operation; op is optional")
	line("GET", "faults", "faults still to come")
	line("POST", "faults", s.wantFaults())
	line("DELETE", "faults", "forget them")
	line("POST", "advance", wantAdvance+": set the clock forward")
	for _, p := range s.platforms {
		for _, c := range p.Control {
			line("POST", c.Path, c.Wants)
		}
	}
	if len(s.revocations()) > 0 {
		line("POST", "revoke", s.wantRevoke()+":\n"+indexIndent+s.revokeNotes())
	}
	line("GET", "webhooks", "deliveries so far, each with its last headers")
	if len(s.webhooks.senders) > 0 {
		line("POST", "webhooks", s.webhooks.wanted())
	}
	if paths := s.consentPaths(); len(paths) > 0 {
		fmt.Fprintf(&b, "\nUsers consent at %s.", strings.Join(paths, " and "))
	}
	b.WriteString(`
An account's answer holds its tokens. A wrong operation or mode is answered with those there are.
The feed of all platforms is at /.
`)
	return b.String()
}

const indexIndent = "                                      "

func (s *Server) revokeNotes() string {
	notes := []string{}
	for _, r := range s.revocations() {
		if r.Notes != "" {
			notes = append(notes, r.Notes)
		}
	}
	return "tokens die. " + strings.Join(notes, ";\n"+indexIndent)
}

func (s *Server) consentPaths() []string {
	var paths []string
	for _, p := range s.platforms {
		if p.ConsentPath != "" {
			paths = append(paths, p.ConsentPath)
		}
	}
	return paths
}

// getIndex serves the index at the root of the control API, and with status 404 for unknown paths below it.
func (s *Server) getIndex(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if strings.TrimRight(r.URL.Path, "/") != "/_sandbox" {
		w.WriteHeader(http.StatusNotFound)
	}
	_, _ = io.WriteString(w, s.index())
}
