package dynamodb_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"chatconf/shared/table"
	"chatconf/shared/table/dynamodb"
	"chatconf/shared/table/dynamodb/dynamotest"
	"chatconf/shared/table/tabletest"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// A fault is what happens to one request.
type fault string

const (
	none         fault = ""
	unconnected  fault = "no connection"
	throttled    fault = "throttled"
	exceeded     fault = "over the provisioned throughput"
	overLimit    fault = "over the account's limit"
	conflict     fault = "in conflict with a transaction"
	expired      fault = "expired credentials"
	forbidden    fault = "forbidden"
	brokenBefore fault = "500 before it is done"
	brokenAfter  fault = "500 after it was done"
	resetBefore  fault = "connection reset before it is done"
	resetAfter   fault = "connection reset after it was done"
	hangBefore   fault = "no answer, and it is not done"
	hangAfter    fault = "no answer, and it was done"
	late         fault = "connection reset, and it is done later"
	mute         fault = "an empty 503 before it is done"
	garbageAfter fault = "an answer that is not JSON after it was done"
	halfAfter    fault = "half an answer after it was done"
	hugeAfter    fault = "a huge answer after it was done"
	swapped      fault = "a wrong checksum after it was done"
	emptyAfter   fault = "an empty answer after it was done"
	inProgress   fault = "the same transaction is in progress"
)

// faulty are requests to next with faults.
type faulty struct {
	next http.RoundTripper
	pick func(op string) fault // of the next request

	mu   sync.Mutex
	held []func() // requests that are late
}

