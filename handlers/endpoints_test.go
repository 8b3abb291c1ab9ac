package handlers_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"socialqueue/db"
	"socialqueue/models"
	"socialqueue/test/testkit"
)

const (
	endpointsPath = "/api/webhook-endpoints"
	// A public address needs no DNS lookup, so the tests need no network.
	hook = "https://93.184.215.14/hooks?of=ours"
)

// endpoint creates an endpoint of our app for these events; none means all.
func (w *fixture) endpoint(events ...models.AppEvent) string {
	w.t.Helper()
	return w.endpointOf(&w.ours, events...)
}

func (w *fixture) endpointOf(who *tenant, events ...models.AppEvent) string {
	w.t.Helper()
	body := map[string]any{"url": hook}
	if len(events) > 0 {
		body["events"] = events
	}
	return w.do(call{method: "POST", path: endpointsPath, as: who, json: body}).want(201).Text("id")
}

func (w *fixture) getEndpoint(id string) map[string]any {
	w.t.Helper()
	return w.do(call{method: "GET", path: endpointsPath + "/" + id}).want(200).Object()
}

func (w *fixture) endpoints(as *tenant) []map[string]any {
	w.t.Helper()
	return objects(w.do(call{method: "GET", path: endpointsPath, as: as}).want(200).Object()["webhook_endpoints"])
}

func objects(list any) []map[string]any {
	all := []map[string]any{}
	for _, one := range list.([]any) {
		all = append(all, one.(map[string]any))
	}
	return all
}

// patch changes an endpoint.
func (w *fixture) patch(id string, body any) *reply {
	w.t.Helper()
	return w.do(call{method: "PATCH", path: endpointsPath + "/" + id, json: body})
}

// test sends a test event to an endpoint, and returns the delivery.
func (w *fixture) testOf(id string) map[string]any {
	w.t.Helper()
	return w.do(call{method: "POST", path: endpointsPath + "/" + id + "/test"}).want(202).Object()
}

// deliveries lists the deliveries to an endpoint, newest first.
func (w *fixture) deliveries(as *tenant, id string) []map[string]any {
	w.t.Helper()
	return objects(w.do(call{method: "GET", path: endpointsPath + "/" + id + "/deliveries?limit=50", as: as}).want(200).Object()["deliveries"])
}

// wantEvents compares the events that an endpoint of our app got, oldest first, and returns
// their payloads.
func (w *fixture) wantEvents(id string, want ...models.AppEvent) []map[string]any {
	w.t.Helper()
	var got []models.AppEvent
	var payloads []map[string]any
	for _, d := range slices.Backward(w.deliveries(nil, id)) {
		payload := d["payload"].(map[string]any)
		if payload["id"] != d["event_id"] || payload["type"] != d["event_type"] {
			w.t.Errorf("the payload of %v is %v", d, payload)
		}
		got, payloads = append(got, models.AppEvent(d["event_type"].(string))), append(payloads, payload)
	}
	if !slices.Equal(got, want) {
		w.t.Fatalf("got %v, want %v", got, want)
	}
	return payloads
}

func TestCreateEndpoint(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		r := w.do(call{method: "POST", path: endpointsPath, json: map[string]any{
			"url": hook, "description": "söme höok", "events": []string{"post.published", "account.connected", "post.published"},
		}}).want(201)
		made := r.Object()
		secret := made["secret"].(string)
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
		if !strings.HasPrefix(secret, "whsec_") || err != nil || len(key) != 32 {
			t.Errorf("secret %q: %d bytes, %v", secret, len(key), err)
		}
		want := map[string]any{
			"id": made["id"], "url": hook, "description": "söme höok", "events": []any{"account.connected", "post.published"}, "status": "enabled",
			"status_reason": nil, "failing_since": nil, "old_secret_until": nil, "created_at": "2026-11-23T10:00:00Z", "updated_at": "2026-11-23T10:00:00Z",
			"secret": secret,
		}
		if !reflect.DeepEqual(made, want) {
			t.Errorf("made %v, want %v", made, want)
		}
		// From now on it is shown without its secret.
		delete(want, "secret")
		id := made["id"].(string)
		for name, got := range map[string]map[string]any{
			"GET": w.getEndpoint(id), "the list": w.endpoints(nil)[0], "PATCH": w.patch(id, `{}`).want(200).Object(),
		} {
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s shows %v, want %v", name, got, want)
			}
		}
		other := w.do(call{method: "POST", path: endpointsPath, json: map[string]any{"url": hook}}).want(201).Object()
		if other["secret"] == secret || other["id"] == id || !reflect.DeepEqual(other["events"], []any{}) || other["description"] != "" {
			t.Errorf("made %v", other)
		}
		if strings.Contains(w.log.String(), secret[6:]) || strings.Contains(w.log.String(), "of=ours") {
			t.Errorf("a secret is logged: %s", w.log)
		}
	})
}

