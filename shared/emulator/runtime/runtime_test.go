package runtime_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	stdruntime "runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"chatconf/shared/emulator/runtime"
)

func TestAFunctionAnswers(t *testing.T) {
	each(t, func(t *testing.T, kind runtime.Kind) {
		h := runtime.RunT(t, runtime.Options{}, hello(t, kind))
		first, second := invoke(t, h, `{"do":"echo","arg":"ä"}`), invoke(t, h, `{}`)
		if got, want := string(first.Payload), `{"do":"echo","arg":"ä"}`; got != want ||
			first.Failure != runtime.Answered {
			t.Errorf("answer = %s, %q, want %s", got, first.Failure, want)
		}
		if got, want := string(second.Payload), `"hello"`; got != want {
			t.Errorf("answer = %s, want %s", got, want)
		}
		if first.RequestID == second.RequestID || first.RequestID == "" {
			t.Errorf("request ids are %q and %q", first.RequestID, second.RequestID)
		}
		r := first.Report
		if r.Function != "hello" || r.RequestID != first.RequestID || r.Instance == "" || r.Memory != 128 ||
			r.Failure != "" {
			t.Errorf("report = %+v", r)
		}
		if r.Duration <= 0 || r.Billed < r.Duration || r.Billed%time.Millisecond != 0 || r.Init <= 0 ||
			r.MaxMemory < 1<<20 || r.MaxMemory > 1<<30 {
			t.Errorf("report = %+v", r)
		}
		if second.Report.Init != 0 || second.Report.Instance != r.Instance {
			t.Errorf("report of a warm process = %+v", second.Report)
		}
		eventually(t, "it waits for work", func() bool {
			return h.Stats("hello") == runtime.Stats{Processes: 1, Idle: 1, Started: 1}
		})
	})
}

func TestAProcessIsToldWhereItIs(t *testing.T) {
	t.Setenv("SECRET_OF_THE_HOST", "planted")
	each(t, func(t *testing.T, kind runtime.Kind) {
		f := hello(t, kind, "OWN", "value", "AWS_REGION", "mars-1", "FC_REGION", "mars-1", "FC_RUNTIME_API", "x",
			"AWS_LAMBDA_RUNTIME_API", "x")
		f.Timeout = 42 * time.Second
		f.Credentials = runtime.Credentials{AccessKeyID: "fake-id", AccessKeySecret: "fake-secret",
			SecurityToken: "fake-token"}
		h := runtime.RunT(t, runtime.Options{}, f)
		got := about(t, h)
		if dir, _ := filepath.EvalSymlinks(f.Dir); got.Dir != dir && got.Dir != f.Dir {
			t.Errorf("it runs in %s, want %s", got.Dir, f.Dir)
		}
		if got.Left <= 40_000 || got.Left > 42_000 {
			t.Errorf("it has %d ms left, want about 42000", got.Left)
		}
		if got.Procs != 1 {
			t.Errorf("GOMAXPROCS = %d, want 1", got.Procs)
		}
		want := []string{"OWN=value", "FC_FUNCTION_NAME=hello", "FC_REGION=mars-1", "FC_FUNCTION_MEMORY_SIZE=128",
			"ALIBABA_CLOUD_ACCESS_KEY_SECRET=fake-secret", "FC_FUNCTION_HANDLER=main"}
		if kind == runtime.Lambda {
			want = []string{"OWN=value", "AWS_LAMBDA_FUNCTION_NAME=hello", "AWS_REGION=mars-1",
				"AWS_LAMBDA_FUNCTION_MEMORY_SIZE=128",
				"AWS_SESSION_TOKEN=fake-token", "_HANDLER=bootstrap", "AWS_LAMBDA_FUNCTION_VERSION=$LATEST"}
		}
		for _, word := range want {
			if !slices.Contains(got.Env, word) {
				t.Errorf("the environment has no %s", word)
			}
		}
		for _, word := range got.Env {
			if strings.Contains(word, "planted") || strings.HasPrefix(word, "PWD=/proc") {
				t.Errorf("the environment has %s", word)
			}
		}
	})
}

