package runtime

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// HTTP returns the HTTP endpoint of a function: its trigger on FC, its function URL or API Gateway
// on Lambda. Every request becomes one invocation. The payload is the request in the cloud's
// format, and the answer becomes the response.
func (h *Host) HTTP(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, err := h.pool(name)
		if err != nil {
			writeError(w, http.StatusNotFound, "", `{"message":"Not Found"}`)
			return
		}
		p.serveHTTP(w, r)
	})
}

// maxQuery limits the parameters of a query. They are counted before parsing, because any client
// can send them. The clouds limit bytes; Function Compute's limit is 4 KiB.
const maxQuery = 1000

func (p *pool) serveHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.Count(r.URL.RawQuery, "&") >= maxQuery {
		p.refuseHTTP(w, &Error{Code: BadRequest, Message: fmt.Sprintf("the query has more than %d parameters",
			maxQuery)})
		return
	}
	body, err := readBody(r, p.fn.MaxBody)
	if errors.Is(err, errTooLong) {
		p.refuseHTTP(w, p.cloud.tooLarge(len(body), p.fn.MaxBody))
		return
	}
	if err != nil {
		http.Error(w, "cannot read the request body", http.StatusBadRequest)
		return
	}
	id := p.host.o.NewID(p.fn.Kind)
	result, err := p.invokeHTTP(r, body, id)
	var refusal *Error
	if errors.As(err, &refusal) {
		p.refuseHTTP(w, refusal)
		return
	}
	if err != nil {
		return // the client disconnected
	}
	if p.fn.Kind == FC {
		w.Header().Set("X-Fc-Request-Id", id)
	} else {
		w.Header().Set("X-Amzn-Requestid", id)
	}
	if result.Failure != Answered {
		p.failHTTP(w, result.Failure, result.Payload)
		return
	}
	var a *answer
	if result.httpParams != "" {
		a, err = decodeParams(result.httpParams, result.Payload)
	} else {
		a, err = decodeAnswer(p.fn.Kind, result.ContentType, result.Payload)
	}
	if err != nil {
		p.host.o.Logger.Warn("a function's response is not a valid HTTP response", "function", p.fn.Name, "request",
			id, "err",
			err)
		p.failHTTP(w, Returned, nil)
		return
	}
	a.write(w, r.Method)
}

// invokeHTTP invokes the function with a request in its format. If the first answer shows that the
// function expects the other format, it is invoked again; its handler was not called.
func (p *pool) invokeHTTP(r *http.Request, body []byte, id string) (*Result, error) {
	if !p.http.Load() {
		result, err := p.host.Invoke(r.Context(), p.fn.Name, Request{RequestID: id, Payload: p.event(r, body, id)})
		if err != nil || result.Failure != Returned || !p.http.Load() {
			return result, err
		}
	}
	return p.host.Invoke(r.Context(), p.fn.Name, Request{RequestID: id, Payload: body, httpParams: encodeParams(r)})
}

func writeError(w http.ResponseWriter, status int, errorType, body string) {
	h := w.Header()
	if errorType != "" {
		h.Set("X-Fc-Error-Type", errorType)
	}
	h.Set("Content-Type", "application/json")
	w.WriteHeader(status)
	io.WriteString(w, body)
}

// refuseHTTP answers a request that did not become an invocation.
func (p *pool) refuseHTTP(w http.ResponseWriter, e *Error) {
	status := e.Status()
	if p.fn.Kind == FC {
		code := map[Code]string{TooLarge: "EntityTooLarge", Throttled: "ResourceThrottled",
			Closed: "ServiceNotAvailable", BadRequest: "InvalidArgument"}[e.Code]
		if e.Code == TooLarge { // https://www.alibabacloud.com/help/en/functioncompute/error-codes
			status = http.StatusBadRequest
		}
		text, _ := json.Marshal(map[string]string{"ErrorCode": code, "ErrorMessage": e.Message})
		writeError(w, status, "FcCommonError", string(text))
		return
	}
	text, _ := json.Marshal(map[string]string{"Message": e.Message})
	writeError(w, status, "", string(text))
}

