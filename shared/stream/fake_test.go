package stream_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"chatconf/shared/command"
	"chatconf/shared/invoke"
	"chatconf/shared/journal"
	"chatconf/shared/platform/callback"
	"chatconf/shared/secret"
	"chatconf/shared/stream"
	"chatconf/shared/table"
	"chatconf/shared/table/file"
)

// A world is configurations, a platform to which they connect, and what was recorded and noted.
type world struct {
	*testing.T
	mu       sync.Mutex
	bots     map[string]*stream.Bot
	settings map[string]callback.Settings
	conns    map[string][]*conn // all ever opened, by bot
	opens    map[string][]time.Time
	refuse   func(bot string) error // of Open of a stream
	arrive   func(bot, message string) *callback.Response
	recorded []string
	notes    map[string][]journal.Connection
	unread   error // of Bots
	unopened error // of Open of a configuration
	skew     time.Duration
	opening  int // connections that are being opened, and the most at once
	most     int
	slow     time.Duration     // of Open of a stream
	greet    func(*conn)       // of each connection that is opened
	kinds    map[string]string // of bots; default Fake
	log      bytes.Buffer
}

func newWorld(t *testing.T) *world {
	return &world{T: t, bots: make(map[string]*stream.Bot), settings: make(map[string]callback.Settings),
		conns: make(map[string][]*conn), opens: make(map[string][]time.Time),
		notes: make(map[string][]journal.Connection)}
}

func ref(name string) command.Ref {
	return command.Ref{Account: "1000000000000000", Region: "cn-hangzhou", Name: name, Life: "1"}
}

// put creates or changes a configuration.
func (w *world) put(name, secretText string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	revision := int64(1)
	if b := w.bots[name]; b != nil {
		revision = b.Revision + 1
	}
	w.bots[name] = &stream.Bot{Ref: ref(name), Revision: revision}
	w.settings[name] = callback.Settings{"Name": secret.Text(name), "Secret": secret.Text(secretText)}
}

func (w *world) remove(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.bots, name)
}

// do calls f with the world locked.
func (w *world) do(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

// Write takes what is logged.
func (w *world) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.Write(p)
}

func (w *world) logged() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.String()
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Now().Add(w.skew)
}

// options are those of a supervisor in the world.
func (w *world) options() stream.Options {
	return stream.Options{
		Bots: func(context.Context) ([]stream.Bot, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			var all []stream.Bot
			for _, b := range w.bots {
				all = append(all, *b)
			}
			return all, w.unread
		},
		Open: func(_ context.Context, of command.Ref) (*command.Endpoint, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.unopened != nil {
				return nil, w.unopened
			}
			return &command.Endpoint{Name: of.Name, Type: cmp.Or(w.kinds[of.Name], "Fake"),
				Settings: w.settings[of.Name]}, nil
		},
		Streams: map[string]func(callback.Settings, *callback.Client) (callback.Stream, error){
			"Fake": func(s callback.Settings, _ *callback.Client) (callback.Stream, error) {
				if s["Secret"] == "" {
					return nil, errors.New("Secret is missing")
				}
				return &opener{w, s["Name"].Reveal(), s["Secret"].Reveal()}, nil
			},
		},
		Client: callback.NewClient(callback.ClientOptions{}),
		Dialer: stream.NewDialer(nil),
		Arrive: func(_ context.Context, of command.Ref, _ callback.Answerer, r *callback.Received,
			refused error) *callback.Response {
			if refused != nil {
				return &callback.Response{Status: http.StatusUnauthorized}
			}
			w.mu.Lock()
			arrive := w.arrive
			w.mu.Unlock()
			if arrive != nil {
				if response := arrive(of.Name, r.Message.ID); response != nil {
					return response
				}
			}
			w.mu.Lock()
			defer w.mu.Unlock()
			w.recorded = append(w.recorded, of.Name+"/"+r.Message.ID)
			return &callback.Response{Status: http.StatusOK, Body: []byte("answer to " + r.Message.ID)}
		},
		Note: func(_ context.Context, of command.Ref, n journal.Connection) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.notes[of.Name] = append(w.notes[of.Name], n)
		},
		Now: w.now,
	}
}

// logging returns a context whose lines go to the world's log.
func (w *world) logging() context.Context {
	return invoke.With(w.Context(), &invoke.Invocation{Logger: slog.New(slog.NewTextHandler(w, nil))})
}

// quiet returns a context whose lines go nowhere.
func quiet() context.Context {
	return invoke.With(context.Background(), &invoke.Invocation{Logger: slog.New(slog.DiscardHandler)})
}

// start starts a supervisor, which is closed with the test.
func (w *world) start(change ...func(*stream.Options)) *stream.Supervisor {
	w.Helper()
	o := w.options()
	for _, c := range change {
		c(&o)
	}
	s, err := stream.New(o)
	if err != nil {
		w.Fatal(err)
	}
	s.Start(w.logging())
	w.Cleanup(func() {
		if err := s.Close(); err != nil {
			w.Error(err)
		}
	})
	return s
}

