package serve_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"chatconf/shared/invoke"
	"chatconf/shared/serve"

	"github.com/google/go-cmp/cmp"
)

// An answer is what goes back to either gateway.
type answer struct {
	StatusCode      int               `json:"statusCode"`
	Headers         map[string]string `json:"headers"`
	Cookies         []string          `json:"cookies,omitempty"`
	Body            string            `json:"body"`
	IsBase64Encoded bool              `json:"isBase64Encoded"`
}

// readAnswer reads an answer strictly.
func readAnswer(t testing.TB, payload []byte) answer {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(payload))
	d.DisallowUnknownFields()
	var a answer
	if err := d.Decode(&a); err != nil {
		t.Fatalf("%v: %s", err, payload)
	}
	return a
}

// plain returns the body as the client gets it.
func (a answer) plain(t testing.TB) string {
	t.Helper()
	if !a.IsBase64Encoded {
		return a.Body
	}
	b, err := base64.StdEncoding.DecodeString(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// describeRequest writes a request as a handler sees it, for people to review.
func describeRequest(r *http.Request) string {
	body, err := io.ReadAll(r.Body)
	inv := invoke.From(r.Context())
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s\n", r.Method, r.RequestURI, r.Proto)
	fmt.Fprintf(&b, "host %q\npath %q\nescaped path %q\nraw query %q\n", r.Host, r.URL.Path,
		r.URL.EscapedPath(), r.URL.RawQuery)
	fmt.Fprintf(&b, "remote address %q, source ip %q, secure %v, request %s\n", r.RemoteAddr,
		inv.SourceIP, inv.Secure, inv.RequestID)
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		fmt.Fprintf(&b, "header %s: %q\n", name, r.Header[name])
	}
	fmt.Fprintf(&b, "body of %d: %q, %v\n", r.ContentLength, body[:min(len(body), 200)], err)
	return b.String()
}

func TestHTTPRequests(t *testing.T) {
	for path, payload := range fixtures(t, "http-") {
		seen := ""
		p, l := program(handler{http: func(w http.ResponseWriter, r *http.Request) {
			seen = describeRequest(r)
			io.WriteString(w, "done")
		}})
		got, err := serve.Deliver(t.Context(), p, call, payload)
		if a := readAnswer(t, got); err != nil || a.StatusCode != 200 || a.Body != "done" || l.String() != "" {
			t.Errorf("%s: %s, %v, log %s", path, got, err, l)
		}
		golden(t, path, seen)
	}
}

// request returns the payload of a request with some members set to JSON text, and others taken
// out.
func request(version string, members map[string]string) []byte {
	all := map[string]string{
		"version": fmt.Sprintf("%q", version),
		"rawPath": `"/"`,
		"headers": `{"host":"example.com"}`,
		"requestContext": `{"domainName":"gateway.example.com","http":{"method":"POST",` +
			`"protocol":"HTTP/1.1","sourceIp":"192.0.2.1"}}`,
	}
	maps.Copy(all, members)
	var b bytes.Buffer
	for _, key := range slices.Sorted(maps.Keys(all)) {
		if all[key] != "" {
			fmt.Fprintf(&b, ",%q:%s", key, all[key])
		}
	}
	b.WriteByte('}')
	b.Bytes()[0] = '{'
	return b.Bytes()
}

func TestRequestDetails(t *testing.T) {
	inContext := func(inside string) string { return `{"domainName":"gateway.example.com","http":{` + inside + `}}` }
	for _, test := range []struct {
		name, version string
		members       map[string]string
		want          string // a line of the description
	}{
		{"a path with a slash that is escaped", "2.0", map[string]string{"rawPath": `"/a%2fb"`},
			`escaped path "/a%2fb"`},
		{"a path that leads out", "2.0", map[string]string{"rawPath": `"/../../etc//passwd/."`},
			`POST /../../etc//passwd/. HTTP/1.1`},
		{"a path that looks like a host", "2.0", map[string]string{"rawPath": `"//evil.example/x"`},
			`POST //evil.example/x HTTP/1.1`},
		{"a path that was decoded", "2.0", map[string]string{"rawPath": `"/a b/é"`}, `POST /a%20b/%C3%A9 HTTP/1.1`},
		{"a path with a lone percent sign", "2.0", map[string]string{"rawPath": `"/100%"`}, `path "/100%"`},
		{"an empty path", "2.0", map[string]string{"rawPath": `""`}, `POST / HTTP/1.1`},
		{"no path", "v1", map[string]string{"rawPath": ``}, `POST / HTTP/1.1`},
		{"a query as it was sent", "2.0", map[string]string{"rawQueryString": `"b=%2f&a=+&a=2&%%&;"`},
			`raw query "b=%2f&a=+&a=2&%%&;"`},
		{"a query of AWS is not made of the map", "2.0", map[string]string{"queryStringParameters": `{"a":"1"}`,
			"queryParameters": `{"a":"1"}`}, `raw query ""`},
		{"a query of Function Compute is not what looks like AWS's", "v1",
			map[string]string{"rawQueryString": `"a=1"`}, `raw query ""`},
		{"a query made of a map", "v1", map[string]string{"queryParameters": `{"z":"","é":"&=","a":"1,2"," ":"+"}`},
			`raw query "+=%2B&a=1%2C2&z=&%C3%A9=%26%3D"`},
		{"a query made of null", "v1", map[string]string{"queryParameters": `null`}, `raw query ""`},
		{"a host that the client wrote", "2.0", map[string]string{"headers": `{"HOST":"custom.example.com:8443"}`},
			`host "custom.example.com:8443"`},
		{"a host that only the gateway knows", "2.0", map[string]string{"headers": `{}`}, `host "gateway.example.com"`},
		{"an address of version 6 as host", "2.0", map[string]string{"headers": `{"host":"[2001:db8::1]:443"}`},
			`host "[2001:db8::1]:443"`},
		{"a header twice", "2.0", map[string]string{"headers": `{"x-a":"1","X-A":"2","x-A":"3"}`},
			`header X-A: ["1" "2" "3"]`},
		{"a header that was joined", "2.0", map[string]string{"headers": `{"accept":"a,b"}`}, `header Accept: ["a,b"]`},
		{"cookies beside a header of cookies", "2.0", map[string]string{"headers": `{"cookie":"a=1"}`,
			"cookies": `["b=2","c=3"]`}, `header Cookie: ["a=1; b=2; c=3"]`},
		{"as many headers as may be", "2.0", map[string]string{"headers": manyMembers(128)}, `header P127: ["x"]`},
		{"as many query parameters as may be", "v1", map[string]string{"queryParameters": manyMembers(1000)}, `p999=x`},
		{"no headers", "2.0", map[string]string{"headers": `null`, "cookies": `null`}, `body of 0: "", <nil>`},
		{"an address that a header claims", "2.0", map[string]string{"headers": `{"x-forwarded-for":"203.0.113.9"}`},
			`remote address "192.0.2.1:0", source ip "192.0.2.1", secure true, request request-1`},
		{"an invalid address", "2.0",
			map[string]string{"requestContext": inContext(`"method":"GET","sourceIp":"\"evil"`)},
			`remote address "", source ip "", secure true, request request-1`},
		{"AWS without TLS", "2.0", map[string]string{"headers": `{"x-forwarded-proto":"http"}`},
			`remote address "192.0.2.1:0", source ip "192.0.2.1", secure false, request request-1`},
		{"AWS with two protocols", "2.0",
			map[string]string{"headers": `{"x-forwarded-proto":"https","X-Forwarded-Proto":"http"}`},
			`remote address "192.0.2.1:0", source ip "192.0.2.1", secure false, request request-1`},
		{"Function Compute says nothing of TLS", "v1", nil,
			`remote address "192.0.2.1:0", source ip "192.0.2.1", secure false, request request-1`},
		{"Function Compute with a header that the client may have written", "v1",
			map[string]string{"headers": `{"X-Forwarded-Proto":"https","Forwarded":"proto=https;for=203.0.113.9",` +
				`"X-Forwarded-For":"203.0.113.9","X-Real-Ip":"203.0.113.9"}`},
			`remote address "192.0.2.1:0", source ip "192.0.2.1", secure false, request request-1`},
		{"AWS with TLS", "2.0", map[string]string{"headers": `{"x-forwarded-proto":"https"}`},
			`remote address "192.0.2.1:0", source ip "192.0.2.1", secure true, request request-1`},
		{"AWS with protocols that were joined", "2.0",
			map[string]string{"headers": `{"x-forwarded-proto":"https, http"}`},
			`remote address "192.0.2.1:0", source ip "192.0.2.1", secure false, request request-1`},
		{"a host that only a header claims", "2.0", map[string]string{"headers": `{"x-forwarded-host":"evil.example"}`},
			`host "gateway.example.com"`},
		{"a host that only a header claims, on Function Compute", "v1",
			map[string]string{"headers": `{"X-Forwarded-Host":"evil.example"}`}, `host "gateway.example.com"`},
		{"another protocol", "2.0", map[string]string{"requestContext": inContext(
			`"method":"GET","protocol":"HTTP/2.0"`)}, `GET / HTTP/2.0`},
		{"no protocol", "2.0", map[string]string{"requestContext": inContext(`"method":"M-SEARCH"`)},
			`M-SEARCH / HTTP/1.1`},
		{"a body of text", "2.0", map[string]string{"body": `"a\r\n\u0000é"`}, `body of 6: "a\r\n\x00é", <nil>`},
		{"a body in Base64", "v1", map[string]string{"body": `"/wA="`, "isBase64Encoded": `true`},
			`body of 2: "\xff\x00", <nil>`},
		{"no body in Base64", "v1", map[string]string{"body": `null`, "isBase64Encoded": `true`},
			`body of 0: "", <nil>`},
		{"a flag that is null", "v1", map[string]string{"body": `"x"`, "isBase64Encoded": `null`},
			`body of 1: "x", <nil>`},
		{"a body as large as may be", "2.0", map[string]string{"body": `"` + strings.Repeat("a", serve.MaxBody) + `"`},
			fmt.Sprintf("body of %d: ", serve.MaxBody)},
		{"a body as large as may be in Base64", "2.0", map[string]string{"body": `"` +
			base64.StdEncoding.EncodeToString(make([]byte, serve.MaxBody)) + `"`, "isBase64Encoded": "true"},
			fmt.Sprintf("body of %d: ", serve.MaxBody)},
		{"parameters that look like an event", "2.0", map[string]string{"body": `"{\"specversion\":\"1.0\"}"`,
			"Records2": `[]`, "source": `"s"`, "detail": `{}`}, `{\"specversion\":\"1.0\"}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			seen := ""
			p, l := program(handler{http: func(_ http.ResponseWriter, r *http.Request) { seen = describeRequest(r) }})
			got, err := serve.Deliver(t.Context(), p, call, request(test.version, test.members))
			if a := readAnswer(t, got); a.StatusCode != 200 || err != nil {
				t.Errorf("Deliver = %s, %v", got, err)
			}
			if !strings.Contains(seen, test.want) || l.String() != "" {
				t.Errorf("the handler saw\n%.600s\nwant %q; log %s", seen, test.want, l)
			}
		})
	}
}

// manyMembers returns an object of n members.
func manyMembers(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"p%d":"x"`, i)
	}
	return "{" + b.String()[1:] + "}"
}

// A request that cannot be one never gets to the handler, and is answered as a request.
func TestHostileRequests(t *testing.T) {
	inContext := func(inside string) map[string]string {
		return map[string]string{"requestContext": `{"domainName":"d","http":{` + inside + `}}`}
	}
	for _, test := range []struct {
		name, version string
		members       map[string]string
		status        int
		message       string
	}{
		{"an unknown version", "1.0", nil, 400, "unknown version"},
		{"a version that is a number", "", map[string]string{"version": "2.0"}, 400, "unknown version"},
		{"no version", "", map[string]string{"version": ""}, 400, "unknown version"},
		{"an event beside it", "2.0", map[string]string{"specversion": `"1.0"`}, 400,
			"an HTTP request and a CloudEvent"},
		{"records beside it", "v1", map[string]string{"Records": `[]`}, 400,
			"an HTTP request and a batch of SQS messages"},
		{"a context that is null", "2.0", map[string]string{"requestContext": "null"}, 400, "no valid method"},
		{"a context that is a list", "2.0", map[string]string{"requestContext": "[]"}, 400, "no valid method"},
		{"two contexts in one", "2.0", map[string]string{"requestContext": `{"http":{},"http":{}}`},
			400, "http is given twice"},
		{"no method", "2.0", inContext(``), 400, "no valid method"},
		{"an empty method", "2.0", inContext(`"method":""`), 400, "no valid method"},
		{"a method that is a number", "2.0", inContext(`"method":1`), 400, "no valid method"},
		{"a method with a line break", "2.0", inContext(`"method":"GET / HTTP/1.1\r\nX: y"`), 400, "no valid method"},
		{"two methods", "2.0", inContext(`"method":"GET","method":"POST"`), 400, "method is given twice"},
		{"an invalid protocol", "2.0", inContext(`"method":"GET","protocol":"HTTP/1.1\r\nX: y"`),
			400, "an invalid protocol"},
		{"two paths", "2.0", map[string]string{"rawPath": `"/a","rawPath":"/b"`}, 400, "rawPath is given twice"},
		{"a path that is a number", "2.0", map[string]string{"rawPath": `1`}, 400, "rawPath is a number"},
		{"a path with a line break", "2.0", map[string]string{"rawPath": `"/\r\nHost: evil"`},
			400, "invalid rawPath"},
		{"a path with a zero byte", "2.0", map[string]string{"rawPath": `"/\u0000"`}, 400, "invalid rawPath"},
		{"a path without slash", "2.0", map[string]string{"rawPath": `"http://evil.example/"`},
			400, "invalid rawPath"},
		{"a path with a query", "2.0", map[string]string{"rawPath": `"/?a=1"`}, 400, "invalid rawPath"},
		{"a path with a fragment", "2.0", map[string]string{"rawPath": `"/#a"`}, 400, "invalid rawPath"},
		{"a query with a line break", "2.0", map[string]string{"rawQueryString": `"a\r\nb"`},
			400, "invalid rawQueryString"},
		{"a query that is an object", "2.0", map[string]string{"rawQueryString": `{}`},
			400, "invalid rawQueryString"},
		{"more headers than may be", "2.0", map[string]string{"headers": manyMembers(129)},
			400, "too many headers; the limit is 128"},
		{"more cookies than may be", "2.0", map[string]string{"cookies": "[" +
			strings.TrimSuffix(strings.Repeat(`"a=b",`, 129), ",") + "]"}, 400, "too many cookies; the limit is 128"},
		{"a body of escapes without end", "2.0", map[string]string{"body": `"` +
			strings.Repeat(`\u0041`, serve.MaxBody+1) + `"`}, 413, "too large"},
		{"parameters that are a list", "v1", map[string]string{"queryParameters": `["a"]`},
			400, "queryParameters is a list"},
		{"a parameter that is a list", "v1", map[string]string{"queryParameters": `{"a":["1","2"]}`},
			400, "a query parameter is a list"},
		{"headers that are a list", "2.0", map[string]string{"headers": `["a"]`}, 400, "headers is a list"},
		{"a header that is a list", "2.0", map[string]string{"headers": `{"a":["planted-secret"]}`},
			400, "invalid header"},
		{"a header with a line break", "2.0",
			map[string]string{"headers": `{"a":"planted-secret\r\nAuthorization: x"}`}, 400, "invalid header"},
		{"a header with a lone line feed", "2.0", map[string]string{"headers": `{"a":"b\nc"}`},
			400, "invalid header"},
		{"a header with a zero byte", "2.0", map[string]string{"headers": `{"a":"\u0000"}`},
			400, "invalid header"},
		{"a header whose name has a line break", "2.0", map[string]string{"headers": `{"a\r\nb":"c"}`},
			400, "invalid header"},
		{"a header without name", "2.0", map[string]string{"headers": `{"":"c"}`}, 400, "invalid header"},
		{"a header whose name has a colon", "2.0", map[string]string{"headers": `{"a:b":"c"}`},
			400, "invalid header"},
		{"two hosts", "2.0", map[string]string{"headers": `{"host":"a.example","Host":"b.example"}`},
			400, "more than one header Host"},
		{"two hosts of the same key", "2.0", map[string]string{"headers": `{"host":"a.example","host":"b.example"}`},
			400, "more than one header Host"},
		{"a host that is a path", "2.0", map[string]string{"headers": `{"host":"a.example/b"}`},
			400, "invalid host"},
		{"a host with a user", "2.0", map[string]string{"headers": `{"host":"a@b"}`}, 400, "invalid host"},
		{"an invalid domain", "2.0", map[string]string{"headers": `{}`,
			"requestContext": `{"domainName":"<script>","http":{"method":"GET"}}`}, 400, "invalid host"},
		{"cookies that are a string", "2.0", map[string]string{"cookies": `"a"`}, 400, "cookies is a string"},
		{"a cookie that is a number", "2.0", map[string]string{"cookies": `[1]`}, 400, "invalid cookie"},
		{"a cookie with a line break", "2.0", map[string]string{"cookies": `["a\r\nX: planted-secret"]`},
			400, "invalid cookie"},
		{"a body that is an object", "2.0", map[string]string{"body": `{"planted-secret":1}`},
			400, "the body is an object"},
		{"a body in bad Base64", "2.0", map[string]string{"body": `"planted-secret"`, "isBase64Encoded": "true"},
			400, "not Base64"},
		{"a body in Base64 with bits too many", "2.0", map[string]string{"body": `"/x=="`, "isBase64Encoded": "true"},
			400, "not Base64"},
		{"a body in truncated Base64", "2.0", map[string]string{"body": `"/wA"`, "isBase64Encoded": "true"},
			400, "not Base64"},
		{"a flag that is a string", "2.0", map[string]string{"body": `"x"`, "isBase64Encoded": `"true"`},
			400, "isBase64Encoded is a string"},
		{"a body too large", "2.0", map[string]string{"body": `"` + strings.Repeat("a", serve.MaxBody+1) + `"`},
			413, "too large"},
		{"a body too large in Base64", "2.0", map[string]string{"body": `"` +
			base64.StdEncoding.EncodeToString(make([]byte, serve.MaxBody+1)) + `"`, "isBase64Encoded": "true"},
			413, "too large"},
		{"a body much too large in Base64", "2.0", map[string]string{"body": `"` +
			strings.Repeat("A", 2*serve.MaxBody) + `"`, "isBase64Encoded": "true"}, 413, "too large"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, l := program(handler{http: func(_ http.ResponseWriter, r *http.Request) {
				t.Errorf("the handler saw\n%.600s", describeRequest(r))
			}})
			got, err := serve.Deliver(t.Context(), p, call, request(test.version, test.members))
			a := readAnswer(t, got)
			var e struct{ RequestId, Code, Message string }
			if jsonErr := json.Unmarshal([]byte(a.Body), &e); err != nil || jsonErr != nil {
				t.Fatalf("Deliver = %s, %v, %v", got, err, jsonErr)
			}
			if a.StatusCode != test.status || e.RequestId != "request-1" ||
				!strings.Contains(e.Message, test.message) ||
				a.Headers["Content-Type"] != "application/json; charset=utf-8" {
				t.Errorf("answer = %s, want %d and %q", got, test.status, test.message)
			}
			if strings.Contains(string(got)+l.String(), "planted") ||
				!strings.Contains(l.String(), "request refused") || !strings.Contains(l.String(), "request-1") {
				t.Errorf("answer %s, log %s", got, l)
			}
		})
	}
}

