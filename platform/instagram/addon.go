package instagram

import "net/url"

// AddOn is what a caption may carry: a poll or a prompt to comment, not both (Caption Add-ons and
// Poll Attachment, 2026-09-28; Facebook Login only). The caption is the question. The zero value
// is none.
type AddOn struct {
	// Poll are its two to four answers.
	Poll []string
	// PollStays: the poll has no end. Otherwise it ends after three days.
	PollStays bool
	// CommentPrompt asks the readers to comment.
	CommentPrompt bool
}

var pollOptions = []string{"option_a", "option_b", "option_c", "option_d"}

func (a AddOn) set(form url.Values) {
	if len(a.Poll) > 0 {
		answers := map[string]string{}
		for i, text := range a.Poll[:min(len(a.Poll), len(pollOptions))] {
			answers[pollOptions[i]] = text
		}
		form.Set("poll_attachment", toJSON(answers))
		if a.PollStays {
			form.Set("is_poll_duration_extended", "true")
		}
	}
	if a.CommentPrompt {
		form.Set("is_comment_prompt_used", "true")
	}
}
