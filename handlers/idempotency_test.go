package handlers_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"socialqueue/models"
)

func keyed(key string) map[string]string { return map[string]string{"Idempotency-Key": key} }

// creating lists every creating request, each time built again.
func creating(w *fixture) map[string]func(change string) call {
	video, picture := w.upload("upright.mp4"), w.upload("baseline.jpg")
	file := testFile(w.t, "upright.mp4")
	form := func(path string, parts ...field) call {
		contentType, body := formBody(w.t, parts...)
		return call{method: "POST", path: path, contentType: contentType, body: bytes.NewReader(body)}
	}
	return map[string]func(string) call{
		"user": func(change string) call {
			return call{method: "POST", path: "/api/users", json: map[string]any{"external_id": "u" + change}}
		},
		"media": func(change string) call {
			body := file
			if change != "" {
				body = testFile(w.t, "upright.mov")
			}
			return call{method: "POST", path: "/api/media", body: bytes.NewReader(body)}
		},
		"media form": func(change string) call {
			body := file
			if change != "" {
				body = testFile(w.t, "upright.mov")
			}
			return form("/api/media", field{"file", "a", body})
		},
		"tiktok": func(change string) call {
			return call{method: "POST", path: "/api/tiktok/upload", json: w.tiktok(video, map[string]any{"title": "t" + change})}
		},
		"tiktok form": func(change string) call {
			return form("/api/tiktok/upload", append(w.formFields(map[string]string{"title": "t" + change}), field{"video", "a", file})...)
		},
		"instagram": func(change string) call {
			return call{method: "POST", path: "/api/instagram/publish", json: map[string]any{
				"account_id": w.ours.instagram, "media_type": "IMAGE", "media_id": picture, "caption": "c" + change,
			}}
		},
	}
}

func TestReplay(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		for name, make := range creating(w) {
			t.Run(name, func(t *testing.T) {
				w := w.in(t)
				send := func(change string, as *tenant) *reply {
					c := make(change)
					c.headers, c.as = keyed(strings.ReplaceAll(name, " ", "-")), as
					return w.do(c)
				}
				first := send("", nil)
				if first.Status/100 != 2 {
					t.Fatalf("%d: %s", first.Status, first.Body)
				}
				if !bytes.HasSuffix(first.Body, []byte("}\n")) {
					t.Errorf("the answer does not end with a newline: %q", first.Body)
				}
				if first.Header.Get("Idempotent-Replayed") != "" {
					t.Error("the first answer says that it is a replay")
				}
				before := w.stored()
				w.clock.Advance(48 * time.Hour) // keys outlive their lock
				again := send("", nil)
				if again.Status != first.Status || !bytes.Equal(again.Body, first.Body) || again.Header.Get("Idempotent-Replayed") != "true" {
					t.Errorf("again: %d %s, want %d %s", again.Status, again.Body, first.Status, first.Body)
				}
				if got, want := again.Header.Get("Location"), first.Header.Get("Location"); got != want || again.Header.Get("Content-Type") != "application/json" {
					t.Errorf("Location = %q, want %q", got, want)
				}
				send("other", nil).WantProblem(422, "IDEMPOTENCY_MISMATCH", "")
				w.wantUnchanged(before)
			})
		}
	})
}

func TestKeyBelongsToRouteAndApp(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		user := call{method: "POST", path: "/api/users", json: `{"external_id":"x"}`, headers: keyed("k")}
		w.do(user).want(201)
		other := user
		other.path = "/api/tiktok/upload"
		other.json = w.tiktok(models.NewID(), nil)
		w.do(other).WantProblem(422, "IDEMPOTENCY_MISMATCH", "")
		user.as = &w.theirs
		if r := w.do(user).want(201); r.Header.Get("Idempotent-Replayed") != "" {
			t.Error("one app's key answered another app")
		}
	})
}

func TestFailedRequestGivesKeyBack(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		video := w.upload("upright.mp4")
		send := func(change map[string]any) *reply {
			return w.do(call{method: "POST", path: "/api/tiktok/upload", json: w.tiktok(video, change), headers: keyed("k")})
		}
		send(map[string]any{"title": strings.Repeat("x", 2201)}).WantProblem(422, "VALIDATION_FAILED", "title")
		send(map[string]any{"account_id": w.theirs.tiktok}).WantProblem(404, "NOT_FOUND", "")
		send(nil).want(202)
		if n := w.stored().posts; n != 1 {
			t.Errorf("%d posts, want 1", n)
		}
	})
}

func TestUploadThatBrokeOffMayBeRetried(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		contentType, body := formBody(t, append(w.formFields(nil), field{"video", "a", testFile(t, "upright.mp4")})...)
		send := func(body []byte) *reply {
			return w.do(call{method: "POST", path: "/api/tiktok/upload", contentType: contentType, body: bytes.NewReader(body), headers: keyed("k")})
		}
		before := w.stored()
		send(body[:len(body)-300]).WantProblem(400, "VALIDATION_FAILED", "")
		w.wantUnchanged(before)
		send(body).want(202)
	})
}

