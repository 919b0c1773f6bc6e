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
	"chatconf/shared/dispatch"
	"chatconf/shared/invoke"
	"chatconf/shared/seal"
	"chatconf/shared/serve"
)

// openTime bounds how long opening a function takes, for callers without a deadline.
const openTime = 20 * time.Second

// A Function is the service as a function of a cloud. Warm opens it, or the first invocation.
// Opening reads the key ring and verifies that it has claimed the tables. It changes nothing: the
// command-line tool claims tables.
type Function struct {
	settings Settings
	tables   Tables
	cloud    cloud.Cloud
	targets  dispatch.Cloud
	ring     *seal.Ring // nil: the key service must unseal it
	role     Role

	app    atomic.Pointer[App]
	turn   chan struct{}           // holds one token, which the opener takes
	failed atomic.Pointer[failure] // the last attempt that failed in time
}

// A failure is a failed attempt to open a function.
type failure struct{ err error }

var _ serve.Handler = (*Function)(nil)

// A Reader returns the cloud that an environment describes: alibaba.Read or aws.Read.
type Reader func(getenv func(string) string) (cloud.Cloud, error)

// NewFunction returns the function with a role in an environment, in which the given names are set;
// read reads the cloud of it. It sends nothing. The error lists every mistake in the environment.
func NewFunction(getenv func(string) string, read Reader, r Role, names ...string) (*Function, error) {
	s, mistakes := readSettings(getenv, names)
	f := &Function{settings: s, role: r, turn: make(chan struct{}, 1)}
	if r.check != nil {
		mistakes = append(mistakes, r.check(s)...)
	}
	var err error
	switch {
	case s.KeyRing == "":
		mistakes = append(mistakes, errors.New(
			"CHATCONF_KEYRING: set it to the key ring: kms:BASE64 from the key service, file:PATH, or JSON"))
	case !strings.HasPrefix(s.KeyRing.Reveal(), sealedRing):
		if f.ring, err = readRing(s); err != nil {
			mistakes = append(mistakes, err)
		}
	}
	if f.cloud, err = read(getenv); err != nil {
		return nil, mistaken(append(mistakes, err))
	}
	if r.cloud != nil {
		if f.targets, err = r.cloud(getenv); err != nil {
			mistakes = append(mistakes, err)
		}
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

// ServeHTTP implements http.Handler. While the function cannot be opened it answers
// ServiceUnavailable, and the log says why.
func (f *Function) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.handler(r.Context()).ServeHTTP(w, r)
}

// ServeEvent implements serve.Handler.
func (f *Function) ServeEvent(ctx context.Context, e serve.Event) (answer []byte, err error) {
	return f.handler(ctx).ServeEvent(ctx, e)
}

// handler returns the handler of the open function, or one that says that it cannot be opened.
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
	if f.targets.Close != nil {
		f.targets.Close()
	}
	return err
}

// open returns the service. The first caller opens it, within its own deadline, and the others
// wait. If that fails they get the same error; later callers try again. If the first caller ran out
// of time, the next one tries.
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

// wire reads the key ring and, at the same time, the claim of the tables. Then it puts the service
// together.
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
		return nil, fmt.Errorf("%s is not claimed by a key ring yet; run this once, with the key ring in a file: "+
			"CHATCONF_KEYRING=file:keyring.json chatconf keyring claim --store %s", f.tables.Where, f.cloud.Store)
	}
	if _, err := proveClaim(f.tables, o.ring, claims[0]); err != nil {
		return nil, fmt.Errorf("CHATCONF_KEYRING: %w", err)
	}
	return wire(f.settings, f.tables, o.ring, around{f.cloud.Start, f.targets}, f.role)
}

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
		return nil, fmt.Errorf("CHATCONF_KEYRING: the text from the key service: %w", err)
	}
	return ring, nil
}

// Serve serves the function under the runtime of its cloud, or over HTTP where CHATCONF_ADDR is set
// and the runtime is not there.
func (f *Function) Serve(ctx context.Context, getenv func(string) string, runtime serve.Runtime) error {
	function := serve.Function{Handler: f, Logger: NewLogger(os.Stderr), Warm: f.Warm, Close: f.Close}
	return serve.Run(ctx, getenv, function, runtime, serve.HTTPRuntime)
}
