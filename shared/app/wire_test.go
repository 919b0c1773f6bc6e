package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/golang/protobuf/proto"

	"chatconf/shared/accesskey"
	"chatconf/shared/app"
	"chatconf/shared/chat"
	"chatconf/shared/emulator/ots"
	"chatconf/shared/invoke"
	"chatconf/shared/platform"
	"chatconf/shared/policy"
	"chatconf/shared/rpc"
	"chatconf/shared/seal"
	"chatconf/shared/secret"
	"chatconf/shared/table"
	"chatconf/shared/table/dynamodb"
	"chatconf/shared/table/dynamodb/dynamotest"
	"chatconf/shared/table/tablestore"
)

// A typical configuration, but for its name: an item of about 720 bytes with its keys.
var typical = url.Values{
	"Type":            {"Slack"},
	"RamRole":         {"OOSServiceRole-Chat"},
	"ResourceGroupId": {"rg-acfmxazb4ph6aiy"},
	"Tags":            {`{"env":"production","team":"payments"}`},
	"Configuration":   {`{"BotName":"Payments on call","SlackSigningSecret":"not-a-real-secret-of-32-letters."}`},
}

// A use is one request of a client, and what it takes.
type use struct {
	what   string
	action string
	params url.Values
	want   map[string]cost // by engine
}

// A cost is what a use sends and is charged for.
type cost struct {
	// round trips one after the other, and requests that are under way together with a plus between
	// them
	requests    string
	read, write float64
}

var uses = []use{
	{"GetChatConfiguration", "GetChatConfiguration", url.Values{"Name": {"oncall-007"}}, map[string]cost{
		"Tablestore": {"GetRow", 1, 0},
		"DynamoDB":   {"GetItem", 1, 0},
	}},
	{"ListChatConfigurations, 50", "ListChatConfigurations", url.Values{}, map[string]cost{
		"Tablestore": {"GetRange", 11, 0},
		"DynamoDB":   {"Query", 10, 0},
	}},
	{"the same, Type=Slack", "ListChatConfigurations", url.Values{"Filters": {`[{"Name":"Type","Value":"Slack"}]`}},
		map[string]cost{
			"Tablestore": {"GetRange BatchGetRow", 52, 0},
			"DynamoDB":   {"Query BatchGetItem", 51, 0},
		}},
	{"CreateChatConfiguration", "CreateChatConfiguration", with(typical, "Name", "oncall-new"), map[string]cost{
		"Tablestore": {"GetRange+PutRow BatchWriteRow", 4, 10},
		"DynamoDB":   {"PutItem+Query TransactWriteItems", 1, 19},
	}},
	{"UpdateChatConfiguration", "UpdateChatConfiguration", url.Values{"Name": {"oncall-007"}, "Status": {"Inactive"}},
		map[string]cost{
			"Tablestore": {"GetRow+PutRow BatchWriteRow", 4, 5},
			"DynamoDB":   {"GetItem+PutItem TransactWriteItems", 1, 9},
		}},
	{"RestoreChatConfiguration", "RestoreChatConfiguration", url.Values{"Name": {"oncall-007"}, "Revision": {"1"}},
		map[string]cost{
			"Tablestore": {"GetRow+PutRow GetRow BatchWriteRow", 5, 5},
			"DynamoDB":   {"GetItem+PutItem GetItem TransactWriteItems", 2, 9},
		}},
	{"ListChatConfigurationRevisions, 50", "ListChatConfigurationRevisions", url.Values{"Name": {"oncall-119"}},
		map[string]cost{
			"Tablestore": {"GetRow GetRange", 13, 0},
			"DynamoDB":   {"GetItem Query", 13, 0},
		}},
	{"GetChatConfigurationRevision", "GetChatConfigurationRevision",
		url.Values{"Name": {"oncall-119"}, "Revision": {"40"}}, map[string]cost{
			"Tablestore": {"GetRow BatchGetRow", 4, 0},
			"DynamoDB":   {"GetItem BatchGetItem", 4, 0},
		}},
}

