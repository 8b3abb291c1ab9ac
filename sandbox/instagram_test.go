package sandbox_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"socialqueue/sandbox"
)

func TestImagePost(t *testing.T) {
	pic := jpegOf(640, 640)
	media := mediaHost(t, map[string][]byte{"/ok.jpg": pic})
	w := newWorld(t, sandbox.Options{Delays: delays})
	id := w.container("image_url", media.URL+"/ok.jpg", "caption", "Fresh bread #bakery")
	w.wantContainer(id, "IN_PROGRESS")
	w.wantGraph(400, 9007, 2207027, "POST", w.ig.IGID+"/media_publish", "creation_id", id)
	w.Advance(5 * time.Second)
	if a := w.wantContainer(id, "FINISHED"); !strings.HasPrefix(a.Status, "Finished: ") {
		t.Errorf("status %q", a.Status)
	}
	w.wantLive(0)
	m := w.wantGraph(200, 0, 0, "POST", w.ig.IGID+"/media_publish", "creation_id", id)
	live := w.wantLive(1)[0]
	if m.ID == id || live.ID != m.ID || live.ContainerID != id || live.SHA256 != sum(pic) || live.Caption != "Fresh bread #bakery" {
		t.Errorf("media %s, live %+v", m.ID, live)
	}
	got := w.wantGraph(200, 0, 0, "GET", m.ID, "fields", "id,media_type,media_product_type,permalink,timestamp,caption")
	if got.Permalink != live.Permalink || !strings.HasPrefix(got.Permalink, w.URL()+"/p/") || got.MediaType != "IMAGE" ||
		got.Product != "FEED" || got.Timestamp != "2026-11-22T06:00:05+0000" {
		t.Errorf("media: %+v", got)
	}
	w.wantContainer(id, "PUBLISHED")
	w.Advance(25 * time.Hour)
	w.wantContainer(id, "PUBLISHED")
}

func TestImageChecks(t *testing.T) {
	media := mediaHost(t, map[string][]byte{
		"/ok.jpg": jpegOf(640, 640), "/tall.jpg": jpegOf(800, 1000), "/taller.jpg": jpegOf(780, 1000), "/wide.jpg": jpegOf(955, 500),
		"/wider.jpg": jpegOf(1000, 500), "/small.jpg": jpegOf(319, 319), "/a.png": []byte("\x89PNG\r\n\x1a\n"),
		"/fake.jpg": []byte("not a picture"), "/page.html": []byte("<html>"), "/big.jpg": append(jpegOf(640, 640), make([]byte, 8<<20)...),
	})
	w := newWorld(t, sandbox.Options{})
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
		w.wantGraph(status, want[0], want[1], "POST", w.ig.IGID+"/media", "image_url", media.URL+path)
	}
}

func TestParameterTable(t *testing.T) {
	media := mediaHost(t, map[string][]byte{"/ok.jpg": jpegOf(640, 640)})
	pic := media.URL + "/ok.jpg"
	w := newWorld(t, sandbox.Options{})
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
		"fine": {0, 0, []string{"image_url", pic, "caption", strings.Repeat("ä", 2100) + strings.Repeat("#a ", 30), "alt_text", "bread",
			"collaborators", `["a","b"]`, "location_id", "123", "user_tags", `[{"username":"ann","x":0.5,"y":1}]`}},
		"fine reel": {0, 0, []string{"media_type", "REELS", "upload_type", "resumable", "share_to_feed", "false", "thumb_offset", "100",
			"cover_url", pic, "trial_params", `{"graduation_strategy":"MANUAL"}`}},
	} {
		t.Run(name, func(t *testing.T) {
			w := *w
			w.t = t
			status := 400
			if tc.code == 0 {
				status = 200
			}
			w.wantGraph(status, tc.code, tc.subcode, "POST", w.ig.IGID+"/media", tc.params...)
		})
	}
}

func TestParametersInAnyPlace(t *testing.T) {
	media := mediaHost(t, map[string][]byte{"/ok.jpg": jpegOf(640, 640)})
	w := newWorld(t, sandbox.Options{})
	q := url.Values{"image_url": {media.URL + "/ok.jpg"}, "appsecret_proof": {proof(w.ig.UserToken)}}
	target := w.GraphURL() + "/v25.0/" + w.ig.IGID + "/media"
	for name, req := range map[string]*http.Request{
		"query": w.request("POST", target+"?"+q.Encode(), ""),
		"form":  w.request("POST", target, q.Encode(), "Content-Type", "application/x-www-form-urlencoded"),
		"json": w.request("POST", target, fmt.Sprintf(`{"image_url":%q,"appsecret_proof":%q,"is_ai_generated":true}`,
			q.Get("image_url"), q.Get("appsecret_proof")), "Content-Type", "application/json"),
	} {
		req.Header.Set("Authorization", "Bearer "+w.ig.UserToken)
		if a := w.send(req); a.status != 200 || a.ID == "" {
			t.Errorf("%s: %d %+v", name, a.status, a.Error)
		}
	}
}