// RoundTrip implements http.RoundTripper.
func (f *faulty) RoundTrip(r *http.Request) (*http.Response, error) {
	_, op, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	do := func(ctx context.Context) (*http.Response, error) {
		r := r.Clone(ctx)
		r.Body = io.NopCloser(bytes.NewReader(body))
		return f.next.RoundTrip(r)
	}
	code := func(status int, code string) (*http.Response, error) {
		return dynamotest.Answer(r, status, dynamotest.Failure{Type: "com.amazonaws.dynamodb.v20120810#" + code,
			Message: "as the test wants it"}), nil
	}
	reset := &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}

	switch what := f.pick(op); what {
	case none:
		return do(r.Context())
	case unconnected:
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	case throttled:
		return code(400, "ThrottlingException")
	case exceeded:
		return code(400, "ProvisionedThroughputExceededException")
	case overLimit:
		return code(400, "RequestLimitExceeded")
	case inProgress:
		return code(400, "TransactionInProgressException")
	case expired:
		return code(400, "ExpiredTokenException")
	case forbidden:
		return code(400, "AccessDeniedException")
	case conflict:
		if op != "TransactWriteItems" {
			return code(400, "TransactionConflictException")
		}
		reasons := make([]dynamotest.Reason, bytes.Count(body, []byte(`"TableName"`)))
		for i := range reasons {
			reasons[i].Code = "None"
		}
		reasons[rand.IntN(len(reasons))].Code = "TransactionConflict"
		return dynamotest.Answer(r, 400, dynamotest.Failure{Type: "TransactionCanceledException", Reasons: reasons}),
			nil
	case brokenBefore:
		return code(500, "InternalServerError")
	case resetBefore:
		return nil, reset
	case mute:
		return &http.Response{StatusCode: 503, Body: http.NoBody, Header: http.Header{}, Request: r}, nil
	case hangBefore:
		<-r.Context().Done()
		return nil, r.Context().Err()
	case late:
		f.mu.Lock()
		defer f.mu.Unlock()
		f.held = append(f.held, func() { do(context.Background()) })
		return nil, reset
	default:
		resp, err := do(r.Context())
		if err != nil {
			return nil, err
		}
		switch what {
		case brokenAfter:
			return code(500, "InternalServerError")
		case hangAfter:
			<-r.Context().Done()
			return nil, r.Context().Err()
		case garbageAfter:
			resp.Body = io.NopCloser(strings.NewReader("<html>It works!</html>"))
		case halfAfter:
			b, _ := io.ReadAll(resp.Body)
			resp.Body = io.NopCloser(bytes.NewReader(b[:len(b)/2]))
		case hugeAfter:
			resp.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"Item":{"p":{"S":"`), endless{}))
		case emptyAfter:
			resp.Body = http.NoBody
		case swapped:
			resp.Header.Set("X-Amz-Crc32", "1")
		case resetAfter:
			return nil, reset
		default:
			panic(what)
		}
		return resp, nil
	}
}

// deliver lets what is late arrive.
func (f *faulty) deliver() {
	f.mu.Lock()
	held := f.held
	f.held = nil
	f.mu.Unlock()
	for _, do := range held {
		do()
	}
}

// endless is text without an end.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

// first returns a pick of what for the first n requests.
func first(n int, what fault) func(string) fault {
	var mu sync.Mutex
	return func(string) fault {
		mu.Lock()
		defer mu.Unlock()
		if n--; n < 0 {
			return none
		}
		return what
	}
}

// The calls of the fault tests, on a partition with the items a and b at revision 1, and c with a
// count of 5; and what of it each changes.
var calls = map[string]struct {
	do      func(ctx context.Context, tb table.Table) error
	effect  func(state map[string]string)
	op      string // that it sends first
	several bool   // it may be sent again in any case
}{
	"get one": {op: "GetItem", several: true, do: func(ctx context.Context, tb table.Table) error {
		items, err := tb.Get(ctx, table.Key{Partition: "p", Sort: "a"})
		return wrong(err, len(items) == 1 && string(items[0].Value) == "a")
	}},
	"get none": {op: "GetItem", several: true, do: func(ctx context.Context, tb table.Table) error {
		items, err := tb.Get(ctx, table.Key{Partition: "p", Sort: "none"})
		return wrong(err, len(items) == 0)
	}},
	"get several": {op: "BatchGetItem", several: true, do: func(ctx context.Context, tb table.Table) error {
		items, err := tb.Get(ctx, table.Key{Partition: "p", Sort: "a"}, table.Key{Partition: "p", Sort: "b"},
			table.Key{Partition: "p", Sort: "none"})
		return wrong(err, len(items) == 2)
	}},
	"query": {op: "Query", several: true, do: func(ctx context.Context, tb table.Table) error {
		items, err := tb.Query(ctx, table.Range{Partition: "p", Limit: 10})
		return wrong(err, len(items) == 3)
	}},
	"put": {op: "PutItem", do: func(ctx context.Context, tb table.Table) error {
		return tb.Write(ctx, "p", table.Change{Puts: []table.Put{{Sort: "a", Value: []byte("new"), Revision: 2}}})
	}, effect: func(s map[string]string) { s["a"] = "new@2+0" }},
	"put if absent": {op: "PutItem", do: func(ctx context.Context, tb table.Table) error {
		return tb.Write(ctx, "p", table.Change{Puts: []table.Put{{Sort: "d",
			Value: []byte("new"), If: table.Absent()}}})
	}, effect: func(s map[string]string) { s["d"] = "new@0+0" }},
	"put at a revision": {op: "PutItem", do: func(ctx context.Context, tb table.Table) error {
		return tb.Write(ctx, "p", table.Change{Puts: []table.Put{{Sort: "a", Value: []byte("new"),
			Revision: 2, If: table.AtRevision(1)}}})
	}, effect: func(s map[string]string) { s["a"] = "new@2+0" }},
	"add": {op: "UpdateItem", do: func(ctx context.Context, tb table.Table) error {
		return tb.Write(ctx, "p", table.Change{Adds: []table.Add{{Sort: "c", N: 2}}})
	}, effect: func(s map[string]string) { s["c"] = "@0+7" }},
	"delete": {op: "DeleteItem", do: func(ctx context.Context, tb table.Table) error {
		return tb.Write(ctx, "p", table.Change{Deletes: []table.Delete{{Sort: "a", If: table.AtRevision(1)}}})
	}, effect: func(s map[string]string) { delete(s, "a") }},
	"write of several": {op: "TransactWriteItems", several: true, do: func(ctx context.Context, tb table.Table) error {
		return tb.Write(ctx, "p", table.Change{
			Puts:    []table.Put{{Sort: "d", Value: []byte("new"), If: table.Absent()}},
			Deletes: []table.Delete{{Sort: "b", If: table.AtRevision(1)}},
			Adds:    []table.Add{{Sort: "c", N: 2}},
		})
	}, effect: func(s map[string]string) { s["d"] = "new@0+0"; delete(s, "b"); s["c"] = "@0+7" }},
}

func wrong(err error, right bool) error {
	if err == nil && !right {
		return errors.New("a wrong answer")
	}
	return err
}

// prepare returns a fake with the items that calls are made on.
func prepare(t *testing.T) *dynamotest.Server {
	t.Helper()
	f := dynamotest.New()
	err := open(t, f, dynamodb.Options{}).Write(t.Context(), "p", table.Change{
		Puts: []table.Put{{Sort: "a", Value: []byte("a"), Revision: 1}, {Sort: "b", Value: []byte("b"), Revision: 1}},
		Adds: []table.Add{{Sort: "c", N: 5}},
	})
	if err != nil {
		t.Fatal(err)
	}
	f.Reset()
	return f
}

// state is what a fake has, in short.
func state(t *testing.T, f *dynamotest.Server) map[string]string {
	t.Helper()
	items, err := open(t, f, dynamodb.Options{}).Query(t.Context(), table.Range{Partition: "p", Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	s := make(map[string]string)
	for _, i := range items {
		s[i.Sort] = fmt.Sprintf("%s@%d+%d", i.Value, i.Revision, i.Count)
	}
	return s
}

// Each call meets each fault, once: it is done once or not at all, and what it says of that is
// true.
func TestOneFault(t *testing.T) {
	const (
		again  = iota + 1 // not done, and sent again
		before            // may have been done, and was not
		after             // may have been done, and was
	)
	for what, kind := range map[fault]int{
		unconnected: again, throttled: again, exceeded: again, overLimit: again, conflict: again, expired: again,
		brokenBefore: before, resetBefore: before, hangBefore: before, mute: before, inProgress: before,
		brokenAfter: after, resetAfter: after, hangAfter: after, garbageAfter: after, halfAfter: after,
		hugeAfter: after, swapped: after, emptyAfter: after,
	} {
		for name, call := range calls {
			t.Run(fmt.Sprintf("%s, %s", name, what), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f := prepare(t)
					untouched := state(t, f)
					want := maps.Clone(untouched)
					if call.effect != nil {
						call.effect(want)
					}
					f.Reset()
					front := &counting{next: &faulty{next: f, pick: first(1, what)}}
					tb, err := dynamodb.New("chatconf", options(front))
					if err != nil {
						t.Fatal(err)
					}
					err = call.do(t.Context(), tb)
					requests, sent := front.requests, f.Cost().Requests[call.op]
					got := state(t, f)

					unknown := kind == before && !call.several || kind == after && call.op == "DeleteItem"
					switch {
					case unknown && (!errors.Is(err, table.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded)):
						t.Errorf("the call = %v, want ErrUnavailable", err)
					case !unknown && err != nil:
						t.Errorf("the call = %v, want success", err)
					}
					if unknown && kind == before {
						want = untouched
					}
					if !maps.Equal(got, want) {
						t.Errorf("it leaves %v, want %v", got, want)
					}
					wantRequests := 2 // the same again, or one that reads the mark
					if unknown && call.op == "DeleteItem" {
						wantRequests = 1
					}
					if requests != wantRequests {
						t.Errorf("it took %d requests, want %d", requests, wantRequests)
					}
					if !call.several && sent > 1 {
						t.Errorf("%s was sent %d times", call.op, sent)
					}
				})
			})
		}
	}
}

