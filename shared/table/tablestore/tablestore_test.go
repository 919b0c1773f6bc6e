package tablestore_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"chatconf/shared/emulator/ots"
	"chatconf/shared/emulator/ots/otstest"
	"chatconf/shared/invoke"
	"chatconf/shared/table"
	"chatconf/shared/table/tablestore"

	sdk "github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"
	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"
	"github.com/golang/protobuf/proto"
	"github.com/google/go-cmp/cmp"
)

func TestNew(t *testing.T) {
	used := &wire{}
	good := tablestore.Options{Endpoint: "https://a.cn-hangzhou.ots.aliyuncs.com/", Instance: "a", Transport: used}
	if _, err := tablestore.New("chatconf", good); err != nil {
		t.Errorf("New: %v", err)
	}
	for what, o := range map[string]func(*tablestore.Options){
		"no endpoint":                   func(o *tablestore.Options) { o.Endpoint = "" },
		"an endpoint without a scheme":  func(o *tablestore.Options) { o.Endpoint = "a.ots.aliyuncs.com" },
		"an endpoint that is no URL":    func(o *tablestore.Options) { o.Endpoint = "https://user:secret@%" },
		"an endpoint with a path":       func(o *tablestore.Options) { o.Endpoint += "x" },
		"an endpoint with a query":      func(o *tablestore.Options) { o.Endpoint += "?x" },
		"an endpoint with a password":   func(o *tablestore.Options) { o.Endpoint = "https://user:secret@host" },
		"an endpoint of another scheme": func(o *tablestore.Options) { o.Endpoint = "ftp://host" },
		"no instance":                   func(o *tablestore.Options) { o.Instance = "" },
		"an instance of two lines":      func(o *tablestore.Options) { o.Instance = "a\nb" },
		"a negative time to live":       func(o *tablestore.Options) { o.TTL = -time.Second },
		"a time to live too fine":       func(o *tablestore.Options) { o.TTL = time.Microsecond },
		"a time to live too long":       func(o *tablestore.Options) { o.TTL = 1 << 62 / 1_000_000 * 1_000_000 },
	} {
		bad := good
		o(&bad)
		if _, err := tablestore.New("chatconf", bad); !errors.Is(err, table.ErrInvalid) ||
			strings.Contains(fmt.Sprint(err), "secret") {
			t.Errorf("New with %s = %v, want ErrInvalid, and no password", what, err)
		}
	}
	for _, name := range []string{"", "chatconf-tickets", "1st", "a b", "ä", strings.Repeat("n", 101)} {
		if _, err := tablestore.New(name, good); !errors.Is(err, table.ErrInvalid) {
			t.Errorf("New(%q) = %v, want ErrInvalid", name, err)
		}
	}
	if got := used.operations(); len(got) != 0 {
		t.Errorf("New sent %q", got)
	}
}

