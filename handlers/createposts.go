package handlers

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"socialqueue/models"
	"socialqueue/publish"
	"socialqueue/tenants"
	"socialqueue/view"
)

const (
	// maxTargets is how many posts one request may make.
	maxTargets = 50
	// maxAltText is what the platforms take, in characters.
	maxAltText = 1000
)

// postsRequest is the body of POST /api/posts: a content for one or many accounts.
type postsRequest struct {
	text        string
	media       []*mediaItem
	publishAt   *time.Time
	maxLateness *time.Duration
	targets     []*target
}

// mediaItem is one file of a post.
type mediaItem struct {
	mediaID, mediaURL, altText string
}

func (m *mediaItem) fields() fields {
	return fields{
		"media_id":  upTo(maxID, &m.mediaID),
		"media_url": upTo(maxURL, &m.mediaURL),
		"alt_text":  upTo(maxAltText, &m.altText),
	}
}

// mediaList is the target of a list of files.
func mediaList(items *[]*mediaItem) objects {
	return objects{most: maxFiles, add: func(json.RawMessage) fields {
		item := &mediaItem{}
		*items = append(*items, item)
		return item.fields()
	}}
}

// target is one account that a post is for. What it says itself wins over the shared content.
type target struct {
	platform    models.Platform
	accountID   int64
	kind        models.Kind
	media       []*mediaItem
	publishAt   *time.Time
	maxLateness *time.Duration
	options     targetOptions
	// given are the fields that the target says itself, also where they are empty.
	given map[string]json.RawMessage
}

// targetOptions are the options of one platform.
type targetOptions interface {
	fields() fields
	// use takes the shared text unless the target has given its own, which may be empty, and
	// returns the options.
	use(text string, given map[string]json.RawMessage, kind models.Kind, media []*mediaItem) publish.Options
}

// targetsOf makes the options of a platform's targets. A platform adds its own in a file of
// its own.
var targetsOf = map[models.Platform]func() targetOptions{
	tiktokTarget{}.platform():    func() targetOptions { return &tiktokTarget{} },
	instagramTarget{}.platform(): func() targetOptions { return &instagramTarget{} },
}

func (p *postsRequest) fields() fields {
	return fields{
		"content":      fields{"text": upTo(maxProse, &p.text), "media": mediaList(&p.media)},
		"publish_at":   &p.publishAt,
		"max_lateness": &p.maxLateness,
		"targets":      objects{maxTargets, p.addTarget},
	}
}

// addTarget returns the fields of a target, which depend on its platform. Where that is not
// known, those of all platforms are read, so that only the platform is wrong.
func (p *postsRequest) addTarget(raw json.RawMessage) fields {
	t := &target{}
	p.targets = append(p.targets, t)
	// What is wrong with the object is found when its fields are read.
	_ = json.Unmarshal(raw, &t.given)
	maps.DeleteFunc(t.given, func(_ string, value json.RawMessage) bool { return string(value) == "null" })
	var named models.Platform
	_ = json.Unmarshal(t.given["platform"], &named)
	f := fields{
		"platform": (*string)(&t.platform), "account_id": &t.accountID, "kind": (*string)(&t.kind), "media": mediaList(&t.media),
		"publish_at": &t.publishAt, "max_lateness": &t.maxLateness,
	}
	for platform, options := range targetsOf {
		_, known := targetsOf[named]
		if known && platform != named {
			continue
		}
		o := options()
		for name, field := range o.fields() {
			f[name] = field
		}
		t.options = o
	}
	return f
}

// decodePosts reads a body. Broken input is models.FieldErrors.
func (a *api) decodePosts(body []byte) ([]publish.Request, error) {
	var in postsRequest
	if err := in.fields().decode(body); err != nil {
		return nil, err
	}
	var errs models.FieldErrors
	if len(in.targets) == 0 {
		errs.Add("targets", `is required: a list of {"platform", "account_id", "kind", ...}`)
	}
	requests := make([]publish.Request, len(in.targets))
	for i, t := range in.targets {
		path := fmt.Sprintf("targets[%d].", i)
		if a.checkTarget(&errs, path, t) {
			requests[i] = in.request(path, t)
		}
	}
	return requests, errs.Err()
}

// checkTarget reports whether the platform and the kind of a target are known.
func (a *api) checkTarget(errs *models.FieldErrors, path string, t *target) bool {
	if _, known := targetsOf[t.platform]; !known {
		errs.Add(path+"platform", "must be %s", a.Platforms.Names())
		return false
	}
	if kinds := a.Posts.Kinds(t.platform); !slices.Contains(kinds, t.kind) {
		names := make([]string, len(kinds))
		for i, k := range kinds {
			names[i] = string(k)
		}
		errs.Add(path+"kind", "must be one of %s", strings.Join(names, ", "))
		return false
	}
	return true
}

