package handlers_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"socialqueue/models"
)

// TestBadPosts checks that each of these is refused with an error that names the field, and
// that nothing is stored.
func TestBadPosts(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		video, picture := w.upload("upright.mp4"), w.upload("baseline.jpg")
		before := w.stored()
		for name, tc := range map[string]struct {
			change map[string]any
			raw    string
			status int
			code   string
			field  string
		}{
			"another app's account":   {change: map[string]any{"account_id": w.theirs.tiktok}, status: 404, code: "NOT_FOUND", field: "account_id"},
			"no such account":         {change: map[string]any{"account_id": 99999}, status: 404, code: "NOT_FOUND", field: "account_id"},
			"account id of 64 bits":   {change: map[string]any{"account_id": 1 << 40}, status: 404, code: "NOT_FOUND", field: "account_id"},
			"no account":              {change: map[string]any{"account_id": nil}, field: "account_id"},
			"account as text":         {change: map[string]any{"account_id": "1"}, field: "account_id"},
			"account as fraction":     {change: map[string]any{"account_id": 1.5}, field: "account_id"},
			"unknown field":           {change: map[string]any{"tilte": "x"}, field: "tilte"},
			"other case":              {change: map[string]any{"Title": "x"}, field: "Title"},
			"title is a number":       {change: map[string]any{"title": 5}, field: "title"},
			"title of 2201 units":     {change: map[string]any{"title": strings.Repeat("😀", 1100) + "x"}, field: "title"},
			"wrong privacy":           {change: map[string]any{"privacy_level": "PUBLIC"}, field: "privacy_level"},
			"no privacy":              {change: map[string]any{"privacy_level": nil}, field: "privacy_level"},
			"branded and private":     {change: map[string]any{"privacy_level": "SELF_ONLY", "brand_content_toggle": true}, field: "brand_content_toggle"},
			"toggle is text":          {change: map[string]any{"disable_duet": "yes"}, field: "disable_duet"},
			"cover beyond 32 bits":    {change: map[string]any{"video_cover_timestamp_ms": 1 << 33}, field: "video_cover_timestamp_ms"},
			"cover behind the end":    {change: map[string]any{"video_cover_timestamp_ms": 600_000}, field: "video_cover_timestamp_ms"},
			"publish_at in the past":  {change: map[string]any{"publish_at": "2026-11-23T09:59:00Z"}, field: "publish_at"},
			"publish_at without zone": {change: map[string]any{"publish_at": "2026-11-24T10:00:00"}, field: "publish_at"},
			"publish_at is a number":  {change: map[string]any{"publish_at": 1795600000}, field: "publish_at"},
			"publish_at in 10 years":  {change: map[string]any{"publish_at": "2036-11-24T10:00:00Z"}, field: "publish_at"},
			"max_lateness in seconds": {change: map[string]any{"max_lateness": 900}, field: "max_lateness"},
			"max_lateness no unit":    {change: map[string]any{"max_lateness": "15"}, field: "max_lateness"},
			"max_lateness negative":   {change: map[string]any{"max_lateness": "-5m"}, field: "max_lateness"},
			"private media_url":       {change: map[string]any{"media_id": nil, "media_url": "http://10.0.0.1/a.mp4"}, field: "media_url"},
			"loopback media_url":      {change: map[string]any{"media_id": nil, "media_url": "http://127.0.0.1:80/a.mp4"}, field: "media_url"},
			"metadata service":        {change: map[string]any{"media_id": nil, "media_url": "http://169.254.169.254/latest"}, field: "media_url"},
			"media_url of a file":     {change: map[string]any{"media_id": nil, "media_url": "file:///etc/passwd"}, field: "media_url"},
			"no media":                {change: map[string]any{"media_id": nil}, field: "media_id"},
			"both media":              {change: map[string]any{"media_url": "https://example.com/a.mp4"}, field: "media_id"},
			"unknown media":           {change: map[string]any{"media_id": models.NewID()}, status: 404, code: "NOT_FOUND", field: "media_id"},
			"media id is nonsense":    {change: map[string]any{"media_id": strings.Repeat("x", 36)}, status: 404, code: "NOT_FOUND", field: "media_id"},
			"media id too long":       {change: map[string]any{"media_id": strings.Repeat("x", 37)}, field: "media_id"},
			"a picture as video":      {change: map[string]any{"media_id": picture}, field: "media_id"},
			"NUL in the title":        {change: map[string]any{"title": "a\x00b"}, field: "title"},
			"half a surrogate":        {raw: `{"title":"a\ud83d"}`, field: "title"},
			"invalid UTF-8":           {raw: "{\"title\":\"a\xff\"}", field: "title"},
			"given twice":             {raw: `{"title":"a","title":"b"}`, field: "title"},
			"broken JSON":             {raw: `{"title":`, status: 400},
			"no JSON":                 {raw: `hello`, status: 400},
			"empty":                   {raw: ``, status: 400},
			"blank":                   {raw: " \n", status: 400},
			"trailing data":           {raw: `{"title":"a"} {}`, status: 400},
			"a list":                  {raw: `[]`},
			"null":                    {raw: `null`},
			"over 1 MiB":              {raw: `{"title":"` + strings.Repeat("x", 1<<20) + `"}`, status: 413, code: "TOO_LARGE"},
		} {
			t.Run(name, func(t *testing.T) {
				w := w.in(t)
				body := any(tc.raw)
				if tc.change != nil {
					body = w.tiktok(video, tc.change)
				}
				if tc.status == 0 {
					tc.status = 422
				}
				if tc.code == "" {
					tc.code = "VALIDATION_FAILED"
				}
				w.do(call{method: "POST", path: "/api/tiktok/upload", json: body}).WantProblem(tc.status, tc.code, tc.field)
				w.wantUnchanged(before)
			})
		}
	})
}

