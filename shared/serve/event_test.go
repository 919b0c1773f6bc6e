package serve_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"chatconf/shared/serve"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares got with a golden file beside a fixture.
func golden(t *testing.T, fixture, got string) {
	t.Helper()
	path := strings.TrimSuffix(fixture, ".json") + ".golden"
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", fixture, diff)
	}
}

// fixtures returns the payloads of testdata whose names begin so.
func fixtures(t testing.TB, prefix string) map[string][]byte {
	t.Helper()
	paths, err := filepath.Glob("testdata/" + prefix + "*.json")
	if err != nil || len(paths) < 4 {
		t.Fatalf("only %d fixtures: %v", len(paths), err)
	}
	all := make(map[string][]byte)
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all[path] = text
	}
	return all
}

// describe writes events for people to review.
func describe(e *serve.Events) string {
	var b strings.Builder
	fmt.Fprintf(&b, "source %s", e.Source)
	if e.List {
		b.WriteString(", a list")
	}
	if e.Ordered {
		b.WriteString(", ordered")
	}
	b.WriteByte('\n')
	for _, r := range e.Records {
		fmt.Fprintf(&b, "- source %s, id %q", r.Source, r.ID)
		if r.Handle != "" {
			fmt.Fprintf(&b, ", handle %q", r.Handle)
		}
		if r.Err != nil {
			fmt.Fprintf(&b, ": %v\n", r.Err)
			continue
		}
		fmt.Fprintf(&b, "\n  %s\n", strings.ReplaceAll(string(r.Data), "\n", "\n  "))
	}
	return b.String()
}

func TestEvents(t *testing.T) {
	for path, payload := range fixtures(t, "event-") {
		events, err := serve.Decode(payload, "request-1")
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		golden(t, path, describe(events))
	}
}

// Source and id together are the id of a CloudEvent: two sources may count alike.
func TestTheIDOfACloudEventIsItsSources(t *testing.T) {
	const inside = `,"type":"mns:Queue:SendMessage","data":{"messageBody":"{}"}`
	seen := make(map[string]string)
	for _, payload := range []string{
		`"source":"/a","id":"1","type":"t"`, `"source":"/b","id":"1","type":"t"`, `"source":"/a","id":"2","type":"t"`,
		`"source":"/a#1","id":"2","type":"t"`, `"source":"/a","id":"1#2","type":"t"`,
		`"source":"5 /a#1","id":"2","type":"t"`, `"source":"消息","id":"1","type":"t"`,
		`"source":"/queue1","id":"1"` + inside, `"source":"/queue2","id":"1"` + inside,
	} {
		for range 2 {
			events, err := serve.Decode([]byte(`{"specversion":"1.0",`+payload+`}`), "r")
			if err != nil {
				t.Fatalf("%s: %v", payload, err)
			}
			id := events.Records[0].ID
			if other, ok := seen[id]; ok && other != payload {
				t.Errorf("%s and %s are both %s", payload, other, id)
			}
			seen[id] = payload
		}
	}
}

// What an event holds does not hang on the buffer that it came in: the SDKs use theirs again.
func TestEventsOutliveTheirPayload(t *testing.T) {
	for path, payload := range fixtures(t, "event-") {
		events, err := serve.Decode(payload, "request-1")
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		before := describe(events)
		clear(payload)
		if diff := cmp.Diff(before, describe(events)); diff != "" {
			t.Errorf("%s (-before +after its payload was cleared):\n%s", path, diff)
		}
	}
}

// A truncated payload is never taken for a whole one.
func TestTruncatedEvents(t *testing.T) {
	for path, payload := range fixtures(t, "event-") {
		whole := len(strings.TrimRight(string(payload), "\n"))
		for n := range whole {
			if events, err := serve.Decode(payload[:n], "r"); err == nil {
				t.Fatalf("the first %d bytes of %s are %s", n, path, describe(events))
			}
		}
	}
}

