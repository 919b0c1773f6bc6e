// Package localcloud puts a cloud together on this machine: functions as they are deployed, under
// the runtime of their cloud; the API by which they invoke each other; timers; a URL for each
// function; and the Tablestore of Function Compute. Everything listens on the loopback interface
// only.
package localcloud

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"chatconf/shared/emulator/ots"
	"chatconf/shared/emulator/runtime"
	"chatconf/shared/serve"
)

// Options are the settings of a Cloud.
type Options struct {
	Log    func(runtime.Line) // receives what functions print, and their reports; nil: these are dropped
	Logger *slog.Logger       // nil: nothing is logged
	Limits serve.Limits       // of each server
}

// A Cloud is a cloud on this machine. Its methods, other than those of its handlers, are called by
// one goroutine.
type Cloud struct {
	host    *runtime.Host
	ready   map[string]func() error // unpacks a function at its first use
	logger  *slog.Logger
	limits  serve.Limits
	timers  sync.WaitGroup
	stops   []context.CancelFunc // end the timers
	closers []func() error       // called from the last to the first, after the functions have ended
	closed  bool
}

// New returns a cloud without functions. It does no I/O.
func New(o Options) *Cloud {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Cloud{
		host:   runtime.New(runtime.Options{Log: o.Log, Logger: o.Logger}),
		ready:  make(map[string]func() error),
		logger: o.Logger,
		limits: o.Limits,
	}
}

// OpenTablestore starts a Tablestore on a file and returns its endpoint. It takes requests that are
// signed with one of the keys, which are secrets by access key id.
func (c *Cloud) OpenTablestore(path string, keys map[string]string) (endpoint string, err error) {
	server, err := ots.New(ots.Options{Path: path, AccessKeys: keys, Log: c.logger})
	if err != nil {
		return "", err
	}
	c.OnClose(server.Close)
	return c.listen(server)
}

// ServeInvokeAPI starts the API that invokes the functions, of both clouds, and returns its
// endpoint. It takes requests that are signed with one of the keys.
func (c *Cloud) ServeInvokeAPI(keys ...runtime.Credentials) (endpoint string, err error) {
	byID := make(accessKeys, len(keys))
	for _, key := range keys {
		byID[key.AccessKeyID] = key
	}
	return c.listen(&invokeAPI{host: c.host, prepare: c.Prepare, keys: byID, now: time.Now, log: c.logger})
}

// Add adds a function. It is unpacked at its first use.
func (c *Cloud) Add(f runtime.Function) {
	c.ready[f.Name] = sync.OnceValue(func() error { return c.host.Add(f) })
}

// Functions returns how many functions there are.
func (c *Cloud) Functions() int { return len(c.ready) }

// Host returns the host of the functions, on which those that were prepared can be invoked.
func (c *Cloud) Host() *runtime.Host { return c.host }

// Prepare unpacks a function if that was not done yet. Of an unknown function it says nothing: the
// host refuses it.
func (c *Cloud) Prepare(name string) error {
	if ready := c.ready[name]; ready != nil {
		return ready()
	}
	return nil
}

// Every invokes a function again and again, as a timer of its cloud does, until the cloud is
// closed. The payload is that of the trigger.
func (c *Cloud) Every(d time.Duration, name, payload string) {
	ctx, stop := context.WithCancel(context.Background())
	c.stops = append(c.stops, stop)
	c.timers.Go(func() {
		ticker := time.NewTicker(d)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			if err := c.tick(ctx, name, payload); err != nil && ctx.Err() == nil {
				c.logger.Error("a timer could not invoke its function", "function", name, "err", err)
			}
		}
	})
}

// tick invokes the function of a timer once. A failure of the function is in the log of functions.
func (c *Cloud) tick(ctx context.Context, name, payload string) error {
	if err := c.Prepare(name); err != nil {
		return err
	}
	event, err := c.host.Event(name, runtime.Timer, runtime.Message{Body: []byte(payload)})
	if err != nil {
		return err
	}
	_, err = c.host.Invoke(ctx, name, runtime.Request{Payload: event})
	return err
}

// listen serves a handler on the loopback interface until the cloud is closed, and returns its URL.
func (c *Cloud) listen(h http.Handler) (endpoint string, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- serve.HTTP(ctx, l, h, c.logger, c.limits) }()
	c.OnClose(func() error {
		stop()
		return <-done
	})
	return "http://" + l.Addr().String(), nil
}

// OnClose has Close call a function after the functions of the cloud have ended. The last one that
// was given is called first.
func (c *Cloud) OnClose(f func() error) { c.closers = append(c.closers, f) }

// closeTime is how long functions have to end when the cloud is closed.
const closeTime = 2 * time.Second

// Close ends the timers, then the functions, and then what functions call. A function that still
// works after two seconds is killed, as a cloud may kill any function at any time.
func (c *Cloud) Close() error {
	if c.closed {
		return nil
	}
	c.closed = true
	for _, stop := range c.stops {
		stop()
	}
	c.timers.Wait()
	errs := []error{c.closeHost()}
	for i := len(c.closers) - 1; i >= 0; i-- {
		errs = append(errs, c.closers[i]())
	}
	return errors.Join(errs...)
}

func (c *Cloud) closeHost() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	err := c.host.Close(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		c.logger.Warn("functions were killed at their work", "err", err)
		return nil
	}
	return err
}
