package publish

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"socialqueue/db"
	"socialqueue/models"
	"socialqueue/platform"
	"socialqueue/platform/tiktok"
	"socialqueue/secrets"
)

const (
	// uploadURLLife is how long an upload_url takes bytes (direct-post
	// reference, 2026-09-11), and uploadURLMargin the slack we leave on either
	// side of it.
	uploadURLLife   = time.Hour
	uploadURLMargin = 5 * time.Minute
	// arrivalMargin is how long TikTok gets to count the bytes of a last chunk
	// before it is sent again.
	arrivalMargin = 10 * time.Second
	// idWindow is how long a public video is asked for its id: moderation takes
	// a minute, sometimes hours.
	idWindow = 24 * time.Hour
)

// tiktok does the next thing for a TikTok video.
//
// One publish_id is one upload and can make at most one post; it goes live by
// itself once its last byte is in. So a new one is opened only when it is known
// that the old one cannot go live any more, and everything in between is asked
// of status/fetch.
func (r *run) tiktok(ctx context.Context) (outcome, error) {
	if opened := r.ledger.Latest(models.LedgerInit); opened != nil && opened.State == models.Done {
		r.post.PublishID = opened.ExternalID // the row lacks it after a crash right behind the init
	}
	if r.stored == models.Publishing {
		return r.tiktokTransfer(ctx)
	}
	return r.tiktokLook(ctx)
}

// tiktokTransfer opens an upload, or goes on with the one that the ledger
// knows.
func (r *run) tiktokTransfer(ctx context.Context) (outcome, error) {
	if err := r.fetchSource(ctx); err != nil {
		return outcome{}, err
	}
	file, err := r.DB.Media.ByID(ctx, *r.post.MediaID)
	if err != nil {
		return outcome{}, err
	}
	opened := r.ledger.Latest(models.LedgerInit)
	if opened == nil || opened.State != models.Done {
		// An init whose answer was lost opened an upload that gets no bytes:
		// nothing of it can go live.
		if err := r.void(ctx, models.LedgerInit); err != nil {
			return outcome{}, err
		}
		return r.tiktokOpen(ctx, file)
	}
	return r.tiktokResume(ctx, file, *opened)
}

// tiktokOpen asks what the creator allows, opens an upload and sends the file.
func (r *run) tiktokOpen(ctx context.Context, file *models.Media) (outcome, error) {
	creator, err := r.TikTok.CreatorInfo(ctx, r.token.Access)
	if err != nil {
		return outcome{}, err
	}
	if err := creatorAllows(creator, r.post.Content.TikTok, file); err != nil {
		return outcome{}, err
	}
	plan, err := tiktok.PlanUpload(file.Bytes)
	if err != nil {
		return outcome{}, err
	}
	entry, err := r.intend(ctx, models.LedgerInit)
	if err != nil {
		return outcome{}, err
	}
	upload, err := r.TikTok.InitVideo(ctx, r.token.Access, videoPost(creator, r.post.Content.TikTok), plan)
	if err != nil {
		// Whatever became of it: without bytes nothing goes live.
		return outcome{}, errors.Join(err, r.settle(ctx, entry, models.Void))
	}
	if err := r.tiktokOpened(ctx, entry, upload); err != nil {
		return outcome{}, err
	}
	return r.tiktokSend(ctx, file, upload.URL, plan, 0)
}

// tiktokOpened stores the publish_id before the first byte is sent.
func (r *run) tiktokOpened(ctx context.Context, entry *models.LedgerEntry, upload tiktok.Upload) error {
	sealed, err := r.Keys.Seal(upload.URL, models.UploadSealedIn(r.post.ID))
	if err != nil {
		return fmt.Errorf("seal upload_url: %w", err)
	}
	entry.ExternalID, entry.SealedURL = &upload.PublishID, sealed
	if err := r.settle(ctx, entry, models.Done); err != nil {
		return err
	}
	r.post.PublishID = &upload.PublishID
	r.post.UpdatedAt = r.Now()
	return r.write(ctx, "TikTok opened the upload "+upload.PublishID, db.RunWrite{TikTok: r.tiktokRow("processing")})
}

// tiktokResume goes on with an upload that an earlier run opened.
func (r *run) tiktokResume(ctx context.Context, file *models.Media, opened models.LedgerEntry) (outcome, error) {
	status, err := r.TikTok.Status(ctx, r.token.Access, *opened.ExternalID)
	if platform.KindOf(err) == platform.Gone {
		return r.tiktokGone(ctx, err)
	}
	if err != nil {
		return outcome{}, err
	}
	if status.State != tiktok.StateProcessing || status.UploadedBytes >= file.Bytes {
		return r.tiktokVerdict(ctx, status)
	}
	if r.Now().After(opened.CreatedAt.Add(uploadURLLife - uploadURLMargin)) {
		return r.tiktokExpired(ctx, &opened)
	}
	url, err := r.Keys.Open(opened.SealedURL, models.UploadSealedIn(r.post.ID))
	if err != nil {
		return outcome{}, fmt.Errorf("open upload_url: %w", err)
	}
	plan, err := tiktok.PlanUpload(file.Bytes)
	if err != nil {
		return outcome{}, err
	}
	return r.tiktokSend(ctx, file, url, plan, status.UploadedBytes)
}