func TestSixteenCallersGetTheirOwnAnswers(t *testing.T) {
	each(t, func(t *testing.T, kind runtime.Kind) {
		f := hello(t, kind)
		f.Limit = 5
		h := runtime.RunT(t, runtime.Options{}, f)
		var wg sync.WaitGroup
		for caller := range 16 {
			wg.Go(func() {
				for i := range 50 {
					want := fmt.Sprintf(`{"do":"echo","arg":"%d of %d"}`, i, caller)
					r, err := h.Invoke(t.Context(), "hello", runtime.Request{Payload: []byte(want)})
					if err != nil || string(r.Payload) != want {
						t.Errorf("answer = %v, %v, want %s", r, err, want)
					}
				}
			})
		}
		wg.Wait()
		if s := h.Stats("hello"); s.Started > 5 || s.Processes > 5 || s.Queued != 0 {
			t.Errorf("stats = %+v, want at most 5 processes", s)
		}
	})
}

func TestTheLimit(t *testing.T) {
	each(t, func(t *testing.T, kind runtime.Kind) {
		f, g := hello(t, kind), newGate(t)
		f.Limit, f.Queue = 1, 1
		h := runtime.RunT(t, runtime.Options{}, f)
		busy := start(t, t.Context(), h, g.payload())
		_, release := g.arrived()
		waits := start(t, t.Context(), h, []byte(`{}`))
		eventually(t, "one waits", func() bool { return h.Stats("hello").Queued == 1 })
		_, err := h.Invoke(t.Context(), "hello", runtime.Request{})
		var refusal *runtime.Error
		if !errors.As(err, &refusal) || refusal.Code != runtime.Throttled || refusal.Status() != 429 {
			t.Errorf("a third invocation: %v, want throttled", err)
		}
		release()
		if got := string(busy.result().Payload); got != `"waited"` {
			t.Errorf("first answer = %s", got)
		}
		if got := string(waits.result().Payload); got != `"hello"` {
			t.Errorf("second answer = %s", got)
		}
		if got := h.Stats("hello").Started; got != 1 {
			t.Errorf("%d processes were started, want 1", got)
		}
	})
}

func TestWithoutAQueueTheLimitThrottlesAtOnce(t *testing.T) {
	f, g := hello(t, runtime.Lambda), newGate(t)
	f.Limit, f.Queue = 1, -1
	h := runtime.RunT(t, runtime.Options{}, f)
	busy := start(t, t.Context(), h, g.payload())
	_, release := g.arrived()
	var refusal *runtime.Error
	if _, err := h.Invoke(t.Context(), "hello", runtime.Request{}); !errors.As(err, &refusal) ||
		refusal.Code != runtime.Throttled {
		t.Errorf("a second invocation: %v, want throttled", err)
	}
	release()
	busy.result()
}

func TestTheProcessThatWasUsedLastIsUsedNext(t *testing.T) {
	f, g := hello(t, runtime.FC), newGate(t)
	h := runtime.RunT(t, runtime.Options{}, f)
	a, b := start(t, t.Context(), h, g.payload()), start(t, t.Context(), h, g.payload())
	_, releaseA := g.arrived()
	last, releaseB := g.arrived()
	releaseA()
	// The two may end in any order, but both must have ended.
	eventually(t, "one ended", func() bool { return h.Stats("hello").Idle == 1 })
	releaseB()
	a.result()
	b.result()
	for range 5 {
		eventually(t, "both wait for work", func() bool { return h.Stats("hello").Idle == 2 })
		if got := about(t, h).PID; got != last {
			t.Errorf("process %d was used, want %d", got, last)
		}
	}
}

func TestAnErrorLeavesTheProcess(t *testing.T) {
	each(t, func(t *testing.T, kind runtime.Kind) {
		h := runtime.RunT(t, runtime.Options{}, hello(t, kind))
		before := about(t, h).PID
		r := invoke(t, h, `{"do":"error","arg":"no luck"}`)
		if d := document(t, r); r.Failure != runtime.Returned || d.ErrorMessage != "no luck" ||
			d.ErrorType != "errorString" {
			t.Errorf("failure = %q, %s", r.Failure, r.Payload)
		}
		if got := about(t, h).PID; got != before {
			t.Errorf("process %d came after %d, want the same", got, before)
		}
	})
}

func TestAPanic(t *testing.T) {
	each(t, func(t *testing.T, kind runtime.Kind) {
		h := runtime.RunT(t, runtime.Options{}, hello(t, kind))
		before := about(t, h).PID
		r := invoke(t, h, `{"do":"panic","arg":"oh no"}`)
		if d := document(t, r); r.Failure != runtime.Returned || d.ErrorMessage != "oh no" || len(d.StackTrace) == 0 {
			t.Errorf("failure = %q, %s", r.Failure, r.Payload)
		}
		// FC's process continues; Lambda's ends and is replaced. Callers do not notice.
		if got, lives := about(t, h).PID, kind == runtime.FC; (got == before) != lives {
			t.Errorf("process %d came after %d", got, before)
		}
	})
}