// What each call sends, and what it costs in units of capacity.
func TestRequests(t *testing.T) {
	s := local(t)
	tb := s.table(t, "items")
	s.TTL = time.Hour
	aging := s.table(t, "aging")
	type change = table.Change
	fill := func(n, size int) (keys []table.Key) {
		for i := range n {
			k := table.Key{Partition: "p", Sort: fmt.Sprintf("%03d", i)}
			keys = append(keys, k)
			write(t, tb, "p", change{Puts: []table.Put{{Sort: k.Sort, Value: make([]byte, size), Revision: 1}}})
		}
		return keys
	}
	keys := fill(60, 560)
	write(t, aging, "p", change{Adds: []table.Add{{Sort: "n", N: 1}}})
	get := func(keys ...table.Key) func() error {
		return func() error { _, err := tb.Get(t.Context(), keys...); return err }
	}
	query := func(r table.Range) func() error {
		return func() error { _, err := tb.Query(t.Context(), r); return err }
	}
	writes := func(tb table.Table, c change) func() error {
		return func() error { return tb.Write(t.Context(), "p", c) }
	}
	absent, stale := table.Absent(), table.AtRevision(9)
	// A Create as package chat makes it: document, history, five index entries and a counter.
	create := change{Puts: []table.Put{
		{Sort: "c#name", Value: make([]byte, 560), Revision: 1, If: absent},
		{Sort: "h#name#1", Value: make([]byte, 700), Revision: 1, If: absent},
		{Sort: "i#1"}, {Sort: "i#2"}, {Sort: "i#3"}, {Sort: "i#4"}, {Sort: "i#5"},
	}, Adds: []table.Add{{Sort: "n#07", N: 1}}}
	for _, test := range []struct {
		what        string
		call        func() error
		want        []string
		read, write int32
	}{
		{"Get of nothing", get(), []string{}, 0, 0},
		{"Get of one", get(keys[0]), []string{"GetRow"}, 1, 0},
		{"Get of 50", get(keys[:50]...), []string{"BatchGetRow"}, 50, 0},
		{"Query of 50", query(table.Range{Partition: "p", Limit: 50}), []string{"GetRange"}, 8, 0},
		{"Query backward of 50", query(table.Range{Partition: "p", Limit: 50, Reverse: true}),
			[]string{"GetRange"}, 8, 0},
		{"Query of nothing", query(table.Range{Partition: "p", Prefix: "none", Limit: 50}), []string{"GetRange"}, 1, 0},
		{"Query that cannot have any", query(table.Range{Partition: "p", Prefix: "a", After: "b", Limit: 50}),
			[]string{}, 0, 0},
		{"put", writes(tb, change{Puts: []table.Put{{Sort: "a"}}}), []string{"PutRow"}, 0, 1},
		{"put if absent", writes(tb, change{Puts: []table.Put{{Sort: "b", If: absent}}}), []string{"PutRow"}, 1, 1},
		{"put if absent in vain", writes(tb, change{Puts: []table.Put{{Sort: "b", If: absent}}}),
			[]string{"PutRow"}, 0, 0},
		{"delete", writes(tb, change{Deletes: []table.Delete{{Sort: "a"}}}), []string{"DeleteRow"}, 0, 1},
		{"add", writes(tb, change{Adds: []table.Add{{Sort: "n", N: 1}}}), []string{"UpdateRow"}, 0, 1},
		{"several", writes(tb, create), []string{"BatchWriteRow"}, 2, 8},
		{"several with two conditions, in vain", writes(tb, create), []string{"BatchWriteRow", "BatchGetRow"}, 8, 0},
		{"several with one condition, in vain",
			writes(tb, change{Puts: []table.Put{{Sort: "x"}, {Sort: "b", If: stale}}}),
			[]string{"BatchWriteRow"}, 0, 0},
		{"put of a ticket", writes(aging, change{Puts: []table.Put{{Sort: "ticket", If: absent}}}),
			[]string{"PutRow"}, 1, 1},
		{"add where items age", writes(aging, change{Adds: []table.Add{{Sort: "n", N: 1}}}),
			[]string{"GetRow", "PutRow"}, 2, 1},
		{"what is not text", writes(tb, change{Puts: []table.Put{{Sort: "\xff"}}}), []string{}, 0, 0},
		{"a key that is not text", get(table.Key{Partition: "p", Sort: "\xff"}), []string{}, 0, 0},
		{"a range that is not text", query(table.Range{Partition: "p", Prefix: "\xff", Limit: 1}), []string{}, 0, 0},
	} {
		s.wire.set(nil)
		err := test.call()
		var failed *table.ConditionError
		if err != nil && !errors.As(err, &failed) && !errors.Is(err, table.ErrInvalid) {
			t.Errorf("%s: %v", test.what, err)
		}
		if got := s.wire.operations(); !slices.Equal(got, test.want) {
			t.Errorf("%s sends %q, want %q", test.what, got, test.want)
		}
		if s.wire.readUnits != test.read || s.wire.writeUnits != test.write {
			t.Errorf("%s costs %d units read and %d written, want %d and %d", test.what, s.wire.readUnits,
				s.wire.writeUnits, test.read, test.write)
		}
	}
}