// failHTTP answers for a failed invocation. FC shows the error document, AWS hides it. The statuses
// of timeouts are assumed.
func (p *pool) failHTTP(w http.ResponseWriter, f Failure, document []byte) {
	status := http.StatusBadGateway
	if f == TimedOut {
		status = http.StatusGatewayTimeout
	}
	switch {
	case p.fn.Kind == FC && document != nil:
		writeError(w, status, "UnhandledInvocationError", string(document))
	case p.fn.Kind == FC:
		writeError(w, status, "UnhandledInvocationError",
			`{"errorMessage":"the function's response is not a valid HTTP response"}`)
	case p.fn.Gateway && f == TimedOut:
		writeError(w, http.StatusServiceUnavailable, "", `{"message":"Service Unavailable"}`)
	case p.fn.Gateway:
		writeError(w, http.StatusInternalServerError, "", `{"message":"Internal Server Error"}`)
	default:
		w.Header().Set("Content-Type", "text/plain")
		w.WriteHeader(status)
		io.WriteString(w, http.StatusText(http.StatusInternalServerError))
	}
}

var errTooLong = errors.New("the body is too long")

// readBody reads the body of a request, at most limit bytes.
func readBody(r *http.Request, limit int) ([]byte, error) {
	if r.ContentLength > int64(limit) {
		return nil, errTooLong
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, int64(limit)+1))
	if err == nil && len(body) > limit {
		err = errTooLong
	}
	return body, err
}

func (p *pool) event(r *http.Request, body []byte, id string) []byte {
	now := p.now().UTC()
	prefix, _, _ := strings.Cut(r.Host, ".")
	about := map[string]any{ // what both clouds have in requestContext
		"accountId": p.fn.Account, "domainName": r.Host, "domainPrefix": prefix, "requestId": id,
		"http": map[string]string{"method": r.Method, "path": r.URL.Path, "protocol": r.Proto,
			"sourceIp": sourceIP(r), "userAgent": r.UserAgent()},
	}
	event := map[string]any{"rawPath": rawPath(r), "requestContext": about}
	if p.fn.Kind == FC {
		fcEvent(event, about, r, body, now)
	} else {
		p.lambdaEvent(event, about, r, body, now)
	}
	text, _ := json.Marshal(event) // strings, maps of strings, and numbers: it cannot fail
	return text
}

// fcEvent completes the event of FC:
// https://www.alibabacloud.com/help/en/functioncompute/fc/http-trigger-invoking-function.
// Header names are in net/http's canonical form, as documented. Therefore Host is not among them:
// the domain name is the host. Here it is the host that the client asked for.
func fcEvent(event, about map[string]any, r *http.Request, body []byte, now time.Time) {
	headers := make(map[string]string, len(r.Header))
	for name, values := range r.Header {
		headers[name] = strings.Join(values, ",")
	}
	about["time"], about["timeEpoch"] = now.Format(time.RFC3339), strconv.FormatInt(now.UnixMilli(), 10)
	event["version"], event["headers"], event["queryParameters"] = "v1", headers, joinQuery(r.URL.RawQuery)
	event["body"], event["isBase64Encoded"] = encodeBody(FC, r.Header.Get("Content-Type"), body)
}

