package handlers

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// conn is a connection that records its deadlines.
type conn struct {
	http.ResponseWriter
	read []time.Time
}

func (c *conn) SetReadDeadline(t time.Time) error {
	c.read = append(c.read, t)
	return nil
}

func TestMovingBodyExtendsItsDeadline(t *testing.T) {
	c := &conn{}
	body := &movingBody{r: strings.NewReader("abc"), conn: http.NewResponseController(c)}
	one := make([]byte, 1)
	began := time.Now()
	if _, err := body.Read(one); err != nil {
		t.Fatal(err)
	}
	body.extended = time.Now().Add(-2 * extendEvery) // some time later
	if _, err := io.ReadAll(body); err != nil {
		t.Fatal(err)
	}
	if len(c.read) != 3 {
		t.Fatalf("deadlines %v, want two and none at the end", c.read)
	}
	for _, deadline := range c.read[:2] {
		if d := deadline.Sub(began); d < stillTime || d > stillTime+10*time.Second {
			t.Errorf("deadline after %s, want %s", d, stillTime)
		}
	}
	if !c.read[2].IsZero() {
		t.Error("the deadline stays on after the end")
	}
}

func TestRestHasAnEnd(t *testing.T) {
	c := &conn{}
	until := time.Now().Add(restStill + time.Second)
	rest := &restReader{r: strings.NewReader("abc"), conn: http.NewResponseController(c), until: until}
	one := make([]byte, 1)
	began := time.Now()
	for _, end := range []time.Time{until, began.Add(restStill / 2)} {
		rest.until = end
		if _, err := rest.Read(one); err != nil {
			t.Fatal(err)
		}
	}
	if d := c.read[0].Sub(began); d < restStill || d > restStill+time.Second/2 {
		t.Errorf("a client may be silent for %s, want %s", d, restStill)
	}
	if !c.read[1].Equal(rest.until) {
		t.Errorf("the rest is read until %s, want %s", c.read[1], rest.until)
	}
}

func TestBodyErrors(t *testing.T) {
	for name, tc := range map[string]struct {
		err    error
		status int
	}{
		"too large": {&http.MaxBytesError{Limit: 1}, 413},
		"stopped":   {os.ErrDeadlineExceeded, 408},
		"cut off":   {io.ErrUnexpectedEOF, 400},
	} {
		body := &movingBody{r: io.MultiReader(strings.NewReader("x"), failing{tc.err}), conn: http.NewResponseController(&conn{})}
		_, err := io.ReadAll(body)
		b, ok := errors.AsType[*bodyError](err)
		if !ok || b.problem().status != tc.status {
			t.Errorf("%s: %v, want %d", name, err, tc.status)
		}
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// FuzzDecode checks that the decoder never panics, and that what it accepts is accepted
// again after encoding.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		`{"account_id":1,"title":"x\u00e9😀","is_aigc":true,"video_cover_timestamp_ms":5,"publish_at":"2026-11-23T10:00:00+01:00","max_lateness":"15m"}`,
		`{"title":"\ud83d"}`, `{"title":"a\u0000"}`, `{"title":"a","title":"b"}`, `{"TITLE":1}`, `[]`, `null`, `{"a":`, `{} {}`, "{\"title\":\"\xff\"}", ``,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var in tiktokRequest
		err := in.fields().decode(body)
		if err != nil {
			if p := problemOf(err, nil); p.status != 400 && p.status != 422 {
				t.Fatalf("%q: %v", body, err)
			}
			return
		}
		if strings.ContainsRune(in.options.Title, 0) || strings.ContainsRune(in.mediaURL, 0) {
			t.Fatalf("%q: took a NUL", body)
		}
		var again tiktokRequest
		if err := again.fields().decode(append(bytes.Clone(body), ' ')); err != nil {
			t.Fatalf("%q: %v the second time", body, err)
		}
	})
}

func FuzzFormField(f *testing.F) {
	f.Add("title", "x")
	f.Add("is_aigc", "true")
	f.Add("account_id", "1 2")
	f.Add("publish_at", "2026-11-23T10:00:00Z")
	f.Add("max_lateness", `"`)
	f.Fuzz(func(t *testing.T, name, text string) {
		var in tiktokRequest
		target := in.fields()
		if _, ok := target[name]; !ok {
			return
		}
		var errs = invalid(nil).fields
		target.setText(&errs, name, text)
		if len(errs) == 0 && name == "title" && in.options.Title != text {
			t.Fatalf("title %q became %q", text, in.options.Title)
		}
	})
}
