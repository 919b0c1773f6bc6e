package chattest

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

	"chatconf/shared/accesskey"
	"chatconf/shared/chat"
	"chatconf/shared/command"
	"chatconf/shared/fault"
	"chatconf/shared/journal"
	"chatconf/shared/platform"
	"chatconf/shared/policy"
	"chatconf/shared/seal"
	"chatconf/shared/secret"
	"chatconf/shared/table"
	"chatconf/shared/table/file"
)

const (
	Account   = "1234567890123456"
	Region    = "cn-hangzhou"
	Partition = Account + "/" + Region
)

// A base is a service on a real file, with a table in between that counts, fails and interferes,
// and a clock under the test's hand.
type House struct {
	*chat.Service
	T       testing.TB
	Spy     *Spy
	Journal *journal.Journal
	Pages   *Spy // the journal's table; what is asked of it counts as asked of spy too
	Ring    *seal.Ring
	Clock   *clock
	Ctx     context.Context // the administrator asks
}

// newBase returns a house whose service has the given options besides the journal.
func New(t testing.TB, o chat.Options) *House {
	t.Helper()
	h := &House{T: t, Ring: NewRing(t, 1), Clock: &clock{now: time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)}}
	h.Spy, h.Pages = newSpies(t, h.Clock)
	h.Ctx = As(t.Context(), Administrator)
	h.Journal = h.JournalWith(h.Ring)
	o.Journal = h.Journal
	h.Service = h.ServiceWith(o, h.Ring)
	return h
}

// journalWith returns another journal on the same table and clock, as another process has one.
func (h *House) JournalWith(ring *seal.Ring) *journal.Journal {
	h.T.Helper()
	j, err := journal.New(h.Pages, ring, journal.Options{Now: h.Clock.Now})
	if err != nil {
		h.T.Fatal(err)
	}
	return j
}

// serviceWith returns another service on the same table and clock.
func (h *House) ServiceWith(o chat.Options, ring *seal.Ring) *chat.Service {
	h.T.Helper()
	o.Now = h.Clock.Now
	s, err := chat.New(h.Spy, ring, platform.All().Descriptions(), o)
	if err != nil {
		h.T.Fatal(err)
	}
	return s
}

var Administrator = &chat.Caller{Account: Account, AccessKeyID: "CCKadmin", Name: "admin",
	Policies: []*policy.Policy{policy.Owner()}}

func As(ctx context.Context, c *chat.Caller) context.Context { return chat.WithCaller(ctx, c) }

