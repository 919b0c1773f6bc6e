// Package runtime runs built functions on this machine as their clouds do. It implements the
// runtime API of Function Compute's Go runtime and of AWS Lambda. It needs no containers and no
// change to the binary.
//
// A Host runs one process for each concurrent invocation, up to a limit. It starts processes on
// demand, keeps them warm, reuses the one used last, and stops those idle for a while. Each process
// has its own listener on loopback, because the protocols do not identify the instance. On Linux
// the listener serves only that process and its children. A caller gets what the clouds promise:
// one answer or one failure per invocation, in the cloud's own form.
//
// An FC function that uses fc.StartHttp gets HTTP requests in the header x-fc-http-params, as in FC
// 2.0. Every other function gets them as events.
//
// Differences from the clouds:
//
//   - Memory is measured, not limited.
//   - CPU is not limited. GOMAXPROCS is the number of cores that the memory size pays for,
//     unless Env sets it.
//   - A Lambda process that fails in its init phase is not started again for the same invocation.
//   - The network is that of this machine.
//
// Where a cloud's behaviour is not published, a comment in the code says what is assumed.
package runtime

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"chatconf/shared/scratch"
)

// Options configure a Host. The zero value is ready to use.
type Options struct {
	// Clock measures deadlines, durations and idle time. Nil means the system clock.
	Clock Clock
	// NewID makes a unique id for each invocation. Nil makes random ids in the cloud's format.
	NewID func(Kind) string
	// Log receives every line that functions print, and the lines that the clouds add. Calls are
	// serialized. Log must not call the host. Nil discards the lines. WriteLines and LogLines
	// return one.
	Log func(Line)
	// Logger receives an entry when a process starts, stops or dies. Nil discards them.
	Logger *slog.Logger
	// Grace is the time between SIGTERM and SIGKILL, and the time for a pre-stop hook. Zero means
	// two seconds.
	Grace time.Duration
	// Pending limits the unfinished asynchronous invocations of one function. Zero means 1000.
	Pending int
	// RetryDelay returns the delay before the next attempt, after an asynchronous invocation failed
	// n times. Nil waits one second and doubles it each time. The clouds wait longer: Lambda one
	// minute, then two.
	RetryDelay func(n int) time.Duration

	anyPeer bool // for tests, which call the API without a process
}

// A Clock gives a Host the time and its timers.
type Clock interface {
	Now() time.Time
	// AfterFunc calls f in its own goroutine after d. The returned function cancels the call.
	AfterFunc(d time.Duration, f func()) (stop func() bool)
}

type machineClock struct{}

func (machineClock) Now() time.Time { return time.Now() }

func (machineClock) AfterFunc(d time.Duration, f func()) func() bool {
	return time.AfterFunc(d, f).Stop
}

// A Host runs functions. Its methods are safe for concurrent use.
type Host struct {
	o       Options
	spawner *spawner
	logs    bool // Options.Log is set
	logMu   sync.Mutex
	sweep   sync.Once

	unchecked sync.Once // warned that this system does not identify the process behind a connection

	mu     sync.Mutex
	pools  map[string]*pool
	temps  []*scratch.Folder
	closed bool
}

