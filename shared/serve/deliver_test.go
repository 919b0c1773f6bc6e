package serve_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"chatconf/shared/invoke"
	"chatconf/shared/serve"

	"github.com/google/go-cmp/cmp"
)

// A handler is made of functions; a nil one is never called.
type handler struct {
	http  http.HandlerFunc
	event func(context.Context, serve.Event) ([]byte, error)
}

func (h handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.http(w, r) }

func (h handler) ServeEvent(ctx context.Context, e serve.Event) ([]byte, error) {
	return h.event(ctx, e)
}

// A log keeps what is logged.
type log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// program returns a program of h, and what it logs.
func program(h handler) (serve.Function, *log) {
	l := &log{}
	return serve.Function{Handler: h, Logger: slog.New(slog.NewJSONHandler(l, nil))}, l
}

// echo answers an event with its id, its source and its data.
func echo(_ context.Context, e serve.Event) ([]byte, error) {
	return fmt.Appendf(nil, `{"got":%s}`, e.Data), nil
}

var call = serve.Call{RequestID: "request-1", Function: "get-chat-configuration"}

func records(bodies ...string) string {
	var b strings.Builder
	for i, body := range bodies {
		fmt.Fprintf(&b, `,{"messageId":"m%d","eventSource":"aws:sqs",`+
			`"eventSourceARN":"arn:aws:sqs:us-west-2:123456789012:q","body":%q}`, i, body)
	}
	return `{"Records":[` + b.String()[1:] + `]}`
}

// failing fails on events whose data has the word, by error or by panic.
func failing(seen *[]string) func(context.Context, serve.Event) ([]byte, error) {
	return func(_ context.Context, e serve.Event) ([]byte, error) {
		*seen = append(*seen, e.ID)
		switch {
		case bytes.Contains(e.Data, []byte("later")):
			return []byte(`{"Code":"ServiceUnavailable"}`), errors.New("table: the planted detail")
		case bytes.Contains(e.Data, []byte("panic")):
			panic("a planted panic")
		case bytes.Contains(e.Data, []byte("silent")):
			return nil, nil
		}
		return []byte(`{"ok":true}`), nil
	}
}

