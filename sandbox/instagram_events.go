package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// InstagramEntry is one account's part of a delivery: changes, or messaging. A Time of zero is filled in when it is
// sent: seconds for changes, milliseconds for messaging (Instagram Platform, Webhooks, Examples).
type InstagramEntry struct {
	ID        string            `json:"id"` // ig-id
	Time      int64             `json:"time"`
	Changes   []InstagramChange `json:"changes,omitempty"`
	Messaging []json.RawMessage `json:"messaging,omitempty"`
}

// InstagramChange is one change of a field.
type InstagramChange struct {
	Field string          `json:"field"`
	Value json.RawMessage `json:"value"`
}

// InstagramComment is what CommentEntry tells of a comment; ids that are left out are made up.
type InstagramComment struct {
	ID       string `json:"id"`
	Text     string `json:"text"`
	FromID   string `json:"from_id"`
	Username string `json:"username"`
	MediaID  string `json:"media_id"`
	ParentID string `json:"parent_id"` // of a reply
	// SelfIGScopedID makes it the account's own comment: from is the account then, and carries this id besides.
	SelfIGScopedID string `json:"self_ig_scoped_id"`
}

// InstagramStoryInsights are the numbers of a story that ended. Meta writes -1 for one that is under 5.
type InstagramStoryInsights struct {
	MediaID     string `json:"media_id"`
	Impressions int    `json:"impressions"`
	Reach       int    `json:"reach"`
	TapsForward int    `json:"taps_forward"`
	TapsBack    int    `json:"taps_back"`
	Exits       int    `json:"exits"`
	Replies     int    `json:"replies"`
}

// instagramID is a reference to a person or a media.
type instagramID struct {
	ID string `json:"id"`
}

type instagramCommentFrom struct {
	ID             string `json:"id"`
	Username       string `json:"username"`
	SelfIGScopedID string `json:"self_ig_scoped_id,omitempty"`
}

type instagramCommentMedia struct {
	ID      string `json:"id"`
	Product string `json:"media_product_type"`
}

type instagramCommentValue struct {
	ID       string                `json:"id"`
	Text     string                `json:"text"`
	From     instagramCommentFrom  `json:"from"`
	Media    instagramCommentMedia `json:"media"`
	ParentID string                `json:"parent_id,omitempty"`
}

type instagramMentionValue struct {
	MediaID   string `json:"media_id"`
	CommentID string `json:"comment_id,omitempty"`
}

type instagramMessage struct {
	Sender    instagramID `json:"sender"`
	Recipient instagramID `json:"recipient"`
	Timestamp int64       `json:"timestamp"`
	Message   struct {
		MID  string `json:"mid"`
		Text string `json:"text"`
	} `json:"message"`
}

// CommentEntry is a comment on a post of igID.
func (s *Server) CommentEntry(igID string, c InstagramComment) InstagramEntry {
	if c.SelfIGScopedID != "" {
		c.FromID = igID
	}
	setDefault(&c.ID, s.ids.graph("179"))
	setDefault(&c.FromID, s.ids.graph("684"))
	setDefault(&c.MediaID, s.ids.graph("180"))
	return s.changeEntry(igID, "comments", instagramCommentValue{
		ID: c.ID, Text: c.Text, ParentID: c.ParentID,
		From:  instagramCommentFrom{ID: c.FromID, Username: c.Username, SelfIGScopedID: c.SelfIGScopedID},
		Media: instagramCommentMedia{ID: c.MediaID, Product: "FEED"},
	})
}

// MentionEntry is somebody naming igID in a caption, or in a comment when there is a commentID.
func (s *Server) MentionEntry(igID, mediaID, commentID string) InstagramEntry {
	return s.changeEntry(igID, "mentions", instagramMentionValue{MediaID: mediaID, CommentID: commentID})
}

// StoryInsightsEntry is the end of a story of igID.
func (s *Server) StoryInsightsEntry(igID string, numbers InstagramStoryInsights) InstagramEntry {
	return s.changeEntry(igID, "story_insights", numbers)
}

// MessageEntry is a message to igID; an empty fromID or mid is made up.
func (s *Server) MessageEntry(igID, fromID, mid, text string) InstagramEntry {
	setDefault(&fromID, s.ids.graph("684"))
	setDefault(&mid, s.ids.secret("aWdfZG1f"))
	at := s.clock.now().UnixMilli()
	m := instagramMessage{Sender: instagramID{fromID}, Recipient: instagramID{igID}, Timestamp: at}
	m.Message.MID, m.Message.Text = mid, text
	return InstagramEntry{ID: igID, Time: at, Messaging: []json.RawMessage{rawJSON(m)}}
}

func (s *Server) changeEntry(igID, field string, value any) InstagramEntry {
	return InstagramEntry{ID: igID, Time: s.clock.now().Unix(), Changes: []InstagramChange{{field, rawJSON(value)}}}
}

func rawJSON(v any) json.RawMessage {
	text, err := webhookJSON(v)
	must(err) // only our own types get here
	return json.RawMessage(text)
}

// SendInstagram queues one delivery of all entries. Without an address nothing is sent. It panics on an entry that
// Meta could not send: that is a mistake in the script.
func (s *Server) SendInstagram(entries ...InstagramEntry) { must(s.sendInstagram(entries)) }

func (s *Server) sendInstagram(entries []InstagramEntry) error {
	if len(entries) == 0 {
		return errors.New("a delivery without entries")
	}
	now := s.clock.now()
	entries = slices.Clone(entries)
	for i := range entries {
		if err := entries[i].complete(now); err != nil {
			return err
		}
	}
	body, err := webhookJSON(struct {
		Object string           `json:"object"`
		Entry  []InstagramEntry `json:"entry"`
	}{"instagram", entries})
	if err != nil {
		return err
	}
	s.webhooks.queue(Webhook{Platform: Instagram, Event: fields(entries), Account: entries[0].ID, Body: escapeUnicode(body)})
	return nil
}

// complete fills in the time, and refuses an entry that is none.
func (e *InstagramEntry) complete(now time.Time) error {
	if e.ID == "" || (len(e.Changes) == 0) == (len(e.Messaging) == 0) {
		return fmt.Errorf("an entry needs an id and either changes or messaging: %+v", *e)
	}
	if len(e.Messaging) > 0 {
		setDefault(&e.Time, now.UnixMilli())
	} else {
		setDefault(&e.Time, now.Unix())
	}
	return nil
}

// fields names what a delivery is about; messaging has no field of its own in the body.
func fields(entries []InstagramEntry) string {
	var names []string
	for _, e := range entries {
		for _, c := range e.Changes {
			names = append(names, c.Field)
		}
		if len(e.Messaging) > 0 {
			names = append(names, "messages")
		}
	}
	slices.Sort(names)
	return strings.Join(slices.Compact(names), ",")
}
