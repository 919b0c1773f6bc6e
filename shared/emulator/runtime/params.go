package runtime

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
)

// HTTP functions are those that fc.StartHttp of FC's SDK starts. They are given the body of a
// request as it is, and the rest of it in the header x-fc-http-params, as base64 of JSON. Their
// answer has the same form, which is that of the SDK's source, version 0.3.1.

// noParams is what the SDK says, before it calls the function, when the header is missing.
const noParams = "no httpParams found in request"

// IsHTTP reports whether a function is known to be an HTTP function of FC, started by
// fc.StartHttp: by what its program links, or because it refused an event for that reason. It must
// be invoked through HTTP.
func (h *Host) IsHTTP(name string) bool {
	p, err := h.pool(name)
	return err == nil && p.http.Load()
}

// learn looks at the error of a call, which may say that the function is an HTTP function.
func (p *pool) learn(c *call, document []byte) {
	if p.fn.Kind != FC || c.hook != invocation || c.request.httpParams != "" {
		return
	}
	var d errorDocument
	if err := json.Unmarshal(document, &d); err == nil && d.Message == noParams {
		p.http.Store(true)
	}
}

// encodeParams returns what a request says beside its body.
func encodeParams(r *http.Request) string {
	path := rawPath(r)
	uri := path
	if r.URL.RawQuery != "" {
		uri += "?" + r.URL.RawQuery
	}
	queries, _ := url.ParseQuery(r.URL.RawQuery) // what cannot be decoded is left out
	text, _ := json.Marshal(map[string]any{      // strings and lists of strings: it cannot fail
		"path": r.URL.Path, "method": r.Method, "requestURI": uri, "clientIP": sourceIP(r), "host": r.Host,
		"queriesMap": queries, "headersMap": r.Header,
	})
	return base64.StdEncoding.EncodeToString(text)
}

// decodeParams returns the HTTP response of an HTTP function. One that set no status has the
// status 200.
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
		return nil, fmt.Errorf("the status code %d is invalid", p.Status)
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
