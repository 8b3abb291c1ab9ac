// Package instagram publishes posts on Instagram.
//
// A post is a container (and, for a video, its upload) that media_publish makes live. That of
// a carousel is made of a container for each child. A container alone is harmless, however
// many there are; media_publish is the call that may make the post live, and its result is
// read from the container and the account's media.
package instagram

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"socialqueue/models"
	"socialqueue/platform"
	"socialqueue/platform/instagram"
	"socialqueue/publish"
	"socialqueue/secrets"
)

// The steps of a post.
const (
	opContainer models.LedgerOp = "instagram.create_container"
	opUpload    models.LedgerOp = "instagram.upload"
	opPublish   models.LedgerOp = "instagram.publish"
	opComment   models.LedgerOp = "instagram.comment"
)

const (
	// linkLife is how long Instagram may fetch a picture from us: as long as the
	// container lives.
	linkLife = 24 * time.Hour
	// quotaWait is how long a post waits when the account's rolling quota is used up; the
	// window does not say when its next place becomes free.
	quotaWait = time.Hour
	// notReadyLimit is how often media_publish may answer "not ready" before the container
	// is given up.
	notReadyLimit = 10
)

// Publisher publishes on Instagram.
type Publisher struct {
	client *instagram.Client
	// CaptionAddOns allows polls and comment prompts.
	CaptionAddOns bool
	// ContainersPerDay is how many containers an account may make in 24 hours; 0 is no limit.
	ContainersPerDay int
}

// containersPerDay is Instagram's limit (IG User Media reference, 2026-06). A carousel of n files makes n + 1.
const containersPerDay = 400

// containers is the budget that all containers of an account share.
func (p *Publisher) containers() *publish.Budget {
	if p.ContainersPerDay == 0 {
		return nil
	}
	return &publish.Budget{
		Name: "containers", Most: p.ContainersPerDay, Within: 24 * time.Hour, Reason: models.DeferredDailyCap,
		Text: fmt.Sprintf("this account may make %d Instagram containers in 24 hours, and has", p.ContainersPerDay),
	}
}

// New makes a Publisher. client is nil where FACEBOOK_APP_SECRET is not set: posts wait
// until a process has it.
func New(client *instagram.Client) *Publisher {
	return &Publisher{client: client, ContainersPerDay: containersPerDay}
}

var errNoAppSecret = &platform.Error{
	Provider: models.Instagram, Op: "instagram", Kind: platform.Transient, Code: platform.CodePublishFailed,
	Message: "FACEBOOK_APP_SECRET is not set in this process",
}

// Platform returns models.Instagram.
func (p *Publisher) Platform() models.Platform { return models.Instagram }

// Kinds lists what can be posted.
func (p *Publisher) Kinds() []publish.Kind {
	publishStep := publish.Step{
		Op: opPublish, NotReadyLimit: notReadyLimit, Prepare: p.preparePublish, Read: p.readPublished,
	}
	comment := &publish.Comment{Op: opComment, Send: p.sendComment, Find: p.findComment}
	return []publish.Kind{
		{Name: models.Image, Decode: decode, AltTexts: true, Search: p.searchLost, Comment: comment, Allow: p.allow, Steps: []publish.Step{
			{Op: opContainer, Harmless: true, Budget: p.containers(), Prepare: p.prepareImage, Keep: keepContainerID, Read: p.readContainer},
			publishStep,
		}},
		{Name: models.Reel, Decode: decode, Search: p.searchLost, Comment: comment, Allow: p.allow, Steps: []publish.Step{
			{Op: opContainer, Harmless: true, Heavy: true, Budget: p.containers(), Prepare: p.prepareReel, Keep: keepContainerID},
			{Op: opUpload, Harmless: true, Resumes: true, Heavy: true, Prepare: p.prepareUpload(0, opContainer), Read: p.readContainer},
			publishStep,
		}},
		{Name: models.Story, Decode: decode, Steps: []publish.Step{ // no search: a story has no text
			{Op: opContainer, Harmless: true, Heavy: true, Budget: p.containers(), Prepare: p.prepareStory, Keep: keepContainerID},
			{Op: opUpload, Harmless: true, Resumes: true, Heavy: true, Prepare: p.prepareUpload(0, opContainer), Read: p.readContainer},
			publishStep,
		}},
		{
			Name: models.Carousel, Decode: decode, AltTexts: true, Search: p.searchLost, Comment: comment, Allow: p.allow, MinFiles: minChildren, MaxFiles: maxChildren,
			Steps: append(p.childSteps(), publish.Step{
				Op: opContainer, Harmless: true, Budget: p.containers(), Prepare: p.prepareCarousel, Keep: keepContainerID, Read: p.readCarousel,
			}, publishStep),
		},
	}
}

