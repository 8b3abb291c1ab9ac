package handlers_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"socialqueue/handlers"
	"socialqueue/observe"
)

// operatorFixture has an operator, a viewer, and a page for each.
func operatorFixture(t *testing.T) *fixture {
	w := onSQLite(t)
	w.deps.Operator = handlers.Operator{User: "operator", Password: "sesame", ReadOnly: "window"}
	page := func(name string) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if _, err := io.Copy(io.Discard, r.Body); err != nil {
				rw.WriteHeader(http.StatusRequestEntityTooLarge)
				return
			}
			_, _ = io.WriteString(rw, name+" "+r.URL.Path)
		})
	}
	w.deps.Monitoring = handlers.Pages{Operator: page("operator"), Viewer: page("viewer")}
	w.build()
	return w
}

// as makes a call with basic authentication.
func as(credentials, method, path string, headers ...string) call {
	c := call{method: method, path: path, noKey: true, headers: map[string]string{}}
	if credentials != "" {
		c.headers["Authorization"] = "Basic " + base64.StdEncoding.EncodeToString([]byte(credentials))
	}
	for i := 0; i < len(headers); i += 2 {
		c.headers[headers[i]] = headers[i+1]
	}
	return c
}

// Who may do what on the queues' page, and from where.
func TestMonitoring(t *testing.T) {
	w := operatorFixture(t)
	const op, viewer, pause = "operator:sesame", "operator:window", "/monitoring/api/queues/publish:pause"
	for name, tt := range map[string]struct {
		call   call
		status int
		body   string // of a page that was reached
	}{
		"operator looks":             {as(op, "GET", "/monitoring"), 200, "operator /monitoring"},
		"operator looks deeper":      {as(op, "GET", "/monitoring/queues/publish"), 200, "operator /monitoring/queues/publish"},
		"viewer looks":               {as(viewer, "GET", "/monitoring"), 200, "viewer /monitoring"},
		"nobody looks":               {as("", "GET", "/monitoring"), 401, ""},
		"a key looks":                {call{method: "GET", path: "/monitoring"}, 401, ""},
		"another user":               {as("admin:sesame", "GET", "/monitoring"), 401, ""},
		"both passwords swapped":     {as("sesame:operator", "GET", "/monitoring"), 401, ""},
		"operator acts":              {as(op, "POST", pause), 200, "operator " + pause},
		"operator acts, same origin": {as(op, "POST", pause, "Origin", "http://example.com", "Sec-Fetch-Site", "same-origin"), 200, "operator " + pause},
		"viewer acts":                {as(viewer, "POST", pause), 403, ""},
		"viewer deletes":             {as(viewer, "DELETE", "/monitoring/api/queues/publish"), 403, ""},
		"nobody acts":                {as("", "POST", pause), 401, ""},
		"another site":               {as(op, "POST", pause, "Origin", "https://evil.example"), 403, ""},
		"another port":               {as(op, "DELETE", pause, "Origin", "http://example.com:81"), 403, ""},
		"no site at all":             {as(op, "POST", pause, "Origin", "null"), 403, ""},
		"another site, hidden":       {as(op, "POST", pause, "Sec-Fetch-Site", "cross-site"), 403, ""},
		"a neighbour":                {as(op, "POST", pause, "Sec-Fetch-Site", "same-site"), 403, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := w.in(t)
			r := w.do(tt.call)
			if r.Status != tt.status || (tt.body != "" && string(r.Body) != tt.body) {
				t.Errorf("answer %d %s, want %d %s", r.Status, r.Body, tt.status, tt.body)
			}
		})
	}
	big := as(op, "POST", pause)
	big.body = strings.NewReader(strings.Repeat("x", 2<<20))
	w.do(big).want(413)
}