// dead reports whether an upload can take no more bytes, whoever still sends
// some.
func (r *run) dead(opened *models.LedgerEntry) bool {
	return r.Now().After(opened.CreatedAt.Add(uploadURLLife + uploadURLMargin))
}

// tiktokExpired is for an upload that lacks bytes and is about to take no more,
// or takes none already. A new one is opened when nobody can complete the old
// one: its last chunk was surely never taken, or its URL is surely dead.
func (r *run) tiktokExpired(ctx context.Context, opened *models.LedgerEntry) (outcome, error) {
	if r.ledger.MayBeLive() && !r.dead(opened) {
		return r.lookLater("the upload expires while its last chunk may be under way; looking until it is surely dead"), nil
	}
	if err := r.void(ctx, models.LedgerLastChunk, models.LedgerInit); err != nil {
		return outcome{}, err
	}
	r.post.Step = models.StepTransfer
	return r.anew(r.retry(&platform.Error{
		Provider: models.TikTok, Op: "tiktok.status", Kind: platform.Transient, Code: platform.CodeUploadFailed,
		Message: "the upload expired before TikTok had the whole video",
	})), nil
}

// creatorAllows checks the post against what the creator's account allows now
// (content sharing guidelines, 2026-09-11).
func creatorAllows(c tiktok.CreatorInfo, content *models.TikTokContent, file *models.Media) error {
	var errs models.FieldErrors
	if !slices.Contains(c.PrivacyLevels, content.PrivacyLevel) {
		errs.Add("privacy_level", "%s is not open to this creator now; TikTok offers %v", content.PrivacyLevel, c.PrivacyLevels)
	}
	if c.MaxVideoDuration > 0 && file.Duration() > c.MaxVideoDuration {
		errs.Add("media_id", "the video lasts %s; this creator may post %s at most", file.Duration(), c.MaxVideoDuration)
	}
	if err := errs.Err(); err != nil {
		return &platform.Error{
			Provider: models.TikTok, Op: "tiktok.creator_info", Kind: platform.Rejected, Code: platform.CodePublishFailed, Err: err,
		}
	}
	return nil
}

// videoPost fills post_info. What the creator's account forbids is switched off
// here too, as the guidelines ask.
func videoPost(c tiktok.CreatorInfo, content *models.TikTokContent) tiktok.VideoPost {
	return tiktok.VideoPost{
		Title: content.Title, PrivacyLevel: content.PrivacyLevel,
		DisableDuet:    content.DisableDuet || c.DuetDisabled,
		DisableComment: content.DisableComment || c.CommentDisabled,
		DisableStitch:  content.DisableStitch || c.StitchDisabled,
		BrandContent:   content.BrandContent, BrandOrganic: content.BrandOrganic,
		AIGC: content.AIGC, CoverTimestampMs: content.CoverTimestampMs,
	}
}

// tiktokSend sends the file from offset on.
func (r *run) tiktokSend(ctx context.Context, file *models.Media, url secrets.Secret, plan tiktok.Plan, offset int64) (outcome, error) {
	send := &chunkSender{run: r, file: file, url: url, plan: plan}
	err := send.from(ctx, offset)
	switch {
	case err == nil:
		return r.tiktokSent(ctx, "TikTok has the whole video and processes it")
	case platform.KindOf(err) == platform.Gone:
		return r.tiktokGone(ctx, err)
	default:
		return outcome{}, err
	}
}

// tiktokSent is for when TikTok has every byte.
func (r *run) tiktokSent(ctx context.Context, message string) (outcome, error) {
	if last := r.ledger.Latest(models.LedgerLastChunk); last != nil && last.State != models.Done {
		if err := r.settle(ctx, last, models.Done); err != nil {
			return outcome{}, err
		}
	}
	return r.sent(models.Processing, message), nil
}

// tiktokGone is for an upload_url that TikTok knows no more. If its last chunk
// was never sent nothing of it can go live; otherwise only looking helps.
func (r *run) tiktokGone(ctx context.Context, err error) (outcome, error) {
	if r.ledger.MayBeLive() {
		return r.lookLater(err.Error()), nil
	}
	return outcome{}, errors.Join(err, r.void(ctx, models.LedgerInit))
}

// tiktokLook asks how the video fares, read-only.
func (r *run) tiktokLook(ctx context.Context) (outcome, error) {
	status, err := r.TikTok.Status(ctx, r.token.Access, *r.post.PublishID)
	if err != nil {
		return outcome{}, err
	}
	return r.tiktokVerdict(ctx, status)
}

