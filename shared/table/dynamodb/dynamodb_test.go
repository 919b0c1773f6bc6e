package dynamodb_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"chatconf/shared/table"
	"chatconf/shared/table/dynamodb"
	"chatconf/shared/table/dynamodb/dynamotest"
)

func TestNewRefuses(t *testing.T) {
	for what, test := range map[string]struct {
		name string
		o    dynamodb.Options
		want string
	}{
		"a short name":        {"ab", dynamodb.Options{Region: "r"}, `table name "ab"`},
		"a name with a slash": {"arn/aws", dynamodb.Options{Region: "r"}, "table name"},
		"a long name":         {strings.Repeat("n", 256), dynamodb.Options{Region: "r"}, "table name"},
		"no region":           {"chatconf", dynamodb.Options{}, "set the region"},
		"a bare host":         {"chatconf", dynamodb.Options{Region: "r", Endpoint: "localhost:8000"}, "endpoint"},
		"a file": {"chatconf", dynamodb.Options{Region: "r", Endpoint: "file:///etc/passwd"},
			"endpoint"},
		"a negative TTL":     {"chatconf", dynamodb.Options{Region: "r", TTL: -1}, "negative"},
		"a negative timeout": {"chatconf", dynamodb.Options{Region: "r", Timeout: -1}, "negative"},
		"an endpoint, unparsed": {"chatconf", dynamodb.Options{Region: "r", Endpoint: "http://user:secret@%zz"},
			"endpoint"},
	} {
		_, err := dynamodb.New(test.name, test.o)
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("New with %s = %v, want an error with %q", what, err, test.want)
		}
	}
}

// Keys are text: what is no UTF-8 is refused, and nothing is sent.
func TestKeysAreText(t *testing.T) {
	f := dynamotest.New()
	tb := open(t, f, dynamodb.Options{})
	const bad = "a\xff"
	ctx := t.Context()
	_, get := tb.Get(ctx, table.Key{Partition: "p", Sort: "a"}, table.Key{Partition: bad, Sort: "a"})
	_, getSort := tb.Get(ctx, table.Key{Partition: "p", Sort: bad})
	_, partition := tb.Query(ctx, table.Range{Partition: bad, Limit: 1})
	_, prefix := tb.Query(ctx, table.Range{Partition: "p", Prefix: bad, Limit: 1})
	_, after := tb.Query(ctx, table.Range{Partition: "p", After: bad, Limit: 1})
	for what, err := range map[string]error{
		"Get of a partition":     get,
		"Get of a sort key":      getSort,
		"Query of a partition":   partition,
		"Query of a prefix":      prefix,
		"Query after a cursor":   after,
		"Write to a partition":   tb.Write(ctx, bad, table.Change{Puts: []table.Put{{Sort: "a"}}}),
		"Write with a bad put":   tb.Write(ctx, "p", table.Change{Puts: []table.Put{{Sort: bad}}}),
		"Write with a bad add":   tb.Write(ctx, "p", table.Change{Adds: []table.Add{{Sort: bad}}}),
		"Write with a bad erase": tb.Write(ctx, "p", table.Change{Deletes: []table.Delete{{Sort: bad}}}),
	} {
		if !errors.Is(err, table.ErrInvalid) {
			t.Errorf("%s that is not UTF-8 = %v, want ErrInvalid", what, err)
		}
	}
	if sent := f.Cost().Requests; len(sent) > 0 {
		t.Errorf("%v were sent, want nothing", sent)
	}
}

// What DynamoDB's transactions cannot hold is refused, and nothing is sent.
func TestTooLargeForATransaction(t *testing.T) {
	f := dynamotest.New()
	tb := open(t, f, dynamodb.Options{})
	var c table.Change
	value := make([]byte, table.MaxValue)
	for i := range 11 {
		c.Puts = append(c.Puts, table.Put{Sort: fmt.Sprint(i), Value: value})
	}
	if err := tb.Write(t.Context(), "p", c); !errors.Is(err, table.ErrInvalid) || len(f.Cost().Requests) > 0 {
		t.Errorf("Write of 4.4 MB = %v after %v, want ErrInvalid after nothing", err, f.Cost().Requests)
	}
	c.Puts = c.Puts[:10]
	if err := tb.Write(t.Context(), "p", c); err != nil {
		t.Errorf("Write of 4 MB = %v, want success", err)
	}
}

