package instagram_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"socialqueue/sandbox"
	"socialqueue/sandbox/sandboxtest"
)

func TestImagePost(t *testing.T) {
	pic := sandboxtest.JPEG(640, 640)
	media := sandboxtest.MediaHost(t, map[string][]byte{"/ok.jpg": pic})
	w := sandboxtest.New(t, sandbox.Options{Delays: sandboxtest.Delays})
	id := w.Container("image_url", media.URL+"/ok.jpg", "caption", "Fresh bread #bakery")
	w.WantContainer(id, "IN_PROGRESS")
	w.WantGraph(400, 9007, 2207027, "POST", w.Instagram.IGID+"/media_publish", "creation_id", id)
	w.Advance(5 * time.Second)
	if a := w.WantContainer(id, "FINISHED"); !strings.HasPrefix(a.Status, "Finished: ") {
		t.Errorf("status %q", a.Status)
	}
	w.WantLive(0)
	m := w.WantGraph(200, 0, 0, "POST", w.Instagram.IGID+"/media_publish", "creation_id", id)
	live := w.WantLive(1)[0]
	if m.ID == id || live.ID != m.ID || live.ContainerID != id || live.SHA256 != sandboxtest.SHA256(pic) || live.Caption != "Fresh bread #bakery" {
		t.Errorf("media %s, live %+v", m.ID, live)
	}
	got := w.WantGraph(200, 0, 0, "GET", m.ID, "fields", "id,media_type,media_product_type,permalink,timestamp,caption")
	if got.Permalink != live.Permalink || !strings.HasPrefix(got.Permalink, w.URL()+"/p/") || got.MediaType != "IMAGE" ||
		got.Product != "FEED" || got.Timestamp != "2026-11-22T06:00:05+0000" {
		t.Errorf("media: %+v", got)
	}
	w.WantContainer(id, "PUBLISHED")
	w.Advance(25 * time.Hour)
	w.WantContainer(id, "PUBLISHED")
}

func TestImageChecks(t *testing.T) {
	media := sandboxtest.MediaHost(t, map[string][]byte{
		"/ok.jpg": sandboxtest.JPEG(640, 640), "/tall.jpg": sandboxtest.JPEG(800, 1000), "/taller.jpg": sandboxtest.JPEG(780, 1000), "/wide.jpg": sandboxtest.JPEG(955, 500),
		"/wider.jpg": sandboxtest.JPEG(1000, 500), "/small.jpg": sandboxtest.JPEG(319, 319), "/a.png": []byte("\x89PNG\r\n\x1a\n"),
		"/fake.jpg": []byte("not a picture"), "/page.html": []byte("<html>"), "/big.jpg": append(sandboxtest.JPEG(640, 640), make([]byte, 8<<20)...),
	})
	w := sandboxtest.New(t, sandbox.Options{})
	for path, want := range map[string][2]int{
		"/ok.jpg": {}, "/tall.jpg": {}, "/wide.jpg": {},
		"/taller.jpg": {36003, 2207009}, "/wider.jpg": {36003, 2207009}, "/small.jpg": {36003, 2207009},
		"/a.png": {36001, 2207005}, "/fake.jpg": {36001, 2207005}, "/big.jpg": {36000, 2207004},
		"/page.html": {9004, 2207052}, "/gone.jpg": {9004, 2207052}, "/moved.jpg": {9004, 2207052}, "/ä.jpg": {9004, 2207052},
	} {
		status := 400
		if want[0] == 0 {
			status = 200
		}
		w.WantGraph(status, want[0], want[1], "POST", w.Instagram.IGID+"/media", "image_url", media.URL+path)
	}
}

