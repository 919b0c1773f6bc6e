package rpc_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"chatconf/shared/chat"
	"chatconf/shared/fault"
	"chatconf/shared/invoke"
	"chatconf/shared/platform"
	"chatconf/shared/policy"
	"chatconf/shared/rpc"
	"chatconf/shared/seal"
	"chatconf/shared/table"
)

// queue is in whose name events are done.
var queue = chat.Caller{Account: account, Name: "queue", Policies: []*policy.Policy{policy.Administrator()}}

// A reply is what an event was answered.
type reply struct {
	answer
	again error // worth another delivery, because of this
}

// event has h do an event and checks what holds for every answer.
func (w *world) event(h *rpc.Handler, caller chat.Caller, e rpc.Event) reply {
	w.Helper()
	id := invoke.NewRequestID()
	body, again := h.ServeEvent(invoke.With(w.Context(), &invoke.Invocation{
		RequestID: id,
		Logger:    slog.New(slog.NewJSONHandler(w.log, nil)),
	}), caller, e)
	r := reply{answer{body: string(body)}, again}
	if err := json.Unmarshal(body, &r); err != nil {
		w.Fatalf("the answer is not JSON: %v\n%s", err, body)
	}
	if r.RequestId != id {
		w.Errorf("request id = %q, want %q", r.RequestId, id)
	}
	if strings.Contains(r.body, planted) {
		w.Errorf("the answer holds a secret: %s", r.body)
	}
	w.checkMessage(&r.answer)
	if again != nil {
		if text := again.Error(); !strings.Contains(text, r.Code) || !strings.Contains(text, id) ||
			strings.Contains(text, planted) {
			w.Errorf("error = %q, want the code %s and the request id", text, r.Code)
		}
	}
	lines := w.log.of(id)
	if len(lines) != 1 {
		w.Fatalf("the event left %d log lines, want one:\n%s", len(lines), strings.Join(lines, ""))
	}
	r.log = lines[0]
	var line map[string]any
	if err := json.Unmarshal([]byte(r.log), &line); err != nil {
		w.Fatalf("log line: %v\n%s", err, r.log)
	}
	if strings.Contains(r.log, planted) {
		w.Errorf("the log holds a secret: %s", r.log)
	}
	if line["msg"] != "request" || line["code"] != r.Code || line["caller"] != caller.Name ||
		line["source"] != e.Source || line["request_id"] != id {
		w.Errorf("the log does not say what was answered, %s:\n%s", r.body, r.log)
	}
	return r
}

// alone returns a handler of one action, in another process as it were.
func (w *world) alone(a rpc.Action) *rpc.Handler {
	w.Helper()
	h, err := rpc.NewHandler(w.options, a)
	if err != nil {
		w.Fatal(err)
	}
	return h
}

func action(tb testing.TB, name string) rpc.Action {
	tb.Helper()
	for _, a := range rpc.Actions() {
		if a.Name == name {
			return a
		}
	}
	tb.Fatalf("no action %s", name)
	return rpc.Action{}
}

// made is the event that creates a configuration.
func made(name string) []byte {
	return fmt.Appendf(nil, `{"Action":"CreateChatConfiguration","Name":%q,"Type":"DingTalk","Configuration":%s}`,
		name, configuration)
}

func TestAnEventIsAnsweredAsOverHTTP(t *testing.T) {
	w := newWorld(t, nil)
	if r := w.event(w.handler, queue, rpc.Event{Source: "direct", Data: made("ops")}); r.Code != "" || r.again != nil {
		t.Fatalf("create = %s, %v", r.body, r.again)
	}
	for _, test := range []struct {
		request request
		data    string
	}{
		{get("ops"), `{"Action":"GetChatConfiguration","Name":"ops"}`},
		{get("ops"), `{"Action":"GetChatConfiguration","Version":"2019-06-01","Name":"ops","RegionId":null}`},
		{get("nowhere"), `{"Action":"GetChatConfiguration","Name":"nowhere"}`},
		{get(""), `{"Action":"GetChatConfiguration","Name":""}`},
	} {
		over := w.do(test.request)
		got := w.event(w.handler, queue, rpc.Event{Source: "direct", Data: []byte(test.data)})
		want := strings.ReplaceAll(strings.ReplaceAll(over.body, over.RequestId, got.RequestId),
			`"HostId":"`+over.HostId, `"HostId":"`)
		if got.body != want || got.again != nil {
			t.Errorf("%s = %s, %v\nwant as over HTTP %s", test.data, got.body, got.again, want)
		}
	}
}