// operatorActions returns the log lines of operators' actions.
func (w *fixture) operatorActions() []map[string]any {
	var found []map[string]any
	for _, line := range w.log.With("operator action") {
		var entry struct {
			Action, CorrelationID string
			Duration              *float64
			Metadata              map[string]any
		}
		w.must(json.Unmarshal([]byte(line), &entry))
		if entry.Action != "operator" || entry.CorrelationID == "" || entry.Duration == nil || entry.Metadata["user"] != "operator" || entry.Metadata["remote"] != "192.0.2.1" {
			w.t.Errorf("a line says %s", line)
		}
		found = append(found, entry.Metadata)
	}
	return found
}

// An operator's action has one log line, with the ids and the result. The page gets the
// same body.
func TestOperatorsAreLoggedWithWhatTheyNamed(t *testing.T) {
	w := operatorFixture(t)
	var got string
	w.deps.Monitoring.Operator = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		got = string(body)
		switch {
		case err != nil:
			rw.WriteHeader(http.StatusRequestEntityTooLarge)
		case strings.HasSuffix(r.URL.Path, ":panic"):
			panic("of the page")
		default:
			rw.WriteHeader(http.StatusNoContent)
		}
	})
	w.deps.Console.Operator = w.deps.Monitoring.Operator
	w.build()
	many := make([]string, 250)
	for i := range many {
		many[i] = fmt.Sprintf("%d-%s", i, strings.Repeat("x", 500))
	}
	batch := func(ids ...string) string {
		text, err := json.Marshal(map[string]any{"task_ids": ids})
		w.must(err)
		return string(text)
	}
	const queue = "/monitoring/api/queues/publish/archived_tasks"
	for name, tt := range map[string]struct {
		path, body string
		status     int
		ids        string // of the line
		count      int
	}{
		"a batch":             {queue + ":batch_run", batch("a:0", "b:1"), 204, "[a:0 b:1]", 2},
		"a batch and more":    {queue + ":batch_run", batch("a:0") + "x", 204, "[a:0]", 1},
		"posts of a page":     {"/console/posts/retry", "id=one&id=two", 204, "[one two]", 2},
		"what names nothing":  {queue + ":delete_all", "", 204, "[]", 0},
		"what cannot be read": {queue + ":batch_run", "{\"task_ids\": 7}", 204, "[]", 0},
		"what fails":          {queue + ":panic", batch("a:0"), 500, "[a:0]", 1},
		"too large a body":    {queue + ":batch_run", batch(strings.Repeat("x", 2<<20)), 413, "[]", 0},
		"many":                {queue + ":batch_run", batch(many...), 204, "[0-xxx", 250},
	} {
		t.Run(name, func(t *testing.T) {
			w := w.in(t)
			before := len(w.operatorActions())
			c := as("operator:sesame", "POST", tt.path)
			c.body = strings.NewReader(tt.body)
			w.do(c).want(tt.status)
			if tt.status == 204 && got != tt.body {
				t.Errorf("the page got %d bytes of %d", len(got), len(tt.body))
			}
			actions := w.operatorActions()
			if len(actions) != before+1 {
				t.Fatalf("%d lines, want one more than %d", len(actions), before)
			}
			did := actions[before]
			ids, _ := did["ids"].([]any)
			count, _ := did["ids_count"].(float64)
			if did["method"] != "POST" || did["path"] != tt.path || did["status"] != float64(tt.status) || int(count) != tt.count || len(ids) != min(tt.count, 100) {
				t.Errorf("the line says %v", did)
			}
			if shown := fmt.Sprint(ids); !strings.HasPrefix(shown, tt.ids) || len(shown) > 100*130 {
				t.Errorf("it names %s, want %s", shown, tt.ids)
			}
		})
	}
}

// Operators' actions are logged, and views are not.
func TestOperatorsAreLogged(t *testing.T) {
	w := operatorFixture(t)
	const what = "operator action"
	w.do(as("operator:sesame", "GET", "/monitoring")).want(200)
	w.do(as("operator:window", "POST", "/monitoring/api/x")).want(403)
	if strings.Contains(w.log.String(), what) {
		t.Error("looking is logged as doing")
	}
	w.do(as("operator:sesame", "DELETE", "/monitoring/api/queues/publish")).want(200)
	if log := w.log.String(); !strings.Contains(log, what) || !strings.Contains(log, "/monitoring/api/queues/publish") || strings.Contains(log, "sesame") {
		t.Errorf("the log says %s", log)
	}
}

