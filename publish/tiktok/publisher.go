// Package tiktok publishes posts on TikTok.
//
// A video is an upload (tiktok.init), its chunks, and its last chunk: one publish_id is one
// upload and can make at most one post, which goes live by itself once the last byte is in.
// So opening an upload is harmless, the last chunk is the call that may make the post live,
// and everything in between is read from status/fetch.
//
// Photos are fetched by TikTok, and so is a video behind a customer's link, if the app asks for
// that: then the call that names the files makes the post.
package tiktok

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"socialqueue/media"
	"socialqueue/models"
	"socialqueue/platform"
	"socialqueue/platform/tiktok"
	"socialqueue/publish"
)

// OpPhotos and OpPull are the one call of a post whose files TikTok fetches: of photos, and of a
// video.
const (
	OpPhotos models.LedgerOp = "tiktok.photos"
	OpPull   models.LedgerOp = "tiktok.pull"
)

// The steps of a video.
const (
	opInit      models.LedgerOp = "tiktok.init"
	opChunks    models.LedgerOp = "tiktok.chunks"
	opLastChunk models.LedgerOp = "tiktok.last_chunk"
)

const (
	// uploadURLLife is how long an upload_url takes bytes (direct-post reference,
	// 2026-09-11), and uploadURLMargin the slack on either side of it.
	uploadURLLife   = time.Hour
	uploadURLMargin = 5 * time.Minute
	// idWindow is how long a public video is polled for its id: moderation takes a
	// minute, sometimes hours.
	idWindow = 24 * time.Hour
	// initsPerMinute is TikTok's limit for a user's token (direct-post, photo-post and
	// upload references, 2026-09-11). It is documented for each call; all kinds share it here.
	initsPerMinute = 6
	// pendingShares is TikTok's limit for posts that wait in an account's inbox (upload
	// reference, 2026-09-11).
	pendingShares = 5
)

// inits is the budget that all kinds of posts share.
func (p *Publisher) inits() *publish.Budget {
	if p.InitsPerMinute == 0 {
		return nil
	}
	return &publish.Budget{
		Name: "post_starts", Most: p.InitsPerMinute, Within: time.Minute,
		Text: fmt.Sprintf("this account may start %d TikTok posts a minute, and has", p.InitsPerMinute),
	}
}

// pendingShares is the budget of posts that go to the creator's inbox. TikTok does not tell when the
// creator is done with one, so each counts for the whole time.
func (p *Publisher) pendingShares() *publish.Budget {
	if p.PendingShares == 0 {
		return p.inits()
	}
	return &publish.Budget{
		Name: "pending_shares", Most: p.PendingShares, Within: 24 * time.Hour, Effective: true, Reason: models.DeferredPendingCap,
		Text: fmt.Sprintf("TikTok keeps %d posts of a day in this account's inbox, and has as many", p.PendingShares),
	}
}

// polls keeps 30 polls of an account's posts in a minute (status/fetch reference, 2026-09-11):
// eight at once, and then one every three seconds. The reads that resume an upload are left to the
// rest.
var polls = &publish.Pace{Name: "status", Every: 3 * time.Second, Burst: 8}

// Publisher publishes on TikTok.
type Publisher struct {
	client *tiktok.Client
	// Photos is what photos are scaled down to.
	Photos media.Variant
	// InitsPerMinute is how many posts of all kinds an account may start in a minute; 0 is no
	// limit.
	InitsPerMinute int
	// PendingShares is how many posts an account's inbox takes in 24 hours; 0 is no limit.
	PendingShares int
	// PullHosts are the domains from which TikTok may fetch customers' videos.
	PullHosts []string
}

// New makes a Publisher.
func New(client *tiktok.Client) *Publisher {
	return &Publisher{client: client, Photos: media.Width1080, InitsPerMinute: initsPerMinute, PendingShares: pendingShares}
}

// Platform returns models.TikTok.
func (p *Publisher) Platform() models.Platform { return models.TikTok }

// Kinds lists what can be posted.
func (p *Publisher) Kinds() []publish.Kind {
	return []publish.Kind{{
		Name: models.Video, Decode: decode, Steps: p.upload(p.inits()),
		Variants: []publish.Kind{
			{Name: models.Video, Decode: decode, Applies: all((*Options).Pulls, (*Options).inbox), CheckPull: p.checkPull, Steps: p.pull(p.pendingShares())},
			{Name: models.Video, Decode: decode, Applies: all((*Options).Pulls), CheckPull: p.checkPull, Steps: p.pull(p.inits())},
			{Name: models.Video, Decode: decode, Applies: all((*Options).inbox), Steps: p.upload(p.pendingShares())},
		},
	}, {
		Name: models.Photo, Decode: decode, MaxFiles: maxPhotos, Steps: p.photos(p.inits()),
		Variants: []publish.Kind{
			{Name: models.Photo, Decode: decode, MaxFiles: maxPhotos, Applies: all((*Options).inbox), Steps: p.photos(p.pendingShares())},
		},
	}}
}