func TestDeliverEvents(t *testing.T) {
	message := func(id, body string) string {
		return fmt.Sprintf(`{"specversion":"1.0","id":"e","source":"s","type":"mns:Queue:SendMessage",`+
			`"data":{"messageId":%q,"messageBody":%q}}`, id, body)
	}
	for _, test := range []struct {
		name, payload string
		answer        string // part of it, where it is a refusal
		seen          []string
		code          string // of the failure; empty for none
	}{
		{name: "a direct invocation", payload: `{"Name":"x"}`, answer: `{"ok":true}`, seen: []string{"request-1"}},
		{name: "a direct invocation that may succeed later", payload: `{"Name":"later"}`,
			seen: []string{"request-1"}, code: "ServiceUnavailable"},
		{name: "a direct invocation that panics", payload: `{"Name":"panic"}`,
			seen: []string{"request-1"}, code: "InternalError"},
		{name: "a timer's event", payload: `{"triggerTime":"t","triggerName":"n","payload":""}`,
			answer: `{"ok":true}`, seen: []string{"n@t"}},
		{name: "a message that can never be done", payload: message("m1", "later"),
			answer: `{"RequestId":"request-1","Code":"InvalidEvent","Message":"the message is not an object ` +
				`of parameters, plain or in Base64"}`},
		{name: "SQS, all done", payload: records("{}", "{}"), answer: `{"batchItemFailures":[]}`,
			seen: []string{"m0", "m1"}},
		{name: "SQS, one fails, one panics, one can never be done",
			payload: records("{}", `{"a":"later"}`, "nonsense", `{"a":"panic"}`, "{}"),
			answer:  `{"batchItemFailures":[{"itemIdentifier":"m1"},{"itemIdentifier":"m3"}]}`,
			seen:    []string{"m0", "m1", "m3", "m4"}},
		{name: "SQS FIFO, all after the first failure wait",
			payload: strings.ReplaceAll(records("{}", "nonsense", `{"a":"later"}`, "{}", "nonsense"), `012:q"`,
				`012:q.fifo"`),
			answer: `{"batchItemFailures":[{"itemIdentifier":"m2"},{"itemIdentifier":"m3"},{"itemIdentifier":"m4"}]}`,
			seen:   []string{"m0", "m2"}},
		{name: "a list, all done or refused", payload: "[" + message("a", "{}") + "," + message("b", "x") + "," +
			message("c", `{"a":"silent"}`) + "]",
			answer: `[{"Id":"a","Answer":{"ok":true}},{"Id":"b","Answer":{"RequestId":"request-1",` +
				`"Code":"InvalidEvent","Message":"the message is not an object of parameters, plain or in ` +
				`Base64"}},{"Id":"c","Answer":null}]`, seen: []string{"a", "c"}},
		{name: "a list, one fails and the others are done", payload: "[" + message("a", `{"a":"later"}`) + "," +
			message("b", "{}") + "]", seen: []string{"a", "b"}, code: "ServiceUnavailable"},
		{name: "a list, one panics", payload: "[" + message("a", `{"a":"panic"}`) + "," + message("b", "{}") + "]",
			seen: []string{"a", "b"}, code: "InternalError"},
		{name: "text", payload: "hello", answer: `{"RequestId":"request-1","Code":"InvalidEvent","Message":"` +
			`invalid payload: not JSON, at byte 1"}`},
		{name: "nothing", payload: "", answer: `{"RequestId":"request-1","Code":"InvalidEvent","Message":"` +
			`invalid payload: not JSON, at byte 0"}`},
		{name: "two shapes", payload: `{"Records":[],"detail-type":"x"}`,
			answer: `{"RequestId":"request-1","Code":"InvalidEvent","Message":"the payload looks like an EventBridge ` +
				`event and a batch of SQS messages; use the keys of one of them. Its keys ` +
				`are \"Records\" \"detail-type\""}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			var seen []string
			p, l := program(handler{event: failing(&seen)})
			answer, err := serve.Deliver(t.Context(), p, call, []byte(test.payload))
			if string(answer) != test.answer {
				t.Errorf("answer = %s, want %s", answer, test.answer)
			}
			if diff := cmp.Diff(test.seen, seen); diff != "" {
				t.Errorf("what the handler saw (-want +got):\n%s", diff)
			}
			var failure *serve.Failure
			if code := ""; errors.As(err, &failure) {
				code = failure.Code
				if code != test.code || failure.RequestID != "request-1" || strings.Contains(err.Error(), "planted") ||
					!strings.Contains(err.Error(), "request-1") {
					t.Errorf("error = %v, want %s of request-1 and no detail", err, test.code)
				}
			} else if test.code != "" || err != nil {
				t.Errorf("error = %v, want %q", err, test.code)
			}
			if strings.Contains(test.payload, "panic") && (!strings.Contains(l.String(), "a planted panic") ||
				!strings.Contains(l.String(), "deliver_test.go") ||
				!strings.Contains(l.String(), `"request_id":"request-1"`)) {
				t.Errorf("the log has no stack with the request id: %s", l)
			}
			if strings.Contains(test.payload, `\"later`) && !strings.Contains(l.String(), "the planted detail") {
				t.Errorf("the log has no cause: %s", l)
			}
		})
	}
}

