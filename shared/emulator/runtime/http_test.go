package runtime_test

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"chatconf/shared/emulator/runtime"
)

// event returns the event that hello received for a request, as JSON with sorted keys.
func event(t *testing.T, h *runtime.Host, r *http.Request) map[string]any {
	t.Helper()
	r.URL.Path, r.URL.RawPath = "/event", ""
	w := httptest.NewRecorder()
	h.HTTP("hello").ServeHTTP(w, r)
	var out map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil || w.Code != 200 {
		t.Fatalf("%d %s: %v", w.Code, w.Body, err)
	}
	return out
}

func request(body, contentType string) *http.Request {
	r := httptest.NewRequest("POST", "http://bots.example:9000/event?b=2&a=1&b=3%2C4&c", strings.NewReader(body))
	r.Header = http.Header{"Content-Type": {contentType}, "X-Two": {"1", "2"}, "Cookie": {"a=1; b=2", "c=3"},
		"User-Agent": {"test"}}
	r.RemoteAddr = "192.0.2.7:1234"
	return r
}

func TestTheEventOfFC(t *testing.T) {
	c := &clock{now: time.Date(2026, 11, 23, 4, 5, 6, 7e6, time.UTC)}
	h := runtime.RunT(t, runtime.Options{Clock: c, NewID: func(runtime.Kind) string { return "the-id" }},
		hello(t, runtime.FC))
	got := event(t, h, request("Action=X&ä=1", "application/x-www-form-urlencoded; charset=utf-8"))
	want := map[string]any{
		"version": "v1", "rawPath": "/event", "body": "Action=X&ä=1", "isBase64Encoded": false,
		"headers": map[string]any{
			"Content-Type": "application/x-www-form-urlencoded; charset=utf-8", "X-Two": "1,2",
			"Cookie": "a=1; b=2,c=3", "User-Agent": "test",
		},
		"queryParameters": map[string]any{"a": "1", "b": "2,3,4", "c": ""},
		"requestContext": map[string]any{
			"accountId": "1234567890123456", "domainName": "bots.example:9000", "domainPrefix": "bots",
			"requestId": "the-id",
			"time":      "2026-11-23T04:05:06Z", "timeEpoch": "1795406706007",
			"http": map[string]any{"method": "POST", "path": "/event", "protocol": "HTTP/1.1", "sourceIp": "192.0.2.7",
				"userAgent": "test"},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("event (-want +got):\n%s", diff)
	}
}

func TestTheEventOfLambda(t *testing.T) {
	c := &clock{now: time.Date(2026, 11, 23, 4, 5, 6, 7e6, time.UTC)}
	for _, gateway := range []bool{false, true} {
		f := hello(t, runtime.Lambda)
		f.Gateway = gateway
		h := runtime.RunT(t, runtime.Options{Clock: c, NewID: func(runtime.Kind) string { return "the-id" }}, f)
		account := "anonymous"
		if gateway {
			account = "123456789012"
		}
		got := event(t, h, request(`{"ä":1}`, "application/json"))
		want := map[string]any{
			"version": "2.0", "routeKey": "$default", "rawPath": "/event", "rawQueryString": "b=2&a=1&b=3%2C4&c",
			"cookies": []any{"a=1", "b=2", "c=3"}, "body": `{"ä":1}`, "isBase64Encoded": false,
			"headers": map[string]any{
				"content-type": "application/json", "x-two": "1,2", "user-agent": "test", "host": "bots.example:9000",
				"content-length":  "8",
				"x-forwarded-for": "192.0.2.7", "x-forwarded-proto": "http", "x-forwarded-port": "9000",
			},
			"queryStringParameters": map[string]any{"a": "1", "b": "2,3,4", "c": ""},
			"requestContext": map[string]any{
				"accountId": account, "apiId": "local", "domainName": "bots.example:9000", "domainPrefix": "bots",
				"requestId": "the-id",
				"routeKey":  "$default", "stage": "$default", "time": "23/Nov/2026:04:05:06 +0000",
				"timeEpoch": 1795406706007.0,
				"http": map[string]any{"method": "POST", "path": "/event", "protocol": "HTTP/1.1",
					"sourceIp": "192.0.2.7", "userAgent": "test"},
			},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("event (-want +got):\n%s", diff)
		}
	}
}

// A query with very many parameters is not parsed.
func TestAQueryOfVeryManyParameters(t *testing.T) {
	each(t, func(t *testing.T, kind runtime.Kind) {
		h := runtime.RunT(t, runtime.Options{}, hello(t, kind))
		for query, want := range map[string]int{strings.Repeat("a&", 999): 200, strings.Repeat("a&", 1000): 400,
			strings.Repeat("&", 40_000): 400} {
			r := httptest.NewRequest("POST", "http://bots.example/event", nil)
			r.URL.RawQuery = query
			w := httptest.NewRecorder()
			h.HTTP("hello").ServeHTTP(w, r)
			if w.Code != want || want == 400 && !strings.Contains(w.Body.String(), "more than 1000 parameters") {
				t.Errorf("%d bytes: %d %s", len(query), w.Code, w.Body)
			}
		}
		if n := h.Stats("hello").Started; n != 1 {
			t.Errorf("%d processes were started, want 1", n)
		}
	})
}

// A client cannot set the headers that the clouds' gateways write.
func TestAClientCannotSayHowItCame(t *testing.T) {
	h := runtime.RunT(t, runtime.Options{}, hello(t, runtime.Lambda))
	r := request("", "text/plain")
	r.Header["X-Forwarded-Proto"], r.Header["X-Forwarded-Port"] = []string{"https"}, []string{"443"}
	r.Header["X-Forwarded-For"] = []string{"203.0.113.9"}
	headers := event(t, h, r)["headers"].(map[string]any)
	for name, want := range map[string]string{"x-forwarded-proto": "http", "x-forwarded-port": "9000",
		"x-forwarded-for": "203.0.113.9, 192.0.2.7"} {
		if headers[name] != want {
			t.Errorf("%s = %v, want %q", name, headers[name], want)
		}
	}
	r = request("", "text/plain")
	r.TLS, r.Host = new(tls.ConnectionState), "bots.example"
	headers = event(t, h, r)["headers"].(map[string]any)
	if headers["x-forwarded-proto"] != "https" || headers["x-forwarded-port"] != nil {
		t.Errorf("by TLS: headers are %v", headers)
	}
}

func TestBodiesInEvents(t *testing.T) {
	each(t, func(t *testing.T, kind runtime.Kind) {
		h := runtime.RunT(t, runtime.Options{}, hello(t, kind))
		aws := kind == runtime.Lambda
		for _, test := range []struct {
			contentType, body string
			encoded           bool
		}{
			{"text/plain", "hello", false},
			{"application/json; charset=utf-8", "{}", false},
			{"application/cloudevents+json", "{}", false},
			{"image/svg+xml", "<svg/>", false},
			{"application/octet-stream", "hello", true},
			{"image/png", "hello", true},
			{"no type", "hello", true},
			{"text/plain", "\xff\x00", true},
			{"application/x-www-form-urlencoded", "a=b", aws},
			{"", "hello", aws},
		} {
			e := event(t, h, request(test.body, test.contentType))
			want := test.body
			if test.encoded {
				want = base64.StdEncoding.EncodeToString([]byte(want))
			}
			if e["isBase64Encoded"] != test.encoded || e["body"] != want {
				t.Errorf("%s %q: %v, isBase64Encoded %v, want %v, %v", test.contentType, test.body, e["body"],
					e["isBase64Encoded"], want, test.encoded)
			}
		}
		if e := event(t, h, request("", "text/plain")); e["isBase64Encoded"] != false || (e["body"] != "") != aws {
			t.Errorf("event without a body: %v", e)
		}
	})
}

func TestPathsAreAsTheClientWroteThem(t *testing.T) {
	each(t, func(t *testing.T, kind runtime.Kind) {
		h := runtime.RunT(t, runtime.Options{}, hello(t, kind))
		for _, test := range []struct{ uri, stripped, want string }{
			{"/%65vent", "", "/%65vent"},         // another encoding of /event
			{"/hello/event", "/event", "/event"}, // a proxy removed the first segment
		} {
			r := httptest.NewRequest("GET", test.uri, nil)
			if test.stripped != "" {
				r.URL.Path, r.URL.RawPath = test.stripped, ""
			}
			w := httptest.NewRecorder()
			h.HTTP("hello").ServeHTTP(w, r)
			// hello looks at the raw path: only /event is answered with the event.
			if got := strings.Contains(w.Body.String(), `"rawPath":"/event"`); got != (test.want == "/event") {
				t.Errorf("%s: %d %s", test.uri, w.Code, w.Body)
			}
		}
	})
}

// serve sends a body and returns hello's response.
func serve(h *runtime.Host, method, path, answer string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(method, path, strings.NewReader(answer))
	r.Header.Set("Content-Type", "application/json")
	h.HTTP("hello").ServeHTTP(w, r)
	return w
}

func TestAnswersOverHTTP(t *testing.T) {
	each(t, func(t *testing.T, kind runtime.Kind) {
		h := runtime.RunT(t, runtime.Options{}, hello(t, kind))
		w := serve(h, "POST", "/x",
			`{"statusCode":201,"headers":{"X-A":"b","Content-Type":"text/plain"},"cookies":["a=b; `+
				`Secure","c=d"],"body":"aGk=","isBase64Encoded":true}`)
		if w.Code != 201 || w.Body.String() != "hi" || w.Header().Get("X-A") != "b" ||
			w.Header().Get("Content-Type") != "text/plain" {
			t.Errorf("answer = %d %v %s", w.Code, w.Header(), w.Body)
		}
		var want []string // FC has no cookies field
		id := "X-Fc-Request-Id"
		if kind == runtime.Lambda {
			want, id = []string{"a=b; Secure", "c=d"}, "X-Amzn-Requestid"
		}
		if got := w.Header()["Set-Cookie"]; !slices.Equal(got, want) {
			t.Errorf("cookies = %q, want %q", got, want)
		}
		if w.Header().Get(id) == "" {
			t.Errorf("no %s in %v", id, w.Header())
		}
		if w := serve(h, "HEAD", "/x", `{"statusCode":200,"body":"hi"}`); w.Body.Len() != 0 {
			t.Errorf("HEAD was answered with a body: %s", w.Body)
		}
		if w := serve(h, "POST", "/x", `{"statusCode":204,"body":"hi"}`); w.Code != 204 || w.Body.Len() != 0 {
			t.Errorf("204 was answered with a body: %s", w.Body)
		}
		w = serve(h, "POST", "/x", `{"statusCode":"no"}`)
		if w.Code != 502 {
			t.Errorf("a bad answer: %d %s", w.Code, w.Body)
		}
		w = serve(h, "POST", "/panic", `{}`)
		shown := strings.Contains(w.Body.String(), "in HTTP")
		if w.Code != 502 || shown != (kind == runtime.FC) {
			t.Errorf("a panic: %d %s", w.Code, w.Body)
		}
	})
}

func TestFailuresOverHTTP(t *testing.T) {
	each(t, func(t *testing.T, kind runtime.Kind) {
		f, g, c := hello(t, kind), newGate(t), newClock()
		f.Limit, f.Queue, f.MaxBody, f.Timeout = 1, -1, 1000, 3*time.Second
		h := runtime.RunT(t, runtime.Options{Clock: c, Grace: time.Nanosecond}, f)
		t.Cleanup(func() { c.advance(time.Hour) })
		busy := start(t, t.Context(), h, g.payload())
		g.arrived()
		if w := serve(h, "POST", "/x", "{}"); w.Code != 429 || !json.Valid(w.Body.Bytes()) {
			t.Errorf("throttled: %d %s", w.Code, w.Body)
		}
		want := map[runtime.Kind]int{runtime.FC: 400, runtime.Lambda: 413}[kind]
		if w := serve(h, "POST", "/x", strings.Repeat("x", 1001)); w.Code != want || !json.Valid(w.Body.Bytes()) {
			t.Errorf("too large: %d %s", w.Code, w.Body)
		}
		if w := serve(h, "POST", "/x", strings.Repeat("x", 990)); w.Code != want { // the event is larger than its body
			t.Errorf("too large as an event: %d %s", w.Code, w.Body)
		}
		c.advance(3 * time.Second)
		busy.result()
		w := httptest.NewRecorder()
		h.HTTP("other").ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		if w.Code != 404 {
			t.Errorf("a function that is not there: %d %s", w.Code, w.Body)
		}
		w = httptest.NewRecorder()
		h.HTTP("hello").ServeHTTP(w, httptest.NewRequest("POST", "/",
			io.MultiReader(strings.NewReader("x"), failing{})))
		if w.Code != 400 {
			t.Errorf("a body that breaks off: %d %s", w.Code, w.Body)
		}
	})
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestTimeoutsOverHTTP(t *testing.T) {
	for _, test := range []struct {
		name    string
		kind    runtime.Kind
		gateway bool
		want    int
	}{{"FC", runtime.FC, false, 504}, {"a function URL", runtime.Lambda, false, 504},
		{"an API Gateway", runtime.Lambda, true, 503}} {
		c := newClock()
		f := runtime.Function{Kind: test.kind, Gateway: test.gateway, Timeout: time.Second}
		p := newPuppet(t, f, runtime.Options{Clock: c, Grace: time.Nanosecond}, `{}`)
		base := map[runtime.Kind]string{runtime.FC: fcBase, runtime.Lambda: lambdaBase}[test.kind]
		resp, _ := p.do("GET", base+"invocation/next", "")
		id := resp.Header.Get("X-Fc-Request-Id") + resp.Header.Get("Lambda-Runtime-Aws-Request-Id")
		p.do("POST", base+"invocation/"+id+"/error", `{"errorMessage":"x"}`)
		p.call.result()
		answered := make(chan *httptest.ResponseRecorder)
		go func() { answered <- serve(p.host, "GET", "/", "") }()
		p.do("GET", base+"invocation/next", "")
		c.advance(time.Second)
		if w := <-answered; w.Code != test.want {
			t.Errorf("%s: %d %s, want %d", test.name, w.Code, w.Body, test.want)
		}
		c.advance(time.Hour)
	}
}

func TestErrorsOfAnAPIGateway(t *testing.T) {
	f := hello(t, runtime.Lambda)
	f.Gateway = true
	h := runtime.RunT(t, runtime.Options{}, f)
	if w := serve(h, "POST", "/panic", "{}"); w.Code != 500 ||
		w.Body.String() != `{"message":"Internal Server Error"}` {
		t.Errorf("a panic: %d %s", w.Code, w.Body)
	}
}

func TestStreamedAnswersOverHTTP(t *testing.T) {
	h := runtime.RunT(t, runtime.Options{}, hello(t, runtime.Lambda, "HELLO_STREAM", "yes"))
	w := serve(h, "POST", "/", "{}")
	if w.Code != 201 || w.Body.String() != "streamed body" || w.Header().Get("X-Stream") != "yes" ||
		w.Header().Get("Set-Cookie") != "a=b" {
		t.Errorf("answer = %d %v %q", w.Code, w.Header(), w.Body)
	}
}

func TestWhatAnswersMean(t *testing.T) {
	const stream = "application/vnd.awslambda.http-integration-response"
	for _, test := range []struct {
		name, contentType, payload string
		status                     int // 0: it is no response
		body                       string
		header                     http.Header
	}{
		{"an object without a status", "", `{"message":"hi"}`, 200, `{"message":"hi"}`,
			http.Header{"Content-Type": {"application/json"}}},
		{"a string", "", `"hi"`, 200, `hi`, http.Header{"Content-Type": {"application/json"}}},
		{"null", "", `null`, 200, `null`, http.Header{"Content-Type": {"application/json"}}},
		{"a status that is null", "", `{"statusCode":null}`, 200, `{"statusCode":null}`,
			http.Header{"Content-Type": {"application/json"}}},
		{"a list", "", ` [1]`, 200, ` [1]`, http.Header{"Content-Type": {"application/json"}}},
		{"a status alone", "", `{"statusCode":404}`, 404, ``, http.Header{"Content-Type": {"application/json"}}},
		{"a status in quotes", "", `{"statusCode":"404"}`, 404, ``, http.Header{"Content-Type": {"application/json"}}},
		{"headers of many kinds", "",
			`{"statusCode":200,"headers":{"x-n":1,"x-b":true,"x-0":null,"content-type":"a/b","connection":"close",` +
				`"content-length":"9"}}`,
			200, ``, http.Header{"X-N": {"1"}, "X-B": {"true"}, "Content-Type": {"a/b"}}},
		{"a stream", stream, "{\"statusCode\":202}\x00\x00\x00\x00\x00\x00\x00\x00a\x00b", 202, "a\x00b",
			http.Header{"Content-Type": {"application/json"}}},
		{"a stream without a status", stream, "{}\x00\x00\x00\x00\x00\x00\x00\x00ab", 200, "ab",
			http.Header{"Content-Type": {"application/octet-stream"}}},
		{"a stream without an end of its head", stream, `{"statusCode":202}`, 0, "", nil},
		{"a stream whose head is wrong", stream, "{\x00\x00\x00\x00\x00\x00\x00\x00", 0, "", nil},
		{"nothing", "", ``, 0, "", nil},
		{"invalid JSON", "", `hello`, 0, "", nil},
		{"an invalid status", "", `{"statusCode":99}`, 0, "", nil},
		{"a status of no end", "", `{"statusCode":101}`, 0, "", nil},
		{"a large status", "", `{"statusCode":600}`, 0, "", nil},
		{"a broken status", "", `{"statusCode":200.5}`, 0, "", nil},
		{"a status that is an object", "", `{"statusCode":{}}`, 0, "", nil},
		{"a body that is no string", "", `{"statusCode":200,"body":{}}`, 0, "", nil},
		{"a body that is not base64", "", `{"statusCode":200,"body":"!","isBase64Encoded":true}`, 0, "", nil},
		{"a header with a line break", "", `{"statusCode":200,"headers":{"X":"a\r\nB: c"}}`, 0, "", nil},
		{"a header without a name", "", `{"statusCode":200,"headers":{"":"a"}}`, 0, "", nil},
		{"a header with a space in its name", "", `{"statusCode":200,"headers":{"a b":"a"}}`, 0, "", nil},
		{"a header that is a list", "", `{"statusCode":200,"headers":{"X":["a"]}}`, 0, "", nil},
		{"a cookie with a line break", "", `{"statusCode":200,"cookies":["a\nb"]}`, 0, "", nil},
	} {
		a, err := runtime.DecodeAnswer(runtime.Lambda, test.contentType, []byte(test.payload))
		if (err != nil) != (test.status == 0) {
			t.Errorf("%s: %+v, %v", test.name, a, err)
			continue
		}
		if err == nil && (a.Status != test.status || string(a.Body) != test.body || !cmp.Equal(a.Header, test.header)) {
			t.Errorf("%s: %d %v %q, want %d %v %q", test.name, a.Status, a.Header, a.Body, test.status, test.header,
				test.body)
		}
	}
}

// Any answer of a function becomes a response that can be sent, and that decodes to the same
// response again.
func FuzzAnswer(f *testing.F) {
	const stream = "application/vnd.awslambda.http-integration-response"
	for _, seed := range []string{
		`{"statusCode":200,"headers":{"A":"b","a":1},"cookies":["c"],"body":"aGk=","isBase64Encoded":true}`, `"x"`,
		`null`, `{}`, `[`,
		"{\"statusCode\":202}\x00\x00\x00\x00\x00\x00\x00\x00body", `{"statusCode":"404"}`,
		`{"statusCode":404,"headers":{"X":"a\r\nB: c"}}`,
	} {
		f.Add([]byte(seed), true)
		f.Add([]byte(seed), false)
	}
	f.Fuzz(func(t *testing.T, payload []byte, streamed bool) {
		contentType := ""
		if streamed {
			contentType = stream
		}
		for _, kind := range kinds {
			a, err := runtime.DecodeAnswer(kind, contentType, payload)
			if err != nil {
				continue
			}
			if a.Status < 200 || a.Status > 599 {
				t.Errorf("status = %d", a.Status)
			}
			headers, cookies := map[string]string{}, a.Header["Set-Cookie"]
			for name, values := range a.Header {
				for _, v := range values {
					if strings.ContainsAny(name, "\r\n :") || strings.ContainsAny(v, "\r\n\x00") ||
						name == "Content-Length" {
						t.Errorf("header %q: %q", name, v)
					}
				}
				if len(values) == 1 && name != "Set-Cookie" {
					headers[name] = values[0]
				}
			}
			again, err := json.Marshal(map[string]any{"statusCode": a.Status, "headers": headers, "cookies": cookies,
				"body": a.Body, "isBase64Encoded": true})
			if err != nil {
				t.Fatal(err)
			}
			b, err := runtime.DecodeAnswer(kind, "", again)
			if err != nil || b.Status != a.Status || !bytes.Equal(b.Body, a.Body) {
				t.Errorf("%q means %+v, and said again %+v, %v", payload, a, b, err)
			}
		}
	})
}