// lambdaEvent completes an event in payload format 2.0 of
// https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html.
// Function URLs use it too.
func (p *pool) lambdaEvent(event, about map[string]any, r *http.Request, body []byte, now time.Time) {
	event["version"], event["routeKey"], event["rawQueryString"] = "2.0", "$default", r.URL.RawQuery
	if r.URL.RawQuery != "" {
		event["queryStringParameters"] = joinQuery(r.URL.RawQuery)
	}
	event["isBase64Encoded"] = false
	if len(body) > 0 {
		event["body"], event["isBase64Encoded"] = encodeBody(Lambda, r.Header.Get("Content-Type"), body)
	}
	headers := make(map[string]string, len(r.Header)+4)
	event["headers"] = headers
	for name, values := range r.Header {
		if name != "Cookie" {
			headers[strings.ToLower(name)] = strings.Join(values, ",")
		}
	}
	var cookies []string
	for _, line := range r.Header["Cookie"] {
		for cookie := range strings.SplitSeq(line, ";") {
			if cookie = strings.TrimSpace(cookie); cookie != "" {
				cookies = append(cookies, cookie)
			}
		}
	}
	if cookies != nil {
		event["cookies"] = cookies
	}
	headers["host"] = r.Host
	headers["x-forwarded-for"] = strings.TrimPrefix(headers["x-forwarded-for"]+", "+sourceIP(r), ", ")
	// The gateway overwrites these two.
	headers["x-forwarded-proto"] = "http"
	if r.TLS != nil {
		headers["x-forwarded-proto"] = "https"
	}
	delete(headers, "x-forwarded-port")
	if _, port, err := net.SplitHostPort(r.Host); err == nil {
		headers["x-forwarded-port"] = port
	}
	if body != nil && r.ContentLength >= 0 {
		headers["content-length"] = strconv.Itoa(len(body))
	}
	if !p.fn.Gateway {
		about["accountId"] = "anonymous"
	}
	about["apiId"], about["routeKey"], about["stage"] = "local", "$default", "$default"
	about["time"], about["timeEpoch"] = now.Format("02/Jan/2006:15:04:05 -0700"), now.UnixMilli()
	about["http"].(map[string]string)["path"] = rawPath(r)
}

// rawPath returns the path as the client sent it.
func rawPath(r *http.Request) string {
	if strings.HasPrefix(r.RequestURI, "/") {
		path, _, _ := strings.Cut(r.RequestURI, "?")
		if unescaped, err := url.PathUnescape(path); err == nil && unescaped == r.URL.Path {
			return path
		}
	}
	return r.URL.EscapedPath() // the request was rewritten after it arrived
}

// joinQuery returns the decoded parameters of a query. Several values of one parameter are joined
// by commas. Invalid parameters are left out.
func joinQuery(query string) map[string]string {
	values, _ := url.ParseQuery(query)
	out := make(map[string]string, len(values))
	for name, v := range values {
		out[name] = strings.Join(v, ",")
	}
	return out
}

func sourceIP(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// encodeBody returns a body as events contain it. AWS treats forms as binary; that FC treats them
// as text is assumed.
func encodeBody(k Kind, contentType string, body []byte) (text string, base64Encoded bool) {
	if utf8.Valid(body) && isText(k, contentType) {
		return string(body), false
	}
	return base64.StdEncoding.EncodeToString(body), true
}

func isText(k Kind, contentType string) bool {
	if contentType == "" {
		return k == FC
	}
	kind, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return false
	}
	switch kind {
	case "application/json", "application/xml", "application/javascript":
		return true
	case "application/x-www-form-urlencoded":
		return k == FC
	}
	return strings.HasPrefix(kind, "text/") || strings.HasSuffix(kind, "+json") || strings.HasSuffix(kind, "+xml")
}

// An answer is an HTTP response of a function.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a *answer) write(w http.ResponseWriter, method string) {
	h := w.Header()
	for name, values := range a.header {
		h[name] = values
	}
	w.WriteHeader(a.status)
	if method != http.MethodHead && a.status != http.StatusNoContent && a.status != http.StatusNotModified {
		w.Write(a.body)
	}
}

// streamType is the content type of a streamed Lambda answer: head, eight zero bytes, body. See
// https://docs.aws.amazon.com/lambda/latest/dg/configuration-response-streaming.html.
const streamType = "application/vnd.awslambda.http-integration-response"

var streamSeparator = make([]byte, 8)

// A response is the structure of an HTTP answer.
type response struct {
	StatusCode      *json.Number                `json:"statusCode"`
	Headers         map[string]*json.RawMessage `json:"headers"`
	Cookies         []string                    `json:"cookies"`
	Body            string                      `json:"body"`
	IsBase64Encoded bool                        `json:"isBase64Encoded"`
}