// New returns a host without functions. It starts no process. Call Close to release it.
func New(o Options) *Host {
	if o.Clock == nil {
		o.Clock = machineClock{}
	}
	if o.NewID == nil {
		o.NewID = randomID
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Grace == 0 {
		o.Grace = 2 * time.Second
	}
	if o.Pending == 0 {
		o.Pending = 1000
	}
	if o.RetryDelay == nil {
		o.RetryDelay = func(n int) time.Duration { return time.Second << min(n-1, 8) }
	}
	return &Host{o: o, spawner: newSpawner(), logs: o.Log != nil, pools: map[string]*pool{}}
}

func (h *Host) log(l Line) {
	h.logMu.Lock()
	defer h.logMu.Unlock()
	h.o.Log(l)
}

func (h *Host) panicked(v any, stack []byte) {
	h.o.Logger.Error("panic", "panic", fmt.Sprint(v), "stack", string(stack))
}

// Add makes a function ready to be invoked. It checks the function's files, unpacks an archive, and
// starts no process. It also removes files that killed hosts left behind.
func (h *Host) Add(f Function) error {
	if err := f.check(); err != nil {
		return fmt.Errorf("runtime: function %q: %w", f.Name, err)
	}
	var unpacked *scratch.Folder
	if f.Zip != "" {
		h.sweep.Do(func() { scratch.Sweep("", tempPrefix) })
		var err error
		if unpacked, err = unpack(f.Zip); err != nil {
			return fmt.Errorf("runtime: function %q: %w", f.Name, err)
		}
		f.Dir = unpacked.Path()
	}
	err := f.checkFiles()
	if err == nil {
		err = h.add(&f, unpacked)
	}
	if err != nil {
		if unpacked != nil {
			unpacked.Remove()
		}
		return fmt.Errorf("runtime: function %q: %w", f.Name, err)
	}
	return nil
}

func (h *Host) add(f *Function, unpacked *scratch.Folder) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return errors.New("the host is closed")
	}
	if h.pools[f.Name] != nil {
		return errors.New("a function of this name exists already")
	}
	h.pools[f.Name] = newPool(h, *f)
	if unpacked != nil {
		h.temps = append(h.temps, unpacked)
	}
	return nil
}

// Functions returns the functions of the host, sorted by name, with defaults filled in.
func (h *Host) Functions() []Function {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make([]Function, 0, len(h.pools))
	for _, p := range h.pools {
		out = append(out, p.fn)
	}
	slices.SortFunc(out, func(a, b Function) int { return strings.Compare(a.Name, b.Name) })
	return out
}

func (h *Host) pool(name string) (*pool, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if p := h.pools[name]; p != nil {
		return p, nil
	}
	return nil, &Error{Code: NotFound, Message: fmt.Sprintf("there is no function %q", name)}
}

// Close refuses new invocations, waits for those accepted before, and stops all processes as a
// cloud does. It also waits for asynchronous invocations and their retries. When ctx ends, Close
// kills the remaining processes and returns an error. No process of the host is left when Close
// returns.
func (h *Host) Close(ctx context.Context) error {
	h.mu.Lock()
	again := h.closed
	h.closed = true
	pools := slices.Collect(maps.Values(h.pools))
	h.mu.Unlock()
	if again {
		return errors.New("runtime: the host is already closed")
	}
	errs := make([]error, len(pools))
	var wg sync.WaitGroup
	for i, p := range pools {
		wg.Go(func() { errs[i] = p.close(ctx) })
	}
	wg.Wait()
	h.spawner.close()
	for _, t := range h.temps {
		errs = append(errs, t.Remove())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("runtime: close: %w", err)
	}
	return nil
}

// Stats counts the processes of one function.
type Stats struct {
	Processes int // existing processes, those starting or stopping included
	Idle      int // warm processes without an invocation
	Started   int // processes started so far
	Queued    int // invocations waiting for a process
}

// Stats returns the counts of a function, or the zero value if there is no such function.
func (h *Host) Stats(name string) Stats {
	p, err := h.pool(name)
	if err != nil {
		return Stats{}
	}
	return p.stats()
}

// TB has the methods that RunT needs of *testing.T or *testing.B.
type TB interface {
	Helper()
	Cleanup(func())
	Fatal(args ...any)
	Error(args ...any)
}

// RunT returns a host with the given functions and closes it when the test ends. The test fails if
// Close returns an error.
func RunT(t TB, o Options, functions ...Function) *Host {
	t.Helper()
	h := New(o)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := h.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	for _, f := range functions {
		if err := h.Add(f); err != nil {
			t.Fatal(err)
		}
	}
	return h
}