// A page that the service ends early is followed by the next; on a table with a time to live the
// next is a large one.
func TestLongQueries(t *testing.T) {
	s := local(t)
	now := time.Now()
	s.TTL, s.Now = time.Hour, func() time.Time { return now }
	tb := s.table(t, "items")
	for n := range 9 {
		var c table.Change
		for i := range 100 {
			c.Puts = append(c.Puts, table.Put{Sort: fmt.Sprintf("%d/%02d", n, i)})
		}
		write(t, tb, "p", c)
	}
	now = now.Add(time.Hour)
	write(t, tb, "p", table.Change{Puts: []table.Put{{Sort: "9"}}})
	s.wire.set(nil)
	items, err := tb.Query(t.Context(), table.Range{Partition: "p", Limit: 2})
	if err != nil || len(items) != 1 || items[0].Sort != "9" {
		t.Errorf("Query = %v, %v, want the one that is not over age", items, err)
	}
	if got, want := s.wire.operations(), []string{"GetRange", "GetRange"}; !slices.Equal(got, want) {
		t.Errorf("Query sends %q, want %q", got, want)
	}
}

// A write of many large values is refused before it is sent.
func TestTooLargeWrite(t *testing.T) {
	s := local(t)
	tb := s.table(t, "items")
	value := make([]byte, table.MaxValue)
	var c table.Change
	for i := range 10 {
		c.Puts = append(c.Puts, table.Put{Sort: fmt.Sprint(i), Value: value})
	}
	if err := tb.Write(t.Context(), "p", c); err != nil {
		t.Errorf("Write of 4.0 MB: %v", err)
	}
	c.Puts = append(c.Puts, table.Put{Sort: "more", Value: value})
	s.wire.set(nil)
	if err := tb.Write(t.Context(), "p", c); !errors.Is(err, table.ErrInvalid) || len(s.wire.operations()) != 0 {
		t.Errorf("Write of 4.4 MB = %v, and sent %q, want ErrInvalid and nothing", err, s.wire.operations())
	}
}

func TestAddBeyondTheLargestCountIsInvalid(t *testing.T) {
	for _, ttl := range []time.Duration{0, time.Hour} {
		s := local(t)
		s.TTL = ttl
		tb := s.table(t, "items")
		add := func(n int64) error {
			return tb.Write(t.Context(), "p", table.Change{Puts: []table.Put{{Sort: "b"}},
				Adds: []table.Add{{Sort: "a", N: n}}})
		}
		if err := add(1<<63 - 1); err != nil {
			t.Fatalf("add: %v", err)
		}
		if err := add(1); !errors.Is(err, table.ErrInvalid) {
			t.Errorf("add beyond the largest count, ttl %v = %v, want ErrInvalid", ttl, err)
		}
		if err := add(-1); err != nil {
			t.Errorf("add: %v", err)
		}
	}
}

// A compare and set of the SDK passes where the column is missing, unless it is told not to: each
// is told.
func TestConditionsOnTheWire(t *testing.T) {
	s := local(t)
	tb := s.table(t, "items")
	s.TTL = time.Hour
	aging := s.table(t, "aging")
	for _, tb := range []table.Table{tb, aging} {
		for verb, c := range map[string]table.Change{
			"put":    {Puts: []table.Put{{Sort: "a", If: table.AtRevision(0)}}},
			"delete": {Deletes: []table.Delete{{Sort: "a", If: table.AtRevision(0)}}},
		} {
			s.wire.set(nil)
			var failed *table.ConditionError
			if err := tb.Write(t.Context(), "p", c); !errors.As(err, &failed) {
				t.Errorf("%s of nothing at a revision = %v, want a ConditionError", verb, err)
			}
			m := new(otsprotocol.PutRowRequest) // that of a delete has its condition in the same place
			if err := proto.Unmarshal(s.wire.last().body, m); err != nil {
				t.Fatal(err)
			}
			if got, want := m.Condition.GetRowExistence(),
				otsprotocol.RowExistenceExpectation_EXPECT_EXIST; got != want {
				t.Errorf("%s at a revision expects %v, want %v", verb, got, want)
			}
			f := new(otsprotocol.Filter)
			if err := proto.Unmarshal(m.Condition.ColumnCondition, f); err != nil {
				t.Fatal(err)
			}
			for _, single := range singles(t, f) {
				if !single.GetFilterIfMissing() || !single.GetLatestVersionOnly() {
					t.Errorf("%s at a revision: condition %v passes on what is missing, or old", verb, single)
				}
			}
		}
	}
}

