package handlers_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"socialqueue/inbox"
	"socialqueue/models"
)

// toySource is the source of a platform that no other code names.
type toySource struct {
	applied []string
}

func (*toySource) Platform() models.Platform     { return "toy" }
func (*toySource) MaxBody() int64                { return 10 }
func (*toySource) CheckHeader(http.Header) error { return nil }

func (*toySource) Verify(h http.Header, _ []byte) error {
	if h.Get("Toy-Signature") != "good" {
		return errors.New("the signature is not the toy's")
	}
	return nil
}

func (*toySource) Parse(body []byte) ([]inbox.Event, error) {
	return []inbox.Event{{Name: "toy", Key: []string{string(body)}, Payload: body}}, nil
}

func (s *toySource) Apply(_ context.Context, e *models.WebhookEvent) (inbox.Outcome, error) {
	s.applied = append(s.applied, string(e.Payload))
	return inbox.Processed("done"), nil
}

// shakingSource is a toySource whose platform checks the address first.
type shakingSource struct{ toySource }

func (*shakingSource) Handshake(q url.Values) (string, error) {
	if q.Get("token") != "good" {
		return "", errors.New("token is not right")
	}
	return q.Get("challenge"), nil
}

// A registered source has an address, which needs no key.
func TestAnySourceHasAnAddress(t *testing.T) {
	w := onSQLite(t)
	const path = "/api/webhooks/toy"
	send := func(signature, body string) *reply {
		return w.do(call{method: "POST", path: path, noKey: true, body: strings.NewReader(body), headers: map[string]string{"Toy-Signature": signature}})
	}
	send("good", "1").want(401) // no route yet, and so one that needs a key
	w.do(call{method: "POST", path: path}).WantProblem(404, "NOT_FOUND", "")

	toy := &toySource{}
	w.sources = []inbox.Source{toy}
	w.build()
	send("good", "1").wantTaken()
	send("good", "1").wantTaken()
	send("bad", "2").WantProblem(401, "WEBHOOK_INVALID", "")
	send("good", strings.Repeat("3", 11)).WantProblem(413, "TOO_LARGE", "")
	if got := strings.Join(toy.applied, " "); got != "1" {
		t.Errorf("applied %q, want the event once", got)
	}
	w.do(call{method: "GET", path: path, noKey: true}).WantProblem(405, "NOT_FOUND", "")

	w.sources = []inbox.Source{&shakingSource{}}
	w.build()
	if got := w.do(call{method: "GET", path: path + "?token=good&challenge=42", noKey: true}).want(200); string(got.Body) != "42" {
		t.Errorf("answer %s", got.Body)
	}
	w.do(call{method: "GET", path: path + "?token=bad&challenge=42", noKey: true}).WantProblem(403, "WEBHOOK_INVALID", "")
}

// Meta's handshake is answered exactly as expected.
func TestInstagramHandshake(t *testing.T) {
	w := onSQLite(t)
	const path = "/api/webhooks/instagram?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token="
	good := w.do(call{method: "GET", path: path + verifyToken, noKey: true}).want(200)
	if string(good.Body) != "1158201444" || !strings.HasPrefix(good.Header.Get("Content-Type"), "text/plain") {
		t.Errorf("answer %s, %v", good.Body, good.Header)
	}
	bad := w.do(call{method: "GET", path: path + "other", noKey: true})
	bad.WantProblem(403, "WEBHOOK_INVALID", "")
	if got := bad.Text("detail"); got != "wrong hub.mode or hub.verify_token" {
		t.Errorf("detail %q", got)
	}
}
