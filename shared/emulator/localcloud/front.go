package localcloud

import (
	"net/http"
	"net/url"
	"strings"
)

// MaxBody is how large the body of a request to a front may be, in bytes: the limit of Lambda. The
// limit of Function Compute is larger, but such a body would be in memory several times.
const MaxBody = 6 << 20

// Function returns the HTTP trigger or the function URL of a function, nil if there is no such
// function.
func (c *Cloud) Function(name string) http.Handler {
	if c.ready[name] == nil {
		return nil
	}
	h := c.host.HTTP(name)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := c.Prepare(name); err != nil {
			c.logger.Error("a function cannot be run", "function", name, "err", err)
			http.Error(w, "The function cannot be run; the log says why.", http.StatusBadGateway)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// Front returns one handler in front of all functions that there are by now. A function in a cloud
// has a host of its own and is called at its root. Here it is called
//
//   - at http://<function>.localhost, where the machine resolves that;
//   - at the path /<function>, which the function does not see: a signature that covers the path is made
//     over what follows, or /.
//
// A request that is for no function by its host goes to the handler that route returns; if that is
// nil, to the function of its path; and if there is none, to the function root.
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

// at returns a request for another path, which is escaped.
func at(r *http.Request, path string) *http.Request {
	other := r.Clone(r.Context())
	other.URL.Path, other.URL.RawPath = path, ""
	if plain, err := url.PathUnescape(path); err == nil {
		other.URL.Path, other.URL.RawPath = plain, path
	}
	other.RequestURI = other.URL.RequestURI()
	return other
}
