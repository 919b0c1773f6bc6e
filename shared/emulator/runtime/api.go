package runtime

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
)

// The part of the extensions API that runtimes use: aws-lambda-go registers an extension in order
// to receive SIGTERM. https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html
const extensionBase = "/2020-01-01/extension/"

// maxHead limits the head of a request. aws-lambda-go sends errors of up to 1 MiB in one header.
const maxHead = 2 << 20

func (in *instance) server() *http.Server {
	return &http.Server{
		Handler: http.HandlerFunc(in.serve), MaxHeaderBytes: maxHead,
		ErrorLog: slog.NewLogLogger(in.pool.host.o.Logger.Handler(), slog.LevelError),
	}
}

// An admitting listener closes the connections of other processes.
type admitting struct {
	net.Listener
	admit func(net.Conn) bool
}

// Accept waits for a connection of the process.
func (l admitting) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil || l.admit(conn) {
			return conn, err
		}
		conn.Close()
	}
}

func (in *instance) serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if path, ok := strings.CutPrefix(r.URL.Path, in.pool.cloud.base); ok {
		id, verb, _ := strings.Cut(strings.TrimPrefix(path, "invocation/"), "/")
		switch {
		case path == "invocation/next" && r.Method == http.MethodGet:
			in.next(w, r)
			return
		case path == "init/error" && r.Method == http.MethodPost:
			in.initFailed(w, r)
			return
		case strings.HasPrefix(path, "invocation/") && r.Method == http.MethodPost &&
			(verb == "response" || verb == "error"):
			in.answered(w, r, id, verb)
			return
		}
	}
	if path, ok := strings.CutPrefix(r.URL.Path, extensionBase); ok && in.pool.fn.Kind == Lambda {
		switch {
		case path == "register" && r.Method == http.MethodPost:
			in.register(w, r)
			return
		case path == "event/next" && r.Method == http.MethodGet:
			in.nextEvent(w, r)
			return
		}
	}
	refuse(w, http.StatusNotFound, "InvalidPath", "the runtime API has no such path")
}

// refuse answers an invalid call of the API.
func refuse(w http.ResponseWriter, status int, kind, message string) {
	w.WriteHeader(status)
	w.Write(errorDocument{Type: kind, Message: message}.outcome(Returned).payload)
}

// accept answers a valid call of the API.
func (in *instance) accept(w http.ResponseWriter) {
	w.WriteHeader(in.pool.cloud.posted)
	io.WriteString(w, `{"status":"OK"}`+"\n")
}

// next waits for an invocation and returns it. If the connection dies meanwhile, or while it is
// written, the invocation goes to another.
func (in *instance) next(w http.ResponseWriter, r *http.Request) {
	c := in.poll(r.Context())
	if c == nil || !in.deliver(c) {
		panic(http.ErrAbortHandler) // closes the connection
	}
	in.pool.cloud.headers(in, c, w.Header())
	_, err := w.Write(c.payload)
	if errors.Join(err, http.NewResponseController(w).Flush()) != nil {
		in.takeBack(c) // the message was not complete, so the process cannot have read it
	}
}

// answered accepts the answer or the error of an invocation, also after its deadline.
func (in *instance) answered(w http.ResponseWriter, r *http.Request, id, verb string) {
	body, err := readBody(r, in.pool.fn.MaxBody)
	c := in.taken(id)
	if c == nil {
		in.unknown(w)
		return
	}
	o := outcome{payload: body, contentType: r.Header.Get("Content-Type"), httpParams: r.Header.Get("X-Fc-Http-Params")}
	broken := r.Trailer.Get("Lambda-Runtime-Function-Error-Type")
	switch {
	case errors.Is(err, errTooLong):
		size := max(r.ContentLength, int64(len(body)))
		in.complete(c, in.pool.cloud.oversize(in, size).outcome(BodyTooLong))
		refuse(w, http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", "the answer is too large")
		return
	case isCut(err):
		panic(http.ErrAbortHandler) // the process has probably ended, which fails the invocation
	case err != nil: // such as trailers over net/http's limit of 4 KB
		o = brokenStream("", "")
	case verb == "error":
		o.failure = Returned
		in.pool.learn(c, body)
	case broken != "":
		o = brokenStream(broken, r.Trailer.Get("Lambda-Runtime-Function-Error-Body"))
	}
	if !in.complete(c, o) {
		in.unknown(w)
		return
	}
	in.accept(w)
}

// isCut reports whether reading a body failed because the connection ended.
func isCut(err error) bool {
	var network net.Error
	return errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &network)
}

func (in *instance) unknown(w http.ResponseWriter) {
	refuse(w, in.pool.cloud.unknown, "InvalidRequestID", "Invalid request ID")
}

// brokenStream returns the outcome of an answer that failed after its beginning. The trailers
// contain the error.
func brokenStream(kind, body string) outcome {
	document, err := base64.StdEncoding.DecodeString(body)
	if err != nil || len(document) == 0 {
		return errorDocument{Type: kind, Message: "the function's response ended before it was complete"}.outcome(
			Returned)
	}
	return outcome{payload: document, contentType: "application/json", failure: Returned}
}

// initFailed accepts the error of a process that cannot start. The invocation fails with this
// error.
func (in *instance) initFailed(w http.ResponseWriter, r *http.Request) {
	body, err := readBody(r, in.pool.fn.MaxBody)
	if err != nil {
		refuse(w, http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", "the error is too large or incomplete")
		return
	}
	p := in.pool
	p.mu.Lock()
	defer p.unlock()
	if in.ready {
		refuse(w, http.StatusForbidden, "InvalidStateTransition", "the process is already initialized")
		return
	}
	in.initError = &outcome{payload: body, contentType: "application/json", failure: InitFailed}
	go in.proc.kill() // after the reply, or instead of it: the process ends in both cases
	in.accept(w)
}

// register registers an extension. An extension inside the process cannot subscribe to the shutdown
// event, and the invoke event is not emulated. So no events are sent; the only effect is that the
// process receives SIGTERM.
func (in *instance) register(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Lambda-Extension-Name") == "" {
		refuse(w, http.StatusForbidden, "Extension.InvalidExtensionName", "the extension has no name")
		return
	}
	in.pool.mu.Lock()
	in.registered = true
	in.pool.unlock()
	w.Header().Set("Lambda-Extension-Identifier", in.id)
	json.NewEncoder(w).Encode(map[string]string{
		"functionName": in.pool.fn.Name, "functionVersion": "$LATEST", "handler": in.pool.fn.Handler,
	})
}

// nextEvent waits for an event without a time limit.
func (in *instance) nextEvent(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Lambda-Extension-Identifier") != in.id {
		refuse(w, http.StatusForbidden, "Extension.UnknownExtensionIdentifier", "the extension is not registered")
		return
	}
	<-r.Context().Done()
}