func TestNoEvents(t *testing.T) {
	const (
		ce     = `"specversion":"1.0","id":"1","source":"s","type":"t"`
		record = `{"messageId":"1","eventSource":"aws:sqs","body":"{}"}`
	)
	for _, test := range []struct{ name, payload, want string }{
		{"text", "hello topic", "not JSON"},
		{"a string", `"hello"`, "the payload is a string"},
		{"a number", `12345678901234567890e99`, "the payload is a number"},
		{"null", `null`, "the payload is null"},
		{"true", `true`, "the payload is true or false"},
		{"an HTTP request", `{"version":"2.0","requestContext":{}}`, "an HTTP request"},
		{"a CloudEvent that is an EventBridge event too", `{` + ce + `,"detail-type":"x"}`,
			"a CloudEvent and an EventBridge event"},
		{"records that are a timer's", `{"Records":[` + record + `],"triggerTime":"x"}`,
			"a batch of SQS messages and a timer's event"},
		{"a CloudEvent of another version", `{"specversion":"0.3","id":"1","source":"s","type":"t"}`,
			"specversion is not 1.0"},
		{"a CloudEvent whose version is a number", `{"specversion":1.0,"id":"1","source":"s","type":"t"}`,
			"specversion is not 1.0"},
		{"a CloudEvent without id", `{"specversion":"1.0","source":"s","type":"t","data":{}}`, "id, source or type"},
		{"a CloudEvent with an empty id", `{"specversion":"1.0","id":"","source":"s","type":"t","data":{}}`,
			"id, source or type"},
		{"a CloudEvent with a number as id", `{"specversion":"1.0","id":1,"source":"s","type":"t","data":{}}`,
			"id, source or type"},
		{"a CloudEvent without source", `{"specversion":"1.0","id":"1","type":"t"}`, "id, source or type"},
		{"a CloudEvent without type", `{"specversion":"1.0","id":"1","source":"s"}`, "id, source or type"},
		{"a CloudEvent with two ids", `{` + ce + `,"id":"2"}`, "id is given twice"},
		{"a CloudEvent with a second id that is escaped", `{` + ce + `,"\u0069d":"2"}`, "id is given twice"},
		{"a CloudEvent with data twice", `{` + ce + `,"data":{},"data_base64":"e30="}`, "both data and data_base64"},
		{"an MNS message without id",
			`{"specversion":"1.0","id":"","source":"s","type":"mns:Queue:SendMessage","data":{}}`,
			"id, source or type"},
		{"an MNS message without body",
			`{"specversion":"1.0","id":"1","source":"s","type":"mns:Queue:SendMessage","data":{"messageId":"1"}}`,
			"messageBody is missing"},
		{"an MNS message with two ids",
			`{"specversion":"1.0","id":"e","source":"s","type":"mns:Queue:SendMessage","data":{"messageId":"1",` +
				`"messageId":"2","messageBody":"{}"}}`, "messageId is given twice"},
		{"an EventBridge event of another version",
			`{"version":"1","id":"1","detail-type":"x","source":"s","detail":{}}`, "version is not 0"},
		{"an EventBridge event without id", `{"version":"0","detail-type":"x","source":"s","detail":{}}`,
			"id, source or detail-type"},
		{"an EventBridge event whose detail is text",
			`{"version":"0","id":"1","detail-type":"x","source":"s","detail":"{}"}`, "detail is a string"},
		{"an EventBridge event without detail", `{"version":"0","id":"1","detail-type":"x","source":"s"}`,
			"detail is missing"},
		{"an EventBridge event with two details",
			`{"version":"0","id":"1","detail-type":"x","source":"s","detail":{},"detail":{}}`,
			"detail is given twice"},
		{"a timer without name", `{"triggerTime":"x","payload":"{}"}`, "triggerTime or triggerName"},
		{"a timer without time", `{"triggerName":"x","payload":"{}"}`, "triggerTime or triggerName"},
		{"a timer with two payloads", `{"triggerName":"x","triggerTime":"x","payload":"{}","payload":"{}"}`,
			"payload is given twice"},
		{"records that are no list", `{"Records":{}}`, "Records is an object"},
		{"no records", `{"Records":[]}`, "Records is a list; use a list with at least one record"},
		{"records twice", `{"Records":[` + record + `],"Records":[]}`, "Records is given twice"},
		{"records of SNS", `{"Records":[{"EventSource":"aws:sns","Sns":{"MessageId":"1"}}]}`, `"EventSource" "Sns"`},
		{"records of Tablestore", `{"Version":"Sync-v1","Records":[{"Type":"PutRow"}]}`, "eventSource is not aws:sqs"},
		{"one record of another source", `{"Records":[` + record +
			`,{"messageId":"2","eventSource":"aws:kinesis","body":"{}"}]}`, "record 1 the eventSource"},
		{"a record without id", `{"Records":[{"eventSource":"aws:sqs","body":"{}"}]}`, "messageId is missing"},
		{"a record with two bodies", `{"Records":[{"messageId":"1","eventSource":"aws:sqs","body":"{}","body":"{}"}]}`,
			"body is given twice"},
		{"a record that is a string", `{"Records":["x"]}`, "eventSource is not aws:sqs"},
		{"an empty list", `[]`, "an empty list"},
		{"a list of parameters", `[{"Name":"x"}]`, "is an object of parameters; use a CloudEvent"},
		{"a list of numbers", `[1]`, "item 0 of the list is a number"},
		{"a list of lists", `[[{` + ce + `}]]`, "item 0 of the list is a list"},
		{"a list of EventBridge events", `[{"detail-type":"x"}]`, "is an EventBridge event; use a CloudEvent"},
		{"a list of requests", `[{"requestContext":{}}]`, "is an HTTP request; use a CloudEvent"},
		{"a list of two shapes", `[{` + ce + `},{"triggerTime":"x","triggerName":"x"}]`,
			"item 1 of the list is a timer's event; use a CloudEvent"},
		{"a list of texts", `["{\"specversion\":\"1.0\"}"]`, "item 0 of the list is a string; use a CloudEvent"},
		{"a list with a broken one", `[{` + ce + `},{"specversion":"1.0"}]`,
			"item 1 of the list looks like a CloudEvent"},
		{"a list with a doubtful one", `[{"specversion":"1.0","triggerName":"x"}]`,
			"is a CloudEvent and a timer's event; use a CloudEvent"},
		{"a list with too much", `[` + strings.Repeat(`{`+ce+`},`, serve.MaxRecords) +
			`{` + ce + `}]`, "more than 10000"},
		{"too many records", `{"Records":[` + strings.Repeat(record+",", serve.MaxRecords) +
			record + `]}`, "more than 10000"},
		{"keys that are long and strange", `{"specversion":"x","` + strings.Repeat("k", 1000) +
			`":1,"\u001b[31m":2}`, `"\x1b[31m"`},
		{"many keys", `{"specversion":"x","a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1,"i":1,` +
			`"j":1,"k":1,"secret":1}`, `"k" …`},
		{"invalid UTF-8", "{\"Name\":\"\xff\"}", "UTF-8"},
		{"a deep object", `{"Name":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`, "deep"},
	} {
		events, err := serve.Decode([]byte(test.payload), "r")
		switch {
		case err == nil:
			t.Errorf("%s: %s, want an error with %q", test.name, describe(events), test.want)
		case !strings.Contains(err.Error(), test.want):
			t.Errorf("%s: %v, want %q in it", test.name, err, test.want)
		case len(err.Error()) > 1000:
			t.Errorf("%s: an error of %d bytes", test.name, len(err.Error()))
		}
	}
}