func TestParameterTable(t *testing.T) {
	media := sandboxtest.MediaHost(t, map[string][]byte{"/ok.jpg": sandboxtest.JPEG(640, 640)})
	pic := media.URL + "/ok.jpg"
	w := sandboxtest.New(t, sandbox.Options{})
	for name, tc := range map[string]struct {
		code, subcode int
		params        []string
	}{
		"no source":                {100, 0, []string{"caption", "x"}},
		"video for an image":       {100, 0, []string{"image_url", pic, "video_url", pic}},
		"reel without video":       {100, 0, []string{"media_type", "REELS"}},
		"two sources":              {100, 0, []string{"media_type", "REELS", "video_url", pic, "upload_type", "resumable"}},
		"media type VIDEO":         {100, 2207067, []string{"media_type", "VIDEO", "video_url", pic}},
		"unknown media type":       {100, 2207023, []string{"media_type", "PHOTO", "image_url", pic}},
		"share_to_feed on image":   {100, 0, []string{"image_url", pic, "share_to_feed", "true"}},
		"alt_text on reel":         {100, 0, []string{"media_type", "REELS", "upload_type", "resumable", "alt_text", "x"}},
		"caption on child":         {100, 0, []string{"image_url", pic, "is_carousel_item", "true", "caption", "x"}},
		"collaborators on child":   {100, 0, []string{"image_url", pic, "is_carousel_item", "true", "collaborators", `["a"]`}},
		"video child without type": {100, 0, []string{"video_url", pic, "is_carousel_item", "true"}},
		"unknown parameter":        {100, 0, []string{"image_url", pic, "scheduled_publish_time", "1"}},
		"2201 characters":          {36004, 2207010, []string{"image_url", pic, "caption", strings.Repeat("ä", 2201)}},
		"31 hashtags":              {36004, 2207010, []string{"image_url", pic, "caption", strings.Repeat("#a ", 31)}},
		"21 mentions":              {36004, 2207010, []string{"image_url", pic, "caption", strings.Repeat("@a ", 21)}},
		"collaborator with @":      {110, 2207018, []string{"image_url", pic, "collaborators", "@ann"}},
		"four collaborators":       {100, 0, []string{"image_url", pic, "collaborators", "a,b,c,d"}},
		"tag without place":        {100, 0, []string{"image_url", pic, "user_tags", `[{"username":"ann"}]`}},
		"tag outside":              {100, 0, []string{"image_url", pic, "user_tags", `[{"username":"ann","x":0.5,"y":1.1}]`}},
		"negative offset":          {1, 2207057, []string{"media_type", "REELS", "upload_type", "resumable", "thumb_offset", "-1"}},
		"one child":                {100, 2207028, []string{"media_type", "CAROUSEL", "children", "1"}},
		"eleven children":          {100, 2207028, []string{"media_type", "CAROUSEL", "children", "1,2,3,4,5,6,7,8,9,10,11"}},
		"unknown children":         {100, 0, []string{"media_type", "CAROUSEL", "children", `["1","2"]`}},
		"poll and prompt":          {100, 0, []string{"image_url", pic, "caption", "?", "poll_attachment", `{"option_a":"a","option_b":"b"}`, "is_comment_prompt_used", "true"}},
		"poll without caption":     {100, 0, []string{"image_url", pic, "poll_attachment", `{"option_a":"a","option_b":"b"}`}},
		"poll of one answer":       {100, 0, []string{"image_url", pic, "caption", "?", "poll_attachment", `{"option_a":"a"}`}},
		"poll with another option": {100, 0, []string{"image_url", pic, "caption", "?", "poll_attachment", `{"option_a":"a","option_b":"b","option_e":"e"}`}},
		"poll on a story":          {100, 0, []string{"media_type", "STORIES", "image_url", pic, "poll_attachment", `{"option_a":"a","option_b":"b"}`}},
		"duration without poll":    {100, 0, []string{"image_url", pic, "caption", "?", "is_poll_duration_extended", "true"}},
		"fine poll":                {0, 0, []string{"image_url", pic, "caption", "?", "poll_attachment", `{"option_a":"a","option_b":"b","option_c":"c"}`, "is_poll_duration_extended", "true"}},
		"fine": {0, 0, []string{"image_url", pic, "caption", strings.Repeat("ä", 2100) + strings.Repeat("#a ", 30), "alt_text", "bread",
			"collaborators", `["a","b"]`, "location_id", "123", "user_tags", `[{"username":"ann","x":0.5,"y":1}]`}},
		"fine reel": {0, 0, []string{"media_type", "REELS", "upload_type", "resumable", "share_to_feed", "false", "thumb_offset", "100",
			"cover_url", pic, "trial_params", `{"graduation_strategy":"MANUAL"}`}},
	} {
		t.Run(name, func(t *testing.T) {
			w := *w
			w.T = t
			status := 400
			if tc.code == 0 {
				status = 200
			}
			w.WantGraph(status, tc.code, tc.subcode, "POST", w.Instagram.IGID+"/media", tc.params...)
		})
	}
}

