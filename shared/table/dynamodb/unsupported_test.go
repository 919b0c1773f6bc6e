package dynamodb_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"chatconf/shared/table"
	"chatconf/shared/table/dynamodb"
	"chatconf/shared/table/dynamodb/dynamotest"
)

// A lacking store answers some operations as what stands in for DynamoDB answers those that it does
// not have.
type lacking struct {
	next    http.RoundTripper
	lacks   string // operations
	status  int
	body    string
	refused atomic.Int64
}

// RoundTrip implements http.RoundTripper.
func (l *lacking) RoundTrip(r *http.Request) (*http.Response, error) {
	_, op, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	if !strings.Contains(l.lacks, op) {
		return l.next.RoundTrip(r)
	}
	l.refused.Add(1)
	return &http.Response{
		StatusCode: l.status, Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}},
		Body: io.NopCloser(strings.NewReader(l.body)), ContentLength: int64(len(l.body)), Request: r,
	}, nil
}

// An operation that the store does not have ends its call at once and for good: it is not sent
// again, and is not called unavailable. Probe finds it beforehand, and changes nothing.
func TestAStoreWithoutTransactions(t *testing.T) {
	for name, answer := range map[string]struct {
		status int
		body   string
	}{
		"UnknownOperationException": {400,
			`{"__type":"com.amazonaws.dynamodb.v20120810#UnknownOperationException","message":"Unsupported ` +
				`operation"}`},
		"UnknownOperationException, no message": {400,
			`{"__type":"com.amazon.coral.service#UnknownOperationException"}`},
		"NotImplemented":                          {400, `{"__type":"NotImplemented","message":"no"}`},
		"status 501 without a code":               {501, `<html>no</html>`},
		"UnsupportedOperationException, as a 500": {500, `{"__type":"UnsupportedOperationException"}`},
	} {
		t.Run(name, func(t *testing.T) {
			engine := dynamotest.New()
			front := &lacking{next: engine, lacks: "TransactWriteItems", status: answer.status, body: answer.body}
			tb := open(t, front, dynamodb.Options{})
			if err := tb.Probe(t.Context()); !errors.Is(err, table.ErrUnsupported) ||
				!strings.Contains(err.Error(), "it lacks transactions") {
				t.Errorf("Probe = %v, want that there are no transactions", err)
			}
			two := table.Change{Puts: []table.Put{{Sort: "a"}, {Sort: "b"}}}
			before := front.refused.Load()
			err := tb.Write(t.Context(), "p", two)
			if !errors.Is(err, table.ErrUnsupported) || errors.Is(err, table.ErrUnavailable) {
				t.Errorf("Write of two = %v, want only ErrUnsupported", err)
			}
			if sent := front.refused.Load() - before; sent != 1 {
				t.Errorf("the transaction was sent %d times, want once", sent)
			}
			if err := tb.Write(t.Context(), "p", table.Change{Puts: []table.Put{{Sort: "a"}}}); err != nil {
				t.Errorf("Write of one, which needs no transaction: %v", err)
			}

			front.lacks = "Query GetItem BatchGetItem"
			if _, err := tb.Query(t.Context(), table.Range{Partition: "p", Limit: 1}); !errors.Is(err,
				table.ErrUnsupported) {
				t.Errorf("Query = %v, want ErrUnsupported", err)
			}
			if _, err := tb.Get(t.Context(), table.Key{Partition: "p", Sort: "a"},
				table.Key{Partition: "p", Sort: "b"}); !errors.Is(err, table.ErrUnsupported) {
				t.Errorf("Get = %v, want ErrUnsupported", err)
			}
		})
	}
}

// A store that has transactions passes, with anything in it and with nothing, and whatever else is
// wrong with it: Probe is about one thing.
func TestProbeOfAStoreWithTransactions(t *testing.T) {
	engine := dynamotest.New()
	tb := open(t, engine, dynamodb.Options{})
	for _, sort := range []string{"one", "other"} {
		if err := tb.Probe(t.Context()); err != nil {
			t.Errorf("Probe: %v", err)
		}
		if err := tb.Write(t.Context(), "probe",
			table.Change{Puts: []table.Put{{Sort: sort, Revision: 2}}}); err != nil {
			t.Fatal(err)
		}
	}
	items, err := tb.Query(t.Context(), table.Range{Partition: "probe", Limit: 10})
	if err != nil || len(items) != 2 {
		t.Errorf("after Probe there are %d items, %v, want 2", len(items), err)
	}
	for name, what := range map[string]fault{"throttled": throttled, "forbidden": forbidden,
		"out of reach": unconnected, "broken": brokenBefore} {
		front := &faulty{next: engine, pick: func(string) fault { return what }}
		if err := open(t, front, dynamodb.Options{}).Probe(t.Context()); err != nil {
			t.Errorf("Probe of a store that is %s: %v", name, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := tb.Probe(ctx); err != nil {
		t.Errorf("Probe that ends early: %v", err)
	}
}