// A handler that panics has answered nothing, whatever it wrote before, and the next one is served.
func TestPanicOverHTTP(t *testing.T) {
	for _, value := range []any{"a planted panic", fmt.Errorf("a planted panic"), http.ErrAbortHandler} {
		p, l := program(handler{http: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Half", "done")
			w.WriteHeader(201)
			io.WriteString(w, "half of it")
			panic(value)
		}})
		got, err := serve.Deliver(t.Context(), p, call, request("2.0", nil))
		if err != nil {
			t.Fatal(err)
		}
		want := answer{
			StatusCode: 500,
			Headers: map[string]string{"Content-Type": "application/json; charset=utf-8",
				"X-Acs-Request-Id": "request-1"},
			Body: `{"RequestId":"request-1","HostId":"example.com","Code":"InternalError","Message":"The ` +
				`request processing has failed due to some unknown error, exception or failure."}`,
		}
		if diff := cmp.Diff(want, readAnswer(t, got)); diff != "" {
			t.Errorf("answer (-want +got):\n%s", diff)
		}
		if !strings.Contains(l.String(), fmt.Sprint(value)) || !strings.Contains(l.String(), "http_test.go") ||
			!strings.Contains(l.String(), `"request_id":"request-1"`) {
			t.Errorf("log: %s", l)
		}
	}
}

