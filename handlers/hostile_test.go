package handlers_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// repeated returns a JSON list with n copies of an element.
func repeated(element string, n int) string {
	return "[" + strings.Repeat(element+",", n-1) + element + "]"
}

// TestHugeRequestsGetSmallAnswers sends what fits into a megabyte and is wrong in every
// element. The response, the log line and the memory must stay small, and nothing is stored.
func TestHugeRequestsGetSmallAnswers(t *testing.T) {
	const (
		maxAnswer = 24 << 10
		maxLog    = 8 << 10
		maxMemory = 48 << 20 // allocated in all, the test's own request included
	)
	w := onSQLite(t)
	picture := w.upload("baseline.jpg")
	post := func(extra string) string {
		return fmt.Sprintf(`{"account_id":%d,"media_type":"IMAGE","media_id":%q,%s}`, w.ours.instagram, picture, extra)
	}
	upload := func(extra string) string {
		return fmt.Sprintf(`{"account_id":%d,"privacy_level":"SELF_ONLY",%s}`, w.ours.tiktok, extra)
	}
	var unknown strings.Builder
	for i := range 70_000 {
		fmt.Fprintf(&unknown, `"x%d":1,`, i)
	}
	long := strings.Repeat("q", 900_000)
	before := w.stored()
	for name, tc := range map[string]struct{ path, body, field string }{
		"unknown events":      {"/api/webhook-endpoints", `{"url":"https://8.8.8.8/","events":` + repeated(`"x"`, 250_000) + `}`, "events"},
		"unknown event":       {"/api/webhook-endpoints", `{"url":"https://8.8.8.8/","events":["` + long + `"]}`, "events"},
		"a long address":      {"/api/webhook-endpoints", `{"url":"https://8.8.8.8/` + long + `"}`, "url"},
		"a long description":  {"/api/webhook-endpoints", `{"url":"https://8.8.8.8/","description":"` + long + `"}`, "description"},
		"unknown fields":      {"/api/instagram/publish", post(unknown.String() + `"caption":"a"`), "x0"},
		"a long field name":   {"/api/instagram/publish", post(`"` + long + `":1`), strings.Repeat("q", 97) + "..."},
		"collaborators":       {"/api/instagram/publish", post(`"collaborators":` + repeated(`""`, 200_000)), "collaborators"},
		"a long collaborator": {"/api/instagram/publish", post(`"collaborators":["` + long + `"]`), "collaborators"},
		"user tags":           {"/api/instagram/publish", post(`"user_tags":` + repeated(`{}`, 300_000)), "user_tags"},
		"a long tag":          {"/api/instagram/publish", post(`"user_tags":[{"username":"` + long + `","x":0,"y":0}]`), "user_tags"},
		"a long caption":      {"/api/instagram/publish", post(`"caption":"` + long + `"`), "caption"},
		"a long alt text":     {"/api/instagram/publish", post(`"alt_text":"` + long + `"`), "alt_text"},
		"a long cover":        {"/api/instagram/publish", post(`"cover_url":"https://8.8.8.8/` + long + `"`), "cover_url"},
		"children":            {"/api/instagram/publish", post(`"children":` + repeated(`"x"`, 200_000)), "children[0]"},
		"children's tags":     {"/api/instagram/publish", post(`"children":[{"user_tags":` + repeated(`{"username":"x"}`, 50_000) + `}]`), "children[0].user_tags"},
		"targets":             {"/api/posts", `{"targets":` + repeated(`{}`, 200_000) + `}`, "targets"},
		"files":               {"/api/posts", `{"content":{"media":` + repeated(`{}`, 200_000) + `}}`, "content.media"},
		"a long media id":     {"/api/tiktok/upload", upload(`"media_id":"` + long + `"`), "media_id"},
		"a long media link":   {"/api/tiktok/upload", upload(`"media_url":"https://8.8.8.8/` + long + `"`), "media_url"},
		"a long title":        {"/api/tiktok/upload", upload(`"title":"` + long + `","media_id":"` + picture + `"`), "title"},
		"a long privacy":      {"/api/tiktok/upload", fmt.Sprintf(`{"account_id":%d,"privacy_level":%q}`, w.ours.tiktok, long), "privacy_level"},
		"a long external id":  {"/api/users", `{"external_id":"` + long + `"}`, "external_id"},
		"a long email":        {"/api/users", `{"external_id":"a","email":"a@` + long + `"}`, "email"},
		"a long time":         {"/api/tiktok/upload", upload(`"publish_at":"` + long + `"`), "publish_at"},
		"a long number":       {"/api/tiktok/upload", `{"account_id":` + strings.Repeat("1", 900_000) + `}`, "account_id"},
	} {
		t.Run(name, func(t *testing.T) {
			w := w.in(t)
			logged := len(w.log.String())
			var began, ended runtime.MemStats
			runtime.ReadMemStats(&began)
			r := w.do(call{method: "POST", path: tc.path, json: tc.body})
			runtime.ReadMemStats(&ended)
			r.WantProblem(422, "VALIDATION_FAILED", tc.field)
			if n := len(r.Body); n > maxAnswer {
				t.Errorf("the response has %d bytes, want %d at most", n, maxAnswer)
			}
			if n := len(w.log.String()) - logged; n > maxLog {
				t.Errorf("%d bytes were logged, want %d at most", n, maxLog)
			}
			if n := ended.TotalAlloc - began.TotalAlloc; n > maxMemory {
				t.Errorf("%d MiB were allocated, want %d at most", n>>20, maxMemory>>20)
			}
			w.wantUnchanged(before)
		})
	}
}
