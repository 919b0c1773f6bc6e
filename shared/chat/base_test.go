package chat_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"chatconf/shared/chat"
	"chatconf/shared/command"
	"chatconf/shared/invoke"
	"chatconf/shared/platform"
	"chatconf/shared/policy"
	"chatconf/shared/seal"
	"chatconf/shared/secret"
	"chatconf/shared/table"
	"chatconf/shared/table/file"
)

const (
	account   = "1234567890123456"
	region    = "cn-hangzhou"
	partition = account + "/" + region
)

// A base is a service on a real file, with a table in between that counts, fails and interferes, and a clock under the test's hand.
type base struct {
	*chat.Service
	t       testing.TB
	spy     *spy
	journal *chat.Journal
	pages   *spy // the journal's table; what is asked of it counts as asked of spy too
	ring    *seal.Ring
	clock   *clock
	ctx     context.Context // the administrator asks
}

// newBase returns a house whose service has the given options besides the journal.
func newBase(t testing.TB, o chat.Options) *base {
	t.Helper()
	h := &base{t: t, ring: newRing(t, 1), clock: &clock{now: time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)}}
	h.spy, h.pages = newSpies(t, h.clock)
	h.ctx = as(t.Context(), administrator)
	h.journal = h.journalWith(h.ring)
	o.Journal = h.journal
	h.Service = h.serviceWith(o, h.ring)
	return h
}

// journalWith returns another journal on the same table and clock, as another process has one.
func (h *base) journalWith(ring *seal.Ring) *chat.Journal {
	h.t.Helper()
	j, err := chat.NewJournal(h.pages, ring, chat.JournalOptions{Now: h.clock.Now})
	if err != nil {
		h.t.Fatal(err)
	}
	return j
}

// serviceWith returns another service on the same table and clock.
func (h *base) serviceWith(o chat.Options, ring *seal.Ring) *chat.Service {
	h.t.Helper()
	o.Now = h.clock.Now
	s, err := chat.New(h.spy, ring, platform.All().Descriptions(), o)
	if err != nil {
		h.t.Fatal(err)
	}
	return s
}

// serviceWithPlatforms returns another service on the same tables and clock that knows other platforms.
func (h *base) serviceWithPlatforms(platforms ...command.Platform) *chat.Service {
	h.t.Helper()
	s, err := chat.New(h.spy, h.ring, platforms, chat.Options{Now: h.clock.Now, Journal: h.journal})
	if err != nil {
		h.t.Fatal(err)
	}
	return s
}

var administrator = &chat.Caller{Account: account, AccessKeyID: "CCKadmin", Name: "admin", Policies: []*policy.Policy{policy.Owner()}}

// caller returns somebody of the same account with the given statements, each a JSON object.
func caller(t testing.TB, id string, statements ...string) *chat.Caller {
	t.Helper()
	c := &chat.Caller{Account: account, AccessKeyID: id, Name: "the " + id}
	if len(statements) > 0 {
		p, err := policy.Parse([]byte(`{"Version":"1","Statement":[` + strings.Join(statements, ",") + `]}`))
		if err != nil {
			t.Fatal(err)
		}
		c.Policies = []*policy.Policy{p}
	}
	return c
}

func as(ctx context.Context, c *chat.Caller) context.Context { return chat.WithCaller(ctx, c) }

func from(ctx context.Context, requestID, ip string) context.Context {
	return invoke.With(ctx, &invoke.Invocation{RequestID: requestID, SourceIP: ip})
}