// A replayed request gets the same endpoint without its secret, which is not stored in
// clear.
func TestCreateEndpointOnce(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		send := func(as *tenant, body string) *reply {
			return w.do(call{method: "POST", path: endpointsPath, as: as, json: body, headers: keyed("k1")})
		}
		body := fmt.Sprintf(`{"url":%q}`, hook)
		first := send(nil, body).want(201)
		w.clock.Advance(time.Hour)
		again := send(nil, body).want(201)
		if first.Header.Get("Idempotent-Replayed") != "" || again.Header.Get("Idempotent-Replayed") != "true" {
			t.Errorf("replayed: %q, then %q", first.Header.Get("Idempotent-Replayed"), again.Header.Get("Idempotent-Replayed"))
		}
		want := first.Object()
		want["secret"] = nil
		if got := again.Object(); !reflect.DeepEqual(got, want) {
			t.Errorf("again %v, want %v", got, want)
		}
		send(nil, fmt.Sprintf(`{"url":%q,"description":"x"}`, hook)).WantProblem(422, "IDEMPOTENCY_MISMATCH", "")
		if n := len(w.endpoints(nil)); n != 1 {
			t.Errorf("%d endpoints", n)
		}
		if other := send(&w.theirs, body).want(201); other.Text("id") == first.Text("id") || other.Object()["secret"] == nil {
			t.Errorf("the other app gets %s", other.Body)
		}
		// A failed request has not used its key.
		failing := call{method: "POST", path: endpointsPath, json: `{"url":"http://x"}`, headers: keyed("k2")}
		w.do(failing).WantProblem(422, "VALIDATION_FAILED", "url")
		failing.json = body
		w.do(failing).want(201)
	})
}

// urlsRefused lists invalid addresses of endpoints.
var urlsRefused = map[string]string{
	"empty": "", "no address": "hello", "http": "http://93.184.215.14/", "ftp": "ftp://93.184.215.14/", "no scheme": "//93.184.215.14/", "no host": "https:///x",
	"only a port": "https://:443/", "userinfo": "https://user:pass@93.184.215.14/", "user": "https://user@93.184.215.14/", "fragment": "https://93.184.215.14/#x",
	"too long": "https://93.184.215.14/" + strings.Repeat("x", 2048), "blank in the host": "https://93.184 .215.14/", "newline": "https://93.184.215.14/\n", "no port": "https://93.184.215.14:x/",
	"opaque": "https:93.184.215.14", "localhost": "https://localhost/", "subdomain of localhost": "https://localhost./", "loopback": "https://127.0.0.1/", "private 10": "https://10.1.2.3/", "private 172": "https://172.31.0.1/",
	"private 192": "https://192.168.0.1:8443/", "metadata": "https://169.254.169.254/latest", "carrier": "https://100.64.0.1/", "zero": "https://0.0.0.0/",
	"IPv6 loopback": "https://[::1]/", "IPv6 private": "https://[fd12::1]/", "IPv6 link-local": "https://[fe80::1]/", "IPv6 zone": "https://[fe80::1%25eth0]/", "IPv4 in IPv6": "https://[::ffff:10.0.0.1]/",
	"decimal": "https://2130706433/", "hexadecimal": "https://0x7f000001/", "octal": "https://0177.0.0.1/", "short": "https://127.1/", "mixed": "https://0x7f.1/",
}