// open returns the open connections of a bot.
func (w *world) open(name string) []*conn {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(w.conns[name]), func(c *conn) bool { return c.isClosed() })
}

// only returns the one open connection of a bot.
func (w *world) only(name string) *conn {
	w.Helper()
	synctest.Wait()
	open := w.open(name)
	if len(open) != 1 {
		w.Fatalf("%s has %d open connections, want 1; notes: %+v", name, len(open), w.noted(name))
	}
	return open[0]
}

// attempts returns how often a bot tried to connect.
func (w *world) attempts(name string) int {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.opens[name])
}

func (w *world) noted(name string) []journal.Connection {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.notes[name])
}

// lastNote returns the last note of a bot.
func (w *world) lastNote(name string) journal.Connection {
	synctest.Wait()
	all := w.noted(name)
	if len(all) == 0 {
		return journal.Connection{}
	}
	return all[len(all)-1]
}

func (w *world) hasRecorded(what string) bool {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Contains(w.recorded, what)
}

// An opener is the fake of a Stream.
type opener struct {
	*world
	bot, secret string
}

// Open implements callback.Stream.
func (o *opener) Open(ctx context.Context, d callback.Dialer) (callback.Connection, error) {
	o.mu.Lock()
	o.opens[o.bot] = append(o.opens[o.bot], time.Now())
	o.opening++
	o.most = max(o.most, o.opening)
	slow, refuse := o.slow, o.refuse
	o.mu.Unlock()
	err := invoke.Sleep(ctx, slow)
	o.mu.Lock()
	o.opening--
	o.mu.Unlock()
	if err == nil && refuse != nil {
		err = refuse(o.bot)
	}
	switch {
	case err != nil:
		return nil, err
	case o.secret == "wrong":
		return nil, callback.Final("Secret is not the one of the app")
	}
	process, _ := d.(*process)
	if process != nil {
		if err := process.mayOpen(o.bot); err != nil {
			return nil, err
		}
	}
	c := &conn{world: o.world, process: process, bot: o.bot, secret: o.secret,
		next: make(chan any, 1000), closed: make(chan struct{})}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.conns[o.bot] = append(o.conns[o.bot], c)
	if o.greet != nil {
		o.greet(c)
	}
	return c, nil
}

// A conn is the fake of a Connection.
type conn struct {
	*world
	process     *process // that opened it; nil: not known
	bot, secret string
	next        chan any // a *callback.Delivery, an error, or a func
	once        sync.Once
	closed      chan struct{}
	unanswered  error // of Ping
	sent        []string
	acknowledge []string // what was acknowledged, with the status
}

var _ callback.Sending = (*conn)(nil)

func (c *conn) isClosed() bool {
	select {
	case <-c.closed:
		return true
	default:
		return false
	}
}

// Next implements callback.Connection.
func (c *conn) Next(ctx context.Context) (*callback.Delivery, error) {
	select {
	case next := <-c.next:
		switch next := next.(type) {
		case error:
			return nil, next
		case *callback.Delivery:
			return next, nil
		case func():
			next()
		}
		return nil, errors.New("unknown")
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-c.closed:
		return nil, &callback.Ended{Reason: "closed here"}
	}
}

// deliver delivers a message.
func (c *conn) deliver(id string) {
	c.next <- &callback.Delivery{
		Received: &callback.Received{Message: &command.Message{ID: id}},
		Acknowledge: func(ctx context.Context, r *callback.Response) error {
			c.mu.Lock()
			defer c.mu.Unlock()
			switch {
			case ctx.Err() != nil:
				return ctx.Err()
			case c.isClosed():
				return errors.New("the connection is closed")
			case r.Status == http.StatusOK && !slices.Contains(c.recorded, c.bot+"/"+id):
				c.Errorf("%s was acknowledged before it was recorded", id)
			}
			c.acknowledge = append(c.acknowledge, fmt.Sprint(id, " ", r.Status))
			return nil
		},
	}
}

func (c *conn) acknowledged() []string {
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.acknowledge)
}

// PingEvery implements callback.Connection.
func (c *conn) PingEvery() time.Duration { return 30 * time.Second }

// Ping implements callback.Connection.
func (c *conn) Ping(context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.unanswered
}

// Answer implements callback.Connection.
func (c *conn) Answer(*callback.Received, string) (*callback.Response, error) {
	return &callback.Response{Status: http.StatusOK}, nil
}

// Send implements callback.Sending.
func (c *conn) Send(_ context.Context, to command.ReplyTo, text string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent = append(c.sent, to.ID+": "+text)
	return nil
}

// Close implements callback.Connection.
func (c *conn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return nil
}

// newTable returns a table for leases.
func newTable(t *testing.T) table.Table {
	db, err := file.Open(filepath.Join(t.TempDir(), "table.db"), file.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db.Table("configurations", file.TableOptions{})
}
