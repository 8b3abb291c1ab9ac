package e2e

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"socialqueue/test/testkit"
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

// client calls the API with the key of the app.
func (w *system) client() *testkit.Client {
	return &testkit.Client{T: w.t, URL: w.url(), HTTP: w.http, Key: w.key}
}

func (w *system) call(c testkit.Call) *testkit.Reply {
	w.t.Helper()
	return w.client().Do(c)
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

func (w *system) upload(contentType string, file []byte) string {
	w.t.Helper()
	return w.client().Upload(contentType, file)
}

// video and picture are good bodies of a post.
func video(a account, mediaID, title string) fields {
	return fields{"account_id": a.id, "media_id": mediaID, "title": title, "privacy_level": "PUBLIC_TO_EVERYONE"}
}

func picture(a account, mediaID, caption string) fields {
	return fields{"account_id": a.id, "media_id": mediaID, "caption": caption, "media_type": "IMAGE"}
}

func (w *system) accept(a account, body fields) post {
	w.t.Helper()
	var p post
	w.call(testkit.Call{Method: "POST", Path: a.path, JSON: body}).Want(202).Into(&p)
	return p
}

// order is a post that is still to be sent to the api.
type order struct {
	account account
	body    fields
}

// acceptAll posts them all, eight at a time.
func (w *system) acceptAll(orders []order) {
	w.t.Helper()
	var wg sync.WaitGroup
	next := make(chan order)
	for range 8 {
		wg.Go(func() {
			for o := range next {
				rep, err := w.client().Try(testkit.Call{Method: "POST", Path: o.account.path, JSON: o.body})
				if err != nil || rep.Status != http.StatusAccepted {
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
func (w *system) timeFor(n int, a account, body func(caption string) fields, least time.Duration) time.Duration {
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

func (w *system) post(id string) post {
	w.t.Helper()
	var p post
	w.call(testkit.Call{Method: "GET", Path: "/api/posts/" + id}).Want(200).Into(&p)
	return p
}

func (w *system) events(id string) []event {
	w.t.Helper()
	var list struct{ Events []event }
	w.call(testkit.Call{Method: "GET", Path: "/api/posts/" + id + "/events"}).Want(200).Into(&list)
	return list.Events
}

// posts lists all posts of the app, page by page.
func (w *system) posts() []post {
	w.t.Helper()
	var all []post
	for cursor := ""; ; {
		var page struct {
			Posts      []post
			NextCursor *string `json:"next_cursor"`
		}
		w.call(testkit.Call{Method: "GET", Path: "/api/posts?limit=200" + cursor}).Want(200).Into(&page)
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
