package localcloud

import (
	"net/http"
	"net/url"
	"strings"
)

// MaxBody is the maximum size of a body in a request to a front, in bytes: the limit of Lambda. The
// limit of Function Compute is larger, but such a body would be in memory several times.
const MaxBody = 6 << 20

// The log line and the answer for a function that cannot be unpacked.
const (
	cannotRun  = "cannot run a function"
	noFunction = "The function cannot run. The log has the reason."
)

// Function returns the handler of a function's HTTP trigger or function URL, nil if the function is
// unknown.
func (c *Cloud) Function(name string) http.Handler {
	if c.ready[name] == nil {
		return nil
	}
	h := c.host.HTTP(name)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := c.Prepare(name); err != nil {
			c.logger.Error(cannotRun, "function", name, "err", err)
			http.Error(w, noFunction, http.StatusBadGateway)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// Front returns one handler in front of the functions that were added so far. In a cloud each
// function has its own host. Here it has two addresses:
//
//   - http://<function>.localhost, if the machine resolves this name;
//   - the path /<function>. The function sees the rest of the path, or /. A signature over the path
//     must cover only this rest.
//
// The host of a request selects the function first. Otherwise route may return a handler. If it
// returns nil, the path selects the function. The function root gets all other requests.
func (c *Cloud) Front(root string, route func(*http.Request) http.Handler) http.Handler {
	functions := make(map[string]http.Handler, len(c.ready))
	for name := range c.ready {
		functions[name] = c.Function(name)
	}
	find := func(r *http.Request) (http.Handler, *http.Request) {
		host, _, _ := strings.Cut(r.Host, ":")
		if name, ok := strings.CutSuffix(host, ".localhost"); ok && functions[name] != nil {
			return functions[name], r
		}
		if h := route(r); h != nil {
			return h, r
		}
		name, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.EscapedPath(), "/"), "/")
		if h := functions[name]; h != nil {
			return h, at(r, "/"+rest)
		}
		if h := functions[root]; h != nil {
			return h, r
		}
		return http.NotFoundHandler(), r
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength > MaxBody {
			http.Error(w, "The body is too large.", http.StatusRequestEntityTooLarge)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, MaxBody)
		h, r := find(r)
		h.ServeHTTP(w, r)
	})
}

// at returns a copy of a request with another escaped path.
func at(r *http.Request, path string) *http.Request {
	other := r.Clone(r.Context())
	other.URL.Path, other.URL.RawPath = path, ""
	if plain, err := url.PathUnescape(path); err == nil {
		other.URL.Path, other.URL.RawPath = plain, path
	}
	other.RequestURI = other.URL.RequestURI()
	return other
}