// newRing returns a ring of keys that are made of the given bytes, the current one first.
func NewRing(t testing.TB, fill ...byte) *seal.Ring {
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

const Slack = `{"SlackSigningSecret":"signing-secret-0"}`

// create makes a Slack configuration, which needs the least, with what edit changes.
func (h *House) MustCreate(name string, edit ...func(*chat.CreateRequest)) *chat.WriteResponse {
	h.T.Helper()
	in := &chat.CreateRequest{Name: name, Type: "Slack", Configuration: Slack}
	for _, e := range edit {
		e(in)
	}
	out, err := h.Create(h.Ctx, in)
	if err != nil {
		h.T.Fatalf("Create(%q): %v", name, err)
	}
	return out
}

// inParallel calls do for 0 … n-1 from several goroutines at once, and fails the test on an error.
func InParallel(t testing.TB, n int, do func(i int) error) {
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

func (h *House) MustGet(name string) chat.Configuration {
	h.T.Helper()
	out, err := h.Get(h.Ctx, &chat.GetRequest{Name: name})
	if err != nil {
		h.T.Fatalf("Get(%q): %v", name, err)
	}
	return out.ChatConfiguration
}

// item returns the item under a sort key.
func (h *House) Item(sort string) table.Item {
	h.T.Helper()
	items, err := h.Spy.Table.Get(h.Ctx, table.Key{Partition: Partition, Sort: sort})
	if err != nil || len(items) != 1 {
		h.T.Fatalf("item %q: %d items, %v", sort, len(items), err)
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

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// A spy is a real table that counts what is asked of it, and can fail or interfere at any call.
type Spy struct {
	table.Table

	Mu    sync.Mutex
	calls []string       // Get, Query, Write in their order
	count map[string]int // of calls by verb
	// called before the n-th call of a verb, from 1; its error is the call's
	Before  func(verb string, n int) error
	OnWrite func(c *table.Change) error           // called before a write; may change it
	OnRead  func(items []table.Item) []table.Item // sees what a Get or Query found; may change it
	also    *Spy                                  // sees every call, and may fail it too
}

func NewSpy(t testing.TB) *Spy {
	t.Helper()
	s, _ := newSpies(t, &clock{now: time.Now()})
	return s
}

// newSpies returns the table of the configurations and that of the journal, in one file.
func newSpies(t testing.TB, now *clock) (configurations, kept *Spy) {
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
	configurations = &Spy{Table: db.Table("configurations", file.TableOptions{}), count: make(map[string]int)}
	return configurations, &Spy{Table: db.Table("journal", file.TableOptions{TTL: journal.DefaultRetention}),
		count: make(map[string]int), also: configurations}
}

func (s *Spy) enter(verb string) error {
	s.Mu.Lock()
	s.calls = append(s.calls, verb)
	s.count[verb]++
	n, before := s.count[verb], s.Before
	s.Mu.Unlock()
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

func (s *Spy) Get(ctx context.Context, keys ...table.Key) ([]table.Item, error) {
	if err := s.enter("Get"); err != nil {
		return nil, err
	}
	items, err := s.Table.Get(ctx, keys...)
	if err == nil && s.OnRead != nil {
		items = s.OnRead(items)
	}
	return items, err
}

func (s *Spy) Query(ctx context.Context, r table.Range) ([]table.Item, error) {
	if err := s.enter("Query"); err != nil {
		return nil, err
	}
	items, err := s.Table.Query(ctx, r)
	if err == nil && s.OnRead != nil {
		items = s.OnRead(items)
	}
	return items, err
}

func (s *Spy) Write(ctx context.Context, partition string, c table.Change) error {
	if err := s.enter("Write"); err != nil {
		return err
	}
	if s.OnWrite != nil {
		if err := s.OnWrite(&c); err != nil {
			return err
		}
	}
	return s.Table.Write(ctx, partition, c)
}

// reset forgets the calls so far and stops failing and interfering.
func (s *Spy) Reset() {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	s.forgetLocked()
	s.Before, s.OnWrite, s.OnRead = nil, nil, nil
}

func (s *Spy) forgetLocked() { s.calls, s.count = nil, make(map[string]int) }

// took returns the calls since the last reset, and forgets them.
func (s *Spy) Took() string {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	calls := strings.Join(s.calls, " ")
	s.forgetLocked()
	return calls
}

// fail makes the n-th call of a verb from now on end with err; n of 0 is every call.
func (s *Spy) Fail(verb string, n int, err error) {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	s.forgetLocked()
	s.Before = func(v string, i int) error {
		if v == verb && (n == 0 || i == n) {
			return err
		}
		return nil
	}
}

// wantError fails the test unless err is the domain's, with the code and parameter, and every piece
// of text in its message.
func WantError(t testing.TB, what string, err error, code fault.Code, param string, texts ...string) {
	t.Helper()
	var e *fault.Error
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

func Ptr[T any](v T) *T { return &v }

// equal fails the test unless got and want are the same.
func Equal(t testing.TB, what string, got, want any) {
	t.Helper()
	if reflect.DeepEqual(got, want) { // which is much faster
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

const OpenToAll = `"Permissions":[{"Effect":"Allow","Principals":["*"],"Commands":["*"],"RamRole":"OpsRole"},` +
	`{"Effect":"Deny","Principals":["*"],"Commands":["stop"]}]`

// bot makes a configuration on which everybody may run everything but stop, and returns its
// endpoint.
func (h *House) Bot(name string, members ...string) *command.Endpoint {
	h.T.Helper()
	h.MustCreate(name, func(in *chat.CreateRequest) {
		in.Configuration = secret.Text(With(Slack, strings.Join(append(members, OpenToAll), ",")))
	})
	return h.Open(name)
}

// arrival returns a message to a bot, decided.
func Arrival(t testing.TB, e *command.Endpoint, id, user, text string) journal.Arrival {
	t.Helper()
	c, err := e.Command(&command.Message{ID: id, User: user, UserName: "the " + user, Conversation: "c1", Text: text})
	if err != nil {
		t.Fatal(err)
	}
	return journal.Arrival{Command: c, Decision: e.Decide(c)}
}

// record records a message that must be fresh.
func (h *House) MustRecord(e *command.Endpoint, a journal.Arrival) command.Ref {
	h.T.Helper()
	ref, verdict, err := h.Journal.Record(h.Ctx, e, a)
	if err != nil || verdict != journal.Fresh {
		h.T.Fatalf("Record = %v, %v", verdict, err)
	}
	return ref
}

// commands returns what ListChatCommands shows of a configuration.
func (h *House) Commands(name string) []chat.ChatCommand {
	h.T.Helper()
	out, err := h.ListCommands(h.Ctx, &chat.ListCommandsRequest{Name: name, MaxResults: Ptr[int64](100)})
	if err != nil {
		h.T.Fatalf("ListCommands: %v", err)
	}
	return out.ChatCommands
}

// pages dumps a partition of the journal.
func (h *House) JournalItems(partition string) []table.Item {
	h.T.Helper()
	items, err := h.Pages.Table.Query(h.Ctx, table.Range{Partition: partition, Limit: table.MaxQuery})
	if err != nil {
		h.T.Fatal(err)
	}
	return items
}

func (h *House) MustHealth(name string) chat.Health {
	h.T.Helper()
	out, err := h.Health(h.Ctx, &chat.HealthRequest{Name: name})
	if err != nil {
		h.T.Fatalf("Health: %v", err)
	}
	return out.Health
}

// open returns the endpoint of a configuration, by the URL in its Outputs.
func (h *House) Open(name string) *command.Endpoint {
	h.T.Helper()
	e, err := h.OpenURL(h.URL(name))
	if err != nil {
		h.T.Fatalf("OpenWebhook of %s: %v", name, err)
	}
	return e
}

// url returns the webhook's URL in Outputs.
func (h *House) URL(name string) string {
	h.T.Helper()
	var out struct{ URL string }
	if err := json.Unmarshal([]byte(h.MustGet(name).Outputs), &out); err != nil {
		h.T.Fatal(err)
	}
	return out.URL
}

func (h *House) OpenURL(url string) (*command.Endpoint, error) {
	h.T.Helper()
	parts := strings.Split(url, "/")
	if len(parts) != 8 || parts[3] != "webhook" {
		h.T.Fatalf("URL = %s", url)
	}
	return h.OpenWebhook(h.T.Context(), parts[4], parts[5], parts[6], parts[7])
}

// with returns the text of an object with more members.
func With(object, members string) string {
	return strings.TrimSuffix(object, "}") + "," + members + "}"
}

// A fault is an error of the store, and what the caller learns of it.
type Fault struct {
	Err     error
	Code    fault.Code
	cancels bool // the caller goes away at that moment
}

var Faults = map[string]Fault{
	"the store is out of reach": {Err: fmt.Errorf("table: get: %w: dial planted.example.com", table.ErrUnavailable),
		Code: fault.Unavailable},
	"the store is closed": {Err: fmt.Errorf("table: get: %w", table.ErrClosed), Code: fault.Unavailable},
	"the caller is gone": {Err: fmt.Errorf("table: get: %w", context.Canceled),
		Code: fault.Unavailable, cancels: true},
	"the call can never succeed": {Err: fmt.Errorf("table: planted: %w", table.ErrInvalid), Code: fault.Internal},
	"an error of unknown kind":   {Err: errors.New("planted"), Code: fault.Internal},
}

// failAt makes the n-th call of the table from now on, of whatever verb, end with a fault. It
// returns the context to call with, and a function that tells how many calls there were.
func (s *Spy) FailAt(ctx context.Context, n int, f Fault) (context.Context, func() int) {
	ctx, cancel := context.WithCancel(ctx)
	var calls atomic.Int64 // some calls are made at once
	s.Mu.Lock()
	defer s.Mu.Unlock()
	s.forgetLocked()
	s.Before = func(string, int) error {
		if calls.Add(1) != int64(n) {
			return nil
		}
		if f.cancels {
			cancel()
		}
		return f.Err
	}
	return ctx, func() int { cancel(); return int(calls.Load()) }
}

// wantNoDetail fails the test if an error that is not the caller's fault tells the caller more than
// its code.
func WantNoDetail(t testing.TB, err error) {
	t.Helper()
	var e *fault.Error
	if errors.As(err, &e) && (e.Message != "" || e.Err == nil) {
		t.Errorf("message %q and detail %v, want a detail for the log only", e.Message, e.Err)
	}
}

// flipBit returns other base64: of the same bytes but for one bit.
func FlipBit(text string) string {
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		panic(err)
	}
	b[len(b)-1] ^= 1
	return base64.StdEncoding.EncodeToString(b)
}

// counters returns every counter, zero but for those given.
func Counters(given map[string]int64) map[string]int64 {
	out := map[string]int64{"Allowed": 0, "Denied": 0, "Delivered": 0, "Failed": 0, "Handshakes": 0,
		"Ignored": 0, "Duplicates": 0, "Refused": 0}
	for name, n := range given {
		out[name] = n
	}
	return out
}

// pending records a message that must be dispatched.
func (h *House) Pending(e *command.Endpoint, id string) command.Ref {
	h.T.Helper()
	a := Arrival(h.T, e, id, "u1", "Login 'i 1' --password planted")
	a.Command.Sent = h.Clock.Now()
	a.Pending = &journal.Pending{ReplyTo: command.ReplyTo{Kind: "response_url", URL: "https://planted.example.com",
		ID: "to", Expires: h.Clock.Now().Add(time.Hour)}}
	return h.MustRecord(e, a)
}

// A locksmith is a house for access keys.
type Locksmith struct {
	*accesskey.Store
	T     testing.TB
	Spy   *Spy
	Clock *clock
}

func NewLocksmith(t testing.TB) *Locksmith {
	t.Helper()
	l := &Locksmith{T: t, Spy: NewSpy(t), Clock: &clock{now: time.Date(2026, 11, 23, 8, 0, 0, 123456789, time.UTC)}}
	l.Store = accesskey.New(l.Spy, nil, NewRing(t, 1), l.Clock.Now)
	return l
}

func SomeKey(edit ...func(*accesskey.Key)) accesskey.Key {
	key := accesskey.Key{ID: "CCKsome", Secret: "planted-secret", Account: Account, Name: "some one",
		Policies: []*policy.Policy{policy.ReadOnly()}}
	for _, e := range edit {
		e(&key)
	}
	return key
}

func (l *Locksmith) MustCreate(key accesskey.Key) *accesskey.Key {
	l.T.Helper()
	out, err := l.Create(l.T.Context(), key)
	if err != nil {
		l.T.Fatal(err)
	}
	return out
}

func (l *Locksmith) Dump() []table.Item {
	l.T.Helper()
	items, err := l.Spy.Table.Query(l.T.Context(), table.Range{Partition: "keys", Limit: table.MaxQuery})
	if err != nil {
		l.T.Fatal(err)
	}
	return items
}

func (l *Locksmith) MustFind(id string) *accesskey.Key {
	l.T.Helper()
	key, err := l.Find(l.T.Context(), id)
	if err != nil {
		l.T.Fatalf("Find(%q): %v", id, err)
	}
	return key
}

// planted is in every secret that a test must not find again. Its parts in base64 begin with
// plantedBase64.
const (
	Planted       = "planted"
	PlantedBase64 = "cGxhbnRlZ"
)

// targetSecret is a signing secret of a target.
const TargetSecret = "whsec_cGxhbnRlZHBsYW50ZWRwbGFudGVkcGxhbnRlZA=="

// few is random for n reads.
type Few struct{ N int }

func (f *Few) Read(b []byte) (int, error) {
	if f.N == 0 {
		return 0, errors.New("planted: no random")
	}
	f.N--
	return len(b), nil
}

// Reencode decodes the JSON of an item into a map, lets edit change it, and returns it as JSON.
func Reencode(value []byte, edit func(map[string]any)) []byte {
	var m map[string]any
	if err := json.Unmarshal(value, &m); err != nil {
		panic(err)
	}
	edit(m)
	out, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return out
}
