package engine

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	maxRequestBody = 1 << 20   // JSON and form bodies
	maxDrain       = 256 << 20 // what is read of a refused upload, so that its client gets to see the answer
)

// Exchange is one call on a simulated platform. The platform fills in Op, Account and LogID before Host.Perform.
type Exchange struct {
	Request *http.Request
	Op      string // one of the platform's Ops, or a name that no fault can have
	Account string // whom the call is about, as far as it can be told before the checks
	Base    string // scheme and host the client used
	LogID   string // the platform's id of the call
	Now     time.Time
}

// Reply is a complete answer. It is a value, so that a fault can drop, cut or replace it after the call took effect.
type Reply struct {
	Status int
	Header http.Header
	Body   []byte
	Code   string // for the call log
}

// Face renders what a platform's answers have in common, so that faults look like the platform's own answers.
type Face interface {
	// Refuse renders a scripted error in the platform's own shape.
	Refuse(x *Exchange, f Fault) Reply
	// Finish adds the headers that every answer of the platform carries.
	Finish(x *Exchange, rep *Reply)
}

// ClientText is an error whose text is sent to the platform's client word for word.
type ClientText string

func (t ClientText) Error() string { return string(t) }

// JSONReply returns an answer with v encoded as JSON.
func JSONReply(status int, v any) Reply {
	body, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("sandbox: marshal answer: %v", err)) // only our own types get here
	}
	return Reply{Status: status, Header: http.Header{"Content-Type": {"application/json; charset=UTF-8"}}, Body: body}
}

// TextReply returns an answer with a text body.
func TextReply(status int, contentType, body string) Reply {
	return Reply{Status: status, Header: http.Header{"Content-Type": {contentType}}, Body: []byte(body)}
}

// perform runs one call through the fault script. serve makes the effect and returns the answer without the fault.
func (s *Server) perform(w http.ResponseWriter, x *Exchange, p Face, serve func(*Exchange) Reply) {
	f, scripted := s.faults.take(x.Op, x.Account)
	if !scripted {
		s.answer(w, x, p, serve(x), "")
		return
	}
	switch f.Mode {
	case ModeSlow:
		s.slow(w, x, p, f, serve)
		return
	case ModePartial:
		x.Request.Body = &brokenBody{Reader: io.LimitReader(x.Request.Body, f.Bytes), Closer: x.Request.Body}
		serve(x)
		s.cut(w, x, f.Mode)
		return
	}
	var honest Reply
	if f.After || f.Mode == ModeTruncate {
		honest = serve(x)
	}
	switch f.Mode {
	case ModeReset:
		s.cut(w, x, f.Mode)
	case ModeHang:
		s.hang(x.Request)
		s.cut(w, x, f.Mode)
	case ModeTruncate:
		s.truncate(w, x, p, honest)
	case ModeStatus:
		s.answer(w, x, p, gatewayReply(f), f.Mode)
	default:
		s.answer(w, x, p, p.Refuse(x, f), f.Mode)
	}
}

// answer sends a reply and logs the call.
func (s *Server) answer(w http.ResponseWriter, x *Exchange, p Face, rep Reply, fault Mode) {
	p.Finish(x, &rep)
	s.record(x, rep.Status, rep.Code, fault)
	_, _ = io.Copy(io.Discard, io.LimitReader(x.Request.Body, maxDrain))
	writeHead(w, rep)
	_, _ = w.Write(rep.Body)
}

func writeHead(w http.ResponseWriter, rep Reply) {
	for k, v := range rep.Header {
		w.Header()[k] = v
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(rep.Body)))
	w.WriteHeader(rep.Status)
}

func (s *Server) record(x *Exchange, status int, code string, fault Mode) {
	s.calls.add(Call{At: x.Now, Op: x.Op, Account: x.Account, Method: x.Request.Method, Path: x.Request.URL.Path,
		Status: status, Code: code, LogID: x.LogID, Fault: fault})
}

func (s *Server) slow(w http.ResponseWriter, x *Exchange, p Face, f Fault, serve func(*Exchange) Reply) {
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

// sleep waits in real time. It returns false if the sandbox is closed meanwhile.
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

// hang blocks until the client disconnects or the sandbox is closed. The body is read first: net/http detects a
// disconnect only then.
func (s *Server) hang(r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	select {
	case <-r.Context().Done():
	case <-s.ctx.Done():
	}
}

// cut closes the connection without an answer, with a TCP reset where possible.
func (s *Server) cut(w http.ResponseWriter, x *Exchange, fault Mode) {
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
func (s *Server) truncate(w http.ResponseWriter, x *Exchange, p Face, rep Reply) {
	p.Finish(x, &rep)
	s.record(x, rep.Status, rep.Code, ModeTruncate)
	writeHead(w, rep)
	_, _ = w.Write(rep.Body[:len(rep.Body)/2])
	_ = http.NewResponseController(w).Flush() // otherwise the half would stay in the server's buffer
	panic(http.ErrAbortHandler)
}

func gatewayReply(f Fault) Reply {
	status := f.Status
	if status == 0 {
		status = http.StatusServiceUnavailable
	}
	if f.Body != "" {
		return TextReply(status, http.DetectContentType([]byte(f.Body)), f.Body)
	}
	text := http.StatusText(status)
	return TextReply(status, "text/html", fmt.Sprintf("<html><head><title>%d %s</title></head><body><h1>%s</h1></body></html>\n", status, text, text))
}

// ReadBody reads a JSON or form body, up to 1 MiB.
func ReadBody(r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxRequestBody+1))
	if err == nil && len(body) > maxRequestBody {
		err = ClientText("The request body is too large")
	}
	return body, err
}

// Bearer returns the token of the Authorization header, or "".
func Bearer(r *http.Request) string {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return ""
	}
	return token
}

// PeekBody reads the body and puts it back. It serves calls whose operation depends on their parameters.
func PeekBody(r *http.Request) []byte {
	body, _ := io.ReadAll(io.LimitReader(r.Body, maxRequestBody)) // an error is met again by who reads the rest
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(body), r.Body), r.Body}
	return body
}

// brokenBody returns an error where the client's connection is to break.
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
