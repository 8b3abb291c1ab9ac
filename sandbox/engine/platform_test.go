package engine_test

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"socialqueue/sandbox/engine"
	"socialqueue/sandbox/sandboxtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// toy is a platform with one call: POST /toy/posts publishes its body.
type toy struct {
	host       *engine.Host
	webhookURL string
	banned     []string
}

func (t *toy) Name() string { return "toy" }

func (t *toy) Attach(host *engine.Host) engine.Description {
	t.host = host
	return engine.Description{
		Title:  "Toy",
		Routes: map[string]http.Handler{"/toy/": http.HandlerFunc(t.serve)},
		Ops:    []engine.Op{{Name: "toy.post", CheckCode: t.checkCode}},
		Control: []engine.Control{engine.Post("accounts/toy", `{"name":"ann"}`, func(in struct{ Name string }) (any, error) {
			return in, nil
		})},
		Revocations: []engine.Revocation{engine.Revoke("toy", `{"platform":"toy","name":"ann"}`, "", func(in struct{ Platform, Name string }) error {
			t.banned = append(t.banned, in.Name)
			return nil
		})},
		Webhooks: &engine.WebhookSender{
			Op: "toy.webhook", URL: t.webhookURL, URLField: "toy_url", Life: time.Hour,
			Sign: func(h http.Header, body string, mode engine.Mode) {
				h.Set("Toy-Signature", engine.HexMAC(sha256.New, engine.SigningSecret(mode, "secret"), body))
			},
		},
	}
}

func (t *toy) checkCode(code string) error {
	if strings.ContainsAny(code, " ") {
		return errors.New("toy codes have no spaces")
	}
	return nil
}

func (t *toy) serve(w http.ResponseWriter, r *http.Request) {
	x := t.host.NewExchange(r)
	x.Op, x.Account, x.LogID = "toy.post", "ann", fmt.Sprint(t.host.NextID())
	t.host.Perform(w, x, t, t.publish)
}

func (t *toy) publish(x *engine.Exchange) engine.Reply {
	file, err := t.host.NewBlob()
	if err == nil {
		_, err = file.Fill(x.Request.Body)
	}
	if err != nil {
		return engine.TextReply(http.StatusInternalServerError, "text/plain", err.Error())
	}
	file.Finish()
	t.host.GoLive(engine.LivePost{AccountID: "ann", Username: "ann", Kind: "video", Permalink: "/toy-posts/" + x.LogID, At: x.Now}, file)
	t.host.SendWebhook("published", "ann", `{"event":"published"}`)
	return engine.JSONReply(http.StatusOK, map[string]string{"id": x.LogID})
}

func (t *toy) Refuse(_ *engine.Exchange, f engine.Fault) engine.Reply {
	return engine.TextReply(http.StatusTeapot, "text/plain", f.Code)
}

func (t *toy) Finish(x *engine.Exchange, rep *engine.Reply) { rep.Header.Set("Toy-Id", x.LogID) }