func TestParametersInAnyPlace(t *testing.T) {
	media := sandboxtest.MediaHost(t, map[string][]byte{"/ok.jpg": sandboxtest.JPEG(640, 640)})
	w := sandboxtest.New(t, sandbox.Options{})
	q := url.Values{"image_url": {media.URL + "/ok.jpg"}, "appsecret_proof": {sandboxtest.Proof(w.Instagram.UserToken)}}
	target := w.GraphURL() + "/v25.0/" + w.Instagram.IGID + "/media"
	for name, req := range map[string]*http.Request{
		"query": w.Request("POST", target+"?"+q.Encode(), ""),
		"form":  w.Request("POST", target, q.Encode(), "Content-Type", "application/x-www-form-urlencoded"),
		"json": w.Request("POST", target, fmt.Sprintf(`{"image_url":%q,"appsecret_proof":%q,"is_ai_generated":true}`,
			q.Get("image_url"), q.Get("appsecret_proof")), "Content-Type", "application/json"),
	} {
		req.Header.Set("Authorization", "Bearer "+w.Instagram.UserToken)
		if a := w.Send(req); a.HTTPStatus != 200 || a.ID == "" {
			t.Errorf("%s: %d %+v", name, a.HTTPStatus, a.Error)
		}
	}
}

func TestGraphTokensProofAndScopes(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{})
	other := w.AddInstagramAccount(sandbox.InstagramAccount{Scopes: []string{"instagram_basic"}})
	quota := w.Instagram.IGID + "/content_publishing_limit"

	a := w.WantGraph(400, 190, 0, "GET", quota, "access_token", "EAAnobody")
	if !strings.HasPrefix(a.Header.Get("Www-Authenticate"), `OAuth "Facebook Platform" "invalid_token"`) || a.Error.Trace == "" || a.Error.Type != "OAuthException" {
		t.Errorf("invalid token: %+v %v", a.Error, a.Header)
	}
	a = w.WantGraph(400, 100, 0, "GET", quota, "appsecret_proof", "")
	if a.Error.Type != "GraphMethodException" || a.Error.Message != "API calls from the server require an appsecret_proof argument" {
		t.Errorf("no proof: %+v", a.Error)
	}
	a = w.WantGraph(400, 100, 0, "GET", quota, "appsecret_proof", sandboxtest.Proof(w.Instagram.UserToken)) // of the other token
	if a.Error.Message != "Invalid appsecret_proof provided in the API argument" {
		t.Errorf("wrong proof: %+v", a.Error)
	}
	w.WantGraph(400, 100, 33, "GET", quota, "access_token", other.PageToken, "appsecret_proof", sandboxtest.Proof(other.PageToken))
	w.WantGraph(403, 200, 0, "GET", other.IGID+"/content_publishing_limit", "access_token", other.PageToken, "appsecret_proof", sandboxtest.Proof(other.PageToken))
	w.WantGraph(400, 100, 33, "GET", "12345")
	for _, edge := range []string{"container", "media object", "shoes"} {
		w.WantGraph(400, 100, 33, "GET", w.Instagram.IGID+"/"+url.PathEscape(edge))
	}
	w.WantGraph(400, 100, 0, "GET", w.Instagram.IGID, "fields", "id,shoe_size")
	w.WantGraph(400, 100, 0, "GET", w.Instagram.IGID, "fields", "account_type") // only Instagram Login has it

	w.Advance(61 * 24 * time.Hour)
	w.WantGraph(400, 190, 463, "GET", quota, "access_token", w.Instagram.UserToken, "appsecret_proof", sandboxtest.Proof(w.Instagram.UserToken))
	w.WantGraph(200, 0, 0, "GET", quota) // a Page token does not expire
}