func options(transport http.RoundTripper) dynamodb.Options {
	return dynamodb.Options{Region: "eu-central-1", Transport: transport,
		Credentials: credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "example"}}
}

// counting counts requests.
type counting struct {
	next     http.RoundTripper
	mu       sync.Mutex
	requests int
}

func (c *counting) RoundTrip(r *http.Request) (*http.Response, error) {
	c.mu.Lock()
	c.requests++
	c.mu.Unlock()
	return c.next.RoundTrip(r)
}

// Each call meets the same fault over and over: it gives up, with ErrUnavailable, after so many
// requests; or when the caller's time is up, with the context's error.
func TestEndlessFault(t *testing.T) {
	for what, most := range map[fault]int{
		unconnected: 10, throttled: 10, exceeded: 10, overLimit: 10, conflict: 10, brokenBefore: 10,
		resetBefore: 10, hangBefore: 10,
		garbageAfter: 10, expired: 2, forbidden: 1,
	} {
		for name, call := range calls {
			t.Run(fmt.Sprintf("%s, %s", name, what), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					front := &counting{next: &faulty{next: prepare(t), pick: func(string) fault { return what }}}
					tb, err := dynamodb.New("chatconf", options(front))
					if err != nil {
						t.Fatal(err)
					}
					err = call.do(t.Context(), tb)
					if !errors.Is(err, table.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("the call = %v, want ErrUnavailable", err)
					}
					if limit := most + 10; front.requests > limit || call.several && front.requests != most {
						t.Errorf("it took %d requests, want %d", front.requests, most)
					}
				})
			})
		}
	}
}

