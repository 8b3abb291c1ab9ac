package handlers_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"socialqueue/models"
)

// quota gives our app a quota, and lets the process count again.
func (w *fixture) quota(q models.AppQuota, most int64) {
	w.t.Helper()
	w.must(w.db.Tenants.SetQuota(w.t.Context(), w.ours.appID, q, &most))
	w.clock.Advance(2 * time.Minute)
}

func (r *reply) wantQuotaExceeded() {
	r.T.Helper()
	r.WantProblem(429, "QUOTA_EXCEEDED", "")
	if r.Header.Get("Retry-After") == "" {
		r.T.Error("no Retry-After")
	}
}

func TestQuotaOfWaitingPosts(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		video := w.upload("upright.mp4")
		post := func(as *tenant, key string, body map[string]any) *reply {
			return w.do(call{method: "POST", path: "/api/tiktok/upload", as: as, json: body, headers: map[string]string{"Idempotency-Key": key}})
		}
		later := map[string]any{"publish_at": w.clock.Now().Add(24 * time.Hour).Format(time.RFC3339)}
		w.quota(models.QuotaWaitingPosts, 2)
		first := post(nil, "1", w.tiktok(video, later)).want(202)
		post(nil, "2", w.tiktok(video, later)).want(202)
		before := w.stored()
		post(nil, "3", w.tiktok(video, later)).wantQuotaExceeded()
		w.wantUnchanged(before)
		post(nil, "1", w.tiktok(video, later)).want(202) // the replay of an accepted request
		theirs := w.do(call{method: "POST", path: "/api/media", as: &w.theirs, body: bytes.NewReader(testFile(t, "upright.mp4"))}).want(201).Text("id")
		post(&w.theirs, "3", w.tiktok(theirs, map[string]any{"account_id": w.theirs.tiktok})).want(202)
		w.do(call{method: "DELETE", path: "/api/posts/" + first.Text("id")}).want(200)
		w.clock.Advance(time.Second)
		post(nil, "3", w.tiktok(video, later)).want(202)
	})
}

func TestQuotaOfUsers(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		used, err := w.db.Tenants.Used(t.Context(), w.ours.appID, models.QuotaUsers)
		w.must(err)
		w.quota(models.QuotaUsers, used+1)
		user := func(id string) *reply {
			return w.do(call{method: "POST", path: "/api/users", json: map[string]any{"external_id": id}})
		}
		user("one more").want(201)
		user("too many").wantQuotaExceeded()
		user("one more").want(200)
	})
}

func TestQuotaOfMedia(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		file := testFile(t, "upright.mp4")
		w.quota(models.QuotaMediaBytes, int64(len(file))*3/2)
		w.upload("upright.mp4")
		before := w.stored()
		w.do(call{method: "POST", path: "/api/media", body: bytes.NewReader(file)}).wantQuotaExceeded()
		contentType, body := formBody(t, append(w.formFields(nil), field{"video", "a.mp4", file})...)
		w.do(call{method: "POST", path: "/api/tiktok/upload", body: bytes.NewReader(body), contentType: contentType}).wantQuotaExceeded()
		w.wantUnchanged(before)
	})
}

// TestQuotaOfConnects opens consent pages and finishes none.
func TestQuotaOfConnects(t *testing.T) {
	eachWithPlatforms(t, func(t *testing.T, w *fixture) {
		begin := func(userID int64) *reply {
			return w.do(call{method: "GET", path: fmt.Sprintf("/api/auth/tiktok?user_id=%d", userID), headers: map[string]string{"Accept": "application/json"}})
		}
		for range models.MaxUserConnects {
			begin(w.ours.userID).want(200)
		}
		before := w.stored()
		begin(w.ours.userID).wantQuotaExceeded()
		w.wantUnchanged(before)
		another := w.do(call{method: "POST", path: "/api/users", json: map[string]any{"external_id": "another"}}).want(201).Number("id")
		begin(another).want(200)
		w.quota(models.QuotaOpenConnects, models.MaxUserConnects+1)
		begin(another).wantQuotaExceeded()
		w.clock.Advance(15 * time.Minute)
		begin(w.ours.userID).want(200) // the others have expired
	})
}

func TestQuotaOfEndpointTests(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		id := w.endpointOf(&w.ours)
		test := func() *reply { return w.do(call{method: "POST", path: endpointsPath + "/" + id + "/test"}) }
		for range models.MaxEndpointTests {
			test().want(202)
		}
		test().wantQuotaExceeded()
		w.clock.Advance(time.Hour + time.Second)
		test().want(202)
	})
}
