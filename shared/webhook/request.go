package webhook

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"chatconf/shared/command"
	"chatconf/shared/platform/callback"
)

// MaxBody is the maximum size of a callback's body, in bytes.
const MaxBody = 1 << 20

// parsePath parses the path of a webhook's URL from its end, since a gateway may put a prefix
// before /webhook/ and a configuration may be named webhook.
func parsePath(path string) (ref command.Ref, token string, ok bool) {
	var parts [4]string
	for i := len(parts) - 1; i >= 0; i-- {
		slash := strings.LastIndexByte(path, '/')
		if slash < 0 || slash == len(path)-1 {
			return command.Ref{}, "", false
		}
		path, parts[i] = path[:slash], path[slash+1:]
	}
	if !strings.HasSuffix(path, "/webhook") {
		return command.Ref{}, "", false
	}
	return command.Ref{Account: parts[0], Region: parts[1], Name: parts[2]}, parts[3], true
}

// IsPath reports whether path belongs to a webhook's URL.
func IsPath(path string) bool {
	_, _, ok := parsePath(path)
	return ok
}

// Limits of a callback except its body, checked before parsing, since an unauthenticated client may
// have sent it. A platform sends at most four parameters and about ten headers; gateways add some.
const (
	maxParams  = 64
	maxQuery   = 16 << 10 // bytes
	maxHeaders = 128
)

func countHeaders(h http.Header) (n int) {
	for _, values := range h {
		n += len(values)
	}
	return n
}

// read reads a callback with its body. flaw says why it cannot be genuine; it is reported only
// after the URL is verified.
func read(r *http.Request, now func() time.Time) (in *callback.Request, flaw error) {
	if n := countHeaders(r.Header); n > maxHeaders {
		return nil, callback.Refuse(callback.StepRequest,
			"there are %d headers, and no platform sends more than %d", n, maxHeaders)
	}
	if n := strings.Count(r.URL.RawQuery, "&"); n >= maxParams || len(r.URL.RawQuery) > maxQuery {
		return nil, callback.Refuse(callback.StepRequest,
			"the query has more than %d parameters or %d bytes, which no platform sends", maxParams, maxQuery)
	}
	body, err := readBody(r)
	if err != nil {
		return nil, err
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, callback.Refuse(callback.StepRequest, "the query cannot be parsed") // err would quote it
	}
	for name, values := range query {
		if len(values) > 1 {
			return nil, callback.Refuse(callback.StepRequest,
				"the parameter %.40q is given %d times", name, len(values))
		}
	}
	return &callback.Request{Method: r.Method, Query: query, Header: r.Header, Body: body, Now: now()}, nil
}

func readBody(r *http.Request) ([]byte, error) {
	for _, encoding := range r.Header.Values("Content-Encoding") {
		if encoding != "" && !strings.EqualFold(encoding, "identity") {
			return nil, callback.Refuse(callback.StepRequest,
				"the body is encoded as %.40q: no platform does that, so a gateway changed what was signed", encoding)
		}
	}
	if r.Body == nil {
		return nil, nil
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, MaxBody+1))
	switch {
	case err != nil:
		return nil, callback.Refuse(callback.StepRequest,
			"the body ends after %d bytes, before its declared length", len(body))
	case len(body) > MaxBody:
		return nil, callback.Refuse(callback.StepRequest, "the body has more than %d bytes", MaxBody)
	}
	return body, nil
}

// maxReceivers is the maximum number of receivers in the cache; beyond it, any may be dropped.
const maxReceivers = 1000

// receivers is a cache of receivers by configuration.
type receivers struct {
	make map[string]func(callback.Settings) (callback.Receiver, error)

	mu   sync.Mutex
	made map[command.Ref]madeReceiver
}

type madeReceiver struct {
	of *command.Endpoint // the same pointer until the configuration changes
	callback.Receiver
}

// of returns the receiver of a configuration.
func (r *receivers) of(e *command.Endpoint) (callback.Receiver, error) {
	r.mu.Lock()
	known := r.made[e.Ref()]
	r.mu.Unlock()
	if known.of == e {
		return known.Receiver, nil
	}
	constructor, ok := r.make[e.Type]
	if !ok {
		return nil, fmt.Errorf("the type %s has no receiver", e.Type)
	}
	made, err := constructor(callback.Settings(e.Settings))
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.made == nil {
		r.made = make(map[command.Ref]madeReceiver)
	}
	if _, ok := r.made[e.Ref()]; !ok && len(r.made) >= maxReceivers {
		for other := range r.made {
			delete(r.made, other)
			break
		}
	}
	r.made[e.Ref()] = madeReceiver{e, made}
	return made, nil
}