func TestDeadline(t *testing.T) {
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := prepare(t)
				tb, err := dynamodb.New("chatconf",
					options(&faulty{next: f, pick: func(string) fault { return hangBefore }}))
				if err != nil {
					t.Fatal(err)
				}
				start := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
				defer cancel()
				if err := call.do(ctx, tb); !errors.Is(err, context.DeadlineExceeded) ||
					errors.Is(err, table.ErrUnavailable) {
					t.Errorf("a call without an answer = %v, want DeadlineExceeded", err)
				}
				if took := time.Since(start); took != 3*time.Second {
					t.Errorf("it took %v, want 3s", took)
				}

				// With a throttled table, the call ends before a pause that would outlast its time.
				tb, err = dynamodb.New("chatconf",
					options(&faulty{next: f, pick: func(string) fault { return throttled }}))
				if err != nil {
					t.Fatal(err)
				}
				start = time.Now()
				ctx, cancel = context.WithTimeout(t.Context(), 300*time.Millisecond)
				defer cancel()
				if err := call.do(ctx, tb); !errors.Is(err, table.ErrUnavailable) {
					t.Errorf("a throttled call = %v, want ErrUnavailable", err)
				}
				if took := time.Since(start); took >= 300*time.Millisecond {
					t.Errorf("it took %v, want less than 300ms", took)
				}
			})
		})
	}
}

// The whole suite, with every eighth request meeting a fault after which it may be sent again.
func TestTableWithFaults(t *testing.T) {
	known := []fault{unconnected, throttled, exceeded, overLimit, conflict}
	read := append([]fault{brokenBefore, resetAfter, garbageAfter, halfAfter, mute, swapped}, known...)
	write := append([]fault{brokenBefore, brokenAfter, inProgress}, known...)
	tabletest.Run(t, func(t *testing.T, o tabletest.Options) table.Table {
		f := dynamotest.New()
		f.Batch = 7
		front := &faulty{next: f, pick: func(op string) fault {
			if rand.IntN(8) > 0 {
				return none
			}
			switch op {
			case "GetItem", "BatchGetItem", "Query":
				return read[rand.IntN(len(read))]
			case "TransactWriteItems":
				return write[rand.IntN(len(write))]
			default:
				return known[rand.IntN(len(known))]
			}
		}}
		return open(t, front, dynamodb.Options{Now: o.Now, TTL: o.TTL})
	}, tabletest.Caps{TextKeys: true, Slow: true})
}

