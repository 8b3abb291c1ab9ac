package instagram

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"socialqueue/platform/wire"
	"socialqueue/secrets"
)

// maxParts limits the number of answers for one list.
const maxParts = 20

// pageReader reads lists of several answers. It remembers the Page tokens it has read,
// because a later answer may quote them.
type pageReader struct {
	client *Client
	token  secrets.Secret
	found  []secrets.Secret
}

func (r *pageReader) pages(ctx context.Context, op string, path []string, fields string) ([]Page, error) {
	var pages []Page
	err := r.list(ctx, op, path, fields, func(x *exchange, item json.RawMessage) error {
		p, err := parsePage(item)
		if err != nil {
			return err
		}
		x.Hide.Secret(p.Token.Reveal())
		r.found = append(r.found, p.Token)
		pages = append(pages, p)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return pages, nil
}

func (r *pageReader) businesses(ctx context.Context) ([]string, error) {
	var ids []string
	err := r.list(ctx, opBusinesses, []string{"me", "businesses"}, "id", func(_ *exchange, item json.RawMessage) error {
		id, err := readID(item)
		ids = append(ids, id)
		return err
	})
	if err != nil {
		return nil, err
	}
	return ids[:min(len(ids), maxBusinesses)], nil
}

// list passes the items of a list to take, part by part. It follows the cursor and never
// paging.next itself, which contains the token and any host.
func (r *pageReader) list(ctx context.Context, op string, path []string, fields string, take func(*exchange, json.RawMessage) error) error {
	seen := map[string]bool{"": true}
	query := url.Values{"fields": {fields}, "limit": {strconv.Itoa(maxPage)}}
	for range maxParts {
		after, err := r.part(ctx, op, path, query, take)
		if err != nil {
			return err
		}
		if seen[after] {
			return nil
		}
		seen[after] = true
		query.Set("after", after)
	}
	return nil
}

// part reads one answer of a list and returns the cursor of the next one, or an empty one
// after the last.
func (r *pageReader) part(ctx context.Context, op string, path []string, query url.Values, take func(*exchange, json.RawMessage) error) (after string, err error) {
	x := r.client.begin(op, wire.Reading, r.token)
	for _, t := range r.found {
		x.Hide.Secret(t.Reveal())
	}
	err = r.client.exchange(ctx, x, r.token, http.MethodGet, path, query, func(body []byte) error {
		items, next, _, err := parseList(body)
		if err != nil {
			return err
		}
		for _, item := range items {
			if err := take(x, item); err != nil {
				return err
			}
		}
		after = next
		return nil
	})
	return after, x.Finish(ctx, err)
}

// parseList parses an answer that is part of a list. More follows only if there is
// paging.next; the last part has a cursor too, and a part that is not may lack it.
func parseList(body []byte) (items []json.RawMessage, after string, more bool, err error) {
	var a struct {
		Data   []json.RawMessage `json:"data"`
		Paging struct {
			Next    wire.Scalar `json:"next"`
			Cursors struct {
				After wire.Scalar `json:"after"`
			} `json:"cursors"`
		} `json:"paging"`
	}
	if err := json.Unmarshal(body, &a); err != nil {
		return nil, "", false, fmt.Errorf("read list: %w", err)
	}
	if a.Data == nil {
		return nil, "", false, errors.New("answer without a list")
	}
	if a.Paging.Next == "" {
		return a.Data, "", false, nil
	}
	return a.Data, string(a.Paging.Cursors.After), true, nil
}

func parsePage(body []byte) (Page, error) {
	var a struct {
		Name    wire.Scalar     `json:"name"`
		Token   wire.Scalar     `json:"access_token"`
		Tasks   []wire.Scalar   `json:"tasks"`
		Account json.RawMessage `json:"instagram_business_account"`
	}
	id, err := readID(body)
	if err != nil {
		return Page{}, err
	}
	if err := json.Unmarshal(body, &a); err != nil {
		return Page{}, fmt.Errorf("read page: %w", err)
	}
	return Page{ID: id, Name: string(a.Name), Token: secrets.Secret(a.Token), Tasks: texts(a.Tasks), Account: parseAccount(a.Account)}, nil
}
