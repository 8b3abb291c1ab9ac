package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// fields is a JSON object.
type fields map[string]any

// with adds to a copy.
func (f fields) with(more fields) fields {
	all := fields{}
	for _, from := range []fields{f, more} {
		for name, value := range from {
			all[name] = value
		}
	}
	return all
}

// request is one call by the app.
type request struct {
	method, path string
	json         fields
	body         io.Reader
	length       int64 // of body, where it is not a type that net/http knows
	contentType  string
	headers      map[string]string
}

type reply struct {
	t      *testing.T
	status int
	header http.Header
	body   []byte
}

func (w *world) call(r request) *reply {
	w.t.Helper()
	rep, err := w.try(r)
	w.must(err)
	return rep
}

// try may be used on any goroutine.
func (w *world) try(r request) (*reply, error) {
	if r.json != nil {
		encoded, err := json.Marshal(r.json)
		if err != nil {
			return nil, err
		}
		r.body, r.contentType = bytes.NewReader(encoded), "application/json"
	}
	req, err := http.NewRequestWithContext(w.t.Context(), r.method, w.url()+r.path, r.body)
	if err != nil {
		return nil, err
	}
	if r.length > 0 {
		req.ContentLength = r.length
	}
	req.Header.Set("Authorization", "Bearer "+w.key.Reveal())
	if r.contentType != "" {
		req.Header.Set("Content-Type", r.contentType)
	}
	for name, value := range r.headers {
		req.Header.Set(name, value)
	}
	resp, err := w.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return &reply{t: w.t, status: resp.StatusCode, header: resp.Header, body: body}, err
}

func (r *reply) want(status int) *reply {
	r.t.Helper()
	if r.status != status {
		r.t.Fatalf("status %d, want %d: %s", r.status, status, r.body)
	}
	return r
}

func (r *reply) into(v any) {
	r.t.Helper()
	if err := json.Unmarshal(r.body, v); err != nil {
		r.t.Fatalf("%v in %s", err, r.body)
	}
}

func (r *reply) text(name string) string {
	r.t.Helper()
	var v map[string]any
	r.into(&v)
	s, _ := v[name].(string)
	return s
}

func (r *reply) number(name string) int64 {
	r.t.Helper()
	var v map[string]any
	r.into(&v)
	n, ok := v[name].(float64)
	if !ok {
		r.t.Fatalf("no number %q in %s", name, r.body)
	}
	return int64(n)
}

// post is a post as the API shows it.
type post struct {
	ID             string
	Platform       string
	Status         string
	PublishID      *string    `json:"publish_id"`
	ContainerID    *string    `json:"container_id"`
	PlatformPostID *string    `json:"platform_post_id"`
	Permalink      *string    `json:"permalink"`
	Attempts       int        `json:"attempts"`
	PublishAt      time.Time  `json:"publish_at"`
	CreatedAt      time.Time  `json:"created_at"`
	PublishedAt    *time.Time `json:"published_at"`
	DeferredReason *string    `json:"deferred_reason"`
	Error          *struct{ Code, Message string }
}

// event is one entry of a timeline.
type event struct {
	At           time.Time
	Type         string
	From, To     string
	Operation    string
	HTTPStatus   int    `json:"http_status"`
	PlatformCode string `json:"platform_code"`
	LogID        string `json:"log_id"`
	Message      string
}

func (w *world) upload(contentType string, file []byte) string {
	w.t.Helper()
	return w.call(request{method: "POST", path: "/api/media", body: bytes.NewReader(file), contentType: contentType}).want(201).text("id")
}

// video and picture are good bodies of a post.
func video(a account, mediaID, title string) fields {
	return fields{"account_id": a.id, "media_id": mediaID, "title": title, "privacy_level": "PUBLIC_TO_EVERYONE"}
}

func picture(a account, mediaID, caption string) fields {
	return fields{"account_id": a.id, "media_id": mediaID, "caption": caption, "media_type": "IMAGE"}
}

func (w *world) accept(a account, body fields) post {
	w.t.Helper()
	var p post
	w.call(request{method: "POST", path: a.path, json: body}).want(202).into(&p)
	return p
}

// order is a post that is still to be sent to the api.
type order struct {
	account account
	body    fields
}

// acceptAll posts them all, eight at a time.
func (w *world) acceptAll(orders []order) {
	w.t.Helper()
	var wg sync.WaitGroup
	next := make(chan order)
	for range 8 {
		wg.Go(func() {
			for o := range next {
				rep, err := w.try(request{method: "POST", path: o.account.path, json: o.body})
				if err != nil || rep.status != http.StatusAccepted {
					w.t.Errorf("not accepted: %v %+v", err, rep)
				}
			}
		})
	}
	for _, o := range orders {
		next <- o
	}
	close(next)
	wg.Wait()
}

// timeFor is how far ahead the time of n posts has to be for all to be accepted before it,
// for one that is past is refused: half as long again as that takes by what a few take,
// which are for tomorrow; but no less than least.
func (w *world) timeFor(n int, a account, body func(caption string) fields, least time.Duration) time.Duration {
	w.t.Helper()
	const few = 20
	var orders []order
	for i := range few {
		orders = append(orders, order{a, body(fmt.Sprint("tomorrow ", i)).with(fields{"publish_at": time.Now().Add(24 * time.Hour)})})
	}
	began := time.Now()
	w.acceptAll(orders)
	return max(least, time.Since(began)*time.Duration(3*n)/(2*few))
}

func (w *world) post(id string) post {
	w.t.Helper()
	var p post
	w.call(request{method: "GET", path: "/api/posts/" + id}).want(200).into(&p)
	return p
}

func (w *world) events(id string) []event {
	w.t.Helper()
	var list struct{ Events []event }
	w.call(request{method: "GET", path: "/api/posts/" + id + "/events"}).want(200).into(&list)
	return list.Events
}

// posts lists all posts of the app, page by page.
func (w *world) posts() []post {
	w.t.Helper()
	var all []post
	for cursor := ""; ; {
		var page struct {
			Posts      []post
			NextCursor *string `json:"next_cursor"`
		}
		w.call(request{method: "GET", path: "/api/posts?limit=200" + cursor}).want(200).into(&page)
		all = append(all, page.Posts...)
		if page.NextCursor == nil {
			return all
		}
		cursor = "&cursor=" + *page.NextCursor
	}
}

// calls are the platform calls of a timeline.
func calls(events []event) []event {
	var found []event
	for _, e := range events {
		if e.Type == "call" {
			found = append(found, e)
		}
	}
	return found
}

func story(events []event) string {
	var b strings.Builder
	for _, e := range events {
		fmt.Fprintf(&b, "  %s %-5s %s>%s %s %d %s %s\n", e.At.Format("05.000"), e.Type, e.From, e.To, e.Operation, e.HTTPStatus, e.PlatformCode, e.Message)
	}
	return b.String()
}

// listen opens an address whose handler is told afterwards.
func listen(t *testing.T) (serve func(http.Handler), url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return func(h http.Handler) {
		server := &http.Server{Handler: h}
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = server.Serve(l)
		}()
		t.Cleanup(func() {
			_ = server.Close()
			<-done
		})
	}, "http://" + l.Addr().String()
}
