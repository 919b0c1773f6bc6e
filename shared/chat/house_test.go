package chat_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"chatconf/shared/chat"
	"chatconf/shared/command"
	"chatconf/shared/invoke"
	"chatconf/shared/platform"
	"chatconf/shared/policy"
	"chatconf/shared/seal"
	"chatconf/shared/table"
	"chatconf/shared/table/file"
)

const (
	account   = "1234567890123456"
	region    = "cn-hangzhou"
	partition = account + "/" + region
)

// A house is a service on a real file, with a table in between that counts, fails and interferes, and a clock under the test's hand.
type house struct {
	*chat.Service
	t       testing.TB
	spy     *spy
	journal *chat.Journal
	pages   *spy // the journal's table; what is asked of it counts as asked of spy too
	ring    *seal.Ring
	clock   *clock
	ctx     context.Context // the administrator asks
}

func newHouse(t testing.TB) *house { t.Helper(); return newHouseWith(t, chat.Options{}) }

func newHouseWith(t testing.TB, o chat.Options) *house {
	t.Helper()
	h := &house{t: t, ring: newRing(t, 1), clock: &clock{now: time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)}}
	h.spy, h.pages = newSpies(t, h.clock)
	h.ctx = as(t.Context(), administrator)
	h.journal = h.journalWith(h.ring)
	o.Journal = h.journal
	h.Service = h.serviceWith(o, h.ring)
	return h
}

// journalWith returns another journal on the same table and clock, as another process has one.
func (h *house) journalWith(ring *seal.Ring) *chat.Journal {
	h.t.Helper()
	j, err := chat.NewJournal(h.pages, ring, chat.JournalOptions{Now: h.clock.Now})
	if err != nil {
		h.t.Fatal(err)
	}
	return j
}

// serviceWith returns another service on the same table and clock.
func (h *house) serviceWith(o chat.Options, ring *seal.Ring) *chat.Service {
	h.t.Helper()
	o.Now = h.clock.Now
	s, err := chat.New(h.spy, ring, platform.All().Descriptions(), o)
	if err != nil {
		h.t.Fatal(err)
	}
	return s
}

// serviceWithPlatforms returns another service on the same tables and clock that knows other platforms.
func (h *house) serviceWithPlatforms(platforms ...command.Platform) *chat.Service {
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
func (h *house) create(name string, edit ...func(*chat.CreateRequest)) *chat.WriteResponse {
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
func (h *house) createAll(requests []*chat.CreateRequest) {
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

func (h *house) get(name string) chat.Configuration {
	h.t.Helper()
	out, err := h.Get(h.ctx, &chat.GetRequest{Name: name})
	if err != nil {
		h.t.Fatalf("Get(%q): %v", name, err)
	}
	return out.ChatConfiguration
}

func (h *house) update(in *chat.UpdateRequest) *chat.WriteResponse {
	h.t.Helper()
	out, err := h.Update(h.ctx, in)
	if err != nil {
		h.t.Fatalf("Update(%q): %v", in.Name, err)
	}
	return out
}

func (h *house) delete(name string) {
	h.t.Helper()
	if _, err := h.Delete(h.ctx, &chat.DeleteRequest{Name: name}); err != nil {
		h.t.Fatalf("Delete(%q): %v", name, err)
	}
}

// stored returns a configuration as it lies in the table, its secrets opened.
func (h *house) stored(name string) *chat.Stored {
	h.t.Helper()
	r, err := h.Read(h.ctx, account, region, name)
	if err != nil {
		h.t.Fatalf("Read(%q): %v", name, err)
	}
	if r == nil {
		h.t.Fatalf("Read(%q): there is none", name)
	}
	return r
}

func (h *house) history(name string) []chat.Entry {
	h.t.Helper()
	list, err := h.ReadHistory(h.ctx, account, region, name)
	if err != nil {
		h.t.Fatalf("ReadHistory(%q): %v", name, err)
	}
	return list
}

// mustAgree fails the test unless documents, index, counters and history agree.
func (h *house) mustAgree() *chat.Report {
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
func (h *house) dump() []table.Item {
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
func (h *house) tamper(c table.Change) {
	h.t.Helper()
	if err := h.spy.Table.Write(h.ctx, partition, c); err != nil {
		h.t.Fatal(err)
	}
}

// item returns the item under a sort key.
func (h *house) item(sort string) table.Item {
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
