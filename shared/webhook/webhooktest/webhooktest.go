// Package webhooktest is a service whose tables fail on demand and whose processes can be killed,
// for tests of what receives callbacks and of what hands commands on.
package webhooktest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"chatconf/shared/chat"
	"chatconf/shared/command"
	"chatconf/shared/invoke"
	"chatconf/shared/journal"
	"chatconf/shared/platform"
	"chatconf/shared/platform/callback"
	"chatconf/shared/platform/platformsim"
	"chatconf/shared/policy"
	"chatconf/shared/seal"
	"chatconf/shared/secret"
	"chatconf/shared/table"
	"chatconf/shared/table/file"
	"chatconf/shared/webhook"
)

// Where the configurations are.
const (
	Account = "1234567890123456"
	Region  = "cn-hangzhou"
)

// Start is when a world begins.
var Start = time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)

// A World is tables on a file, a clock, and what was logged.
type World struct {
	testing.TB
	Configurations *Table
	Journals       *Table
	Ring           *seal.Ring
	Platforms      platform.List

	mu  sync.Mutex
	now time.Time
	log bytes.Buffer
}

// New returns a world without configurations.
func New(t testing.TB) *World {
	t.Helper()
	w := &World{TB: t, Platforms: platform.All(), now: Start}
	db, err := file.Open(filepath.Join(t.TempDir(), "chatconf.db"), file.Options{Now: w.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	if w.Ring, err = seal.NewRing(seal.Key{ID: "k", Secret: [seal.KeySize]byte{1}}); err != nil {
		t.Fatal(err)
	}
	calls := new(calls)
	w.Configurations = &Table{db.Table("configurations", file.TableOptions{}), calls}
	w.Journals = &Table{db.Table("journal", file.TableOptions{TTL: journal.DefaultRetention}), calls}
	return w
}

// Now returns the time.
func (w *World) Now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

// Advance lets time pass.
func (w *World) Advance(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// Write takes what is logged.
func (w *World) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.Write(p)
}

// Log returns what was logged since it was last asked.
func (w *World) Log() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	text := w.log.String()
	w.log.Reset()
	return text
}

// Context returns the context of an invocation whose lines go to the world's log.
func (w *World) Context() context.Context {
	return invoke.With(w.TB.Context(), &invoke.Invocation{RequestID: "request-1", SourceIP: "192.0.2.1",
		Logger: slog.New(slog.NewJSONHandler(w, nil))})
}

// A Process is one that serves the world's tables. What it keeps in memory is its own.
type Process struct {
	*World
	Service *chat.Service
	Journal *journal.Journal
}

// Process starts one.
func (w *World) Process() *Process {
	w.Helper()
	journal, err := journal.New(w.Journals, w.Ring, journal.Options{Now: w.Now})
	if err != nil {
		w.Fatal(err)
	}
	service, err := chat.New(w.Configurations, w.Ring, w.Platforms.Descriptions(),
		chat.Options{BaseURL: "https://chatconf.example.com/base", Journal: journal, Now: w.Now})
	if err != nil {
		w.Fatal(err)
	}
	return &Process{w, service, journal}
}

// Handler returns the process's handler of callbacks, which dispatches by dispatch.
func (p *Process) Handler(dispatch func(context.Context, command.Ref) error) *webhook.Handler {
	p.Helper()
	h, err := webhook.NewHandler(webhook.Options{Service: p.Service, Journal: p.Journal,
		Receivers: p.Platforms.Receivers(), Dispatch: dispatch, Now: p.Now})
	if err != nil {
		p.Fatal(err)
	}
	return h
}

// administrator may do everything.
var administrator = &chat.Caller{Account: Account, AccessKeyID: "CCKadmin", Policies: []*policy.Policy{policy.Owner()}}

// As returns a context in which the administrator calls.
func (w *World) As() context.Context { return chat.WithCaller(w.Context(), administrator) }

// A Bot is a configuration, and its side of the platform.
type Bot struct {
	*World
	Name     string
	Type     string
	URL      string // of the webhook
	Settings callback.Settings
}

// Open is who may run what: everybody everything but stop.
const Open = `"Permissions":[{"Effect":"Allow","Principals":["*"],"Commands":["*"],"RamRole":"OpsRole"},` +
	`{"Effect":"Deny","Principals":["*"],"Commands":["stop"]}]`

// Create makes a configuration with settings and further members of its Configuration.
func (p *Process) Create(name, kind string, settings callback.Settings, members ...string) *Bot {
	p.Helper()
	for key, value := range settings {
		member, err := json.Marshal(value.Reveal())
		if err != nil {
			p.Fatal(err)
		}
		members = append(members, fmt.Sprintf("%q:%s", key, member))
	}
	_, err := p.Service.Create(p.As(), &chat.CreateRequest{Name: name, Type: kind,
		Configuration: secret.Text("{" + strings.Join(members, ",") + "}")})
	if err != nil {
		p.Fatalf("create %s: %v", name, err)
	}
	out, err := p.Service.Get(p.As(), &chat.GetRequest{Name: name})
	if err != nil {
		p.Fatal(err)
	}
	var outputs struct{ URL string }
	if err := json.Unmarshal([]byte(out.ChatConfiguration.Outputs), &outputs); err != nil {
		p.Fatal(err)
	}
	return &Bot{p.World, name, kind, outputs.URL, settings}
}

// Say makes a callback with a message, of the given mode of package platformsim; its sender's usual
// one if that is empty.
func (b *Bot) Say(mode string, m platformsim.Message) *platformsim.Callback {
	b.Helper()
	if m.User == "" {
		m.User = "u1"
	}
	c, err := (&platformsim.Maker{Settings: b.Settings, Now: b.Now()}).Make(b.Type, mode, m)
	if err != nil {
		b.Fatal(err)
	}
	return c
}

// Post sends a callback to a bot's webhook.
func (b *Bot) Post(h http.Handler, c *platformsim.Callback) *httptest.ResponseRecorder {
	b.Helper()
	return b.PostTo(h, b.URL, c)
}

// PostTo sends a callback to a URL.
func (w *World) PostTo(h http.Handler, url string, c *platformsim.Callback) *httptest.ResponseRecorder {
	w.Helper()
	r, err := c.Request(url)
	if err != nil {
		w.Fatal(err)
	}
	return w.Do(h, r)
}

// Do sends a request.
func (w *World) Do(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	out := httptest.NewRecorder()
	if r.Body == nil {
		r.Body = http.NoBody
	}
	h.ServeHTTP(out, r.WithContext(w.Context()))
	return out
}

// Read returns what people would see of an answer.
func (w *World) Read(c *platformsim.Callback, out *httptest.ResponseRecorder) string {
	w.Helper()
	body, err := io.ReadAll(out.Body)
	if err != nil {
		w.Fatal(err)
	}
	text, err := c.ReadAnswer(body)
	if err != nil || out.Code != http.StatusOK {
		w.Fatalf("the answer is %d %s: %v", out.Code, body, err)
	}
	return text
}

// Commands returns what ListChatCommands shows, the newest first.
func (p *Process) Commands(name string) []chat.ChatCommand {
	p.Helper()
	most := int64(100)
	out, err := p.Service.ListCommands(p.As(), &chat.ListCommandsRequest{Name: name, MaxResults: &most})
	if err != nil {
		p.Fatal(err)
	}
	return out.ChatCommands
}

// Health returns what GetChatConfigurationHealth shows.
func (p *Process) Health(name string) *chat.HealthResponse {
	p.Helper()
	if err := p.Journal.Flush(p.Context()); err != nil {
		p.Fatal(err)
	}
	out, err := p.Service.Health(p.As(), &chat.HealthRequest{Name: name})
	if err != nil {
		p.Fatal(err)
	}
	return out
}

// calls are what is asked of tables.
type calls struct {
	mu    sync.Mutex
	names []string
	at    int // of which the call fails; 0 is none
	fault Fault
	dead  bool
}

// A Fault is what goes wrong in a call of a table.
type Fault struct {
	After  bool // the call is done, and its answer lost
	Dies   bool // the process ends with it: nothing of what it does later reaches a table
	Panics bool // instead of an error
	// Takes, if set, is all that is wrong: the call and those after it take so long, or until their
	// context ends, which is then their error.
	Takes time.Duration
}

// ErrFault is the error of a call that goes wrong.
var ErrFault = fmt.Errorf("webhooktest: PLANTED: %w", table.ErrUnavailable)

// A Table is one of a world. Both count their calls together.
type Table struct {
	table.Table
	calls *calls
}

// Calls returns what was called since it was last asked, such as "Get Write".
func (w *World) Calls() string {
	c := w.Journals.calls
	c.mu.Lock()
	defer c.mu.Unlock()
	text := strings.Join(c.names, " ")
	c.names = nil
	return text
}

// FailAt makes the n-th call from now on go wrong, and no other, unless the fault says so. It
// brings back a process that died.
func (w *World) FailAt(n int, f Fault) {
	c := w.Journals.calls
	c.mu.Lock()
	defer c.mu.Unlock()
	c.names, c.at, c.fault, c.dead = nil, n, f, false
}

// Failed reports whether the call that is to go wrong was made.
func (w *World) Failed() bool {
	c := w.Journals.calls
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at > 0 && len(c.names) >= c.at
}

func (c *calls) do(ctx context.Context, name string, call func() error) error {
	c.mu.Lock()
	c.names = append(c.names, name)
	dead, fault := c.dead, c.fault
	slow := c.at > 0 && len(c.names) >= c.at && fault.Takes > 0
	fails := c.at > 0 && len(c.names) == c.at && !slow
	c.dead = dead || fails && fault.Dies
	c.mu.Unlock()
	if slow {
		select {
		case <-time.After(fault.Takes):
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", table.ErrUnavailable, ctx.Err())
		}
	}
	switch {
	case fails && fault.Panics:
		panic("planted")
	case dead, fails && !fault.After:
		return ErrFault
	case fails:
		return errors.Join(ErrFault, call())
	}
	return call()
}

// Get implements table.Table.
func (t *Table) Get(ctx context.Context, keys ...table.Key) (items []table.Item, err error) {
	err = t.calls.do(ctx, "Get", func() error { items, err = t.Table.Get(ctx, keys...); return err })
	return items, err
}

// Query implements table.Table.
func (t *Table) Query(ctx context.Context, r table.Range) (items []table.Item, err error) {
	err = t.calls.do(ctx, "Query", func() error { items, err = t.Table.Query(ctx, r); return err })
	return items, err
}

// Write implements table.Table.
func (t *Table) Write(ctx context.Context, partition string, c table.Change) error {
	return t.calls.do(ctx, "Write", func() error { return t.Table.Write(ctx, partition, c) })
}
