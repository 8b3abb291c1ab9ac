package sandbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// SetMetaWebhook makes Meta's handshake with url and sends there from now on; "" ends it. An empty verifyToken is
// Options.MetaVerifyToken. After an error everything is as it was.
func (s *Server) SetMetaWebhook(ctx context.Context, url, verifyToken string) error {
	to := target{url: url, token: cmp.Or(verifyToken, s.opts.MetaVerifyToken)}
	if url != "" {
		if err := s.webhooks.verify(ctx, to); err != nil {
			return err
		}
		to.verified = true
	}
	s.webhooks.aim(Instagram, to)
	return nil
}

// verify is the handshake: the answer must be 200 and the challenge, with nothing around it (Graph API Webhooks,
// Getting Started).
func (h *webhooks) verify(ctx context.Context, to target) error {
	challenge := fmt.Sprint(h.s.ids.next())
	status, body, err := h.challenge(ctx, to, challenge)
	if err != nil {
		return fmt.Errorf("webhook handshake with %s: %w", to.url, err)
	}
	if status != http.StatusOK || body != challenge {
		return fmt.Errorf("webhook handshake with %s: got %d %.200q, want 200 and exactly the challenge %q", to.url, status, body, challenge)
	}
	return nil
}

func (h *webhooks) challenge(ctx context.Context, to target, challenge string) (status int, body string, err error) {
	u, err := url.Parse(to.url)
	if err != nil {
		return 0, "", errors.New("the address is not a URL")
	}
	q := u.Query()
	q.Set("hub.mode", "subscribe")
	q.Set("hub.challenge", challenge)
	q.Set("hub.verify_token", to.token)
	u.RawQuery = q.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return 0, "", withoutURL(err)
	}
	res, err := h.client.Do(req)
	if err != nil {
		return 0, "", withoutURL(err)
	}
	defer res.Body.Close()
	got, err := io.ReadAll(io.LimitReader(res.Body, maxWebhookAnswer))
	return res.StatusCode, string(got), err
}

// withoutURL takes off the URL that net/http adds: the verify token is in it.
func withoutURL(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		return wrapped.Err
	}
	return err
}