// in returns the same fixture for a subtest.
func (w *fixture) in(t *testing.T) *fixture {
	sub := *w
	sub.t = t
	return &sub
}

func TestSeveralErrorsAtOnce(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		r := w.do(call{method: "POST", path: "/api/tiktok/upload", json: `{"account_id":"1","nope":2,"is_aigc":"x"}`})
		for _, field := range []string{"account_id", "nope", "is_aigc"} {
			r.WantProblem(422, "VALIDATION_FAILED", field)
		}
	})
}

func TestBadInstagramPosts(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		video, picture := w.upload("upright.mp4"), w.upload("baseline.jpg")
		before := w.stored()
		for name, tc := range map[string]struct {
			change string // JSON members that replace or join those of a good image
			status int
			field  string
		}{
			"a carousel's file":     {`"media_type":"CAROUSEL"`, 422, "media_id"},
			"children":              {`"media_type":"IMAGE","children":[{"media_id":"a"}]`, 422, "children"},
			"children as texts":     {`"media_type":"CAROUSEL","children":["a","b"]`, 422, "children[0]"},
			"no type":               {`"caption":"x"`, 422, "media_type"},
			"unknown type":          {`"media_type":"VIDEO"`, 422, "media_type"},
			"another app's account": {fmt.Sprintf(`"media_type":"IMAGE","account_id":%d`, w.theirs.instagram), 404, "account_id"},
			"long caption":          {`"media_type":"IMAGE","caption":"` + strings.Repeat("é", 2201) + `"`, 422, "caption"},
			"31 hashtags":           {`"media_type":"IMAGE","caption":"` + strings.Repeat("#a ", 31) + `"`, 422, "caption"},
			"21 mentions":           {`"media_type":"IMAGE","caption":"` + strings.Repeat("@a ", 21) + `"`, 422, "caption"},
			"location by name":      {`"media_type":"IMAGE","location_id":"Berlin"`, 422, "location_id"},
			"reel fields":           {`"media_type":"IMAGE","share_to_feed":true`, 422, "share_to_feed"},
			"private cover":         {`"media_type":"REELS","cover_url":"http://192.168.0.1/c.jpg"`, 422, "cover_url"},
			"collaborators as text": {`"media_type":"IMAGE","collaborators":"a"`, 422, "collaborators"},
			"NUL in a name":         {`"media_type":"IMAGE","collaborators":["a\u0000"]`, 422, "collaborators"},
			"unknown field of tag":  {`"media_type":"IMAGE","user_tags":[{"username":"a","z":1}]`, 422, "user_tags"},
			"tag without place":     {`"media_type":"IMAGE","user_tags":[{"username":"a"}]`, 422, "user_tags"},
			"a video as image":      {`"media_type":"IMAGE","media_id":"` + video + `"`, 422, "media_id"},
			"a picture as reel":     {`"media_type":"REELS","media_id":"` + picture + `"`, 422, "media_id"},
		} {
			t.Run(name, func(t *testing.T) {
				w := w.in(t)
				body := "{" + tc.change
				if !strings.Contains(tc.change, "account_id") {
					body += fmt.Sprintf(`,"account_id":%d`, w.ours.instagram)
				}
				if !strings.Contains(tc.change, "media_id") {
					body += `,"media_id":"` + picture + `"`
				}
				code := "VALIDATION_FAILED"
				if tc.status == 404 {
					code = "NOT_FOUND"
				}
				w.do(call{method: "POST", path: "/api/instagram/publish", json: body + "}"}).WantProblem(tc.status, code, tc.field)
				w.wantUnchanged(before)
			})
		}
	})
}