func TestAProcessThatDiesFailsItsInvocationOnly(t *testing.T) {
	each(t, func(t *testing.T, kind runtime.Kind) {
		f, g, j := hello(t, kind), newGate(t), newJournal()
		f.Limit = 2
		h := runtime.RunT(t, runtime.Options{Log: j.log}, f)
		victim, other := start(t, t.Context(), h, g.payload()), (*started)(nil)
		pid, _ := g.arrived()
		other = start(t, t.Context(), h, g.payload())
		_, release := g.arrived()
		waits := start(t, t.Context(), h, []byte(`{}`))
		eventually(t, "one waits", func() bool { return h.Stats("hello").Queued == 1 })
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		r := victim.result()
		d := document(t, r)
		switch {
		case r.Failure != runtime.Exited:
			t.Errorf("failure = %q", r.Failure)
		case kind == runtime.Lambda && (d.ErrorType != "Runtime.ExitError" || d.ErrorMessage != "RequestId: "+
			r.RequestID+" Error: Runtime exited with error: signal: killed"):
			t.Errorf("error = %s", r.Payload)
		case kind == runtime.FC && !strings.HasPrefix(d.ErrorMessage,
			"Process exited unexpectedly before completing request (signal: killed, maxMemoryUsage: "):
			t.Errorf("error = %s", r.Payload)
		}
		if got := string(waits.result().Payload); got != `"hello"` { // in a new process
			t.Errorf("answer = %s", got)
		}
		release()
		if got := string(other.result().Payload); got != `"waited"` {
			t.Errorf("answer = %s", got)
		}
		if got := h.Stats("hello").Started; got != 3 {
			t.Errorf("%d processes were started, want 3", got)
		}
	})
}

func TestAnExit(t *testing.T) {
	each(t, func(t *testing.T, kind runtime.Kind) {
		h := runtime.RunT(t, runtime.Options{}, hello(t, kind))
		r := invoke(t, h, `{"do":"exit","size":0}`)
		want := "Process exited unexpectedly before completing request (exit status 0, "
		if kind == runtime.Lambda {
			want = "RequestId: " + r.RequestID + " Error: Runtime exited without providing a reason"
		}
		if d := document(t, r); r.Failure != runtime.Exited || !strings.HasPrefix(d.ErrorMessage, want) {
			t.Errorf("failure = %q, %s", r.Failure, r.Payload)
		}
		r = invoke(t, h, `{"do":"exit","size":3}`)
		if r.Failure != runtime.Exited || !strings.Contains(string(r.Payload), "exit status 3") {
			t.Errorf("failure = %q, %s", r.Failure, r.Payload)
		}
		if got := string(invoke(t, h, `{}`).Payload); got != `"hello"` {
			t.Errorf("answer = %s", got)
		}
	})
}

func TestATimeoutKills(t *testing.T) {
	each(t, func(t *testing.T, kind runtime.Kind) {
		f, g, c, j := hello(t, kind), newGate(t), newClock(), newJournal()
		f.Timeout = 3 * time.Second
		h := runtime.RunT(t, runtime.Options{Clock: c, Log: j.log, Grace: time.Nanosecond}, f)
		t.Cleanup(func() { c.advance(time.Hour) }) // so that no grace period delays Close
		call := start(t, t.Context(), h, g.payload())
		pid, _ := g.arrived()
		c.advance(3*time.Second - 1)
		if !alive(pid) || h.Stats("hello").Processes != 1 {
			t.Error("it was killed before its deadline")
		}
		c.advance(1)
		r := call.result()
		want := "Function time out after 3 seconds (maxMemoryUsage: "
		if kind == runtime.Lambda {
			want = "RequestId: " + r.RequestID + " Error: Task timed out after 3.00 seconds"
		}
		if d := document(t, r); r.Failure != runtime.TimedOut || !strings.HasPrefix(d.ErrorMessage, want) {
			t.Errorf("failure = %q, %s", r.Failure, r.Payload)
		}
		if got, want := r.Report.Duration, 3*time.Second; got != want || r.Report.Failure != runtime.TimedOut {
			t.Errorf("report = %+v", r.Report)
		}
		eventually(t, "the process is dead", func() bool { return !alive(pid) && h.Stats("hello").Processes == 0 })
		if got := string(invoke(t, h, `{}`).Payload); got != `"hello"` {
			t.Errorf("answer = %s", got)
		}
		if lines := j.of(r.RequestID); !strings.Contains(strings.Join(lines, "\n"), "Duration: 3000.00 ms") {
			t.Errorf("lines = %q", lines)
		}
	})
}

