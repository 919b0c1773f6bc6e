package serve

import (
	"bytes"
	"encoding/base64"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"chatconf/shared/document"
)

// A response is an answer on its way into a payload. It is an http.ResponseWriter as that of a
// server is, but that all of it is kept until it is whole, so that a handler that panics half-way
// has answered nothing.
type response struct {
	header http.Header
	sent   http.Header // as it was when the status was written
	status int         // 0 until it is written
	body   bytes.Buffer
}

var _ http.ResponseWriter = (*response)(nil)

// Header returns the headers, to be changed until the status is written.
func (r *response) Header() http.Header { return r.header }

// WriteHeader writes the status, once. An informational one goes nowhere: neither cloud carries it.
func (r *response) WriteHeader(status int) {
	if r.status == 0 && status >= http.StatusOK {
		r.status, r.sent = status, maps.Clone(r.header)
	}
}

// Write adds to the body.
func (r *response) Write(b []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	return r.body.Write(b)
}

// WriteString adds to the body.
func (r *response) WriteString(s string) (int, error) {
	r.WriteHeader(http.StatusOK)
	return r.body.WriteString(s)
}

// An answer is what a function returns for an HTTP request, as both clouds take it.
type answer struct {
	StatusCode      int               `json:"statusCode"`
	Headers         map[string]string `json:"headers"`
	Cookies         []string          `json:"cookies,omitempty"`
	IsBase64Encoded bool              `json:"isBase64Encoded"`
	Body            string            `json:"body"`
}

// payload returns the answer to a request of the given method as the payload of a door. A body that
// is text goes as it is, any other as Base64. Values of a header are joined by commas, as both
// clouds have it; cookies, which cannot be, go in a list of their own on AWS, while Function
// Compute has room for one, and lost says how many had none.
func (r *response) payload(door httpDoor, method string) (payload []byte, lost int) {
	r.WriteHeader(http.StatusOK)
	body := r.body.Bytes()
	if method == http.MethodHead || r.status == http.StatusNoContent || r.status == http.StatusNotModified {
		body = nil
	}
	a := answer{StatusCode: r.status, Headers: make(map[string]string, len(r.sent)+1)}
	for name, values := range r.sent {
		if len(values) == 0 || !isToken(name) || isHop(name) {
			continue
		}
		switch {
		case name == "Content-Length" && method != http.MethodHead && values[0] != strconv.Itoa(len(body)):
		case name == "Set-Cookie" && door == lambdaDoor:
			for _, cookie := range values {
				a.Cookies = append(a.Cookies, lineBreaks.Replace(cookie))
			}
		case name == "Set-Cookie":
			a.Headers[name], lost = lineBreaks.Replace(values[0]), len(values)-1
		default:
			a.Headers[name] = lineBreaks.Replace(strings.Join(values, ","))
		}
	}
	if _, typed := r.sent["Content-Type"]; !typed && len(body) > 0 {
		a.Headers["Content-Type"] = http.DetectContentType(body) // as a server does
	}
	if isText(r.sent) && utf8.Valid(body) {
		a.Body = string(body)
	} else {
		a.IsBase64Encoded, a.Body = true, base64.StdEncoding.EncodeToString(body)
	}
	return document.Marshal(a), lost
}

// lineBreaks takes out what would end a header, as a server does.
var lineBreaks = strings.NewReplacer("\r", " ", "\n", " ", "\x00", " ")

// isText reports whether headers say that a body is text, or say nothing.
func isText(h http.Header) bool {
	if coding := h.Get("Content-Encoding"); coding != "" && coding != "identity" {
		return false
	}
	kind, _, _ := strings.Cut(strings.ToLower(h.Get("Content-Type")), ";")
	kind = strings.TrimSpace(kind)
	switch kind {
	case "", "application/json", "application/xml", "application/javascript", "application/x-www-form-urlencoded":
		return true
	}
	return strings.HasPrefix(kind, "text/") || strings.HasSuffix(kind, "+json") || strings.HasSuffix(kind, "+xml")
}

// isHop reports whether a header is about one connection only, which the gateway has another of.
func isHop(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Transfer-Encoding", "Upgrade", "Trailer", "Proxy-Connection", "Te":
		return true
	}
	return false
}
