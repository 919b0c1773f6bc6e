package runtime_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"chatconf/shared/emulator/runtime"
)

// over sends a request to the function hello.
func over(h *runtime.Host, method, target, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Header = http.Header{"Content-Type": {"text/plain"}, "X-Two": {"1", "2"}}
	r.RemoteAddr = "192.0.2.7:1234"
	w := httptest.NewRecorder()
	h.HTTP("hello").ServeHTTP(w, r)
	return w
}

func TestAnHTTPFunctionIsGivenTheRequest(t *testing.T) {
	h := runtime.RunT(t, runtime.Options{NewID: func(runtime.Kind) string { return "the-id" }}, program(t, "fchttp",
		""))
	w := over(h, "PUT", "http://bots.example:9000/a%20b/c?x=1&x=2&y=%2C", "a body\xff")
	var got map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatalf("%d %s: %v", w.Code, w.Body, err)
	}
	want := map[string]any{
		"method": "PUT", "path": "/a b/c", "query": "x=1&x=2&y=%2C", "uri": "/a%20b/c?x=1&x=2&y=%2C",
		"host": "bots.example:9000", "client": "192.0.2.7",
		"header": map[string]any{"Content-Type": []any{"text/plain"}, "X-Two": []any{"1", "2"}},
		"body":   "a body\ufffd", "request": "the-id", "function": "hello",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
	header := w.Header()
	if w.Code != 201 || header.Get("Content-Type") != "application/json" ||
		strings.Join(header["X-Twice"], ",") != "one,two" || header["Connection"] != nil ||
		header.Get("X-Fc-Request-Id") != "the-id" {
		t.Errorf("answer = %d %v", w.Code, header)
	}
	if n := h.Stats("hello").Started; n != 1 {
		t.Errorf("%d processes were started, want 1", n)
	}
}

func TestAnswersOfAnHTTPFunction(t *testing.T) {
	h := runtime.RunT(t, runtime.Options{}, program(t, "fchttp", ""))
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	for _, c := range []struct {
		path, send string
		status     int
		answer     string
	}{
		{"/bytes", string(all), 200, string(all)},
		{"/bytes", "", 200, ""},
		{"/silent", "x", 200, ""},
		{"/status?is=204", "", 204, ""},
		{"/status?is=418", "", 418, ""},
		{"/status?is=503", "", 503, ""},
		{"/status?is=1000", "", 502, `{"errorMessage":"the function's response is not a valid HTTP response"}`},
		{"/broken-header", "", 502, `{"errorMessage":"the function's response is not a valid HTTP response"}`},
		{"/error", "", 502, `{"errorMessage":"on purpose","errorType":"errorString"}`},
	} {
		w := over(h, "POST", "http://bots.example"+c.path, c.send)
		if w.Code != c.status || w.Body.String() != c.answer {
			t.Errorf("%s: %d %q, want %d %q", c.path, w.Code, w.Body, c.status, c.answer)
		}
	}
	if w := over(h, "POST", "http://bots.example/panic", ""); w.Code != 502 ||
		!strings.Contains(w.Body.String(), "in HTTP") {
		t.Errorf("/panic: %d %s", w.Code, w.Body)
	}
	if w := over(h, "GET", "http://bots.example/", ""); w.Code != 201 {
		t.Errorf("after a panic: %d %s", w.Code, w.Body)
	}
}

