package instagram

import (
	"net/http"
	"reflect"
	"testing"
	"time"

	"socialqueue/platform"
)

func TestPublish(t *testing.T) {
	ctx, c, calls := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil || r.Method != "POST" || r.URL.Path != "/v27.0/"+igID+"/media_publish" || r.PostForm.Get("creation_id") != "17889" {
			t.Errorf("got %s %s %v", r.Method, r.URL, r.PostForm)
		}
		answer(200, `{"id":"17920238420000001"}`)(w, r)
	})
	id, err := c.Publish(ctx, testToken, igID, "17889")
	if err != nil || id != "17920238420000001" {
		t.Errorf("got %q %v", id, err)
	}
	if call := (*calls)[0]; len(*calls) != 1 || call.Err != nil || call.Detail != "container 17889" {
		t.Errorf("recorded %+v", *calls)
	}
}

// TestPublishWithoutAnIDIsUnknown: the post may be live.
func TestPublishWithoutAnIDIsUnknown(t *testing.T) {
	for _, body := range []string{`{}`, `{"success":true}`, `{"id":null}`, `{"id":"a/b"}`, ``} {
		ctx, c, _ := serve(t, answer(200, body))
		_, err := c.Publish(ctx, testToken, igID, "17889")
		wantError(t, err, platform.Unknown, platform.CodePublishFailed)
	}
}

func TestQuota(t *testing.T) {
	for body, want := range map[string]Quota{
		`{"data":[{"quota_usage":4,"config":{"quota_total":100,"quota_duration":86400}}]}`: {4, 100, 24 * time.Hour},
		`{"quota_usage":"50","config":{"quota_total":"50","quota_duration":"3600"}}`:       {50, 50, time.Hour},
		`{"data":[{"quota_usage":0,"config":{"quota_total":25}}]}`:                         {0, 25, 24 * time.Hour},
		`{"data":[{"quota_usage":-1,"config":{"quota_total":25,"quota_duration":-5}}]}`:    {0, 25, 24 * time.Hour},
	} {
		ctx, c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/v27.0/"+igID+"/content_publishing_limit" || r.URL.Query().Get("fields") != "quota_usage,config" {
				t.Errorf("got %s", r.URL)
			}
			answer(200, body)(w, r)
		})
		if got, err := c.Quota(ctx, testToken, igID); err != nil || got != want {
			t.Errorf("%s: got %+v %v", body, got, err)
		}
	}
	for _, body := range []string{`{"data":[]}`, `{"data":[{"quota_usage":4}]}`, `{"data":[{"config":{"quota_total":100}}]}`, `{"data":[{"quota_usage":4,"config":{"quota_total":0}}]}`, `{"data":{}}`} {
		ctx, c, _ := serve(t, answer(200, body))
		_, err := c.Quota(ctx, testToken, igID)
		wantError(t, err, platform.Transient, platform.CodePublishFailed)
	}
}

var sampleMedia = Media{
	ID: "17920238420000001", Caption: "Hi", Permalink: "https://www.instagram.com/p/abc/", MediaType: "VIDEO", ProductType: "REELS",
	Timestamp: time.Date(2026, 8, 1, 9, 30, 0, 0, time.UTC),
}

const sampleMediaBody = `{"id":"17920238420000001","caption":"Hi","permalink":"https://www.instagram.com/p/abc/","media_type":"VIDEO","media_product_type":"REELS","timestamp":"2026-08-01T09:30:00+0000"}`

func TestMedia(t *testing.T) {
	ctx, c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v27.0/17920238420000001" || r.URL.Query().Get("fields") != mediaFields {
			t.Errorf("got %s", r.URL)
		}
		answer(200, sampleMediaBody)(w, r)
	})
	if got, err := c.Media(ctx, testToken, "17920238420000001"); err != nil || got != sampleMedia {
		t.Errorf("got %+v %v", got, err)
	}
}

func TestRecentMedia(t *testing.T) {
	for limit, asked := range map[int]string{0: "1", 10: "10", 1000: "100"} {
		ctx, c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/v27.0/"+igID+"/media" || r.URL.Query().Get("fields") != mediaFields || r.URL.Query().Get("limit") != asked {
				t.Errorf("got %s", r.URL)
			}
			answer(200, `{"data":[`+sampleMediaBody+`,{"id":1,"timestamp":"2026-08-01T11:30:00+02:00"},{"id":2,"timestamp":"soon"}],"paging":{}}`)(w, r)
		})
		got, err := c.RecentMedia(ctx, testToken, igID, limit)
		want := []Media{sampleMedia, {ID: "1", Timestamp: sampleMedia.Timestamp}, {ID: "2"}}
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v %v", got, err)
		}
	}
	ctx, c, _ := serve(t, answer(200, `{"data":[]}`))
	if got, err := c.RecentMedia(ctx, testToken, igID, 1); err != nil || len(got) != 0 {
		t.Errorf("got %+v %v", got, err)
	}
	for _, body := range []string{`{}`, `{"data":null}`, `{"data":[{}]}`, `{"data":[1]}`, `{"data":{}}`} {
		ctx, c, _ := serve(t, answer(200, body))
		_, err := c.RecentMedia(ctx, testToken, igID, 1)
		wantError(t, err, platform.Transient, platform.CodePublishFailed)
	}
}