func TestAProcessThatCannotStartFailsEachCallOnce(t *testing.T) {
	each(t, func(t *testing.T, kind runtime.Kind) {
		f := hello(t, kind, "HELLO_START", "exit")
		f.Limit = 3
		h := runtime.RunT(t, runtime.Options{}, f)
		var calls []*started
		for range 7 {
			calls = append(calls, start(t, t.Context(), h, []byte(`{}`)))
		}
		for _, c := range calls {
			r := c.result()
			if r.Failure != runtime.InitFailed || !strings.Contains(string(r.Payload), "exit status 7") {
				t.Errorf("failure = %q, %s", r.Failure, r.Payload)
			}
			if got, want := string(r.Log), "cannot start\n"; got != want {
				t.Errorf("log = %q, want %q", got, want)
			}
		}
		if got := h.Stats("hello").Started; got != 7 {
			t.Errorf("%d processes were started, want 7", got)
		}
	})
}

func TestAProgramThatIsNone(t *testing.T) {
	dir := t.TempDir()
	head := elfHead(binary.LittleEndian, map[string]uint16{"amd64": 0x3e, "arm64": 0xb7}[stdruntime.GOARCH])
	if err := os.WriteFile(filepath.Join(dir, "bootstrap"), []byte(head), 0o700); err != nil {
		t.Fatal(err)
	}
	h := runtime.RunT(t, runtime.Options{}, runtime.Function{Name: "hello", Kind: runtime.Lambda, Dir: dir})
	r := invoke(t, h, `{}`)
	if r.Failure != runtime.InitFailed || !strings.Contains(string(r.Payload), "exec format error") {
		t.Errorf("failure = %q, %s", r.Failure, r.Payload)
	}
}

func TestAProcessThatDoesNotGetReady(t *testing.T) {
	each(t, func(t *testing.T, kind runtime.Kind) {
		f, c := hello(t, kind, "HELLO_START", "hang"), newClock()
		f.InitTimeout = 5 * time.Second
		h := runtime.RunT(t, runtime.Options{Clock: c}, f)
		call := start(t, t.Context(), h, []byte(`{}`))
		eventually(t, "it starts", func() bool { return h.Stats("hello").Started == 1 })
		for over := false; !over; { // the process may start after its init timeout
			c.advance(5 * time.Second)
			select {
			case <-call.done:
				over = true
			default:
			}
		}
		if r := call.result(); r.Failure != runtime.InitFailed ||
			!strings.Contains(string(r.Payload), "timed out after 5s") {
			t.Errorf("failure = %q, %s", r.Failure, r.Payload)
		}
	})
}

func notes(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return strings.Join(strings.Fields(string(text)), " ")
}

func TestHooksOfFC(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notes")
	f := hello(t, runtime.FC, "HELLO_NOTES", path)
	f.Initializer, f.PreStop = true, true
	j := newJournal()
	h := runtime.New(runtime.Options{Log: j.log})
	if err := h.Add(f); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if got := string(invoke(t, h, `{}`).Payload); got != `"hello"` {
			t.Errorf("answer = %s", got)
		}
	}
	if got, want := notes(t, path), "initializer"; got != want {
		t.Errorf("hooks = %q, want %q", got, want)
	}
	if err := h.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := notes(t, path), "initializer pre-stop"; got != want {
		t.Errorf("hooks = %q, want %q", got, want)
	}
	j.wait(t, "FC PreStop End RequestId: ")
}

func TestAnInitializerThatFails(t *testing.T) {
	f := hello(t, runtime.FC, "HELLO_INITIALIZER", "panic")
	f.Initializer, f.Limit = true, 1
	h := runtime.RunT(t, runtime.Options{}, f)
	for n := 1; n <= 2; n++ {
		r := invoke(t, h, `{}`)
		if d := document(t, r); r.Failure != runtime.InitFailed || d.ErrorMessage != "no network" {
			t.Errorf("failure = %q, %s", r.Failure, r.Payload)
		}
		if got := h.Stats("hello").Started; got != n {
			t.Errorf("%d processes were started, want %d", got, n)
		}
	}
}

