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

// NewAccount is the form value that asks for a new account instead of an existing one.
const NewAccount = "new"

// ConsentPage is the page on which a user grants or denies an app access.
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

// ConsentItem is a checkbox: the form sends Value, the user reads Text.
type ConsentItem struct{ Value, Text string }

// RefusedPage is the error page for an authorization request that the platform does not accept. It does not redirect to
// the app.
type RefusedPage struct {
	Platform string
	Title    string
	Text     string
	Names    []string // of the wrong parameters
}

// RenderConsent writes the page.
func RenderConsent(w http.ResponseWriter, page ConsentPage) {
	renderPage(w, http.StatusOK, "consent", page)
}

// RenderRefused writes the page with status 400.
func RenderRefused(w http.ResponseWriter, page RefusedPage) {
	renderPage(w, http.StatusBadRequest, "refused", page)
}

func renderPage(w http.ResponseWriter, status int, name string, page any) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = consentTemplates.ExecuteTemplate(w, name, page) // a failure here is the browser gone
}

// ConsentForm is the submitted form of a ConsentPage, sent by a browser or by a script.
type ConsentForm struct {
	Allowed bool // false: the user said no
	account string
	fields  url.Values
}

// ReadConsent parses the form. Its error is meant for the user.
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

// Ticked returns the values of all that the user ticked. Browsers omit unticked boxes, so in the page's own form (which
// has form=1) an absent field means none; a script that omits the field grants all.
func (f ConsentForm) Ticked(field string, all []string) []string {
	sent := f.fields[field]
	if len(sent) == 0 && f.fields.Get("form") == "" {
		return all
	}
	return slices.DeleteFunc(slices.Clone(all), func(v string) bool { return !slices.Contains(sent, v) })
}

// Choose returns the account that the form selects. Without a selection it is the only known account, or a new one if
// none is known.
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

// RedirectBack redirects the browser to the app with the result of the consent.
func RedirectBack(w http.ResponseWriter, redirectURI string, outcome url.Values, fragment string) {
	separator := "?"
	if strings.Contains(redirectURI, "?") {
		separator = "&"
	}
	w.Header().Set("Location", redirectURI+separator+outcome.Encode()+fragment)
	w.WriteHeader(http.StatusFound)
}

// anyPort is the wildcard port of a registered redirect URI (Login Kit for Desktop).
const anyPort = ":*/"

// LoopbackURIs returns redirect URIs that match path on any port of localhost and 127.0.0.1.
func LoopbackURIs(path string) []string {
	return []string{"http://localhost:*" + path, "http://127.0.0.1:*" + path}
}

// IsRegistered reports whether redirectURI equals a registered one byte for byte. A registered loopback address may
// have "*" as its port, which matches any port.
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