// decodeAnswer converts a function's answer to an HTTP response. Valid JSON without a statusCode
// becomes the body of a 200 with type application/json; a string loses its quotes. AWS documents
// this; the same is assumed for FC.
func decodeAnswer(k Kind, contentType string, payload []byte) (*answer, error) {
	if k == Lambda && contentType == streamType {
		head, body, ok := bytes.Cut(payload, streamSeparator)
		if !ok {
			return nil, errors.New("the streamed response has no separator after its head")
		}
		a, structured, err := decodeResponse(k, head)
		if err == nil && !structured {
			a = &answer{status: http.StatusOK, header: http.Header{"Content-Type": {"application/octet-stream"}}}
		}
		if err != nil {
			return nil, err
		}
		a.body = body
		return a, nil
	}
	a, structured, err := decodeResponse(k, payload)
	if err != nil || structured {
		return a, err
	}
	a = &answer{status: http.StatusOK, header: http.Header{"Content-Type": {"application/json"}}, body: payload}
	var text string
	if err := json.Unmarshal(payload, &text); err == nil && payload[0] != 'n' {
		a.body = []byte(text)
	}
	return a, nil
}

// decodeResponse decodes the structure and reports whether the payload has it.
func decodeResponse(k Kind, payload []byte) (a *answer, structured bool, err error) {
	if !json.Valid(payload) {
		return nil, false, errors.New("the function's response is not JSON")
	}
	var probe struct {
		StatusCode *json.RawMessage `json:"statusCode"`
	}
	if err := json.Unmarshal(payload, &probe); err != nil || probe.StatusCode == nil {
		return nil, false, nil
	}
	var r response
	if err := json.Unmarshal(payload, &r); err != nil {
		return nil, false, err
	}
	a = &answer{header: make(http.Header, len(r.Headers)+1)}
	if a.status, err = strconv.Atoi(r.StatusCode.String()); err != nil || a.status < 200 || a.status > 599 {
		return nil, false, fmt.Errorf("invalid status code %q; use 200 to 599", r.StatusCode.String())
	}
	if err := a.setHeaders(r.Headers); err != nil {
		return nil, false, err
	}
	for _, cookie := range r.Cookies {
		if !plainHeader(cookie) {
			return nil, false, errors.New("a cookie has a line break or a control character")
		}
		if k == Lambda { // FC has no cookies field
			a.header.Add("Set-Cookie", cookie)
		}
	}
	if a.header.Get("Content-Type") == "" {
		a.header.Set("Content-Type", "application/json") // documented for function URLs, assumed elsewhere
	}
	a.body = []byte(r.Body)
	if r.IsBase64Encoded {
		if a.body, err = base64.StdEncoding.DecodeString(r.Body); err != nil {
			return nil, false, errors.New("the body is not base64")
		}
	}
	return a, true, nil
}

// connectionHeaders apply to the connection between function and cloud, and are removed.
var connectionHeaders = map[string]bool{
	"Connection": true, "Content-Length": true, "Keep-Alive": true, "Te": true, "Trailer": true,
	"Transfer-Encoding": true, "Upgrade": true,
}

// setHeaders sets the headers of a response: strings, numbers and booleans.
func (a *answer) setHeaders(headers map[string]*json.RawMessage) error {
	for name, raw := range headers {
		if raw == nil { // null
			continue
		}
		value := string(*raw)
		switch value[0] {
		case '"':
			if err := json.Unmarshal(*raw, &value); err != nil {
				return err
			}
		case '{', '[':
			return fmt.Errorf("the value of header %s is not a string", name)
		}
		if err := a.addHeader(name, value); err != nil {
			return err
		}
	}
	return nil
}

func (a *answer) addHeader(name, value string) error {
	if !isToken(name) {
		return fmt.Errorf("invalid header name %q", name)
	}
	if !plainHeader(value) {
		return fmt.Errorf("the header %s has a line break or a control character", name)
	}
	if name = http.CanonicalHeaderKey(name); !connectionHeaders[name] {
		a.header.Add(name, value)
	}
	return nil
}

// isToken reports whether s is a valid header name, RFC 9110, section 5.6.2.
func isToken(s string) bool { return s != "" && strings.Trim(s, alphanumeric+"!#$%&'*+-.^_`|~") == "" }
