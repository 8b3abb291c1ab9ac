package engine

import (
	"errors"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// guardControl keeps web pages of others away from the control API. A page can send text or a form to any address, and
// with a name that it made lead here also read the answer. It cannot send JSON elsewhere, nor hide its Origin.
func (s *Server) guardControl(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isControl(r.URL.Path) {
			next.ServeHTTP(w, r)
			return
		}
		status, err := s.refuseControl(r)
		if err != nil {
			writeJSON(w, status, map[string]string{"error": err.Error()})
			return
		}
		next.ServeHTTP(w, r)
	})
}

// isControl reports whether a path is of the control API, and not of a file or a picture.
func isControl(path string) bool {
	rest, below := strings.CutPrefix(path, "/_sandbox/")
	return path == "/_sandbox" || below && rest != "avatar.svg" && !strings.HasPrefix(rest, "files/")
}

// refuseControl returns why a request to the control API is refused, or nil.
func (s *Server) refuseControl(r *http.Request) (status int, reason error) {
	if !s.isOurs(r.Host) {
		return http.StatusForbidden, errors.New("the Host header names another server: use the address of the sandbox")
	}
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return 0, nil
	}
	if origin := r.Header.Get("Origin"); origin != "" {
		if u, err := url.Parse(origin); err != nil || u.Host != r.Host {
			return http.StatusForbidden, errors.New("the request comes from the page of another origin")
		}
	}
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if r.Method == http.MethodPost && (err != nil || kind != "application/json") {
		return http.StatusUnsupportedMediaType, errors.New("send Content-Type: application/json (curl --json does)")
	}
	return 0, nil
}

// isOurs reports whether a Host header can be of the sandbox: its own address, a number, localhost, or a name without a
// dot, such as that of a container. Nobody else can make one of these lead here.
func (s *Server) isOurs(host string) bool {
	if own, err := url.Parse(s.URL()); err == nil && own.Host != "" && strings.EqualFold(own.Host, host) {
		return true
	}
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.Trim(name, "[]")
	if _, err := netip.ParseAddr(name); err == nil {
		return true
	}
	return name != "" && !strings.Contains(strings.TrimSuffix(name, "."), ".")
}
