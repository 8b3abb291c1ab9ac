// Package console serves the operators' pages. They show posts and accounts, why posts wait
// or failed, and let operators retry, cancel, settle and pause. The pages are plain HTML
// without scripts, and contain no secrets.
//
// The package does not authenticate. The caller decides who has access, and who may only
// read.
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
	"slices"
	"time"

	"github.com/sirupsen/logrus"

	"socialqueue/db"
	"socialqueue/models"
	"socialqueue/observe"
	"socialqueue/publish"
)

// Root is the path of the pages.
const Root = "/console"

// Deps are the dependencies of the pages.
type Deps struct {
	DB    *db.DB
	Posts *publish.Service
	// Platforms are the platforms that the pages show.
	Platforms models.PlatformTitles
	// PausedQueues lists the paused Asynq queues.
	PausedQueues func() ([]string, error)
	// Workers returns how many live workers serve the queue with the fewest.
	Workers func() (int, error)
	Log     logrus.FieldLogger
	Now     func() time.Time
}

//go:embed templates style.css
var files embed.FS

// Console serves the pages.
type Console struct {
	Deps
	// mayAct is false if access is read-only.
	mayAct bool
	mux    *http.ServeMux
	pages  map[string]*template.Template
}

// New returns a console. Access is read-only unless mayAct is true.
func New(deps Deps, mayAct bool) *Console {
	c := &Console{Deps: deps, mayAct: mayAct, mux: http.NewServeMux(), pages: map[string]*template.Template{}}
	functions := maps.Clone(functions)
	functions["platformName"] = deps.Platforms.Of
	for _, name := range []string{"overview", "posts", "post", "accounts", "account", "restored", "error"} {
		c.pages[name] = template.Must(template.New("layout.html").Funcs(functions).ParseFS(files, "templates/layout.html", "templates/parts.html", "templates/"+name+".html"))
	}
	c.routes()
	return c
}

func (c *Console) routes() {
	show := func(pattern, page string, load func(*http.Request) (any, error)) {
		c.mux.HandleFunc("GET "+Root+pattern, c.onDB(func(w http.ResponseWriter, r *http.Request) { c.show(w, r, page, load) }))
	}
	show("", "overview", c.overview)
	show("/posts", "posts", c.posts)
	show("/posts/{id}", "post", c.post)
	show("/accounts", "accounts", c.accounts)
	show("/accounts/{platform}/{id}", "account", c.account)
	show("/restored", "restored", c.restored)
	c.mux.HandleFunc("GET "+Root+"/style.css", c.style)

	act := func(pattern string, do func(context.Context, *http.Request) (done, error)) {
		c.mux.HandleFunc("POST "+Root+pattern, c.onDB(func(w http.ResponseWriter, r *http.Request) { c.act(w, r, do) }))
	}
	act("/posts/{id}/retry", c.retry)
	act("/posts/{id}/cancel", c.cancel)
	act("/posts/{id}/resolve", c.resolve)
	act("/posts/{id}/release", c.release)
	act("/restored/release", c.releaseAll)
	act("/posts/retry", c.retryAll)
	act("/pause", c.pause)
	act("/resume", c.resume)
}

const (
	// pageTime is the timeout for a page.
	pageTime = 15 * time.Second
	// pingTime is how long the database may take to answer at all.
	pingTime = 3 * time.Second
)

// onDB serves a page that needs the database. If the database does not answer, it says so
// without waiting for pageTime, and no action begins.
func (c *Console) onDB(serve http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), pingTime)
		err := c.DB.Ping(ctx)
		cancel()
		if err == nil || r.Context().Err() != nil {
			serve(w, r)
			return
		}
		observe.In(r.Context(), c.Log).WithError(err).Error("a console request failed")
		c.render(w, r, http.StatusServiceUnavailable, "error", frame{Page: errorPage{
			Title: "The database does not answer", Detail: "Nothing was changed. Posts wait until it answers, and then go on by themselves. The api's log has the error.",
		}})
	}
}

// ServeHTTP implements http.Handler.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), pageTime)
	defer cancel()
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "same-origin")
	r = r.WithContext(ctx)
	if _, pattern := c.mux.Handler(r); pattern == "" {
		c.fail(w, r, fmt.Errorf("this page: %w", db.ErrNotFound))
		return
	}
	c.mux.ServeHTTP(w, r)
}