// newToy starts an engine that has nothing but the toy.
func newToy(t *testing.T, p *toy) *engine.Server {
	t.Helper()
	s := engine.New(engine.Options{}, p)
	if err := s.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func post(t *testing.T, url, body string) (int, string) {
	t.Helper()
	res, err := http.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	got, _ := io.ReadAll(res.Body)
	return res.StatusCode, string(got)
}

func get(t *testing.T, url string) string {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	return string(body)
}

func TestPlatformGoesLiveOnTheFeed(t *testing.T) {
	s := newToy(t, &toy{})
	if status, body := post(t, s.URL()+"/toy/posts", string(sandboxtest.MP4(100))); status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	live := s.LivePosts()
	if len(live) != 1 || live[0].Platform != "toy" || live[0].Bytes != 100 {
		t.Fatalf("live %+v", live)
	}
	for _, page := range []string{s.URL() + "/", live[0].Permalink} {
		if body := get(t, page); !strings.Contains(body, "Toy") || !strings.Contains(body, "@ann") {
			t.Errorf("%s lacks the post: %s", page, body)
		}
	}
	if s.CountCalls("toy.post") != 1 || s.Calls()[0].Account != "ann" {
		t.Errorf("calls %+v", s.Calls())
	}
}

func TestPlatformMeetsFaults(t *testing.T) {
	s := newToy(t, &toy{})
	s.Script(engine.Fault{Op: "toy.post", Mode: engine.ModeError, Code: "no"},
		engine.Fault{Op: "toy.post", Mode: engine.ModeReset, After: true})
	if status, body := post(t, s.URL()+"/toy/posts", "a"); status != http.StatusTeapot || body != "no" {
		t.Errorf("%d %s", status, body)
	}
	if status, body := post(t, s.URL()+"/toy/posts", "b"); status != 0 {
		t.Errorf("the lost answer came: %d %s", status, body)
	}
	if len(s.LivePosts()) != 1 {
		t.Errorf("live %+v, want the post whose answer was lost", s.LivePosts())
	}
	for _, f := range []engine.Fault{
		{Op: "toy.nothing", Mode: engine.ModeReset}, {Op: "toy.post", Mode: engine.ModeError, Code: "a b"},
		{Op: "toy.post", Mode: engine.ModeLate, Delay: time.Second}, {Op: "toy.webhook", Mode: engine.ModeReset},
	} {
		if s.ValidateFault(f) == nil {
			t.Errorf("accepted %+v", f)
		}
	}
}

func TestPlatformInTheControlAPI(t *testing.T) {
	p := &toy{}
	s := newToy(t, p)
	api := s.URL() + "/_sandbox/"
	index := get(t, api)
	for _, line := range []string{
		`POST   /_sandbox/accounts/toy         {"name":"ann"}`, `POST   /_sandbox/revoke               {"platform":"toy","name":"ann"}:`,
		`POST   /_sandbox/webhooks             {"toy_url":"http://..."}; "" ends one`,
		`POST   /_sandbox/faults               {"op":"toy.post","mode":"reset","times":2}, or a list of them`,
	} {
		if !slices.Contains(strings.Split(index, "\n"), line) {
			t.Errorf("the index lacks %q:\n%s", line, index)
		}
	}
	for _, c := range []struct {
		path, body string
		status     int
	}{
		{"accounts/toy", `{"name":"ann"}`, 200}, {"accounts/toy", `{"nome":"ann"}`, 400}, {"accounts/toy", "", 400},
		{"revoke", `{"platform":"toy","name":"ann"}`, 204}, {"revoke", `{"platform":"other"}`, 400},
		{"webhooks", `{"toy_url":"http://127.0.0.1:1/"}`, 204}, {"webhooks", `{"other_url":""}`, 400},
	} {
		if status, body := post(t, api+c.path, c.body); status != c.status {
			t.Errorf("%s %s: %d %s, want %d", c.path, c.body, status, body, c.status)
		}
	}
	if !slices.Equal(p.banned, []string{"ann"}) {
		t.Errorf("banned %v", p.banned)
	}
}

func TestPlatformSendsWebhooks(t *testing.T) {
	receiver := sandboxtest.NewReceiver(t, sandboxtest.Always(200))
	s := newToy(t, &toy{webhookURL: receiver.URL})
	s.Script(engine.Fault{Op: "toy.webhook", Mode: engine.ModeDuplicate})
	post(t, s.URL()+"/toy/posts", "a")
	if err := s.WaitWebhooks(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := receiver.All()
	if len(got) != 2 || got[0].Body != `{"event":"published"}` || got[0].Header.Get("Toy-Signature") != sandboxtest.MAC(sha256.New, "secret", got[0].Body) {
		t.Errorf("received %+v", got)
	}
	if log := s.Webhooks(); len(log) != 1 || log[0].Platform != "toy" || !log[0].Delivered || log[0].Attempts != 2 {
		t.Errorf("log %+v", log)
	}
	if err := s.SetWebhook(t.Context(), "nobody", "", ""); err == nil {
		t.Error("an address for a platform that is not there")
	}
}

func TestTwoPlatformsOfOneName(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("two platforms share a name")
		}
	}()
	_ = engine.New(engine.Options{DiscardBytes: true}, &toy{}, &toy{}).Close()
}

// A server without any platform still answers, so that a half-built one shows itself as empty.
func TestNoPlatform(t *testing.T) {
	s := engine.New(engine.Options{DiscardBytes: true})
	defer s.Close()
	if err := s.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	defer http.DefaultClient.CloseIdleConnections()
	var live []json.RawMessage
	if err := json.Unmarshal([]byte(get(t, s.URL()+"/_sandbox/live")), &live); err != nil || len(live) != 0 {
		t.Errorf("live %s, %v", live, err)
	}
	if status, body := post(t, s.URL()+"/_sandbox/revoke", `{"platform":"toy"}`); status != 400 {
		t.Errorf("%d %s", status, body)
	}
}
