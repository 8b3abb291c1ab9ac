package instagram

import (
	"io"
	"math"
	"net/http"
	"net/url"
	"reflect"
	"testing"
)

// created serves one good create_container and returns the form it got.
func created(t *testing.T, form *url.Values) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil || r.URL.Path != "/v27.0/"+igID+"/media" {
			t.Errorf("got %s %v", r.URL, err)
		}
		*form = r.PostForm
		form.Del("appsecret_proof")
		_, _ = io.WriteString(w, `{"id":17889455560000001,"uri":"https://evil.test/ig-api-upload"}`)
	}
}

func TestCreateImage(t *testing.T) {
	x, y := 0.5, 1.0
	var form url.Values
	ctx, c, calls := serve(t, created(t, &form))
	id, err := c.CreateImage(ctx, testToken, igID, Image{
		URL: signedLink, Caption: "Opening day #coffee & more", AltText: "A cup", LocationID: "7",
		Collaborators: []string{"@ann", "bob"}, UserTags: []UserTag{{"@eve", &x, &y}},
	})
	if err != nil || id != "17889455560000001" {
		t.Fatalf("got %q %v", id, err)
	}
	want := url.Values{
		"image_url": {signedLink.Reveal()}, "caption": {"Opening day #coffee & more"}, "alt_text": {"A cup"}, "location_id": {"7"},
		"collaborators": {`["ann","bob"]`}, "user_tags": {`[{"username":"eve","x":0.5,"y":1}]`},
	}
	if !reflect.DeepEqual(form, want) {
		t.Errorf("sent %v", form)
	}
	if len(*calls) != 1 || (*calls)[0].Err != nil || (*calls)[0].Detail != "image; container 17889455560000001" {
		t.Errorf("recorded %+v", *calls)
	}
	assertNoSecret(t, c, nil, *calls)

	if _, err = c.CreateImage(ctx, testToken, igID, Image{URL: "https://m.test/1.jpg"}); err != nil || len(form) != 1 {
		t.Errorf("a bare image sent %v %v", form, err)
	}
	nan := math.NaN()
	if _, err = c.CreateImage(ctx, testToken, igID, Image{UserTags: []UserTag{{"eve", &nan, &nan}}}); err != nil || form.Get("user_tags") != "" {
		t.Errorf("sent %v %v", form, err)
	}
}

func TestCreateReel(t *testing.T) {
	yes, ms, x := true, int64(1500), 0.5
	var form url.Values
	ctx, c, calls := serve(t, created(t, &form))
	got, err := c.CreateReel(ctx, testToken, igID, Reel{
		Caption: "c", LocationID: "7", ShareToFeed: &yes, CoverURL: signedLink, ThumbOffsetMs: &ms,
		Collaborators: []string{"ann"}, UserTags: []UserTag{{"eve", &x, &x}},
	})
	// The answer's own uri is not trusted.
	if err != nil || got != "17889455560000001" {
		t.Fatalf("got %+v %v", got, err)
	}
	want := url.Values{
		"media_type": {"REELS"}, "upload_type": {"resumable"}, "caption": {"c"}, "location_id": {"7"}, "share_to_feed": {"true"},
		"cover_url": {signedLink.Reveal()}, "thumb_offset": {"1500"}, "collaborators": {`["ann"]`}, "user_tags": {`[{"username":"eve"}]`},
	}
	if !reflect.DeepEqual(form, want) {
		t.Errorf("sent %v", form)
	}
	assertNoSecret(t, c, nil, *calls)
	if _, err = c.CreateReel(ctx, testToken, igID, Reel{}); err != nil || len(form) != 2 {
		t.Errorf("a bare reel sent %v %v", form, err)
	}
}

func TestContainerStatus(t *testing.T) {
	for name, tt := range map[string]struct {
		body string
		want ContainerStatus
	}{
		"finished":    {`{"id":"1","status_code":"FINISHED","status":"Finished: Media has been uploaded and it is ready to be published."}`, ContainerStatus{StateFinished, "Finished: Media has been uploaded and it is ready to be published.", 0, -1}},
		"in progress": {`{"status_code":"IN_PROGRESS","status":"In Progress: Media is still being processed."}`, ContainerStatus{StateInProgress, "In Progress: Media is still being processed.", 0, -1}},
		"published":   {`{"status_code":"PUBLISHED","status":"Published: Media has been successfully published."}`, ContainerStatus{StatePublished, "Published: Media has been successfully published.", 0, -1}},
		"expired":     {`{"status_code":"EXPIRED"}`, ContainerStatus{StateExpired, "", 0, -1}},
		"error":       {`{"status_code":"ERROR","status":"Error: Media upload has failed with error code 2207076"}`, ContainerStatus{StateErrored, "Error: Media upload has failed with error code 2207076", 2207076, -1}},
		"no code":     {`{"status":"Error: Media download has failed."}`, ContainerStatus{StateErrored, "Error: Media download has failed.", 0, -1}},
		"word only":   {`{"status":"In progress: Media is still being processed."}`, ContainerStatus{StateInProgress, "In progress: Media is still being processed.", 0, -1}},
		"bare number": {`{"status":2207052}`, ContainerStatus{StateErrored, "2207052", 2207052, -1}},
		"no subcode":  {`{"status_code":"ERROR","status":"Error: 12207076 or 22070761"}`, ContainerStatus{StateErrored, "Error: 12207076 or 22070761", 0, -1}},
		"unknown":     {`{"status_code":"REVIEWING","status":"Finished: soon"}`, ContainerStatus{StateUnreadable, "Finished: soon", 0, -1}},
		"nothing":     {`{"id":"1"}`, ContainerStatus{StateUnreadable, "", 0, -1}},
		"careful":     {`{"status_code":"FINISHED","status":"Published: Media has been successfully published."}`, ContainerStatus{StatePublished, "Published: Media has been successfully published.", 0, -1}},
		"resumable":   {`{"status_code":"IN_PROGRESS","video_status":{"uploading_phase":{"status":"in_progress","bytes_transferred":50002},"processing_phase":{"status":"not_started"}}}`, ContainerStatus{StateInProgress, "", 0, 50002}},
		"bytes text":  {`{"status_code":"IN_PROGRESS","video_status":{"uploading_phase":{"bytes_transferred":"0"}}}`, ContainerStatus{StateInProgress, "", 0, 0}},
		"bytes odd":   {`{"status_code":"IN_PROGRESS","video_status":{"uploading_phase":{"bytes_transferred":-3}}}`, ContainerStatus{StateInProgress, "", 0, -1}},
		"video odd":   {`{"status_code":"IN_PROGRESS","video_status":"ready"}`, ContainerStatus{StateInProgress, "", 0, -1}},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, c, calls := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/v27.0/17889" || r.URL.Query().Get("fields") != "id,status_code,status,video_status" {
					t.Errorf("got %s", r.URL)
				}
				answer(200, tt.body)(w, r)
			})
			got, err := c.ContainerStatus(ctx, testToken, "17889")
			if err != nil || got != tt.want {
				t.Errorf("got %+v %v, want %+v", got, err, tt.want)
			}
			if len(*calls) != 1 || (*calls)[0].Err != nil || (*calls)[0].Detail != tt.want.State.String() {
				t.Errorf("recorded %+v", *calls)
			}
		})
	}
	if got := State(99).String(); got != "unknown" {
		t.Errorf("got %s", got)
	}
}
