package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"socialqueue/secrets"
)

// client calls the api as an app does.
type client struct {
	url string
	key secrets.Secret
}

func (e *environment) newClient() client { return client{url: e.url(), key: e.accounts.key()} }

// post holds the fields of a post that the demo needs.
type post struct {
	ID        string `json:"id"`
	Platform  string `json:"platform"`
	Status    string `json:"status"`
	Permalink string `json:"permalink"`
	Error     *struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

type event struct {
	At         time.Time `json:"at"`
	Type       string    `json:"type"`
	From       string    `json:"from"`
	To         string    `json:"to"`
	Operation  string    `json:"operation"`
	HTTPStatus int       `json:"http_status"`
	Message    string    `json:"message"`
}

func (c client) createUser(ctx context.Context) (int64, error) {
	var user struct {
		ID int64 `json:"id"`
	}
	err := c.call(ctx, http.MethodPost, "/api/users", map[string]string{"external_id": "demo-user"}, &user)
	return user.ID, err
}

// authorizationURL returns the address of the consent page for a user.
func (c client) authorizationURL(ctx context.Context, platform string, userID int64) (string, error) {
	var answer struct {
		URL string `json:"authorization_url"`
	}
	err := c.call(ctx, http.MethodGet, fmt.Sprintf("/api/auth/%s?user_id=%d", platform, userID), nil, &answer)
	return answer.URL, err
}

// connectedAccount returns the account of a user on a platform.
func (c client) connectedAccount(ctx context.Context, platform string, userID int64) (int64, error) {
	var accounts []struct {
		ID int64 `json:"id"`
	}
	err := c.call(ctx, http.MethodGet, fmt.Sprintf("/api/accounts?platform=%s&user_id=%d", platform, userID), nil, &accounts)
	if err == nil && len(accounts) == 0 {
		err = fmt.Errorf("no %s account is connected", platform)
	}
	if err != nil {
		return 0, err
	}
	return accounts[0].ID, nil
}

func (c client) upload(ctx context.Context, contentType string, file []byte) (string, error) {
	var media struct {
		ID string `json:"id"`
	}
	err := c.send(ctx, http.MethodPost, "/api/media", contentType, bytes.NewReader(file), &media)
	return media.ID, err
}

func (c client) publish(ctx context.Context, path string, body map[string]any) (post, error) {
	var p post
	return p, c.call(ctx, http.MethodPost, path, body, &p)
}

func (c client) post(ctx context.Context, id string) (post, error) {
	var p post
	return p, c.call(ctx, http.MethodGet, "/api/posts/"+id, nil, &p)
}

func (c client) events(ctx context.Context, id string) ([]event, error) {
	var list struct {
		Events []event `json:"events"`
	}
	return list.Events, c.call(ctx, http.MethodGet, "/api/posts/"+id+"/events", nil, &list)
}

func (c client) call(ctx context.Context, method, path string, in, out any) error {
	if in == nil {
		return c.send(ctx, method, path, "", nil, out)
	}
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	return c.send(ctx, method, path, "application/json", bytes.NewReader(body), out)
}

// maxAnswer limits the size of an answer.
const maxAnswer = 4 << 20

func (c client) send(ctx context.Context, method, path, contentType string, body io.Reader, out any) error {
	req, err := http.NewRequestWithContext(ctx, method, c.url+path, body)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	req.Header.Set("Authorization", "Bearer "+c.key.Reveal())
	req.Header.Set("Accept", "application/json")
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if resp.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, answer)
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	return nil
}
