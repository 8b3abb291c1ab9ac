package publish_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"socialqueue/models"
	"socialqueue/publish"
	instagramposts "socialqueue/publish/instagram"
	"socialqueue/sandbox"
)

func with(change func(*instagramposts.Options)) func(*publish.Request) {
	return func(r *publish.Request) { change(r.Options.(*instagramposts.Options)) }
}

// TestCaptionAddOns: a poll and a comment prompt go live with each kind that can have them.
func TestCaptionAddOns(t *testing.T) {
	for _, f := range []flow{instagramImage, instagramReel, instagramCarousel} {
		t.Run(f.name, func(t *testing.T) {
			w := onSQLite(t)
			for _, o := range []instagramposts.Options{
				{Caption: "Which bread?", Poll: &instagramposts.Poll{Options: []string{"Rye", "Wheat", "Corn"}, NoEnd: true}},
				{Caption: "Your favourite?", CommentPrompt: true},
			} {
				w.wantStatus(w.settle(w.accept(f, with(func(own *instagramposts.Options) {
					own.Caption, own.Poll, own.CommentPrompt = o.Caption, o.Poll, o.CommentPrompt
				}))), models.Published)
				live := w.sim.LivePosts()
				if last := live[len(live)-1]; (o.Poll != nil) != slices.Equal(last.Poll, []string{"Rye", "Wheat", "Corn"}) || last.Prompt != o.CommentPrompt {
					t.Errorf("live: %+v", last)
				}
			}
			w.wantLive(2)
		})
	}
}

// TestCaptionAddOnsThatAreRefused, with the field that is named.
func TestCaptionAddOnsThatAreRefused(t *testing.T) {
	w := onSQLite(t)
	two := &instagramposts.Poll{Options: []string{"Rye", "Wheat"}}
	for name, tc := range map[string]struct {
		flow   flow
		change func(*instagramposts.Options)
		want   string
	}{
		"both":         {instagramImage, func(o *instagramposts.Options) { o.Poll, o.CommentPrompt = two, true }, "comment_prompt"},
		"no question":  {instagramImage, func(o *instagramposts.Options) { o.Poll, o.Caption = two, " " }, "poll"},
		"one answer":   {instagramImage, func(o *instagramposts.Options) { o.Poll = &instagramposts.Poll{Options: []string{"Rye"}} }, "poll.options"},
		"five answers": {instagramImage, func(o *instagramposts.Options) { o.Poll = &instagramposts.Poll{Options: strings.Fields("a b c d e")} }, "poll.options"},
		"a long answer": {instagramImage, func(o *instagramposts.Options) {
			o.Poll = &instagramposts.Poll{Options: []string{"a", strings.Repeat("b", 101)}}
		}, "poll.options"},
		"only an end":    {instagramImage, func(o *instagramposts.Options) { o.Poll = &instagramposts.Poll{NoEnd: true} }, "poll.options"},
		"under a story":  {instagramImageStory, func(o *instagramposts.Options) { o.Poll = two }, "poll"},
		"story's prompt": {instagramImageStory, func(o *instagramposts.Options) { o.CommentPrompt = true }, "comment_prompt"},
	} {
		r := tc.flow.request(w)
		tc.change(r.Options.(*instagramposts.Options))
		w.wantRefused(name, r, tc.want)
	}
}

// TestAccountsOwnPlace: it is taken by posts that name none, and can have one.
func TestAccountsOwnPlace(t *testing.T) {
	w := onSQLite(t)
	w.must(w.db.Accounts.SetDefaultLocation(w.ctx, w.app.ID, w.insta, "4711"))
	for _, tc := range []struct {
		flow   flow
		change func(*instagramposts.Options)
		want   string
	}{
		{instagramImage, func(*instagramposts.Options) {}, "4711"},
		{instagramReel, func(o *instagramposts.Options) { o.LocationID = "815" }, "815"},
		{instagramCarousel, func(o *instagramposts.Options) { o.OwnLocation = true }, ""},
		{instagramImageStory, func(*instagramposts.Options) {}, ""},
	} {
		w.wantStatus(w.settle(w.accept(tc.flow, with(tc.change))), models.Published)
		live := w.sim.LivePosts()
		if last := live[len(live)-1]; last.Location != tc.want {
			t.Errorf("%s: the place is %q, want %q", tc.flow.name, last.Location, tc.want)
		}
	}
}

// TestRefusedTrialIsRemembered: further trial reels are refused for a day before they are
// accepted, and ordinary ones are not.
func TestRefusedTrialIsRemembered(t *testing.T) {
	w := onSQLite(t)
	trial := with(func(o *instagramposts.Options) { o.Trial = "MANUAL" })
	w.sim.Script(sandbox.Fault{Op: sandbox.OpInstagramContainer, Mode: sandbox.ModeError, Code: "100", Subcode: 2207081})
	p := w.settle(w.accept(instagramReel, trial))
	if w.wantStatus(p, models.Failed); !strings.Contains(p.ErrorMessage, "may not make trial reels") {
		t.Errorf("error %q", p.ErrorMessage)
	}
	w.clock.Advance(time.Minute) // longer than the account is kept in mind
	r := instagramReel.request(w)
	trial(&r)
	w.wantRefused("a second trial", r, "trial_strategy")
	w.wantStatus(w.settle(w.accept(instagramReel)), models.Published)
	w.clock.Advance(24 * time.Hour)
	w.wantStatus(w.settle(w.accept(instagramReel, trial)), models.Published)
	w.wantLive(2)
}

// wantRefused wants a request refused for a field.
func (w *fixture) wantRefused(name string, r publish.Request, field string) {
	w.t.Helper()
	_, err := w.Accept(w.ctx, r)
	errs, _ := errors.AsType[models.FieldErrors](err)
	if !slices.ContainsFunc(errs, func(e models.FieldError) bool { return e.Field == field }) {
		w.t.Errorf("%s: %v, want an error in %s", name, err, field)
	}
}
