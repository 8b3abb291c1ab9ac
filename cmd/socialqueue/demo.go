package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"socialqueue/publish"
	"socialqueue/sandbox/sample"
	"socialqueue/secrets"
)

const (
	demoTimeout = time.Minute
	demoPoll    = 100 * time.Millisecond
)

func demoCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "Post a video and a picture through the whole system, without PostgreSQL and Redis",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), demoTimeout)
			defer cancel()
			return runDemo(ctx, cmd.OutOrStdout())
		},
	}
}

func runDemo(ctx context.Context, out io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "socialqueue-demo-")
	if err != nil {
		return fmt.Errorf("create a folder for the demo: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	addr, err := freeAddr(ctx)
	if err != nil {
		return err
	}
	e, err := startEnvironment(ctx, environmentOptions{
		env: map[string]string{
			"HTTP_ADDR": addr, "PUBLIC_URL": "http://" + addr, "TOKEN_ENCRYPTION_KEY": secrets.NewRandomKey(),
			"MEDIA_BUCKET_URL": "file://" + dir + "/media?create_dir=true", "MEDIA_ALLOW_PRIVATE_HOSTS": "true",
		},
		dir: dir, sandboxAddr: "127.0.0.1:0", log: quietLog(), timings: demoTimings(),
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.stop(ctx)) }()
	fmt.Fprintln(out, "socialqueue demo: api, worker and scheduler in one process, on SQLite and an embedded")
	fmt.Fprintln(out, "Redis, posting to a simulated TikTok and Instagram. For trying, not for production.")
	fmt.Fprintf(out, "\n  api    %s\n  feeds  %s/\n\n", e.url(), e.sim.URL())
	fmt.Fprintf(out, "  connected through their consent pages: TikTok account %d, Instagram account %d\n", e.accounts.TikTokID, e.accounts.InstagramID)
	return e.publishSamples(ctx, out)
}

// demoTimings are those of production with shorter waits between polls: the simulated
// platforms need two seconds where the real ones need minutes.
func demoTimings() *publish.Timings {
	t := publish.DefaultTimings()
	t.Looks = []time.Duration{time.Second}
	return &t
}

// publishSamples posts a video and a picture over HTTP and waits until they are live.
func (e *environment) publishSamples(ctx context.Context, out io.Writer) error {
	c := e.newClient()
	video, err := c.upload(ctx, "video/mp4", sample.Video)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "  uploaded a video of %d bytes: media %s\n", len(sample.Video), video)
	picture, err := c.upload(ctx, "image/jpeg", sample.Picture)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "  uploaded a picture of %d bytes: media %s\n", len(sample.Picture), picture)
	tt, err := c.publish(ctx, "/api/tiktok/upload", map[string]any{
		"account_id": e.accounts.TikTokID, "media_id": video, "title": "Posted once, on time #socialqueue", "privacy_level": "PUBLIC_TO_EVERYONE",
	})
	if err != nil {
		return err
	}
	ig, err := c.publish(ctx, "/api/instagram/publish", map[string]any{
		"account_id": e.accounts.InstagramID, "media_id": picture, "media_type": "IMAGE", "caption": "Never lost, never doubled",
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "  accepted: tiktok post %s, instagram post %s\n\n", tt.ID, ig.ID)
	return e.watch(ctx, out, c, tt, ig)
}

// watch prints the timelines until every post has a link.
func (e *environment) watch(ctx context.Context, out io.Writer, c client, posts ...post) error {
	begin, shown := time.Now(), map[string]int{}
	for {
		live := 0
		for i, p := range posts {
			if err := showNew(ctx, out, c, p, begin, shown); err != nil {
				return err
			}
			got, err := c.post(ctx, p.ID)
			if err != nil {
				return err
			}
			if got.Error != nil && got.Status == "failed" {
				return fmt.Errorf("%s post failed: %s: %s", got.Platform, got.Error.Code, got.Error.Message)
			}
			if got.Permalink != "" {
				live++
			}
			posts[i] = got
		}
		if live == len(posts) {
			return e.printResult(out, posts)
		}
		select {
		case <-ctx.Done():
			return errors.New("the posts did not go live in time")
		case <-time.After(demoPoll):
		}
	}
}

func showNew(ctx context.Context, out io.Writer, c client, p post, begin time.Time, shown map[string]int) error {
	events, err := c.events(ctx, p.ID)
	if err != nil {
		return err
	}
	for _, e := range events[shown[p.ID]:] {
		what := e.Operation
		if e.Type == "state" {
			what = e.From + " > " + e.To
			if e.From == "" {
				what = e.To
			}
		}
		fmt.Fprintf(out, "  %5.1fs  %-9s  %-28s  %.60s\n", max(e.At.Sub(begin), 0).Seconds(), p.Platform, what, e.Message)
	}
	shown[p.ID] = len(events)
	return nil
}

// printResult prints the links of the posts, and counts the live posts at the platforms.
func (e *environment) printResult(out io.Writer, posts []post) error {
	fmt.Fprintln(out)
	for _, p := range posts {
		fmt.Fprintf(out, "  %-9s  %s\n", p.Platform, p.Permalink)
	}
	fmt.Fprintln(out, "\n  The platforms are simulated: the links end with this demo. `make dev` keeps them.")
	live := len(e.sim.LivePosts())
	fmt.Fprintf(out, "\n  accepted: %d   live: %d   lost: %d   doubled: %d\n", len(posts), live, max(len(posts)-live, 0), max(live-len(posts), 0))
	if live != len(posts) {
		return fmt.Errorf("%d posts are live, %d were accepted", live, len(posts))
	}
	return nil
}
