package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/sirupsen/logrus"
)

const (
	opsTimeout   = 5 * time.Second
	readyTimeout = 3 * time.Second
)

// opsServer serves liveness, readiness and metrics of a process without an API.
type opsServer struct {
	listenOn string
	log      logrus.FieldLogger
	server   *http.Server
	listener net.Listener
}

func newOpsServer(addr string, log logrus.FieldLogger, metrics http.Handler, alive func() bool, ready func(context.Context) error) *opsServer {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics)
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		if !alive() {
			answer(w, http.StatusServiceUnavailable, "down", errors.New("a loop of this process has stalled"))
			return
		}
		answer(w, http.StatusOK, "ok", nil)
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
		defer cancel()
		if err := ready(ctx); err != nil {
			log.WithError(err).Warn("not ready")
			answer(w, http.StatusServiceUnavailable, "down", err)
			return
		}
		answer(w, http.StatusOK, "ok", nil)
	})
	return &opsServer{listenOn: addr, log: log, server: &http.Server{
		Handler: mux, ReadTimeout: opsTimeout, WriteTimeout: opsTimeout, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
	}}
}

func answer(w http.ResponseWriter, code int, status string, err error) {
	body := map[string]string{"status": status}
	if err != nil {
		body["error"] = err.Error()
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body) // fails only if the client is gone
}

func (o *opsServer) start(ctx context.Context, l *lifecycle) error {
	var listen net.ListenConfig
	listener, err := listen.Listen(ctx, "tcp", o.listenOn)
	if err != nil {
		return fmt.Errorf("listen on OPS_ADDR: %w", err)
	}
	o.listener = listener
	serve(o.server, listener, o.log)
	l.onStop("operators' server", o.server.Shutdown)
	return nil
}

func (o *opsServer) addr() string { return o.listener.Addr().String() }

// serve serves until the server is shut down.
func serve(server *http.Server, listener net.Listener, log logrus.FieldLogger) {
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.WithError(err).Error("the HTTP server ended")
		}
	}()
}
