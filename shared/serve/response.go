package serve

import (
	"bytes"
	"encoding/base64"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A response is an answer on its way into a payload. It is an http.ResponseWriter as that of a server is, but that all of it is kept until it
// is whole, so that a handler that panics half-way has answered nothing.
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

// append appends the answer to a request of the given method as the payload of a door. A body that is text goes as it is, any other as Base64.
// Values of a header are joined by commas, as both clouds have it; cookies, which cannot be, go in a list of their own on AWS, while Function
// Compute has room for one, and lost says how many had none.
func (r *response) append(b []byte, door httpDoor, method string) (payload []byte, lost int) {
	r.WriteHeader(http.StatusOK)
	body := r.body.Bytes()
	if method == http.MethodHead || r.status == http.StatusNoContent || r.status == http.StatusNotModified {
		body = nil
	}
	b = slices.Grow(b, 512+len(body)*3/2)
	b = append(b, `{"statusCode":`...)
	b = strconv.AppendInt(b, int64(r.status), 10)
	b = append(b, `,"headers":{`...)
	comma := false
	for name, values := range r.sent {
		if len(values) == 0 || !isToken(name) || isHop(name) || door == lambdaDoor && name == "Set-Cookie" {
			continue
		}
		text := values[0]
		switch {
		case name == "Content-Length":
			if method != http.MethodHead && text != strconv.Itoa(len(body)) {
				continue
			}
		case name == "Set-Cookie":
			lost = len(values) - 1
		case len(values) > 1:
			text = strings.Join(values, ",")
		}
		b = appendMember(b, &comma, name, text)
	}
	if _, typed := r.sent["Content-Type"]; !typed && len(body) > 0 {
		b = appendMember(b, &comma, "Content-Type", http.DetectContentType(body)) // as a server does
	}
	b = append(b, '}')
	if cookies := r.sent["Set-Cookie"]; door == lambdaDoor && len(cookies) > 0 {
		b = append(b, `,"cookies":[`...)
		for i, cookie := range cookies {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendString(b, lineBreaks.Replace(cookie))
		}
		b = append(b, ']')
	}
	return appendBody(b, body, r.sent), lost
}

// appendMember appends one header. What would end it is taken out, as a server does.
func appendMember(b []byte, comma *bool, name, text string) []byte {
	if *comma {
		b = append(b, ',')
	}
	*comma = true
	b = appendString(b, name)
	b = append(b, ':')
	if hasLineBreak(text) {
		text = lineBreaks.Replace(text)
	}
	return appendString(b, text)
}

var lineBreaks = strings.NewReplacer("\r", " ", "\n", " ", "\x00", " ")

// appendBody appends the body and ends the payload.
func appendBody(b, body []byte, h http.Header) []byte {
	if isText(h) && utf8.Valid(body) {
		b = append(b, `,"isBase64Encoded":false,"body":`...)
		return append(appendString(b, body), '}')
	}
	b = append(b, `,"isBase64Encoded":true,"body":"`...)
	b = base64.StdEncoding.AppendEncode(b, body)
	return append(b, '"', '}')
}

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