func decode(raw json.RawMessage) (publish.Options, error) {
	var o Options
	err := json.Unmarshal(raw, &o)
	return &o, err
}

func keepContainerID(p *models.Post, id string) { p.ContainerID = &id }

// prepareImage returns the call that makes an image's container.
func (p *Publisher) prepareImage(ctx context.Context, run *publish.Run) (publish.Call, error) {
	options, err := p.prepare(ctx, run)
	if err != nil {
		return nil, err
	}
	link, err := run.Link(ctx, 0, run.Now().Add(linkLife))
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (publish.Result, error) {
		id, err := p.client.CreateImage(ctx, run.Token().Access, run.Token().ProviderAccountID, instagram.Image{
			URL: link, Caption: options.Caption, AltText: options.AltText, LocationID: options.LocationID,
			Collaborators: options.Collaborators, UserTags: tags(options.UserTags), AIGenerated: options.AIGenerated,
			AddOn: options.addOn(),
		})
		return made(id, "Instagram fetches the picture"), err
	}, nil
}

// prepareReel returns the call that makes a reel's container.
func (p *Publisher) prepareReel(ctx context.Context, run *publish.Run) (publish.Call, error) {
	options, err := p.prepare(ctx, run)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (publish.Result, error) {
		id, err := p.client.CreateReel(ctx, run.Token().Access, run.Token().ProviderAccountID, instagram.Reel{
			Caption: options.Caption, LocationID: options.LocationID, ShareToFeed: options.ShareToFeed, CoverURL: secrets.Secret(options.CoverURL),
			ThumbOffsetMs: options.ThumbOffsetMs, Collaborators: options.Collaborators, UserTags: tags(options.UserTags),
			AIGenerated: options.AIGenerated, Trial: options.Trial, AddOn: options.addOn(),
		})
		if instagram.TrialsRefused(err) {
			run.NoteTrialsRefused(ctx)
		}
		return made(id, ""), err
	}, nil
}

func made(containerID, waiting string) publish.Result {
	return publish.Result{ID: containerID, Message: "Instagram made the container " + containerID, Waiting: waiting}
}

func tags(tags UserTags) []instagram.UserTag {
	all := make([]instagram.UserTag, len(tags))
	for i, tag := range tags {
		all[i] = instagram.UserTag(tag)
	}
	return all
}

// prepare reads the options of a post and asks whether the account's quota has room.
func (p *Publisher) prepare(ctx context.Context, run *publish.Run) (*Options, error) {
	if p.client == nil {
		return nil, errNoAppSecret
	}
	options, err := Of(run.Post())
	if err != nil {
		return nil, err
	}
	asked := run.Now()
	quota, err := p.client.Quota(ctx, run.Token().Access, run.Token().ProviderAccountID)
	if platform.KindOf(err) == platform.Rejected && err != nil {
		return options, nil // a refused read decides nothing: the call says what is wrong
	}
	if err != nil {
		return nil, err
	}
	run.NoteQuota(ctx, models.Quota{Used: quota.Used, Total: quota.Total, WindowSeconds: int(quota.Window / time.Second), ReadAt: &asked})
	if quota.Used >= quota.Total {
		return nil, &publish.WaitError{
			In: quotaWait, Reason: models.DeferredDailyCap,
			Message: fmt.Sprintf("the account has used its %d posts in %s", quota.Total, quota.Window),
		}
	}
	return options, nil
}

// preparePublish returns the call that makes the container live.
func (p *Publisher) preparePublish(_ context.Context, run *publish.Run) (publish.Call, error) {
	if p.client == nil {
		return nil, errNoAppSecret
	}
	return func(ctx context.Context) (publish.Result, error) {
		id, err := p.client.Publish(ctx, run.Token().Access, run.Token().ProviderAccountID, run.ID(opContainer))
		return publish.Result{ID: id, Live: true}, err
	}, nil
}
