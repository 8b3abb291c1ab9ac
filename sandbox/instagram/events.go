package instagram

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"socialqueue/sandbox/engine"
)

// Entry is one account's part of a delivery: changes, or messaging. A Time of zero is filled in when it is
// sent: seconds for changes, milliseconds for messaging (Instagram Platform, Webhooks, Examples).
type Entry struct {
	ID        string            `json:"id"` // ig-id
	Time      int64             `json:"time"`
	Changes   []Change          `json:"changes,omitempty"`
	Messaging []json.RawMessage `json:"messaging,omitempty"`
}

// Change is one change of a field.
type Change struct {
	Field string          `json:"field"`
	Value json.RawMessage `json:"value"`
}

// Comment describes a comment for CommentEntry. Missing ids are generated.
type Comment struct {
	ID       string `json:"id"`
	Text     string `json:"text"`
	FromID   string `json:"from_id"`
	Username string `json:"username"`
	MediaID  string `json:"media_id"`
	ParentID string `json:"parent_id"`          // of a engine.Reply
	Product  string `json:"media_product_type"` // default FEED
	// SelfIGScopedID makes it the account's own comment: from is the account then, and carries this id besides.
	SelfIGScopedID string `json:"self_ig_scoped_id"`
}

// StoryInsights are the numbers of a story that ended. Meta writes -1 for numbers below 5.
type StoryInsights struct {
	MediaID     string `json:"media_id"`
	Impressions int    `json:"impressions"`
	Reach       int    `json:"reach"`
	TapsForward int    `json:"taps_forward"`
	TapsBack    int    `json:"taps_back"`
	Exits       int    `json:"exits"`
	Replies     int    `json:"replies"`
}

// reference identifies a person or a media object.
type reference struct {
	ID string `json:"id"`
}

type commentFrom struct {
	ID             string `json:"id"`
	Username       string `json:"username"`
	SelfIGScopedID string `json:"self_ig_scoped_id,omitempty"`
}

type commentMedia struct {
	ID      string `json:"id"`
	Product string `json:"media_product_type"`
}

type commentValue struct {
	ID       string       `json:"id"`
	Text     string       `json:"text"`
	From     commentFrom  `json:"from"`
	Media    commentMedia `json:"media"`
	ParentID string       `json:"parent_id,omitempty"`
}

type mentionValue struct {
	MediaID   string `json:"media_id"`
	CommentID string `json:"comment_id,omitempty"`
}

type messageValue struct {
	Sender    reference `json:"sender"`
	Recipient reference `json:"recipient"`
	Timestamp int64     `json:"timestamp"`
	Message   struct {
		MID  string `json:"mid"`
		Text string `json:"text"`
	} `json:"message"`
}

// CommentEntry returns the entry of a comment on a post of igID.
func (ig *Platform) CommentEntry(igID string, c Comment) Entry {
	if c.SelfIGScopedID != "" {
		c.FromID = igID
	}
	engine.SetDefault(&c.ID, ig.newID("179"))
	engine.SetDefault(&c.FromID, ig.newID("684"))
	engine.SetDefault(&c.MediaID, ig.newID("180"))
	engine.SetDefault(&c.Product, kindImage.product)
	return ig.changeEntry(igID, "comments", commentValue{
		ID: c.ID, Text: c.Text, ParentID: c.ParentID,
		From:  commentFrom{ID: c.FromID, Username: c.Username, SelfIGScopedID: c.SelfIGScopedID},
		Media: commentMedia{ID: c.MediaID, Product: c.Product},
	})
}

// MentionEntry returns the entry of a mention of igID in a caption, or in a comment if commentID is set.
func (ig *Platform) MentionEntry(igID, mediaID, commentID string) Entry {
	return ig.changeEntry(igID, "mentions", mentionValue{MediaID: mediaID, CommentID: commentID})
}

// StoryInsightsEntry returns the entry of a story of igID that ended.
func (ig *Platform) StoryInsightsEntry(igID string, numbers StoryInsights) Entry {
	return ig.changeEntry(igID, "story_insights", numbers)
}

// MessageEntry returns the entry of a message to igID. An empty fromID or mid is generated.
func (ig *Platform) MessageEntry(igID, fromID, mid, text string) Entry {
	engine.SetDefault(&fromID, ig.newID("684"))
	engine.SetDefault(&mid, ig.host.Secret("aWdfZG1f"))
	at := ig.host.Now().UnixMilli()
	m := messageValue{Sender: reference{fromID}, Recipient: reference{igID}, Timestamp: at}
	m.Message.MID, m.Message.Text = mid, text
	return Entry{ID: igID, Time: at, Messaging: []json.RawMessage{rawJSON(m)}}
}

func (ig *Platform) changeEntry(igID, field string, value any) Entry {
	return Entry{ID: igID, Time: ig.host.Now().Unix(), Changes: []Change{{field, rawJSON(value)}}}
}

func rawJSON(v any) json.RawMessage {
	text, err := engine.CompactJSON(v)
	engine.Must(err) // only our own types get here
	return json.RawMessage(text)
}

// Send queues one delivery of all entries. Entries of an account behind a Page that the app is not subscribed to are
// left out. Without an address nothing is sent. It panics on an invalid entry.
func (ig *Platform) Send(entries ...Entry) {
	ig.mu.Lock()
	defer ig.mu.Unlock()
	_, err := ig.send(entries)
	engine.Must(err)
}

// send is Send; it returns the entries that it sent. ig.mu is held.
func (ig *Platform) send(entries []Entry) ([]Entry, error) {
	if len(entries) == 0 {
		return nil, errors.New("a delivery without entries")
	}
	now := ig.host.Now()
	entries = slices.Clone(entries)
	for i := range entries {
		if err := entries[i].complete(now); err != nil {
			return nil, err
		}
	}
	entries = slices.DeleteFunc(entries, func(e Entry) bool { return !ig.hasWebhooks(e.ID) })
	if len(entries) == 0 {
		return nil, nil
	}
	body, err := engine.CompactJSON(struct {
		Object string  `json:"object"`
		Entry  []Entry `json:"entry"`
	}{"instagram", entries})
	if err != nil {
		return nil, err
	}
	ig.host.SendWebhook(fields(entries), entries[0].ID, escapeUnicode(body))
	return entries, nil
}

// complete fills in the time. It returns an error for an invalid entry.
func (e *Entry) complete(now time.Time) error {
	if e.ID == "" || (len(e.Changes) == 0) == (len(e.Messaging) == 0) {
		return fmt.Errorf("an entry needs an id and either changes or messaging: %+v", *e)
	}
	if len(e.Messaging) > 0 {
		engine.SetDefault(&e.Time, now.UnixMilli())
	} else {
		engine.SetDefault(&e.Time, now.Unix())
	}
	return nil
}

// fields returns what a delivery is about, joined by commas. Messages have no field name in the body.
func fields(entries []Entry) string {
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
