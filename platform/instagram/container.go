package instagram

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"socialqueue/platform/wire"
	"socialqueue/secrets"
)

const (
	opCreate          = "instagram.create_container"
	opContainerStatus = "instagram.container_status"
)

// Image is one feed image (IG User Media, 2026-03).
type Image struct {
	// URL is fetched by Meta while the container is in progress: a public JPEG. It may be a
	// signed link, so errors and records never contain it.
	URL secrets.Secret
	// Caption has at most 2200 characters, 30 hashtags and 20 mentions.
	Caption, AltText string
	// LocationID is the id of a Page that has coordinates.
	LocationID string
	// Collaborators holds up to three usernames.
	Collaborators []string
	UserTags      []UserTag
	AIGenerated   bool
	AddOn         AddOn
}

// UserTag tags an account. X and Y, from 0 to 1, are required on images.
type UserTag struct {
	Username string
	X, Y     *float64
}

// CreateImage creates the container of an image (400 containers per account in 24 h). A
// container is harmless until it is published, and expires after 24 h, so after kind
// Unknown another one may be created.
func (c *Client) CreateImage(ctx context.Context, token secrets.Secret, igID string, image Image) (containerID string, err error) {
	form := url.Values{"image_url": {image.URL.Reveal()}}
	setText(form, "caption", image.Caption)
	setText(form, "alt_text", image.AltText)
	setText(form, "location_id", image.LocationID)
	setPeople(form, image.Collaborators, image.UserTags)
	setAIGenerated(form, image.AIGenerated)
	image.AddOn.set(form)
	return c.create(ctx, token, igID, form, "image", image.URL)
}

// create creates a container. Its errors do not contain links.
func (c *Client) create(ctx context.Context, token secrets.Secret, igID string, form url.Values, what string, links ...secrets.Secret) (id string, err error) {
	x := c.begin(opCreate, wire.Creating, token)
	x.add(what)
	for _, l := range links {
		x.Hide.Link(l.Reveal())
	}
	err = c.exchange(ctx, x, token, http.MethodPost, []string{igID, "media"}, form, func(body []byte) (err error) {
		id, err = readID(body)
		return err
	})
	if err == nil {
		x.add("container " + x.Hide.Text(id))
	}
	return id, x.Finish(ctx, err)
}

func setText(form url.Values, name, value string) {
	if value != "" {
		form.Set(name, value)
	}
}

// setAIGenerated labels a post as made by AI (is_ai_generated, since 2026-06-22).
func setAIGenerated(form url.Values, generated bool) {
	if generated {
		form.Set("is_ai_generated", "true")
	}
}

// setPeople encodes collaborators and tags as JSON. It removes a leading "@", which makes
// Meta refuse the whole post with 110/2207018 (gitroomhq/postiz-app PR 1966).
func setPeople(form url.Values, collaborators []string, tags []UserTag) {
	if len(collaborators) > 0 {
		names := make([]string, len(collaborators))
		for i, n := range collaborators {
			names[i] = strings.TrimPrefix(n, "@")
		}
		form.Set("collaborators", toJSON(names))
	}
	if len(tags) > 0 {
		type tag struct {
			Username string   `json:"username"`
			X        *float64 `json:"x,omitempty"`
			Y        *float64 `json:"y,omitempty"`
		}
		list := make([]tag, len(tags))
		for i, t := range tags {
			list[i] = tag{strings.TrimPrefix(t.Username, "@"), t.X, t.Y}
		}
		form.Set("user_tags", toJSON(list))
	}
}

// toJSON encodes lists of names and numbers. A number that JSON cannot represent gives an
// empty text, which Meta refuses as a bad parameter.
func toJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(b)
}

// State is the state of a container.
type State uint8

const (
	// StateUnreadable means that the answer has no known state. It does not mean that the
	// container failed or will be ready.
	StateUnreadable State = iota
	// StateInProgress means that Meta fetches or transcodes the file. Poll again later.
	StateInProgress
	// StateFinished means that the container can be published.
	StateFinished
	// StateErrored means that the container failed; see ContainerErrorKind.
	StateErrored
	// StateExpired means that 24 h passed without a publish.
	StateExpired
	// StatePublished means that the post is live. Never publish it again.
	StatePublished
)