func TestAnswers(t *testing.T) {
	for _, test := range []struct {
		name, version, method string
		handler               http.HandlerFunc
		want                  answer
		log                   string
	}{
		{"nothing written", "2.0", "POST", func(http.ResponseWriter, *http.Request) {},
			answer{StatusCode: 200, Headers: map[string]string{}}, ""},
		{"text without a type", "2.0", "POST",
			func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("<html>é")) },
			answer{StatusCode: 200, Headers: map[string]string{"Content-Type": "text/html; charset=utf-8"},
				Body: "<html>é"}, ""},
		{"the first status counts", "v1", "POST", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(103)
			w.WriteHeader(201)
			w.WriteHeader(500)
			w.Header().Set("X-Late", "1")
		}, answer{StatusCode: 201, Headers: map[string]string{}}, ""},
		{"values are joined", "v1", "POST", func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["X-A"] = []string{"1", "2"}
			w.Header()["X-None"] = nil
		}, answer{StatusCode: 200, Headers: map[string]string{"X-A": "1,2"}}, ""},
		{"line breaks are taken out", "v1", "POST", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-A", "1\r\nX-B: 2\x00")
			w.Header()["X\r\nB"] = []string{"1"}
		}, answer{StatusCode: 200, Headers: map[string]string{"X-A": "1  X-B: 2 "}}, ""},
		{"headers of the connection stay here", "2.0", "POST", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Connection", "close")
			w.Header().Set("Transfer-Encoding", "chunked")
		}, answer{StatusCode: 200, Headers: map[string]string{}}, ""},
		{"the length that is true stays", "2.0", "POST", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			w.Header().Set("Content-Length", "2")
			io.WriteString(w, "ok")
		}, answer{StatusCode: 200, Headers: map[string]string{"Content-Type": "text/plain", "Content-Length": "2"},
			Body: "ok"}, ""},
		{"the length that is wrong goes", "2.0", "POST", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			w.Header().Set("Content-Length", "3")
			io.WriteString(w, "ok")
		}, answer{StatusCode: 200, Headers: map[string]string{"Content-Type": "text/plain"}, Body: "ok"}, ""},
		{"HEAD has a length and no body", "2.0", "HEAD", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			w.Header().Set("Content-Length", "2")
			io.WriteString(w, "ok")
		}, answer{StatusCode: 200, Headers: map[string]string{"Content-Type": "text/plain", "Content-Length": "2"}},
			""},
		{"no content has none", "2.0", "POST", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(204)
			io.WriteString(w, "ok")
		}, answer{StatusCode: 204, Headers: map[string]string{}}, ""},
		{"not modified has none", "v1", "GET", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(304)
			io.WriteString(w, "ok")
		}, answer{StatusCode: 304, Headers: map[string]string{}}, ""},
		{"cookies on AWS", "2.0", "POST", func(w http.ResponseWriter, _ *http.Request) {
			http.SetCookie(w, &http.Cookie{Name: "a", Value: "1", MaxAge: 5})
			http.SetCookie(w, &http.Cookie{Name: "b", Value: "2"})
			w.Header().Add("Set-Cookie", "c=\"3\"\r\nX: y")
		}, answer{StatusCode: 200, Headers: map[string]string{},
			Cookies: []string{"a=1; Max-Age=5", "b=2", `c="3"  X: y`}}, ""},
		{"one cookie on Function Compute", "v1", "POST", func(w http.ResponseWriter, _ *http.Request) {
			http.SetCookie(w, &http.Cookie{Name: "a", Value: "1"})
		}, answer{StatusCode: 200, Headers: map[string]string{"Set-Cookie": "a=1"}}, ""},
		{"two cookies on Function Compute", "v1", "POST", func(w http.ResponseWriter, _ *http.Request) {
			http.SetCookie(w, &http.Cookie{Name: "a", Value: "1"})
			http.SetCookie(w, &http.Cookie{Name: "b", Value: "planted-secret"})
		}, answer{StatusCode: 200, Headers: map[string]string{"Set-Cookie": "a=1"}}, `"lost":1`},
		{"bytes that are no text", "v1", "POST", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			w.Write([]byte("\xff"))
		}, answer{StatusCode: 200, Headers: map[string]string{"Content-Type": "text/plain"},
			Body: "/w==", IsBase64Encoded: true}, ""},
		{"an image that happens to be text", "2.0", "POST", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "image/png")
			io.WriteString(w, "ok")
		}, answer{StatusCode: 200, Headers: map[string]string{"Content-Type": "image/png"},
			Body: "b2s=", IsBase64Encoded: true}, ""},
		{"text that is compressed", "2.0", "POST", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			w.Header().Set("Content-Encoding", "gzip")
			io.WriteString(w, "ok")
		}, answer{StatusCode: 200, Headers: map[string]string{"Content-Type": "text/plain", "Content-Encoding": "gzip"},
			Body: "b2s=", IsBase64Encoded: true}, ""},
		{"JSON of some kind", "2.0", "POST", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/problem+JSON; charset=utf-8")
			io.WriteString(w, "{\"a\":\"<\u2028\\n\"}\n")
		}, answer{StatusCode: 200, Headers: map[string]string{
			"Content-Type": "application/problem+JSON; charset=utf-8"}, Body: "{\"a\":\"<\u2028\\n\"}\n"}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, l := program(handler{http: test.handler})
			payload := request(test.version,
				map[string]string{"requestContext": fmt.Sprintf(`{"http":{"method":%q}}`, test.method)})
			got, err := serve.Deliver(t.Context(), p, call, payload)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, readAnswer(t, got)); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
			if got := l.String(); !strings.Contains(got, test.log) || (test.log == "") != (got == "") ||
				strings.Contains(got, "planted") {
				t.Errorf("log = %s, want %q in it", got, test.log)
			}
		})
	}
}