func TestProofOptional(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{ProofOptional: true})
	w.WantGraph(200, 0, 0, "GET", w.Instagram.IGID, "appsecret_proof", "")
	w.WantGraph(400, 100, 0, "GET", w.Instagram.IGID, "appsecret_proof", "00")
}

func TestGraphVersionsAndHeaders(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{})
	for asked, served := range map[string]string{"v25.0": "v25.0", "v26.0": "v26.0", "v27.0": "v27.0", "v19.0": "v21.0", "v28.0": "", w.Instagram.IGID: ""} {
		req := w.GraphRequest("GET", w.Instagram.IGID)
		req.URL.Path = strings.Replace(req.URL.Path, "v25.0", asked, 1)
		a := w.Send(req)
		if served == "" && a.Error.Code != 2500 {
			t.Errorf("%s: %d %+v", asked, a.HTTPStatus, a.Error)
		}
		if served != "" && (a.HTTPStatus != 200 || a.Header.Get("Facebook-Api-Version") != served) {
			t.Errorf("%s: %d, served by %q", asked, a.HTTPStatus, a.Header.Get("Facebook-Api-Version"))
		}
		if a.Header.Get("X-App-Usage") == "" || !strings.Contains(a.Header.Get("X-Business-Use-Case-Usage"), `"estimated_time_to_regain_access"`) {
			t.Errorf("%s: usage headers %v", asked, a.Header)
		}
	}
}

// TestWhatVersion27Ended: a new app cannot use it in any version, wherever the parameter stands.
func TestWhatVersion27Ended(t *testing.T) {
	media := sandboxtest.MediaHost(t, map[string][]byte{"/ok.jpg": sandboxtest.JPEG(640, 640)})
	w := sandboxtest.New(t, sandbox.Options{})
	id := w.Publish(w.FinishedContainer(media.URL + "/ok.jpg"))
	for name, tc := range map[string]struct{ method, path, key, value, message string }{
		"several ids":       {"GET", "", "ids", id + "," + w.Instagram.IGID, "ids"},
		"override in query": {"GET", id, "method", "delete", "method"},
		"override in form":  {"POST", w.Instagram.IGID + "/media_publish", "method", "get", "method"},
		"date format":       {"GET", id, "date_format", "U", "date_format"},
		"JSONP":             {"GET", id, "callback", "f", "callback"},
		"alias":             {"GET", id, "fields", "id,timestamp.as(at)", "aliases"},
		"nested alias":      {"GET", id, "fields", "children{id.as(child)}", "aliases"},
		"login call":        {"GET", "me", "date_format", "U", "date_format"},
	} {
		for _, version := range []string{"v25.0", "v27.0"} {
			req := w.GraphRequest(tc.method, tc.path, tc.key, tc.value)
			req.URL.Path = strings.Replace(req.URL.Path, "v25.0", version, 1)
			a := w.Send(req)
			if a.HTTPStatus != 400 || a.Error.Code != 100 || a.Error.Subcode != 0 || !strings.Contains(a.Error.Message, tc.message) {
				t.Errorf("%s: %d %+v", name, a.HTTPStatus, a.Error)
			}
		}
	}
	w.WantGraph(200, 0, 0, "GET", id, "fields", "id,timestamp,children{id}")
}

