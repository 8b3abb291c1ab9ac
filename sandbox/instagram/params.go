package instagram

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// mergeJSON adds the members of a JSON object. A value that is not a string keeps its JSON text.
func mergeJSON(params url.Values, body []byte) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(body, &members); err != nil {
		return errors.New("malformed JSON body")
	}
	for k, raw := range members {
		var text string
		if json.Unmarshal(raw, &text) != nil {
			text = string(raw)
		}
		params.Set(k, text)
	}
	return nil
}

func mergeMultipart(params url.Values, body []byte, boundary string) error {
	r := multipart.NewReader(bytes.NewReader(body), boundary)
	for {
		part, err := r.NextPart()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return errors.New("malformed multipart body")
		}
		value, err := io.ReadAll(part)
		if err != nil {
			return errors.New("malformed multipart body")
		}
		params.Set(part.FormName(), string(value))
	}
}

// mediaKind is one column of the parameter table (IG User Media, 2026-03).
type mediaKind struct {
	name      string // as in LivePost.Kind
	mediaType string // of the published media
	product   string
	video     bool // takes a video only; a story takes either
	params    []string
}

var (
	kindImage = &mediaKind{"image", "IMAGE", "FEED", false, []string{"image_url", "caption", "location_id", "user_tags",
		"collaborators", "alt_text", "product_tags", "is_ai_generated", "branded_content_sponsor_ids", "is_paid_partnership",
		"poll_attachment", "is_poll_duration_extended", "is_comment_prompt_used"}}
	kindReel = &mediaKind{"reel", "VIDEO", "REELS", true, []string{"video_url", "upload_type", "caption", "location_id",
		"user_tags", "collaborators", "cover_url", "thumb_offset", "share_to_feed", "audio_name", "trial_params",
		"product_tags", "is_ai_generated", "audio_configuration", "branded_content_sponsor_ids", "is_paid_partnership",
		"poll_attachment", "is_poll_duration_extended", "is_comment_prompt_used"}}
	kindStory = &mediaKind{"story", "IMAGE", "STORY", false, []string{"image_url", "video_url", "upload_type", "caption",
		"user_tags"}}
	kindChildImage = &mediaKind{"image", "IMAGE", "FEED", false, []string{"image_url", "is_carousel_item", "user_tags",
		"alt_text", "product_tags"}}
	kindChildVideo = &mediaKind{"video", "VIDEO", "FEED", true, []string{"video_url", "upload_type", "is_carousel_item",
		"thumb_offset", "product_tags"}}
	kindCarousel = &mediaKind{"carousel", "CAROUSEL_ALBUM", "FEED", false, []string{"children", "caption", "location_id",
		"collaborators", "share_to_feed", "product_tags", "is_ai_generated", "branded_content_sponsor_ids", "is_paid_partnership",
		"poll_attachment", "is_poll_duration_extended", "is_comment_prompt_used"}}
)

// commonParams go with every Graph call.
var commonParams = []string{"access_token", "appsecret_proof", "media_type", "is_carousel_item"}

// kindOf reads media_type and is_carousel_item.
func kindOf(p url.Values) (*mediaKind, *graphError) {
	child := p.Get("is_carousel_item") == "true"
	switch mt := p.Get("media_type"); {
	case child && mt == "VIDEO":
		return kindChildVideo, nil
	case child && (mt == "" || mt == "IMAGE"):
		return kindChildImage, nil
	case child:
	case mt == "" || mt == "IMAGE":
		return kindImage, nil
	case mt == "REELS":
		return kindReel, nil
	case mt == "STORIES":
		return kindStory, nil
	case mt == "CAROUSEL":
		return kindCarousel, nil
	case mt == "VIDEO":
		return nil, &graphError{Code: 100, Subcode: 2207067}
	}
	return nil, &graphError{Code: 100, Subcode: 2207023}
}

// checkParams checks the parameters against the table of their kind and against each rule.
func (k *mediaKind) checkParams(p url.Values) *graphError {
	image, video := p.Get("image_url"), p.Get("video_url")
	if (k == kindImage || k == kindChildImage) && image == "" {
		return &graphError{Type: "IGApiException", Code: 100, Message: "The parameter image_url is required"}
	}
	for name := range p {
		if !slices.Contains(commonParams, name) && !slices.Contains(k.params, name) {
			return &graphError{Code: 100, Message: fmt.Sprintf("(#100) param %s is not allowed", name)}
		}
	}
	if e := k.checkSource(image, video, p.Get("upload_type")); e != nil {
		return e
	}
	for _, check := range []func(url.Values) *graphError{checkCaption, checkPeople, checkDetails, checkAddOn} {
		if e := check(p); e != nil {
			return e
		}
	}
	return nil
}

// checkNames refuses every parameter but one and those of every call.
func checkNames(p url.Values, only string) *graphError {
	for name := range p {
		if name != only && !slices.Contains(commonParams, name) {
			return param(fmt.Sprintf("param %s is not allowed", name))
		}
	}
	return nil
}

// checkSource: exactly one of image, video and resumable upload.
func (k *mediaKind) checkSource(image, video, upload string) *graphError {
	if upload != "" && upload != "resumable" {
		return param("upload_type must be resumable")
	}
	given := 0
	for _, v := range []string{image, video, upload} {
		if v != "" {
			given++
		}
	}
	switch {
	case k == kindCarousel:
		return nil
	case given == 1:
		return nil
	case k == kindStory:
		return param("exactly one of image_url, video_url and upload_type is required")
	case k.video:
		return param("The parameter video_url is required")
	}
	return param("exactly one media source is allowed")
}