func TestBadEndpoints(t *testing.T) {
	bodies := map[string]struct{ body, field string }{
		"no url":                {`{}`, "url"},
		"null url":              {`{"url":null}`, "url"},
		"number as url":         {`{"url":1}`, "url"},
		"list as url":           {`{"url":["https://93.184.215.14/"]}`, "url"},
		"url twice":             {fmt.Sprintf(`{"url":%q,"url":%[1]q}`, hook), "url"},
		"url in other case":     {fmt.Sprintf(`{"URL":%q}`, hook), "URL"},
		"unknown event":         {`{"url":"` + hook + `","events":["post.published","post.liked"]}`, "events"},
		"event in other case":   {`{"url":"` + hook + `","events":["Post.Published"]}`, "events"},
		"event with a comma":    {`{"url":"` + hook + `","events":["post.published,post.failed"]}`, "events"},
		"the test as event":     {`{"url":"` + hook + `","events":["endpoint.test"]}`, "events"},
		"empty event":           {`{"url":"` + hook + `","events":[""]}`, "events"},
		"null event":            {`{"url":"` + hook + `","events":[null]}`, "events"},
		"null events":           {`{"url":"` + hook + `","events":null}`, "events"},
		"text as events":        {`{"url":"` + hook + `","events":"post.published"}`, "events"},
		"numbers as events":     {`{"url":"` + hook + `","events":[1]}`, "events"},
		"object as events":      {`{"url":"` + hook + `","events":{}}`, "events"},
		"long description":      {`{"url":"` + hook + `","description":"` + strings.Repeat("é", 501) + `"}`, "description"},
		"number as description": {`{"url":"` + hook + `","description":5}`, "description"},
		"NUL in description":    {`{"url":"` + hook + `","description":"a\u0000"}`, "description"},
		"half a pair":           {`{"url":"` + hook + `","description":"\ud800"}`, "description"},
		"status":                {`{"url":"` + hook + `","status":"enabled"}`, "status"},
		"secret":                {`{"url":"` + hook + `","secret":"whsec_x"}`, "secret"},
		"id":                    {`{"url":"` + hook + `","id":"x"}`, "id"},
	}
	for name, url := range urlsRefused {
		encoded, err := json.Marshal(map[string]string{"url": url})
		if err != nil {
			t.Fatal(err)
		}
		bodies["url: "+name] = struct{ body, field string }{string(encoded), "url"}
	}
	each(t, func(t *testing.T, w *fixture) {
		for name, tc := range bodies {
			t.Run(name, func(t *testing.T) {
				w.in(t).do(call{method: "POST", path: endpointsPath, json: tc.body}).WantProblem(422, "VALIDATION_FAILED", tc.field)
			})
		}
		for _, body := range []string{``, `{`, `{"url":}`} {
			w.do(call{method: "POST", path: endpointsPath, json: body}).WantProblem(400, "VALIDATION_FAILED", "")
		}
		for _, body := range []string{`null`, `[]`, `"x"`} {
			w.do(call{method: "POST", path: endpointsPath, json: body}).WantProblem(422, "VALIDATION_FAILED", "")
		}
		if all := w.endpoints(nil); len(all) != 0 {
			t.Errorf("made %v", all)
		}
		for name, body := range map[string]any{
			"the longest url":         map[string]any{"url": "https://93.184.215.14/" + strings.Repeat("x", 2048-22)},
			"the longest description": map[string]any{"url": hook, "description": strings.Repeat("é", 500)},
			"a port and a query":      map[string]any{"url": "https://93.184.215.14:8443/x?y=%20z"},
			"IPv6":                    map[string]any{"url": "https://[2606:2800:21f:cb07:6820:80da:af6b:8b2c]/"},
			"upper case":              map[string]any{"url": "HTTPS://93.184.215.14/"},
			"no events":               map[string]any{"url": hook, "events": []string{}},
			"all events":              map[string]any{"url": hook, "events": models.AppEvents},
		} {
			if r := w.do(call{method: "POST", path: endpointsPath, json: body}); r.Status != 201 {
				t.Errorf("%s: %d %s", name, r.Status, r.Body)
			}
		}
	})
}

// An app has 20 endpoints at most, even if it creates many at once.
func TestAtMostTwentyEndpoints(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		const most = 20
		replies := make(chan *reply)
		for range most + 5 {
			go func() { replies <- w.do(call{method: "POST", path: endpointsPath, json: map[string]any{"url": hook}}) }()
		}
		made := 0
		for range most + 5 {
			if r := <-replies; r.Status == 201 {
				made++
			} else {
				r.WantProblem(409, "CONFLICT", "")
			}
		}
		if n := len(w.endpoints(nil)); made != most || n != most {
			t.Fatalf("%d made and %d there, want %d", made, n, most)
		}
		w.endpointOf(&w.theirs)
		w.do(call{method: "DELETE", path: endpointsPath + "/" + w.endpoints(nil)[7]["id"].(string)}).want(204)
		w.endpoint()
		w.do(call{method: "POST", path: endpointsPath, json: map[string]any{"url": hook}}).WantProblem(409, "CONFLICT", "")
	})
}