// singles returns the conditions on single columns that f is made of, of which there is at least
// one.
func singles(t *testing.T, f *otsprotocol.Filter) []*otsprotocol.SingleColumnValueFilter {
	t.Helper()
	if f.GetType() == otsprotocol.FilterType_FT_COMPOSITE_COLUMN_VALUE {
		m := new(otsprotocol.CompositeColumnValueFilter)
		if err := proto.Unmarshal(f.Filter, m); err != nil || len(m.SubFilters) == 0 {
			t.Fatalf("filter %v: %v", f, err)
		}
		var all []*otsprotocol.SingleColumnValueFilter
		for _, sub := range m.SubFilters {
			all = append(all, singles(t, sub)...)
		}
		return all
	}
	m := new(otsprotocol.SingleColumnValueFilter)
	if err := proto.Unmarshal(f.Filter, m); err != nil {
		t.Fatal(err)
	}
	return []*otsprotocol.SingleColumnValueFilter{m}
}

// Credentials are those of the invocation, call by call, and else those of the settings.
func TestCredentials(t *testing.T) {
	in := otstest.RunT(t, func(o *ots.Options) {
		o.AccessKeys = map[string]string{otstest.KeyID: otstest.KeySecret, "role-1": "secret-1", "role-2": "secret-2"}
		o.STSTokens = map[string]string{"role-1": "token-1"}
	})
	w := &wire{base: tablestore.NewTransport()}
	tb := open(t, in, "items", tablestore.Options{Transport: w})
	bare := newTable(t, "items", tablestore.Options{Endpoint: in.Endpoint, Instance: in.Name, Transport: w})
	get := func(tb table.Table, c invoke.Credentials) error {
		w.set(nil)
		_, err := tb.Get(invoke.With(t.Context(), &invoke.Invocation{Credentials: c}),
			table.Key{Partition: "p", Sort: "a"})
		return err
	}
	for _, c := range []invoke.Credentials{{}, {AccessKeyID: "role-1", AccessKeySecret: "secret-1",
		SecurityToken: "token-1"}, {AccessKeyID: "role-2", AccessKeySecret: "secret-2"}, {}} {
		err := get(tb, c)
		want := c.AccessKeyID
		if want == "" {
			want = otstest.KeyID
		}
		header := w.last().header
		if got := header.Get("x-ots-accesskeyid"); err != nil || got != want ||
			header.Get("x-ots-ststoken") != c.SecurityToken {
			t.Errorf("Get was signed by %q with token %q, want %q and %q; it returned %v", got,
				header.Get("x-ots-ststoken"), want, c.SecurityToken, err)
		}
	}
	if err := get(bare, invoke.Credentials{}); !errors.Is(err, table.ErrUnavailable) ||
		!strings.Contains(err.Error(), "no credentials") || len(w.operations()) != 0 {
		t.Errorf("Get without credentials = %v, and sent %q, want ErrUnavailable and nothing", err, w.operations())
	}
	if err := get(bare, invoke.Credentials{AccessKeyID: "role-1", AccessKeySecret: "wrong-secret"}); !errors.Is(err,
		table.ErrUnavailable) ||
		!strings.Contains(err.Error(), "OTSAuthFailed") || strings.Contains(err.Error(), "wrong-secret") ||
		len(w.operations()) != 1 {
		t.Errorf("Get with a wrong secret = %v after %q, want ErrUnavailable that says why, at once",
			err, w.operations())
	}
}

