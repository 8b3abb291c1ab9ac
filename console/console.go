// Package console is the operators' page of posts and accounts: what waits and why,
// what went wrong, and the few things that a person can do about it. It is made of HTML
// alone, so it works wherever a browser does, and shows nothing that is secret.
//
// It knows no users: whoever serves it says who may look and who may act.
package console

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"time"

	"github.com/sirupsen/logrus"

	"socialqueue/db"
	"socialqueue/models"
	"socialqueue/observe"
	"socialqueue/publish"
)

// Root is where the pages live.
const Root = "/console"

// Deps is what the pages show and work with.
type Deps struct {
	DB    *db.DB
	Posts *publish.Service
	// Platforms are those that are shown.
	Platforms models.PlatformTitles
	// PausedQueues names the queues of Asynq that are paused.
	PausedQueues func() ([]string, error)
	Log          logrus.FieldLogger
	Now          func() time.Time
}

//go:embed templates style.css
var files embed.FS

// Console serves the pages.
type Console struct {
	Deps
	// mayAct is whether this one's visitors may do something.
	mayAct bool
	mux    *http.ServeMux
	pages  map[string]*template.Template
}

// New makes the console of those who may act, or of those who only look.
func New(deps Deps, mayAct bool) *Console {
	c := &Console{Deps: deps, mayAct: mayAct, mux: http.NewServeMux(), pages: map[string]*template.Template{}}
	functions := maps.Clone(functions)
	functions["platformName"] = deps.Platforms.Of
	for _, name := range []string{"overview", "posts", "post", "accounts", "account", "trouble"} {
		c.pages[name] = template.Must(template.New("layout.html").Funcs(functions).ParseFS(files, "templates/layout.html", "templates/parts.html", "templates/"+name+".html"))
	}
	c.routes()
	return c
}

func (c *Console) routes() {
	show := func(pattern, page string, load func(*http.Request) (any, error)) {
		c.mux.HandleFunc("GET "+Root+pattern, func(w http.ResponseWriter, r *http.Request) { c.show(w, r, page, load) })
	}
	show("", "overview", c.overview)
	show("/posts", "posts", c.posts)
	show("/posts/{id}", "post", c.post)
	show("/accounts", "accounts", c.accounts)
	show("/accounts/{platform}/{id}", "account", c.account)
	c.mux.HandleFunc("GET "+Root+"/style.css", c.style)

	act := func(pattern string, do func(context.Context, *http.Request) (done, error)) {
		c.mux.HandleFunc("POST "+Root+pattern, func(w http.ResponseWriter, r *http.Request) { c.act(w, r, do) })
	}
	act("/posts/{id}/retry", c.retry)
	act("/posts/{id}/cancel", c.cancel)
	act("/posts/{id}/resolve", c.resolve)
	act("/posts/retry", c.retryAll)
	act("/pause", c.pause)
	act("/resume", c.resume)
}

// pageTime bounds the making of a page.
const pageTime = 15 * time.Second

// ServeHTTP serves a page.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), pageTime)
	defer cancel()
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "same-origin")
	r = r.WithContext(ctx)
	if _, known := c.mux.Handler(r); known == "" {
		c.trouble(w, r, fmt.Errorf("this page: %w", db.ErrNotFound))
		return
	}
	c.mux.ServeHTTP(w, r)
}

func (c *Console) style(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "max-age=300")
	http.ServeFileFS(w, r, files, "style.css")
}

// frame is what every page has around its own.
type frame struct {
	Root   string
	Path   string
	MayAct bool
	Now    time.Time
	// Refresh, in seconds, has the page come anew by itself; 0 does not.
	Refresh int
	// Done says what was just done.
	Done   string
	Pauses models.Pauses
	Page   any
}

// refreshEvery is how soon a followed page comes anew, in seconds.
const refreshEvery = 5

func (c *Console) show(w http.ResponseWriter, r *http.Request, page string, load func(*http.Request) (any, error)) {
	content, err := load(r)
	if err != nil {
		c.trouble(w, r, err)
		return
	}
	pauses, err := c.DB.Admission.Pauses(r.Context())
	if err != nil {
		c.trouble(w, r, err)
		return
	}
	f := frame{Pauses: pauses, Page: content, Done: doneTexts[r.URL.Query().Get("done")]}
	if r.URL.Query().Get("follow") == "1" {
		f.Refresh = refreshEvery
	}
	c.render(w, r, http.StatusOK, page, f)
}

func (c *Console) render(w http.ResponseWriter, r *http.Request, status int, page string, f frame) {
	f.Root, f.Path, f.MayAct, f.Now = Root, r.URL.Path, c.mayAct, c.Now()
	var body bytes.Buffer
	if err := c.pages[page].Execute(&body, f); err != nil {
		observe.In(r.Context(), c.Log).WithError(err).Error("a page of the console could not be made")
		http.Error(w, "this page could not be made; the log says why", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes()) // a visitor who is gone misses nothing
}

// troubleShown is what the page of an error shows.
type troubleShown struct {
	Title, Detail, Reference string
}

// trouble shows an error, and logs one that is ours.
func (c *Console) trouble(w http.ResponseWriter, r *http.Request, err error) {
	status, shown := http.StatusInternalServerError, troubleShown{
		Title: "Something of ours failed", Detail: "Nothing was changed unless the page says so. The log tells more.", Reference: observe.CorrelationID(r.Context()),
	}
	fields, isInput := errors.AsType[models.FieldErrors](err)
	switch {
	case isInput:
		status, shown = http.StatusUnprocessableEntity, troubleShown{Title: "That cannot be done so", Detail: fields.Error()}
	case errors.Is(err, db.ErrNotFound):
		status, shown = http.StatusNotFound, troubleShown{Title: "There is no such thing", Detail: err.Error()}
	case errors.Is(err, publish.ErrConflict):
		status, shown = http.StatusConflict, troubleShown{Title: "Not possible as it stands", Detail: err.Error()}
	case errors.Is(err, errReadOnly):
		status, shown = http.StatusForbidden, troubleShown{Title: "You may look only", Detail: err.Error()}
	default:
		observe.In(r.Context(), c.Log).WithError(err).Error("a page of the console failed")
	}
	c.render(w, r, status, "trouble", frame{Page: shown})
}