// A condition that fails because the same call was done before is no ConditionError; one that fails
// in any case is.
func TestConditionAfterFault(t *testing.T) {
	var condition *table.ConditionError
	for what, want := range map[fault]bool{throttled: true, conflict: true, brokenBefore: true,
		resetBefore: false, late: false} {
		f := prepare(t)
		tb := open(t, &faulty{next: f, pick: first(1, what)}, dynamodb.Options{})
		err := tb.Write(t.Context(), "p", table.Change{Puts: []table.Put{{Sort: "a", If: table.Absent()}, {Sort: "d"}}})
		if got := errors.As(err, &condition); got != want || !got && !errors.Is(err, table.ErrUnavailable) {
			t.Errorf("several, %s, and then a condition that fails = %v, want a ConditionError: %v", what, err, want)
		}
	}
	// Its own put is there, and then another's in its place.
	f := prepare(t)
	other := open(t, f, dynamodb.Options{})
	n := 0
	tb := open(t, &faulty{next: f, pick: func(op string) fault {
		if n++; n == 1 {
			return resetAfter
		}
		if err := other.Write(t.Context(), "p",
			table.Change{Puts: []table.Put{{Sort: "d", Value: []byte("new")}}}); err != nil {
			t.Error(err)
		}
		return none
	}}, dynamodb.Options{})
	err := tb.Write(t.Context(), "p",
		table.Change{Puts: []table.Put{{Sort: "d", Value: []byte("new"), If: table.Absent()}}})
	if !errors.Is(err, table.ErrUnavailable) || errors.As(err, &condition) {
		t.Errorf("a put that somebody else has overwritten with the same = %v, want ErrUnavailable", err)
	}
}