// all reports whether options are all of that.
func all(are ...func(*Options) bool) func(publish.Options) bool {
	return func(o publish.Options) bool {
		for _, is := range are {
			if !is(o.(*Options)) {
				return false
			}
		}
		return true
	}
}

// upload are the steps of a video whose bytes we send.
func (p *Publisher) upload(starts *publish.Budget) []publish.Step {
	return []publish.Step{
		{Op: opInit, Harmless: true, Heavy: true, Budget: starts, Prepare: p.prepareInit, Keep: keepPublishID},
		{Op: opChunks, Harmless: true, Resumes: true, Heavy: true, Prepare: p.prepareChunks},
		{
			Op: opLastChunk, Heavy: true, Back: opChunks, RefusalProves: true,
			Prepare: p.prepareLastChunk, Read: p.read, ReadPace: polls,
		},
	}
}

// pull is the step of a video that TikTok fetches.
func (p *Publisher) pull(starts *publish.Budget) []publish.Step {
	return []publish.Step{
		{Op: OpPull, RefusalProves: true, Budget: starts, Prepare: p.preparePull, Keep: keepPublishID, Read: p.readPulled, ReadPace: polls},
	}
}

func (p *Publisher) photos(starts *publish.Budget) []publish.Step {
	return []publish.Step{
		{Op: OpPhotos, Heavy: true, RefusalProves: true, Budget: starts, Prepare: p.preparePhotos, Keep: keepPublishID, Read: p.readPulled, ReadPace: polls},
	}
}

func decode(raw json.RawMessage) (publish.Options, error) {
	var o Options
	err := json.Unmarshal(raw, &o)
	return &o, err
}

func keepPublishID(p *models.Post, id string) { p.PublishID = &id }

// prepareInit asks what the creator's account allows now.
func (p *Publisher) prepareInit(ctx context.Context, run *publish.Run) (publish.Call, error) {
	file, err := run.File(ctx, 0)
	if err != nil {
		return nil, err
	}
	options, err := Of(run.Post())
	if err != nil {
		return nil, err
	}
	creator, err := p.creator(ctx, run, options, file)
	if err != nil {
		return nil, err
	}
	plan, err := tiktok.PlanUpload(file.Bytes)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (publish.Result, error) {
		upload, err := p.initUpload(ctx, run, creator, options, plan)
		if err != nil {
			return publish.Result{}, err
		}
		return publish.Result{
			ID: upload.PublishID, Secret: upload.URL, Message: "TikTok opened the upload " + upload.PublishID,
			Record: record(run, options, upload.PublishID, "", "processing"),
		}, nil
	}, nil
}

func (p *Publisher) initUpload(ctx context.Context, run *publish.Run, c tiktok.CreatorInfo, o *Options, plan tiktok.Plan) (tiktok.Upload, error) {
	if o.inbox() {
		return p.client.InitInbox(ctx, run.Token().Access, plan)
	}
	return p.client.InitVideo(ctx, run.Token().Access, videoPost(c, o), plan)
}

// creator asks what the creator's account allows now, and checks the post against it. A post
// to the inbox needs no such permission, and its account may not even have it.
func (p *Publisher) creator(ctx context.Context, run *publish.Run, o *Options, files ...*models.Media) (tiktok.CreatorInfo, error) {
	if o.inbox() {
		return tiktok.CreatorInfo{}, nil
	}
	c, err := p.client.CreatorInfo(ctx, run.Token().Access)
	if err != nil {
		return c, err
	}
	return c, creatorAllows(c, o, files...)
}

// creatorAllows checks the post against what the creator's account allows now.
func creatorAllows(c tiktok.CreatorInfo, options *Options, files ...*models.Media) error {
	var errs models.FieldErrors
	checkCreator(&errs, c, options, "media_id", files...)
	if err := errs.Err(); err != nil {
		return &platform.Error{
			Provider: models.TikTok, Op: "tiktok.creator_info", Kind: platform.Rejected, Code: platform.CodePublishFailed, Err: err,
		}
	}
	return nil
}

// videoPost fills post_info. What the creator's account forbids is switched off
// here too, as the guidelines ask.
func videoPost(c tiktok.CreatorInfo, o *Options) tiktok.VideoPost {
	return tiktok.VideoPost{
		Title: o.Title, PrivacyLevel: o.PrivacyLevel,
		DisableDuet:    o.DisableDuet || c.DuetDisabled,
		DisableComment: o.DisableComment || c.CommentDisabled,
		DisableStitch:  o.DisableStitch || c.StitchDisabled,
		BrandContent:   o.BrandContent, BrandOrganic: o.BrandOrganic,
		AIGC: o.AIGC, CoverTimestampMs: o.CoverTimestampMs,
	}
}

// read polls status/fetch.
func (p *Publisher) read(ctx context.Context, run *publish.Run) (publish.Verdict, error) {
	status, err := p.client.Status(ctx, run.Token().Access, run.ID(opInit))
	if err != nil {
		return publish.Verdict{}, err
	}
	return verdict(ctx, run, status)
}

