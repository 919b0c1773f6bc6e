package runtime_test

import (
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"chatconf/shared/emulator/runtime"
)

func TestAnAsynchronousInvocation(t *testing.T) {
	each(t, func(t *testing.T, kind runtime.Kind) {
		h, results := runtime.RunT(t, runtime.Options{}, hello(t, kind)), make(chan *runtime.Result, 1)
		id, err := h.InvokeAsync(t.Context(), "hello", runtime.Request{Payload: []byte(`{}`)},
			func(r *runtime.Result) { results <- r })
		if err != nil {
			t.Fatal(err)
		}
		if r := <-results; r.RequestID != id || string(r.Payload) != `"hello"` {
			t.Errorf("result = %+v, want that of %s", r, id)
		}
	})
}

func TestAnAsynchronousInvocationIsTriedAgain(t *testing.T) {
	each(t, func(t *testing.T, kind runtime.Kind) {
		c, results, waits := newClock(), make(chan *runtime.Result, 1), make(chan int, 10)
		f := hello(t, kind)
		h := runtime.RunT(t, runtime.Options{Clock: c, Grace: time.Nanosecond, RetryDelay: func(n int) time.Duration {
			waits <- n
			return 7 * time.Minute
		}}, f)
		t.Cleanup(func() { c.advance(time.Hour) })
		done := func(r *runtime.Result) { results <- r }
		payload := []byte(`{"do":"fail-once","arg":"` + filepath.Join(t.TempDir(), "seen") + `"}`)
		if _, err := h.InvokeAsync(t.Context(), "hello", runtime.Request{Payload: payload}, done); err != nil {
			t.Fatal(err)
		}
		if got := <-waits; got != 1 {
			t.Errorf("it waits for attempt %d", got)
		}
		c.expect(t, 7*time.Minute)
		if r := <-results; string(r.Payload) != `"at last"` || r.Failure != runtime.Answered {
			t.Errorf("result = %q, %s", r.Failure, r.Payload)
		}
		// And the number of retries is limited.
		if _, err := h.InvokeAsync(t.Context(), "hello",
			runtime.Request{Payload: []byte(`{"do":"error","arg":"never"}`)}, done); err != nil {
			t.Fatal(err)
		}
		for n := range map[runtime.Kind]int{runtime.FC: 3, runtime.Lambda: 2}[kind] {
			if got := <-waits; got != n+1 {
				t.Errorf("it waits for attempt %d, want %d", got, n+1)
			}
			c.expect(t, 7*time.Minute)
		}
		if r := <-results; r.Failure != runtime.Returned || document(t, r).ErrorMessage != "never" {
			t.Errorf("result = %q, %s", r.Failure, r.Payload)
		}
	})
}

func TestAsynchronousInvocationsAreBounded(t *testing.T) {
	f, g := hello(t, runtime.Lambda), newGate(t)
	f.Limit, f.Queue = 1, -1
	results := make(chan *runtime.Result, 2)
	h := runtime.RunT(t, runtime.Options{Pending: 2}, f)
	done := func(r *runtime.Result) { results <- r }
	for i := range 3 {
		_, err := h.InvokeAsync(t.Context(), "hello", runtime.Request{Payload: g.payload()}, done)
		var refusal *runtime.Error
		if throttled := errors.As(err, &refusal) && refusal.Code == runtime.Throttled; throttled != (i == 2) {
			t.Errorf("invocation %d: %v", i, err)
		}
	}
	for range 2 { // in sequence; the queue limit does not apply to them
		_, release := g.arrived()
		release()
		if r := <-results; string(r.Payload) != `"waited"` {
			t.Errorf("result = %q, %s", r.Failure, r.Payload)
		}
	}
}

func TestCloseDoesNotWaitForTheNextAttempt(t *testing.T) {
	waits, results := make(chan int, 10), make(chan *runtime.Result, 1)
	h := runtime.New(runtime.Options{RetryDelay: func(n int) time.Duration { waits <- n; return 24 * time.Hour }})
	if err := h.Add(hello(t, runtime.FC)); err != nil {
		t.Fatal(err)
	}
	payload := []byte(`{"do":"fail-once","arg":"` + filepath.Join(t.TempDir(), "seen") + `"}`)
	if _, err := h.InvokeAsync(t.Context(), "hello", runtime.Request{Payload: payload},
		func(r *runtime.Result) { results <- r }); err != nil {
		t.Fatal(err)
	}
	<-waits
	if err := h.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if r := <-results; string(r.Payload) != `"at last"` {
		t.Errorf("result = %q, %s", r.Failure, r.Payload)
	}
}

// A panic of the callback for a result ends nothing else.
func TestAPanicOfTheOneWhoIsTold(t *testing.T) {
	logged := make(lines, 100)
	h, results := runtime.RunT(t, runtime.Options{Logger: slog.New(slog.NewJSONHandler(logged, nil))},
		hello(t, runtime.Lambda)), make(chan *runtime.Result, 1)
	for i, done := range []func(*runtime.Result){func(*runtime.Result) { panic("planted") },
		func(r *runtime.Result) { results <- r }} {
		if _, err := h.InvokeAsync(t.Context(), "hello", runtime.Request{Payload: []byte(`{}`)}, done); err != nil {
			t.Fatalf("invocation %d: %v", i, err)
		}
	}
	if r := <-results; string(r.Payload) != `"hello"` {
		t.Errorf("result = %+v", r)
	}
	line := <-logged
	for !strings.Contains(line, `"panic"`) {
		line = <-logged
	}
	if !strings.Contains(line, `"panic":"planted"`) || !strings.Contains(line, "async_test.go") {
		t.Errorf("log = %s", line)
	}
}

// lines collects the log.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}