// tiktokVerdict turns TikTok's account of the video into what comes next.
func (r *run) tiktokVerdict(ctx context.Context, status tiktok.Status) (outcome, error) {
	switch {
	case status.State == tiktok.StateComplete:
		return r.tiktokLive(ctx, status)
	case r.stored == models.Published: // TikTok said so before: it only looks for its id
		return r.lookLater("TikTok says " + status.Raw), nil
	case status.State == tiktok.StateInbox:
		return outcome{status: models.Delivered, last: true, message: "in the creator's TikTok inbox"}, nil
	case status.State == tiktok.StateFailed:
		return r.tiktokFailed(ctx, status)
	}
	last := r.ledger.Latest(models.LedgerLastChunk)
	if last != nil && last.State == models.Done {
		return r.lookLater("TikTok says " + status.Raw), nil
	}
	return r.tiktokArrival(ctx, status, last)
}

// tiktokArrival finds out whether TikTok has every byte, when the answer to the
// last chunk was lost.
func (r *run) tiktokArrival(ctx context.Context, status tiktok.Status, last *models.LedgerEntry) (outcome, error) {
	file, err := r.DB.Media.ByID(ctx, *r.post.MediaID)
	if err != nil {
		return outcome{}, err
	}
	if status.UploadedBytes >= file.Bytes {
		return r.tiktokSent(ctx, "TikTok has the whole video after all and processes it")
	}
	opened := r.ledger.Latest(models.LedgerInit)
	if r.Now().After(opened.CreatedAt.Add(uploadURLLife - uploadURLMargin)) {
		return r.tiktokExpired(ctx, opened)
	}
	why := fmt.Sprintf("TikTok has %d of %d bytes", status.UploadedBytes, file.Bytes)
	if last == nil || last.State == models.Void {
		return r.again(models.Publishing, models.StepTransfer, why+"; the upload goes on"), nil
	}
	if last.State == models.Intended && r.Now().Before(last.CreatedAt.Add(arrivalMargin)) {
		return r.uncertain(why + "; the last chunk may still arrive"), nil
	}
	if err := r.settle(ctx, last, models.Missing); err != nil {
		return outcome{}, err
	}
	// The same upload goes on, which does no harm should the chunk arrive late.
	return r.again(models.Publishing, models.StepTransfer, why+"; the last chunk is sent again"), nil
}

// tiktokFailed is for a video that TikTok took and then refused: it is not live
// and will not be.
func (r *run) tiktokFailed(ctx context.Context, status tiktok.Status) (outcome, error) {
	if err := r.void(ctx, models.LedgerLastChunk, models.LedgerInit); err != nil {
		return outcome{}, err
	}
	kind, code := tiktok.FailReasonKind(status.FailReason)
	err := &platform.Error{
		Provider: models.TikTok, Op: "tiktok.status", Kind: kind, Code: code, PlatformCode: status.FailReason,
		Message: "TikTok could not publish the video", RetryAfter: tiktok.CapWait,
	}
	r.post.Step = models.StepTransfer
	o := r.fail(code, err)
	switch kind {
	case platform.Transient:
		o = r.retry(err)
	case platform.RateLimited:
		o = r.rateLimited(err)
	}
	o = r.anew(o)
	o.rows.TikTok = r.tiktokRow("failed")
	return o, nil
}

// tiktokLive is for a video that is live. Its id follows when moderation ended;
// one that only the creator sees never gets any.
func (r *run) tiktokLive(ctx context.Context, status tiktok.Status) (outcome, error) {
	if last := r.ledger.Latest(models.LedgerLastChunk); last != nil && last.State != models.Done {
		if err := r.settle(ctx, last, models.Done); err != nil {
			return outcome{}, err
		}
	}
	now, p := r.Now(), r.post
	if p.PublishedAt == nil {
		p.PublishedAt, p.WaitingSince, p.Looks = &now, &now, 0
	}
	o := outcome{status: models.Published, last: true, message: "live on TikTok"}
	if len(status.PostIDs) > 0 {
		id := status.PostIDs[0]
		p.PlatformPostID = &id
		link := tiktok.Permalink(r.token.Username, id)
		p.Permalink = &link
		o.message = "live on TikTok as " + id
	} else if p.Content.TikTok.PrivacyLevel != models.PrivacySelfOnly && r.waited() < idWindow {
		o = outcome{status: models.Published, step: models.StepPublish, in: r.lookWait(), look: true, message: "live on TikTok; its id follows after moderation"}
	}
	o.rows.TikTok = r.tiktokRow("published")
	return o, nil
}

func (r *run) tiktokRow(status string) *models.TikTokPost {
	c, now := r.post.Content.TikTok, r.Now()
	return &models.TikTokPost{
		UserID: r.post.UserID, OAuthAccountID: r.post.OAuthAccountID, PublishID: *r.post.PublishID, VideoID: r.post.PlatformPostID,
		Status: status, Title: c.Title, PrivacyLevel: c.PrivacyLevel, DisableDuet: c.DisableDuet, DisableComment: c.DisableComment,
		DisableStitch: c.DisableStitch, BrandContentToggle: c.BrandContent, BrandOrganicToggle: c.BrandOrganic, CreatedAt: now, UpdatedAt: now,
		PostID: &r.post.ID,
	}
}

// openChunk reads bytes of a post's file from the store.
func (r *run) openChunk(ctx context.Context, first, length int64) (io.ReadCloser, error) {
	return r.Store.NewRangeReader(ctx, *r.post.MediaID, first, length)
}