// verdict says what TikTok's status means for the post.
func verdict(ctx context.Context, run *publish.Run, status tiktok.Status) (publish.Verdict, error) {
	options, err := Of(run.Post())
	if err != nil {
		return publish.Verdict{}, err
	}
	if v, ended := final(run, options, status); ended {
		return v, nil
	}
	file, err := run.File(ctx, 0)
	if err != nil {
		return publish.Verdict{}, err
	}
	last := run.Entry(opLastChunk)
	if status.UploadedBytes >= file.Bytes || last != nil && last.State == models.Done {
		return publish.Verdict{State: publish.Pending, Message: "TikTok has the whole video and says " + status.Raw}, nil
	}
	return incomplete(run, fmt.Sprintf("TikTok has %d of %d bytes", status.UploadedBytes, file.Bytes)), nil
}

// final says what a final status means. ended is false for any other.
func final(run *publish.Run, options *Options, status tiktok.Status) (v publish.Verdict, ended bool) {
	switch status.State {
	case tiktok.StateComplete:
		return live(run, options, status), true
	case tiktok.StateInbox:
		return publish.Verdict{
			State: publish.Delivered, Message: "in the creator's TikTok inbox",
			Record: record(run, options, publishID(run, options), "", "delivered"),
		}, true
	case tiktok.StateFailed:
		return refused(run, options, status), true
	}
	return publish.Verdict{}, false
}

// live is for a post that is live. Its id follows when moderation ended; one that only
// the creator sees never gets any.
func live(run *publish.Run, options *Options, status tiktok.Status) publish.Verdict {
	v := publish.Verdict{State: publish.Live, Message: "live on TikTok"}
	if len(status.PostIDs) > 0 {
		v.ID = status.PostIDs[0]
		v.Permalink = Permalink(run.Post(), run.Token().Username, v.ID)
	} else if options.PrivacyLevel != PrivacySelfOnly {
		v.IDWithin = idWindow
	}
	v.Record = record(run, options, publishID(run, options), v.ID, "published")
	return v
}

// Permalink returns the public address of a post by its id at TikTok.
func Permalink(p *models.Post, username, id string) string {
	if p.Kind == models.Photo {
		return tiktok.PhotoPermalink(username, id)
	}
	return tiktok.Permalink(username, id)
}

// begun is the call that TikTok answers with the publish_id.
func begun(run *publish.Run, o *Options) models.LedgerOp {
	switch {
	case run.Post().Kind == models.Photo:
		return OpPhotos
	case o.Pulls():
		return OpPull
	}
	return opInit
}

// publishID is what TikTok calls the post; empty if the answer that had it was lost.
func publishID(run *publish.Run, o *Options) string { return run.ID(begun(run, o)) }

// refused is for a post that TikTok took and then refused: it will not go live.
func refused(run *publish.Run, options *Options, status tiktok.Status) publish.Verdict {
	return publish.Verdict{
		State: publish.Over, Record: record(run, options, publishID(run, options), "", "failed"), Err: tiktok.FailReasonError(status.FailReason),
	}
}

// incomplete is for an upload that lacks bytes. One that is about to take no more of them
// is over, unless its last chunk was sent: then only once its URL surely takes none.
func incomplete(run *publish.Run, message string) publish.Verdict {
	opened := run.Entry(opInit).CreatedAt
	expires := opened.Add(uploadURLLife)
	switch {
	case !run.Now().After(expires.Add(-uploadURLMargin)):
		return publish.Verdict{State: publish.NotLive, Message: message}
	case run.MayBeLive() && !run.Now().After(expires.Add(uploadURLMargin)):
		return publish.Verdict{Message: "the upload expires while its last chunk may be on its way; polling until it can no longer arrive"}
	}
	return publish.Verdict{State: publish.Over, Err: &platform.Error{
		Provider: models.TikTok, Op: "tiktok.status", Kind: platform.Transient, Code: platform.CodeUploadFailed,
		Message: "the upload expired before TikTok had the whole video",
	}}
}

// record is the row of tiktok_posts for an upload. videoID may be empty.
func record(run *publish.Run, o *Options, publishID, videoID, status string) models.Record {
	p, now := run.Post(), run.Now()
	row := models.TikTokPost{
		UserID: p.UserID, OAuthAccountID: p.OAuthAccountID, PublishID: publishID, Status: status,
		Title: o.Title, PrivacyLevel: o.PrivacyLevel, DisableDuet: o.DisableDuet, DisableComment: o.DisableComment,
		DisableStitch: o.DisableStitch, BrandContentToggle: o.BrandContent, BrandOrganicToggle: o.BrandOrganic,
		CreatedAt: now, UpdatedAt: now, PostID: &p.ID,
	}
	if videoID != "" {
		row.VideoID = &videoID
	}
	return row
}