func TestTheActionOfAnEvent(t *testing.T) {
	w := newWorld(t, nil)
	one := w.alone(action(t, "ListChatConfigurations"))
	for _, test := range []struct {
		name    string
		handler *rpc.Handler
		data    string
		code    string
	}{
		{"a handler of one action does it", one, `{}`, ""},
		{"or when it is named", one, `{"Action":"ListChatConfigurations"}`, ""},
		{"null is not a name", one, `{"Action":null}`, ""},
		{"another action is refused", one, `{"Action":"DeleteChatConfiguration","Name":"ops"}`, "InvalidApi.NotFound"},
		{"so is one in another case", one, `{"Action":"listchatconfigurations"}`, "InvalidApi.NotFound"},
		{"so is none", one, `{"Action":""}`, "MissingParameter.Action"},
		{"a handler of all actions needs to know which", w.handler, `{}`, "MissingParameter.Action"},
		{"a handler of all actions knows its own", w.handler, `{"Action":"DropTables"}`, "InvalidApi.NotFound"},
		{"the version is right", one, `{"Version":"2019-06-01"}`, ""},
		{"the version is wrong", one, `{"Version":"2014-05-26"}`, "InvalidVersion"},
	} {
		r := w.event(test.handler, queue, rpc.Event{Source: "direct", Data: []byte(test.data)})
		if r.Code != test.code || r.again != nil {
			t.Errorf("%s: %s = %s, %v, want %q", test.name, test.data, r.body, r.again, test.code)
		}
	}
}

func TestEventsAreReadStrictly(t *testing.T) {
	w := newWorld(t, nil)
	large := `{"Action":"GetChatConfiguration","Name":"` + strings.Repeat("x", rpc.MaxBody) + `"}`
	for data, code := range map[string]string{
		``:                           "InvalidParameter",
		`null`:                       "InvalidParameter",
		`[]`:                         "InvalidParameter",
		`"` + planted + `"`:          "InvalidParameter",
		`{"Name":"` + planted + `"`:  "InvalidParameter",
		`{"Name":"a","Name":"b"}`:    "InvalidParameter",
		`{} {}`:                      "InvalidParameter",
		"{\"Name\":\"\xff\"}":        "InvalidParameter",
		strings.Repeat(`{"a":`, 100): "InvalidParameter",
		large:                        "RequestEntityTooLarge",
	} {
		if r := w.event(w.handler, queue, rpc.Event{Source: "sqs", ID: "m", Data: []byte(data)}); r.Code != code ||
			r.again != nil {
			t.Errorf("%.40q = %s, %v, want %s", data, r.body, r.again, code)
		}
	}
}

func TestAnEventIsDoneInItsCallersName(t *testing.T) {
	w := newWorld(t, nil)
	reading := queue
	reading.Policies = []*policy.Policy{policy.ReadOnly()}
	if r := w.event(w.handler, reading, rpc.Event{Data: made("ops")}); r.Code != "NoPermission" || r.again != nil {
		t.Errorf("create by a reader = %s, %v", r.body, r.again)
	}
	if r := w.event(w.handler, chat.Caller{}, rpc.Event{Data: made("ops")}); r.Code != "NoPermission" {
		t.Errorf("create by nobody = %s", r.body)
	}
	other := queue
	other.Account = "42"
	if r := w.event(w.handler, other, rpc.Event{Data: made("ops")}); r.Code != "" {
		t.Errorf("create in another account = %s", r.body)
	}
	if w.exists("ops") {
		t.Error("an event of one account made something in another")
	}
}

