package wire

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
)

func TestRedactor(t *testing.T) {
	const token = "EAAsimToken0123456789abcdefghijklmnopqrstuvwxyz"
	const link = "https://media.test/media/0193aaaa-bbbb-7ccc-8ddd-eeeeeeeeeeee/SIGNATURE0123456789abcdef?exp=1790000000"
	const maxWords = 300
	var r Redactor
	r.Secret("act.abcdefghijklmnopqrstuvwxyz")
	r.Secret("a,c.abcdefghijklmnopqrstuvwxyz")
	r.Secret(token)
	r.Secret("abc") // too short to be one
	r.Link("https://media.test/media/0193-aaaa-bbbb/sig%2Fnature123456?sig=s%2Bcret99")
	r.Link(link)
	r.Link("::")
	for in, want := range map[string]string{
		"bad act.abcdefghijklmnopqrstuvwxyz!":               "bad [secret]!",
		"bad act.abcdefghijklm, x":                          "bad [secret], x",
		"bad a,c.abcdefghijklm":                             "bad [secret]",
		"Malformed access token " + token[:30] + "...":      "Malformed access token [secret]",
		"got s+cret99 and s%2Bcret99":                       "got [secret] and [secret]",
		"abc https://media.test/media":                      "abc https://media.test/media",
		"cannot fetch " + link:                              "cannot fetch [secret]",
		"cannot fetch /SIGNATURE0123456789abcdef":           "cannot fetch /[secret]",
		"GET /x?a=1&Access_Token=EAAx&b=2":                  "GET /x?a=1&Access_Token=[secret]&b=2",
		"next?access_token=EAAother&limit=1":                "next?access_token=[secret]&limit=1",
		"debug?input_token=EAAother&x=1":                    "debug?input_token=[secret]&x=1",
		"refresh_token=rft.1 fb_exchange_token=EAAother":    "refresh_token=[secret] fb_exchange_token=[secret]",
		"code_verifier=abc, status_code=ERROR":              "code_verifier=[secret] status_code=ERROR",
		"two\n lines \xff":                                  "two lines ?",
		strings.Repeat("x", maxWords):                       strings.Repeat("x", maxWords),
		strings.Repeat("x", maxWords) + "ä and on":          strings.Repeat("x", maxWords) + "…",
		strings.Repeat("x", maxWords-1) + "ä (cut through)": strings.Repeat("x", maxWords-1) + "…",
	} {
		if got := r.Text(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestWithoutOwnSide(t *testing.T) {
	for in, want := range map[string]string{
		"read answer: read tcp 127.0.0.1:57364->127.0.0.1:80: read: connection reset by peer": "read answer: read: connection reset by peer",
		"readfrom tcp [::1]:57364->[::1]:80: write tcp [::1]:57364->[::1]:80: broken pipe":    "readfrom: write: broken pipe",
		"read tcp 10.0.0.7:1->192.0.2.1:443: i/o timeout":                                     "read: i/o timeout",
		"dial tcp 192.0.2.1:443: connect: connection refused":                                 "dial tcp 192.0.2.1:443: connect: connection refused",
		"dial tcp: lookup a.test on 10.0.0.2:53: no such host":                                "dial tcp: lookup a.test: no such host",
		"lookup a.test on 10.0.0.2:53: read udp 10.0.0.7:1->10.0.0.2:53: i/o timeout":         "lookup a.test: read: i/o timeout",
		"lookup a.test: no such host":                                                         "lookup a.test: no such host",
	} {
		if got := withoutOwnSide(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestRedactorErr(t *testing.T) {
	var r Redactor
	if r.Err(nil) != nil {
		t.Error("an error from nothing")
	}
	r.Secret("act.abcdefghijklmnopqrstuvwxyz")
	err := r.Err(fmt.Errorf("open act.abcdefghijklmnopqrstuvwxyz: %w", io.ErrUnexpectedEOF))
	if err.Error() != "open [secret]: unexpected EOF" || !errors.Is(err, io.ErrUnexpectedEOF) || errors.Unwrap(err) != nil {
		t.Errorf("got %v", err)
	}
	if _, ok := errors.AsType[*net.OpError](r.Err(&net.OpError{Op: "read", Err: io.EOF})); !ok {
		t.Error("the cause cannot be asked for")
	}
	reset := &net.OpError{
		Op: "read", Net: "tcp", Source: &net.TCPAddr{IP: net.IPv4(10, 0, 0, 7), Port: 57364},
		Addr: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 443}, Err: os.NewSyscallError("read", syscall.ECONNRESET),
	}
	err = r.Err(&url.Error{Op: "Put", URL: "https://api.test/path", Err: reset})
	if err.Error() != "api.test: read: connection reset by peer" || !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %v", err)
	}
	err = r.Err(&url.Error{Op: "Get", URL: "https://api.test/path?t=act.abcdefghijklmnopqrstuvwxyz", Err: io.EOF})
	if err.Error() != "api.test: EOF" || !errors.Is(err, io.EOF) {
		t.Errorf("got %v", err)
	}
}