func TestReelByURL(t *testing.T) {
	video := sandboxtest.MP4(5000)
	media := sandboxtest.MediaHost(t, map[string][]byte{"/ok.mp4": video, "/fake.mp4": []byte("no video at all")})
	w := sandboxtest.New(t, sandbox.Options{Delays: sandboxtest.Delays, Limits: sandboxtest.NoLimits})
	for path, code := range map[string]string{"/ok.mp4": "", "/fake.mp4": "2207026", "/gone.mp4": "2207077", "/moved.mp4": "2207077"} {
		id := w.Container("media_type", "REELS", "video_url", media.URL+path, "caption", "c")
		w.WantContainer(id, "IN_PROGRESS")
		want := "FINISHED"
		if code != "" {
			want = "ERROR"
		}
		var st sandboxtest.GraphAnswer
		sandboxtest.Eventually(t, path+" is "+want, func() bool {
			w.Advance(10 * time.Second)
			st = w.WantGraph(200, 0, 0, "GET", id, "fields", "status_code,status")
			return st.StatusCode == want
		})
		if !strings.Contains(st.Status, code) {
			t.Errorf("%s: %q", path, st.Status)
		}
		if code != "" {
			w.WantGraph(400, 9007, 2207027, "POST", w.Instagram.IGID+"/media_publish", "creation_id", id)
			continue
		}
		m := w.WantGraph(200, 0, 0, "POST", w.Instagram.IGID+"/media_publish", "creation_id", id)
		got := w.WantGraph(200, 0, 0, "GET", m.ID, "fields", "permalink,media_type,media_product_type")
		if got.MediaType != "VIDEO" || got.Product != "REELS" || !strings.Contains(got.Permalink, "/reel/") {
			t.Errorf("media: %+v", got)
		}
	}
	if live := w.WantLive(1); live[0].SHA256 != sandboxtest.SHA256(video) || live[0].Kind != "reel" {
		t.Errorf("live: %+v", live)
	}
}

func TestResumableUpload(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{Delays: sandboxtest.Delays})
	video := sandboxtest.MP4(100_000)
	c := w.WantGraph(200, 0, 0, "POST", w.Instagram.IGID+"/media", "media_type", "REELS", "upload_type", "resumable")
	if c.URI != w.RuploadURL()+"/ig-api-upload/v25.0/"+c.ID {
		t.Fatalf("uri %q", c.URI)
	}
	refused := func(kind string, a sandboxtest.Answer) {
		t.Helper()
		if a.Err != nil || a.HTTPStatus != 400 || !strings.Contains(string(a.Body), `"type":"`+kind+`"`) {
			t.Fatalf("%d %s %v, want %s", a.HTTPStatus, a.Body, a.Err, kind)
		}
	}
	refused("NotAuthorizedError", w.Upload(c.URI, video, "offset", "0", "file_size", "100000", "Authorization", "Bearer "+w.Instagram.PageToken))
	refused("ProcessingFailedError", w.Upload(c.URI, video, "file_size", "100000"))
	refused("ProcessingFailedError", w.Upload(c.URI, video, "offset", "5", "file_size", "100000"))
	refused("ProcessingFailedError", w.Upload(c.URI, video, "offset", "0", "file_size", "99999"))
	refused("ProcessingFailedError", w.Upload(strings.Replace(c.URI, c.ID, "178", 1), video, "offset", "0", "file_size", "100000"))
}

func TestResumableResume(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{Delays: sandboxtest.Delays})
	video := sandboxtest.MP4(100_000)
	c := w.WantGraph(200, 0, 0, "POST", w.Instagram.IGID+"/media", "media_type", "REELS", "upload_type", "resumable")
	w.Script(sandbox.Fault{Op: sandbox.OpInstagramUpload, Mode: sandbox.ModePartial, Bytes: 50_002})
	if a := w.Upload(c.URI, video, "offset", "0", "file_size", "100000"); a.Err == nil {
		t.Fatalf("the broken upload was answered: %d", a.HTTPStatus)
	}
	st := w.WantContainer(c.ID, "IN_PROGRESS")
	if st.VideoStatus.Uploading.Bytes != 50_002 || st.VideoStatus.Uploading.Status != "in_progress" {
		t.Fatalf("video_status %+v", st.VideoStatus)
	}
	if a := w.Upload(c.URI, video, "offset", "0", "file_size", "100000"); a.HTTPStatus != 400 {
		t.Errorf("from the start again: %d", a.HTTPStatus)
	}
	a := w.Upload(c.URI, video[50_002:], "offset", "50002", "file_size", "100000")
	if a.Err != nil || a.HTTPStatus != 200 || !strings.Contains(string(a.Body), `"success":true`) {
		t.Fatalf("resume: %d %s %v", a.HTTPStatus, a.Body, a.Err)
	}
	w.Advance(30 * time.Second)
	w.WantContainer(c.ID, "FINISHED")
	w.WantGraph(200, 0, 0, "POST", w.Instagram.IGID+"/media_publish", "creation_id", c.ID)
	if live := w.WantLive(1); live[0].SHA256 != sandboxtest.SHA256(video) {
		t.Error("the resumed bytes differ")
	}
}