func TestAnIdleProcessIsStopped(t *testing.T) {
	each(t, func(t *testing.T, kind runtime.Kind) {
		path, c := filepath.Join(t.TempDir(), "notes"), newClock()
		f := hello(t, kind, "HELLO_NOTES", path, "HELLO_TERM", "stay")
		f.PreStop = kind == runtime.FC
		f.IdleTimeout = time.Minute
		h := runtime.RunT(t, runtime.Options{Clock: c, Grace: 2 * time.Second}, f)
		pid := about(t, h).PID
		eventually(t, "it is idle", func() bool { return h.Stats("hello").Idle == 1 })
		c.advance(30 * time.Second)
		if got := about(t, h).PID; got != pid {
			t.Errorf("process %d came after %d", got, pid)
		}
		eventually(t, "it is idle", func() bool { return h.Stats("hello").Idle == 1 })
		c.advance(30 * time.Second) // the first check, too early
		if !alive(pid) || h.Stats("hello").Idle != 1 {
			t.Error("it was stopped half a minute after its last work")
		}
		c.advance(30 * time.Second)
		want := "SIGTERM" // the process stays
		if kind == runtime.FC {
			want = "pre-stop SIGTERM"
		}
		eventually(t, "it is noted", func() bool { return strings.HasSuffix(notes(t, path), want) })
		if !alive(pid) || h.Stats("hello").Idle != 0 {
			t.Error("it was killed without a grace period, or can still be given work")
		}
		eventually(t, "it is killed", func() bool {
			c.advance(2 * time.Second)
			return !alive(pid) && h.Stats("hello").Processes == 0
		})
		if got := about(t, h).PID; got == pid {
			t.Error("it came back")
		}
		eventually(t, "it is idle", func() bool { return h.Stats("hello").Idle == 1 })
		c.advance(time.Hour)
		eventually(t, "it is killed", func() bool {
			c.advance(2 * time.Second)
			return h.Stats(
				"hello").Processes == 0
		})
	})
}

func TestPayloadsOfAnySizeUpToTheLimit(t *testing.T) {
	each(t, func(t *testing.T, kind runtime.Kind) {
		f := hello(t, kind)
		f.Limit = 1
		h := runtime.RunT(t, runtime.Options{}, f)
		limit := map[runtime.Kind]int{runtime.FC: 32 << 20, runtime.Lambda: 6 << 20}[kind]
		if got := h.Functions()[0].MaxBody; got != limit {
			t.Errorf("limit = %d, want %d", got, limit)
		}
		payload := `{"do":"length","arg":"` + strings.Repeat("x", limit-24) + `"}`
		if got, want := string(invoke(t, h, payload).Payload), fmt.Sprint(limit); got != want {
			t.Errorf("a payload of %d bytes arrived as %s", limit, got)
		}
		var refusal *runtime.Error
		if _, err := h.Invoke(t.Context(), "hello", runtime.Request{Payload: []byte(payload + " ")}); !errors.As(err,
			&refusal) || refusal.Code != runtime.TooLarge {
			t.Errorf("a payload that is too large: %v", err)
		}
		if r := invoke(t, h, fmt.Sprintf(`{"do":"big","size":%d}`, limit)); r.Failure != runtime.Answered ||
			len(r.Payload) != limit {
			t.Errorf("an answer of %d bytes: %q, %d bytes", limit, r.Failure, len(r.Payload))
		}
		r := invoke(t, h, fmt.Sprintf(`{"do":"big","size":%d}`, limit+1))
		if d := document(t, r); r.Failure != runtime.BodyTooLong ||
			!strings.Contains(d.ErrorMessage, fmt.Sprint(limit)) {
			t.Errorf("an answer that is too large: %q, %s", r.Failure, r.Payload)
		}
		if got := string(invoke(t, h, `{}`).Payload); got != `"hello"` {
			t.Errorf("answer after that = %s", got)
		}
	})
}