// A client that guesses passwords has to wait after ten. The right password from another
// address is not affected.
func TestGuessing(t *testing.T) {
	w := operatorFixture(t)
	for range 10 {
		w.do(as("operator:wrong", "GET", "/monitoring")).WantProblem(401, "UNAUTHORIZED", "")
	}
	r := w.do(as("operator:wrong", "GET", "/metrics"))
	r.WantProblem(429, "RATE_LIMITED", "")
	if r.Header.Get("Retry-After") == "" {
		t.Error("it does not say how long to wait")
	}
	w.do(as("operator:sesame", "GET", "/monitoring")).WantProblem(429, "RATE_LIMITED", "")
	elsewhere := as("operator:sesame", "GET", "/monitoring")
	elsewhere.from = "192.0.2.7:1234"
	w.do(elsewhere).want(200)
}

// Behind a trusted proxy every client has its own limit, whatever it writes into the
// header, and the log shows its address.
func TestGuessingBehindAProxy(t *testing.T) {
	w := operatorFixture(t)
	w.deps.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("::1/128")}
	w.build()
	by := func(proxy, forwardedFor, password string) *reply {
		c := as("operator:"+password, "POST", "/monitoring/x", "X-Forwarded-For", forwardedFor, "X-Real-Ip", "203.0.113.9")
		c.from = proxy
		return w.do(c)
	}
	const proxy, second = "10.1.2.3:4000", "[::1]:4000"
	for i := range 10 {
		by(proxy, fmt.Sprintf("198.51.100.%d, 203.0.113.1", i), "wrong").want(401)
		by(proxy, fmt.Sprintf("2001:db8:0:1::%x", i), "wrong").want(401)
		by("192.0.2.66:1", fmt.Sprintf("198.51.100.%d", i), "wrong").want(401)
	}
	for name, tt := range map[string]struct {
		from, forwardedFor string
		status             int
	}{
		"who guessed":                    {proxy, "203.0.113.1", 429},
		"who guessed, by another proxy":  {second, "203.0.113.1, 10.1.9.9", 429},
		"who guessed, under a mask":      {proxy, "198.51.100.200, 203.0.113.1", 429},
		"who guessed, mapped to IPv6":    {proxy, "::ffff:203.0.113.1", 429},
		"another":                        {proxy, "203.0.113.2", 200},
		"another address of the network": {second, "2001:db8:0:1:ffff::1", 429},
		"another network":                {proxy, "2001:db8:0:2::1", 200},
		"no proxy of ours":               {"192.0.2.66:2", "203.0.113.3", 429},
		"a private one, no proxy either": {"10.2.0.1:2", "203.0.113.1", 200},
		"this machine, no proxy either":  {"127.0.0.1:2", "203.0.113.1", 200},
		"the proxy itself":               {proxy, "", 200},
		"nothing that is an address":     {proxy, "unknown", 200},
	} {
		if r := by(tt.from, tt.forwardedFor, "sesame"); r.Status != tt.status {
			t.Errorf("%s: %d, want %d: %s", name, r.Status, tt.status, r.Body)
		}
	}
	for _, did := range w.log.With("operator action", "wrong operator password", "request") {
		if strings.Contains(did, "203.0.113.9") || strings.Contains(did, `"remote":"198.51.100`) {
			t.Errorf("a header that anybody can write is in the log: %s", did)
		}
	}
	for _, message := range []string{"operator action", "request"} {
		if !strings.Contains(strings.Join(w.log.With(message), ""), `"remote":"203.0.113.2"`) {
			t.Errorf("%q does not say where from", message)
		}
	}
}