func (c *Console) style(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "max-age=300")
	http.ServeFileFS(w, r, files, "style.css")
}

// frame is the data of the layout, which every page has.
type frame struct {
	Root   string
	Path   string
	MayAct bool
	Now    time.Time
	// Refresh is the interval at which the browser reloads the page, in seconds; 0 means
	// never.
	Refresh int
	// Done is the message about the last action.
	Done   string
	Pauses models.Pauses
	// Breakers are the open ones.
	Breakers []models.Breaker
	// NoWrites says what to do if the database takes no writes.
	NoWrites string
	Page     any
}

// refreshEvery is the reload interval of a followed page, in seconds.
const refreshEvery = 5

func (c *Console) show(w http.ResponseWriter, r *http.Request, page string, load func(*http.Request) (any, error)) {
	content, err := load(r)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	pauses, err := c.DB.Admission.Pauses(r.Context())
	if err != nil {
		c.fail(w, r, err)
		return
	}
	breakers, err := c.DB.Breakers.List(r.Context())
	if err != nil {
		c.fail(w, r, err)
		return
	}
	breakers = slices.DeleteFunc(breakers, func(b models.Breaker) bool { return !b.Open() })
	f := frame{Pauses: pauses, Breakers: breakers, NoWrites: c.noWrites(r.Context()), Page: content, Done: doneMessages[r.URL.Query().Get("done")]}
	if r.URL.Query().Get("follow") == "1" {
		f.Refresh = refreshEvery
	}
	c.render(w, r, http.StatusOK, page, f)
}

// noWrites returns what to do if the database takes no writes; "" if it does.
func (c *Console) noWrites(ctx context.Context) string {
	if refused, ok := errors.AsType[*db.NoWritesError](c.DB.CheckWritable(ctx)); ok {
		return refused.Do
	}
	return ""
}

func (c *Console) render(w http.ResponseWriter, r *http.Request, status int, page string, f frame) {
	f.Root, f.Path, f.MayAct, f.Now = Root, r.URL.Path, c.mayAct, c.Now()
	var body bytes.Buffer
	if err := c.pages[page].Execute(&body, f); err != nil {
		observe.In(r.Context(), c.Log).WithError(err).Error("could not render a console page")
		http.Error(w, "internal error: this page could not be rendered; see the log of the api", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes()) // fails only if the client has disconnected
}

// errorPage is the data of the page that shows an error.
type errorPage struct {
	Title, Detail, Reference string
}

// fail shows an error, and logs it if it is an internal one.
func (c *Console) fail(w http.ResponseWriter, r *http.Request, err error) {
	status, page := http.StatusInternalServerError, errorPage{
		Title: "Internal error", Detail: "An action may not have taken effect: check before you repeat it. The api's log has the cause; search it for the correlation id below.", Reference: observe.CorrelationID(r.Context()),
	}
	fields, isInput := errors.AsType[models.FieldErrors](err)
	refused, noWrites := errors.AsType[*db.NoWritesError](err)
	switch {
	case noWrites:
		status, page = http.StatusServiceUnavailable, errorPage{
			Title: "The database takes no writes", Detail: "Nothing was changed. What to do: " + refused.Do + ". Posts wait meanwhile, and then go on by themselves.",
		}
	case isInput:
		status, page = http.StatusUnprocessableEntity, errorPage{Title: "Invalid input", Detail: fields.Error()}
	case errors.Is(err, db.ErrNotFound):
		status, page = http.StatusNotFound, errorPage{Title: "Not found", Detail: err.Error()}
	case errors.Is(err, publish.ErrConflict):
		status, page = http.StatusConflict, errorPage{Title: "Not possible in the current state", Detail: err.Error()}
	case errors.Is(err, errReadOnly):
		status, page = http.StatusForbidden, errorPage{Title: "Read-only access", Detail: err.Error()}
	default:
		observe.In(r.Context(), c.Log).WithError(err).Error("a console request failed")
	}
	c.render(w, r, status, "error", frame{Page: page})
}