// Content that is wrong is one record's matter, and no error shows it.
func TestRecordsThatCannotBeDone(t *testing.T) {
	const planted = "planted-secret"
	for _, test := range []struct{ name, payload, want string }{
		{"a timer whose message is text", `{"triggerTime":"x","triggerName":"y","payload":"planted-secret"}`,
			"not JSON"},
		{"a timer whose message is a list", `{"triggerTime":"x","triggerName":"y","payload":["planted-secret"]}`,
			"is a list"},
		{"a CloudEvent with a number", `{"specversion":"1.0","id":"1","source":"s","type":"t","data":42}`,
			"is a number"},
		{"a CloudEvent with text", `{"specversion":"1.0","id":"1","source":"s","type":"t","data":"planted-secret"}`,
			"not JSON"},
		{"a CloudEvent with bad Base64",
			`{"specversion":"1.0","id":"1","source":"s","type":"t","data_base64":"planted-secret"}`, "Base64"},
		{"an MNS message that is Base64 of text",
			`{"specversion":"1.0","id":"e","source":"s","type":"mns:Queue:SendMessage","data":{"messageId":"1",` +
				`"messageBody":"cGxhbnRlZC1zZWNyZXQ="}}`, "plain or in Base64"},
		{"an MNS message that is Base64 of a list",
			`{"specversion":"1.0","id":"e","source":"s","type":"mns:Queue:SendMessage","data":{"messageId":"1",` +
				`"messageBody":"W10="}}`, "is a list"},
		{"an MNS message that is a number",
			`{"specversion":"1.0","id":"e","source":"s","type":"mns:Queue:SendMessage","data":{"messageId":"1",` +
				`"messageBody":1}}`, "is a number"},
		{"an MNS message that is broken",
			`{"specversion":"1.0","id":"e","source":"s","type":"mns:Queue:SendMessage","data":{"messageId":"1",` +
				`"messageBody":" {\"a\":planted-secret"}}`, "not JSON"},
		{"an empty MNS message",
			`{"specversion":"1.0","id":"e","source":"s","type":"mns:Queue:SendMessage","data":{"messageId":"1",` +
				`"messageBody":""}}`, "plain or in Base64"},
		{"an SQS message without body", `{"Records":[{"messageId":"1","eventSource":"aws:sqs"}]}`, "body is missing"},
		{"an SQS message whose body is an object",
			`{"Records":[{"messageId":"1","eventSource":"aws:sqs","body":{"a":"planted-secret"}}]}`,
			"body is an object"},
		{"an SQS message that is a list", `{"Records":[{"messageId":"1","eventSource":"aws:sqs","body":"[]"}]}`,
			"is a list"},
		{"an SQS message that is deep", `{"Records":[{"messageId":"1","eventSource":"aws:sqs","body":"` +
			strings.Repeat("[", 1000) + `"}]}`, "deep"},
	} {
		events, err := serve.Decode([]byte(test.payload), "r")
		if err != nil || len(events.Records) != 1 {
			t.Errorf("%s: %v, %v", test.name, events, err)
			continue
		}
		r := events.Records[0]
		if r.Err == nil || !strings.Contains(r.Err.Error(), test.want) || r.Data != nil ||
			strings.Contains(r.Err.Error(), planted) {
			t.Errorf("%s: %s and %v, want an error with %q", test.name, r.Data, r.Err, test.want)
		}
	}
}