// A conflict hides whether the condition of its part holds: the first that does not is named only
// when that is certain.
func TestConflictBeforeCondition(t *testing.T) {
	for name, test := range map[string]struct {
		codes    []string
		sort     string
		requests int
	}{
		"a failed condition": {[]string{"None", "ConditionalCheckFailed", "None", "None"},
			"b", 1},
		"two failed conditions": {[]string{"ConditionalCheckFailed",
			"ConditionalCheckFailed", "None", "None"}, "a", 1},
		"a conflict after it": {[]string{"None", "ConditionalCheckFailed",
			"TransactionConflict", "None"}, "b", 1},
		"a conflict before it": {[]string{"TransactionConflict",
			"ConditionalCheckFailed", "None", "None"}, "a", 2},
		"a conflict of a part without a condition": {[]string{"None", "None",
			"ConditionalCheckFailed", "ThrottlingError"}, "c", 1},
		"a conflict before it, throttled": {[]string{"ThrottlingError", "None",
			"ConditionalCheckFailed", "None"}, "a", 2},
		"a conflict before it, by provision": {[]string{"None", "ProvisionedThroughputExceeded",
			"ConditionalCheckFailed", "None"}, "a", 2},
		"a failed condition, and something else broken": {[]string{"None", "ConditionalCheckFailed",
			"ValidationError", "None"}, "b", 1},
	} {
		n := 0
		tb := open(t, roundTripper(func(r *http.Request) (*http.Response, error) {
			codes := test.codes
			if n++; n > 1 {
				codes = []string{"ConditionalCheckFailed", "None", "None", "None"}
			}
			var reasons []dynamotest.Reason
			for _, c := range codes {
				reasons = append(reasons, dynamotest.Reason{Code: c})
			}
			return dynamotest.Answer(r, 400, dynamotest.Failure{Type: "TransactionCanceledException",
				Reasons: reasons}), nil
		}), dynamodb.Options{})
		err := tb.Write(t.Context(), "p", table.Change{
			Puts:    []table.Put{{Sort: "a", If: table.AtRevision(1)}, {Sort: "b", If: table.AtRevision(1)}},
			Deletes: []table.Delete{{Sort: "c", If: table.AtRevision(1)}},
			Adds:    []table.Add{{Sort: "n", N: 1}},
		})
		var condition *table.ConditionError
		if !errors.As(err, &condition) || condition.Key.Sort != test.sort || n != test.requests {
			t.Errorf("%s: %v after %d requests, want %q after %d", name, err, n, test.sort, test.requests)
		}
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Answers in good form that cannot be right are not believed.
func TestAnswersToOtherQuestions(t *testing.T) {
	item := func(sort, rest string) string {
		return `{"p":{"S":"p"},"s":{"S":"` + sort + `"},"revision":{"N":"1"},"written":{"N":"1"}` + rest + `}`
	}
	read := func(tb table.Table) (err error) {
		_, err = tb.Get(context.Background(), table.Key{Partition: "p", Sort: "a"})
		return err
	}
	readSeveral := func(tb table.Table) (err error) {
		_, err = tb.Get(context.Background(), table.Key{Partition: "p", Sort: "a"},
			table.Key{Partition: "p", Sort: "b"})
		return err
	}
	query := func(tb table.Table) (err error) {
		_, err = tb.Query(context.Background(), table.Range{Partition: "p", Prefix: "a", After: "a1", Limit: 3})
		return err
	}
	write := func(tb table.Table) error {
		return tb.Write(context.Background(), "p", table.Change{Puts: []table.Put{{Sort: "a"}, {Sort: "b"}}})
	}
	for name, test := range map[string]struct {
		status int
		body   string
		do     func(table.Table) error
	}{
		"another item": {200, `{"Item":` + item("b", "") + `}`, read},
		"an item without a key": {200, `{"Item":{"p":{"S":"p"},"revision":{"N":"1"},"written":{"N":"1"}}}`,
			read},
		"a revision of another type":    {200, `{"Item":` + item("a", `,"revision":{"S":"1"}`) + `}`, read},
		"a revision that is no integer": {200, `{"Item":` + item("a", `,"revision":{"N":"1.5"}`) + `}`, read},
		"a count that is too large": {200, `{"Item":` + item("a", `,"count":{"N":"9223372036854775808"}`) +
			`}`, read},
		"a value of another type":    {200, `{"Item":` + item("a", `,"value":{"S":"x"}`) + `}`, read},
		"a value that is not base64": {200, `{"Item":` + item("a", `,"value":{"B":"?"}`) + `}`, read},
		"never written":              {200, `{"Item":{"p":{"S":"p"},"s":{"S":"a"},"revision":{"N":"1"}}}`, read},
		"one item twice": {200, `{"Responses":{"chatconf":[` + item("a", "") + `,` +
			item("a", "") + `]}}`, readSeveral},
		"an item not asked for":        {200, `{"Responses":{"chatconf":[` + item("c", "") + `]}}`, readSeveral},
		"a damaged item among several": {200, `{"Responses":{"chatconf":[{"p":{"S":"p"}}]}}`, readSeveral},
		"unprocessed, and not asked for": {200,
			`{"UnprocessedKeys":{"chatconf":{"Keys":[{"p":{"S":"p"},"s":{"S":"c"}}]}}}`, readSeveral},
		"unprocessed twice": {200,
			`{"UnprocessedKeys":{"chatconf":{"Keys":[{"p":{"S":"p"},"s":{"S":"a"}},{"p":{"S":"p"},"s":{"S":"a"}}]}}}`,
			readSeveral},
		"unprocessed for ever": {200,
			`{"UnprocessedKeys":{"chatconf":{"Keys":[{"p":{"S":"p"},"s":{"S":"a"}}]}}}`, readSeveral},
		"a page out of order":        {200, `{"Items":[` + item("a3", "") + `,` + item("a2", "") + `]}`, query},
		"a page with another prefix": {200, `{"Items":[` + item("b", "") + `]}`, query},
		"a page before the cursor":   {200, `{"Items":[` + item("a1", "") + `]}`, query},
		"a page of damaged items":    {200, `{"Items":[{}]}`, query},
		"pages without an end": {200, `{"Items":[],"LastEvaluatedKey":{"p":{"S":"p"},"s":{"S":"a1"}}}`,
			query},
		"a page that ends elsewhere":     {200, `{"Items":[],"LastEvaluatedKey":{"p":{"S":"p"},"s":{"S":"b"}}}`, query},
		"a page that ends without a key": {200, `{"Items":[],"LastEvaluatedKey":{"p":{"S":"p"}}}`, query},
		"fewer reasons than parts": {400,
			`{"__type":"TransactionCanceledException","CancellationReasons":[{"Code":"ConditionalCheckFailed"}]}`,
			write},
		"no reason at all": {400,
			`{"__type":"TransactionCanceledException","CancellationReasons":[{"Code":"None"},{"Code":"None"}]}`, write},
		"an unknown error":        {400, `{"__type":"SomethingNew"}`, write},
		"an error without a type": {400, `{}`, write},
		"a redirection":           {307, `{}`, write},
		"a list":                  {200, `[]`, query},
	} {
		n := 0
		tb := open(t, roundTripper(func(r *http.Request) (*http.Response, error) {
			n++
			return &http.Response{StatusCode: test.status, Header: http.Header{"Location": {"http://192.0.2.1/"}},
				Body: io.NopCloser(strings.NewReader(test.body)), Request: r}, nil
		}), dynamodb.Options{})
		if err := test.do(tb); !errors.Is(err, table.ErrUnavailable) {
			t.Errorf("%s: %v, want ErrUnavailable", name, err)
		}
		if n > 11 {
			t.Errorf("%s: %d requests, want at most 11", name, n)
		}
	}
}

// Credentials that have expired are fetched anew, once.
func TestInvalidate(t *testing.T) {
	f := prepare(t)
	c := &counted{}
	tb := open(t, roundTripper(func(r *http.Request) (*http.Response, error) {
		if !strings.Contains(r.Header.Get("Authorization"), "Credential=KEY1/") {
			return dynamotest.Answer(r, 400, dynamotest.Failure{Type: "ExpiredTokenException"}), nil
		}
		return f.RoundTrip(r)
	}), dynamodb.Options{Credentials: c})
	for range 3 {
		if _, err := tb.Get(t.Context(), table.Key{Partition: "p", Sort: "a"}); err != nil {
			t.Fatalf("Get: %v", err)
		}
	}
	if n := c.n.Load(); n != 1 {
		t.Errorf("credentials were fetched anew %d times, want 1", n)
	}
}

// Many whose requests are refused at once drop the credentials that were refused, and not those
// that replace them.
func TestInvalidateTogether(t *testing.T) {
	c := &counted{}
	f := prepare(t)
	const callers = 8
	var arrived sync.WaitGroup
	arrived.Add(callers)
	tb := open(t, roundTripper(func(r *http.Request) (*http.Response, error) {
		if strings.Contains(r.Header.Get("Authorization"), "Credential=KEY0/") {
			arrived.Done()
			arrived.Wait()
			return dynamotest.Answer(r, 400, dynamotest.Failure{Type: "ExpiredTokenException"}), nil
		}
		return f.RoundTrip(r)
	}), dynamodb.Options{Credentials: c})
	var done sync.WaitGroup
	for range callers {
		done.Go(func() {
			if _, err := tb.Get(t.Context(), table.Key{Partition: "p", Sort: "a"}); err != nil {
				t.Errorf("Get: %v", err)
			}
		})
	}
	done.Wait()
	if got := c.n.Load(); got != 1 {
		t.Errorf("credentials were dropped %d times, want once", got)
	}
}

// counted credentials are others after each Invalidate, and may be used by many at once.
type counted struct{ n atomic.Int32 }

func (c *counted) Invalidate() { c.n.Add(1) }
func (c *counted) Retrieve(context.Context) (aws.Credentials, error) {
	return aws.Credentials{AccessKeyID: fmt.Sprint("KEY", c.n.Load()), SecretAccessKey: "example"}, nil
}
