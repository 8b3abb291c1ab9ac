package wire

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"socialqueue/models"
	"socialqueue/platform"
	"socialqueue/secrets"
)

func wantError(t *testing.T, err error, kind platform.Kind, code platform.Code) *platform.Error {
	t.Helper()
	e, ok := errors.AsType[*platform.Error](err)
	if !ok {
		t.Fatalf("got %T %v, want a *platform.Error", err, err)
	}
	if e.Kind != kind || e.Code != code || e.Provider != models.TikTok || e.Op != "tiktok.test" {
		t.Fatalf("got %+v, want %s %s", e, kind, code)
	}
	return e
}

func begin(class Class) *Exchange {
	x := Begin(models.TikTok, "tiktok.test", class, time.Now)
	return &x
}

func send(t *testing.T, x *Exchange, client *http.Client, url string) error {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := x.Send(client, req)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestSendTellsUnsentFromLost: only proof that no byte was sent makes a call
// that changes something safe to repeat.
func TestSendTellsUnsentFromLost(t *testing.T) {
	classes := map[string]struct {
		class Class
		lost  platform.Kind
		code  platform.Code
	}{
		"reading":   {Reading, platform.Transient, platform.CodePublishFailed},
		"creating":  {Creating, platform.Unknown, platform.CodePublishFailed},
		"uploading": {Uploading, platform.Unknown, platform.CodeUploadFailed},
	}
	for name, tt := range map[string]struct {
		err  error
		sent bool
	}{
		"dial":   {&net.OpError{Op: "dial", Err: errors.New("refused")}, false},
		"dns":    {&net.DNSError{Err: "no such host", Name: "x"}, false},
		"read":   {&net.OpError{Op: "read", Err: errors.New("reset")}, true},
		"silent": {errors.New("odd"), true},
	} {
		for className, c := range classes {
			t.Run(name+"/"+className, func(t *testing.T) {
				client := &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) { return nil, tt.err })}
				err := send(t, begin(c.class), client, "https://sandbox.test/secret")
				kind := platform.Transient
				if tt.sent {
					kind = c.lost
				}
				wantError(t, err, kind, c.code)
				if !errors.Is(err, tt.err) || strings.Contains(err.Error(), "/secret") {
					t.Errorf("got %v", err)
				}
			})
		}
	}
	t.Run("refused", func(t *testing.T) {
		srv := httptest.NewServer(nil)
		srv.Close()
		wantError(t, send(t, begin(Creating), Client(nil), srv.URL), platform.Transient, platform.CodePublishFailed)
	})
	t.Run("tls", func(t *testing.T) { // a connection that never came about
		srv := httptest.NewUnstartedServer(nil)
		srv.Config.ErrorLog = log.New(io.Discard, "", 0)
		srv.StartTLS()
		defer srv.Close()
		wantError(t, send(t, begin(Creating), Client(nil), srv.URL), platform.Transient, platform.CodePublishFailed)
	})
	t.Run("reset", func(t *testing.T) {
		srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
		defer srv.Close()
		wantError(t, send(t, begin(Creating), Client(nil), srv.URL), platform.Unknown, platform.CodePublishFailed)
	})
}

func TestSendNotesTheStatus(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	defer srv.Close()
	x := begin(Creating)
	if err := send(t, x, Client(nil), srv.URL); err != nil || x.Status != http.StatusTeapot {
		t.Errorf("got %d %v", x.Status, err)
	}
}

func TestReady(t *testing.T) {
	for _, token := range []secrets.Secret{"", "a\nb", "a b", "ä", "a\x7f"} {
		wantError(t, begin(Creating).Ready(t.Context(), token), platform.AuthExpired, platform.CodeTokenInvalid)
	}
	if err := begin(Creating).Ready(t.Context(), "act.abc!6410"); err != nil {
		t.Error(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	err := begin(Uploading).Ready(ended, "act.abc")
	wantError(t, err, platform.Transient, platform.CodeUploadFailed)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestExchangeIsRecordedOnceAndFails(t *testing.T) {
	clock := time.Date(2026, 11, 22, 6, 33, 0, 0, time.UTC)
	x := Begin(models.Instagram, "instagram.test", Creating, func() time.Time {
		clock = clock.Add(time.Second)
		return clock
	})
	x.Hide.Secret("act.abcdefghijklmnopqrstuvwxyz")
	x.Status, x.Code, x.LogID, x.Detail = 429, "limit", "L1", "container 7"

	cause := errors.New("cause")
	err := x.Fail(Verdict{platform.RateLimited, platform.CodeRateLimited, time.Hour, platform.LimitDaily}, "for act.abcdefghijklmnopqrstuvwxyz", cause)
	e, ok := errors.AsType[*platform.Error](err)
	want := platform.Error{
		Provider: models.Instagram, Op: "instagram.test", Kind: platform.RateLimited, Code: platform.CodeRateLimited,
		HTTPStatus: 429, PlatformCode: "limit", Message: "for [secret]", LogID: "L1", RetryAfter: time.Hour, Limit: platform.LimitDaily, Err: cause,
	}
	if !ok || *e != want {
		t.Errorf("got %+v", err)
	}

	var calls []platform.Call
	ctx := platform.WithRecorder(t.Context(), func(c platform.Call) { calls = append(calls, c) })
	if got := x.Finish(ctx, err); !errors.Is(got, err) {
		t.Errorf("got %v", got)
	}
	recorded := platform.Call{
		Provider: models.Instagram, Op: "instagram.test", HTTPStatus: 429, PlatformCode: "limit", LogID: "L1", Detail: "container 7",
		Started: time.Date(2026, 11, 22, 6, 33, 1, 0, time.UTC), Duration: time.Second, Err: err,
	}
	if !reflect.DeepEqual(calls, []platform.Call{recorded}) {
		t.Errorf("recorded %+v", calls)
	}
}