// Parameters of an action decide nothing about the shape, whatever they are called and in whatever
// case.
func TestParametersAreNoEnvelope(t *testing.T) {
	for _, payload := range []string{
		`{}`,
		`{"Name":"x","Type":"Slack","Tags":{},"Version":"0","Id":"1","Source":"s","Data":{},"Detail":{},` +
			`"Time":"t","Account":"1","Region":"r"}`,
		`{"version":"0","id":"1","source":"s","type":"t","data":{},"detail":{},"headers":{},"body":"{}",` +
			`"rawPath":"/","payload":"","topic":"t","Message":"m","MessageId":"1"}`,
		`{"SpecVersion":"1.0","Detail-Type":"x","records":[],"RequestContext":{},"TriggerTime":"x",` +
			`"MessageBody":""}`,
		`{"messageId":"1","messageBody":"{}"}`,
		`{"systemProperties":{"UNIQ_KEY":"1"},"body":"{}"}`,
		`{"Configuration":"{\"specversion\":\"1.0\"}","Tags":{"specversion":"1.0",` +
			`"Records":[],"requestContext":{"http":{}}}}`,
	} {
		events, err := serve.Decode([]byte(payload), "request-1")
		if err != nil {
			t.Errorf("%s: %v", payload, err)
			continue
		}
		want := &serve.Events{Source: serve.Direct, Records: []serve.Record{
			{Event: serve.Event{Source: serve.Direct, ID: "request-1", Data: []byte(payload)}}}}
		if diff := cmp.Diff(want, events); diff != "" {
			t.Errorf("%s (-want +got):\n%s", payload, diff)
		}
	}
}

