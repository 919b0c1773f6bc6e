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

// A response collects the answer of a handler. Nothing is sent before it is complete, so a handler
// that panics has sent nothing.
type response struct {
	header http.Header
	sent   http.Header // a copy, from when the status was written
	status int         // 0: not written yet
	body   bytes.Buffer
}

var _ http.ResponseWriter = (*response)(nil)

// Header returns the headers. Changes after the status was written have no effect.
func (r *response) Header() http.Header { return r.header }

// WriteHeader writes the status, once. It drops an informational status: neither cloud can send
// one.
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

// An answer is the answer to an HTTP request in the format of both clouds.
type answer struct {
	StatusCode      int               `json:"statusCode"`
	Headers         map[string]string `json:"headers"`
	Cookies         []string          `json:"cookies,omitempty"`
	IsBase64Encoded bool              `json:"isBase64Encoded"`
	Body            string            `json:"body"`
}

// payload returns the answer to a request with the given method. A text body stays as it is; any
// other is Base64. Values of one header are joined by commas. Cookies cannot be joined: AWS has a
// list for them, Function Compute can send one. lost is the number of cookies that are dropped.
func (r *response) payload(format httpFormat, method string) (payload []byte, lost int) {
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
		case name == "Set-Cookie" && format == lambdaFormat:
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
		a.Headers["Content-Type"] = http.DetectContentType(body) // as net/http does
	}
	if isText(r.sent) && utf8.Valid(body) {
		a.Body = string(body)
	} else {
		a.IsBase64Encoded, a.Body = true, base64.StdEncoding.EncodeToString(body)
	}
	return document.Marshal(a), lost
}

// lineBreaks replaces characters that would end a header, as net/http does.
var lineBreaks = strings.NewReplacer("\r", " ", "\n", " ", "\x00", " ")

// isText reports whether the headers declare a text body, or no type.
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

// isHop reports whether a header is about one connection, which ends at the gateway.
func isHop(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Transfer-Encoding", "Upgrade", "Trailer", "Proxy-Connection", "Te":
		return true
	}
	return false
}
