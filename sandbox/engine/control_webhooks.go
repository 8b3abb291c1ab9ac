package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// wanted returns an example body of the webhooks endpoint.
func (h *webhooks) wanted() string {
	var fields []string
	for _, from := range h.senders {
		fields = append(fields, fmt.Sprintf("%q:\"http://...\"", from.URLField))
		if from.TokenField != "" {
			fields = append(fields, fmt.Sprintf("%q:\"...\"", from.TokenField))
		}
	}
	return "{" + strings.Join(fields, ",") + `}; "" ends one`
}

// newTarget is a new address for a platform's webhooks.
type newTarget struct {
	from *sender
	to   target
}

// targetsIn reads the addresses in a request. A platform that is not mentioned keeps its address.
func (h *webhooks) targetsIn(in map[string]json.RawMessage) ([]newTarget, error) {
	var found []newTarget
	for _, from := range h.senders {
		url, err := takeText(in, from.URLField)
		if err != nil {
			return nil, err
		}
		token, err := takeText(in, from.TokenField)
		if err != nil {
			return nil, err
		}
		if url == nil {
			continue
		}
		if _, ok := ParseURL(*url); !ok && *url != "" {
			return nil, fmt.Errorf("%q is not an address: send %s", *url, h.wanted())
		}
		to := from.target(*url, "")
		if token != nil {
			to = from.target(*url, *token)
		}
		found = append(found, newTarget{from, to})
	}
	if unknown := slices.Sorted(maps.Keys(in)); len(unknown) > 0 {
		return nil, fmt.Errorf("unknown field %q: send %s", unknown[0], h.wanted())
	}
	if len(found) == 0 {
		return nil, errors.New("there is no address in it: send " + h.wanted())
	}
	return found, nil
}

// takeText removes a string field from a request and returns it. It returns nil if the field is absent or null.
func takeText(in map[string]json.RawMessage, field string) (*string, error) {
	raw, ok := in[field]
	if !ok || field == "" {
		return nil, nil
	}
	delete(in, field)
	var text *string
	if err := json.Unmarshal(raw, &text); err != nil {
		return nil, fmt.Errorf("%s: %w", field, err)
	}
	return text, nil
}

// postWebhooks makes all handshakes before it sets an address. If one fails, nothing changes.
func (s *Server) postWebhooks(w http.ResponseWriter, r *http.Request) {
	in := map[string]json.RawMessage{}
	if !readControl(w, r, &in, s.webhooks.wanted()) {
		return
	}
	targets, err := s.webhooks.targetsIn(in)
	if err == nil {
		err = s.webhooks.setAll(r.Context(), targets)
	}
	if err != nil {
		controlError(w, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// SetWebhook sets the address of a platform's webhooks, including retries of earlier deliveries; an empty url stops
// them. An empty token selects the platform's default. Earlier events are not sent to a new address. If the platform
// requires a handshake, SetWebhook makes it first; on an error nothing changes.
func (s *Server) SetWebhook(ctx context.Context, platform, url, token string) error {
	from := s.webhooks.sender(platform)
	if from == nil {
		return fmt.Errorf("platform %q sends no webhooks", platform)
	}
	return s.webhooks.setAll(ctx, []newTarget{{from, from.target(url, token)}})
}

func (h *webhooks) setAll(ctx context.Context, targets []newTarget) error {
	for i, t := range targets {
		if t.to.url == "" || t.to.verified {
			continue
		}
		if err := t.from.Verify(ctx, h.client, t.to.url, t.to.token); err != nil {
			return err
		}
		targets[i].to.verified = true
	}
	h.s.settle()
	for _, t := range targets {
		h.aim(t.from.name, t.to)
	}
	return nil
}

func (s *Server) getWebhooks(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, s.Webhooks())
}
