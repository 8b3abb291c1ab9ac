package instagram

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"socialqueue/platform/wire"
	"socialqueue/secrets"
)

const (
	opMedia       = "instagram.media"
	opRecentMedia = "instagram.recent_media"

	mediaFields = "id,caption,permalink,media_type,media_product_type,timestamp"
	maxPage     = 100
)

// Media is a published post.
type Media struct {
	ID, Caption, Permalink string
	// MediaType is IMAGE, VIDEO or CAROUSEL_ALBUM. ProductType is FEED, REELS, STORY or AD.
	MediaType, ProductType string
	// Timestamp is zero if Meta did not say.
	Timestamp time.Time
}

// Media reads one post. The read may fail (100/33, Transient) although the post is fine, so
// its id and permalink are best effort.
func (c *Client) Media(ctx context.Context, token secrets.Secret, mediaID string) (Media, error) {
	var m Media
	err := c.get(ctx, opMedia, token, []string{mediaID}, url.Values{"fields": {mediaFields}}, func(body []byte) (err error) {
		m, err = parseMedia(body)
		return err
	})
	return m, err
}

// RecentMedia lists the account's newest posts, newest first, without stories; limit is 1
// to 100. An answer without a list is an error, because it must not be taken for "nothing
// is live".
func (c *Client) RecentMedia(ctx context.Context, token secrets.Secret, igID string, limit int) ([]Media, error) {
	page, err := c.MediaPage(ctx, token, igID, limit, "")
	return page.Media, err
}

// MediaPage is a part of the list of an account's posts.
type MediaPage struct {
	Media []Media
	// Next is the cursor of the following page; empty on the last one.
	Next string
}

// MediaPage lists the account's posts that follow a cursor, newest first, without stories;
// without a cursor the newest. limit is 1 to 100.
func (c *Client) MediaPage(ctx context.Context, token secrets.Secret, igID string, limit int, after string) (MediaPage, error) {
	query := url.Values{
		"fields": {mediaFields},
		"limit":  {strconv.Itoa(min(max(limit, 1), maxPage))},
	}
	if after != "" {
		query.Set("after", after)
	}
	var page MediaPage
	err := c.get(ctx, opRecentMedia, token, []string{igID, "media"}, query, func(body []byte) (err error) {
		page, err = parseMediaPage(body)
		return err
	})
	return page, err
}

func parseMediaPage(body []byte) (MediaPage, error) {
	items, next, _, err := parseList(body)
	if err != nil {
		return MediaPage{}, err
	}
	page := MediaPage{Media: make([]Media, 0, len(items)), Next: next}
	for _, raw := range items {
		m, err := parseMedia(raw)
		if err != nil {
			return MediaPage{}, err
		}
		page.Media = append(page.Media, m)
	}
	return page, nil
}

func parseMedia(body []byte) (Media, error) {
	var a struct {
		ID          wire.Scalar `json:"id"`
		Caption     wire.Scalar `json:"caption"`
		Permalink   wire.Scalar `json:"permalink"`
		MediaType   wire.Scalar `json:"media_type"`
		ProductType wire.Scalar `json:"media_product_type"`
		Timestamp   wire.Scalar `json:"timestamp"`
	}
	if err := json.Unmarshal(body, &a); err != nil {
		return Media{}, fmt.Errorf("read media: %w", err)
	}
	if !idForm.MatchString(string(a.ID)) {
		return Media{}, errors.New("media without an id")
	}
	return Media{
		ID: string(a.ID), Caption: string(a.Caption), Permalink: string(a.Permalink),
		MediaType: string(a.MediaType), ProductType: string(a.ProductType),
		Timestamp: parseTime(string(a.Timestamp)),
	}, nil
}

// parseTime parses 2026-08-01T09:30:00+0000, with no colon in the offset.
func parseTime(s string) time.Time {
	for _, layout := range []string{"2006-01-02T15:04:05-0700", time.RFC3339} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}
