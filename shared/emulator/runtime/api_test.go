package runtime_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"chatconf/shared/emulator/runtime"
)

// A puppet is a function whose process does nothing: the test calls the runtime API instead.
type puppet struct {
	t    *testing.T
	host *runtime.Host
	api  string
	call *started
}

// newPuppet starts a puppet by an invocation.
func newPuppet(t *testing.T, f runtime.Function, o runtime.Options, payload string) *puppet {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	j := newJournal()
	o.Log = j.log
	f.Name, f.Dir, f.Binary, f.Env = "hello", filepath.Dir(program), filepath.Base(program),
		map[string]string{"PUPPET": "yes"}
	p := &puppet{t: t, host: runtime.RunT(t, runtime.AnyPeer(o), f)}
	p.call = start(t, t.Context(), p.host, []byte(payload))
	p.api = "http://" + j.wait(t, "api ")
	return p
}

// do sends a request to the API and returns the answer and its body.
func (p *puppet) do(method, path, body string, header ...string) (*http.Response, string) {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), method, p.api+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return resp, string(text)
}

const (
	fcBase     = "/2020-11-11/runtime/"
	lambdaBase = "/2018-06-01/runtime/"
)

func TestHeadersOfFC(t *testing.T) {
	c := newClock()
	f := runtime.Function{
		Kind: runtime.FC, Handler: "index.handler", Memory: 512, Timeout: 2500 * time.Millisecond, Region: "cn-beijing",
		Account: "42",
		Credentials: runtime.Credentials{AccessKeyID: "fake-id", AccessKeySecret: "fake-secret",
			SecurityToken: "fake-token"},
		Initializer: true,
	}
	p := newPuppet(t, f, runtime.Options{Clock: c, NewID: func() func(runtime.Kind) string {
		n := 0
		return func(runtime.Kind) string { n++; return fmt.Sprint("id-", n) }
	}()}, "a payload")
	resp, body := p.do("GET", fcBase+"invocation/next", "")
	if got := resp.Header.Get("X-Fc-Function-Type"); got != "1" || body != "" ||
		resp.Header.Get("X-Fc-Request-Id") != "id-2" {
		t.Fatalf("the first delivery is of type %q, with %q; want the initializer", got, body)
	}
	if resp, _ := p.do("POST", fcBase+"invocation/id-2/response", ""); resp.StatusCode != 200 {
		t.Errorf("answer of the initializer: %s", resp.Status)
	}
	resp, body = p.do("GET", fcBase+"invocation/next", "")
	if resp.StatusCode != 200 || body != "a payload" {
		t.Errorf("next = %s, %q", resp.Status, body)
	}
	for name, want := range map[string]string{
		"X-Fc-Request-Id": "id-1", "X-Fc-Function-Type": "", "X-Fc-Function-Timeout": "3",
		"X-Fc-Function-Deadline": fmt.Sprint(c.Now().Add(2500 * time.Millisecond).UnixMilli()),
		"X-Fc-Function-Name":     "hello", "X-Fc-Function-Handler": "index.handler", "X-Fc-Function-Memory": "512",
		"X-Fc-Region": "cn-beijing", "X-Fc-Account-Id": "42", "X-Fc-Access-Key-Id": "fake-id",
		"X-Fc-Access-Key-Secret": "fake-secret",
		"X-Fc-Security-Token":    "fake-token", "X-Fc-Retry-Count": "",
	} {
		if got := resp.Header.Get(name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	if resp, _ := p.do("POST", fcBase+"invocation/id-1/response", "an answer"); resp.StatusCode != 200 {
		t.Errorf("answer: %s", resp.Status)
	}
	if got := string(p.call.result().Payload); got != "an answer" {
		t.Errorf("answer = %q", got)
	}
}

func TestHeadersOfLambda(t *testing.T) {
	c := newClock()
	p := newPuppet(t, runtime.Function{Kind: runtime.Lambda}, runtime.Options{Clock: c}, `{"a":1}`)
	resp, body := p.do("GET", lambdaBase+"invocation/next", "")
	if resp.StatusCode != 200 || body != `{"a":1}` {
		t.Errorf("next = %s, %q", resp.Status, body)
	}
	id := resp.Header.Get("Lambda-Runtime-Aws-Request-Id")
	for name, want := range map[string]string{
		"Lambda-Runtime-Deadline-Ms":          fmt.Sprint(c.Now().Add(3 * time.Second).UnixMilli()),
		"Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:us-east-1:123456789012:function:hello",
		"Lambda-Runtime-Client-Context":       "",
	} {
		if got := resp.Header.Get(name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	if trace := resp.Header.Get("Lambda-Runtime-Trace-Id"); !regexp.MustCompile(
		`^Root=1-[0-9a-f]{8}-[0-9a-f]{24};Parent=[0-9a-f]{16};Sampled=0$`).MatchString(trace) {
		t.Errorf("Lambda-Runtime-Trace-Id = %q", trace)
	}
	if resp, _ := p.do("POST", lambdaBase+"invocation/"+id+"/response", `"an answer"`, "Content-Type",
		"text/x"); resp.StatusCode != 202 {
		t.Errorf("answer: %s", resp.Status)
	}
	if r := p.call.result(); string(r.Payload) != `"an answer"` || r.ContentType != "text/x" || r.RequestID != id {
		t.Errorf("result = %+v", r)
	}
	go func() {
		p.host.Invoke(t.Context(), "hello", runtime.Request{RequestID: "second", TraceID: "Root=1",
			ClientContext: `{"x":"y"}`})
	}()
	resp, _ = p.do("GET", lambdaBase+"invocation/next", "")
	if a, b := resp.Header.Get("Lambda-Runtime-Trace-Id"),
		resp.Header.Get("Lambda-Runtime-Client-Context"); a != "Root=1" || b != `{"x":"y"}` {
		t.Errorf("trace = %q, client context = %q", a, b)
	}
	p.do("POST", lambdaBase+"invocation/second/error", `{"errorMessage":"x"}`)
}

func TestAnswersThatNobodyWaitsFor(t *testing.T) {
	each(t, func(t *testing.T, kind runtime.Kind) {
		base, unknown := fcBase, 404
		if kind == runtime.Lambda {
			base, unknown = lambdaBase, 400
		}
		c := newClock()
		p := newPuppet(t, runtime.Function{Kind: kind, Limit: 1, Timeout: time.Second},
			runtime.Options{Clock: c, Grace: time.Nanosecond}, `{}`)
		refused := func(path, why string, want int) {
			t.Helper()
			if resp, body := p.do("POST", base+path, `"late"`); resp.StatusCode != want {
				t.Errorf("%s: %s, %s, want %d", why, resp.Status, body, want)
			}
		}
		refused("invocation/unknown/response", "an unknown id", unknown)
		resp, _ := p.do("GET", base+"invocation/next", "")
		id := resp.Header.Get("X-Fc-Request-Id") + resp.Header.Get("Lambda-Runtime-Aws-Request-Id")
		refused("invocation/"+id+"x/response", "an id that is nearly right", unknown)
		refused("invocation/"+id+"/other", "an invalid verb", 404)
		p.do("POST", base+"invocation/"+id+"/response", `"first"`)
		refused("invocation/"+id+"/response", "a second answer", unknown)
		refused("invocation/"+id+"/error", "an error after the answer", unknown)
		if got := string(p.call.result().Payload); got != `"first"` {
			t.Errorf("answer = %s", got)
		}
		refused("init/error", "an error of the start, when that is over",
			map[runtime.Kind]int{runtime.FC: 403, runtime.Lambda: 403}[kind])
		t.Cleanup(func() { c.advance(time.Hour) })
	})
}

func TestAnErrorOfTheStart(t *testing.T) {
	each(t, func(t *testing.T, kind runtime.Kind) {
		base := map[runtime.Kind]string{runtime.FC: fcBase, runtime.Lambda: lambdaBase}[kind]
		p := newPuppet(t, runtime.Function{Kind: kind}, runtime.Options{}, `{}`)
		document := `{"errorMessage":"no configuration","errorType":"Config"}`
		resp, err := http.Post(p.api+base+"init/error", "application/json", strings.NewReader(document))
		if err == nil && resp.StatusCode/100 != 2 {
			t.Errorf("it was answered with %s", resp.Status)
		}
		if r := p.call.result(); r.Failure != runtime.InitFailed || string(r.Payload) != document {
			t.Errorf("failure = %q, %s", r.Failure, r.Payload)
		}
	})
}

func TestTheAPIRefusesWhatItDoesNotKnow(t *testing.T) {
	p := newPuppet(t, runtime.Function{Kind: runtime.Lambda, MaxBody: 100}, runtime.Options{}, `{}`)
	for _, test := range []struct {
		name, method, path, body string
		header                   []string
		want                     int
	}{
		{"another API", "GET", "/2020-11-11/runtime/invocation/next", "", nil, 404},
		{"another method", "PUT", lambdaBase + "invocation/x/response", "", nil, 404},
		{"no call", "GET", lambdaBase, "", nil, 404},
		{"an extension without a name", "POST", "/2020-01-01/extension/register", "{}", nil, 403},
		{"an extension that is not registered", "GET", "/2020-01-01/extension/event/next", "",
			[]string{"Lambda-Extension-Identifier", "x"}, 403},
		{"a call that no extension has", "GET", "/2020-01-01/extension/other", "", nil, 404},
		{"an error of the start that is too large", "POST", lambdaBase + "init/error", strings.Repeat("x", 101), nil,
			413},
		{"an extension", "POST", "/2020-01-01/extension/register", "{}", []string{"Lambda-Extension-Name", "x"}, 200},
	} {
		resp, body := p.do(test.method, test.path, test.body, test.header...)
		if resp.StatusCode != test.want {
			t.Errorf("%s: %s, %s, want %d", test.name, resp.Status, body, test.want)
		}
		if test.want == 200 && (resp.Header.Get("Lambda-Extension-Identifier") == "" ||
			!strings.Contains(body, `"functionName":"hello"`)) {
			t.Errorf("%s: %v, %s", test.name, resp.Header, body)
		}
	}
	p.end()
}

// end answers the invocation that started the puppet.
func (p *puppet) end() {
	p.t.Helper()
	resp, _ := p.do("GET", lambdaBase+"invocation/next", "")
	p.do("POST", lambdaBase+"invocation/"+resp.Header.Get("Lambda-Runtime-Aws-Request-Id")+"/response", "{}")
	p.call.result()
}

// raw sends bytes to the API unchanged, and returns the reply up to the end of the connection.
func (p *puppet) raw(text string) string {
	p.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(p.api, "http://"))
	if err != nil {
		p.t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, text); err != nil {
		p.t.Fatal(err)
	}
	conn.(*net.TCPConn).CloseWrite()
	back, _ := io.ReadAll(bufio.NewReader(conn)) // a reset is an end too
	return string(back)
}

func TestTheWireOfTheAPI(t *testing.T) {
	p := newPuppet(t, runtime.Function{Kind: runtime.Lambda, MaxBody: 1000}, runtime.Options{}, `{}`)
	const host = " HTTP/1.1\r\nHost: api\r\n"
	post, get := "POST "+lambdaBase+"invocation/x/response"+host, "GET "+lambdaBase+"other"+host
	for _, test := range []struct{ name, text, want string }{
		{"a body of a length", post + "Content-Length: 2\r\n\r\n{}", "HTTP/1.1 400 "},
		{"a body in chunks, with trailers",
			post + "transfer-encoding: Chunked\r\n\r\n2\r\n{}\r\n0\r\nA: b\r\n\r\n", "HTTP/1.1 400 "},
		{"two requests at a time", post + "Content-Length: 2\r\n\r\n{}" + post + "\r\n", "HTTP/1.1 400 "},
		{"a body that is announced and asked for", post + "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n{}",
			"HTTP/1.1 100 "},
		{"a header of a mebibyte", post + "A: " + strings.Repeat("x", 1<<20) + "\r\n\r\n", "HTTP/1.1 400 "},
		{"a query", "GET " + lambdaBase + "other?x" + host + "\r\n", "HTTP/1.1 404 "},
		{"the end of the conversation", get + "Connection: close\r\n\r\n", "HTTP/1.1 404 "},
		{"headers without end", post + "A: " + strings.Repeat("x", 3<<20) + "\r\n\r\n", "HTTP/1.1 431 "},
		{"invalid chunks", post + "Transfer-Encoding: chunked\r\n\r\nxyz\r\n", "HTTP/1.1 400 "},
		{"a body that ends early", post + "Content-Length: 20\r\n\r\n{}", "HTTP/1.1 400 "},
	} {
		back := p.raw(test.text)
		if !strings.HasPrefix(back, test.want) {
			t.Errorf("%s: answered %q, want %q", test.name, back, test.want)
		}
		if n := strings.Count(back, "HTTP/1.1 4"); test.name == "two requests at a time" && n != 2 {
			t.Errorf("%s: %d answers", test.name, n)
		}
	}
	p.end()
}

func TestAStreamThatBreaksOff(t *testing.T) {
	for _, test := range []struct{ name, trailers, want string }{
		{"with its error", "Lambda-Runtime-Function-Error-Type: Broken\r\nLambda-Runtime-Function-Error-Body: " +
			"eyJhIjoxfQ==\r\n", `{"a":1}`},
		{"with an error that is not base64",
			"Lambda-Runtime-Function-Error-Type: Broken\r\nLambda-Runtime-Function-Error-Body: !\r\n",
			`{"errorMessage":"the function's response ended before it was complete","errorType":"Broken"}`},
		{"with the type of its error", "Lambda-Runtime-Function-Error-Type: Broken\r\n",
			`{"errorMessage":"the function's response ended before it was complete","errorType":"Broken"}`},
	} {
		p := newPuppet(t, runtime.Function{Kind: runtime.Lambda}, runtime.Options{}, `{}`)
		resp, _ := p.do("GET", lambdaBase+"invocation/next", "")
		id := resp.Header.Get("Lambda-Runtime-Aws-Request-Id")
		p.raw("POST " + lambdaBase + "invocation/" + id +
			"/response HTTP/1.1\r\nHost: api\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n" +
			test.trailers + "\r\n")
		if r := p.call.result(); r.Failure != runtime.Returned || string(r.Payload) != test.want {
			t.Errorf("%s: %q, %s, want %s", test.name, r.Failure, r.Payload, test.want)
		}
	}
}

func TestAnAnswerInChunksThatIsTooLong(t *testing.T) {
	p := newPuppet(t, runtime.Function{Kind: runtime.Lambda, MaxBody: 4}, runtime.Options{}, `{}`)
	resp, _ := p.do("GET", lambdaBase+"invocation/next", "")
	id := resp.Header.Get("Lambda-Runtime-Aws-Request-Id")
	back := p.raw("POST " + lambdaBase + "invocation/" + id +
		"/response HTTP/1.1\r\nHost: api\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n0\r\n\r\n")
	if r := p.call.result(); r.Failure != runtime.BodyTooLong || !strings.HasPrefix(back, "HTTP/1.1 413 ") {
		t.Errorf("failure = %q, answered %q", r.Failure, back)
	}
}

// On Lambda, a process that asks again before it has answered must wait.
func TestOneEventAtATime(t *testing.T) {
	p := newPuppet(t, runtime.Function{Kind: runtime.Lambda, Limit: 1}, runtime.Options{}, `{}`)
	next := func() (id string) {
		resp, _ := p.do("GET", lambdaBase+"invocation/next", "")
		return resp.Header.Get("Lambda-Runtime-Aws-Request-Id")
	}
	answer := func(id, body string) { p.do("POST", lambdaBase+"invocation/"+id+"/response", body) }
	first := next()
	second := start(t, t.Context(), p.host, []byte(`{}`))
	asked := make(chan string)
	go func() { asked <- next() }()
	eventually(t, "it waits", func() bool { return p.host.Stats("hello").Queued == 1 })
	select {
	case id := <-asked:
		t.Errorf("%s was delivered before %s was answered", id, first)
	default:
	}
	answer(first, "1")
	answer(<-asked, "2")
	if a, b := string(p.call.result().Payload), string(second.result().Payload); a != "1" || b != "2" {
		t.Errorf("answers = %s and %s", a, b)
	}
}

// On Lambda, a process that answers and never asks again is killed at the deadline. No caller waits
// for it.
func TestAProcessThatIsNeverDone(t *testing.T) {
	c := newClock()
	p := newPuppet(t, runtime.Function{Kind: runtime.Lambda, Timeout: 3 * time.Second}, runtime.Options{Clock: c}, `{}`)
	resp, _ := p.do("GET", lambdaBase+"invocation/next", "")
	p.do("POST", lambdaBase+"invocation/"+resp.Header.Get("Lambda-Runtime-Aws-Request-Id")+"/response", "1")
	if got := string(p.call.result().Payload); got != "1" {
		t.Errorf("answer = %s", got)
	}
	c.advance(3*time.Second - 1)
	if s := p.host.Stats("hello"); s.Processes != 1 || s.Idle != 0 {
		t.Errorf("stats before the deadline = %+v", s)
	}
	ctx, cancel := context.WithCancel(t.Context())
	next := start(t, ctx, p.host, []byte(`{}`)) // gets its own process
	eventually(t, "another starts", func() bool { return p.host.Stats("hello").Started == 2 })
	c.advance(1)
	eventually(t, "the first is killed", func() bool { return p.host.Stats("hello").Processes == 1 })
	cancel()
	<-next.done
}

func TestAnAttemptIsCountedOnFC(t *testing.T) {
	p := newPuppet(t, runtime.Function{Kind: runtime.FC, Retries: 1},
		runtime.Options{RetryDelay: func(int) time.Duration { return 0 }}, `{}`)
	take := func(verb string) (count string) {
		resp, _ := p.do("GET", fcBase+"invocation/next", "")
		p.do("POST", fcBase+"invocation/"+resp.Header.Get("X-Fc-Request-Id")+"/"+verb, `{"errorMessage":"x"}`)
		return resp.Header.Get("X-Fc-Retry-Count")
	}
	take("response")
	p.call.result()
	results := make(chan *runtime.Result, 1)
	if _, err := p.host.InvokeAsync(t.Context(), "hello", runtime.Request{TraceID: "trace"},
		func(r *runtime.Result) { results <- r }); err != nil {
		t.Fatal(err)
	}
	if a, b := take("error"), take("error"); a != "" || b != "1" {
		t.Errorf("retry counts = %q and %q, want none and 1", a, b)
	}
	if r := <-results; r.Failure != runtime.Returned {
		t.Errorf("failure = %q", r.Failure)
	}
}

// A pre-stop hook that does not end is killed after the grace period.
func TestAPreStopHookThatHangs(t *testing.T) {
	c := newClock()
	f := runtime.Function{Kind: runtime.FC, PreStop: true, IdleTimeout: time.Minute}
	p := newPuppet(t, f, runtime.Options{Clock: c, Grace: 2 * time.Second}, `{}`)
	resp, _ := p.do("GET", fcBase+"invocation/next", "")
	p.do("POST", fcBase+"invocation/"+resp.Header.Get("X-Fc-Request-Id")+"/response", "")
	p.call.result()
	asked := make(chan string, 1)
	go func() {
		resp, _ := p.do("GET", fcBase+"invocation/next", "")
		asked <- resp.Header.Get("X-Fc-Function-Type")
	}()
	eventually(t, "it is idle", func() bool { return p.host.Stats("hello").Idle == 1 })
	c.expect(t, time.Minute)
	if got := <-asked; got != "2" {
		t.Errorf("type = %q, want that of the pre-stop hook", got)
	}
	if got := p.host.Stats("hello").Processes; got != 1 {
		t.Errorf("%d processes while the hook runs, want 1", got)
	}
	c.expect(t, 2*time.Second)
	eventually(t, "it is gone", func() bool { return p.host.Stats("hello").Processes == 0 })
}
