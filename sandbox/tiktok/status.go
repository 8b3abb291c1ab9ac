package tiktok

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"socialqueue/sandbox/engine"
)

// publishTask is one publish_id from init to its final state. Platform.mu guards it.
type publishTask struct {
	id        string
	account   *account // as at init; settings may change later, the identity does not
	createdAt time.Time
	inbox     bool
	pull      bool
	kind      *mediaKind
	title     string // of photos only
	caption   string
	privacy   string

	plan                  chunkPlan
	uploadID, uploadToken string
	received              int64
	busy                  bool // a chunk is being written
	cancel                context.CancelFunc
	files                 []*engine.Blob // in the order of the post

	takenAt time.Time // all files are here; zero before
	verdict string    // fail_reason that processing will end in, or ""
	stuck   bool

	failed     bool
	failReason string
	done       bool // published or delivered
	postID     int64
}

func (p *publishTask) expired(now time.Time) bool {
	return !now.Before(p.createdAt.Add(uploadURLLife))
}

// abandoned reports an upload whose URL expired before the last byte: it can never become a post.
func (p *publishTask) abandoned(now time.Time) bool {
	return !p.pull && p.takenAt.IsZero() && p.expired(now)
}

// take records that all files have arrived, and decides the result of processing. found is what the check of the files
// came to. The result shows only after the processing delay: an accepted upload is not a published one.
func (t *Platform) take(p *publishTask, found string, now time.Time) {
	p.takenAt = now
	acc := t.current(p)
	switch {
	case found != "":
		p.verdict = found
	case !p.inbox && acc.Banned:
		p.verdict = "spam_risk_user_banned_from_posting"
	case !p.inbox && acc.atCap(now):
		p.verdict = "spam_risk_too_many_posts"
	}
	if f, ok := t.host.TakeFault(OpProcess, p.account.OpenID); ok {
		p.stuck = f.Mode == engine.ModeStuck
		if f.Mode == engine.ModeFail {
			p.verdict = f.Code
		}
	}
	if p.verdict == "" && !p.inbox {
		acc.posted.Add("", now)
	}
	t.settle(p, now)
}

// current returns the account with its current settings; AddAccount may have replaced it since init.
func (t *Platform) current(p *publishTask) *account { return t.accounts[p.account.OpenID] }

// settle moves a publish task to its state at the virtual time. It runs before every read of a task, so no timer is
// needed and the result does not depend on who reads when.
func (t *Platform) settle(p *publishTask, now time.Time) {
	if p.failed || p.done || p.stuck {
		return
	}
	if p.takenAt.IsZero() {
		if p.pull && p.expired(now) {
			t.fails(p, p.kind.pullFailed, p.createdAt.Add(uploadURLLife)) // a download may take one hour
		}
		return
	}
	ready := p.takenAt.Add(t.opts.Delays.Processing)
	if now.Before(ready) {
		return
	}
	if p.verdict != "" {
		t.fails(p, p.verdict, ready)
		return
	}
	t.publish(p, ready)
	t.moderate(p, now)
}

func (t *Platform) fails(p *publishTask, reason string, at time.Time) {
	p.failed, p.failReason = true, reason
	if p.cancel != nil {
		p.cancel()
	}
	for _, b := range p.files {
		b.Discard()
	}
	delete(t.pending, p)
	t.emitPost(p, eventFailed, at, postEvent{Reason: reason})
}

// publish creates the one live post, or inbox draft, of a publish_id.
func (t *Platform) publish(p *publishTask, at time.Time) {
	p.done = true
	delete(t.pending, p)
	acc := t.current(p)
	post := engine.LivePost{AccountID: acc.OpenID, Username: acc.Username, Kind: p.kind.name, PublishID: p.id,
		Title: p.title, Caption: p.caption, Privacy: p.privacy, At: at}
	if p.inbox {
		t.host.AddDraft(post, p.files...)
		t.emitPost(p, eventInbox, at, postEvent{})
		return
	}
	p.postID = snowflake(t.host.NextID(), at)
	post.ID = fmt.Sprint(p.postID)
	post.Permalink = fmt.Sprintf("/@%s/%s/%d", acc.Username, p.kind.name, p.postID)
	t.host.GoLive(post, p.files...)
	t.emitPost(p, eventComplete, at, postEvent{})
	if p.privacy != privacySelf {
		t.review[p] = struct{}{}
	}
}