// What the control plane sends, request by request, with the caller's access key in the cache:
// nothing twice, and nothing after the other that can go beside it.
func TestRequests(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *plane) {
		for _, u := range uses {
			if got, want := p.measure(u).requests, u.want[p.name].requests; got != want {
				t.Errorf("%s sends %q, want %q", u.what, got, want)
			}
		}
	})
}

// What the control plane is charged for on each engine, with 120 typical configurations in the
// table. The README has this table.
func TestUnits(t *testing.T) {
	costs := make(map[string][]cost)
	eachEngine(t, func(t *testing.T, p *plane) {
		for _, u := range uses {
			got, want := p.measure(u), u.want[p.name]
			if got.read != want.read || got.write != want.write {
				t.Errorf("%s costs %v units read and %v written, want %v and %v", u.what,
					got.read, got.write, want.read, want.write)
			}
			costs[p.name] = append(costs[p.name], got)
		}
	})
	if len(costs["Tablestore"]) != len(uses) || len(costs["DynamoDB"]) != len(uses) {
		t.Fatal("not every engine was measured")
	}
	var b strings.Builder
	b.WriteString("\n| | Tablestore: requests, round trips | CU read | CU written | DynamoDB: requests, round trips " +
		"| RCU | WCU |\n|---|---|---|---|---|---|---|\n")
	for i, u := range uses {
		fmt.Fprintf(&b, "| %s |", u.what)
		for _, engine := range []string{"Tablestore", "DynamoDB"} {
			c := costs[engine][i]
			requests := strings.FieldsFunc(c.requests, func(r rune) bool { return r == ' ' || r == '+' })
			fmt.Fprintf(&b, " %d, %d | %v | %v |", len(requests), len(strings.Fields(c.requests)), c.read, c.write)
		}
		b.WriteByte('\n')
	}
	t.Log(b.String())
}

// eachEngine runs test with a control plane on each engine: 120 typical configurations, half of
// them of another type, the last one with 60 revisions more.
func eachEngine(t *testing.T, test func(*testing.T, *plane)) {
	for name, open := range map[string]func(*testing.T, *wire) (configurations, keys, tickets table.Table){
		"Tablestore": openTablestore,
		"DynamoDB":   openDynamoDB,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := new(wire)
				configurations, keys, tickets := open(t, w)
				p := newPlane(t, configurations, keys, tickets)
				p.name, p.wire = name, w
				for i := range 120 {
					one := with(typical, "Name", fmt.Sprintf("oncall-%03d", i))
					if i%2 == 0 {
						one.Set("Type", "DingTalk")
						one.Set("Configuration",
							`{"DingTalkClientId":"dingpaymentsoncall",`+
								`"DingTalkClientSecret":"not-a-real-secret-of-32-letters."}`)
					}
					if _, err := p.send("CreateChatConfiguration", one); err != nil {
						t.Fatal(err)
					}
				}
				for i := range 60 {
					if _, err := p.send("UpdateChatConfiguration", url.Values{"Name": {"oncall-119"},
						"RamRole": {fmt.Sprintf("OOSServiceRole-%04d", i)}}); err != nil {
						t.Fatal(err)
					}
				}
				test(t, p)
			})
		})
	}
}

// A plane is a control plane: the API's handler on an engine.
type plane struct {
	testing.TB
	name   string // of the engine
	wire   *wire
	client *http.Client
}

