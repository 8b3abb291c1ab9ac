package sandbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

const (
	maxRequestBody = 1 << 20   // JSON and form bodies
	maxDrain       = 256 << 20 // what is read of a refused upload, so that its client gets to see the answer
)

// exchange is one call on a simulated platform.
type exchange struct {
	r       *http.Request
	op      string
	account string // whom the call is about, as far as it can be told before the checks
	base    string // scheme and host the client used
	logID   string
	now     time.Time
}

// reply is a complete answer, kept as a value so that a fault can lose, cut or replace it after the effect.
type reply struct {
	status int
	header http.Header
	body   []byte
	code   string // for the call log
}

// face is the side of a platform the fault machinery needs.
type face interface {
	// refuse renders a scripted error in the platform's own shape.
	refuse(x *exchange, f Fault) reply
	// finish adds the headers that every answer of the platform carries.
	finish(x *exchange, rep *reply)
}

// apiText is an error whose text goes to the platform's client word for word.
type apiText string

func (t apiText) Error() string { return string(t) }

func jsonReply(status int, v any) reply {
	body, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("sandbox: marshal answer: %v", err)) // only our own types get here
	}
	return reply{status: status, header: http.Header{"Content-Type": {"application/json; charset=UTF-8"}}, body: body}
}

func textReply(status int, contentType, body string) reply {
	return reply{status: status, header: http.Header{"Content-Type": {contentType}}, body: []byte(body)}
}

// perform runs one call through the fault script. serve makes the effect and returns the honest answer.
func (s *Server) perform(w http.ResponseWriter, x *exchange, p face, serve func(*exchange) reply) {
	f, scripted := s.faults.take(x.op, x.account)
	if !scripted {
		s.answer(w, x, p, serve(x), "")
		return
	}
	switch f.Mode {
	case ModeSlow:
		s.slow(w, x, p, f, serve)
		return
	case ModePartial:
		x.r.Body = &brokenBody{Reader: io.LimitReader(x.r.Body, f.Bytes), Closer: x.r.Body}
		serve(x)
		s.cut(w, x, f.Mode)
		return
	}
	var honest reply
	if f.After || f.Mode == ModeTruncate {
		honest = serve(x)
	}
	switch f.Mode {
	case ModeReset:
		s.cut(w, x, f.Mode)
	case ModeHang:
		s.hang(x.r)
		s.cut(w, x, f.Mode)
	case ModeTruncate:
		s.truncate(w, x, p, honest)
	case ModeStatus:
		s.answer(w, x, p, gatewayReply(f), f.Mode)
	default:
		s.answer(w, x, p, p.refuse(x, f), f.Mode)
	}
}

// answer sends a reply and logs the call.
func (s *Server) answer(w http.ResponseWriter, x *exchange, p face, rep reply, fault Mode) {
	p.finish(x, &rep)
	s.record(x, rep.status, rep.code, fault)
	_, _ = io.Copy(io.Discard, io.LimitReader(x.r.Body, maxDrain))
	writeHead(w, rep)
	_, _ = w.Write(rep.body)
}

func writeHead(w http.ResponseWriter, rep reply) {
	for k, v := range rep.header {
		w.Header()[k] = v
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(rep.body)))
	w.WriteHeader(rep.status)
}

func (s *Server) record(x *exchange, status int, code string, fault Mode) {
	s.calls.add(Call{At: x.now, Op: x.op, Account: x.account, Method: x.r.Method, Path: x.r.URL.Path,
		Status: status, Code: code, LogID: x.logID, Fault: fault})
}

func (s *Server) slow(w http.ResponseWriter, x *exchange, p face, f Fault, serve func(*exchange) reply) {
	if !f.After && !s.sleep(f.Delay) {
		s.cut(w, x, f.Mode)
		return
	}
	rep := serve(x)
	if f.After && !s.sleep(f.Delay) {
		s.cut(w, x, f.Mode)
		return
	}
	s.answer(w, x, p, rep, f.Mode)
}

// sleep waits in real time; false when the sandbox closed meanwhile.
func (s *Server) sleep(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-s.ctx.Done():
		return false
	}
}

// hang keeps the client waiting. The body is read first: only then does net/http notice a client that leaves.
func (s *Server) hang(r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	select {
	case <-r.Context().Done():
	case <-s.ctx.Done():
	}
}

// cut ends the connection without an answer, by a TCP reset where the connection can be had.
func (s *Server) cut(w http.ResponseWriter, x *exchange, fault Mode) {
	s.record(x, 0, "", fault)
	abort(w)
}

func abort(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	conn.Close()
}

// truncate announces the whole body and sends half of it.
func (s *Server) truncate(w http.ResponseWriter, x *exchange, p face, rep reply) {
	p.finish(x, &rep)
	s.record(x, rep.status, rep.code, ModeTruncate)
	writeHead(w, rep)
	_, _ = w.Write(rep.body[:len(rep.body)/2])
	_ = http.NewResponseController(w).Flush() // otherwise the half would stay in the server's buffer
	panic(http.ErrAbortHandler)
}

func gatewayReply(f Fault) reply {
	status := f.Status
	if status == 0 {
		status = http.StatusServiceUnavailable
	}
	if f.Body != "" {
		return textReply(status, http.DetectContentType([]byte(f.Body)), f.Body)
	}
	text := http.StatusText(status)
	return textReply(status, "text/html", fmt.Sprintf("<html><head><title>%d %s</title></head><body><h1>%s</h1></body></html>\n", status, text, text))
}

// peekBody reads the body ahead, for a call that only its parameters can name, and puts it back.
func peekBody(r *http.Request) []byte {
	body, _ := io.ReadAll(io.LimitReader(r.Body, maxRequestBody)) // an error is met again by who reads the rest
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(body), r.Body), r.Body}
	return body
}

// brokenBody fails where the client's connection is to break off.
type brokenBody struct {
	io.Reader
	io.Closer
}

var errBroken = errors.New("scripted break of the request body")

func (b *brokenBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err == io.EOF {
		err = errBroken
	}
	return n, err
}