// What a message does is done once, however often and to however many processes it is delivered.
func TestRedeliveryChangesNothing(t *testing.T) {
	for _, id := range []string{"5fea7756-0ea4-451a-a703-a558b933e274",
		strings.Repeat("long", 40), "with blanks", "消息"} {
		t.Run(id, func(t *testing.T) {
			w := newWorld(t, nil)
			first := w.event(w.handler, queue, rpc.Event{Source: "sqs", ID: id, Data: made("ops")})
			if first.Code != "" {
				t.Fatalf("first delivery = %s", first.body)
			}
			second := w.event(w.newHandler(), queue, rpc.Event{Source: "sqs", ID: id, Data: made("ops")})
			if want := strings.ReplaceAll(first.body, first.RequestId, second.RequestId); second.body != want {
				t.Errorf("second delivery = %s, want %s", second.body, want)
			}
			if r := w.event(w.handler, queue, rpc.Event{Source: "sqs", ID: id + "2",
				Data: made("ops")}); r.Code != "EntityAlreadyExists.ChatConfiguration" || r.again != nil {
				t.Errorf("another message = %s, %v", r.body, r.again)
			}
			if r := w.event(w.handler, queue, rpc.Event{Source: "sqs", ID: id,
				Data: made("other")}); r.Code != "IdempotentParameterMismatch" || r.again != nil {
				t.Errorf("the same id on another message = %s, %v", r.body, r.again)
			}
			// A message without an id, and one with a token of its own, are what they say.
			if r := w.event(w.handler, queue,
				rpc.Event{Data: made("ops")}); r.Code != "EntityAlreadyExists.ChatConfiguration" {
				t.Errorf("a message without an id = %s", r.body)
			}
			own := strings.Replace(string(made("ops")), "{", `{"ClientToken":"mine",`, 1)
			if r := w.event(w.handler, queue, rpc.Event{ID: id,
				Data: []byte(own)}); r.Code != "EntityAlreadyExists.ChatConfiguration" {
				t.Errorf("a message with a token of its own = %s", r.body)
			}
			// An action that takes no token takes the message all the same.
			if r := w.event(w.handler, queue, rpc.Event{ID: id,
				Data: []byte(`{"Action":"GetChatConfiguration","Name":"ops"}`)}); r.Code != "" {
				t.Errorf("get = %s", r.body)
			}
		})
	}
}

// One event may be for several functions, as a rule of EventBridge has several targets.
func TestOneEventForSeveralActions(t *testing.T) {
	w := newWorld(t, nil)
	for _, action := range []string{"CreateChatConfiguration", "UpdateChatConfiguration"} {
		data := strings.Replace(string(made("ops")), "CreateChatConfiguration", action, 1)
		for range 2 {
			if r := w.event(w.newHandler(), queue, rpc.Event{Source: "cloudevent", ID: "45ef4dew",
				Data: []byte(data)}); r.Code != "" {
				t.Errorf("%s: %s", action, r.body)
			}
		}
	}
}

// The ids of events can be known beforehand. No token of a request, or of another event, stands in
// the way of one.
func TestNobodyUsesTheTokenOfAnEvent(t *testing.T) {
	const id = "nightly@2026-11-24T00:00:00Z"
	sum := sha256.Sum256([]byte("CreateChatConfiguration\x00" + id))
	for _, token := range []string{id, "event:" + base64.RawURLEncoding.EncodeToString(sum[:])} {
		w := newWorld(t, nil)
		reserved := token != id
		r := create("mine")
		r.form.Set("ClientToken", token)
		if a := w.do(r); (a.Code == "InvalidParameter.ClientToken") != reserved {
			t.Errorf("a request with the token %s = %s", token, a.body)
		}
		asJSON := request{action: "CreateChatConfiguration", json: strings.Replace(string(made("mine2")),
			"{", `{"ClientToken":"`+token+`",`, 1)}
		if a := w.do(asJSON); reserved && a.Code != "InvalidParameter.ClientToken" {
			t.Errorf("a request in JSON with the token %s = %s", token, a.body)
		}
		own := strings.Replace(string(made("mine3")), "{", `{"ClientToken":"`+token+`",`, 1)
		if r := w.event(w.handler, queue, rpc.Event{ID: "m", Data: []byte(own)}); reserved &&
			r.Code != "InvalidParameter.ClientToken" {
			t.Errorf("an event with the token %s = %s", token, r.body)
		}
		if r := w.event(w.handler, queue, rpc.Event{Source: "timer", ID: id, Data: made("ops")}); r.Code != "" {
			t.Errorf("the event, after the token %s was used = %s", token, r.body)
		}
	}
}