// A program that links both start functions is classified by its first request, which reaches the
// handler once.
func TestAnHTTPFunctionIsFoundOut(t *testing.T) {
	j := newJournal()
	h := runtime.RunT(t, runtime.Options{Log: j.log}, program(t, "fcsdk", "http"))
	if h.IsHTTP("hello") {
		t.Error("it was known before")
	}
	for range 2 {
		w := over(h, "GET", "http://bots.example/here", "")
		if w.Code != 200 || w.Body.String() != "over HTTP at /here" {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		id, calls := w.Header().Get("X-Fc-Request-Id"), 0
		j.wait(t, "called")
		for _, line := range j.of(id) {
			if strings.HasSuffix(line, "called") {
				calls++
			}
		}
		if calls != 1 {
			t.Errorf("the function was called %d times:\n%q", calls, j.of(id))
		}
	}
	if !h.IsHTTP("hello") {
		t.Error("it is not known afterwards")
	}
	r, err := h.Invoke(t.Context(), "hello", runtime.Request{Payload: []byte("{}")})
	if err != nil || r.Failure != runtime.Returned || !strings.Contains(string(r.Payload), "no httpParams") {
		t.Errorf("without HTTP: %+v, %v", r, err)
	}
}

// The parameters in an HTTP function's answer are validated.
func TestParamsOfAnswers(t *testing.T) {
	for text, want := range map[string]string{
		"%":                    "not base64",
		"e30=":                 "",                 // {}
		"W10=":                 "x-fc-http-params", // []
		"eyJzdGF0dXMiOjEwMX0=": "101",              // {"status":101}
		"eyJoZWFkZXJzTWFwIjp7ImEgYiI6WyIxIl19fQ==": `invalid header name "a b"`, // {"headersMap":{"a b":["1"]}}
	} {
		_, err := runtime.DecodeParams(text)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func FuzzParams(f *testing.F) {
	for _, seed := range []string{`{}`,
		`{"status":404,"headersMap":{"A":["b","c"],"a":["d"],"Connection":["close"]}}`,
		`{"headersMap":{"A":["b\r\nc"]}}`, `{"status":7}`, `[`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		a, err := runtime.DecodeParams(base64.StdEncoding.EncodeToString(text))
		if err != nil {
			return
		}
		if a.Status < 200 || a.Status > 599 {
			t.Errorf("status = %d", a.Status)
		}
		again, err := json.Marshal(map[string]any{"status": a.Status, "headersMap": a.Header})
		if err != nil {
			t.Fatal(err)
		}
		b, err := runtime.DecodeParams(base64.StdEncoding.EncodeToString(again))
		if err != nil {
			t.Fatalf("%s: %v", again, err)
		}
		if diff := cmp.Diff(a, b); diff != "" {
			t.Errorf("decoded again (-first +second):\n%s", diff)
		}
		for name, values := range a.Header {
			if strings.ContainsAny(name+strings.Join(values, ""), "\r\n\x00") || name == "Content-Length" {
				t.Errorf("header %q: %q", name, values)
			}
		}
	})
}

// Each kind of handler of either SDK is called as in its cloud.
func TestHandlersOfBothSDKs(t *testing.T) {
	for _, c := range []struct {
		folder, mode, event string
		answer              string
		failure             runtime.Failure
	}{
		{"fcsdk", "typed", `{"Name":"Ada","Age":36}`, `"Ada is 36"`, ""},
		{"fcsdk", "typed", `no JSON`,
			`{"errorMessage":"invalid character 'o' in literal null (expecting 'u')","errorType":"SyntaxError"}`,
			runtime.Returned},
		{"fcsdk", "raw", "\x00\xff any", `"00ff20616e79"`, ""},
		{"fcsdk", "raw", "", `""`, ""},
		{"fcsdk", "error", `{}`, `{"errorMessage":"on purpose","errorType":"errorString"}`, runtime.Returned},
		{"fcsdk", "nothing", `{}`, `null`, ""},
		{"awssdk", "typed", `{"Name":"Ada","Age":36}`, `"Ada is 36"`, ""},
		{"awssdk", "error", `{}`, `{"errorMessage":"on purpose","errorType":"codedError"}`, runtime.Returned},
		{"awssdk", "nothing", ``, `null`, ""},
		{"awssdk", "stream", `{}`, `as it is`, ""},
	} {
		h := runtime.RunT(t, runtime.Options{}, program(t, c.folder, c.mode))
		r := invoke(t, h, c.event)
		if string(r.Payload) != c.answer || r.Failure != c.failure {
			t.Errorf("%s %s of %q = %s, %q, want %s, %q", c.folder, c.mode, c.event, r.Payload, r.Failure, c.answer,
				c.failure)
		}
	}
}

func TestContextsOfBothSDKs(t *testing.T) {
	f := program(t, "fcsdk", "context")
	f.Memory, f.Timeout = 512, 90*time.Second
	h := runtime.RunT(t, runtime.Options{}, f)
	var fc struct {
		RequestID string
		Function  struct {
			Name, Handler, Memory string
			Timeout               int
		}
		Region  string
		Tracing struct{ OpenTracingSpanContext string }
	}
	r := invoke(t, h, `{}`)
	if err := json.Unmarshal(r.Payload, &fc); err != nil {
		t.Fatalf("%s: %v", r.Payload, err)
	}
	if fc.RequestID != r.RequestID || fc.Function.Name != "hello" || fc.Function.Memory != "512" ||
		fc.Function.Timeout != 90 || strings.Count(fc.Tracing.OpenTracingSpanContext, ":") != 3 {
		t.Errorf("context of FC = %s", r.Payload)
	}
	f = program(t, "awssdk", "context")
	f.Memory, f.Timeout = 512, 90*time.Second
	h = runtime.RunT(t, runtime.Options{}, f)
	var aws struct {
		Request, ARN, Name, Group, Trace string
		Memory                           int
		Deadline                         int64
	}
	r = invoke(t, h, `{}`)
	if err := json.Unmarshal(r.Payload, &aws); err != nil {
		t.Fatalf("%s: %v", r.Payload, err)
	}
	left := time.UnixMilli(aws.Deadline).Sub(r.Report.Start)
	if aws.Request != r.RequestID || !strings.HasSuffix(aws.ARN, ":function:hello") || aws.Name != "hello" ||
		aws.Memory != 512 || aws.Group != "/aws/lambda/hello" ||
		!strings.HasPrefix(aws.Trace, "Root=1-") || left < 89*time.Second || left > 91*time.Second {
		t.Errorf("context of Lambda = %s, %v left", r.Payload, left)
	}
}

// An initializer runs before the first event if it is configured, and not otherwise.
func TestAnInitializerIsConfigured(t *testing.T) {
	for _, configured := range []bool{true, false} {
		f := program(t, "fcsdk", "initializer")
		f.Initializer = configured
		h := runtime.RunT(t, runtime.Options{}, f)
		want := map[bool]string{true: `"warm"`, false: `"cold"`}[configured]
		if r := invoke(t, h, `{}`); string(r.Payload) != want {
			t.Errorf("configured %t: %s, want %s", configured, r.Payload, want)
		}
	}
	f := program(t, "fchttp", "")
	f.Initializer = true
	h := runtime.RunT(t, runtime.Options{}, f)
	if r := invoke(t, h, `{}`); r.Failure != runtime.InitFailed ||
		!strings.Contains(string(r.Payload), "no initializer handler registered") {
		t.Errorf("configured and not there: %s, %q", r.Payload, r.Failure)
	}
}

func TestHTTPHandlersOfBothSDKs(t *testing.T) {
	for _, c := range []struct {
		folder, mode, answer string
		cookies              int
	}{
		{"fcsdk", "trigger", "a body at /a%20b", 0},
		{"awssdk", "gateway", "a body at /a%20b", 2},
		{"awssdk", "url", "POST /a b\nPOST /a b\nPOST /a b\n", 0},
	} {
		h := runtime.RunT(t, runtime.Options{}, program(t, c.folder, c.mode))
		w := over(h, "POST", "http://bots.example/a%20b", "a body")
		if w.Code != 202 || w.Body.String() != c.answer || len(w.Header()["Set-Cookie"]) != c.cookies {
			t.Errorf("%s %s: %d %q %v", c.folder, c.mode, w.Code, w.Body, w.Header())
		}
	}
}

func TestQueueHandlersOfLambda(t *testing.T) {
	h := runtime.RunT(t, runtime.Options{}, program(t, "awssdk", "queue"))
	event, err := h.Event("hello", runtime.SQS, runtime.Message{ID: "m1", Body: []byte("no JSON")},
		runtime.Message{ID: "m2", Body: []byte("to fail")})
	if err != nil {
		t.Fatal(err)
	}
	if r := invoke(t, h, string(event)); string(r.Payload) != `{"batchItemFailures":[{"itemIdentifier":"m2"}]}` {
		t.Errorf("answer = %s", r.Payload)
	}
}

// A Lambda process with an extension receives SIGTERM at a timeout, and is killed if it stays.
func TestATimeoutSendsSIGTERM(t *testing.T) {
	for _, asked := range []bool{true, false} {
		notes := filepath.Join(t.TempDir(), "notes")
		f, g := hello(t, runtime.Lambda, "HELLO_NOTES", notes), newGate(t)
		if asked {
			f.Env["HELLO_TERM"] = "yes"
		}
		c := newClock()
		h := runtime.RunT(t, runtime.Options{Clock: c, Grace: time.Minute}, f)
		call := start(t, t.Context(), h, g.payload())
		pid, release := g.arrived()
		defer release()
		c.advance(3 * time.Second)
		if r := call.result(); r.Failure != runtime.TimedOut {
			t.Fatalf("answer = %s, %q", r.Payload, r.Failure)
		}
		if asked {
			eventually(t, "the process notes SIGTERM", func() bool {
				got,
					_ := os.ReadFile(notes)
				return string(got) == "SIGTERM\n"
			})
			if !alive(pid) {
				t.Error("it was not given the grace period")
			}
			c.advance(time.Minute)
		}
		eventually(t, "the process ends", func() bool { return h.Stats("hello").Processes == 0 && !alive(pid) })
		if _, err := os.Stat(notes); asked != (err == nil) {
			t.Errorf("asked %t: notes: %v", asked, err)
		}
		if r := invoke(t, h, `{}`); r.Failure != runtime.Answered {
			t.Errorf("afterwards: %s, %q", r.Payload, r.Failure)
		}
	}
}