// An id that cannot be a ClientToken becomes one, and two of them different ones.
func TestMessageIDs(t *testing.T) {
	decode := func(id string) string {
		text, err := json.Marshal(id)
		if err != nil {
			t.Fatal(err)
		}
		payload := `{"version":"0","source":"s","detail-type":"x","detail":{},"id":` + string(text) + `}`
		events, err := serve.Decode([]byte(payload), "r")
		if err != nil {
			t.Fatal(err)
		}
		return events.Records[0].ID
	}
	seen := make(map[string]string)
	for _, id := range []string{"a", "C6DB60D1574661357FA227277445FFFF", strings.Repeat("x", 64),
		strings.Repeat("x", 65), strings.Repeat("x", 66), "a b", "a\nb", "ä", "\"", "a\x00"} {
		got := decode(id)
		plain := len(id) <= 64 && !strings.ContainsAny(id, " \n\x00ä")
		if plain && got != id {
			t.Errorf("id %q is %q, want itself", id, got)
		}
		if other, twice := seen[got]; twice || len(got) > 64 ||
			strings.ContainsFunc(got, func(r rune) bool { return r <= ' ' || r > '~' }) {
			t.Errorf("id %q is %q; the other with it: %q", id, got, other)
		}
		if got != decode(id) {
			t.Errorf("id %q is another the second time", id)
		}
		seen[got] = id
	}
}

// A message that says no id of its own has that of the CloudEvent around it.
func TestIDsOfTheEventAround(t *testing.T) {
	events, err := serve.Decode(
		[]byte(`{"specversion":"1.0","id":"e1","source":"s","type":"mns:Queue:SendMessage",`+
			`"data":{"messageBody":"{}"}}`), "r")
	if err != nil || events.Records[0].ID != "s#e1" || string(events.Records[0].Data) != "{}" {
		t.Errorf("%v, %v", events, err)
	}
}

// Whatever comes: no panic, the same twice, ids that can go anywhere, data that is an object, and
// no HTTP request among events.
func FuzzDecode(f *testing.F) {
	for _, payload := range fixtures(f, "") {
		f.Add(payload)
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		events, err := serve.Decode(payload, "request-1")
		if err != nil {
			return
		}
		if len(events.Records) == 0 || len(events.Records) > serve.MaxRecords {
			t.Fatalf("%d records", len(events.Records))
		}
		again, err := serve.Decode(payload, "request-1")
		if err != nil || describe(events) != describe(again) {
			t.Fatalf("the second time %v, %v", again, err)
		}
		if v, err := serve.Parse(payload); err != nil || v.Members()["requestContext"] != "" {
			t.Fatal("a request is an event")
		}
		for _, r := range events.Records {
			if r.ID == "" || len(r.ID) > 64 || strings.ContainsFunc(r.ID,
				func(r rune) bool { return r <= ' ' || r > '~' }) {
				t.Errorf("id %q", r.ID)
			}
			if (r.Handle != "") != (r.Source == serve.SQS) {
				t.Errorf("source %s has handle %q", r.Source, r.Handle)
			}
			var object map[string]json.RawMessage
			switch {
			case r.Err != nil && r.Data != nil:
				t.Errorf("data %q and error %v", r.Data, r.Err)
			case r.Err == nil && json.Unmarshal(r.Data, &object) != nil:
				t.Errorf("data %q is no object", r.Data)
			}
		}
	})
}
