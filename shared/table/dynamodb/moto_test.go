package dynamodb_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"chatconf/shared/cloud/cloudtest"
	"chatconf/shared/table"
	"chatconf/shared/table/dynamodb"
	"chatconf/shared/table/tabletest"
)

// tables counts the tables of moto's server, so that each has a name of its own.
var tables atomic.Int64

// openMoto opens a new table of moto's server, through Ensure.
func openMoto(t *testing.T, o dynamodb.Options) *dynamodb.Table {
	t.Helper()
	tb := motoTable(t, fmt.Sprint("table-", tables.Add(1)), o)
	if err := dynamodb.Ensure(t.Context(), tb, dynamodb.Setup{}, func(string) {}); err != nil {
		t.Fatalf("Ensure: %v", err)
	}
	return tb
}

func motoTable(t *testing.T, name string, o dynamodb.Options) *dynamodb.Table {
	t.Helper()
	o.Region, o.Endpoint, o.Transport = "eu-central-1", cloudtest.Moto(t), oneByOne{}
	o.Credentials = credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "example"}
	tb, err := dynamodb.New(name, o)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return tb
}

// oneByOne lets one request at a time reach the server. Moto 5.2.1 does not isolate transactions:
// one that is cancelled puts the whole table back to what it was when the transaction began, and
// undoes what others have written since. (Nor does it know client request tokens; the fake of the
// fault tests does.)
type oneByOne struct{}

var motoTurn sync.Mutex

// RoundTrip implements http.RoundTripper. A request whose context ends is waited for nevertheless.
func (oneByOne) RoundTrip(r *http.Request) (*http.Response, error) {
	motoTurn.Lock()
	defer motoTurn.Unlock()
	resp, err := http.DefaultTransport.RoundTrip(r.Clone(context.WithoutCancel(r.Context())))
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err := cmp.Or(err, r.Context().Err()); err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(b))
	return resp, nil
}

func TestMotoTable(t *testing.T) {
	cloudtest.Moto(t)
	tabletest.Run(t, func(t *testing.T, o tabletest.Options) table.Table {
		return openMoto(t, dynamodb.Options{Now: o.Now, TTL: o.TTL})
	}, tabletest.Caps{TextKeys: true, Slow: true})
}

func TestMotoEnsure(t *testing.T) {
	tb := motoTable(t, "ensured", dynamodb.Options{TTL: time.Hour})
	setup := dynamodb.Setup{Recovery: true, Key: "11111111-2222-3333-4444-555555555555"}
	want := []string{
		`create table "ensured": partition key p (S), sort key s (S), paid by the request, encrypted by KMS key ` +
			`11111111-2222-3333-4444-555555555555`,
		`switch the time to live of table "ensured" on, by attribute ttl`,
		`switch point-in-time recovery of table "ensured" on`,
	}
	for range 2 { // a plan changes nothing
		got, err := dynamodb.Plan(t.Context(), tb, setup)
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("Plan = %q, %v, want %q", got, err, want)
		}
	}
	var told []string
	tell := func(step string) { told = append(told, step) }
	for _, want := range [][]string{past(want), {"nothing to do"}} { // the second time
		told = nil
		if err := dynamodb.Ensure(t.Context(), tb, setup, tell); err != nil {
			t.Fatalf("Ensure: %v", err)
		}
		if !slices.Equal(told, want) {
			t.Fatalf("Ensure told %q, want %q", told, want)
		}
	}
	if steps, err := dynamodb.Plan(t.Context(), tb, setup); err != nil || len(steps) > 0 {
		t.Errorf("Plan after Ensure = %q, %v, want nothing", steps, err)
	}
	if err := tb.Write(t.Context(), "p", table.Change{Adds: []table.Add{{Sort: "n", N: 1}}}); err != nil {
		t.Errorf("Write to the new table: %v", err)
	}

	other := motoTable(t, "ensured", dynamodb.Options{})
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Get(context.Background()); !errors.Is(err, table.ErrClosed) {
		t.Errorf("Get after Close = %v, want ErrClosed", err)
	}
}
