// Package localcloud assembles a cloud on this machine: functions as they are deployed, under the
// runtime of their cloud; the API to invoke them; timers; a URL for each function; and Tablestore
// for Function Compute. Everything listens on the loopback interface only.
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
	"chatconf/shared/emulator/sts"
	"chatconf/shared/serve"
)

// Options are the settings of a Cloud.
type Options struct {
	Log    func(runtime.Line) // receives the output of functions and their reports; nil drops them
	Logger *slog.Logger       // nil logs nothing
	Limits serve.Limits       // of each server
}

// A Cloud is a cloud on this machine. Its methods must be called by one goroutine; its handlers are
// safe for concurrent use.
type Cloud struct {
	host     *runtime.Host
	ready    map[string]func() error // unpacks a function on its first use
	sessions sessions                // of ForwardSTS
	logger   *slog.Logger
	limits   serve.Limits
	timers   sync.WaitGroup
	stops    []context.CancelFunc // end the timers
	closers  []func() error       // called in reverse order, after the functions have ended
	closed   bool
}

// New returns a cloud without functions. It does no I/O.
func New(o Options) *Cloud {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Cloud{
		host:     runtime.New(runtime.Options{Log: o.Log, Logger: o.Logger}),
		ready:    make(map[string]func() error),
		sessions: sessions{byKey: make(map[string]session)},
		logger:   o.Logger,
		limits:   o.Limits,
	}
}

// OpenTablestore starts a Tablestore emulator on a file and returns its endpoint. It accepts
// requests that are signed with one of the keys: secrets by access key id.
func (c *Cloud) OpenTablestore(path string, keys map[string]string) (endpoint string, err error) {
	server, err := ots.New(ots.Options{Path: path, AccessKeys: keys, Log: c.logger})
	if err != nil {
		return "", err
	}
	c.OnClose(server.Close)
	return c.listen(server)
}

// ServeInvokeAPI starts the APIs of both clouds for invoking functions, and returns their endpoint.
// They accept requests that are signed with one of the keys. Lambda's API also accepts the sessions
// of ForwardSTS, and Function Compute's the users and the sessions of the account, which may be
// nil; region is that of its functions. These may invoke only what their policies allow.
func (c *Cloud) ServeInvokeAPI(account *sts.Account, region string, keys ...runtime.Credentials) (string, error) {
	return c.listen(&invokeAPI{host: c.host, prepare: c.Prepare, keys: byID(keys), account: account, region: region,
		sessions: &c.sessions, now: time.Now, log: c.logger})
}

// Add adds a function. It is unpacked on its first use.
func (c *Cloud) Add(f runtime.Function) {
	c.ready[f.Name] = sync.OnceValue(func() error { return c.host.Add(f) })
}

// Functions returns the number of functions.
func (c *Cloud) Functions() int { return len(c.ready) }

// Host returns the host of the functions. It can invoke the prepared functions.
func (c *Cloud) Host() *runtime.Host { return c.host }

// Prepare unpacks a function if it is not unpacked yet. It ignores unknown functions, which the
// host refuses.
func (c *Cloud) Prepare(name string) error {
	if ready := c.ready[name]; ready != nil {
		return ready()
	}
	return nil
}

// Every invokes a function periodically, as a timer trigger with a payload does, until the cloud is
// closed.
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
				c.logger.Error("cannot invoke the function of a timer", "function", name, "err", err)
			}
		}
	})
}

// tick invokes the function of a timer once. A failure of the function is in the functions' log.
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

// OnClose registers a function that Close calls after the functions of the cloud have ended. The
// last registered function is called first.
func (c *Cloud) OnClose(f func() error) { c.closers = append(c.closers, f) }

// closeTime is how long Close waits for functions to end.
const closeTime = 2 * time.Second

// Close ends the timers, then the functions, and then the servers that functions call. A function
// that is still running after two seconds is killed, as a cloud may kill any function at any time.
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
		c.logger.Warn("running functions were killed", "err", err)
		return nil
	}
	return err
}