// TestBadFiles sends files in all three ways.
func TestBadFiles(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		good := testFile(t, "upright.mp4")
		before := w.stored()
		for name, tc := range map[string]struct {
			file   []byte
			status int
			code   string
		}{
			"text named .mp4": {[]byte("this is no video at all, but it is named like one"), 422, "VALIDATION_FAILED"},
			"truncated MP4":   {good[:len(good)-100], 422, "VALIDATION_FAILED"},
			"half an MP4":     {good[:len(good)/2], 422, "VALIDATION_FAILED"},
			"0 bytes":         {nil, 422, "VALIDATION_FAILED"},
			"cut PNG":         {testFile(t, "small.png")[:60], 422, "VALIDATION_FAILED"},
			"oversize":        {append(append(bytes.Clone(good), "\x00\x04\x00\x00free"...), make([]byte, maxFile-8)...), 413, "TOO_LARGE"},
		} {
			t.Run(name, func(t *testing.T) {
				w := w.in(t)
				file := ""
				video := ""
				if tc.status == 422 {
					file, video = "file", "video"
				}
				w.do(call{method: "POST", path: "/api/media", body: bytes.NewReader(tc.file), contentType: "video/mp4"}).WantProblem(tc.status, tc.code, file)
				contentType, body := formBody(t, field{"file", "a.mp4", tc.file})
				w.do(call{method: "POST", path: "/api/media", body: bytes.NewReader(body), contentType: contentType}).WantProblem(tc.status, tc.code, file)
				w.do(call{method: "POST", path: "/api/media", body: onlyReader{bytes.NewReader(body)}, contentType: contentType}).WantProblem(tc.status, tc.code, file)
				contentType, body = formBody(t, append(w.formFields(nil), field{"video", "a.mp4", tc.file})...)
				w.do(call{method: "POST", path: "/api/tiktok/upload", body: bytes.NewReader(body), contentType: contentType}).WantProblem(tc.status, tc.code, video)
				w.wantUnchanged(before)
			})
		}
	})
}

// onlyReader hides the length of a body.
type onlyReader struct{ r *bytes.Reader }

func (o onlyReader) Read(p []byte) (int, error) { return o.r.Read(p) }