func TestChangeEndpoint(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		id := w.endpoint(models.EventPostFailed)
		want := w.getEndpoint(id)
		const elsewhere = "https://93.184.215.14/elsewhere"
		for _, step := range []struct {
			body string
			want map[string]any
		}{
			{`{}`, nil},
			{`{"url":"` + elsewhere + `"}`, map[string]any{"url": elsewhere}},
			{`{"description":"x"}`, map[string]any{"description": "x"}},
			{`{"description":""}`, map[string]any{"description": ""}},
			{`{"events":["post.missed","post.canceled"]}`, map[string]any{"events": []any{"post.canceled", "post.missed"}}},
			{`{"events":[]}`, map[string]any{"events": []any{}}},
			{`{"status":"disabled"}`, map[string]any{"status": "disabled", "status_reason": "disabled by the app"}},
			{`{"status":"disabled"}`, nil},
			{`{"status":"enabled"}`, map[string]any{"status": "enabled", "status_reason": nil}},
			{`{"url":"` + hook + `","events":["post.failed"],"status":"enabled","description":"y"}`, map[string]any{"url": hook, "events": []any{"post.failed"}, "description": "y"}},
		} {
			w.clock.Advance(time.Second)
			for name, value := range step.want {
				want[name] = value
			}
			want["updated_at"] = w.clock.Now().Format(time.RFC3339)
			if got := w.patch(id, step.body).want(200).Object(); !reflect.DeepEqual(got, want) {
				t.Errorf("%s: %v, want %v", step.body, got, want)
			}
			if got := w.getEndpoint(id); !reflect.DeepEqual(got, want) {
				t.Errorf("%s: then it is %v, want %v", step.body, got, want)
			}
		}
		for body, field := range map[string]string{
			`{"status":"paused"}`: "status", `{"status":""}`: "status", `{"status":null}`: "status", `{"status":1}`: "status", `{"status":"ENABLED"}`: "status",
			`{"url":""}`: "url", `{"url":null}`: "url", `{"url":"http://93.184.215.14/"}`: "url", `{"url":"https://10.0.0.1/"}`: "url", `{"url":1}`: "url",
			`{"events":["nope"]}`: "events", `{"events":null}`: "events", `{"events":"post.failed"}`: "events", `{"description":[]}`: "description",
			`{"secret":"x"}`: "secret", `{"id":"x"}`: "id", `{"description":"ok","status_reason":"x"}`: "status_reason",
		} {
			w.patch(id, body).WantProblem(422, "VALIDATION_FAILED", field)
		}
		w.patch(id, `{`).WantProblem(400, "VALIDATION_FAILED", "")
		if got := w.getEndpoint(id); !reflect.DeepEqual(got, want) {
			t.Errorf("bad requests changed it to %v", got)
		}
	})
}

func TestDeleteEndpoint(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		id, kept := w.endpoint(), w.endpoint()
		delivery := w.testOf(id)["id"]
		path := endpointsPath + "/" + id
		if r := w.do(call{method: "DELETE", path: path}).want(204); len(r.Body) != 0 {
			t.Errorf("answer %s", r.Body)
		}
		for range 2 {
			for _, c := range append(endpointCalls(id), call{method: "POST", path: fmt.Sprintf("/api/webhook-deliveries/%.0f/redeliver", delivery)}) {
				w.do(c).WantProblem(404, "NOT_FOUND", "")
			}
		}
		if all := w.endpoints(nil); len(all) != 1 || all[0]["id"] != kept {
			t.Errorf("listed %v", all)
		}
	})
}

// endpointCalls lists all calls about an endpoint.
func endpointCalls(id string) []call {
	path := endpointsPath + "/" + id
	return []call{
		{method: "GET", path: path},
		{method: "PATCH", path: path, json: `{"description":"x"}`},
		{method: "POST", path: path + "/rotate-secret"},
		{method: "POST", path: path + "/test"},
		{method: "GET", path: path + "/deliveries"},
		{method: "DELETE", path: path},
	}
}

