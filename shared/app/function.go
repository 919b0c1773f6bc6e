package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"chatconf/shared/cloud"
	"chatconf/shared/invoke"
	"chatconf/shared/seal"
	"chatconf/shared/serve"
)

// openTime is how long a function may take to open, where whoever waits for it has no deadline of its own.
const openTime = 20 * time.Second

// A Function is the service as a function of a cloud. It is opened by Warm, or by the first invocation that finds it closed: that reads
// the key ring, and proves that the tables are those of the ring. It changes nothing: tables are claimed by the command-line tool.
type Function struct {
	settings Settings
	tables   Tables
	cloud    cloud.Cloud
	ring     *seal.Ring // nil: the key service has to open it
	role     Role

	app    atomic.Pointer[App]
	turn   chan struct{}           // holds one token, for whoever opens
	failed atomic.Pointer[failure] // the last that could not, though it had the time
}

// A failure is one attempt to open a function that came to nothing.
type failure struct{ err error }

var _ serve.Handler = (*Function)(nil)

// NewFunction returns the function with a role in an environment, in which the given names are set; read
// reads the cloud of it. It sends nothing. The error lists every mistake in the environment.
func NewFunction(getenv func(string) string, read func(getenv func(string) string) (cloud.Cloud, error), r Role, names ...string) (*Function, error) {
	s, mistakes := readSettings(getenv, names)
	f := &Function{settings: s, role: r, turn: make(chan struct{}, 1)}
	if r.check != nil {
		mistakes = append(mistakes, r.check(s)...)
	}
	var err error
	switch {
	case s.KeyRing == "":
		mistakes = append(mistakes, errors.New("CHATCONF_KEYRING: wanted the key ring: kms:BASE64 as the key service sealed it, or file:PATH, or JSON"))
	case !strings.HasPrefix(s.KeyRing.Reveal(), sealedRing):
		if f.ring, err = readRing(s); err != nil {
			mistakes = append(mistakes, err)
		}
	}
	if f.cloud, err = read(getenv); err != nil {
		return nil, mistaken(append(mistakes, err))
	}
	if f.tables, err = s.CloudTables(f.cloud); err != nil {
		mistakes = append(mistakes, err)
	}
	if len(mistakes) > 0 {
		return nil, mistaken(mistakes)
	}
	return f, nil
}

// Warm opens the function ahead of its first invocation.
func (f *Function) Warm(ctx context.Context) error {
	_, err := f.open(ctx)
	return err
}

// ServeHTTP implements http.Handler. What cannot be opened answers ServiceUnavailable, and the log says why.
func (f *Function) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.handler(r.Context()).ServeHTTP(w, r)
}

// ServeEvent implements serve.Handler.
func (f *Function) ServeEvent(ctx context.Context, e serve.Event) (answer []byte, err error) {
	return f.handler(ctx).ServeEvent(ctx, e)
}

// handler returns the handler of the function, opened, or one that says that it is not.
func (f *Function) handler(ctx context.Context) serve.Handler {
	a, err := f.open(ctx)
	if err != nil {
		if f.role.closed == nil {
			return &closed{err}
		}
		return f.role.closed(f.settings, err)
	}
	return a.Handler
}

// Close closes the tables.
func (f *Function) Close() error {
	var err error
	if a := f.app.Load(); a != nil {
		err = a.Close()
	}
	err = errors.Join(err, f.tables.Close())
	f.cloud.Close()
	return err
}

// open returns the service, which the first to ask opens for all, within its own time. Those who wait while that fails share the
// error; whoever comes later tries again. That the first ran out of its time is nobody else's error: the next tries.
func (f *Function) open(ctx context.Context) (*App, error) {
	if a := f.app.Load(); a != nil {
		return a, nil
	}
	before := f.failed.Load()
	select {
	case f.turn <- struct{}{}:
		defer func() { <-f.turn }()
	case <-ctx.Done():
		return nil, fmt.Errorf("not opened in time: %w", ctx.Err())
	}
	if a := f.app.Load(); a != nil {
		return a, nil
	}
	if failed := f.failed.Load(); failed != before {
		return nil, failed.err
	}
	bound, cancel := context.WithTimeout(ctx, openTime)
	defer cancel()
	a, err := f.wire(bound)
	if err != nil {
		if ctx.Err() == nil {
			f.failed.Store(&failure{err})
		}
		return nil, err
	}
	f.app.Store(a)
	return a, nil
}

// wire reads the key ring, and beside it the claim of the tables, and puts the service together.
func (f *Function) wire(ctx context.Context) (*App, error) {
	type opening struct {
		ring *seal.Ring
		err  error
	}
	opened := make(chan opening, 1)
	go func() {
		var o opening
		defer func() { opened <- o }()
		defer invoke.Recover("app", &o.err)
		o.ring, o.err = f.openRing(ctx)
	}()
	claims, unread := f.tables.Configurations.Get(ctx, claimKey)
	o := <-opened
	if o.err != nil {
		return nil, o.err
	}
	if unread != nil {
		return nil, fmt.Errorf("%s: %w", f.tables.Where, unread)
	}
	if err := f.tables.probe(ctx); err != nil {
		return nil, err
	}
	if len(claims) == 0 {
		return nil, fmt.Errorf("%s is claimed by no key ring yet; run once, with the ring in a file: CHATCONF_KEYRING=file:keyring.json chatconf keyring claim --store %s", f.tables.Where, f.cloud.Store)
	}
	if _, err := proveClaim(f.tables, o.ring, claims[0]); err != nil {
		return nil, fmt.Errorf("CHATCONF_KEYRING: %w", err)
	}
	return wire(f.settings, f.tables, o.ring, functions{f.cloud.Call, f.cloud.Start}, f.role)
}

// openRing returns the key ring of the settings.
func (f *Function) openRing(ctx context.Context) (*seal.Ring, error) {
	if f.ring != nil {
		return f.ring, nil
	}
	text, err := f.cloud.Unseal(ctx, strings.TrimPrefix(f.settings.KeyRing.Reveal(), sealedRing))
	if err != nil {
		return nil, fmt.Errorf("CHATCONF_KEYRING: %w", err)
	}
	ring, err := seal.ParseRing(text)
	if err != nil {
		return nil, fmt.Errorf("CHATCONF_KEYRING: what the key service opened: %w", err)
	}
	return ring, nil
}

// Serve serves the function under the runtime of its cloud, or over HTTP where CHATCONF_ADDR is set and the
// runtime is not there.
func (f *Function) Serve(ctx context.Context, getenv func(string) string, runtime serve.Runtime) error {
	function := serve.Function{Handler: f, Logger: NewLogger(os.Stderr), Warm: f.Warm, Close: f.Close}
	return serve.Run(ctx, getenv, function, runtime, serve.HTTPRuntime)
}
