package engine

import (
	_ "embed"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
)

// feedLength is how many posts each column of the feed shows.
const feedLength = 50

//go:embed feed.html
var feedHTML string

var feedTemplate = template.Must(template.New("feed").Funcs(template.FuncMap{
	"isVideo": func(t string) bool { return strings.HasPrefix(t, "video/") },
	"size":    func(n int64) string { return humanize.Bytes(uint64(max(n, 0))) },
}).Parse(feedHTML))

type feedPage struct {
	Single  bool // one post, behind its permalink
	Now     time.Time
	Total   int
	Columns []feedColumn
}

type feedColumn struct {
	Title string
	Posts []feedPost // newest first
}

type feedPost struct {
	LivePost
	Column string // title of its platform
	Order  int    // its place among the posts of all platforms, for screens with one column
}

// routeFeed adds the page, the permalinks and the bytes behind them.
func (s *Server) routeFeed(mux *http.ServeMux) {
	mux.HandleFunc("/", s.getPage)
	mux.HandleFunc("GET /_sandbox/files/{id}", s.getFile)
	mux.HandleFunc("GET /_sandbox/avatar.svg", getAvatar)
}

// getPage serves the feed at "/" and treats every other path as a permalink.
func (s *Server) getPage(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
	case r.URL.Path == "/":
		s.getFeed(w, r)
	default:
		s.getPermalink(w, r)
	}
}

func (s *Server) getFeed(w http.ResponseWriter, _ *http.Request) {
	posts := s.LivePosts()
	slices.Reverse(posts)
	page := feedPage{Now: s.Now(), Total: len(posts)}
	for _, platform := range s.platforms {
		column := feedColumn{Title: platform.Title}
		for i, p := range posts {
			if p.Platform == platform.name && len(column.Posts) < feedLength {
				column.Posts = append(column.Posts, feedPost{LivePost: p, Column: platform.Title, Order: i})
			}
		}
		page.Columns = append(page.Columns, column)
	}
	renderFeed(w, page)
}

func (s *Server) getPermalink(w http.ResponseWriter, r *http.Request) {
	posts := s.LivePosts()
	i := slices.IndexFunc(posts, func(p LivePost) bool { return p.Permalink == s.URL()+r.URL.Path })
	if i < 0 {
		http.NotFound(w, r)
		return
	}
	renderFeed(w, feedPage{Single: true, Now: s.Now(), Total: len(posts),
		Columns: []feedColumn{{Title: "@" + posts[i].Username, Posts: []feedPost{{LivePost: posts[i], Column: s.title(posts[i].Platform)}}}}})
}

func (s *Server) title(name string) string {
	i := slices.IndexFunc(s.platforms, func(p attached) bool { return p.name == name })
	return s.platforms[i].Title // a live post always has one
}

func renderFeed(w http.ResponseWriter, page feedPage) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_ = feedTemplate.Execute(w, page) // a failure here is the browser gone
}

// getFile serves the bytes of a live post, with Range support so that a browser can seek in a video.
func (s *Server) getFile(w http.ResponseWriter, r *http.Request) {
	b, ok := s.live.file(r.PathValue("id"))
	if !ok {
		http.NotFound(w, r)
		return
	}
	f, ok := b.open()
	if !ok {
		http.NotFound(w, r)
		return
	}
	defer f.Close()
	w.Header().Set("Content-Type", b.ContentType())
	w.Header().Set("X-Content-Type-Options", "nosniff")
	http.ServeContent(w, r, "", time.Time{}, f)
}

const avatar = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64"><rect width="64" height="64" fill="#5b6b8c"/>` +
	`<circle cx="32" cy="25" r="11" fill="#fff"/><path d="M10 60a22 20 0 0 1 44 0z" fill="#fff"/></svg>`

func getAvatar(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "image/svg+xml")
	_, _ = w.Write([]byte(avatar))
}
