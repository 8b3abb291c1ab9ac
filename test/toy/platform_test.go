// Package toy_test adds a third platform to the system without editing a file of it, and
// kills its processes over and over: a platform is its own folder and a line in the
// registry, and the promise "never twice" does not depend on who writes it.
package toy_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"socialqueue/app"
	"socialqueue/config"
	"socialqueue/handlers"
	"socialqueue/models"
	"socialqueue/oauth"
	"socialqueue/platform"
	"socialqueue/publish"
	"socialqueue/view"
)

const (
	toy models.Platform = "toy"
	// note is a post with a text and a file. careless is a note whose author added one more
	// call that makes something live, and said nothing about it.
	note     models.Kind = "note"
	careless models.Kind = "careless"
)

// line is the toy's line in the registry.
var line = app.Platform{Name: toy, Title: "Toy", Kinds: publisher{}, Build: func(config.Config, func() time.Time) (app.Parts, error) {
	p := publisher{client{base: os.Getenv(envURL), http: &http.Client{Timeout: time.Second}}}
	return app.Parts{
		Publisher: p, Connector: oauth.Unconfigured(toy, "no settings"), URL: p.base,
		Endpoints: []handlers.Endpoint{{Path: "/api/toy/posts", Decode: decodeRequest}},
	}, nil
}}

// client calls the toy's API.
type client struct {
	base string
	http *http.Client
}

// call sends one request. Only an answer proves that it had no effect.
func (c client) call(ctx context.Context, op models.LedgerOp, method, path string, in io.Reader, out any) error {
	fail := func(kind platform.Kind, err error) error {
		return &platform.Error{Provider: toy, Op: string(op), Kind: kind, Code: platform.CodePublishFailed, Err: err}
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, in)
	if err != nil {
		return fail(platform.Transient, err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fail(platform.Unknown, err)
	}
	defer resp.Body.Close()
	switch body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20)); {
	case err != nil:
		return fail(platform.Unknown, err)
	case resp.StatusCode == http.StatusNotFound:
		return fail(platform.Gone, errors.New(resp.Status))
	case resp.StatusCode != http.StatusOK:
		return fail(platform.Transient, errors.New(resp.Status))
	case out != nil:
		return json.Unmarshal(body, out)
	}
	return nil
}

// options are what an app says about a note.
type options struct {
	Text string `json:"text"`
}

func (o *options) Check(errs *models.FieldErrors, _ models.Kind, _ int) {
	if o.Text == "" {
		errs.Add("text", "is required")
	}
}
func (o *options) CheckFile(*models.FieldErrors, string, models.Kind, *models.Media) {}
func (o *options) Links() map[string]string                                          { return nil }
func (o *options) Describe() (string, []string)                                      { return o.Text, nil }
func (o *options) Content(models.Kind) view.Content                                  { return view.Content{Text: o.Text} }

func decodeRequest(body []byte) (publish.Request, error) {
	var in struct {
		options
		AccountID int64       `json:"account_id"`
		MediaID   string      `json:"media_id"`
		Kind      models.Kind `json:"kind"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return publish.Request{}, models.FieldErrors{{Field: "body", Message: "is no note"}}
	}
	return publish.Request{
		Platform: toy, Kind: in.Kind, AccountID: in.AccountID, Options: &in.options, Files: []publish.File{{MediaID: in.MediaID}},
	}, nil
}

// The steps of a note.
const (
	opDraft    models.LedgerOp = "toy.draft"
	opFile     models.LedgerOp = "toy.file"
	opAnnounce models.LedgerOp = "toy.announce"
	opPublish  models.LedgerOp = "toy.publish"
)

// publisher publishes notes.
type publisher struct{ client }

func (p publisher) Platform() models.Platform { return toy }

func (p publisher) Kinds() []publish.Kind {
	draft := publish.Step{Op: opDraft, Harmless: true, Prepare: p.draft}
	file := publish.Step{Op: opFile, Harmless: true, Resumes: true, Heavy: true, Prepare: p.file}
	// The client gives up after a second; the rest is for the machine that is busy.
	send := publish.Step{Op: opPublish, Prepare: p.publish, Read: p.read}
	return []publish.Kind{
		{Name: note, Decode: decode, Steps: []publish.Step{draft, file, send}},
		{Name: careless, Decode: decode, Steps: []publish.Step{draft, file, {Op: opAnnounce, Prepare: p.announce}, send}},
	}
}

func decode(raw json.RawMessage) (publish.Options, error) {
	var o options
	return &o, json.Unmarshal(raw, &o)
}

func (p publisher) draft(_ context.Context, run *publish.Run) (publish.Call, error) {
	o, err := publish.DecodeOptions[options](run.Post())
	return func(ctx context.Context) (publish.Result, error) {
		var made struct{ ID string }
		err := p.call(ctx, opDraft, http.MethodPost, "/drafts", bytes.NewBufferString(o.Text), &made)
		return publish.Result{ID: made.ID, Message: "the toy has a draft"}, err
	}, err
}

func (p publisher) file(ctx context.Context, run *publish.Run) (publish.Call, error) {
	file, err := run.File(ctx, 0)
	return func(ctx context.Context) (publish.Result, error) {
		body, err := run.Open(ctx, 0, 0, file.Bytes)
		if err != nil {
			return publish.Result{}, err
		}
		defer body.Close()
		return publish.Result{}, p.call(ctx, opFile, http.MethodPut, "/drafts/"+run.ID(opDraft)+"/file", body, nil)
	}, err
}

func (p publisher) announce(_ context.Context, run *publish.Run) (publish.Call, error) {
	o, err := publish.DecodeOptions[options](run.Post())
	return func(ctx context.Context) (publish.Result, error) {
		return publish.Result{}, p.call(ctx, opAnnounce, http.MethodPost, "/announcements", bytes.NewBufferString(o.Text), nil)
	}, err
}

func (p publisher) publish(_ context.Context, run *publish.Run) (publish.Call, error) {
	return func(ctx context.Context) (publish.Result, error) {
		var live struct{ ID string }
		err := p.call(ctx, opPublish, http.MethodPost, "/drafts/"+run.ID(opDraft)+"/publish", nil, &live)
		return publish.Result{ID: live.ID, Live: err == nil}, err
	}, nil
}

func (p publisher) read(ctx context.Context, run *publish.Run) (publish.Verdict, error) {
	var draft struct{ Live []string }
	if err := p.call(ctx, "toy.read", http.MethodGet, "/drafts/"+run.ID(opDraft), nil, &draft); err != nil {
		return publish.Verdict{}, err
	}
	if len(draft.Live) == 0 {
		return publish.Verdict{State: publish.NotLive, Message: "the draft is not published"}, nil
	}
	return publish.Verdict{State: publish.Live, ID: draft.Live[0], Permalink: fmt.Sprint("https://toy.example/", draft.Live[0]), Message: "live on Toy"}, nil
}