// newRing returns a ring of keys that are made of the given bytes, the current one first.
func newRing(t testing.TB, fill ...byte) *seal.Ring {
	t.Helper()
	keys := make([]seal.Key, len(fill))
	for i, b := range fill {
		keys[i] = seal.Key{ID: fmt.Sprint("key-", b), Secret: [seal.KeySize]byte(bytes.Repeat([]byte{b}, seal.KeySize))}
	}
	ring, err := seal.NewRing(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

const slack = `{"SlackSigningSecret":"signing-secret-0"}`

// create makes a Slack configuration, which needs the least, with what edit changes.
func (h *base) create(name string, edit ...func(*chat.CreateRequest)) *chat.WriteResponse {
	h.t.Helper()
	in := &chat.CreateRequest{Name: name, Type: "Slack", Configuration: slack}
	for _, e := range edit {
		e(in)
	}
	out, err := h.Create(h.ctx, in)
	if err != nil {
		h.t.Fatalf("Create(%q): %v", name, err)
	}
	return out
}

// createAll makes many configurations; those that wait share a flush of the disk.
func (h *base) createAll(requests []*chat.CreateRequest) {
	h.t.Helper()
	inParallel(h.t, len(requests), func(i int) error {
		_, err := h.Create(h.ctx, requests[i])
		return err
	})
}

// inParallel calls do for 0 … n-1 from several goroutines at once, and fails the test on an error.
func inParallel(t testing.TB, n int, do func(i int) error) {
	t.Helper()
	var group sync.WaitGroup
	next := make(chan int)
	for range min(n, 32) {
		group.Go(func() {
			for i := range next {
				if err := do(i); err != nil {
					t.Errorf("call %d: %v", i, err)
				}
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	group.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

func (h *base) get(name string) chat.Configuration {
	h.t.Helper()
	out, err := h.Get(h.ctx, &chat.GetRequest{Name: name})
	if err != nil {
		h.t.Fatalf("Get(%q): %v", name, err)
	}
	return out.ChatConfiguration
}

func (h *base) update(in *chat.UpdateRequest) *chat.WriteResponse {
	h.t.Helper()
	out, err := h.Update(h.ctx, in)
	if err != nil {
		h.t.Fatalf("Update(%q): %v", in.Name, err)
	}
	return out
}

func (h *base) delete(name string) {
	h.t.Helper()
	if _, err := h.Delete(h.ctx, &chat.DeleteRequest{Name: name}); err != nil {
		h.t.Fatalf("Delete(%q): %v", name, err)
	}
}

// mustAgree fails the test unless documents, index, counters and history agree.
func (h *base) mustAgree() *chat.Report {
	h.t.Helper()
	report, err := h.Check(h.ctx, account, region)
	if err != nil {
		h.t.Fatalf("Check: %v", err)
	}
	for _, p := range report.Problems {
		h.t.Errorf("Check: %s", p)
	}
	return report
}

// dump returns every item of the partition.
func (h *base) dump() []table.Item {
	h.t.Helper()
	var all []table.Item
	after := ""
	for {
		items, err := h.spy.Table.Query(h.ctx, table.Range{Partition: partition, After: after, Limit: table.MaxQuery})
		if err != nil {
			h.t.Fatal(err)
		}
		all = append(all, items...)
		if len(items) < table.MaxQuery {
			return all
		}
		after = items[len(items)-1].Sort
	}
}

// tamper writes to the table behind the service's back.
func (h *base) tamper(c table.Change) {
	h.t.Helper()
	if err := h.spy.Table.Write(h.ctx, partition, c); err != nil {
		h.t.Fatal(err)
	}
}

// item returns the item under a sort key.
func (h *base) item(sort string) table.Item {
	h.t.Helper()
	items, err := h.spy.Table.Get(h.ctx, table.Key{Partition: partition, Sort: sort})
	if err != nil || len(items) != 1 {
		h.t.Fatalf("item %q: %d items, %v", sort, len(items), err)
	}
	return items[0]
}

// A clock stands still until it is moved.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// A spy is a real table that counts what is asked of it, and can fail or interfere at any call.
type spy struct {
	table.Table

	mu     sync.Mutex
	calls  []string                              // Get, Query, Write in their order
	count  map[string]int                        // of calls by verb
	before func(verb string, n int) error        // called before the n-th call of a verb, from 1; its error is the call's
	write  func(c *table.Change) error           // called before a write; may change it
	read   func(items []table.Item) []table.Item // sees what a Get or Query found; may change it
	also   *spy                                  // is told of every call, and may fail it too
}

func newSpy(t testing.TB) *spy {
	t.Helper()
	s, _ := newSpies(t, &clock{now: time.Now()})
	return s
}

// newSpies returns the table of the configurations and that of the journal, in one file.
func newSpies(t testing.TB, now *clock) (configurations, journal *spy) {
	t.Helper()
	db, err := file.Open(filepath.Join(t.TempDir(), "table.db"), file.Options{Now: now.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	configurations = &spy{Table: db.Table("configurations", file.TableOptions{}), count: make(map[string]int)}
	return configurations, &spy{Table: db.Table("journal", file.TableOptions{TTL: chat.DefaultRetention}), count: make(map[string]int), also: configurations}
}

func (s *spy) enter(verb string) error {
	s.mu.Lock()
	s.calls = append(s.calls, verb)
	s.count[verb]++
	n, before := s.count[verb], s.before
	s.mu.Unlock()
	if before != nil {
		if err := before(verb, n); err != nil {
			return err
		}
	}
	if s.also != nil {
		return s.also.enter(verb)
	}
	return nil
}

func (s *spy) Get(ctx context.Context, keys ...table.Key) ([]table.Item, error) {
	if err := s.enter("Get"); err != nil {
		return nil, err
	}
	items, err := s.Table.Get(ctx, keys...)
	if err == nil && s.read != nil {
		items = s.read(items)
	}
	return items, err
}

func (s *spy) Query(ctx context.Context, r table.Range) ([]table.Item, error) {
	if err := s.enter("Query"); err != nil {
		return nil, err
	}
	items, err := s.Table.Query(ctx, r)
	if err == nil && s.read != nil {
		items = s.read(items)
	}
	return items, err
}

func (s *spy) Write(ctx context.Context, partition string, c table.Change) error {
	if err := s.enter("Write"); err != nil {
		return err
	}
	if s.write != nil {
		if err := s.write(&c); err != nil {
			return err
		}
	}
	return s.Table.Write(ctx, partition, c)
}

// reset forgets the calls so far and stops failing and interfering.
func (s *spy) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forgetLocked()
	s.before, s.write, s.read = nil, nil, nil
}

func (s *spy) forgetLocked() { s.calls, s.count = nil, make(map[string]int) }

// took returns the calls since the last reset, and forgets them.
func (s *spy) took() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	calls := strings.Join(s.calls, " ")
	s.forgetLocked()
	return calls
}

// fail makes the n-th call of a verb from now on end with err; n of 0 is every call.
func (s *spy) fail(verb string, n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forgetLocked()
	s.before = func(v string, i int) error {
		if v == verb && (n == 0 || i == n) {
			return err
		}
		return nil
	}
}

// wantError fails the test unless err is the domain's, with the code and parameter, and every piece of text in its message.
func wantError(t testing.TB, what string, err error, code chat.Code, param string, texts ...string) {
	t.Helper()
	var e *chat.Error
	if !errors.As(err, &e) {
		t.Errorf("%s: error = %v (%T), want a *chat.Error", what, err, err)
		return
	}
	if got, want := e.Code, code; got != want {
		t.Errorf("%s: code = %v, want %v (%v)", what, got, want, err)
	}
	if got, want := e.Param, param; got != want {
		t.Errorf("%s: param = %q, want %q (%v)", what, got, want, err)
	}
	for _, text := range texts {
		if !strings.Contains(e.Message, text) {
			t.Errorf("%s: message = %q, want it to hold %q", what, e.Message, text)
		}
	}
	if e.Message != "" && !strings.HasSuffix(e.Message, ".") && !strings.HasSuffix(e.Message, "?") {
		t.Errorf("%s: message = %q, want a whole sentence", what, e.Message)
	}
}

func ptr[T any](v T) *T { return &v }

func names(list []chat.Summary) []string {
	out := make([]string, len(list))
	for i, c := range list {
		out[i] = c.Name
	}
	return out
}

// equal fails the test unless got and want are the same.
func equal(t testing.TB, what string, got, want any) {
	t.Helper()
	if reflect.DeepEqual(got, want) { // which is much faster
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

const openToAll = `"Permissions":[{"Effect":"Allow","Principals":["*"],"Commands":["*"],"RamRole":"OpsRole"},{"Effect":"Deny","Principals":["*"],"Commands":["stop"]}]`

// bot makes a configuration on which everybody may run everything but stop, and returns its endpoint.
func (h *base) bot(name string, members ...string) *command.Endpoint {
	h.t.Helper()
	h.create(name, func(in *chat.CreateRequest) {
		in.Configuration = secret.Text(with(slack, strings.Join(append(members, openToAll), ",")))
	})
	return h.open(name)
}

// arrival returns a message to a bot, decided.
func arrival(t testing.TB, e *command.Endpoint, id, user, text string) chat.Arrival {
	t.Helper()
	c, err := e.Command(&command.Message{ID: id, User: user, UserName: "the " + user, Conversation: "c1", Text: text})
	if err != nil {
		t.Fatal(err)
	}
	return chat.Arrival{Command: c, Decision: e.Decide(c)}
}

// record records a message that must be fresh.
func (h *base) record(e *command.Endpoint, a chat.Arrival) command.Ref {
	h.t.Helper()
	ref, verdict, err := h.journal.Record(h.ctx, e, a)
	if err != nil || verdict != chat.Fresh {
		h.t.Fatalf("Record = %v, %v", verdict, err)
	}
	return ref
}

// commands returns what ListChatCommands shows of a configuration.
func (h *base) commands(name string) []chat.ChatCommand {
	h.t.Helper()
	out, err := h.ListCommands(h.ctx, &chat.ListCommandsRequest{Name: name, MaxResults: ptr[int64](100)})
	if err != nil {
		h.t.Fatalf("ListCommands: %v", err)
	}
	return out.ChatCommands
}

// pages dumps a partition of the journal.
func (h *base) journalItems(partition string) []table.Item {
	h.t.Helper()
	items, err := h.pages.Table.Query(h.ctx, table.Range{Partition: partition, Limit: table.MaxQuery})
	if err != nil {
		h.t.Fatal(err)
	}
	return items
}

func (h *base) health(name string) chat.Health {
	h.t.Helper()
	out, err := h.Health(h.ctx, &chat.HealthRequest{Name: name})
	if err != nil {
		h.t.Fatalf("Health: %v", err)
	}
	return out.Health
}

// open returns the endpoint of a configuration, by the URL in its Outputs.
func (h *base) open(name string) *command.Endpoint {
	h.t.Helper()
	e, err := h.openURL(h.url(name))
	if err != nil {
		h.t.Fatalf("OpenWebhook of %s: %v", name, err)
	}
	return e
}

// url returns the webhook's URL in Outputs.
func (h *base) url(name string) string {
	h.t.Helper()
	var out struct{ URL string }
	if err := json.Unmarshal([]byte(h.get(name).Outputs), &out); err != nil {
		h.t.Fatal(err)
	}
	return out.URL
}

func (h *base) openURL(url string) (*command.Endpoint, error) {
	h.t.Helper()
	parts := strings.Split(url, "/")
	if len(parts) != 8 || parts[3] != "webhook" {
		h.t.Fatalf("URL = %s", url)
	}
	return h.OpenWebhook(h.t.Context(), parts[4], parts[5], parts[6], parts[7])
}

// with returns the text of an object with more members.
func with(object, members string) string {
	return strings.TrimSuffix(object, "}") + "," + members + "}"
}

// A fault is an error of the store, and what the caller learns of it.
type fault struct {
	err     error
	code    chat.Code
	cancels bool // the caller goes away at that moment
}

var faults = map[string]fault{
	"the store is out of reach":  {err: fmt.Errorf("table: get: %w: dial planted.example.com", table.ErrUnavailable), code: chat.Unavailable},
	"the store is closed":        {err: fmt.Errorf("table: get: %w", table.ErrClosed), code: chat.Unavailable},
	"the caller is gone":         {err: fmt.Errorf("table: get: %w", context.Canceled), code: chat.Unavailable, cancels: true},
	"the call can never succeed": {err: fmt.Errorf("table: planted: %w", table.ErrInvalid), code: chat.Internal},
	"an error of unknown kind":   {err: errors.New("planted"), code: chat.Internal},
}

// failAt makes the n-th call of the table from now on, of whatever verb, end with a fault. It returns the context to call with, and
// a function that tells how many calls there were.
func (s *spy) failAt(ctx context.Context, n int, f fault) (context.Context, func() int) {
	ctx, cancel := context.WithCancel(ctx)
	var calls atomic.Int64 // some calls are made at once
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forgetLocked()
	s.before = func(string, int) error {
		if calls.Add(1) != int64(n) {
			return nil
		}
		if f.cancels {
			cancel()
		}
		return f.err
	}
	return ctx, func() int { cancel(); return int(calls.Load()) }
}

// wantNoDetail fails the test if an error that is not the caller's fault tells the caller more than its code.
func wantNoDetail(t testing.TB, err error) {
	t.Helper()
	var e *chat.Error
	if errors.As(err, &e) && (e.Message != "" || e.Err == nil) {
		t.Errorf("message %q and detail %v, want a detail for the log only", e.Message, e.Err)
	}
}

// flipBit returns other base64: of the same bytes but for one bit.
func flipBit(text string) string {
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		panic(err)
	}
	b[len(b)-1] ^= 1
	return base64.StdEncoding.EncodeToString(b)
}

// counters returns every counter, zero but for those given.
func counters(given map[string]int64) map[string]int64 {
	out := map[string]int64{"Allowed": 0, "Denied": 0, "Delivered": 0, "Failed": 0, "Handshakes": 0, "Ignored": 0, "Duplicates": 0, "Refused": 0}
	for name, n := range given {
		out[name] = n
	}
	return out
}

// stranger calls the webhook of a configuration with another token. Its handler notes that.
func (h *base) stranger(name string) {
	h.t.Helper()
	_, err := h.OpenWebhook(h.ctx, account, region, name, "x")
	var why *chat.Unproven
	if !errors.As(err, &why) || why.Of.Name != name {
		h.t.Fatal(err)
	}
	note := chat.Note{Counter: chat.CountRefused, Step: chat.StepToken, Reason: "the URL has another token"}
	if err := h.journal.Note(h.ctx, why.Of, note); err != nil {
		h.t.Fatal(err)
	}
}

// pending records a message that is to be handed on.
func (h *base) pending(e *command.Endpoint, id string) command.Ref {
	h.t.Helper()
	a := arrival(h.t, e, id, "u1", "Login 'i 1' --password planted")
	a.Command.Sent = h.clock.Now()
	a.Handover = &chat.Handover{ReplyTo: command.ReplyTo{Kind: "response_url", URL: "https://planted.example.com", ID: "to", Expires: h.clock.Now().Add(time.Hour)}}
	return h.record(e, a)
}

// A locksmith is a house for access keys.
type locksmith struct {
	*chat.Keys
	t     testing.TB
	spy   *spy
	clock *clock
}

func newLocksmith(t testing.TB) *locksmith {
	t.Helper()
	l := &locksmith{t: t, spy: newSpy(t), clock: &clock{now: time.Date(2026, 11, 23, 8, 0, 0, 123456789, time.UTC)}}
	l.Keys = chat.NewKeys(l.spy, nil, newRing(t, 1), l.clock.Now)
	return l
}

func someKey(edit ...func(*chat.AccessKey)) chat.AccessKey {
	key := chat.AccessKey{ID: "CCKsome", Secret: "planted-secret", Account: account, Name: "some one", Policies: []*policy.Policy{policy.ReadOnly()}}
	for _, e := range edit {
		e(&key)
	}
	return key
}

func (l *locksmith) create(key chat.AccessKey) *chat.AccessKey {
	l.t.Helper()
	out, err := l.Create(l.t.Context(), key)
	if err != nil {
		l.t.Fatal(err)
	}
	return out
}

// raw returns the stored record of a key.
func (l *locksmith) raw(id string) table.Item {
	l.t.Helper()
	items, err := l.spy.Table.Get(l.t.Context(), table.Key{Partition: "keys", Sort: "k#" + chat.Escape(id)})
	if err != nil || len(items) != 1 {
		l.t.Fatalf("key %q: %d items, %v", id, len(items), err)
	}
	return items[0]
}

func (l *locksmith) put(item table.Item) {
	l.t.Helper()
	err := l.spy.Table.Write(l.t.Context(), "keys", table.Change{Puts: []table.Put{{Sort: item.Sort, Value: item.Value, Revision: item.Revision}}})
	if err != nil {
		l.t.Fatal(err)
	}
}

func (l *locksmith) dump() []table.Item {
	l.t.Helper()
	items, err := l.spy.Table.Query(l.t.Context(), table.Range{Partition: "keys", Limit: table.MaxQuery})
	if err != nil {
		l.t.Fatal(err)
	}
	return items
}

func (l *locksmith) find(id string) *chat.AccessKey {
	l.t.Helper()
	key, err := l.Find(l.t.Context(), id)
	if err != nil {
		l.t.Fatalf("Find(%q): %v", id, err)
	}
	return key
}

// planted is in every secret that a test must not find again. Its parts in base64 begin with plantedBase64.
const (
	planted       = "planted"
	plantedBase64 = "cGxhbnRlZ"
)

// targetSecret is a signing secret of a target.
const targetSecret = "whsec_cGxhbnRlZHBsYW50ZWRwbGFudGVkcGxhbnRlZA=="

// few is random for n reads.
type few struct{ n int }

func (f *few) Read(b []byte) (int, error) {
	if f.n == 0 {
		return 0, errors.New("planted: no random")
	}
	f.n--
	return len(b), nil
}