func TestConcurrentSameKey(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		for name, make := range creating(w) {
			t.Run(name, func(t *testing.T) {
				w := w.in(t)
				before := w.stored()
				const n = 20
				calls := []call{}
				for range n {
					c := make("concurrent")
					if strings.HasPrefix(name, "media") {
						c = make("")
					}
					c.headers = keyed("race-" + strings.ReplaceAll(name, " ", "-"))
					calls = append(calls, c)
				}
				replies := [n]*reply{}
				var wg sync.WaitGroup
				for i, c := range calls {
					wg.Go(func() { replies[i] = w.do(c) })
				}
				wg.Wait()
				var first []byte
				fresh := 0
				for _, r := range replies {
					if r.Status == 409 {
						continue
					}
					if r.Status/100 != 2 {
						t.Fatalf("%d: %s", r.Status, r.Body)
					}
					if r.Header.Get("Idempotent-Replayed") == "" {
						fresh++
					}
					if first != nil && !bytes.Equal(first, r.Body) {
						t.Errorf("two answers: %s and %s", first, r.Body)
					}
					first = r.Body
				}
				if fresh != 1 {
					t.Errorf("%d requests did the work, want 1", fresh)
				}
				after := w.stored()
				isPost := name == "tiktok" || name == "tiktok form" || name == "instagram"
				if made := after.posts - before.posts; (made == 1) != isPost || made > 1 {
					t.Errorf("%d posts made", made)
				}
				if made := after.files - before.files; made > 1 {
					t.Errorf("%d files made", made)
				}
			})
		}
	})
}

// The request that held the key died before it did anything.
func TestCrashedRequestIsTakenOver(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		body, err := json.Marshal(w.tiktok(w.upload("upright.mp4"), nil))
		w.must(err)
		sum := sha256.Sum256(body)
		dead := models.IdempotencyKey{
			AppID: w.ours.appID, Key: "k", Request: "POST /api/tiktok/upload", BodyHash: hex.EncodeToString(sum[:]),
			Owner: models.NewID(), LockedUntil: w.clock.Now().Add(time.Minute), CreatedAt: w.clock.Now(),
		}
		_, taken, err := w.db.Tenants.TakeKey(t.Context(), &dead, w.clock.Now())
		w.must(err)
		if !taken {
			t.Fatal("not taken")
		}
		send := func(body string) *reply {
			return w.do(call{method: "POST", path: "/api/tiktok/upload", json: body, headers: keyed("k")})
		}
		r := send(string(body))
		r.WantProblem(409, "CONFLICT", "")
		if r.Header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
		send(strings.Replace(string(body), "Hello", "Other", 1)).WantProblem(422, "IDEMPOTENCY_MISMATCH", "")
		w.clock.Advance(time.Minute + time.Second)
		send(string(body)).want(202)
		if n := w.stored().posts; n != 1 {
			t.Errorf("%d posts, want 1", n)
		}
	})
}

// A request lost its key to another before it finished. Its own work is rolled back with
// the completion that fails.
func TestRequestThatLostItsKeyStoresNothing(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		contentType, body := formBody(t, append(w.formFields(nil), field{"video", "a", testFile(t, "upright.mp4")})...)
		slow := &pausedReader{r: bytes.NewReader(body), at: len(body) / 2, reached: make(chan struct{}), goOn: make(chan struct{})}
		before := w.stored()
		done := make(chan *reply)
		go func() {
			done <- w.do(call{method: "POST", path: "/api/tiktok/upload", contentType: contentType, body: slow, headers: keyed("k")})
		}()
		<-slow.reached
		send := func() *reply {
			return w.do(call{method: "POST", path: "/api/tiktok/upload", contentType: contentType, body: bytes.NewReader(body), headers: keyed("k")})
		}
		send().WantProblem(409, "CONFLICT", "")
		w.clock.Advance(16 * time.Minute)
		send().want(202)
		close(slow.goOn)
		(<-done).WantProblem(409, "CONFLICT", "")
		after := w.stored()
		if after.posts != before.posts+1 || after.files != before.files+1 || after.unusedMedia != before.unusedMedia {
			t.Errorf("stored %+v, before %+v: want one post with one file", after, before)
		}
		if r := send().want(202); r.Header.Get("Idempotent-Replayed") != "true" {
			t.Error("the winner's answer is not replayed")
		}
	})
}

// pausedReader pauses once, in the middle.
type pausedReader struct {
	r             *bytes.Reader
	at            int
	reached, goOn chan struct{}
	once          sync.Once
}

func (p *pausedReader) Read(b []byte) (int, error) {
	if int(p.r.Size())-p.r.Len() >= p.at {
		p.once.Do(func() {
			close(p.reached)
			<-p.goOn
		})
	}
	return p.r.Read(b[:min(len(b), 512)])
}

func TestFormsInAnyOrderAreTheSame(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		fields := w.formFields(nil)
		slices.SortFunc(fields, func(a, b field) int { return strings.Compare(a.name, b.name) })
		video := field{"video", "a.mp4", testFile(t, "upright.mp4")}
		send := func(parts ...field) *reply {
			contentType, body := formBody(t, parts...)
			return w.do(call{method: "POST", path: "/api/tiktok/upload", contentType: contentType, body: bytes.NewReader(body), headers: keyed("k")})
		}
		send(append(slices.Clone(fields), video)...).want(202)
		slices.Reverse(fields)
		if r := send(append([]field{video}, fields...)...).want(202); r.Header.Get("Idempotent-Replayed") != "true" {
			t.Error("the same form in another order counts as another request")
		}
	})
}

func TestBadIdempotencyKeys(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		for _, key := range []string{"", " ", "two words", "é", strings.Repeat("x", 256), "a\tb"} {
			r := w.do(call{method: "POST", path: "/api/users", json: `{"external_id":"a"}`, headers: keyed(key)})
			r.WantProblem(422, "VALIDATION_FAILED", "Idempotency-Key")
		}
		w.do(call{method: "POST", path: "/api/users", json: `{"external_id":"a"}`, headers: keyed(strings.Repeat("x", 255))}).want(201)
	})
}