// Another app's key does not find our endpoints, and malformed ids find none.
func TestEndpointsOfOthers(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		id := w.endpoint()
		redeliver := fmt.Sprintf("/api/webhook-deliveries/%.0f/redeliver", w.testOf(id)["id"])
		before, got := w.getEndpoint(id), w.deliveries(nil, id)
		for _, c := range append(endpointCalls(id), call{method: "POST", path: redeliver}) {
			c.as = &w.theirs
			w.do(c).WantProblem(404, "NOT_FOUND", "")
		}
		if all := w.endpoints(&w.theirs); len(all) != 0 {
			t.Errorf("they see %v", all)
		}
		if after := w.getEndpoint(id); !reflect.DeepEqual(after, before) || !reflect.DeepEqual(w.deliveries(nil, id), got) {
			t.Errorf("it is %v, was %v", after, before)
		}
		for _, bad := range []string{models.NewID(), "0", "x", "%00", "%ff", "..%2f", strings.ToUpper(id) + "0", strings.Repeat("9", 300)} {
			for _, c := range endpointCalls(bad) {
				w.do(c).WantProblem(404, "NOT_FOUND", "")
			}
		}
		for _, bad := range []string{"0", "-1", "x", "1.5", "%00", "9223372036854775807", "9223372036854775808", "+1"} {
			w.do(call{method: "POST", path: "/api/webhook-deliveries/" + bad + "/redeliver"}).WantProblem(404, "NOT_FOUND", "")
		}
	})
}

func TestEndpointsNeedAKey(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		id := w.endpoint()
		for _, c := range append(endpointCalls(id),
			call{method: "GET", path: endpointsPath}, call{method: "POST", path: endpointsPath, json: map[string]any{"url": hook}},
			call{method: "POST", path: "/api/webhook-deliveries/1/redeliver"},
		) {
			c.noKey = true
			w.do(c).WantProblem(401, "UNAUTHORIZED", "")
		}
		if all := w.endpoints(nil); len(all) != 1 || all[0]["id"] != id || all[0]["description"] != "" {
			t.Errorf("listed %v", all)
		}
	})
}

func TestRotateSecret(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		made := w.do(call{method: "POST", path: endpointsPath, json: map[string]any{"url": hook}}).want(201).Object()
		id := made["id"].(string)
		w.clock.Advance(time.Minute)
		rotated := w.do(call{method: "POST", path: endpointsPath + "/" + id + "/rotate-secret"}).want(200).Object()
		secret, _ := rotated["secret"].(string)
		if !strings.HasPrefix(secret, "whsec_") || secret == made["secret"] {
			t.Errorf("secret %q, before %q", secret, made["secret"])
		}
		want := made
		want["secret"], want["old_secret_until"], want["updated_at"] = secret, "2026-11-24T10:01:00Z", "2026-11-23T10:01:00Z"
		if !reflect.DeepEqual(rotated, want) {
			t.Errorf("rotated %v, want %v", rotated, want)
		}
		delete(want, "secret")
		if got := w.getEndpoint(id); !reflect.DeepEqual(got, want) {
			t.Errorf("then it is %v, want %v", got, want)
		}
		w.clock.Advance(24 * time.Hour)
		if until := w.getEndpoint(id)["old_secret_until"]; until != nil {
			t.Errorf("a day later the old secret is good until %v", until)
		}
	})
}

func TestTestOfAnEndpoint(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		id := w.endpoint(models.EventPostFailed) // it need not have asked for it
		got := w.testOf(id)
		event, _ := got["event_id"].(string)
		want := map[string]any{
			"id": got["id"], "endpoint_id": id, "event_id": event, "event_type": "endpoint.test", "status": "pending", "attempts": []any{},
			"payload":         map[string]any{"id": event, "type": "endpoint.test", "time": "2026-11-23T10:00:00Z"},
			"next_attempt_at": "2026-11-23T10:00:00Z", "created_at": "2026-11-23T10:00:00Z", "settled_at": nil,
		}
		if !strings.HasPrefix(event, "evt_") || !reflect.DeepEqual(got, want) {
			t.Errorf("answer %v, want %v", got, want)
		}
		if all := w.deliveries(nil, id); len(all) != 1 || !reflect.DeepEqual(all[0], want) {
			t.Errorf("listed %v, want %v", all, want)
		}
		w.patch(id, `{"status":"disabled"}`).want(200)
		w.do(call{method: "POST", path: endpointsPath + "/" + id + "/test"}).WantProblem(409, "CONFLICT", "")
		w.wantEvents(id, models.EventEndpointTest)
	})
}

