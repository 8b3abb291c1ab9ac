package sandbox

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

// Server is the simulated outside world: both platforms, their clock, their faults and what went live.
type Server struct {
	opts    Options
	clock   *clock
	ids     *idSource
	faults  faultScript
	calls   callLog
	live    liveSet
	fetcher *fetcher
	handler http.Handler

	tiktok    *tiktok
	instagram *instagram
	webhooks  *webhooks

	ctx  context.Context // ends with Close; media fetches, webhooks and hanging answers live under it
	stop context.CancelFunc
	work sync.WaitGroup // fetches, webhooks, and the requests of the server that Start runs

	dataDir    string
	dataDirErr error // reported by Start and by every upload
	ownDataDir bool

	mu      sync.Mutex
	baseURL string
	http    *http.Server
	served  chan struct{}
	closed  bool
}

// New builds a Server. It listens only after Start; Handler serves without. Close it in either case.
func New(opts Options) *Server {
	opts = opts.withDefaults()
	s := &Server{opts: opts, clock: &clock{base: opts.Now}, ids: newIDSource(), baseURL: strings.TrimRight(opts.BaseURL, "/")}
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.calls.counts = map[string]int{}
	s.live.files = map[string]*blob{}
	s.fetcher = newFetcher(opts)
	s.tiktok = newTikTok(s)
	s.instagram = newInstagram(s)
	s.webhooks = newWebhooks(s)
	s.prepareDataDir()
	s.handler = s.routes()
	s.webhooks.run()
	return s
}

func (s *Server) prepareDataDir() {
	switch {
	case s.opts.DiscardBytes:
	case s.opts.DataDir != "":
		s.dataDir = s.opts.DataDir
		s.dataDirErr = os.MkdirAll(s.dataDir, 0o700)
	default:
		s.dataDir, s.dataDirErr = os.MkdirTemp("", "socialqueue-sandbox-")
		s.ownDataDir = s.dataDirErr == nil
	}
}

// Options are the options in effect, defaults filled in: a client takes its app credentials from here.
func (s *Server) Options() Options { return s.opts }

// Handler serves everything under one host, for a caller with a listener of its own.
func (s *Server) Handler() http.Handler { return s.handler }

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/tiktok/", http.StripPrefix("/tiktok", http.HandlerFunc(s.tiktok.serveAPI)))
	mux.Handle("/tiktok-auth/", http.StripPrefix("/tiktok-auth", http.HandlerFunc(s.tiktok.serveAuth)))
	mux.HandleFunc("/tiktok-upload/", s.tiktok.serveUpload)
	mux.Handle("/facebook/", http.StripPrefix("/facebook", http.HandlerFunc(s.instagram.serveDialog)))
	mux.Handle("/graph/", http.StripPrefix("/graph", http.HandlerFunc(s.instagram.serveGraph)))
	mux.Handle("/rupload/", http.StripPrefix("/rupload", http.HandlerFunc(s.instagram.serveUpload)))
	s.routeControl(mux)
	s.routeFeed(mux)
	return mux
}

// Start listens on addr ("127.0.0.1:0" picks a port) and serves until Close.
func (s *Server) Start(addr string) error {
	if s.dataDirErr != nil {
		return fmt.Errorf("sandbox data directory: %w", s.dataDirErr)
	}
	ln, err := new(net.ListenConfig).Listen(s.ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.http != nil || s.closed {
		ln.Close()
		return errors.New("sandbox: already started or closed")
	}
	if s.baseURL == "" {
		s.baseURL = "http://" + ln.Addr().String()
	}
	s.http = &http.Server{Handler: s.tracked(s.handler), ReadHeaderTimeout: 10 * time.Second}
	s.served = make(chan struct{})
	go func(srv *http.Server, done chan struct{}) {
		defer close(done)
		_ = srv.Serve(ln) // ends with ErrServerClosed
	}(s.http, s.served)
	return nil
}

// tracked lets Close wait for the requests it interrupts.
func (s *Server) tracked(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.begin() {
			abort(w)
			return
		}
		defer s.work.Done()
		h.ServeHTTP(w, r)
	})
}

// begin registers work that Close has to wait for; false once Close has begun.
func (s *Server) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.work.Add(1)
	return true
}

// Close stops listening, cuts open connections, ends hanging answers, fetches and webhooks, waits for all of them, and
// removes the temporary data directory. It may be called twice.
func (s *Server) Close() error {
	s.mu.Lock()
	first := !s.closed
	s.closed = true
	srv, served := s.http, s.served
	s.mu.Unlock()
	s.stop()
	var err error
	if srv != nil {
		err = srv.Close()
		<-served
	}
	s.work.Wait()
	s.fetcher.close()
	if first && s.ownDataDir {
		err = errors.Join(err, os.RemoveAll(s.dataDir))
	}
	return err
}

// URL is where clients reach the sandbox, without a trailing slash; empty before Start unless Options.BaseURL says.
func (s *Server) URL() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.baseURL
}

// TikTokURL is the base of the simulated open.tiktokapis.com.
func (s *Server) TikTokURL() string { return s.URL() + "/tiktok" }

// TikTokAuthURL is the base of the simulated www.tiktok.com, where users consent.
func (s *Server) TikTokAuthURL() string { return s.URL() + "/tiktok-auth" }

// FacebookDialogURL is the base of the simulated www.facebook.com, where users consent.
func (s *Server) FacebookDialogURL() string { return s.URL() + "/facebook" }

// GraphURL is the base of the simulated graph.facebook.com.
func (s *Server) GraphURL() string { return s.URL() + "/graph" }

// RuploadURL is the base of the simulated rupload.facebook.com.
func (s *Server) RuploadURL() string { return s.URL() + "/rupload" }

// newExchange starts the record of a call. Without a known address, links are built from the host the client used.
func (s *Server) newExchange(r *http.Request) *exchange {
	x := &exchange{r: r, now: s.clock.now(), base: s.URL()}
	if x.base == "" {
		x.base = "http://" + r.Host
	}
	return x
}
