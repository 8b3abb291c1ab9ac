package tiktok

import (
	"context"
	"net/url"
	"slices"
	"strings"

	"socialqueue/models"
	"socialqueue/platform/tiktok"
	"socialqueue/publish"
)

// The ways in which TikTok gets a video.
const (
	SourceUpload = "upload"
	SourcePull   = "pull"
)

// Pulls reports whether TikTok fetches the video from the customer's link.
func (o *Options) Pulls() bool { return o.Source == SourcePull }

// checkPull checks a link that TikTok is to fetch: https, and a host that is verified for the app
// (media transfer guide, 2026-09-11). The simulated TikTok fetches from this machine without
// TLS too.
func (p *Publisher) checkPull(errs *models.FieldErrors, link string) {
	u, err := url.Parse(link)
	switch {
	case link == "":
		errs.Add("source", "pull is for a media_url: leave it out for a file that is stored here")
	case err != nil || u.Scheme != "https" && u.Hostname() != "127.0.0.1":
		errs.Add("source", "pull is for https links")
	case !slices.ContainsFunc(p.PullHosts, func(host string) bool { return covers(host, u.Hostname()) }):
		errs.Add("source", "TikTok fetches only from hosts that are verified for the app, and %.100q is not in TIKTOK_PULL_HOSTS: leave source out, and the file is uploaded", u.Hostname())
	}
}

// covers reports whether a verified domain covers a host: subdomains are included (media
// transfer guide, 2026-09-11).
func covers(domain, host string) bool {
	host = strings.ToLower(host)
	return host == domain || strings.HasSuffix(host, "."+domain)
}

// preparePull asks what the creator's account allows now.
func (p *Publisher) preparePull(ctx context.Context, run *publish.Run) (publish.Call, error) {
	options, err := Of(run.Post())
	if err != nil {
		return nil, err
	}
	link, err := run.SourceLink(ctx, 0)
	if err != nil {
		return nil, err
	}
	creator, err := p.creator(ctx, run, options)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (publish.Result, error) {
		post := videoPost(creator, options)
		id, err := p.client.PullVideo(ctx, run.Token().Access, post, options.inbox(), link)
		if err != nil {
			return publish.Result{}, err
		}
		return publish.Result{
			ID: id, Message: "TikTok made the post " + id, Waiting: "TikTok fetches the video",
			Record: record(run, options, id, "", "processing"),
		}, nil
	}, nil
}

// readPulled polls status/fetch. Without the publish_id nothing can be read: TikTok lists no
// private posts, and whether it lists photos is not known, so no list proves anything.
func (p *Publisher) readPulled(ctx context.Context, run *publish.Run) (publish.Verdict, error) {
	options, err := Of(run.Post())
	if err != nil {
		return publish.Verdict{}, err
	}
	id := publishID(run, options)
	if id == "" {
		return publish.Verdict{Message: "the answer with the post's id was lost, and TikTok can be asked by that id only; TikTok's webhook may bring it"}, nil
	}
	status, err := p.client.Status(ctx, run.Token().Access, id)
	if err != nil {
		return publish.Verdict{}, err
	}
	if status.State == tiktok.StateFailed && run.Entry(begun(run, options)).Open() { // a webhook brought the id, and it may be another post's
		return publish.Verdict{Message: "the post that TikTok's webhook named failed, and it may be another one"}, nil
	}
	if v, ended := final(run, options, status); ended {
		return v, nil
	}
	return publish.Verdict{State: publish.Pending, Message: "TikTok says " + status.Raw}, nil
}