func TestGraphTokensProofAndScopes(t *testing.T) {
	w := newWorld(t, sandbox.Options{})
	other := w.AddInstagramAccount(sandbox.InstagramAccount{Scopes: []string{"instagram_basic"}})
	quota := w.ig.IGID + "/content_publishing_limit"

	a := w.wantGraph(400, 190, 0, "GET", quota, "access_token", "EAAnobody")
	if !strings.HasPrefix(a.header.Get("Www-Authenticate"), `OAuth "Facebook Platform" "invalid_token"`) || a.Error.Trace == "" || a.Error.Type != "OAuthException" {
		t.Errorf("invalid token: %+v %v", a.Error, a.header)
	}
	a = w.wantGraph(400, 100, 0, "GET", quota, "appsecret_proof", "")
	if a.Error.Type != "GraphMethodException" || a.Error.Message != "API calls from the server require an appsecret_proof argument" {
		t.Errorf("no proof: %+v", a.Error)
	}
	a = w.wantGraph(400, 100, 0, "GET", quota, "appsecret_proof", proof(w.ig.UserToken)) // of the other token
	if a.Error.Message != "Invalid appsecret_proof provided in the API argument" {
		t.Errorf("wrong proof: %+v", a.Error)
	}
	w.wantGraph(400, 100, 33, "GET", quota, "access_token", other.PageToken, "appsecret_proof", proof(other.PageToken))
	w.wantGraph(403, 200, 0, "GET", other.IGID+"/content_publishing_limit", "access_token", other.PageToken, "appsecret_proof", proof(other.PageToken))
	w.wantGraph(400, 100, 33, "GET", "12345")
	w.wantGraph(400, 100, 0, "GET", w.ig.IGID, "fields", "id,shoe_size")

	w.Advance(61 * 24 * time.Hour)
	w.wantGraph(400, 190, 463, "GET", quota, "access_token", w.ig.UserToken, "appsecret_proof", proof(w.ig.UserToken))
	w.wantGraph(200, 0, 0, "GET", quota) // a Page token does not expire
}

func TestProofOptional(t *testing.T) {
	w := newWorld(t, sandbox.Options{ProofOptional: true})
	w.wantGraph(200, 0, 0, "GET", w.ig.IGID, "appsecret_proof", "")
	w.wantGraph(400, 100, 0, "GET", w.ig.IGID, "appsecret_proof", "00")
}

func TestGraphVersionsAndHeaders(t *testing.T) {
	w := newWorld(t, sandbox.Options{})
	for asked, served := range map[string]string{"v25.0": "v25.0", "v26.0": "v26.0", "v19.0": "v21.0", "v27.0": "", w.ig.IGID: ""} {
		req := w.graphRequest("GET", w.ig.IGID)
		req.URL.Path = strings.Replace(req.URL.Path, "v25.0", asked, 1)
		a := w.send(req)
		if served == "" && a.Error.Code != 2500 {
			t.Errorf("%s: %d %+v", asked, a.status, a.Error)
		}
		if served != "" && (a.status != 200 || a.header.Get("Facebook-Api-Version") != served) {
			t.Errorf("%s: %d, served by %q", asked, a.status, a.header.Get("Facebook-Api-Version"))
		}
		if a.header.Get("X-App-Usage") == "" || !strings.Contains(a.header.Get("X-Business-Use-Case-Usage"), `"estimated_time_to_regain_access"`) {
			t.Errorf("%s: usage headers %v", asked, a.header)
		}
	}
}