// attempt stores an attempt of a delivery, as a worker does.
func (w *fixture) attempt(id int64, status models.DeliveryStatus, a models.WebhookAttempt) {
	w.t.Helper()
	d, err := w.db.Outbox.Delivery(context.Background(), w.ours.appID, id)
	w.must(err)
	d.Attempts++
	if d.Status = status; status != models.DeliveryPending {
		d.NextAt, d.SettledAt = nil, &a.At
	}
	w.must(w.db.Outbox.RecordAttempt(w.t.Context(), d, a))
}

func TestListDeliveries(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		id, other := w.endpoint(), w.endpoint()
		var ids []int64 // the newest first
		for range 5 {
			ids = append([]int64{int64(w.testOf(id)["id"].(float64))}, ids...)
			w.testOf(other)
		}
		w.attempt(ids[4], models.DeliveryPending, models.WebhookAttempt{At: testkit.Epoch, DurationMs: 12, Error: "connect: connection refused"})
		w.attempt(ids[4], models.DeliveryDelivered, models.WebhookAttempt{At: testkit.Epoch.Add(time.Second), DurationMs: 34, StatusCode: 200, Response: "ök"})
		w.attempt(ids[2], models.DeliveryFailed, models.WebhookAttempt{At: testkit.Epoch, StatusCode: 500, Error: "answered 500"})
		path := endpointsPath + "/" + id + "/deliveries"
		for query, want := range map[string][]int64{
			"": ids, "limit=50": ids, "limit=5": ids, "limit=2": ids[:2], "limit=1": ids[:1], "status=delivered": ids[4:], "status=failed": ids[2:3],
			"status=pending": {ids[0], ids[1], ids[3]}, "status=pending&limit=2": {ids[0], ids[1]}, fmt.Sprintf("cursor=%d", ids[1]): ids[2:],
			fmt.Sprintf("cursor=%d&limit=1", ids[1]): ids[2:3], fmt.Sprintf("cursor=%d&status=pending", ids[1]): ids[3:4],
			fmt.Sprintf("cursor=%d", ids[4]): {}, "cursor=9223372036854775807": ids,
		} {
			got := []int64{}
			r := w.do(call{method: "GET", path: path + "?" + query}).want(200)
			for _, d := range objects(r.Object()["deliveries"]) {
				got = append(got, int64(d["id"].(float64)))
			}
			if !slices.Equal(got, want) {
				t.Errorf("%q lists %v, want %v", query, got, want)
			}
		}
		for limit := 1; limit <= 6; limit++ {
			var walked []int64
			for cursor := ""; ; {
				page := w.do(call{method: "GET", path: fmt.Sprintf("%s?limit=%d%s", path, limit, cursor)}).want(200).Object()
				for _, d := range objects(page["deliveries"]) {
					walked = append(walked, int64(d["id"].(float64)))
				}
				next, more := page["next_cursor"].(string)
				if !more || len(walked) > len(ids) {
					break
				}
				cursor = "&cursor=" + next
			}
			if !slices.Equal(walked, ids) {
				t.Errorf("pages of %d walk %v, want %v", limit, walked, ids)
			}
		}
		want := []any{
			map[string]any{"at": "2026-11-23T10:00:00Z", "duration_ms": 12.0, "status_code": nil, "error": "connect: connection refused", "response": ""},
			map[string]any{"at": "2026-11-23T10:00:01Z", "duration_ms": 34.0, "status_code": 200.0, "error": nil, "response": "ök"},
		}
		if d := w.deliveries(nil, id)[4]; !reflect.DeepEqual(d["attempts"], want) || d["status"] != "delivered" || d["settled_at"] != "2026-11-23T10:00:01Z" || d["next_attempt_at"] != nil {
			t.Errorf("delivery %v", d)
		}
		for query, field := range map[string]string{
			"status=": "status", "status=gone": "status", "status=Pending": "status", "limit=0": "limit", "limit=51": "limit", "limit=-1": "limit", "limit=x": "limit",
			"cursor=": "cursor", "cursor=0": "cursor", "cursor=-1": "cursor", "cursor=x": "cursor", "cursor=9223372036854775808": "cursor", "cursor=1&cursor=2": "cursor",
			"event=post.failed": "event",
		} {
			w.do(call{method: "GET", path: path + "?" + query}).WantProblem(422, "VALIDATION_FAILED", field)
		}
		w.do(call{method: "GET", path: path + "?limit=%zz"}).WantProblem(400, "VALIDATION_FAILED", "")
		w.do(call{method: "GET", path: endpointsPath + "?limit=1"}).WantProblem(422, "VALIDATION_FAILED", "limit")
	})
}