// TestBadForms checks that nothing is stored of a bad form, though its file is good or
// arrived before.
func TestBadForms(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		video := field{"video", "a.mp4", testFile(t, "upright.mp4")}
		media := field{"file", "a.mp4", video.value}
		cut := func(n int) func([]byte) []byte { return func(b []byte) []byte { return b[:len(b)-n] } }
		before := w.stored()
		for name, tc := range map[string]struct {
			path   string
			parts  []field
			change func([]byte) []byte
			status int
			code   string
			field  string
		}{
			"unknown field behind the video":   {"/api/tiktok/upload", append([]field{video}, field{name: "nope"}), nil, 422, "", "nope"},
			"wrong field behind the video":     {"/api/tiktok/upload", append([]field{video}, w.formFields(map[string]string{"disable_comment": "maybe"})...), nil, 422, "", "disable_comment"},
			"wrong title behind the video":     {"/api/tiktok/upload", append([]field{video}, w.formFields(map[string]string{"title": strings.Repeat("x", 2201)})...), nil, 422, "", "title"},
			"another app's account":            {"/api/tiktok/upload", append(w.formFields(map[string]string{"account_id": fmt.Sprint(w.theirs.tiktok)}), video), nil, 404, "NOT_FOUND", ""},
			"cover behind the end":             {"/api/tiktok/upload", append(w.formFields(map[string]string{"video_cover_timestamp_ms": "99999"}), video), nil, 422, "", "video_cover_timestamp_ms"},
			"video and media_id":               {"/api/tiktok/upload", append(w.formFields(map[string]string{"media_id": models.NewID()}), video), nil, 422, "", "video"},
			"two videos":                       {"/api/tiktok/upload", append(w.formFields(nil), video, video), nil, 422, "", "video"},
			"no video":                         {"/api/tiktok/upload", w.formFields(nil), nil, 422, "", "media_id"},
			"invalid UTF-8":                    {"/api/tiktok/upload", append(w.formFields(map[string]string{"title": "\xff"}), video), nil, 422, "", "title"},
			"a picture as video":               {"/api/tiktok/upload", append(w.formFields(nil), field{"video", "a.mp4", testFile(t, "baseline.jpg")}), nil, 422, "", "video"},
			"huge field":                       {"/api/tiktok/upload", append(w.formFields(map[string]string{"title": strings.Repeat("x", 1<<20+1)}), video), nil, 413, "TOO_LARGE", ""},
			"cut off in the video":             {"/api/tiktok/upload", append(w.formFields(nil), video), cut(500), 400, "", ""},
			"cut off in the last boundary":     {"/api/tiktok/upload", append(w.formFields(nil), video), cut(10), 400, "", ""},
			"media: unknown field":             {"/api/media", []field{media, {name: "nope"}}, nil, 422, "", "nope"},
			"media: field before the file":     {"/api/media", []field{{name: "title"}, media}, nil, 422, "", "title"},
			"media: two files":                 {"/api/media", []field{media, media}, nil, 422, "", "file"},
			"media: nothing":                   {"/api/media", nil, nil, 422, "", "file"},
			"media: cut off in the file":       {"/api/media", []field{media}, cut(500), 400, "", ""},
			"media: cut off in the boundary":   {"/api/media", []field{media}, cut(10), 400, "", ""},
			"media: everything but the opener": {"/api/media", []field{media}, func([]byte) []byte { return nil }, 422, "", "file"},
		} {
			t.Run(name, func(t *testing.T) {
				w := w.in(t)
				contentType, body := formBody(t, tc.parts...)
				if tc.change != nil {
					body = tc.change(body)
				}
				if tc.code == "" {
					tc.code = "VALIDATION_FAILED"
				}
				w.do(call{method: "POST", path: tc.path, body: bytes.NewReader(body), contentType: contentType}).WantProblem(tc.status, tc.code, tc.field)
				w.wantUnchanged(before)
			})
		}
		w.do(call{method: "POST", path: "/api/media", body: strings.NewReader("x"), contentType: "multipart/form-data"}).WantProblem(400, "VALIDATION_FAILED", "")
		w.wantUnchanged(before)
	})
}

func TestContentTypes(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		for contentType, status := range map[string]int{
			"application/json": 422, "application/json; charset=utf-8": 422, "APPLICATION/JSON": 422,
			"text/plain": 415, "application/x-www-form-urlencoded": 415, "application/jsonp": 415, "nonsense;;": 415,
		} {
			r := w.do(call{method: "POST", path: "/api/users", json: `{}`, contentType: contentType})
			r.WantProblem(status, "VALIDATION_FAILED", "")
		}
		w.do(call{method: "POST", path: "/api/users", json: `{}`, headers: map[string]string{"Content-Encoding": "gzip"}}).WantProblem(415, "VALIDATION_FAILED", "")
	})
}