func newPlane(t *testing.T, configurations, keyTable, tickets table.Table) *plane {
	t.Helper()
	ring, err := seal.ParseRing(
		[]byte(`{"keys":[{"id":"2026-11-23","key":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}]}`))
	if err != nil {
		t.Fatal(err)
	}
	service, err := chat.New(configurations, ring, platform.All().Descriptions(),
		chat.Options{BaseURL: "https://chatconf.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	keys := accesskey.New(keyTable, nil, ring, nil)
	_, err = keys.Create(t.Context(), accesskey.Key{
		ID: benchKey.ID, Secret: secret.Text(benchKey.Secret), Account: app.DefaultAccountID, Name: "administrator",
		Policies: []*policy.Policy{policy.Administrator()},
	})
	if err != nil {
		t.Fatal(err)
	}
	handler, err := rpc.NewHandler(rpc.Options{Service: service, Keys: keys, Tickets: tickets}, rpc.Actions()...)
	if err != nil {
		t.Fatal(err)
	}
	quiet := invoke.Invocation{Logger: slog.New(slog.DiscardHandler)}
	return &plane{TB: t, client: &http.Client{Transport: local{
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			handler.ServeHTTP(w, r.WithContext(invoke.With(r.Context(), &quiet)))
		})}}}
}

func (p *plane) send(action string, params url.Values) ([]byte, error) {
	return send(p.client, "http://chatconf.example.com", action, params)
}

// measure makes one request, while the wire lets requests pass only when nothing else can go on:
// what waits then is one round trip.
func (p *plane) measure(u use) cost {
	p.Helper()
	p.wire.hold(true)
	defer p.wire.hold(false)
	done := make(chan error)
	go func() {
		body, err := p.send(u.action, u.params)
		var page struct{ ChatConfigurations []struct{} }
		if err == nil && u.action == "ListChatConfigurations" {
			err = json.Unmarshal(body, &page)
			if n := len(page.ChatConfigurations); n != chat.DefaultResults {
				err = errors.Join(err, fmt.Errorf("page of %d, want %d", n, chat.DefaultResults))
			}
		}
		done <- err
	}()
	var rounds []string
	for synctest.Wait(); p.wire.anyWaits(); synctest.Wait() {
		rounds = append(rounds, p.wire.release())
	}
	if err := <-done; err != nil {
		p.Errorf("%s: %v", u.what, err)
	}
	p.wire.mu.Lock()
	defer p.wire.mu.Unlock()
	return cost{strings.Join(rounds, " "), p.wire.read, p.wire.write}
}

// A wire lies between adapters and an engine in this process, and adds up the units that the engine
// charges.
type wire struct {
	mu          sync.Mutex
	holds       bool
	waiting     []held
	read, write float64
}

// A held request waits until its channel is closed.
type held struct {
	operation string
	pass      chan struct{}
}

// hold makes requests wait for release from now on, or ends that. Units are counted from here.
func (w *wire) hold(on bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.holds, w.read, w.write = on, 0, 0
}

func (w *wire) anyWaits() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.waiting) > 0
}

// release lets all that waits pass, and returns what it was.
func (w *wire) release() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var operations []string
	for _, h := range w.waiting {
		operations = append(operations, h.operation)
		close(h.pass)
	}
	w.waiting = nil
	slices.Sort(operations)
	return strings.Join(operations, "+")
}