func TestResumableFromURL(t *testing.T) {
	media := sandboxtest.MediaHost(t, map[string][]byte{"/ok.mp4": sandboxtest.MP4(500)})
	w := sandboxtest.New(t, sandbox.Options{Delays: &sandbox.Delays{}})
	c := w.WantGraph(200, 0, 0, "POST", w.Instagram.IGID+"/media", "media_type", "REELS", "upload_type", "resumable")
	if a := w.Upload(c.URI, nil, "file_url", media.URL+"/ok.mp4"); a.HTTPStatus != 200 {
		t.Fatalf("%d %s", a.HTTPStatus, a.Body)
	}
	sandboxtest.Eventually(t, "FINISHED", func() bool {
		return w.WantGraph(200, 0, 0, "GET", c.ID, "fields", "status_code").StatusCode == "FINISHED"
	})
}

func TestDoublePublishNeverMakesASecondPost(t *testing.T) {
	media := sandboxtest.MediaHost(t, map[string][]byte{"/ok.jpg": sandboxtest.JPEG(640, 640)})
	for setting, want := range map[sandbox.DoublePublish][3]int{
		"": {400, 24, 2207006}, sandbox.DoubleNotFound: {400, 24, 2207006}, sandbox.DoubleNotReady: {400, 9007, 2207027},
		sandbox.DoubleSameID: {200, 0, 0}, sandbox.DoubleGeneric: {400, 100, 0},
	} {
		w := sandboxtest.New(t, sandbox.Options{DoublePublish: setting})
		id := w.FinishedContainer(media.URL + "/ok.jpg")
		first := w.WantGraph(200, 0, 0, "POST", w.Instagram.IGID+"/media_publish", "creation_id", id)
		again := w.WantGraph(want[0], want[1], want[2], "POST", w.Instagram.IGID+"/media_publish", "creation_id", id)
		if want[0] == 200 && again.ID != first.ID {
			t.Errorf("%q: another id", setting)
		}
		w.WantLive(1)
	}
}

// TestDoublePostMakesASecondPost selects the mode in both ways in which it can be selected while the sandbox runs.
func TestDoublePostMakesASecondPost(t *testing.T) {
	media := sandboxtest.MediaHost(t, map[string][]byte{"/ok.jpg": sandboxtest.JPEG(640, 640)})
	w := sandboxtest.New(t, sandbox.Options{})
	publish := func(id string) string {
		t.Helper()
		return w.WantGraph(200, 0, 0, "POST", w.Instagram.IGID+"/media_publish", "creation_id", id).ID
	}
	for i, choose := range []func(){
		func() { w.SetDoublePublish(sandbox.DoublePost) },
		func() { w.Control("POST", "instagram/double_publish", `{"mode":"e"}`, http.StatusOK, nil) },
	} {
		w.SetDoublePublish(sandbox.DoubleNotFound)
		id := w.FinishedContainer(media.URL + "/ok.jpg")
		first := publish(id)
		w.WantGraph(400, 24, 2207006, "POST", w.Instagram.IGID+"/media_publish", "creation_id", id)
		choose()
		second := publish(id)
		live := w.WantLive(2 * (i + 1))[2*i:]
		if first == second || live[0].ID != first || live[1].ID != second || live[0].ContainerID != live[1].ContainerID {
			t.Errorf("the ids are %s and %s, live are %+v", first, second, live)
		}
		w.WantContainer(id, "PUBLISHED")
	}
	w.Control("POST", "instagram/double_publish", `{"mode":"z"}`, http.StatusBadRequest, nil)
}