func TestRedeliver(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		id := w.endpoint()
		delivery := int64(w.testOf(id)["id"].(float64))
		w.attempt(delivery, models.DeliveryFailed, models.WebhookAttempt{At: testkit.Epoch, StatusCode: 500, Error: "answered 500"})
		want := w.deliveries(nil, id)[0]
		w.clock.Advance(time.Hour)
		path := fmt.Sprintf("/api/webhook-deliveries/%d/redeliver", delivery)
		got := w.do(call{method: "POST", path: path}).want(202).Object()
		want["status"], want["settled_at"], want["next_attempt_at"] = "pending", nil, "2026-11-23T11:00:00Z"
		if !reflect.DeepEqual(got, want) || !reflect.DeepEqual(w.deliveries(nil, id)[0], want) {
			t.Errorf("answer %v, want %v", got, want)
		}
		w.patch(id, `{"status":"disabled"}`).want(200)
		w.do(call{method: "POST", path: path}).WantProblem(409, "CONFLICT", "")
	})
}

// cancel cancels a post before it is sent.
func (w *fixture) cancel(id string) *reply {
	w.t.Helper()
	return w.do(call{method: "DELETE", path: "/api/posts/" + id})
}

// A change is reported once, as the API shows it, to the endpoints of its app that asked
// for it.
func TestCanceledPostIsTold(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		all, asked, other := w.endpoint(), w.endpoint(models.EventPostFailed, models.EventPostCanceled), w.endpoint(models.EventPostPublished)
		disabled := w.endpoint()
		w.patch(disabled, `{"status":"disabled"}`).want(200)
		foreign := w.endpointOf(&w.theirs)
		id := w.post(w.upload("upright.mp4"), map[string]any{"publish_at": "2026-11-24T10:00:00Z", "title": "Grüße 🎉"}).want(202).Text("id")
		w.wantEvents(all)
		w.clock.Advance(time.Minute)
		w.cancel(id).want(200)
		shown := w.do(call{method: "GET", path: "/api/posts/" + id}).want(200).Object()
		delete(shown, "content") // the API's answers alone have it
		events := map[any]bool{}
		for _, endpoint := range []string{all, asked} {
			got := w.wantEvents(endpoint, models.EventPostCanceled)[0]
			events[got["id"]] = true
			want := map[string]any{"id": got["id"], "type": "post.canceled", "time": "2026-11-23T10:01:00Z", "post": shown}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
		}
		if len(events) != 1 {
			t.Errorf("one event has the ids %v", events)
		}
		w.wantEvents(other)
		w.wantEvents(disabled)
		if theirs := w.deliveries(&w.theirs, foreign); len(theirs) != 0 {
			t.Errorf("the other app got %v", theirs)
		}
	})
}

// Requests that are refused, or change nothing, are not reported.
func TestWhatDidNotHappenIsNotTold(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		endpoint := w.endpoint()
		running := w.post(w.upload("upright.mp4"), nil).want(202).Text("id")
		_, err := w.db.Runs.Claim(t.Context(), running, 0, "w", w.clock.Now(), time.Minute)
		w.must(err)
		w.cancel(running).WantProblem(409, "CONFLICT", "")
		waiting := w.post(w.upload("upright.mp4"), map[string]any{"publish_at": "2026-11-24T10:00:00Z"}).want(202).Text("id")
		w.do(call{method: "DELETE", path: "/api/posts/" + waiting, as: &w.theirs}).WantProblem(404, "NOT_FOUND", "")
		w.do(call{method: "PATCH", path: "/api/posts/" + waiting, json: `{"publish_at":"2026-11-25T10:00:00Z"}`}).want(200)
		w.post(w.upload("upright.mp4"), map[string]any{"privacy_level": "NOPE"}).WantProblem(422, "VALIDATION_FAILED", "privacy_level")
		w.do(call{method: "DELETE", path: accountPath(models.TikTok, w.ours.tiktok), as: &w.theirs}).WantProblem(404, "NOT_FOUND", "")
		w.wantEvents(endpoint)
		w.cancel(waiting).want(200)
		w.cancel(waiting) // whatever it answers
		w.wantEvents(endpoint, models.EventPostCanceled)
	})
}