// moderate ends the review of a post whose public id is due, and emits the event once.
func (t *Platform) moderate(p *publishTask, now time.Time) {
	if _, waits := t.review[p]; waits && p.hasPublicID(now, t.opts.Delays) {
		delete(t.review, p)
		t.emitPost(p, eventAvailable, p.publicAt(t.opts.Delays), postEvent{PostID: fmt.Sprint(p.postID)})
	}
}

func (t *Platform) settleAll() {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.host.Now()
	for _, p := range inOrder(t.pending) {
		t.settle(p, now)
	}
	for _, p := range inOrder(t.review) {
		t.moderate(p, now)
	}
}

// inOrder lists tasks by their ids, so that two runs with the same input send the same webhooks in the same order.
func inOrder(tasks map[*publishTask]struct{}) []*publishTask {
	return slices.SortedFunc(maps.Keys(tasks), func(a, b *publishTask) int { return strings.Compare(a.id, b.id) })
}

// statusData is the data of status/fetch. Empty fields are omitted, ids are numbers (Get Post Status).
type statusData struct {
	Status     string  `json:"status"`
	FailReason string  `json:"fail_reason,omitempty"`
	PostIDs    []int64 `json:"publicaly_available_post_id,omitempty"` // misspelled by TikTok
	Uploaded   int64   `json:"uploaded_bytes,omitempty"`
	Downloaded int64   `json:"downloaded_bytes,omitempty"`
}

func (t *Platform) status(x *engine.Exchange, acc *account) engine.Reply {
	p, no := t.find(x, acc)
	if no != nil {
		return t.fail(x, no.code, no.message)
	}
	st := statusData{Status: p.statusName(), FailReason: p.failReason}
	if p.pull {
		for _, b := range p.files {
			st.Downloaded += b.Size()
		}
	} else {
		st.Uploaded = p.received
	}
	if p.hasPublicID(x.Now, t.opts.Delays) {
		st.PostIDs = []int64{p.postID}
	}
	return t.ok(x, st)
}

func (p *publishTask) statusName() string {
	switch {
	case p.failed:
		return "FAILED"
	case p.done && p.inbox:
		return "SEND_TO_USER_INBOX"
	case p.done:
		return "PUBLISH_COMPLETE"
	case p.pull:
		return "PROCESSING_DOWNLOAD"
	}
	return "PROCESSING_UPLOAD"
}

// hasPublicID reports whether the post has a public id: moderation has ended and the post is not SELF_ONLY.
func (p *publishTask) hasPublicID(now time.Time, d *Delays) bool {
	return p.done && !p.inbox && p.privacy != privacySelf && !now.Before(p.publicAt(d))
}

// publicAt returns when moderation ends.
func (p *publishTask) publicAt(d *Delays) time.Time {
	return p.takenAt.Add(d.Processing + d.Moderation)
}

// find reads the publish_id of a status or cancel call and checks that it belongs to the account.
func (t *Platform) find(x *engine.Exchange, acc *account) (*publishTask, *refusal) {
	var in struct {
		PublishID string `json:"publish_id"`
	}
	if err := decode(x.Request, &in); err != nil {
		return nil, &refusal{"invalid_params", err.Error()}
	}
	p := t.posts[in.PublishID]
	switch {
	case p == nil:
		return nil, &refusal{"invalid_publish_id", "The publish_id is invalid."}
	case p.account.OpenID != acc.OpenID:
		return nil, &refusal{"token_not_authorized_for_specified_publish_id", "The token does not belong to this publish_id."}
	}
	t.settle(p, x.Now)
	return p, nil
}