// No secret is in an error, whatever the service says, nor in a table that is printed.
func TestSecrets(t *testing.T) {
	const secret, token = "s3cr3t", "t0k3n"
	w := &wire{}
	tb := newTable(t, "items", tablestore.Options{
		Endpoint: "http://tablestore.test", Instance: "a", Transport: w,
		Credentials: invoke.Credentials{AccessKeyID: "id", AccessKeySecret: secret, SecurityToken: token},
	})
	echo := "expected " + secret + " of " + token + strings.Repeat(" and more", 100)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
	defer cancel()
	for what, tamper := range map[string]func(*exchange) (*http.Response, error){
		"a refusal": func(*exchange) (*http.Response, error) {
			return failure(403, "OTSAuthFailed", echo),
				nil
		},
		"a wrong parameter": func(*exchange) (*http.Response, error) {
			return failure(400,
				"OTSParameterInvalid", echo), nil
		},
		"a page": func(*exchange) (*http.Response, error) { return answer(500, echo), nil },
	} {
		w.set(tamper)
		err := tb.Write(ctx, "p", table.Change{Puts: []table.Put{{Sort: "a"}}})
		if text := fmt.Sprint(err); err == nil || strings.Contains(text, secret) ||
			strings.Contains(text, token) || len(text) > 600 {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, format := range []string{"%v", "%+v", "%#v"} {
		if text := fmt.Sprintf(format, tb); strings.Contains(text, secret) || strings.Contains(text, token) {
			t.Errorf("a table prints as %s", text)
		}
	}
}

// Calls one after another use one connection, whichever table they are for; no answer is
// compressed; nothing is written to disk, where the SDK's tunnel client logs to.
func TestConnectionsAndFiles(t *testing.T) {
	in := otstest.RunT(t)
	t.Chdir(t.TempDir())
	transport := tablestore.NewTransport()
	var dials atomic.Int64
	dial := transport.DialContext
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		dials.Add(1)
		return dial(ctx, network, address)
	}
	w := &wire{base: transport}
	for _, name := range []string{"one", "two"} {
		tb := open(t, in, name, tablestore.Options{Transport: w})
		prepare(t, tb, "p")
		list(t, tb, "p")
		for range 20 {
			if _, err := tb.Get(t.Context(), table.Key{Partition: "p", Sort: "a"}); err != nil {
				t.Fatal(err)
			}
			if got := w.last().header.Get("Accept-Encoding"); got != "" {
				t.Errorf("Accept-Encoding is %q", got)
			}
		}
	}
	if got := dials.Load(); got != 1 {
		t.Errorf("there were %d connections, want 1", got)
	}
	if files, err := os.ReadDir("."); err != nil || len(files) != 0 {
		t.Errorf("there are files: %v, %v", files, err)
	}
}

// Answers that are sound in themselves, but not what was asked for, are not taken.
func TestForeignAnswers(t *testing.T) {
	s := local(t)
	tb := s.table(t, "items")
	prepare(t, tb, "p")
	prepare(t, tb, "q")
	key := func(sort string) table.Key { return table.Key{Partition: "p", Sort: sort} }
	get := func(keys ...table.Key) func() ([]table.Item, error) {
		return func() ([]table.Item, error) { return tb.Get(t.Context(), keys...) }
	}
	query := func(r table.Range) func() ([]table.Item, error) {
		return func() ([]table.Item, error) { return tb.Query(t.Context(), r) }
	}
	for what, test := range map[string]struct{ asked, answered func() ([]table.Item, error) }{
		"another row": {get(key("a")), get(key("b"))},
		"other rows":  {get(key("a"), key("b")), get(key("b"), key("a"))},
		"fewer rows":  {get(key("a"), key("b"), key("n")), get(key("a"), key("b"))},
		"more rows":   {get(key("a"), key("b")), get(key("a"), key("b"), key("n"))},
		"another partition": {query(table.Range{Partition: "p", Limit: 9}),
			query(table.Range{Partition: "q", Limit: 9})},
		"another prefix": {query(table.Range{Partition: "p", Prefix: "a", Limit: 9}),
			query(table.Range{Partition: "p", Limit: 9})},
		"the other way": {query(table.Range{Partition: "p", Limit: 9}),
			query(table.Range{Partition: "p", Limit: 9, Reverse: true})},
		"the page before": {query(table.Range{Partition: "p", After: "a", Limit: 9}),
			query(table.Range{Partition: "p", Limit: 9})},
		"more to come, from before": {query(table.Range{Partition: "p", Limit: 9}),
			query(table.Range{Partition: "p", Limit: 1, Reverse: true})},
	} {
		s.wire.set(nil)
		want, err := test.asked()
		if err != nil {
			t.Fatal(err)
		}
		var body []byte
		s.wire.set(func(e *exchange) (*http.Response, error) {
			resp, err := e.send()
			if err == nil {
				body, err = io.ReadAll(resp.Body)
			}
			return answer(200, string(body)), err
		})
		if _, err := test.answered(); err != nil {
			t.Fatal(err)
		}
		first := true
		s.wire.set(func(e *exchange) (*http.Response, error) {
			if !first {
				return e.send()
			}
			first = false
			return answer(200, string(body)), nil
		})
		got, err := test.asked()
		if err != nil && !errors.Is(err, table.ErrUnavailable) || err == nil && !cmp.Equal(got, want) {
			t.Errorf("%s: %v (-want +got):\n%s", what, err, cmp.Diff(want, got))
		}
	}
}

// A range that leads nowhere ends.
func TestRangeWithoutEnd(t *testing.T) {
	s := local(t)
	tb := s.table(t, "items")
	key := new(sdk.PrimaryKey)
	key.AddPrimaryKeyColumn("partition", "p")
	key.AddPrimaryKeyColumn("sort", "b")
	body, err := proto.Marshal(&otsprotocol.GetRangeResponse{
		Consumed: &otsprotocol.ConsumedCapacity{CapacityUnit: &otsprotocol.CapacityUnit{Read: proto.Int32(1),
			Write: proto.Int32(0)}},
		Rows:                []byte{},
		NextStartPrimaryKey: key.Build(false),
	})
	if err != nil {
		t.Fatal(err)
	}
	s.wire.set(func(*exchange) (*http.Response, error) { return answer(200, string(body)), nil })
	items, err := tb.Query(t.Context(), table.Range{Partition: "p", Limit: 9})
	if got := len(s.wire.operations()); !errors.Is(err, table.ErrUnavailable) || got != 2 {
		t.Errorf("Query = %v, %v after %d requests, want ErrUnavailable after 2", items, err, got)
	}
}

// A batch that was answered for in part was done nevertheless, or was not: its number tells.
func TestBatchAnsweredInPart(t *testing.T) {
	s := local(t)
	tb := s.table(t, "items")
	for what, spoil := range map[string]func(*otsprotocol.TableInBatchWriteRowResponse){
		"one row busy": func(m *otsprotocol.TableInBatchWriteRowResponse) {
			m.Rows[1] = &otsprotocol.RowInBatchWriteRowResponse{IsOk: proto.Bool(false),
				Error: &otsprotocol.Error{Code: proto.String("OTSServerBusy"), Message: proto.String("injected")}}
		},
		"a row missing": func(m *otsprotocol.TableInBatchWriteRowResponse) { m.Rows = m.Rows[1:] },
		"another table": func(m *otsprotocol.TableInBatchWriteRowResponse) { m.TableName = proto.String("other") },
		"an empty failure": func(m *otsprotocol.TableInBatchWriteRowResponse) {
			m.Rows[0] = &otsprotocol.RowInBatchWriteRowResponse{IsOk: proto.Bool(false)}
		},
	} {
		s.set(fault{tamper: func(e *exchange) (*http.Response, error) {
			resp, err := e.send()
			if err != nil {
				return nil, err
			}
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				return nil, err
			}
			m := new(otsprotocol.BatchWriteRowResponse)
			if err := proto.Unmarshal(body, m); err != nil {
				return nil, err
			}
			spoil(m.Tables[0])
			body, err = proto.Marshal(m)
			return answer(200, string(body)), err
		}}, 1, isWrite)
		err := tb.Write(t.Context(), what, table.Change{Puts: []table.Put{{Sort: "a"}},
			Adds: []table.Add{{Sort: "n", N: 1}, {Sort: "o", N: 1}}})
		items := list(t, tb, what)
		if err != nil || len(items) != 3 || items[1].Count != 1 {
			t.Errorf("%s: Write = %v, and left %v", what, err, items)
		}
	}
}