// Each call of the port is so many requests, and costs so many units: a read one per 4 KB, a write
// one per 1 KB, and two in a transaction.
func TestRequestsAndUnits(t *testing.T) {
	ctx := t.Context()
	page := make([]table.Put, 50)
	for i := range page {
		page[i] = table.Put{Sort: fmt.Sprintf("c#%03d", i), Value: make([]byte, 500), Revision: 1}
	}
	get := func(n int) func(tb table.Table) error {
		return func(tb table.Table) error {
			var keys []table.Key
			for _, p := range page[:n] {
				keys = append(keys, table.Key{Partition: "p", Sort: p.Sort})
			}
			items, err := tb.Get(ctx, keys...)
			return wrong(err, len(items) == n)
		}
	}
	query := func(r table.Range, n int) func(tb table.Table) error {
		r.Partition = "p"
		return func(tb table.Table) error {
			items, err := tb.Query(ctx, r)
			return wrong(err, len(items) == n)
		}
	}
	write := func(c table.Change) func(tb table.Table) error {
		return func(tb table.Table) error { return tb.Write(ctx, "p", c) }
	}
	large := table.Put{Sort: "large", Value: make([]byte, 10_000)}
	for name, test := range map[string]struct {
		do          func(table.Table) error
		requests    map[string]int
		read, write float64
	}{
		"Get of one":            {get(1), map[string]int{"GetItem": 1}, 1, 0},
		"Get of none":           {get(0), nil, 0, 0},
		"Get of 50":             {get(50), map[string]int{"BatchGetItem": 1}, 50, 0},
		"Query of a page of 50": {query(table.Range{Limit: 50}, 50), map[string]int{"Query": 1}, 7, 0},
		"Query of a page of 50 of a range": {query(table.Range{Prefix: "c#", Limit: 50}, 50),
			map[string]int{"Query": 1}, 7, 0},
		"Query of a page that is not full": {query(table.Range{Prefix: "c#", Limit: 100}, 50),
			map[string]int{"Query": 1}, 7, 0},
		"Query of nothing": {query(table.Range{Prefix: "x", Limit: 50}, 0),
			map[string]int{"Query": 1}, 1, 0},
		"Query that cannot have a result": {query(table.Range{Prefix: "c#", After: "d", Limit: 50}, 0), nil, 0, 0},
		"put":                             {write(table.Change{Puts: page[:1]}), map[string]int{"PutItem": 1}, 0, 1},
		"put of 10 KB": {write(table.Change{Puts: []table.Put{large}}),
			map[string]int{"PutItem": 1}, 0, 10},
		"put if absent": {write(table.Change{Puts: []table.Put{{Sort: "new", If: table.Absent()}}}),
			map[string]int{"PutItem": 1}, 0, 1},
		"add": {write(table.Change{Adds: []table.Add{{Sort: "n", N: 1}}}),
			map[string]int{"UpdateItem": 1}, 0, 1},
		"delete": {write(table.Change{Deletes: []table.Delete{{Sort: "c#000"}}}),
			map[string]int{"DeleteItem": 1}, 0, 1},
		"write of ten": {write(table.Change{Puts: page[:9], Adds: []table.Add{{Sort: "n", N: 1}}}),
			map[string]int{"TransactWriteItems": 1}, 0, 20},
	} {
		f := dynamotest.New()
		tb := open(t, f, dynamodb.Options{})
		if err := tb.Write(ctx, "p", table.Change{Puts: page}); err != nil {
			t.Fatal(err)
		}
		f.Reset()
		if err := test.do(tb); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := f.Cost(); !maps.Equal(got.Requests, test.requests) ||
			got.Read != test.read || got.Write != test.write {
			t.Errorf("%s: %v for %v and %v units, want %v for %v and %v", name, got.Requests, got.Read, got.Write,
				test.requests, test.read, test.write)
		}
	}
}

