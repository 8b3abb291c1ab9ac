package instagram

import (
	"errors"
	"fmt"
	"slices"
)

const wantEntries = `{"ig_id":"17841400000000001","comment":{"text":"Lovely!","username":"ann"}}, or {"entries":[...]} as Meta has them`

// postedEntries is the body of the control endpoint: entries in Meta's format, or a comment in short form.
type postedEntries struct {
	Entries []Entry  `json:"entries"`
	IGID    string   `json:"ig_id"`
	Comment *Comment `json:"comment"`
}

func (ig *Platform) entries(in postedEntries) ([]Entry, error) {
	switch {
	case !ig.host.SendsWebhooks():
		return nil, errors.New("no address to send to: POST /_sandbox/webhooks with a meta_url first")
	case len(in.Entries) > 0 && in.Comment == nil && in.IGID == "":
		return in.Entries, nil
	case len(in.Entries) == 0 && in.Comment != nil && in.IGID != "":
		return []Entry{ig.CommentEntry(in.IGID, *in.Comment)}, nil
	}
	return nil, errors.New("send " + wantEntries)
}

// postEntries sends the entries and returns those that it sent, with the generated ids.
func (ig *Platform) postEntries(in postedEntries) (any, error) {
	entries, err := ig.entries(in)
	if err != nil {
		return nil, err
	}
	ig.mu.Lock()
	defer ig.mu.Unlock()
	sent, err := ig.send(entries)
	if err == nil && len(sent) == 0 {
		err = errors.New("nothing was sent: the app is not subscribed to the Page of the account (POST /{page-id}/subscribed_apps)")
	}
	return map[string][]Entry{"entries": sent}, err
}

const wantDouble = `{"mode":"e"}: what a second media_publish of a container comes to, a to e; e makes a second post`

// SetDoublePublish selects what a second media_publish of one container comes to from now on.
func (ig *Platform) SetDoublePublish(mode DoublePublish) error {
	modes := []DoublePublish{DoubleNotFound, DoubleNotReady, DoubleSameID, DoubleGeneric, DoublePost}
	if !slices.Contains(modes, mode) {
		return fmt.Errorf("double publish: unknown mode %q (known: %v)", mode, modes)
	}
	ig.mu.Lock()
	defer ig.mu.Unlock()
	ig.double = mode
	return nil
}

// postedDouble is the body of the control endpoint.
type postedDouble struct {
	Mode DoublePublish `json:"mode"`
}

func (ig *Platform) postDouble(in postedDouble) (any, error) { return in, ig.SetDoublePublish(in.Mode) }