// The body of a request does not hang on the buffer that it came in.
func TestRequestsOutliveTheirPayload(t *testing.T) {
	for path, payload := range fixtures(t, "http-") {
		var kept *http.Request
		p, _ := program(handler{http: func(_ http.ResponseWriter, r *http.Request) { kept = r }})
		if _, err := serve.Deliver(t.Context(), p, call, bytes.Clone(payload)); err != nil {
			t.Fatal(err)
		}
		before := describeRequest(kept)
		if _, err := serve.Deliver(t.Context(), p, call, payload); err != nil {
			t.Fatal(err)
		}
		clear(payload)
		if diff := cmp.Diff(before, describeRequest(kept)); diff != "" {
			t.Errorf("%s (-before +after its payload was cleared):\n%s", path, diff)
		}
	}
}

func TestTruncatedRequests(t *testing.T) {
	p, _ := program(handler{http: func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("half a request: %s",
			describeRequest(r))
	}})
	for path, payload := range fixtures(t, "http-") {
		for n := range len(bytes.TrimSpace(payload)) {
			if got, err := serve.Deliver(t.Context(), p, call, payload[:n]); err != nil ||
				!bytes.Contains(got, []byte(`"Code":"InvalidEvent"`)) {
				t.Fatalf("the first %d bytes of %s: %s, %v", n, path, got, err)
			}
		}
	}
}