func TestReelByURL(t *testing.T) {
	video := mp4(5000)
	media := mediaHost(t, map[string][]byte{"/ok.mp4": video, "/fake.mp4": []byte("no video at all")})
	w := newWorld(t, sandbox.Options{Delays: delays, Limits: noLimits})
	for path, code := range map[string]string{"/ok.mp4": "", "/fake.mp4": "2207026", "/gone.mp4": "2207077", "/moved.mp4": "2207077"} {
		id := w.container("media_type", "REELS", "video_url", media.URL+path, "caption", "c")
		w.wantContainer(id, "IN_PROGRESS")
		want := "FINISHED"
		if code != "" {
			want = "ERROR"
		}
		var st igAnswer
		eventually(t, path+" is "+want, func() bool {
			w.Advance(10 * time.Second)
			st = w.wantGraph(200, 0, 0, "GET", id, "fields", "status_code,status")
			return st.StatusCode == want
		})
		if !strings.Contains(st.Status, code) {
			t.Errorf("%s: %q", path, st.Status)
		}
		if code != "" {
			w.wantGraph(400, 9007, 2207027, "POST", w.ig.IGID+"/media_publish", "creation_id", id)
			continue
		}
		m := w.wantGraph(200, 0, 0, "POST", w.ig.IGID+"/media_publish", "creation_id", id)
		got := w.wantGraph(200, 0, 0, "GET", m.ID, "fields", "permalink,media_type,media_product_type")
		if got.MediaType != "VIDEO" || got.Product != "REELS" || !strings.Contains(got.Permalink, "/reel/") {
			t.Errorf("media: %+v", got)
		}
	}
	if live := w.wantLive(1); live[0].SHA256 != sum(video) || live[0].Kind != "reel" {
		t.Errorf("live: %+v", live)
	}
}

func (w *world) rupload(uri string, data []byte, header ...string) answer {
	req, err := http.NewRequest("POST", uri, bytes.NewReader(data))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "OAuth "+w.ig.PageToken)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return w.do(req)
}

func TestResumableUpload(t *testing.T) {
	w := newWorld(t, sandbox.Options{Delays: delays})
	video := mp4(100_000)
	c := w.wantGraph(200, 0, 0, "POST", w.ig.IGID+"/media", "media_type", "REELS", "upload_type", "resumable")
	if c.URI != w.RuploadURL()+"/ig-api-upload/v25.0/"+c.ID {
		t.Fatalf("uri %q", c.URI)
	}
	refused := func(kind string, a answer) {
		t.Helper()
		if a.err != nil || a.status != 400 || !strings.Contains(string(a.body), `"type":"`+kind+`"`) {
			t.Fatalf("%d %s %v, want %s", a.status, a.body, a.err, kind)
		}
	}
	refused("NotAuthorizedError", w.rupload(c.URI, video, "offset", "0", "file_size", "100000", "Authorization", "Bearer "+w.ig.PageToken))
	refused("ProcessingFailedError", w.rupload(c.URI, video, "file_size", "100000"))
	refused("ProcessingFailedError", w.rupload(c.URI, video, "offset", "5", "file_size", "100000"))
	refused("ProcessingFailedError", w.rupload(c.URI, video, "offset", "0", "file_size", "99999"))
	refused("ProcessingFailedError", w.rupload(strings.Replace(c.URI, c.ID, "178", 1), video, "offset", "0", "file_size", "100000"))
}

func TestResumableResume(t *testing.T) {
	w := newWorld(t, sandbox.Options{Delays: delays})
	video := mp4(100_000)
	c := w.wantGraph(200, 0, 0, "POST", w.ig.IGID+"/media", "media_type", "REELS", "upload_type", "resumable")
	w.Script(sandbox.Fault{Op: sandbox.OpInstagramUpload, Mode: sandbox.ModePartial, Bytes: 50_002})
	if a := w.rupload(c.URI, video, "offset", "0", "file_size", "100000"); a.err == nil {
		t.Fatalf("the broken upload was answered: %d", a.status)
	}
	st := w.wantContainer(c.ID, "IN_PROGRESS")
	if st.VideoStatus.Uploading.Bytes != 50_002 || st.VideoStatus.Uploading.Status != "in_progress" {
		t.Fatalf("video_status %+v", st.VideoStatus)
	}
	if a := w.rupload(c.URI, video, "offset", "0", "file_size", "100000"); a.status != 400 {
		t.Errorf("from the start again: %d", a.status)
	}
	a := w.rupload(c.URI, video[50_002:], "offset", "50002", "file_size", "100000")
	if a.err != nil || a.status != 200 || !strings.Contains(string(a.body), `"success":true`) {
		t.Fatalf("resume: %d %s %v", a.status, a.body, a.err)
	}
	w.Advance(30 * time.Second)
	w.wantContainer(c.ID, "FINISHED")
	w.wantGraph(200, 0, 0, "POST", w.ig.IGID+"/media_publish", "creation_id", c.ID)
	if live := w.wantLive(1); live[0].SHA256 != sum(video) {
		t.Error("the resumed bytes differ")
	}
}