func param(message string) *graphError { return &graphError{Code: 100, Message: "(#100) " + message} }

var (
	hashtag = regexp.MustCompile(`#[\p{L}\p{N}_]+`)
	mention = regexp.MustCompile(`(?:^|[^\p{L}\p{N}_.])@[\w.]+`)
)

// checkCaption: 2200 characters, 30 hashtags, 20 mentions (IG User Media, 2026-03).
func checkCaption(p url.Values) *graphError {
	c := p.Get("caption")
	if utf8.RuneCountInString(c) > 2200 || len(hashtag.FindAllString(c, -1)) > 30 || len(mention.FindAllString(c, -1)) > 20 {
		return &graphError{Code: 36004, Subcode: 2207010}
	}
	return nil
}

// checkPeople reads collaborators and user_tags.
func checkPeople(p url.Values) *graphError {
	names, ok := list(p.Get("collaborators"))
	if !ok || len(names) > 3 {
		return param("collaborators must be a list of up to 3 usernames")
	}
	if slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(n, "@") }) {
		return &graphError{Code: 110, Subcode: 2207018}
	}
	if p.Get("user_tags") == "" {
		return nil
	}
	var tags []struct {
		Username string   `json:"username"`
		X        *float64 `json:"x"`
		Y        *float64 `json:"y"`
	}
	if json.Unmarshal([]byte(p.Get("user_tags")), &tags) != nil {
		return param("user_tags must be a JSON array")
	}
	feedImage := p.Get("image_url") != "" && p.Get("media_type") != "STORIES"
	for _, t := range tags {
		if t.Username == "" || !inUnit(t.X, feedImage) || !inUnit(t.Y, feedImage) {
			return param("user_tags need a username, and x and y between 0 and 1 on images")
		}
	}
	return nil
}

func inUnit(v *float64, required bool) bool {
	if v == nil {
		return !required
	}
	return *v >= 0 && *v <= 1
}

func checkDetails(p url.Values) *graphError {
	if utf8.RuneCountInString(p.Get("alt_text")) > 1000 {
		return param("alt_text is longer than 1000 characters")
	}
	if v := p.Get("location_id"); v != "" && !digits.MatchString(v) {
		return param("location_id must be a Page id")
	}
	if v := p.Get("thumb_offset"); v != "" {
		if n, err := strconv.ParseInt(v, 10, 64); err != nil || n < 0 {
			return &graphError{Code: 1, Subcode: 2207057}
		}
	}
	for _, name := range []string{
		"share_to_feed", "is_ai_generated", "is_paid_partnership", "is_carousel_item", "is_poll_duration_extended", "is_comment_prompt_used",
	} {
		if v := p.Get(name); v != "" && v != "true" && v != "false" {
			return param(name + " must be a boolean")
		}
	}
	return checkTrial(p.Get("trial_params"))
}

// checkAddOn: one of poll and comment prompt, and the caption is its question (Caption Add-ons, 2026-09-28).
func checkAddOn(p url.Values) *graphError {
	poll, prompt := p.Get("poll_attachment"), p.Get("is_comment_prompt_used") == "true"
	switch {
	case poll == "" && p.Get("is_poll_duration_extended") != "":
		return param("is_poll_duration_extended needs a poll_attachment")
	case poll == "" && !prompt:
		return nil
	case poll != "" && prompt:
		return param("only one caption add-on is allowed")
	case strings.TrimSpace(p.Get("caption")) == "":
		return param("a caption add-on needs a caption")
	case poll == "":
		return nil
	}
	_, e := answersOf(poll)
	return e
}

// answersOf reads the answers of a poll: option_a and option_b are required, option_c and option_d may follow.
func answersOf(poll string) ([]string, *graphError) {
	var options map[string]string
	if json.Unmarshal([]byte(poll), &options) != nil {
		return nil, param("poll_attachment must be a JSON object")
	}
	var answers []string
	for _, name := range []string{"option_a", "option_b", "option_c", "option_d"} {
		text, given := options[name]
		if !given {
			break
		}
		if text == "" {
			return nil, param(name + " is empty")
		}
		answers = append(answers, text)
	}
	if len(answers) < 2 || len(answers) < len(options) {
		return nil, param("poll_attachment needs option_a and option_b, and may have option_c and option_d")
	}
	return answers, nil
}

func checkTrial(v string) *graphError {
	if v == "" {
		return nil
	}
	var trial struct {
		Strategy string `json:"graduation_strategy"`
	}
	if json.Unmarshal([]byte(v), &trial) != nil || trial.Strategy != "MANUAL" && trial.Strategy != "SS_PERFORMANCE" {
		return param("trial_params need a graduation_strategy of MANUAL or SS_PERFORMANCE")
	}
	return nil
}

var digits = regexp.MustCompile(`^\d+$`)

// list reads a comma-separated list or a JSON array of strings or numbers; Graph takes both.
func list(v string) ([]string, bool) {
	v = strings.TrimSpace(v)
	if v == "" {
		return nil, true
	}
	if !strings.HasPrefix(v, "[") {
		parts := strings.Split(v, ",")
		for i := range parts {
			parts[i] = strings.TrimSpace(parts[i])
		}
		return parts, true
	}
	var raw []json.RawMessage
	if json.Unmarshal([]byte(v), &raw) != nil {
		return nil, false
	}
	out := make([]string, len(raw))
	for i, r := range raw {
		if json.Unmarshal(r, &out[i]) != nil {
			out[i] = string(r) // a bare number
		}
	}
	return out, true
}
