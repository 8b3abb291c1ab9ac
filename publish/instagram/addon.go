package instagram

import (
	"strings"
	"unicode/utf8"

	"socialqueue/models"
	"socialqueue/platform/instagram"
	"socialqueue/publish"
)

// Poll is a poll under a caption, which is its question.
type Poll struct {
	Options []string `json:"options"`
	// NoEnd: it has no end. Otherwise it ends after three days.
	NoEnd bool `json:"no_end,omitempty"`
}

// A poll has two to four answers (Poll Attachment, 2026-09-28). How long one may be is not
// documented; the bound is ours.
const (
	minPollOptions = 2
	maxPollOptions = 4
	maxPollOption  = 100
)

// addOn returns what the caption carries.
func (o *Options) addOn() instagram.AddOn {
	a := instagram.AddOn{CommentPrompt: o.CommentPrompt}
	if o.Poll != nil {
		a.Poll, a.PollStays = o.Poll.Options, o.Poll.NoEnd
	}
	return a
}

// checkAddOn: one add-on for each post, and the caption is its question (Caption Add-ons,
// 2026-09-28).
func (o *Options) checkAddOn(errs *models.FieldErrors) {
	field := "comment_prompt"
	if o.Poll != nil {
		field = "poll"
	}
	switch {
	case o.Poll == nil && !o.CommentPrompt:
		return
	case o.Poll != nil && o.CommentPrompt:
		errs.Add("comment_prompt", "a post has a poll or a comment prompt, not both")
	case strings.TrimSpace(o.Caption) == "":
		errs.Add(field, "needs a caption, which is the question")
	}
	if o.Poll == nil {
		return
	}
	if n := len(o.Poll.Options); n < minPollOptions || n > maxPollOptions {
		errs.Add("poll.options", "has %d answers; a poll has %d to %d", n, minPollOptions, maxPollOptions)
	}
	for _, text := range o.Poll.Options {
		if strings.TrimSpace(text) == "" || utf8.RuneCountInString(text) > maxPollOption {
			errs.Add("poll.options", "each answer has 1 to %d characters", maxPollOption)
			return
		}
	}
}

// allow refuses add-ons where the operator has not switched them on: Meta documents them, and
// nobody has reported yet how they behave.
func (p *Publisher) allow(errs *models.FieldErrors, options publish.Options) {
	o, ok := options.(*Options)
	if !ok || p.CaptionAddOns {
		return
	}
	for _, name := range []string{"comment_prompt", "poll"} {
		if o.given()[name] {
			errs.Add(name, "is switched off here; the operator can set INSTAGRAM_CAPTION_ADDONS=true")
		}
	}
}