func TestContainersExpire(t *testing.T) {
	media := sandboxtest.MediaHost(t, map[string][]byte{"/ok.jpg": sandboxtest.JPEG(640, 640)})
	w := sandboxtest.New(t, sandbox.Options{})
	id := w.FinishedContainer(media.URL + "/ok.jpg")
	w.Advance(24 * time.Hour)
	w.WantContainer(id, "EXPIRED")
	w.WantGraph(400, 24, 2207008, "POST", w.Instagram.IGID+"/media_publish", "creation_id", id)
	w.WantGraph(400, 24, 2207006, "POST", w.Instagram.IGID+"/media_publish", "creation_id", "17800000000000000")
	w.WantGraph(400, 100, 0, "POST", w.Instagram.IGID+"/media_publish")
	w.WantLive(0)
}

func TestPollsBeforeFinished(t *testing.T) {
	media := sandboxtest.MediaHost(t, map[string][]byte{"/ok.jpg": sandboxtest.JPEG(640, 640)})
	w := sandboxtest.New(t, sandbox.Options{Delays: &sandbox.Delays{InstagramPolls: 2}})
	id := w.Container("image_url", media.URL+"/ok.jpg")
	for _, want := range []string{"IN_PROGRESS", "IN_PROGRESS", "FINISHED"} {
		w.WantContainer(id, want)
	}
}

func TestQuotaAndContainerLimit(t *testing.T) {
	media := sandboxtest.MediaHost(t, map[string][]byte{"/ok.jpg": sandboxtest.JPEG(640, 640)})
	w := sandboxtest.New(t, sandbox.Options{Delays: &sandbox.Delays{InstagramQuotaLag: 5 * time.Minute}, Limits: &sandbox.Limits{InstagramContainers: 4}})
	w.AddInstagramAccount(sandbox.InstagramAccount{IGID: w.Instagram.IGID, QuotaTotal: 2})
	publish := func(status, code, subcode int) {
		t.Helper()
		w.WantGraph(status, code, subcode, "POST", w.Instagram.IGID+"/media_publish", "creation_id", w.FinishedContainer(media.URL+"/ok.jpg"))
	}
	usage := func(want int) {
		t.Helper()
		a := w.WantGraph(200, 0, 0, "GET", w.Instagram.IGID+"/content_publishing_limit", "fields", "quota_usage,config")
		if a.Data[0].QuotaUsage != want || a.Data[0].Config.Total != 2 || a.Data[0].Config.Duration != 86400 {
			t.Errorf("quota %+v, want usage %d", a.Data, want)
		}
	}
	publish(200, 0, 0)
	publish(200, 0, 0)
	usage(0) // lags, while the limit does not
	publish(400, 9, 2207042)
	w.Advance(5 * time.Minute)
	usage(2)
	w.FinishedContainer(media.URL + "/ok.jpg")
	w.WantGraph(400, 9, 2207042, "POST", w.Instagram.IGID+"/media", "image_url", media.URL+"/ok.jpg")
	w.Advance(24 * time.Hour)
	usage(0)
	publish(200, 0, 0)
	w.WantGraph(400, 100, 0, "GET", w.Instagram.IGID+"/content_publishing_limit", "since", "1")
}

