package instagram

import (
	"cmp"
	"context"
	"time"

	"socialqueue/models"
	"socialqueue/platform"
	"socialqueue/platform/instagram"
	"socialqueue/publish"
)

const (
	// containerLife is how long a container can be published (ig-container reference,
	// 24 h), less a margin for the publishing itself.
	containerLife = 23 * time.Hour
	// containerPatience is how long Instagram may work on a container before another one
	// takes its place.
	containerPatience = 30 * time.Minute
	// unreadablePatience is how long to wait for a fresh container that cannot be read
	// (100/33, seen since 2026-05) before media_publish is tried: its answer says whether
	// the container is ready.
	unreadablePatience = 2 * time.Minute
	// idPatience is how long the id of a live post is searched for.
	idPatience = time.Hour
)

// container reads the status of the container that the call op made. One that cannot be read is a state of its own:
// fresh ones sometimes cannot for weeks (100/33), and in 2026-05 Meta also refused reads
// with 10, 200 and a bare 100 while publishing worked. So a refused read says nothing.
func container(ctx context.Context, client *instagram.Client, run *publish.Run, op models.LedgerOp) (instagram.ContainerStatus, error) {
	if client == nil {
		return instagram.ContainerStatus{}, errNoAppSecret
	}
	status, err := client.ContainerStatus(ctx, run.Token().Access, run.ID(op))
	if err != nil && unreadable(err) {
		return instagram.ContainerStatus{State: instagram.StateUnreadable, Text: err.Error()}, nil
	}
	return status, err
}

// expired reports whether the container that the call op made can no longer be published.
func expired(run *publish.Run, op models.LedgerOp) bool {
	return run.Now().After(run.Entry(op).CreatedAt.Add(containerLife))
}

func unreadable(err error) bool {
	switch platform.KindOf(err) {
	case platform.Transient, platform.Gone, platform.Rejected:
		return true
	}
	return false
}

// readContainer tells whether the container is ready to be published.
func (p *Publisher) readContainer(ctx context.Context, run *publish.Run) (publish.Verdict, error) {
	status, err := container(ctx, p.client, run, opContainer)
	if err != nil {
		return publish.Verdict{}, err
	}
	switch status.State {
	case instagram.StatePublished:
		return p.live(ctx, run)
	case instagram.StateErrored:
		return errored(status), nil
	case instagram.StateExpired:
		return over(platform.Transient, "the container expired before it was published"), nil
	case instagram.StateInProgress:
		if run.Waited() > containerPatience {
			return over(platform.Transient, "Instagram did not finish the container in "+containerPatience.String()), nil
		}
		return publish.Verdict{State: publish.NotReady, Message: "Instagram: " + status.Text}, nil
	case instagram.StateFinished:
		return publish.Verdict{State: publish.NotLive, Message: "the container is ready"}, nil
	}
	if expired(run, opContainer) {
		return over(platform.Transient, "the container could not be read until it expired"), nil
	}
	if run.Waited() > unreadablePatience {
		return publish.Verdict{State: publish.NotLive, Message: "the container cannot be read; media_publish will say whether it is ready"}, nil
	}
	return publish.Verdict{Message: "the container cannot be read: " + status.Text}, nil
}

// readPublished tells whether media_publish made the container live.
func (p *Publisher) readPublished(ctx context.Context, run *publish.Run) (publish.Verdict, error) {
	sent := run.Entry(opPublish)
	if run.Live() || sent != nil && sent.State == models.Done {
		return p.live(ctx, run)
	}
	status, err := container(ctx, p.client, run, opContainer)
	if err != nil {
		return publish.Verdict{}, err
	}
	switch status.State {
	case instagram.StatePublished:
		return p.live(ctx, run)
	case instagram.StateErrored:
		return errored(status), nil
	case instagram.StateExpired:
		// The post is a day late now: the app has to say again that it wants it.
		return over(platform.Rejected, "the container expired unpublished: "+status.Text), nil
	case instagram.StateInProgress:
		return publish.Verdict{State: publish.NotReady, Message: "Instagram: " + status.Text}, nil
	case instagram.StateFinished:
		return publish.Verdict{State: publish.NotLive, Message: "the container is not published"}, nil
	}
	return p.search(ctx, run, sent, status)
}

