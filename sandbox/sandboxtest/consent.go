package sandboxtest

import (
	"net/http"
	"net/url"
	"strings"
)

// SetPairs sets names and values on q; an empty value removes the name.
func SetPairs(q url.Values, kv []string) url.Values {
	for i := 0; i < len(kv); i += 2 {
		q.Set(kv[i], kv[i+1])
		if kv[i+1] == "" {
			q.Del(kv[i])
		}
	}
	return q
}

// PostConsent posts a consent page's form and returns where it leads, without going there.
func (e *Env) PostConsent(page string, form url.Values) (*url.URL, Answer) {
	e.T.Helper()
	client := *e.HTTP
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	following := e.HTTP
	e.HTTP = &client
	defer func() { e.HTTP = following }()
	a := e.MustDo(e.Request("POST", page, form.Encode(), "Content-Type", "application/x-www-form-urlencoded"))
	to, err := url.Parse(a.Header.Get("Location"))
	if err != nil {
		e.T.Fatal(err)
	}
	return to, a
}

// WantConsent posts a form that is answered with a redirect and returns its parameters.
func (e *Env) WantConsent(page string, form url.Values) url.Values {
	e.T.Helper()
	to, a := e.PostConsent(page, form)
	if a.HTTPStatus != http.StatusFound {
		e.T.Fatalf("consent: %d %s", a.HTTPStatus, a.Body)
	}
	return to.Query()
}

// WantPage is an answer that keeps the browser on the platform.
func (e *Env) WantPage(target string, status int, parts ...string) {
	e.T.Helper()
	a := e.MustDo(e.Request("GET", target, ""))
	if a.HTTPStatus != status || a.Header.Get("Location") != "" {
		e.T.Errorf("%s: %d, want %d", target, a.HTTPStatus, status)
	}
	for _, part := range parts {
		if !strings.Contains(string(a.Body), part) {
			e.T.Errorf("%s: the page lacks %q", target, part)
		}
	}
}

// Allow is the form of a consent.
var Allow = url.Values{"decision": {"allow"}}