// enter lets a request through, once it may pass.
func (w *wire) enter(ctx context.Context, operation string) error {
	w.mu.Lock()
	if !w.holds {
		w.mu.Unlock()
		return nil
	}
	h := held{operation, make(chan struct{})}
	w.waiting = append(w.waiting, h)
	w.mu.Unlock()
	select {
	case <-h.pass:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *wire) charge(read, write float64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.read, w.write = w.read+read, w.write+write
}

// A roundTripper is an http.RoundTripper.
type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A local is a transport to a handler, without a network, so that time may be the test's.
type local struct{ http.Handler }

// RoundTrip implements http.RoundTripper.
func (l local) RoundTrip(r *http.Request) (*http.Response, error) {
	in := r.Clone(r.Context())
	in.RequestURI, in.Host = r.URL.RequestURI(), r.URL.Host
	if in.Body == nil {
		in.Body = http.NoBody
	}
	rec := httptest.NewRecorder()
	l.ServeHTTP(rec, in)
	return rec.Result(), nil
}

// openTablestore opens tables of an emulator of Tablestore.
func openTablestore(t *testing.T, w *wire) (configurations, keys, tickets table.Table) {
	t.Helper()
	server, err := ots.New(ots.Options{AccessKeys: map[string]string{"test-key": "test-secret"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	open := func(name string, ttl time.Duration) table.Table {
		tb, err := tablestore.New(name, tablestore.Options{
			Endpoint:    "http://tablestore.test",
			Instance:    "test-instance",
			Credentials: invoke.Credentials{AccessKeyID: "test-key", AccessKeySecret: "test-secret"},
			TTL:         ttl,
			Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
				operation := strings.TrimPrefix(r.URL.Path, "/")
				if err := w.enter(r.Context(), operation); err != nil {
					return nil, err
				}
				resp, err := local{server}.RoundTrip(r)
				if err != nil {
					return nil, err
				}
				body, err := io.ReadAll(resp.Body)
				resp.Body = io.NopCloser(bytes.NewReader(body))
				w.charge(tablestoreUnits(operation, body))
				return resp, err
			}),
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tablestore.Ensure(t.Context(), tb); err != nil {
			t.Fatal(err)
		}
		return tb
	}
	return open("chatconf", 0), open("chatconf_keys", 0), open("chatconf_tickets", rpc.NonceAge+time.Minute)
}

// tablestoreUnits returns the units that an answer says were consumed; NaN for one that it cannot
// read.
func tablestoreUnits(operation string, body []byte) (read, write float64) {
	var rows []interface {
		GetConsumed() *otsprotocol.ConsumedCapacity
	}
	var err error
	switch operation {
	case "GetRow":
		m := new(otsprotocol.GetRowResponse)
		err, rows = proto.Unmarshal(body, m), append(rows, m)
	case "PutRow":
		m := new(otsprotocol.PutRowResponse)
		err, rows = proto.Unmarshal(body, m), append(rows, m)
	case "GetRange":
		m := new(otsprotocol.GetRangeResponse)
		err, rows = proto.Unmarshal(body, m), append(rows, m)
	case "BatchGetRow":
		m := new(otsprotocol.BatchGetRowResponse)
		err = proto.Unmarshal(body, m)
		for _, of := range m.Tables {
			for _, row := range of.Rows {
				rows = append(rows, row)
			}
		}
	case "BatchWriteRow":
		m := new(otsprotocol.BatchWriteRowResponse)
		err = proto.Unmarshal(body, m)
		for _, of := range m.Tables {
			for _, row := range of.Rows {
				rows = append(rows, row)
			}
		}
	}
	for _, row := range rows {
		unit := row.GetConsumed().GetCapacityUnit()
		read, write = read+float64(unit.GetRead()), write+float64(unit.GetWrite())
	}
	if err != nil || len(rows) == 0 {
		return math.NaN(), math.NaN()
	}
	return read, write
}

// openDynamoDB opens tables of a stand-in for DynamoDB.
func openDynamoDB(t *testing.T, w *wire) (configurations, keys, tickets table.Table) {
	t.Helper()
	open := func(name string, ttl time.Duration) table.Table {
		server := dynamotest.New()
		tb, err := dynamodb.New(name, dynamodb.Options{
			Region: "eu-central-1",
			TTL:    ttl,
			Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
				return aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "example"}, nil
			}),
			Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
				_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
				if err := w.enter(r.Context(), operation); err != nil {
					return nil, err
				}
				before := server.Cost()
				resp, err := server.RoundTrip(r)
				after := server.Cost()
				w.charge(after.Read-before.Read, after.Write-before.Write)
				return resp, err
			}),
		})
		if err != nil {
			t.Fatal(err)
		}
		return tb
	}
	return open("chatconf", 0), open("chatconf-keys", 0), open("chatconf-tickets", rpc.NonceAge+time.Minute)
}

// with returns a copy of params with one more.
func with(params url.Values, name, value string) url.Values {
	out := url.Values{name: {value}}
	for n, v := range params {
		out[n] = slices.Clone(v)
	}
	return out
}