// An error means that another delivery may help, and nothing else does.
func TestWhatIsWorthAnotherDelivery(t *testing.T) {
	var fail error
	failing := rpc.NewAction("GetFailure",
		func(*chat.Service, context.Context, *echo) (*chat.Empty, error) { return nil, fail })
	w := newWorld(t, nil, failing)
	for code := fault.Internal; code <= fault.KeyNotFound; code++ {
		fail = &fault.Error{Code: code, Param: "Name", Message: "No."}
		again := code == fault.Internal || code == fault.Unavailable || code == fault.Conflict
		r := w.event(w.handler, queue, rpc.Event{Data: []byte(`{"Action":"GetFailure"}`)})
		if (r.again != nil) != again || r.Code == "" {
			t.Errorf("code %v: %s, another delivery %v, want %v", code, r.body, r.again, again)
		}
	}
	for _, test := range []struct {
		fail  error
		again bool
	}{
		{errors.New(planted), true}, // nobody knows what it is
		{fmt.Errorf("wrapped: %w", &fault.Error{Code: fault.Unavailable, Err: table.ErrUnavailable}), true},
		{context.DeadlineExceeded, true},
		{&fault.Error{Code: fault.Conflict, Param: "Revision", Message: "It is at revision 3, not 2."}, false},
	} {
		fail = test.fail
		_, again := w.handler.ServeEvent(unlogged(t), queue, rpc.Event{Data: []byte(`{"Action":"GetFailure"}`)})
		if (again != nil) != test.again {
			t.Errorf("%v: another delivery %v, want %v", test.fail, again, test.again)
		}
	}
}

// unlogged returns a context whose log goes nowhere.
func unlogged(tb testing.TB) context.Context {
	return invoke.With(tb.Context(), &invoke.Invocation{Logger: slog.New(slog.DiscardHandler)})
}

func TestAPanicInAnEventIsAnInternalError(t *testing.T) {
	w := newWorld(t, nil, rpc.NewAction("GetPanic", slow(func() { panic("out of luck") })))
	r := w.event(w.handler, queue, rpc.Event{Source: "timer", ID: "m-1", Data: []byte(`{"Action":"GetPanic"}`)})
	if r.Code != "InternalError" || r.again == nil || strings.Contains(r.body, "luck") ||
		strings.Contains(r.again.Error(), "luck") {
		t.Errorf("answer = %s, %v", r.body, r.again)
	}
	for _, want := range []string{"out of luck", "event_test.go", `"message_id":"m-1"`, `"level":"ERROR"`} {
		if !strings.Contains(r.log, want) {
			t.Errorf("the log has no %s: %s", want, r.log)
		}
	}
}

func TestAClosedHandlerSaysSo(t *testing.T) {
	w := newWorld(t, nil)
	closed := rpc.NewClosed(errors.New("nobody claimed the table"))
	a := w.serve(closed, w.build(get("ops")))
	w.want(a, http.StatusServiceUnavailable, "ServiceUnavailable")
	if !strings.Contains(a.log, "nobody claimed the table") || strings.Contains(a.body, "claimed") {
		t.Errorf("answer = %v, log = %s", a, a.log)
	}
	health := get("ops")
	health.path, health.method = "/healthz", http.MethodGet
	w.want(w.serve(closed, w.build(health)), http.StatusServiceUnavailable, "ServiceUnavailable")
	r := w.event(closed, queue, rpc.Event{Source: "sqs", ID: strings.Repeat("m", 1000), Data: made("ops")})
	if r.Code != "ServiceUnavailable" || r.again == nil || !strings.Contains(r.log, "nobody claimed the table") ||
		len(r.log) > 600 {
		t.Errorf("event = %s, %v, log = %s", r.body, r.again, r.log)
	}
}

