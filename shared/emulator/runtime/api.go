package runtime

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
)

// The part of the extensions API that runtimes use: aws-lambda-go registers an extension in order
// to receive SIGTERM. https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html
const extensionBase = "/2020-01-01/extension/"

// serve handles the runtime API of one process.
func (in *instance) serve(m *message) reply {
	if path, ok := strings.CutPrefix(m.path, in.pool.cloud.base); ok {
		id, verb, _ := strings.Cut(strings.TrimPrefix(path, "invocation/"), "/")
		switch {
		case path == "invocation/next" && m.method == http.MethodGet:
			return in.next(m)
		case path == "init/error" && m.method == http.MethodPost:
			return in.initFailed(m)
		case strings.HasPrefix(path, "invocation/") && m.method == http.MethodPost &&
			(verb == "response" || verb == "error"):
			return in.answered(m, id, verb)
		}
	}
	if path, ok := strings.CutPrefix(m.path, extensionBase); ok && in.pool.fn.Kind == Lambda {
		switch {
		case path == "register" && m.method == http.MethodPost:
			return in.register(m)
		case path == "event/next" && m.method == http.MethodGet:
			return in.nextEvent(m)
		}
	}
	return refuse(http.StatusNotFound, "InvalidPath", "the runtime API has no such path")
}

// refuse answers an invalid call of the API.
func refuse(status int, kind, message string) reply {
	return reply{status: status, body: errorDocument{Type: kind, Message: message}.outcome(Returned).payload}
}

var taken = []byte(`{"status":"OK"}` + "\n")

// accept answers a valid call of the API.
func (in *instance) accept() reply { return reply{status: in.pool.cloud.posted, body: taken} }

// next waits for an invocation and returns it. If the connection died meanwhile, the invocation
// goes to another.
func (in *instance) next(m *message) reply {
	in.polled()
	select {
	case c := <-in.work:
		in.heard()
		if !m.isAlive() {
			in.takeBack(c)
			return reply{silent: true}
		}
		if !in.deliver(c) {
			return reply{silent: true}
		}
		return reply{
			status: http.StatusOK, body: c.payload,
			header: func(b []byte) []byte { return in.pool.cloud.headers(in, c, b) },
			failed: func() { in.takeBack(c) }, // the message was not complete, so the process cannot have read it
		}
	case <-in.halt:
		return reply{silent: true}
	}
}

// answered accepts the answer or the error of an invocation, also after its deadline.
func (in *instance) answered(m *message, id, verb string) reply {
	c := in.taken(id)
	if c == nil {
		return in.unknown()
	}
	o := outcome{payload: m.body, contentType: m.contentType, httpParams: m.httpParams}
	switch {
	case m.tooLong:
		in.complete(c, in.pool.cloud.oversize(in, m.length).outcome(BodyTooLong))
		return refuse(http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", "the answer is too large")
	case verb == "error":
		o.failure = Returned
		in.pool.learn(c, m.body)
	case m.brokenType != "":
		o = brokenStream(m.brokenType, m.brokenBody)
	}
	if !in.complete(c, o) {
		return in.unknown()
	}
	return in.accept()
}

func (in *instance) unknown() reply {
	return refuse(in.pool.cloud.unknown, "InvalidRequestID", "Invalid request ID")
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
func (in *instance) initFailed(m *message) reply {
	if m.tooLong {
		return refuse(http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", "the error is too large")
	}
	p := in.pool
	p.mu.Lock()
	defer p.unlock()
	if in.ready {
		return refuse(http.StatusForbidden, "InvalidStateTransition", "the process is already initialized")
	}
	in.initError = &outcome{payload: m.body, contentType: "application/json", failure: InitFailed}
	go in.proc.kill() // after the reply, or instead of it: the process ends in both cases
	return in.accept()
}

// register registers an extension. An extension inside the process cannot subscribe to the shutdown
// event, and the invoke event is not emulated. So no events are sent; the only effect is that the
// process receives SIGTERM.
func (in *instance) register(m *message) reply {
	if m.extensionName == "" {
		return refuse(http.StatusForbidden, "Extension.InvalidExtensionName", "the extension has no name")
	}
	in.pool.mu.Lock()
	in.registered = true
	in.pool.unlock()
	text, _ := json.Marshal(map[string]string{
		"functionName": in.pool.fn.Name, "functionVersion": "$LATEST", "handler": in.pool.fn.Handler,
	})
	return reply{status: http.StatusOK, body: text, header: func(b []byte) []byte {
		return appendHeader(b, "Lambda-Extension-Identifier", in.id)
	}}
}

// nextEvent waits for an event without a time limit.
func (in *instance) nextEvent(m *message) reply {
	if m.extensionID != in.id {
		return refuse(http.StatusForbidden, "Extension.UnknownExtensionIdentifier", "the extension is not registered")
	}
	<-in.halt
	return reply{silent: true}
}
