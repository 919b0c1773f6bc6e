package rpc_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"chatconf/shared/accesskey"
	"chatconf/shared/chat"
	"chatconf/shared/invoke"
	"chatconf/shared/platform"
	"chatconf/shared/rpc"
	"chatconf/shared/seal"
	"chatconf/shared/table"
)

// A canned table answers every Get with what it was given, so that the table costs nothing.
type canned struct {
	table.Table
	items map[table.Key][]table.Item
}

func (c canned) Get(_ context.Context, keys ...table.Key) ([]table.Item, error) {
	return c.items[keys[0]], nil
}

// A signedPath is the way of a signed GetChatConfiguration through the handler, without network and
// without table.
type signedPath struct {
	*world
	handler *rpc.Handler
	inv     *invoke.Invocation
	v1      bool
	sink    sink
}

// A sink takes an answer and forgets it.
type sink struct {
	header http.Header
	status int
}

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) WriteHeader(status int)      { s.status = status }
func (s *sink) Write(p []byte) (int, error) { return len(p), nil }

func newSignedPath(tb testing.TB, v1 bool) *signedPath {
	w := newWorld(tb, nil)
	w.wantOK(w.do(create("ops")))
	c := canned{items: make(map[table.Key][]table.Item)}
	for _, key := range []table.Key{{Partition: account + "/cn-hangzhou", Sort: "c#ops"},
		{Partition: "keys", Sort: "k#" + admin.ID}} {
		from := w.table
		if key.Partition == "keys" {
			from = w.keys
		}
		items, err := from.Get(tb.Context(), key)
		if err != nil || len(items) != 1 {
			tb.Fatalf("item %q: %v, %v", key, items, err)
		}
		c.items[key] = items
	}
	ring, err := seal.ParseRing([]byte(ringText))
	if err != nil {
		tb.Fatal(err)
	}
	service, err := chat.New(c, ring, platform.All().Descriptions(), chat.Options{Now: w.clock.Now})
	if err != nil {
		tb.Fatal(err)
	}
	h, err := rpc.NewHandler(rpc.Options{Service: service, Keys: accesskey.New(c, nil, ring, w.clock.Now), Tickets: c,
		Now: w.clock.Now}, rpc.Actions()...)
	if err != nil {
		tb.Fatal(err)
	}
	return &signedPath{world: w, handler: h, v1: v1, sink: sink{header: make(http.Header)},
		inv: &invoke.Invocation{RequestID: invoke.NewRequestID(), SourceIP: "192.0.2.1", Logger: quiet}}
}

// requests returns n requests, each with a nonce of its own, in the context that a runtime gives
// them.
func (p *signedPath) requests(n int) []*http.Request {
	out := make([]*http.Request, n)
	for i := range out {
		r := p.build(request{v1: p.v1, action: "GetChatConfiguration",
			query: url.Values{"Name": {"ops"}, "RegionId": {"cn-hangzhou"}},
			nonce: fmt.Sprintf("%032x", rand.Uint64())})
		r.Header.Set("User-Agent", "AlibabaCloud (linux; amd64) Golang/1.26.8 Core/0.01 TeaDSL/2")
		r.Header.Set("Accept", "application/json")
		out[i] = r.WithContext(invoke.With(r.Context(), p.inv))
	}
	return out
}

func (p *signedPath) serve(r *http.Request) {
	clear(p.sink.header)
	p.handler.ServeHTTP(&p.sink, r)
	if p.sink.status != http.StatusOK {
		p.Fatalf("status %d", p.sink.status)
	}
}

// BenchmarkSignedGet is the signed path of a read without the table: parse, prove, decide, decode,
// open, encode.
func BenchmarkSignedGet(b *testing.B) {
	for _, v1 := range []bool{false, true} {
		b.Run(map[bool]string{false: "ACS3", true: "V1"}[v1], func(b *testing.B) {
			p := newSignedPath(b, v1)
			b.ReportAllocs()
			const batch = 1000
			var requests []*http.Request
			for b.Loop() {
				if len(requests) == 0 {
					b.StopTimer()
					requests = p.requests(batch)
					b.StartTimer()
				}
				p.serve(requests[0])
				requests = requests[1:]
			}
		})
	}
}

// Every request pays for the signed path; it must stay small.
func TestSignedPathAllocatesLittle(t *testing.T) {
	if underRace {
		t.Skip("the race detector allocates too")
	}
	const runs = 200
	const most = 73
	for _, v1 := range []bool{false, true} {
		p := newSignedPath(t, v1)
		requests := p.requests(runs + 1) // one to warm up
		got := testing.AllocsPerRun(runs, func() {
			p.serve(requests[0])
			requests = requests[1:]
		})
		if got > most {
			t.Errorf("V1 %v: %v allocations, want at most %d", v1, got, most)
		}
	}
	// What was counted is what is served.
	p := newSignedPath(t, false)
	rec := httptest.NewRecorder()
	p.handler.ServeHTTP(rec, p.requests(1)[0])
	if !strings.Contains(rec.Body.String(), `"Name":"ops"`) {
		t.Errorf("answer = %s", rec.Body)
	}
}