func TestAccountsAreTold(t *testing.T) {
	eachWithPlatforms(t, func(t *testing.T, w *fixture) {
		w.addPeople()
		for _, p := range bothPlatforms {
			endpoint, posts := w.endpoint(), w.endpoint(models.EventPostCanceled)
			accounts := w.endpoint(models.EventAccountConnected, models.EventAccountDisconnected)
			foreign := w.endpointOf(&w.theirs)
			id := w.connect(p)
			wantAccount := func(got map[string]any, event models.AppEvent) {
				t.Helper()
				want := map[string]any{"id": got["id"], "type": string(event), "time": w.clock.Now().Format(time.RFC3339), "account": w.account(p, fmt.Sprint(id))}
				if !reflect.DeepEqual(got, want) {
					t.Errorf("%s: got %v, want %v", p, got, want)
				}
			}
			wantAccount(w.wantEvents(endpoint, models.EventAccountConnected)[0], models.EventAccountConnected)
			waiting := w.waitingPosts(p, id)
			for range 2 { // twice is no news
				w.disconnect(p, id).want(200)
			}
			got := w.wantEvents(endpoint, models.EventAccountConnected, models.EventAccountDisconnected, models.EventPostCanceled, models.EventPostCanceled)
			wantAccount(got[1], models.EventAccountDisconnected)
			canceled := map[any]bool{}
			for _, event := range got[2:] {
				post := event["post"].(map[string]any)
				canceled[post["id"]] = true
				shown := w.do(call{method: "GET", path: fmt.Sprint("/api/posts/", post["id"])}).want(200).Object()
				delete(shown, "content")
				if !reflect.DeepEqual(post, shown) {
					t.Errorf("%s: got %v, want %v", p, post, shown)
				}
			}
			if len(canceled) != len(waiting) || !canceled[waiting[0]] || !canceled[waiting[1]] {
				t.Errorf("%s: canceled %v, want %v", p, canceled, waiting)
			}
			w.wantEvents(posts, models.EventPostCanceled, models.EventPostCanceled)
			w.wantEvents(accounts, models.EventAccountConnected, models.EventAccountDisconnected)
			if theirs := w.deliveries(&w.theirs, foreign); len(theirs) != 0 {
				t.Errorf("the other app got %v", theirs)
			}
			for _, used := range []string{endpoint, posts, accounts} {
				w.do(call{method: "DELETE", path: endpointsPath + "/" + used}).want(204)
			}
		}
	})
}

// When the platform reports the end of an account, the app gets an event.
func TestAccountThatLeftIsTold(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		endpoint := w.endpoint()
		w.clock.Advance(time.Hour)
		w.tiktokSays(removed("ours", w.clock.Now(), 1)).wantTaken()
		got := w.wantEvents(endpoint, models.EventAccountDisconnected)[0]
		if account := got["account"].(map[string]any); account["id"] != float64(w.ours.tiktok) || account["status"] != "disconnected" {
			t.Errorf("got %v", got)
		}
		w.tiktokSays(removed("ours", w.clock.Now(), 1)).wantTaken() // said again
		w.wantEvents(endpoint, models.EventAccountDisconnected)
	})
}

// Deliveries are visible only to their endpoint's app.
func TestDeliveryNumbersAreNoSecret(t *testing.T) {
	each(t, func(t *testing.T, w *fixture) {
		theirs := w.endpointOf(&w.theirs)
		w.do(call{method: "POST", path: endpointsPath + "/" + theirs + "/test", as: &w.theirs}).want(202)
		rows, err := w.db.Outbox.Deliveries(t.Context(), db.DeliveryFilter{EndpointID: theirs, Limit: 1})
		w.must(err)
		w.do(call{method: "POST", path: fmt.Sprintf("/api/webhook-deliveries/%d/redeliver", rows[0].ID)}).WantProblem(404, "NOT_FOUND", "")
		w.do(call{method: "GET", path: fmt.Sprintf("%s/%s/deliveries?cursor=%d", endpointsPath, w.endpoint(), rows[0].ID+1)}).want(200)
	})
}