// A page behind many items that are over age takes a few requests, each for more than the one
// before.
func TestQueryBehindDeadItems(t *testing.T) {
	f := dynamotest.New()
	now := time.Now()
	tb := open(t, f, dynamodb.Options{TTL: time.Minute, Now: func() time.Time { return now }})
	for i := range 10 {
		var c table.Change
		for j := range table.MaxWrite {
			c.Puts = append(c.Puts, table.Put{Sort: fmt.Sprintf("%04d", i*table.MaxWrite+j)})
		}
		if err := tb.Write(t.Context(), "p", c); err != nil {
			t.Fatal(err)
		}
	}
	now = now.Add(time.Minute)
	if err := tb.Write(t.Context(), "p", table.Change{Puts: []table.Put{{Sort: "living"}}}); err != nil {
		t.Fatal(err)
	}
	items, err := tb.Query(t.Context(), table.Range{Partition: "p", Limit: 1})
	if err != nil || len(items) != 1 || items[0].Sort != "living" {
		t.Errorf("Query = %v, %v, want the living one", items, err)
	}
	if got, want := f.Cost().Requests["Query"], 10; got > want {
		t.Errorf("it took %d requests, want at most %d", got, want)
	}
}

// An add that does not fit the counter is refused, and leaves it, on its own and beside others.
func TestAddBeyondTheCounter(t *testing.T) {
	for _, ttl := range []time.Duration{0, time.Hour} {
		tb := open(t, dynamotest.New(), dynamodb.Options{TTL: ttl})
		for sort, n := range map[string]int64{"max": math.MaxInt64, "min": math.MinInt64} {
			add := table.Change{Adds: []table.Add{{Sort: sort, N: n}}}
			if err := tb.Write(t.Context(), "p", add); err != nil {
				t.Fatalf("add of %d: %v", n, err)
			}
			one := table.Change{Adds: []table.Add{{Sort: sort, N: n / math.MaxInt64}}}
			two := table.Change{Adds: one.Adds, Puts: []table.Put{{Sort: "beside"}}}
			for _, c := range []table.Change{one, two} {
				if err := tb.Write(t.Context(), "p", c); !errors.Is(err, table.ErrInvalid) {
					t.Errorf("an add beyond %s = %v, want ErrInvalid", sort, err)
				}
			}
		}
		items, err := tb.Query(t.Context(), table.Range{Partition: "p", Limit: 10})
		if err != nil || len(items) != 2 || items[0].Count != math.MaxInt64 || items[1].Count != math.MinInt64 {
			t.Errorf("they leave %v, %v, want both counters as they were", items, err)
		}
	}
}

// An add to an item that is over age starts it afresh, whoever else does so too, and none is lost.
func TestAddsToWhatIsOverAge(t *testing.T) {
	f := dynamotest.New()
	now := time.Now()
	o := dynamodb.Options{TTL: time.Minute, Now: func() time.Time { return now }}
	other := open(t, f, o)
	for _, several := range []bool{false, true} {
		if err := other.Write(t.Context(), "p",
			table.Change{Puts: []table.Put{{Sort: "n", Value: []byte("old"), Revision: 3}},
				Adds: []table.Add{{Sort: "m", N: 100}}}); err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Minute)
		n := 0
		tb := open(t, roundTripper(func(r *http.Request) (*http.Response, error) {
			if n++; n == 2 { // between the refusal and the fresh start, somebody else starts afresh
				if err := other.Write(t.Context(), "p",
					table.Change{Adds: []table.Add{{Sort: "n", N: 5}}}); err != nil {
					t.Error(err)
				}
			}
			return f.RoundTrip(r)
		}), o)
		c := table.Change{Adds: []table.Add{{Sort: "n", N: 2}}}
		if several {
			c.Adds = append(c.Adds, table.Add{Sort: "m", N: 3})
		}
		if err := tb.Write(t.Context(), "p", c); err != nil {
			t.Fatal(err)
		}
		items, err := tb.Get(t.Context(), table.Key{Partition: "p", Sort: "n"}, table.Key{Partition: "p", Sort: "m"})
		if err != nil {
			t.Fatal(err)
		}
		got := make(map[string]int64)
		for _, i := range items {
			got[i.Sort] = i.Count
			if i.Value != nil || i.Revision != 0 {
				t.Errorf("%s has kept its value or its revision: %+v", i.Sort, i)
			}
		}
		want := map[string]int64{"n": 7}
		if several {
			want["m"] = 3
		}
		if !maps.Equal(got, want) {
			t.Errorf("the counters are %v, want %v", got, want)
		}
		now = now.Add(time.Minute)
	}
}

