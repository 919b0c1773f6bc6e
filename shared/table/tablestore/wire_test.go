package tablestore_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"chatconf/shared/emulator/ots"
	"chatconf/shared/emulator/ots/otstest"
	"chatconf/shared/invoke"
	"chatconf/shared/table/tablestore"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"
	"github.com/golang/protobuf/proto"
)

// errReset is what a connection that breaks ends a request with.
var errReset = &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}

// errRefused is what a connection that is not made ends a request with.
var errRefused = &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}

// A wire is what lies between a table and the emulator. It writes down what goes over it, and may
// tamper with it.
type wire struct {
	base   http.RoundTripper
	canned func() *http.Response // if not nil, answers everything, and nothing is written down

	mu         sync.Mutex
	tamper     func(*exchange) (*http.Response, error) // nil lets all pass
	exchanges  []*exchange
	readUnits  int32
	writeUnits int32
}

// An exchange is one request.
type exchange struct {
	ctx       context.Context
	operation string
	header    http.Header
	body      []byte
	send      func() (*http.Response, error) // to the emulator; may be called again, and later
}

// RoundTrip implements http.RoundTripper.
func (w *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	if w.canned != nil {
		return w.canned(), nil
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	e := &exchange{ctx: req.Context(), operation: strings.TrimPrefix(req.URL.Path, "/"), header: req.Header, body: body}
	e.send = func() (*http.Response, error) {
		again := req.Clone(context.WithoutCancel(req.Context())) // a late one outlives its call
		again.Body = io.NopCloser(bytes.NewReader(body))
		return w.base.RoundTrip(again)
	}
	w.mu.Lock()
	w.exchanges = append(w.exchanges, e)
	tamper := w.tamper
	w.mu.Unlock()
	if tamper == nil {
		tamper = func(e *exchange) (*http.Response, error) { return e.send() }
	}
	resp, err := tamper(e)
	if err != nil {
		return nil, err
	}
	return w.count(e, resp)
}

// count adds up the units of capacity that an answer speaks of.
func (w *wire) count(e *exchange, resp *http.Response) (*http.Response, error) {
	body, err := io.ReadAll(resp.Body)
	resp.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body), errorReader{err}))
	if err != nil || resp.StatusCode != http.StatusOK {
		return resp, nil
	}
	var consumed []*otsprotocol.ConsumedCapacity
	decode := func(m proto.Message) bool { return proto.Unmarshal(body, m) == nil }
	switch e.operation {
	case "GetRow":
		if m := new(otsprotocol.GetRowResponse); decode(m) {
			consumed = append(consumed, m.Consumed)
		}
	case "GetRange":
		if m := new(otsprotocol.GetRangeResponse); decode(m) {
			consumed = append(consumed, m.Consumed)
		}
	case "PutRow", "UpdateRow", "DeleteRow": // whose answers begin alike
		if m := new(otsprotocol.PutRowResponse); decode(m) {
			consumed = append(consumed, m.Consumed)
		}
	case "BatchGetRow":
		if m := new(otsprotocol.BatchGetRowResponse); decode(m) {
			for _, t := range m.Tables {
				for _, r := range t.Rows {
					consumed = append(consumed, r.Consumed)
				}
			}
		}
	case "BatchWriteRow":
		if m := new(otsprotocol.BatchWriteRowResponse); decode(m) {
			for _, t := range m.Tables {
				for _, r := range t.Rows {
					consumed = append(consumed, r.Consumed)
				}
			}
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range consumed {
		w.readUnits += c.GetCapacityUnit().GetRead()
		w.writeUnits += c.GetCapacityUnit().GetWrite()
	}
	return resp, nil
}

// An errorReader ends what it reads with an error.
type errorReader struct{ err error }

func (r errorReader) Read([]byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	return 0, io.EOF
}

// set makes fn tamper with requests from now on; nil lets all pass. It forgets what was written
// down.
func (w *wire) set(fn func(*exchange) (*http.Response, error)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tamper, w.exchanges, w.readUnits, w.writeUnits = fn, nil, 0, 0
}

// operations returns what was asked since set, in order.
func (w *wire) operations() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	names := []string{}
	for _, e := range w.exchanges {
		names = append(names, e.operation)
	}
	return names
}

func (w *wire) last() *exchange {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.exchanges[len(w.exchanges)-1]
}

// isWrite reports whether an operation changes rows.
func isWrite(operation string) bool {
	switch operation {
	case "PutRow", "UpdateRow", "DeleteRow", "BatchWriteRow":
		return true
	default:
		return false
	}
}

// answer returns an answer with a body of the test's own.
func answer(status int, body string) *http.Response {
	return &http.Response{
		StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{},
		Body:          io.NopCloser(strings.NewReader(body)),
		ContentLength: int64(len(body)),
	}
}

// failure returns the answer of a service that fails.
func failure(status int, code, message string) *http.Response {
	body, err := proto.Marshal(&otsprotocol.Error{Code: proto.String(code), Message: proto.String(message)})
	if err != nil {
		panic(err)
	}
	return answer(status, string(body))
}

// A handler is a transport to an emulator in the same process, without a network, so that time may
// be the test's.
type handler struct{ http.Handler }

// RoundTrip implements http.RoundTripper.
func (h handler) RoundTrip(req *http.Request) (resp *http.Response, err error) {
	defer func() {
		if p := recover(); p == http.ErrAbortHandler { // as net/http compares it
			resp, err = nil, errReset
		} else if p != nil {
			panic(p)
		}
	}()
	rec := httptest.NewRecorder()
	inner := req.Clone(req.Context())
	inner.RequestURI, inner.Host = req.URL.Path, req.URL.Host
	h.ServeHTTP(rec, inner)
	return rec.Result(), nil
}

// A service is an emulator, and the options of tables on a wire to it.
type service struct {
	tablestore.Options
	wire  *wire
	fault func(func(ots.Request) ots.Fault) // sets the emulator's hook; nil lets all pass
}

// local returns a service in this process.
func local(t testing.TB) *service {
	t.Helper()
	var hook atomic.Pointer[func(ots.Request) ots.Fault]
	server, err := ots.New(ots.Options{AccessKeys: map[string]string{otstest.KeyID: otstest.KeySecret},
		Fault: func(r ots.Request) ots.Fault {
			if fn := hook.Load(); fn != nil && *fn != nil {
				return (*fn)(r)
			}
			return ots.Fault{}
		}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	return newService("http://tablestore.test", &wire{base: handler{server}},
		func(fn func(ots.Request) ots.Fault) { hook.Store(&fn) })
}

// remote returns a service at the other end of a TCP connection.
func remote(t testing.TB) *service {
	t.Helper()
	in := otstest.RunT(t)
	return newService(in.Endpoint, &wire{base: tablestore.NewTransport()}, in.SetFault)
}

func newService(endpoint string, w *wire, fault func(func(ots.Request) ots.Fault)) *service {
	return &service{
		Options: tablestore.Options{
			Endpoint:    endpoint,
			Instance:    otstest.Name,
			Credentials: invoke.Credentials{AccessKeyID: otstest.KeyID, AccessKeySecret: otstest.KeySecret},
			Transport:   w,
		},
		wire:  w,
		fault: fault,
	}
}

// table returns a table that is there. No fault may be set yet.
func (s *service) table(t testing.TB, name string) *tablestore.Table {
	t.Helper()
	tb := newTable(t, name, s.Options)
	if _, err := tablestore.Ensure(t.Context(), tb); err != nil {
		t.Fatalf("Ensure: %v", err)
	}
	return tb
}