func (p *postsRequest) request(path string, t *target) publish.Request {
	r := publish.Request{
		Platform: t.platform, Kind: t.kind, AccountID: t.accountID, Path: path, FilesField: "content.media",
		PublishAt: t.publishAt, MaxLateness: t.maxLateness,
	}
	media := p.media
	if _, own := t.given["media"]; own {
		media, r.FilesField = t.media, path+"media"
	}
	if r.PublishAt == nil {
		r.PublishAt = p.publishAt
	}
	if r.MaxLateness == nil {
		r.MaxLateness = p.maxLateness
	}
	for _, m := range media {
		r.Files = append(r.Files, publish.File{MediaID: m.mediaID, URL: m.mediaURL, AltText: m.altText})
	}
	r.Options = t.options.use(p.text, t.given, t.kind, media)
	return r
}

// groupView is the response to POST /api/posts.
type groupView struct {
	GroupID string      `json:"group_id"`
	Posts   []view.Post `json:"posts"`
}

// createPosts accepts a post for one or many accounts: all of them, or none.
func (a *api) createPosts(c echo.Context) error {
	body, err := a.readJSON(c)
	if err != nil {
		return err
	}
	requests, err := a.decodePosts(body)
	if err != nil {
		return err
	}
	return a.once(c, jsonContent(body), func(cl *tenants.Claim) (*answer, error) { return a.acceptGroup(c, requests, cl) })
}

func (a *api) acceptGroup(c echo.Context, requests []publish.Request, cl *tenants.Claim) (*answer, error) {
	appID, correlation := callerOf(c).AppID, correlationID(c.Request())
	for i := range requests {
		requests[i].AppID, requests[i].CorrelationID = appID, correlation
	}
	if err := a.Tenants.Reserve(c.Request().Context(), appID, models.QuotaWaitingPosts, int64(len(requests))); err != nil {
		return nil, err
	}
	ans, groupID := &answer{status: http.StatusAccepted}, models.NewID()
	posts, err := a.Posts.AcceptGroup(c.Request().Context(), requests, groupID, func(posts []*models.Post) (*tenants.Completion, error) {
		if cl == nil {
			return nil, nil
		}
		err := a.showGroup(ans, groupID, posts)
		return completion(cl, ans, ""), err
	})
	if err != nil {
		return nil, err
	}
	about(c, posts[0])
	if cl == nil { // what became of the posts meanwhile may show
		err = a.showGroup(ans, groupID, posts)
	}
	return ans, err
}

func (a *api) showGroup(ans *answer, groupID string, posts []*models.Post) error {
	shown := groupView{GroupID: groupID}
	for _, p := range posts {
		post, err := a.Posts.Show(p)
		if err != nil {
			return err
		}
		shown.Posts = append(shown.Posts, post)
	}
	body, err := json.Marshal(shown)
	if err != nil {
		return fmt.Errorf("show group %s: %w", groupID, err)
	}
	ans.body, ans.keptFor = body, &posts[0].ID
	return nil
}

// validationView is the response to POST /api/posts/validate.
type validationView struct {
	Valid    bool              `json:"valid"`
	Errors   []publish.Finding `json:"errors"`
	Warnings []publish.Finding `json:"warnings"`
}

// validatePosts checks a body of POST /api/posts by the same rules, and stores nothing. With
// account=true the platforms are asked as well.
func (a *api) validatePosts(c echo.Context) error {
	ask := false
	err := readQuery(c.Request().URL.RawQuery, "call", map[string]func(string) string{
		"account": func(value string) string {
			if ask = value == "true"; !ask && value != "false" {
				return "must be true or false"
			}
			return ""
		},
	})
	if err != nil {
		return err
	}
	body, err := a.readJSON(c)
	if err != nil {
		return err
	}
	requests, err := a.decodePosts(body)
	var found publish.Findings
	if err == nil {
		for i := range requests {
			requests[i].AppID = callerOf(c).AppID
		}
		found, err = a.Posts.Validate(c.Request().Context(), requests, ask)
	}
	if err := found.Take(err); err != nil {
		return err
	}
	shown := validationView{Valid: len(found.Errors) == 0, Errors: found.Errors, Warnings: found.Warnings}
	if shown.Errors == nil {
		shown.Errors = []publish.Finding{}
	}
	if shown.Warnings == nil {
		shown.Warnings = []publish.Finding{}
	}
	return c.JSON(http.StatusOK, shown)
}