func TestBadUsers(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		for body, field := range map[string]string{
			`{}`:                        "external_id",
			`{"external_id":""}`:        "external_id",
			`{"external_id":7}`:         "external_id",
			`{"external_id":"a\u0000"}`: "external_id",
			`{"external_id":"` + strings.Repeat("é", 256) + `"}`:                       "external_id",
			`{"external_id":"a","email":"no address"}`:                                 "email",
			`{"external_id":"a","email":"A <a@b.example>"}`:                            "email",
			`{"external_id":"a","email":"` + strings.Repeat("a", 320) + `@b.example"}`: "email",
			`{"external_id":"a","name":"x"}`:                                           "name",
		} {
			w.do(call{method: "POST", path: "/api/users", json: body}).WantProblem(422, "VALIDATION_FAILED", field)
		}
	})
}

// TestRandomBodies checks that every random body gets a 4xx answer, and that nothing is
// stored.
func TestRandomBodies(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		contentType, form := formBody(t, append(w.formFields(nil), field{"video", "a.mp4", testFile(t, "upright.mp4")})...)
		mp4 := testFile(t, "upright.mp4")
		seeds := [][]byte{
			[]byte(`{"account_id":1,"title":"x","privacy_level":"SELF_ONLY","media_id":"x","publish_at":"2026-12-01T00:00:00Z","max_lateness":"15m"}`),
			[]byte(`{"account_id":1,"media_type":"IMAGE","user_tags":[{"username":"a","x":0.5,"y":0.5}],"collaborators":["a"]}`),
			[]byte(`{"external_id":"`), form, mp4, []byte(removed("ours", w.clock.Now(), 1)),
			[]byte("signed_request=" + signedRequest(facebookSecret, `{"algorithm":"HMAC-SHA256","user_id":"ig-ours"}`)),
		}
		targets := []struct{ method, path, contentType string }{
			{"POST", "/api/tiktok/upload", "application/json"}, {"POST", "/api/tiktok/upload", contentType},
			{"POST", "/api/instagram/publish", "application/json"}, {"POST", "/api/media", contentType},
			{"POST", "/api/media", "video/mp4"}, {"PATCH", "/api/posts/" + models.NewID(), "application/json"},
			{"POST", webhookPath, "application/json"}, {"POST", deauthorizePath, "application/x-www-form-urlencoded"},
			{"POST", deletePath, "application/x-www-form-urlencoded"},
		}
		before := w.stored()
		random := rand.New(rand.NewPCG(1, 2))
		bodies := 10_000
		if testing.Short() { // as under the race detector
			bodies = 2000
		}
		for i := range bodies {
			body := randomBody(random, seeds)
			target := targets[i%len(targets)]
			r := w.do(call{
				method: target.method, path: target.path, body: bytes.NewReader(body), contentType: target.contentType,
				headers: map[string]string{"TikTok-Signature": tiktokSignature(tiktokSecret, w.clock.Now(), string(body))}, // so that it is read at all
			})
			if r.Status < 400 || r.Status >= 500 {
				if r.Status == http.StatusCreated && bytes.Equal(body, mp4) {
					continue // the one seed that is no nonsense
				}
				t.Fatalf("%s %s as %s: %d %s for %q", target.method, target.path, target.contentType, r.Status, r.Body, body)
			}
		}
		w.wantUnchanged(before)
	})
}

func randomBody(random *rand.Rand, seeds [][]byte) []byte {
	if random.IntN(3) == 0 {
		body := make([]byte, random.IntN(300))
		for i := range body {
			body[i] = byte(random.Uint32())
		}
		return body
	}
	body := bytes.Clone(seeds[random.IntN(len(seeds))])
	body = body[:random.IntN(len(body))] // always cut: none is whole
	for range random.IntN(8) {
		if len(body) > 0 {
			body[random.IntN(len(body))] = byte(random.Uint32())
		}
	}
	return body
}