// A batch of which one row was refused, and the others are said to be well, was refused.
func TestBatchRefusedInPart(t *testing.T) {
	s := local(t)
	tb := s.table(t, "items")
	s.set(fault{tamper: func(e *exchange) (*http.Response, error) {
		resp, err := e.send()
		if err != nil {
			return nil, err
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			return nil, err
		}
		m := new(otsprotocol.BatchWriteRowResponse)
		if err := proto.Unmarshal(body, m); err != nil {
			return nil, err
		}
		m.Tables[0].Rows[0] = &otsprotocol.RowInBatchWriteRowResponse{IsOk: proto.Bool(true),
			Consumed: &otsprotocol.ConsumedCapacity{
				CapacityUnit: &otsprotocol.CapacityUnit{Read: proto.Int32(0), Write: proto.Int32(0)},
			}}
		body, err = proto.Marshal(m)
		return answer(200, string(body)), err
	}}, 1, isWrite)
	want := table.ConditionError{Key: table.Key{Partition: "p", Sort: "b"}, If: table.AtRevision(1)}
	err := tb.Write(t.Context(), "p", table.Change{Puts: []table.Put{{Sort: "a"},
		{Sort: "b", Revision: 1, If: want.If}}})
	var failed *table.ConditionError
	if !errors.As(err, &failed) || *failed != want {
		t.Errorf("Write = %v, want %v", err, &want)
	}
}