// What the handler sees of an invocation, and what it logs.
func TestEventsCarryTheirInvocation(t *testing.T) {
	credentials := invoke.Credentials{AccessKeyID: "fake-id", AccessKeySecret: "planted-secret",
		SecurityToken: "planted-token"}
	p, l := program(handler{event: func(ctx context.Context, e serve.Event) ([]byte, error) {
		inv := invoke.From(ctx)
		if inv.RequestID != "request-1" || inv.Credentials != credentials || inv.SourceIP != "" || inv.Secure {
			t.Errorf("invocation = %+v", inv)
		}
		if _, ok := ctx.Deadline(); !ok {
			t.Error("no deadline")
		}
		inv.Logger.Info("done", "x", 1)
		inv.Logger.Info("said already", "request_id", "mine")
		inv.Logger.With("y", 2).WithGroup("g").Info("grouped", "z", 3)
		inv.Logger.Debug("unheard")
		return nil, nil
	}})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c := call
	c.Credentials = credentials
	if answer, err := serve.Deliver(ctx, p, c, []byte(`{}`)); len(answer) != 0 || err != nil {
		t.Errorf("Deliver = %s, %v", answer, err)
	}
	var got []map[string]any
	for line := range strings.Lines(l.String()) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatal(err)
		}
		delete(fields, "time")
		delete(fields, "level")
		got = append(got, fields)
	}
	want := []map[string]any{
		{"msg": "done", "x": 1.0, "request_id": "request-1", "function": "get-chat-configuration"},
		{"msg": "said already", "request_id": "mine", "function": "get-chat-configuration"},
		{"msg": "grouped", "y": 2.0, "request_id": "request-1", "function": "get-chat-configuration",
			"g": map[string]any{"z": 3.0}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
	if strings.Count(l.String(), `"request_id"`) != 3 {
		t.Errorf("a line says its request id twice: %s", l)
	}
}

// When time is over, what was not begun is delivered again, and what was done is not.
func TestDeadlineInABatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		p, _ := program(handler{event: func(ctx context.Context, e serve.Event) ([]byte, error) {
			if e.ID == "m1" {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return []byte("{}"), nil
		}})
		answer, err := serve.Deliver(ctx, p, call, []byte(records("{}", "{}", "{}")))
		if want := `{"batchItemFailures":[{"itemIdentifier":"m1"},{"itemIdentifier":"m2"}]}`; string(answer) != want ||
			err != nil {
			t.Errorf("Deliver = %s, %v, want %s", answer, err, want)
		}
	})
}

func TestRequestID(t *testing.T) {
	for _, id := range []string{"1", "1-64f6cd87-000000000001", "LV7fzho-PHcEJPw=",
		"a_b:c.d", strings.Repeat("a", 128)} {
		if got := serve.RequestID(id); got != id {
			t.Errorf("RequestID(%q) = %q, want itself", id, got)
		}
	}
	for _, id := range []string{"", `a"b`, "a b", "a\nb", "ä", "a/b", "a\x00", "<a>", strings.Repeat("a", 129)} {
		if got := serve.RequestID(id); len(got) != 36 || got == id {
			t.Errorf("RequestID(%q) = %q, want a fresh one", id, got)
		}
	}
}

// Whatever a platform calls its request, no answer is broken by it.
func TestHostileRequestIDs(t *testing.T) {
	p, _ := program(handler{event: echo})
	answer, err := serve.Deliver(t.Context(), p, serve.Call{RequestID: `","Code":"OK`}, []byte("nonsense"))
	var e struct{ RequestId, Code string }
	if err := errors.Join(err, json.Unmarshal(answer, &e)); err != nil ||
		e.Code != "InvalidEvent" || len(e.RequestId) != 36 {
		t.Errorf("Deliver = %s, %v", answer, err)
	}
}

func TestPayloadTooLarge(t *testing.T) {
	p, _ := program(handler{event: echo})
	answer, err := serve.Deliver(t.Context(), p, call, make([]byte, serve.MaxPayload+1))
	if !strings.Contains(string(answer), `"Code":"RequestEntityTooLarge"`) || err != nil {
		t.Errorf("Deliver = %s, %v", answer, err)
	}
}

// A program without a logger logs to slog's default.
func TestNoLogger(t *testing.T) {
	l := &log{}
	before := slog.Default()
	defer slog.SetDefault(before)
	slog.SetDefault(slog.New(slog.NewJSONHandler(l, nil)))
	p := serve.Function{Handler: handler{event: echo},
		Warm: func(context.Context) error { return errors.New("no network") }}
	serve.Warm(t.Context(), p)
	if _, err := serve.Deliver(t.Context(), p, serve.Call{RequestID: "r"}, []byte("nonsense")); err != nil {
		t.Error(err)
	}
	if !strings.Contains(l.String(), "no network") || !strings.Contains(l.String(), "event refused") {
		t.Errorf("log: %s", l)
	}
}

