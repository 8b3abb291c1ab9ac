package instagram

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"socialqueue/platform/wire"
	"socialqueue/secrets"
)

const (
	opComment  = "instagram.comment"
	opComments = "instagram.comments"
)

// CreateComment comments under a published post. Each call makes a comment, one with the same
// text too, so after kind Unknown read the comments (Comments, 2025-01-21).
func (c *Client) CreateComment(ctx context.Context, token secrets.Secret, mediaID, text string) (commentID string, err error) {
	x := c.begin(opComment, wire.Creating, token)
	x.add("media " + x.Hide.Text(mediaID))
	err = c.exchange(ctx, x, token, http.MethodPost, []string{mediaID, "comments"}, url.Values{"message": {text}}, func(body []byte) (err error) {
		commentID, err = readID(body)
		return err
	})
	return commentID, x.Finish(ctx, err)
}

// Comments lists the top-level comments under a post that follow a cursor, newest first, at
// most 50; without a cursor the newest. They have id, text and author. next is the cursor of the following page; it is empty
// on the last one (Comments, 2025-01-21).
func (c *Client) Comments(ctx context.Context, token secrets.Secret, mediaID, after string) (comments []Comment, next string, err error) {
	query := url.Values{"fields": {"id,text,from"}}
	if after != "" {
		query.Set("after", after)
	}
	err = c.get(ctx, opComments, token, []string{mediaID, "comments"}, query, func(body []byte) error {
		items, after, more, err := parseList(body)
		if err == nil && more && after == "" { // it must not be taken for the last page
			err = errors.New("a list that goes on has no cursor")
		}
		for _, raw := range items {
			comment, err := parseComment(raw)
			if err != nil {
				return err
			}
			comments = append(comments, comment)
		}
		next = after
		return err
	})
	return comments, next, err
}

func parseComment(body []byte) (Comment, error) {
	var a struct {
		ID   wire.Scalar `json:"id"`
		Text wire.Scalar `json:"text"`
		From struct {
			ID       wire.Scalar `json:"id"`
			Username wire.Scalar `json:"username"`
			// SelfScoped is there on the account's own comments (Webhooks, Instagram).
			SelfScoped wire.Scalar `json:"self_ig_scoped_id"`
		} `json:"from"`
	}
	if err := json.Unmarshal(body, &a); err != nil {
		return Comment{}, fmt.Errorf("read comment: %w", err)
	}
	if !idForm.MatchString(string(a.ID)) {
		return Comment{}, errors.New("comment without an id")
	}
	return Comment{ID: string(a.ID), Text: string(a.Text), FromID: string(a.From.ID), Username: string(a.From.Username), Own: a.From.SelfScoped != ""}, nil
}