func TestResumableFromURL(t *testing.T) {
	media := mediaHost(t, map[string][]byte{"/ok.mp4": mp4(500)})
	w := newWorld(t, sandbox.Options{Delays: &sandbox.Delays{}})
	c := w.wantGraph(200, 0, 0, "POST", w.ig.IGID+"/media", "media_type", "REELS", "upload_type", "resumable")
	if a := w.rupload(c.URI, nil, "file_url", media.URL+"/ok.mp4"); a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	eventually(t, "FINISHED", func() bool {
		return w.wantGraph(200, 0, 0, "GET", c.ID, "fields", "status_code").StatusCode == "FINISHED"
	})
}

// finished makes a container that can be published.
func (w *world) finished(u string) string {
	w.t.Helper()
	id := w.container("image_url", u)
	w.Advance(time.Minute)
	w.wantContainer(id, "FINISHED")
	return id
}

func TestDoublePublishNeverMakesASecondPost(t *testing.T) {
	media := mediaHost(t, map[string][]byte{"/ok.jpg": jpegOf(640, 640)})
	for setting, want := range map[sandbox.DoublePublish][3]int{
		"": {400, 24, 2207006}, sandbox.DoubleNotFound: {400, 24, 2207006}, sandbox.DoubleNotReady: {400, 9007, 2207027},
		sandbox.DoubleSameID: {200, 0, 0}, sandbox.DoubleGeneric: {400, 100, 0},
	} {
		w := newWorld(t, sandbox.Options{DoublePublish: setting})
		id := w.finished(media.URL + "/ok.jpg")
		first := w.wantGraph(200, 0, 0, "POST", w.ig.IGID+"/media_publish", "creation_id", id)
		again := w.wantGraph(want[0], want[1], want[2], "POST", w.ig.IGID+"/media_publish", "creation_id", id)
		if want[0] == 200 && again.ID != first.ID {
			t.Errorf("%q: another id", setting)
		}
		w.wantLive(1)
	}
}

func TestContainersExpire(t *testing.T) {
	media := mediaHost(t, map[string][]byte{"/ok.jpg": jpegOf(640, 640)})
	w := newWorld(t, sandbox.Options{})
	id := w.finished(media.URL + "/ok.jpg")
	w.Advance(24 * time.Hour)
	w.wantContainer(id, "EXPIRED")
	w.wantGraph(400, 24, 2207008, "POST", w.ig.IGID+"/media_publish", "creation_id", id)
	w.wantGraph(400, 24, 2207006, "POST", w.ig.IGID+"/media_publish", "creation_id", "17800000000000000")
	w.wantGraph(400, 100, 0, "POST", w.ig.IGID+"/media_publish")
	w.wantLive(0)
}

func TestPollsBeforeFinished(t *testing.T) {
	media := mediaHost(t, map[string][]byte{"/ok.jpg": jpegOf(640, 640)})
	w := newWorld(t, sandbox.Options{Delays: &sandbox.Delays{InstagramPolls: 2}})
	id := w.container("image_url", media.URL+"/ok.jpg")
	for _, want := range []string{"IN_PROGRESS", "IN_PROGRESS", "FINISHED"} {
		w.wantContainer(id, want)
	}
}