// What a second try is told says nothing about a first one whose outcome is unknown.
func TestSecondTryFails(t *testing.T) {
	s := local(t)
	tb := s.table(t, "items")
	for _, code := range []string{"OTSParameterInvalid", "OTSAuthFailed", "OTSConditionCheckFail"} {
		n := 0
		s.wire.set(func(e *exchange) (*http.Response, error) {
			if !isWrite(e.operation) {
				return e.send()
			}
			if n++; n == 1 {
				return nil, errReset
			}
			return failure(403, code, "injected"), nil
		})
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		err := tb.Write(ctx, "p", table.Change{Puts: []table.Put{{Sort: "a", If: table.Absent()}}})
		cancel()
		if !errors.Is(err, table.ErrUnavailable) || errors.Is(err, table.ErrInvalid) {
			t.Errorf("Write, first without an answer and then with %s = %v, want ErrUnavailable", code, err)
		}
	}
}

// A row that is not this package's is an error that names it.
func TestForeignRow(t *testing.T) {
	in := otstest.RunT(t)
	tb := open(t, in, "items", tablestore.Options{})
	for sort, columns := range map[string]map[string]any{
		"no revision":     {"written": int64(1)},
		"no time":         {"revision": int64(1)},
		"another kind":    {"revision": "1", "written": int64(1)},
		"text for a blob": {"revision": int64(1), "written": int64(1), "value": "text"},
	} {
		putRow(t, in, "items", "p", sort, columns)
		_, err := tb.Get(t.Context(), table.Key{Partition: "p", Sort: sort})
		if !errors.Is(err, table.ErrUnavailable) || !strings.Contains(fmt.Sprint(err), sort) {
			t.Errorf("Get of a row with %s = %v, want ErrUnavailable and its name", sort, err)
		}
	}
}