func TestCarouselAndStory(t *testing.T) {
	media := sandboxtest.MediaHost(t, map[string][]byte{"/ok.jpg": sandboxtest.JPEG(640, 640), "/tall.jpg": sandboxtest.JPEG(360, 640), "/ok.mp4": sandboxtest.MP4(400)})
	w := sandboxtest.New(t, sandbox.Options{Delays: sandboxtest.Delays})
	a := w.Container("image_url", media.URL+"/ok.jpg", "is_carousel_item", "true", "alt_text", "one")
	b := w.Container("video_url", media.URL+"/ok.mp4", "media_type", "VIDEO", "is_carousel_item", "true")
	sandboxtest.Eventually(t, "the video child is there", func() bool {
		w.Advance(time.Second)
		return w.WantGraph(200, 0, 0, "GET", b, "fields", "status_code").StatusCode == "FINISHED"
	})
	parent := w.Container("media_type", "CAROUSEL", "children", a+","+b, "caption", "both")
	w.WantContainer(parent, "IN_PROGRESS")
	w.Advance(5 * time.Second)
	w.WantContainer(parent, "FINISHED")
	w.WantGraph(400, 100, 0, "POST", w.Instagram.IGID+"/media_publish", "creation_id", a)
	w.WantGraph(200, 0, 0, "POST", w.Instagram.IGID+"/media_publish", "creation_id", parent)

	story := w.Container("media_type", "STORIES", "image_url", media.URL+"/tall.jpg", "caption", "ignored")
	w.Advance(5 * time.Second)
	id := w.WantGraph(200, 0, 0, "POST", w.Instagram.IGID+"/media_publish", "creation_id", story).ID

	live := w.WantLive(2)
	if live[0].Kind != "carousel" || len(live[0].Media) != 2 || live[1].Kind != "story" || live[1].Caption != "" {
		t.Errorf("live: %+v", live)
	}
	list := w.WantGraph(200, 0, 0, "GET", w.Instagram.IGID+"/media", "fields", "id,children")
	stories := w.WantGraph(200, 0, 0, "GET", w.Instagram.IGID+"/stories")
	if len(list.Data) != 1 || len(stories.Data) != 1 || stories.Data[0].ID != id {
		t.Errorf("media %+v, stories %+v", list.Data, stories.Data)
	}
	w.Advance(24 * time.Hour)
	if stories = w.WantGraph(200, 0, 0, "GET", w.Instagram.IGID+"/stories"); len(stories.Data) != 0 {
		t.Error("a story outlived its day")
	}
}

func TestMediaPagesNewestFirst(t *testing.T) {
	media := sandboxtest.MediaHost(t, map[string][]byte{"/ok.jpg": sandboxtest.JPEG(640, 640)})
	w := sandboxtest.New(t, sandbox.Options{})
	var want []string
	for range 5 {
		id := w.WantGraph(200, 0, 0, "POST", w.Instagram.IGID+"/media_publish", "creation_id", w.FinishedContainer(media.URL+"/ok.jpg")).ID
		want = append([]string{id}, want...)
	}
	var got []string
	page := w.WantGraph(200, 0, 0, "GET", w.Instagram.IGID+"/media", "fields", "id,caption,permalink,timestamp", "limit", "2")
	for n := 1; ; n++ {
		for _, m := range page.Data {
			got = append(got, m.ID)
		}
		if page.Paging.Next == "" || n > 5 {
			break
		}
		page = w.Send(w.Request("GET", page.Paging.Next+"&appsecret_proof="+sandboxtest.Proof(w.Instagram.PageToken), ""))
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
	w.WantGraph(400, 100, 0, "GET", w.Instagram.IGID+"/media", "after", "nonsense")
}

func TestInstagramCallBudget(t *testing.T) {
	w := sandboxtest.New(t, sandbox.Options{Limits: &sandbox.Limits{InstagramCalls: 2}})
	for range 2 {
		w.WantGraph(200, 0, 0, "GET", w.Instagram.IGID)
	}
	a := w.WantGraph(400, 80002, 0, "GET", w.Instagram.IGID)
	if !strings.Contains(a.Header.Get("X-Business-Use-Case-Usage"), `"call_count":100,"total_cputime":100,"total_time":100,"estimated_time_to_regain_access":1441`) {
		t.Errorf("usage %q", a.Header.Get("X-Business-Use-Case-Usage"))
	}
	w.Advance(24 * time.Hour)
	w.WantGraph(200, 0, 0, "GET", w.Instagram.IGID)
}

func TestNoPrivateFetch(t *testing.T) {
	media := sandboxtest.MediaHost(t, map[string][]byte{"/ok.jpg": sandboxtest.JPEG(640, 640)})
	w := sandboxtest.New(t, sandbox.Options{NoPrivateFetch: true})
	w.WantGraph(400, 9004, 2207052, "POST", w.Instagram.IGID+"/media", "image_url", media.URL+"/ok.jpg")
	w.WantTikTok(sandboxtest.PathInit, sandboxtest.PullBody(media.URL+"/a.mp4"), 400, "invalid_param")
}
