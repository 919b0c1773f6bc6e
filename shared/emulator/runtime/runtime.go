// Package runtime runs the binaries of functions as their clouds do: it is the runtime API of
// Function Compute's Go runtime and of AWS Lambda around processes on this machine, without
// containers and without a change to the binary.
//
// A Host runs one process per invocation under way, up to a limit; it starts them on demand,
// keeps them warm, hands work to the one that was used last, and stops those that nobody used for
// a while. Each process has a listener of its own on loopback, for the protocols carry no word on
// which instance speaks; on Linux it serves that process, and what that process started, and
// nobody else on this machine. What is promised to a caller is what the clouds promise: one
// answer or one failure per invocation, in the cloud's own form.
//
// A function of FC that fc.StartHttp starts is given HTTP requests in the header
// x-fc-http-params, as FC 2.0 did; any other has them as events.
//
// What differs from a cloud: memory is measured and not limited; the share of a core that a
// function has is not limited either, but its GOMAXPROCS is as many cores as its memory is worth,
// unless its environment says more; a Lambda process that fails in its init phase is not tried a
// second time for the same invocation; the network is the machine's. Where a cloud's behaviour is
// not published, the code says what it assumes.
package runtime

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// Options say how a Host behaves. The zero value is fine.
type Options struct {
	// Clock measures deadlines, durations and idleness. Nil is the machine's.
	Clock Clock
	// NewID makes the ids of invocations, each another. Nil makes random ones that look like the
	// cloud's.
	NewID func(Kind) string
	// Log is told every line that functions print, and the lines that the clouds add for an
	// invocation, one call at a time; it must not call the host. Nil is nobody. WriteLines and
	// LogLines make one.
	Log func(Line)
	// Logger is told of the life of processes: started, stopped, died. Nil is nobody.
	Logger *slog.Logger
	// Grace is how long a process has between SIGTERM and SIGKILL, and for a pre-stop hook. Zero is
	// two seconds.
	Grace time.Duration
	// Pending bounds the asynchronous invocations of one function that are not done. Zero is 1000.
	Pending int
	// RetryDelay is how long an asynchronous invocation that failed the n-th time waits for its
	// next attempt. Nil waits one second, then twice as long each time. The clouds wait longer:
	// Lambda one minute and then two.
	RetryDelay func(n int) time.Duration

	anyPeer bool // for tests, which speak to the API in place of a process
}

// A Clock is what a Host measures time with and waits by.
type Clock interface {
	Now() time.Time
	// AfterFunc calls f in a goroutine of its own after d, unless the returned function is called
	// before.
	AfterFunc(d time.Duration, f func()) (stop func() bool)
}

type machineClock struct{}

func (machineClock) Now() time.Time { return time.Now() }

func (machineClock) AfterFunc(d time.Duration, f func()) func() bool {
	return time.AfterFunc(d, f).Stop
}

// A Host runs functions. Its methods may be called at the same time.
type Host struct {
	o       Options
	spawner *spawner
	logs    bool // somebody is told the log
	logMu   sync.Mutex
	sweep   sync.Once

	unchecked sync.Once // it was said that this system does not tell whose connections are

	mu     sync.Mutex
	pools  map[string]*pool
	temps  []*temp
	closed bool
}

// New returns a host without functions. It starts no process; Close ends it.
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

// log tells a line to whoever wants to know.
func (h *Host) log(l Line) {
	h.logMu.Lock()
	defer h.logMu.Unlock()
	h.o.Log(l)
}

// panicked logs a panic that was recovered.
func (h *Host) panicked(v any, stack []byte) {
	h.o.Logger.Error("panic", "panic", fmt.Sprint(v), "stack", string(stack))
}

// Add makes a function ready to be invoked. It looks at the function's files, unpacks them if need
// be, and starts nothing. What hosts that were killed had unpacked is removed.
func (h *Host) Add(f Function) error {
	if err := f.check(); err != nil {
		return fmt.Errorf("runtime: function %q: %w", f.Name, err)
	}
	var unpacked *temp
	if f.Zip != "" {
		h.sweep.Do(func() { sweepTemps(time.Now()) })
		var err error
		if unpacked, err = unpack(f.Zip); err != nil {
			return fmt.Errorf("runtime: function %q: %w", f.Name, err)
		}
		f.Dir = unpacked.dir
	}
	err := f.checkFiles()
	if err == nil {
		err = h.add(&f, unpacked)
	}
	if err != nil {
		if unpacked != nil {
			unpacked.remove()
		}
		return fmt.Errorf("runtime: function %q: %w", f.Name, err)
	}
	return nil
}

func (h *Host) add(f *Function, unpacked *temp) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return errors.New("the host is closed")
	}
	if h.pools[f.Name] != nil {
		return errors.New("there is one of that name")
	}
	h.pools[f.Name] = newPool(h, *f)
	if unpacked != nil {
		h.temps = append(h.temps, unpacked)
	}
	return nil
}

// Functions returns the functions of the host as they are run, defaults filled in, by name.
func (h *Host) Functions() []Function {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make([]Function, 0, len(h.pools))
	for _, p := range h.pools {
		out = append(out, p.fn)
	}
	slices.SortFunc(out, func(a, b Function) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
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

// Close takes no more invocations, waits for those that were taken, asynchronous ones and their
// retries included, and stops all processes as a cloud stops them. When ctx ends, what is still
// there is killed; that is the error. No process of the host is left when Close returns.
func (h *Host) Close(ctx context.Context) error {
	h.mu.Lock()
	again := h.closed
	h.closed = true
	pools := make([]*pool, 0, len(h.pools))
	for _, p := range h.pools {
		pools = append(pools, p)
	}
	h.mu.Unlock()
	if again {
		return errors.New("runtime: the host is closed already")
	}
	errs := make([]error, len(pools))
	var wg sync.WaitGroup
	for i, p := range pools {
		wg.Go(func() { errs[i] = p.close(ctx) })
	}
	wg.Wait()
	h.spawner.close()
	for _, t := range h.temps {
		errs = append(errs, t.remove())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("runtime: close: %w", err)
	}
	return nil
}

// A Stats counts the processes of one function.
type Stats struct {
	Processes int // that are there, those that start or stop included
	Idle      int // that are warm and have nothing to do
	Started   int // ever
	Queued    int // invocations that wait for a process
}

// Stats returns how many processes a function has; the zero value if there is no such function.
func (h *Host) Stats(name string) Stats {
	p, err := h.pool(name)
	if err != nil {
		return Stats{}
	}
	return p.stats()
}

// TB is what RunT needs of a test: *testing.T and *testing.B have it.
type TB interface {
	Helper()
	Cleanup(func())
	Fatal(args ...any)
	Error(args ...any)
}

// RunT returns a host of some functions that ends with the test, which fails if the host cannot be
// closed in good order.
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