var stateNames = [...]string{"unreadable", "in_progress", "finished", "error", "expired", "published"}

// String returns the state's name.
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return "unknown"
}

// ContainerStatus is the status of a container.
type ContainerStatus struct {
	State State
	// Text is Meta's description, for people.
	Text string
	// Subcode is the subcode of the error; 0 if the text has none.
	Subcode int
	// BytesTransferred is how much of a resumable upload arrived; -1 if Meta did not say.
	BytesTransferred int64
}

// ContainerStatus reads the status of a container. During outages of Meta's reads (100/33,
// seen in the field, 2026-08) it returns Transient although the container is fine.
func (c *Client) ContainerStatus(ctx context.Context, token secrets.Secret, containerID string) (ContainerStatus, error) {
	s := ContainerStatus{BytesTransferred: -1}
	query := url.Values{"fields": {"id,status_code,status,video_status"}}
	x := c.begin(opContainerStatus, wire.Reading, token)
	err := c.exchange(ctx, x, token, http.MethodGet, []string{containerID}, query, func(body []byte) error {
		got, err := parseContainer(body)
		if err != nil {
			return err
		}
		s = got
		s.Text = x.Hide.Text(s.Text)
		x.add(s.State.String())
		return nil
	})
	return s, x.Finish(ctx, err)
}

func parseContainer(body []byte) (ContainerStatus, error) {
	var a struct {
		Code  wire.Scalar     `json:"status_code"`
		Text  wire.Scalar     `json:"status"`
		Video json.RawMessage `json:"video_status"`
	}
	if err := json.Unmarshal(body, &a); err != nil {
		return ContainerStatus{}, fmt.Errorf("read container: %w", err)
	}
	s := ContainerStatus{Text: string(a.Text), Subcode: subcodeIn(string(a.Text)), BytesTransferred: transferred(a.Video)}
	s.State = stateOf(string(a.Code), string(a.Text), s.Subcode)
	return s, nil
}

var stateCodes = map[string]State{
	"IN_PROGRESS": StateInProgress,
	"FINISHED":    StateFinished,
	"ERROR":       StateErrored,
	"EXPIRED":     StateExpired,
	"PUBLISHED":   StatePublished,
}

// stateWords maps the beginning of the text, for answers without status_code
// (trypostit/trypost PR 351).
var stateWords = map[string]State{
	"in progress": StateInProgress,
	"finished":    StateFinished,
	"error":       StateErrored,
	"expired":     StateExpired,
	"published":   StatePublished,
}

// stateOf returns the state. It is StatePublished if the code or the text says so, because
// missing a published post could publish it twice.
func stateOf(code, text string, subcode int) State {
	head, _, colon := strings.Cut(text, ":")
	word := stateWords[strings.ToLower(strings.TrimSpace(head))]
	if !colon && word == StateUnreadable && subcode != 0 {
		word = StateErrored // a plain subcode, as in the reference
	}
	if word == StatePublished {
		return StatePublished
	}
	if code != "" {
		return stateCodes[code]
	}
	return word
}

var subcodeForm = regexp.MustCompile(`\b2207\d{3}\b`)

// subcodeIn returns the subcode in a container's text.
func subcodeIn(text string) int {
	n, _ := strconv.Atoi(subcodeForm.FindString(text)) // 0 if there is none
	return n
}

// transferred parses video_status.uploading_phase.bytes_transferred.
func transferred(video json.RawMessage) int64 {
	var v struct {
		Uploading struct {
			Bytes *wire.Scalar `json:"bytes_transferred"`
		} `json:"uploading_phase"`
	}
	if len(video) == 0 || json.Unmarshal(video, &v) != nil || v.Uploading.Bytes == nil {
		return -1
	}
	n, err := strconv.ParseInt(string(*v.Uploading.Bytes), 10, 64)
	if err != nil || n < 0 {
		return -1
	}
	return n
}
