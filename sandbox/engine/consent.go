package engine

import (
	_ "embed"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

//go:embed consent.html
var consentHTML string

var consentTemplates = template.Must(template.New("consent").Parse(consentHTML))

// NewAccount is the account on a consent page that is made when it is chosen.
const NewAccount = "new"

// ConsentPage is where a user lets an app in, or does not.
type ConsentPage struct {
	Platform string
	App      string // its client id: the only name it has here
	Accounts []ConsentAccount
	Scopes   []ConsentScope
}

// ConsentAccount is an account that the user can choose.
type ConsentAccount struct {
	ID     string
	Name   string
	Detail string
	Pages  []ConsentItem
}

// ConsentScope is a scope that the user can untick, unless it is required.
type ConsentScope struct {
	ConsentItem
	Required bool
}

// ConsentItem is a box on the page: Value is what the form sends, Text what the user reads.
type ConsentItem struct{ Value, Text string }

// RefusedPage is a platform's own answer to a request it does not accept. It never leads back to the app.
type RefusedPage struct {
	Platform string
	Title    string
	Text     string
	Names    []string // of the wrong parameters
}

// RenderConsent answers with the page.
func RenderConsent(w http.ResponseWriter, page ConsentPage) {
	renderPage(w, http.StatusOK, "consent", page)
}

// RenderRefused answers with the page, as a 400.
func RenderRefused(w http.ResponseWriter, page RefusedPage) {
	renderPage(w, http.StatusBadRequest, "refused", page)
}

func renderPage(w http.ResponseWriter, status int, name string, page any) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = consentTemplates.ExecuteTemplate(w, name, page) // a failure here is the browser gone
}

// ConsentForm is what the page's form sent, or a script in its place.
type ConsentForm struct {
	Allowed bool // false: the user said no
	account string
	fields  url.Values
}

// ReadConsent reads the form. Its error is for the user to see.
func ReadConsent(r *http.Request) (ConsentForm, error) {
	r.Body = http.MaxBytesReader(nil, r.Body, maxRequestBody)
	if err := r.ParseForm(); err != nil {
		return ConsentForm{}, errors.New("the body must be a form")
	}
	decision := r.PostForm.Get("decision")
	if decision != "allow" && decision != "deny" {
		return ConsentForm{}, errors.New("decision must be allow or deny")
	}
	return ConsentForm{decision == "allow", r.PostForm.Get("account"), r.PostForm}, nil
}

// Ticked keeps what the user ticked. A browser leaves an unticked box out, so in its form (which has form=1) nothing
// means none; a script that sends nothing takes all.
func (f ConsentForm) Ticked(field string, all []string) []string {
	sent := f.fields[field]
	if len(sent) == 0 && f.fields.Get("form") == "" {
		return all
	}
	return slices.DeleteFunc(slices.Clone(all), func(v string) bool { return !slices.Contains(sent, v) })
}

// Choose is the account that the form means: without one the only one there is, or a new one.
func (f ConsentForm) Choose(known []string) (string, error) {
	switch {
	case f.account == NewAccount, f.account == "" && len(known) == 0:
		return NewAccount, nil
	case f.account == "" && len(known) == 1:
		return known[0], nil
	case f.account == "":
		return "", errors.New("there are several accounts: send account, one of " + strings.Join(known, ", ") + ", " + NewAccount)
	case !slices.Contains(known, f.account):
		return "", errors.New("there is no account " + f.account)
	}
	return f.account, nil
}

// RedirectBack sends the browser to the app with the outcome.
func RedirectBack(w http.ResponseWriter, redirectURI string, outcome url.Values, fragment string) {
	separator := "?"
	if strings.Contains(redirectURI, "?") {
		separator = "&"
	}
	w.Header().Set("Location", redirectURI+separator+outcome.Encode()+fragment)
	w.WriteHeader(http.StatusFound)
}

// anyPort stands for a port in a registered redirect URI (Login Kit for Desktop).
const anyPort = ":*/"

// LoopbackURIs register a path on any port of this machine.
func LoopbackURIs(path string) []string {
	return []string{"http://localhost:*" + path, "http://127.0.0.1:*" + path}
}

// IsRegistered matches byte for byte, but for the port of a loopback address that was registered with "*". The "*" itself
// is no port, so such an address does not parse.
func IsRegistered(redirectURI string, registered []string) bool {
	u, err := url.Parse(redirectURI)
	if err != nil {
		return false
	}
	loopback := u.Hostname() == "localhost" || u.Hostname() == "127.0.0.1"
	for _, known := range registered {
		switch {
		case known == redirectURI:
			return true
		case loopback && u.Port() != "" && known == strings.Replace(redirectURI, ":"+u.Port()+"/", anyPort, 1):
			return true
		}
	}
	return false
}