// Whatever comes as a request: it never is an event, what the handler sees can go over a wire and
// comes back the same, and what the handler answers comes back without loss.
func FuzzRequest(f *testing.F) {
	for _, payload := range fixtures(f, "http-") {
		f.Add(payload, "text/plain", []byte("é"))
	}
	f.Add(request("v1", map[string]string{"rawPath": `"/%2e%2E/%zz"`, "queryParameters": `{"a":"b"}`}),
		"image/png", []byte{0xff})
	f.Add(request("2.0", map[string]string{"rawQueryString": `"a b"`, "cookies": `["a"]`}), "", []byte("\r\n\x00"))
	f.Fuzz(func(t *testing.T, payload []byte, kind string, body []byte) {
		served, method := false, ""
		p, _ := program(handler{
			http: func(w http.ResponseWriter, r *http.Request) {
				served, method = true, r.Method
				checkRequest(t, r)
				if kind != "" {
					w.Header().Set("Content-Type", kind)
				}
				w.Header().Set("X-Body", string(body))
				w.WriteHeader(418)
				w.Write(body)
			},
			event: func(context.Context, serve.Event) ([]byte, error) { return []byte(`{}`), nil },
		})
		got, err := serve.Deliver(t.Context(), p, call, payload)
		v, parseErr := serve.Parse(payload)
		if parseErr != nil || v.Members()["requestContext"] == "" {
			if served {
				t.Error("an event is a request")
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		a := readAnswer(t, got)
		if served != (a.StatusCode == 418) || !served && a.StatusCode != 400 && a.StatusCode != 413 {
			t.Errorf("served: %v, status %d", served, a.StatusCode)
		}
		for name, text := range a.Headers {
			if strings.ContainsAny(name+text, "\r\n\x00") {
				t.Errorf("header %q: %q", name, text)
			}
		}
		if served && method != http.MethodHead && a.plain(t) != string(body) {
			t.Errorf("body = %q, want %q", a.plain(t), body)
		}
	})
}

// checkRequest checks that a request is one that a server could have read.
func checkRequest(t *testing.T, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil || int64(len(body)) != r.ContentLength {
		t.Errorf("body of %d bytes, length %d, %v", len(body), r.ContentLength, err)
	}
	if strings.Contains(r.RequestURI, " ") {
		return // a query as a client may send it; a server would not have read it
	}
	var wire bytes.Buffer
	fmt.Fprintf(&wire, "%s %s HTTP/1.1\r\nHost: %s\r\n", r.Method, r.RequestURI, r.Host)
	lines := 0
	for name, values := range r.Header {
		for _, value := range values {
			if name == "Content-Length" || name == "Transfer-Encoding" || name == "Host" {
				continue
			}
			fmt.Fprintf(&wire, "%s: %s\r\n", name, value)
			lines++
		}
	}
	wire.WriteString("\r\n")
	again, err := http.ReadRequest(bufio.NewReader(&wire))
	if err != nil {
		t.Fatalf("a server does not read %q: %v", wire.Bytes(), err)
	}
	got := 0
	for _, values := range again.Header {
		got += len(values)
	}
	if again.Method != r.Method || again.RequestURI != r.RequestURI || again.Host != r.Host || got > lines {
		t.Errorf("a server reads %s %s at %q with %d header lines, want %s %s at %q with %d", again.Method,
			again.RequestURI, again.Host, got, r.Method, r.RequestURI, r.Host, lines)
	}
	if again.URL.Path != r.URL.Path || again.URL.RawQuery != r.URL.RawQuery ||
		again.URL.EscapedPath() != r.URL.EscapedPath() {
		t.Errorf("a server reads the URL as %#v, want %#v", again.URL, r.URL)
	}
}