func TestWarm(t *testing.T) {
	for _, test := range []struct {
		name string
		warm func(context.Context) error
		want string // in the log
		took time.Duration
	}{
		{"nothing to do", nil, "", 0},
		{"it works", func(context.Context) error { return nil }, "", 0},
		{"it fails", func(context.Context) error { return errors.New("no network") }, "no network", 0},
		{"it panics", func(context.Context) error { panic("a planted panic") }, "a planted panic", 0},
		{"it takes too long", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
			"deadline exceeded", serve.WarmTime},
		{"it takes too long and does not listen",
			func(context.Context) error { time.Sleep(2 * serve.WarmTime); return nil },
			"deadline exceeded", serve.WarmTime},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, l := program(handler{})
				p.Warm = test.warm
				began := time.Now()
				serve.Warm(t.Context(), p)
				if took := time.Since(began); took != test.took {
					t.Errorf("Warm took %v, want %v", took, test.took)
				}
				time.Sleep(2 * serve.WarmTime) // whoever did not listen is done by then
				if got := l.String(); !strings.Contains(got, test.want) || (test.want == "") != (got == "") {
					t.Errorf("log = %q, want %q in it", got, test.want)
				}
			})
		})
	}
}

func TestRunningStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		closed, release := 0, make(chan struct{})
		p, _ := program(handler{event: func(context.Context, serve.Event) ([]byte, error) {
			<-release
			return nil,
				nil
		}})
		p.Close = func() error { closed++; return errors.New("not flushed") }
		r := serve.Start(p)
		for range 2 {
			go r.Deliver(t.Context(), call, []byte("{}"))
		}
		synctest.Wait()
		time.AfterFunc(time.Second, func() { close(release) })
		began := time.Now()
		if err := r.Stop(time.Minute, time.Millisecond); err == nil || err.Error() != "serve: close: not flushed" ||
			time.Since(began) != time.Second+time.Millisecond {
			t.Errorf("Stop = %v after %v, want what Close said after the second that a delivery took, and the time "+
				"to send its answer", err, time.Since(began))
		}
		began = time.Now()
		if err := r.Stop(time.Minute, time.Hour); err == nil || closed != 1 || time.Since(began) != 0 {
			t.Errorf("the second Stop = %v after %v, closed %d times, want the same error at once, and once",
				err, time.Since(began), closed)
		}
	})
}

// The answer to what ended just before is on its way as well, and nobody waits for what is long
// gone.
func TestRunningStopsAfterAnAnswer(t *testing.T) {
	for _, test := range []struct{ ago, want time.Duration }{{0, 3 * time.Second},
		{time.Second, 2 * time.Second}, {time.Minute, 0}} {
		synctest.Test(t, func(t *testing.T) {
			p, _ := program(handler{event: echo})
			r := serve.Start(p)
			if _, err := r.Deliver(t.Context(), call, []byte("{}")); err != nil {
				t.Fatal(err)
			}
			time.Sleep(test.ago)
			began := time.Now()
			var stopped sync.WaitGroup
			for range 2 { // such as pre-stop, and SIGTERM meanwhile
				stopped.Go(func() {
					if err := r.Stop(time.Minute, 3*time.Second); err != nil || time.Since(began) != test.want {
						t.Errorf("Stop %v after a delivery = %v after %v, want %v", test.ago,
							err, time.Since(began), test.want)
					}
				})
			}
			stopped.Wait()
		})
	}
	synctest.Test(t, func(t *testing.T) {
		p, _ := program(handler{})
		began := time.Now()
		if err := serve.Start(p).Stop(time.Minute, time.Hour); err != nil || time.Since(began) != 0 {
			t.Errorf("Stop of what did nothing = %v after %v, want that it is at once", err, time.Since(began))
		}
	})
}

func TestRunningIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		p, _ := program(handler{event: func(context.Context, serve.Event) ([]byte, error) {
			<-release
			return nil,
				nil
		}})
		r := serve.Start(p)
		go r.Deliver(t.Context(), call, []byte("{}"))
		synctest.Wait()
		for range 2 {
			if err := r.Stop(time.Second, time.Hour); err == nil || !strings.Contains(err.Error(), "cut off") {
				t.Errorf("Stop = %v, want that something was cut off", err)
			}
		}
		close(release)
	})
}

func TestClose(t *testing.T) {
	for _, test := range []struct {
		name, want string
		close      func() error
	}{
		{"nothing to do", "", nil},
		{"it works", "", func() error { return nil }},
		{"it fails", "serve: close: disk full", func() error { return errors.New("disk full") }},
		{"it panics", "serve: close: panic: oh\ngoroutine ", func() error { panic("oh") }},
	} {
		got := ""
		if err := serve.Close(serve.Function{Close: test.close}); err != nil {
			got = err.Error()
		}
		if !strings.HasPrefix(got, test.want) || test.want == "" && got != "" {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
		if strings.Contains(got, "panic") && !strings.Contains(got, "deliver_test.go") {
			t.Errorf("%s: %q has no stack", test.name, got)
		}
	}
}

func TestHTTPRuntime(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	warm, closed := make(chan struct{}), make(chan struct{})
	p, l := program(handler{http: func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w,
			invoke.From(r.Context()).SourceIP)
	}})
	p.Warm = func(context.Context) error { close(warm); return nil }
	p.Close = func() error { close(closed); return nil }
	done := make(chan error, 1)
	getenv := map[string]string{"CHATCONF_ADDR": "127.0.0.1:0"}
	go func() {
		done <- serve.Run(ctx, func(name string) string { return getenv[name] }, p, serve.HTTPRuntime)
	}()
	<-warm
	var line struct{ Address string }
	if err := json.Unmarshal([]byte(l.String()), &line); err != nil {
		t.Fatalf("%v: %s", err, l)
	}
	resp, err := http.Get("http://" + line.Address)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if string(body) != "127.0.0.1" || err != nil {
		t.Errorf("GET = %s, %v", body, err)
	}
	stop()
	if err := <-done; err != nil {
		t.Errorf("Run = %v", err)
	}
	<-closed
}

func TestHTTPRuntimeWithoutAnAddress(t *testing.T) {
	closed := false
	p := serve.Function{Close: func() error { closed = true; return errors.New("disk full") }}
	err := serve.HTTPRuntime.Serve(t.Context(), "127.0.0.1:no-port", p)
	if err == nil || !strings.Contains(err.Error(), "no-port") ||
		!strings.Contains(err.Error(), "disk full") || !closed {
		t.Errorf("Serve = %v, closed: %v", err, closed)
	}
}

func TestRun(t *testing.T) {
	served := ""
	runtime := func(variable string) serve.Runtime {
		return serve.Runtime{Variable: variable, Name: "runtime " + variable,
			Serve: func(_ context.Context, value string, _ serve.Function) error {
				served += variable + "=" + value
				return nil
			}}
	}
	table := []serve.Runtime{runtime("A"), runtime("B")}
	for _, test := range []struct {
		env          map[string]string
		served, want string
	}{
		{map[string]string{"B": "1"}, "B=1", ""},
		{map[string]string{"A": "1", "B": "2"}, "A=1", ""},
		{nil, "", "serve: no runtime found; set one of A (runtime A), B (runtime B)"},
	} {
		served = ""
		got := ""
		if err := serve.Run(t.Context(), func(name string) string { return test.env[name] },
			serve.Function{}, table...); err != nil {
			got = err.Error()
		}
		if served != test.served || got != test.want {
			t.Errorf("Run with %v served %q and said %q, want %q and %q", test.env, served, got, test.served, test.want)
		}
	}
}