// Items of a table with a time to live say when DynamoDB may remove them: never before they are
// over age.
func TestTTLAttribute(t *testing.T) {
	f := dynamotest.New()
	written := time.UnixMilli(1_700_000_000_001)
	tb := open(t, f, dynamodb.Options{TTL: 10 * time.Second, Now: func() time.Time { return written }})
	if err := tb.Write(t.Context(), "p", table.Change{Puts: []table.Put{{Sort: "a"}},
		Adds: []table.Add{{Sort: "n", N: 1}}}); err != nil {
		t.Fatal(err)
	}
	plain := open(t, f, dynamodb.Options{})
	if err := plain.Write(t.Context(), "p", table.Change{Puts: []table.Put{{Sort: "plain"}}}); err != nil {
		t.Fatal(err)
	}
	for sort, want := range map[string]string{"a": "1700000011", "n": "1700000011", "plain": ""} {
		if got := f.Item(table.Key{Partition: "p", Sort: sort})["ttl"]["N"]; got != want {
			t.Errorf("%s has ttl %q, want %q", sort, got, want)
		}
	}
}

// Over real connections: the table's own transport sends signed requests to the endpoint, and a
// closed table none.
func TestOwnTransport(t *testing.T) {
	server := httptest.NewServer(dynamotest.New())
	defer server.Close()
	tb, err := dynamodb.New("chatconf", dynamodb.Options{Region: "eu-central-1", Endpoint: server.URL,
		Credentials: credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "example"}})
	if err != nil {
		t.Fatal(err)
	}
	value := bytes.Repeat([]byte("v"), table.MaxValue)
	if err := tb.Write(t.Context(), "p", table.Change{Puts: []table.Put{{Sort: "a", Value: value}}}); err != nil {
		t.Fatalf("Write: %v", err)
	}
	items, err := tb.Get(t.Context(), table.Key{Partition: "p", Sort: "a"})
	if err != nil || len(items) != 1 || !bytes.Equal(items[0].Value, value) {
		t.Fatalf("Get = %d items, %v, want the one", len(items), err)
	}
	server.Close()
	dynamodb.SetSleep(tb, func(context.Context, time.Duration) error { return nil })
	if _, err := tb.Get(t.Context(), table.Key{Partition: "p", Sort: "a"}); !errors.Is(err, table.ErrUnavailable) {
		t.Errorf("Get without a server = %v, want ErrUnavailable", err)
	}
	if err := tb.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// A clock that is wrong costs one more request, and no more after that: the SDK learns the
// difference.
func TestWrongClock(t *testing.T) {
	f := prepare(t)
	var dates []string
	tb := open(t, roundTripper(func(r *http.Request) (*http.Response, error) {
		dates = append(dates, r.Header.Get("X-Amz-Date"))
		resp, err := f.RoundTrip(r)
		if signed, _ := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date")); time.Since(
			signed) > -30*time.Minute {
			resp = dynamotest.Answer(r, 400, dynamotest.Failure{Type: "InvalidSignatureException",
				Message: "Signature expired"})
		}
		resp.Header.Set("Date", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat))
		return resp, err
	}), dynamodb.Options{})
	for range 2 {
		if _, err := tb.Get(t.Context(), table.Key{Partition: "p", Sort: "a"}); err != nil {
			t.Errorf("Get: %v", err)
		}
	}
	if len(dates) != 3 || !slices.IsSorted(dates) {
		t.Errorf("requests are signed at %q, want one by the wrong clock and two by the right one", dates)
	}
}
