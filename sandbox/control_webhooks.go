package sandbox

import (
	"errors"
	"fmt"
	"net/http"
)

const (
	wantWebhooks = `{"tiktok_url":"http://...","meta_url":"http://...","meta_verify_token":"..."}; "" ends one`
	wantEntries  = `{"ig_id":"17841400000000001","comment":{"text":"Lovely!","username":"ann"}}, or {"entries":[...]} as Meta has them`
)

// wireWebhooks sets addresses; one that is left out stays as it is.
type wireWebhooks struct {
	TikTokURL       *string `json:"tiktok_url"`
	MetaURL         *string `json:"meta_url"`
	MetaVerifyToken string  `json:"meta_verify_token"`
}

func (in wireWebhooks) check() error {
	if in.TikTokURL == nil && in.MetaURL == nil {
		return errors.New("there is no address in it: send " + wantWebhooks)
	}
	for _, u := range []*string{in.TikTokURL, in.MetaURL} {
		if u == nil || *u == "" {
			continue
		}
		if _, ok := parseMediaURL(*u); !ok {
			return fmt.Errorf("%q is not an address: send %s", *u, wantWebhooks)
		}
	}
	return nil
}

// postWebhooks makes Meta's handshake first: when it fails, TikTok's address stays as it was too.
func (s *Server) postWebhooks(w http.ResponseWriter, r *http.Request) {
	var in wireWebhooks
	if !readControl(w, r, &in, wantWebhooks) {
		return
	}
	err := in.check()
	if err == nil && in.MetaURL != nil {
		err = s.SetMetaWebhook(r.Context(), *in.MetaURL, in.MetaVerifyToken)
	}
	if err != nil {
		controlError(w, err)
		return
	}
	if in.TikTokURL != nil {
		s.SetTikTokWebhook(*in.TikTokURL)
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *Server) getWebhooks(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, s.Webhooks())
}

// wireEntries are entries as Meta has them, or a comment in short.
type wireEntries struct {
	Entries []InstagramEntry  `json:"entries"`
	IGID    string            `json:"ig_id"`
	Comment *InstagramComment `json:"comment"`
}

func (s *Server) entries(in wireEntries) ([]InstagramEntry, error) {
	switch {
	case !s.webhooks.wants(Instagram):
		return nil, errors.New("no address to send to: POST /_sandbox/webhooks with a meta_url first")
	case len(in.Entries) > 0 && in.Comment == nil && in.IGID == "":
		return in.Entries, nil
	case len(in.Entries) == 0 && in.Comment != nil && in.IGID != "":
		return []InstagramEntry{s.CommentEntry(in.IGID, *in.Comment)}, nil
	}
	return nil, errors.New("send " + wantEntries)
}

// postInstagramWebhook answers the entries: the ids that were made up are in them.
func (s *Server) postInstagramWebhook(w http.ResponseWriter, r *http.Request) {
	var in wireEntries
	if !readControl(w, r, &in, wantEntries) {
		return
	}
	entries, err := s.entries(in)
	if err == nil {
		err = s.sendInstagram(entries)
	}
	if err != nil {
		controlError(w, err)
		return
	}
	writeJSON(w, http.StatusOK, map[string][]InstagramEntry{"entries": entries})
}