// search looks for the post in the account, because its container cannot be read.
func (p *Publisher) search(ctx context.Context, run *publish.Run, sent *models.LedgerEntry, status instagram.ContainerStatus) (publish.Verdict, error) {
	unknown := "the result of media_publish is unknown and the container status cannot be read: " + status.Text
	if sent == nil {
		return publish.Verdict{Message: unknown}, nil
	}
	found, err := p.find(ctx, run, sent)
	if err != nil {
		run.Log().WithError(err).Info("could not search the account for the post")
		return publish.Verdict{Message: unknown}, nil
	}
	switch {
	case found.media != nil && found.media.Caption == "":
		// Without a text it may be somebody else's of that time.
		return publish.Verdict{Message: unknown + "; the account shows a post of that time without a text"}, nil
	case found.media != nil:
		return p.seen(run, found.media)
	case found.absent:
		return publish.Verdict{State: publish.NotLive, Message: unknown + "; the account does not show the post"}, nil
	}
	return publish.Verdict{Message: unknown}, nil
}

// live is for a container that is published.
func (p *Publisher) live(ctx context.Context, run *publish.Run) (publish.Verdict, error) {
	if p.client == nil {
		return publish.Verdict{}, errNoAppSecret
	}
	if id := run.ID(opPublish); id != "" {
		media, err := p.client.Media(ctx, run.Token().Access, id)
		if err != nil { // only the permalink is missing: the post is live
			media = instagram.Media{ID: id}
		}
		return p.seen(run, &media)
	}
	if sent := run.Entry(opPublish); sent != nil {
		found, err := p.find(ctx, run, sent)
		if err != nil {
			run.Log().WithError(err).Info("could not search for the id of a live post")
		}
		if found.media != nil {
			return p.seen(run, found.media)
		}
	}
	return publish.Verdict{State: publish.Live, Message: "live on Instagram", IDWithin: idPatience}, nil
}

// seen is for a post that is live as media.
func (p *Publisher) seen(run *publish.Run, media *instagram.Media) (publish.Verdict, error) {
	options, err := Of(run.Post())
	if err != nil {
		return publish.Verdict{}, err
	}
	return publish.Verdict{
		State: publish.Live, Message: "live on Instagram", ID: media.ID, Permalink: media.Permalink, Record: record(run, options, media),
	}, nil
}

// errored is for a container that Instagram could not make ready: it cannot go live.
func errored(status instagram.ContainerStatus) publish.Verdict {
	return publish.Verdict{State: publish.Over, Err: instagram.ContainerError(status.Subcode, status.Text)}
}

func over(kind platform.Kind, why string) publish.Verdict {
	return publish.Verdict{State: publish.Over, Err: &platform.Error{
		Provider: models.Instagram, Op: "instagram.container_status", Kind: kind, Code: platform.CodePublishFailed, Message: why,
	}}
}

func record(run *publish.Run, o *Options, media *instagram.Media) models.Record {
	now := run.Now()
	row := models.IGMedia{
		InstagramAccountID: *run.Post().InstagramAccountID, IGID: media.ID, MediaType: cmp.Or(mediaType(run.Post()), media.MediaType, "IMAGE"), Caption: o.Caption,
		CreatedAt: now, UpdatedAt: now, Ours: true,
	}
	if media.Permalink != "" {
		row.Permalink = &media.Permalink
	}
	if !media.Timestamp.IsZero() {
		at := models.Time(media.Timestamp)
		row.Timestamp = &at
	}
	return row
}