func TestStreamedAnswers(t *testing.T) {
	f := hello(t, runtime.Lambda, "HELLO_STREAM", "yes")
	h := runtime.RunT(t, runtime.Options{}, f)
	r := invoke(t, h, `{}`)
	if !strings.HasSuffix(string(r.Payload), "\x00streamed body") ||
		r.ContentType != "application/vnd.awslambda.http-integration-response" {
		t.Errorf("answer = %q, %s", r.Payload, r.ContentType)
	}
	r = invoke(t, h, `"broken"`)
	if d := document(t, r); r.Failure != runtime.Returned || d.ErrorMessage != "the stream broke" ||
		d.ErrorType != "errorString" {
		t.Errorf("a stream that breaks: %q, %s", r.Failure, r.Payload)
	}
}

func TestWhoeverWentAwayIsNotWaitedFor(t *testing.T) {
	f, g := hello(t, runtime.FC), newGate(t)
	f.Limit = 1
	h := runtime.RunT(t, runtime.Options{}, f)
	ctx, cancel := context.WithCancel(t.Context())
	busy := start(t, ctx, h, g.payload())
	pid, release := g.arrived()
	queued := start(t, ctx, h, []byte(`{"do":"exit"}`))
	eventually(t, "one waits", func() bool { return h.Stats("hello").Queued == 1 })
	cancel()
	<-busy.done
	<-queued.done
	if !errors.Is(busy.err, context.Canceled) || !errors.Is(queued.err, context.Canceled) {
		t.Errorf("errors = %v and %v", busy.err, queued.err)
	}
	if got := h.Stats("hello").Queued; got != 0 {
		t.Errorf("%d invocations wait, want none", got)
	}
	release() // the invocation in progress continues and does not delay the next one
	if got := about(t, h).PID; got != pid {
		t.Errorf("process %d came after %d", got, pid)
	}
}

func TestRefusals(t *testing.T) {
	f := hello(t, runtime.Lambda)
	h := runtime.RunT(t, runtime.Options{}, f)
	for _, test := range []struct {
		name string
		fn   string
		r    runtime.Request
		want runtime.Code
	}{
		{"a function that is not there", "other", runtime.Request{}, runtime.NotFound},
		{"a payload that is not JSON", "hello", runtime.Request{Payload: []byte("{")}, runtime.BadRequest},
		{"a request id that is a path", "hello", runtime.Request{RequestID: "../x"}, runtime.BadRequest},
		{"a request id without end", "hello", runtime.Request{RequestID: strings.Repeat("x", 129)}, runtime.BadRequest},
		{"a header with a line break", "hello", runtime.Request{ClientContext: "{}\r\nX: y"}, runtime.BadRequest},
		{"a trace with a line break", "hello", runtime.Request{TraceID: "\n"}, runtime.BadRequest},
	} {
		for _, async := range []bool{false, true} {
			var err error
			if async {
				_, err = h.InvokeAsync(t.Context(), test.fn, test.r, nil)
			} else {
				_, err = h.Invoke(t.Context(), test.fn, test.r)
			}
			var refusal *runtime.Error
			if !errors.As(err, &refusal) || refusal.Code != test.want {
				t.Errorf("%s: %v, want %s", test.name, err, test.want)
			} else if want := map[runtime.Code]int{runtime.NotFound: 404,
				runtime.BadRequest: 400}[test.want]; refusal.Status() != want {
				t.Errorf("%s: status %d, want %d", test.name, refusal.Status(), want)
			}
		}
	}
	if got := h.Stats("hello").Started; got != 0 {
		t.Errorf("%d processes were started, want none", got)
	}
	if got := h.Stats("other"); got != (runtime.Stats{}) {
		t.Errorf("stats of no function = %+v", got)
	}
}

func TestARequestIDIsInUseOnce(t *testing.T) {
	h, g := runtime.RunT(t, runtime.Options{}, hello(t, runtime.FC)), newGate(t)
	done := make(chan error)
	go func() {
		_, err := h.Invoke(t.Context(), "hello", runtime.Request{RequestID: "mine", Payload: g.payload()})
		done <- err
	}()
	_, release := g.arrived()
	var refusal *runtime.Error
	if _, err := h.Invoke(t.Context(), "hello", runtime.Request{RequestID: "mine"}); !errors.As(err, &refusal) ||
		refusal.Code != runtime.BadRequest {
		t.Errorf("a second one: %v", err)
	}
	release()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if r, err := h.Invoke(t.Context(), "hello", runtime.Request{RequestID: "mine"}); err != nil ||
		r.RequestID != "mine" {
		t.Errorf("after the first: %v, %v", r, err)
	}
}

