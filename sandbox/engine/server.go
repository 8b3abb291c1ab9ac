package engine

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// Server runs simulated platforms: it holds their clock, faults, call log, live posts and webhooks.
type Server struct {
	opts      Options
	clock     *clock
	ids       *idSource
	faults    faultScript
	calls     callLog
	live      liveSet
	fetcher   *fetcher
	platforms []attached
	ops       opTable
	webhooks  *webhooks
	handler   http.Handler

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

// attached is a platform of a Server.
type attached struct {
	Description
	name string
}

// New creates a Server with the given platforms; the feed has a column for each, in this order. It listens only after
// Start; Handler serves without a listener. Close it in either case. New panics if two platforms share a name, route or
// operation.
func New(opts Options, platforms ...Platform) *Server {
	opts = opts.withDefaults()
	s := &Server{opts: opts, clock: &clock{base: opts.Now}, ids: newIDSource(), baseURL: strings.TrimRight(opts.BaseURL, "/")}
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.calls.counts = map[string]int{}
	s.live.files = map[string]*Blob{}
	s.fetcher = newFetcher(opts)
	for _, p := range platforms {
		s.attach(p)
	}
	s.webhooks = newWebhooks(s)
	s.prepareDataDir()
	s.handler = s.routes()
	s.webhooks.run()
	return s
}

func (s *Server) attach(p Platform) {
	name := p.Name()
	if slices.ContainsFunc(s.platforms, func(other attached) bool { return other.name == name }) {
		panic(fmt.Sprintf("sandbox: there are two platforms %q", name))
	}
	d := p.Attach(&Host{s: s, name: name})
	s.platforms = append(s.platforms, attached{d, name})
	for _, op := range d.Ops {
		s.ops.add(op)
	}
	if d.Webhooks != nil {
		s.ops.add(Op{Name: d.Webhooks.Op, Modes: slices.Concat(WebhookModes, d.Webhooks.Modes)})
	}
}

// settle lets every platform complete what is due at the current virtual time.
func (s *Server) settle() {
	for _, p := range s.platforms {
		if p.Settle != nil {
			p.Settle()
		}
	}
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

// Options returns the options in effect, with defaults filled in.
func (s *Server) Options() Options { return s.opts }

// Handler returns the handler for everything the sandbox serves, for a caller with its own listener.
func (s *Server) Handler() http.Handler { return s.handler }

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	for _, p := range s.platforms {
		for pattern, h := range p.Routes {
			mux.Handle(pattern, h)
		}
	}
	s.routeControl(mux)
	s.routeFeed(mux)
	return s.guardControl(mux)
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

// tracked registers requests, so that Close can wait for those it interrupts.
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

// begin registers work that Close waits for. It returns false once Close has begun.
func (s *Server) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.work.Add(1)
	return true
}

// Close stops listening, closes open connections, stops fetches and webhooks, waits for all of them, and removes the
// temporary data directory. It may be called twice.
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

// URL returns the address of the sandbox without a trailing slash. It is empty before Start unless Options.BaseURL is
// set.
func (s *Server) URL() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.baseURL
}

// newExchange starts the record of a call. If the address is not known, links use the host that the client used.
func (s *Server) newExchange(r *http.Request) *Exchange {
	x := &Exchange{Request: r, Now: s.Now(), Base: s.URL()}
	if x.Base == "" {
		x.Base = "http://" + r.Host
	}
	return x
}
