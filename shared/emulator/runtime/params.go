package runtime

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
)

// Functions that use fc.StartHttp of FC's SDK are HTTP functions. They get the body of a request
// unchanged, and the rest as base64 of JSON in the header x-fc-http-params. Their answers have the
// same form. The format is that of the SDK's source, version 0.3.1.

// noParams is the SDK's error for a missing header. The function is not called then.
const noParams = "no httpParams found in request"

// IsHTTP reports whether a function is known to be an FC HTTP function, started by fc.StartHttp. It
// is known from the symbols of the program, or because the function refused an event. Such a
// function must be invoked over HTTP.
func (h *Host) IsHTTP(name string) bool {
	p, err := h.pool(name)
	return err == nil && p.http.Load()
}

// learn checks whether the error of a call shows that the function is an HTTP function.
func (p *pool) learn(c *call, document []byte) {
	if p.fn.Kind != FC || c.hook != invocation || c.request.httpParams != "" {
		return
	}
	var d errorDocument
	if err := json.Unmarshal(document, &d); err == nil && d.Message == noParams {
		p.http.Store(true)
	}
}

// encodeParams returns the parts of a request other than its body.
func encodeParams(r *http.Request) string {
	path := rawPath(r)
	uri := path
	if r.URL.RawQuery != "" {
		uri += "?" + r.URL.RawQuery
	}
	queries, _ := url.ParseQuery(r.URL.RawQuery) // invalid pairs are left out
	text, _ := json.Marshal(map[string]any{      // strings and lists of strings: it cannot fail
		"path": r.URL.Path, "method": r.Method, "requestURI": uri, "clientIP": sourceIP(r), "host": r.Host,
		"queriesMap": queries, "headersMap": r.Header,
	})
	return base64.StdEncoding.EncodeToString(text)
}

// decodeParams returns the HTTP response of an HTTP function. The status defaults to 200.
func decodeParams(params string, body []byte) (*answer, error) {
	text, err := base64.StdEncoding.DecodeString(params)
	if err != nil {
		return nil, errors.New("x-fc-http-params is not base64")
	}
	var p struct {
		Status     int                 `json:"status"`
		HeadersMap map[string][]string `json:"headersMap"`
	}
	if err := json.Unmarshal(text, &p); err != nil {
		return nil, fmt.Errorf("x-fc-http-params: %w", err)
	}
	if p.Status == 0 {
		p.Status = http.StatusOK
	}
	if p.Status < 200 || p.Status > 599 {
		return nil, fmt.Errorf("invalid status code %d; use 200 to 599", p.Status)
	}
	a := &answer{status: p.Status, header: make(http.Header, len(p.HeadersMap)), body: body}
	for name, values := range p.HeadersMap {
		for _, value := range values {
			if err := a.addHeader(name, value); err != nil {
				return nil, err
			}
		}
	}
	return a, nil
}