func TestCloseLetsWorkEnd(t *testing.T) {
	each(t, func(t *testing.T, kind runtime.Kind) {
		h, g := runtime.New(runtime.Options{}), newGate(t)
		if err := h.Add(hello(t, kind)); err != nil {
			t.Fatal(err)
		}
		call := start(t, t.Context(), h, g.payload())
		pid, release := g.arrived()
		closed := make(chan error)
		go func() { closed <- h.Close(t.Context()) }()
		eventually(t, "nothing is taken", func() bool {
			_, err := h.Invoke(t.Context(), "hello", runtime.Request{})
			var refusal *runtime.Error
			return errors.As(err, &refusal) && refusal.Code == runtime.Closed && refusal.Status() == 503
		})
		if _, err := h.InvokeAsync(t.Context(), "hello", runtime.Request{}, nil); err == nil {
			t.Error("an asynchronous invocation was taken")
		}
		if !alive(pid) {
			t.Error("the process was killed")
		}
		release()
		if err := <-closed; err != nil {
			t.Error(err)
		}
		if got := string(call.result().Payload); got != `"waited"` {
			t.Errorf("answer = %s", got)
		}
		if alive(pid) {
			t.Error("the process is still there")
		}
		if err := h.Close(t.Context()); err == nil {
			t.Error("it was closed twice")
		}
		if err := h.Add(hello(t, kind)); err == nil {
			t.Error("a closed host took a function")
		}
	})
}

func TestCloseKillsWhenItsTimeIsOver(t *testing.T) {
	each(t, func(t *testing.T, kind runtime.Kind) {
		h, g := runtime.New(runtime.Options{}), newGate(t)
		f := hello(t, kind)
		f.Limit = 1
		if err := h.Add(f); err != nil {
			t.Fatal(err)
		}
		call := start(t, t.Context(), h, g.payload())
		pid, _ := g.arrived()
		queued := start(t, t.Context(), h, []byte(`{}`))
		eventually(t, "one waits", func() bool { return h.Stats("hello").Queued == 1 })
		if _, err := h.InvokeAsync(t.Context(), "hello", runtime.Request{}, nil); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := h.Close(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("Close = %v, want that it was cut off", err)
		}
		if r := call.result(); r.Failure != runtime.Exited {
			t.Errorf("failure = %q, %s", r.Failure, r.Payload)
		}
		if r := queued.result(); r.Failure != runtime.InitFailed {
			t.Errorf("failure of what waited = %q, %s", r.Failure, r.Payload)
		}
		if alive(pid) {
			t.Error("the process is still there")
		}
	})
}

func TestProcessesOfProcessesEndToo(t *testing.T) {
	h := runtime.New(runtime.Options{})
	if err := h.Add(hello(t, runtime.Lambda)); err != nil {
		t.Fatal(err)
	}
	var pid int
	if err := json.Unmarshal(invoke(t, h, `{"do":"child"}`).Payload, &pid); err != nil || !alive(pid) {
		t.Fatalf("process %d: %v", pid, err)
	}
	if err := h.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is dead", func() bool { return !running(pid) })
}

// A killed host cannot stop its processes. On Linux the system does.
func TestAHostThatIsKilledLeavesNoProcess(t *testing.T) {
	if stdruntime.GOOS != "linux" {
		t.Skip("only Linux can be asked for that")
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), "HOST="+hello(t, runtime.Lambda).Dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var about struct{ PID int }
	if err := json.NewDecoder(out).Decode(&about); err != nil || !running(about.PID) {
		t.Errorf("process %d: %v", about.PID, err)
	}
	cmd.Process.Kill()
	cmd.Wait()
	eventually(t, "it is dead", func() bool { return !running(about.PID) })
}

// running reports whether a process exists and is not a zombie.
func running(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(text), ") Z ")
}

func TestCredentialsAreNeverShown(t *testing.T) {
	c := runtime.Credentials{AccessKeyID: "planted-id", AccessKeySecret: "planted-secret",
		SecurityToken: "planted-token"}
	f := runtime.Function{Credentials: c}
	text, err := json.Marshal(f)
	if shown := fmt.Sprintf("%v %+v %#v %s %v", c, f, f, text, c.LogValue()) + c.String(); err != nil ||
		strings.Contains(shown, "planted") {
		t.Errorf("credentials are shown: %s", shown)
	}
}
