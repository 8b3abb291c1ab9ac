package engine

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// postRevoke ends access the way a user or platform would. The body names the platform, which reads the rest.
func (s *Server) postRevoke(w http.ResponseWriter, r *http.Request) {
	body, err := readControlBody(w, r, s.wantRevoke())
	if err == nil {
		err = s.revoke(body)
	}
	if err != nil {
		controlError(w, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// revokedPlatform is the part of the body that selects the Revocation.
type revokedPlatform struct {
	Platform string `json:"platform"`
}

func (s *Server) revoke(body []byte) error {
	var in revokedPlatform
	if err := json.Unmarshal(body, &in); err != nil {
		return err
	}
	for _, r := range s.revocations() {
		if r.Platform == in.Platform {
			return r.Serve(body)
		}
	}
	return fmt.Errorf("unknown platform %q: send %s", in.Platform, s.wantRevoke())
}

func (s *Server) revocations() []Revocation {
	var all []Revocation
	for _, p := range s.platforms {
		all = append(all, p.Revocations...)
	}
	return all
}

func (s *Server) wantRevoke() string {
	var examples []string
	for _, r := range s.revocations() {
		examples = append(examples, r.Wants)
	}
	return strings.Join(examples, ", or ")
}
