package instagram

import (
	"slices"
	"time"

	"socialqueue/models"
)

// trialsRefusedFor is how long a refusal of trial reels is believed. Whether an account may make
// them is known only by trying, and tries with an account that may not use up its calls.
const trialsRefusedFor = 24 * time.Hour

// UseAccount puts the account's own place into a post that names none, and refuses a trial reel
// within a day after the account was refused one.
func (o *Options) UseAccount(errs *models.FieldErrors, kind models.Kind, a models.PostingAccount, at time.Time) {
	if o.LocationID == "" && !o.OwnLocation && slices.Contains(offered["location_id"], kind) {
		o.LocationID = a.DefaultLocationID
	}
	if refused := a.TrialsRefusedAt; o.Trial != "" && refused != nil && at.Sub(*refused) < trialsRefusedFor {
		errs.Add("trial_strategy", "Instagram refused this account a trial reel at %s; leave it out, or publish it after %s",
			refused.UTC().Format(time.RFC3339), refused.Add(trialsRefusedFor).UTC().Format(time.RFC3339))
	}
}

// LocationID reads the id of a Page, or its address with that id in it. ok is false for any other
// text, which is returned as it is.
func LocationID(text string) (id string, ok bool) {
	if found := pageID.FindStringSubmatch(text); found != nil {
		text = found[1]
	}
	return text, digits.MatchString(text)
}