// A store that cannot do what the service relies on is final: neither a request nor an event is to
// be sent again for it.
func TestAStoreThatCannotIsFinal(t *testing.T) {
	w := newWorld(t, nil)
	lacks := fmt.Errorf("table: write: %w: TransactWriteItems", table.ErrUnsupported)
	for about, h := range map[string]*rpc.Handler{
		"closed":             rpc.NewClosed(fmt.Errorf("region x: %w", lacks)),
		"the configurations": newWorld(t, func(o *rpc.Options) { o.Service = serviceOn(t, refusing{lacks}) }).handler,
		"the tickets' table": newWorld(t, func(o *rpc.Options) { o.Tickets = refusing{lacks} }).handler,
	} {
		a := w.serve(h, w.build(create("ops")))
		w.want(a, http.StatusBadRequest, "UnsupportedStore")
		if a.header.Get("Retry-After") != "" || !strings.Contains(a.Message, "use another store") ||
			!strings.Contains(a.log, "TransactWriteItems") {
			t.Errorf("%s: %v, log = %s", about, a, a.log)
		}
		if about == "the tickets' table" {
			continue // an event has no nonce
		}
		r := w.event(h, queue, rpc.Event{ID: "m", Data: made("ops")})
		if r.Code != "UnsupportedStore" || r.again != nil {
			t.Errorf("%s: event = %s, %v, want that it is not delivered again", about, r.body, r.again)
		}
	}
}

// refusing is a table that refuses everything.
type refusing struct{ err error }

func (r refusing) Get(context.Context, ...table.Key) ([]table.Item, error)  { return nil, r.err }
func (r refusing) Query(context.Context, table.Range) ([]table.Item, error) { return nil, r.err }
func (r refusing) Write(context.Context, string, table.Change) error        { return r.err }
func (r refusing) Close() error                                             { return nil }

// serviceOn returns a service on another table.
func serviceOn(t *testing.T, tb table.Table) *chat.Service {
	t.Helper()
	ring, err := seal.ParseRing([]byte(ringText))
	if err != nil {
		t.Fatal(err)
	}
	s, err := chat.New(tb, ring, platform.All().Descriptions(), chat.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAnEventWithoutARequestIDGetsOne(t *testing.T) {
	w := newWorld(t, nil)
	body, _ := w.handler.ServeEvent(unlogged(t), queue, rpc.Event{Data: []byte(`{"Action":"ListChatConfigurations"}`)})
	var got struct{ RequestId string }
	if err := json.Unmarshal(body, &got); err != nil || len(got.RequestId) != 36 {
		t.Errorf("answer = %s, %v", body, err)
	}
}

// Every event gets an answer in JSON that bears the request id and no
// secret, and only what is refused or wanted changes nothing or something: a reader's event never
// does.
func FuzzEvent(f *testing.F) {
	f.Add(made("ops"), "m-1")
	f.Add([]byte(`{"Action":"GetChatConfiguration","Name":"ops"}`), "")
	f.Add([]byte(`{"Action":"UpdateChatConfiguration","Name":"ops","Revision":1,"Tags":{"a":"b"}}`), "消息")
	f.Add([]byte(`{"Action":"TagResources","ResourceIds":["ops"],"Tags":[{"Key":"a","Value":"b"}]}`), "a b")
	f.Add([]byte(`{"Version":1e400,"Action":["x"]}`), strings.Repeat("i", 65))
	f.Add([]byte("{\"\xff\":0}"), "\x00")
	w := newWorld(f, nil)
	reading := queue
	reading.Policies = []*policy.Policy{policy.ReadOnly()}
	f.Fuzz(func(t *testing.T, data []byte, id string) {
		ctx := invoke.With(t.Context(), &invoke.Invocation{RequestID: "REQUEST", Logger: slog.New(slog.DiscardHandler)})
		body, again := w.handler.ServeEvent(ctx, reading, rpc.Event{Source: "fuzz", ID: id, Data: data})
		var got struct{ RequestId, Code string }
		if err := json.Unmarshal(body, &got); err != nil || got.RequestId != "REQUEST" {
			t.Fatalf("answer = %s, %v", body, err)
		}
		if again != nil {
			t.Errorf("%q is worth another delivery: %v, %s", data, again, body)
		}
		items, err := w.table.Query(t.Context(), table.Range{Partition: account + "/cn-hangzhou", Limit: 1})
		if err != nil || len(items) > 0 {
			t.Fatalf("a reader's event left something behind: %v, %v", items, err)
		}
	})
}
