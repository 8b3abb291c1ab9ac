package tiktok

import (
	"encoding/json"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"socialqueue/platform"
)

func TestCreatorInfo(t *testing.T) {
	ctx, c, calls := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Method != "POST" || r.URL.Path != "/v2/post/publish/creator_info/query/" || len(body) != 0 ||
			r.Header.Get("Authorization") != "Bearer "+testToken.Reveal() || r.Header.Get("Content-Type") != "application/json; charset=UTF-8" {
			t.Errorf("got %s %s %q %v", r.Method, r.URL, body, r.Header)
		}
		answer(200, `{"data":{"creator_username":"simcafe","creator_nickname":"Sim Cafe","creator_avatar_url":"https://cdn.sim.test/a.jpeg",
 "privacy_level_options":["PUBLIC_TO_EVERYONE","MUTUAL_FOLLOW_FRIENDS","SELF_ONLY",""],"comment_disabled":false,
 "duet_disabled":false,"stitch_disabled":true,"max_video_post_duration_sec":600},
 "error":{"code":"ok","message":"","log_id":"202611220633SIM"}}`)(w, r)
	})
	got, err := c.CreatorInfo(ctx, testToken)
	want := CreatorInfo{
		Username: "simcafe", Nickname: "Sim Cafe", AvatarURL: "https://cdn.sim.test/a.jpeg", StitchDisabled: true, MaxVideoDuration: 10 * time.Minute,
		PrivacyLevels: []string{"PUBLIC_TO_EVERYONE", "MUTUAL_FOLLOW_FRIENDS", "SELF_ONLY"},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v %v", got, err)
	}
	if call := (*calls)[0]; len(*calls) != 1 || call.Err != nil || call.LogID != "202611220633SIM" || call.PlatformCode != "ok" || call.HTTPStatus != 200 {
		t.Errorf("recorded %+v", *calls)
	}
}

func TestCreatorInfoOddValues(t *testing.T) {
	got, err := parseCreatorInfo(json.RawMessage(`{"duet_disabled":"true","max_video_post_duration_sec":-4}`))
	if err != nil || !got.DuetDisabled || got.MaxVideoDuration != 0 {
		t.Errorf("got %+v %v", got, err)
	}
}

const initAnswer = `{"data":{"publish_id":"v_pub_file~v2-1.7601447475849021452","upload_url":"UPLOAD"},"error":{"code":"ok","message":"","log_id":"202611220633SIM"}}`

func TestInitVideo(t *testing.T) {
	cover := int32(1500)
	var body string
	var link string
	ctx, c, calls := serve(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		body = string(b)
		if r.URL.Path != "/v2/post/publish/video/init/" {
			t.Errorf("path %s", r.URL.Path)
		}
		link = "http://" + r.Host + "/upload?upload_id=1&upload_token=" + uploadToken
		answer(200, strings.ReplaceAll(initAnswer, "UPLOAD", link))(w, r)
	})
	plan, _ := PlanUpload(121_000_000)
	up, err := c.InitVideo(ctx, testToken, VideoPost{
		Title: "New roast #coffee", PrivacyLevel: "SELF_ONLY", DisableDuet: true, DisableStitch: true, BrandOrganic: true, CoverTimestampMs: &cover,
	}, plan)
	if err != nil || up.PublishID != "v_pub_file~v2-1.7601447475849021452" || up.URL.Reveal() != link {
		t.Fatalf("got %+v %v", up, err)
	}
	want := `{"post_info":{"title":"New roast #coffee","privacy_level":"SELF_ONLY","disable_duet":true,"disable_comment":false,"disable_stitch":true,` +
		`"brand_content_toggle":false,"brand_organic_toggle":true,"is_aigc":false,"video_cover_timestamp_ms":1500},` +
		`"source_info":{"source":"FILE_UPLOAD","video_size":121000000,"chunk_size":10000000,"total_chunk_count":12}}`
	if body != want {
		t.Errorf("sent %s", body)
	}
	if call := (*calls)[0]; call.Detail != "121000000 bytes in 12 chunks" || call.Err != nil {
		t.Errorf("recorded %+v", call)
	}
}

func TestInitVideoTellsOneChunk(t *testing.T) {
	ctx, c, calls := serve(t, answer(500, "{}"))
	plan, _ := PlanUpload(100)
	_, _ = c.InitVideo(ctx, testToken, VideoPost{}, plan)
	if call := (*calls)[0]; call.Detail != "100 bytes in 1 chunk" {
		t.Errorf("recorded %+v", call)
	}
}

func TestInitVideoRefusesABadPlan(t *testing.T) {
	ctx, c, calls := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("a request came") })
	_, err := c.InitVideo(ctx, testToken, VideoPost{}, Plan{})
	wantError(t, err, platform.Rejected, platform.CodeUploadFailed)
	if len(*calls) != 1 {
		t.Error("not recorded")
	}
}