// Without a trusted proxy the header is ignored, in the log too.
func TestNoProxyIsTrusted(t *testing.T) {
	w := operatorFixture(t)
	for i := range 11 {
		c := as("operator:wrong", "GET", "/monitoring", "X-Forwarded-For", fmt.Sprintf("203.0.113.%d", i), "X-Real-Ip", "203.0.113.200")
		if r := w.do(c); (r.Status == 429) != (i == 10) {
			t.Errorf("guess %d: %d", i, r.Status)
		}
	}
	for from, status := range map[string]int{"[::ffff:192.0.2.1]:1": 429, "[::ffff:192.0.2.2]:1": 200} { // the same addresses, as some systems tell them
		c := as("operator:sesame", "GET", "/monitoring")
		c.from = from
		if r := w.do(c); r.Status != status {
			t.Errorf("%s: %d, want %d", from, r.Status, status)
		}
	}
	if strings.Contains(w.log.String(), "203.0.113") {
		t.Errorf("the log says %s", w.log)
	}
}

// Metrics need the operator's password. Without a password there is no such route.
func TestMetrics(t *testing.T) {
	w := onSQLite(t)
	get := func(credentials string) *reply {
		c := call{method: "GET", path: "/metrics", noKey: true}
		if credentials != "" {
			c.headers = map[string]string{"Authorization": "Basic " + base64.StdEncoding.EncodeToString([]byte(credentials))}
		}
		return w.do(c)
	}
	get("operator:").WantProblem(404, "NOT_FOUND", "")
	metrics := observe.NewMetrics()
	w.inbox.Metrics, w.deps.Metrics = metrics, metrics
	w.deps.Operator = handlers.Operator{User: "operator", Password: "sesame"}
	w.build()
	for _, wrong := range []string{"", "operator:", "operator:Sesame", "Operator:sesame", "operator:sesame ", ":sesame", "operatorsesame:"} {
		get(wrong).WantProblem(401, "UNAUTHORIZED", "")
	}
	w.do(call{method: "GET", path: "/metrics"}).WantProblem(401, "UNAUTHORIZED", "") // an app is no operator
	w.webhook("t=1,s=2", "{}").WantProblem(401, "WEBHOOK_INVALID", "")
	w.tiktokSays(`{"event":"new.in.2027"}`).wantTaken()
	w.tiktokSays(`{"event":"new.in.2027"}`).wantTaken()
	shown := string(get("operator:sesame").want(200).Body)
	for _, line := range []string{
		`socialqueue_webhooks_received_total{outcome="refused",platform="tiktok"} 1`,
		`socialqueue_webhooks_received_total{outcome="stored",platform="tiktok"} 1`,
		`socialqueue_webhooks_received_total{outcome="duplicate",platform="tiktok"} 1`,
		`socialqueue_webhook_processing_seconds_count{platform="tiktok",status="unknown"} 1`,
	} {
		if !strings.Contains(shown, line+"\n") {
			t.Errorf("the metrics lack %s", line)
		}
	}
}

// Methods and paths that clients invent do not add metric labels.
func TestMadeUpRequestsShareASeries(t *testing.T) {
	w := onSQLite(t)
	w.deps.Metrics = observe.NewMetrics()
	w.deps.Operator = handlers.Operator{User: "operator", Password: "sesame"}
	w.build()
	for _, path := range []string{"/api/posts", "/nowhere", "/console/made-up"} {
		for _, method := range []string{"BREW", "ASK", "GET"} {
			w.do(call{method: method, path: path, noKey: true})
		}
	}
	shown := string(w.do(as("operator:sesame", "GET", "/metrics")).want(200).Body)
	for _, madeUp := range []string{"BREW", "ASK", "nowhere", "made-up"} {
		if strings.Contains(shown, madeUp) {
			t.Errorf("the metrics hold %q", madeUp)
		}
	}
	if !strings.Contains(shown, `socialqueue_http_request_duration_seconds_count{method="(other)",route="(no route)"`) {
		t.Error("the metrics do not count such requests")
	}
}