func TestQuotaAndContainerLimit(t *testing.T) {
	media := mediaHost(t, map[string][]byte{"/ok.jpg": jpegOf(640, 640)})
	w := newWorld(t, sandbox.Options{Delays: &sandbox.Delays{InstagramQuotaLag: 5 * time.Minute}, Limits: &sandbox.Limits{InstagramContainers: 4}})
	w.AddInstagramAccount(sandbox.InstagramAccount{IGID: w.ig.IGID, QuotaTotal: 2})
	publish := func(status, code, subcode int) {
		t.Helper()
		w.wantGraph(status, code, subcode, "POST", w.ig.IGID+"/media_publish", "creation_id", w.finished(media.URL+"/ok.jpg"))
	}
	usage := func(want int) {
		t.Helper()
		a := w.wantGraph(200, 0, 0, "GET", w.ig.IGID+"/content_publishing_limit", "fields", "quota_usage,config")
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
	w.finished(media.URL + "/ok.jpg")
	w.wantGraph(400, 9, 2207042, "POST", w.ig.IGID+"/media", "image_url", media.URL+"/ok.jpg")
	w.Advance(24 * time.Hour)
	usage(0)
	publish(200, 0, 0)
	w.wantGraph(400, 100, 0, "GET", w.ig.IGID+"/content_publishing_limit", "since", "1")
}

func TestCarouselAndStory(t *testing.T) {
	media := mediaHost(t, map[string][]byte{"/ok.jpg": jpegOf(640, 640), "/tall.jpg": jpegOf(360, 640), "/ok.mp4": mp4(400)})
	w := newWorld(t, sandbox.Options{Delays: delays})
	a := w.container("image_url", media.URL+"/ok.jpg", "is_carousel_item", "true", "alt_text", "one")
	b := w.container("video_url", media.URL+"/ok.mp4", "media_type", "VIDEO", "is_carousel_item", "true")
	eventually(t, "the video child is there", func() bool {
		w.Advance(time.Second)
		return w.wantGraph(200, 0, 0, "GET", b, "fields", "status_code").StatusCode == "FINISHED"
	})
	parent := w.container("media_type", "CAROUSEL", "children", a+","+b, "caption", "both")
	w.wantContainer(parent, "IN_PROGRESS")
	w.Advance(5 * time.Second)
	w.wantContainer(parent, "FINISHED")
	w.wantGraph(400, 100, 0, "POST", w.ig.IGID+"/media_publish", "creation_id", a)
	w.wantGraph(200, 0, 0, "POST", w.ig.IGID+"/media_publish", "creation_id", parent)

	story := w.container("media_type", "STORIES", "image_url", media.URL+"/tall.jpg", "caption", "ignored")
	w.Advance(5 * time.Second)
	id := w.wantGraph(200, 0, 0, "POST", w.ig.IGID+"/media_publish", "creation_id", story).ID

	live := w.wantLive(2)
	if live[0].Kind != "carousel" || len(live[0].Media) != 2 || live[1].Kind != "story" || live[1].Caption != "" {
		t.Errorf("live: %+v", live)
	}
	list := w.wantGraph(200, 0, 0, "GET", w.ig.IGID+"/media", "fields", "id,children")
	stories := w.wantGraph(200, 0, 0, "GET", w.ig.IGID+"/stories")
	if len(list.Data) != 1 || len(stories.Data) != 1 || stories.Data[0].ID != id {
		t.Errorf("media %+v, stories %+v", list.Data, stories.Data)
	}
	w.Advance(24 * time.Hour)
	if stories = w.wantGraph(200, 0, 0, "GET", w.ig.IGID+"/stories"); len(stories.Data) != 0 {
		t.Error("a story outlived its day")
	}
}

func TestMediaPagesNewestFirst(t *testing.T) {
	media := mediaHost(t, map[string][]byte{"/ok.jpg": jpegOf(640, 640)})
	w := newWorld(t, sandbox.Options{})
	var want []string
	for range 5 {
		id := w.wantGraph(200, 0, 0, "POST", w.ig.IGID+"/media_publish", "creation_id", w.finished(media.URL+"/ok.jpg")).ID
		want = append([]string{id}, want...)
	}
	var got []string
	page := w.wantGraph(200, 0, 0, "GET", w.ig.IGID+"/media", "fields", "id,caption,permalink,timestamp", "limit", "2")
	for n := 1; ; n++ {
		for _, m := range page.Data {
			got = append(got, m.ID)
		}
		if page.Paging.Next == "" || n > 5 {
			break
		}
		page = w.send(w.request("GET", page.Paging.Next+"&appsecret_proof="+proof(w.ig.PageToken), ""))
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
	w.wantGraph(400, 100, 0, "GET", w.ig.IGID+"/media", "after", "nonsense")
}

func TestInstagramCallBudget(t *testing.T) {
	w := newWorld(t, sandbox.Options{Limits: &sandbox.Limits{InstagramCalls: 2}})
	for range 2 {
		w.wantGraph(200, 0, 0, "GET", w.ig.IGID)
	}
	a := w.wantGraph(400, 80002, 0, "GET", w.ig.IGID)
	if !strings.Contains(a.header.Get("X-Business-Use-Case-Usage"), `"call_count":100,"total_cputime":100,"total_time":100,"estimated_time_to_regain_access":1441`) {
		t.Errorf("usage %q", a.header.Get("X-Business-Use-Case-Usage"))
	}
	w.Advance(24 * time.Hour)
	w.wantGraph(200, 0, 0, "GET", w.ig.IGID)
}

func TestNoPrivateFetch(t *testing.T) {
	media := mediaHost(t, map[string][]byte{"/ok.jpg": jpegOf(640, 640)})
	w := newWorld(t, sandbox.Options{NoPrivateFetch: true})
	w.wantGraph(400, 9004, 2207052, "POST", w.ig.IGID+"/media", "image_url", media.URL+"/ok.jpg")
	w.wantTikTok(pathInit, pullBody(media.URL+"/a.mp4"), 400, "invalid_param")
}
