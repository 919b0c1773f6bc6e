package e2e_test

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	openapi "github.com/alibabacloud-go/darabonba-openapi/v2/client"
	openapiutil "github.com/alibabacloud-go/darabonba-openapi/v2/utils"
	oos "github.com/alibabacloud-go/oos-20190601/v4/client"
	"github.com/alibabacloud-go/tea/dara"
)

// onlyFunctions skips a test that is about functions of some targets, of all if none is given, in
// another run.
func onlyFunctions(t *testing.T, targets ...string) {
	t.Helper()
	if functions.target == "" || len(targets) > 0 && !slices.Contains(targets, functions.target) {
		t.Skip("it is about functions that do not run here")
	}
}

// invoking matches what serve prints of where functions are invoked.
var invoking = regexp.MustCompile(`(?m)^  invoke API +http://(\S+)$`)

// invocation returns a request that invokes a function by its cloud's own API, as event sources do.
func (s *service) invocation(function, payload string, header map[string]string) signed {
	m := invoking.FindStringSubmatch(s.stdout.String())
	if m == nil {
		s.t.Fatalf("serve does not say where functions are invoked:\n%s", s.stdout)
	}
	if functions.target == targetLambda {
		return &v4{endpoint: m[1], path: "/2015-03-31/functions/" + function + "/invocations",
			header: header, body: payload, key: awsKey}
	}
	r := newACS3(s.key, "InvokeFunction")
	r.header["x-acs-version"] = "2023-03-30"
	maps.Copy(r.header, header)
	r.path, r.body = "/2023-03-30/functions/"+function+"/invocations", payload
	return at{m[1], r}
}

// An at is a request to another endpoint than the service's.
type at struct {
	endpoint string
	signed
}

func (a at) request(t *testing.T, _ string) *http.Request { return a.signed.request(t, a.endpoint) }

// failed are the headers in which the clouds say that a function failed.
var failed = map[string]string{targetFC: "X-Fc-Error-Type", targetLambda: "X-Amz-Function-Error"}

// invoke invokes a function, which must not fail, and returns its answer.
func (s *service) invoke(t *testing.T, function, payload string) []byte {
	t.Helper()
	a := s.send(t, s.invocation(function, payload, nil))
	if a.status != http.StatusOK || a.header.Get(failed[functions.target]) != "" {
		t.Fatalf("%s of %.200s = %d %v %s", function, payload, a.status, a.header, a.body)
	}
	return a.body
}

// text returns v as JSON.
func text(t *testing.T, v any) string {
	t.Helper()
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// A message is what an event source delivers.
type message struct{ id, body string }

// An eventSource is a way in which a target delivers messages. The payloads are those of the
// vendors' documents.
type eventSource struct {
	name   string
	target string
	batch  bool
	event  func(messages ...message) any
	// what each message was answered; nil if the event source does not say
	answer func(t *testing.T, answer []byte) []json.RawMessage
}

func one(_ *testing.T, answer []byte) []json.RawMessage { return []json.RawMessage{answer} }

// listed reads the answer to an event stream of Alibaba Cloud.
func listed(t *testing.T, answer []byte) []json.RawMessage {
	t.Helper()
	var list []struct{ Answer json.RawMessage }
	if err := json.Unmarshal(answer, &list); err != nil {
		t.Fatalf("%s: %v", answer, err)
	}
	var out []json.RawMessage
	for _, l := range list {
		out = append(out, l.Answer)
	}
	return out
}

func listOf(f func(m message) any) func(messages ...message) any {
	return func(messages ...message) any {
		var list []any
		for _, m := range messages {
			list = append(list, f(m))
		}
		return list
	}
}

func cloudEvent(id, kind string, data any) object {
	return object{
		"id": id, "source": "acs.example", "specversion": "1.0", "type": kind,
		"datacontenttype": "application/json; charset=utf-8",
		"time":            "2026-11-23T01:02:03.000Z", "subject": "acs:example:cn-hangzhou:1:x",
		"aliyunaccountid": "1", "data": data,
	}
}

func eventBridge(id, kind string, detail json.RawMessage) object {
	return object{
		"version": "0", "id": id, "detail-type": kind, "source": "com.example", "account": "123456789012",
		"time":   "2026-11-23T01:02:03Z",
		"region": "eu-central-1", "resources": []any{}, "detail": detail,
	}
}

// eventSources are all of both targets but direct invocation, whose messages have no id of their
// own.
var eventSources = []eventSource{
	{"MNS", targetFC, true, listOf(func(m message) any {
		return cloudEvent("event-"+m.id, "mns:Queue:SendMessage",
			object{"requestId": "r", "messageId": m.id, "messageBody": m.body})
	}), listed},
	{"CloudEvents", targetFC, false, func(m ...message) any {
		return cloudEvent(m[0].id, "ui:Created:PostObject", json.RawMessage(m[0].body))
	}, one},
	{"a timer of Function Compute", targetFC, false, func(m ...message) any {
		return object{"triggerTime": "2026-11-23T01:02:03Z", "triggerName": m[0].id, "payload": m[0].body}
	}, one},
	{"SQS", targetLambda, true, func(messages ...message) any {
		var records []any
		for _, m := range messages {
			records = append(records, object{
				"messageId": m.id, "receiptHandle": "h", "body": m.body,
				"attributes": object{"ApproximateReceiveCount": "1"}, "messageAttributes": object{},
				"md5OfBody": "x", "eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:eu-central-1:123456789012:q",
				"awsRegion": "eu-central-1",
			})
		}
		return object{"Records": records}
	}, nil},
	{"EventBridge", targetLambda, false, func(m ...message) any {
		return eventBridge(m[0].id, "Order",
			json.RawMessage(m[0].body))
	}, one},
	{"a schedule of EventBridge", targetLambda, false, func(m ...message) any {
		return eventBridge(m[0].id, "Scheduled Event", json.RawMessage(m[0].body))
	}, one},
}

// eachEventSource runs a test for each event source of the run's target, on one service.
func eachEventSource(t *testing.T, test func(t *testing.T, s *service, d eventSource)) {
	t.Helper()
	onlyFunctions(t)
	s := serve(t)
	n := 0
	for _, d := range eventSources {
		if d.target == functions.target {
			n++
			t.Run(d.name, func(t *testing.T) { test(t, s, d) })
		}
	}
	if n < 3 {
		t.Errorf("only %d event sources of %s", n, functions.target)
	}
	s.check(" 0 problems")
}

// creation returns the parameters of a create.
func creation(t *testing.T, name string) string {
	t.Helper()
	return text(t, object{"Name": name, "Type": "DingTalk", "Configuration": dingTalk(name)})
}

// A result is an answer to a create, or an error.
type created struct {
	Code              string
	ChatConfiguration struct {
		Name     string
		Revision int
	}
}

func readCreated(t *testing.T, answer []byte) (c created) {
	t.Helper()
	if err := json.Unmarshal(answer, &c); err != nil {
		t.Fatalf("%s: %v", answer, err)
	}
	return c
}

// A message that is delivered again changes nothing, and is answered as the first time: its id is
// its ClientToken.
func TestRedeliveryChangesNothing(t *testing.T) {
	t.Parallel()
	eachEventSource(t, func(t *testing.T, s *service, d eventSource) {
		name := "redelivered-" + strings.ReplaceAll(strings.ToLower(d.name), " ", "-")
		m := message{"id-" + name, creation(t, name)}
		for range 3 {
			answer := s.invoke(t, "create-chat-configuration", text(t, d.event(m)))
			if d.answer == nil {
				if got, want := string(answer), `{"batchItemFailures":[]}`; got != want {
					t.Errorf("answer = %s, want %s", got, want)
				}
				continue
			}
			answers := d.answer(t, answer)
			if len(answers) != 1 {
				t.Fatalf("%d answers, want 1: %s", len(answers), answer)
			}
			if got, want := readCreated(t, answers[0]).ChatConfiguration.Name, name; got != want {
				t.Errorf("answer = %s, want it of %s", answers[0], want)
			}
		}
		for range 2 { // an update raises the revision once
			update := message{"update-" + name, text(t, object{"Name": name, "Status": "Inactive"})}
			s.invoke(t, "update-chat-configuration", text(t, d.event(update)))
		}
		if got := readCreated(t, s.invoke(t, "get-chat-configuration",
			text(t, object{"Name": name}))).ChatConfiguration.Revision; got != 2 {
			t.Errorf("revision = %d, want 2: a create and an update, each delivered several times", got)
		}
		removal := message{"delete-" + name, text(t, object{"Name": name})}
		for range 2 {
			s.invoke(t, "delete-chat-configuration", text(t, d.event(removal)))
		}
		if got, want := readCreated(t, s.invoke(t, "get-chat-configuration", text(t, object{"Name": name}))).Code,
			"EntityNotExists.ChatConfiguration"; got != want {
			t.Errorf("code after the delete = %q, want %q", got, want)
		}
	})
}

// Of a batch, what can never be done is answered for, and is no reason to have the others delivered
// again.
func TestOneBadRecordDoesNotRedoTheOthers(t *testing.T) {
	t.Parallel()
	eachEventSource(t, func(t *testing.T, s *service, d eventSource) {
		if !d.batch {
			t.Skip("it delivers one message at a time")
		}
		prefix := strings.ToLower(d.name)
		batch := []message{
			{prefix + "-1", creation(t, prefix+"-a")},
			{prefix + "-2", `{"Name":`},
			{prefix + "-3", `[1,2,3]`},
			{prefix + "-4", `{"Name":"aliyun-no","Type":"DingTalk","Configuration":"{}"}`},
			{prefix + "-5", creation(t, prefix+"-b")},
			{prefix + "-1", creation(t, prefix+"-a")}, // once more in the same batch
		}
		payload := text(t, d.event(batch...))
		for range 2 {
			answer := s.invoke(t, "create-chat-configuration", payload)
			if d.answer == nil {
				if got, want := string(answer), `{"batchItemFailures":[]}`; got != want {
					t.Errorf("answer = %s, want %s", got, want)
				}
				continue
			}
			var codes []string
			for _, a := range d.answer(t, answer) {
				codes = append(codes, readCreated(t, a).Code)
			}
			if got, want := codes, []string{"", "InvalidEvent", "InvalidEvent", "InvalidParameter.Name",
				"", ""}; !slices.Equal(got, want) {
				t.Errorf("codes = %q, want %q", got, want)
			}
		}
		for _, name := range []string{prefix + "-a", prefix + "-b"} {
			if got := readCreated(t, s.invoke(t, "get-chat-configuration",
				text(t, object{"Name": name}))).ChatConfiguration.Revision; got != 1 {
				t.Errorf("revision of %s = %d, want 1", name, got)
			}
		}
	})
}

// Of a batch of SQS only what a later try can help is delivered again: here what the store did not
// answer for. The others are done, and once.
func TestOnlyWhatFailedIsDeliveredAgain(t *testing.T) {
	t.Parallel()
	onlyFunctions(t, targetLambda)
	var down atomic.Bool
	target, err := url.Parse(store.server.url)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	between := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || down.Load() && bytes.Contains(body, []byte("poison")) {
			w.WriteHeader(http.StatusInternalServerError)
			io.WriteString(w, `{"__type":"com.amazonaws.dynamodb.v20120810#InternalServerError"}`)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		proxy.ServeHTTP(w, r)
	}))
	defer between.Close()
	s := serve(t, "AWS_ENDPOINT_URL_DYNAMODB="+between.URL)
	sqs := eventSources[slices.IndexFunc(eventSources, func(d eventSource) bool { return d.name == "SQS" })]
	batch := func(prefix string) []message {
		return []message{
			{prefix + "-1", creation(t, prefix+"-a")},
			{prefix + "-2", creation(t, prefix+"-poison")},
			{prefix + "-3", creation(t, prefix+"-b")},
		}
	}
	revisions := func(names ...string) (got []int) {
		for _, name := range names {
			got = append(got, readCreated(t, s.invoke(t, "get-chat-configuration",
				text(t, object{"Name": name}))).ChatConfiguration.Revision)
		}
		return got
	}
	fifo := func(messages ...message) string {
		return strings.ReplaceAll(text(t, sqs.event(messages...)), ":q\"", ":q.fifo\"")
	}
	for _, c := range []struct {
		name, payload, failures string
		done                    []int
	}{
		{"standard", text(t, sqs.event(batch("standard")...)), `[{"itemIdentifier":"standard-2"}]`, []int{1, 0, 1}},
		// nothing overtakes
		{"fifo", fifo(batch("fifo")...), `[{"itemIdentifier":"fifo-2"},{"itemIdentifier":"fifo-3"}]`, []int{1, 0, 0}},
	} {
		down.Store(true)
		if got, want := string(s.invoke(t, "create-chat-configuration", c.payload)), `{"batchItemFailures":`+
			c.failures+`}`; got != want {
			t.Errorf("%s: answer = %s, want %s", c.name, got, want)
		}
		down.Store(false)
		names := []string{c.name + "-a", c.name + "-poison", c.name + "-b"}
		if got := revisions(names...); !slices.Equal(got, c.done) {
			t.Errorf("%s: revisions = %v, want %v", c.name, got, c.done)
		}
		// as if nothing of the answer had arrived
		if got, want := string(s.invoke(t, "create-chat-configuration", c.payload)),
			`{"batchItemFailures":[]}`; got != want {
			t.Errorf("%s: the second answer = %s, want %s", c.name, got, want)
		}
		if got, want := revisions(names...), []int{1, 1, 1}; !slices.Equal(got, want) {
			t.Errorf("%s: revisions = %v, want %v", c.name, got, want)
		}
	}
}

// A direct invocation is answered as HTTP is, an error too: it is the caller's to read.
func TestDirectInvocation(t *testing.T) {
	t.Parallel()
	onlyFunctions(t)
	s := serve(t)
	withToken := text(t, object{"Name": "direct", "Type": "DingTalk",
		"Configuration": object{"DingTalkClientId": "x", "DingTalkClientSecret": "y"}, "ClientToken": "once"})
	for range 2 {
		if c := readCreated(t, s.invoke(t, "create-chat-configuration",
			withToken)); c.ChatConfiguration.Name != "direct" {
			t.Errorf("create = %+v", c)
		}
	}
	overHTTP := s.send(t, newACS3(s.key, "GetChatConfiguration", "Name", "direct"))
	// To an event the webhook's token is not shown, since nobody has allowed it.
	masked := regexp.MustCompile(`(/cn-hangzhou/direct/)[A-Za-z0-9_-]{22}`).ReplaceAll(overHTTP.body,
		[]byte("${1}******"))
	var a, b map[string]any
	if err := json.Unmarshal(masked, &a); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(s.invoke(t, "get-chat-configuration", `{"Name":"direct"}`), &b); err != nil {
		t.Fatal(err)
	}
	delete(a, "RequestId")
	delete(b, "RequestId")
	if got, want := jsonText(b), jsonText(a); got != want {
		t.Errorf("a direct invocation is answered %s, HTTP %s", got, want)
	}
	if c := readCreated(t, s.invoke(t, "api",
		`{"Action":"GetChatConfiguration","Name":"nobody"}`)); c.Code != "EntityNotExists.ChatConfiguration" {
		t.Errorf("code = %q, want EntityNotExists.ChatConfiguration", c.Code)
	}
	s.check(": 1 configuration, ")
}

// Whatever is delivered, the answer says what was wrong, the process lives on, and no record of a
// payload that is not understood is done.
func TestHostilePayloads(t *testing.T) {
	t.Parallel()
	onlyFunctions(t)
	s := serve(t)
	levels := 200_000
	if functions.target == targetLambda {
		levels = 9_000 // it hands on no more
	}
	deep := strings.Repeat(`{"a":`, levels) + "1" + strings.Repeat("}", levels)
	planted := "PLANTED-secret-of-a-payload"
	inside := creation(t, "hostile")
	sqs := func(source string) string {
		return text(t, object{"Records": []any{object{"messageId": "m", "body": inside, "eventSource": source,
			"eventSourceARN": "arn:aws:sqs:::q"}}})
	}
	var many []any
	for i := range 10_001 {
		many = append(many, cloudEvent(strconv.Itoa(i), "x", object{}))
	}
	for name, payload := range map[string]string{
		"a number":                  `7`,
		"null":                      `null`,
		"a string":                  `"` + planted + `"`,
		"an empty list":             `[]`,
		"a list of lists":           `[[{}]]`,
		"deeper than anybody nests": deep,
		"a parameter twice":         `{"Name":"hostile","Name":"hostile2"}`,
		"a CloudEvent without an id": text(t, object{"specversion": "1.0", "source": "s", "type": "t",
			"data": json.RawMessage(inside)}),
		"a CloudEvent of the future": strings.Replace(text(t, cloudEvent("1", "t", json.RawMessage(inside))),
			`"1.0"`, `"2.0"`, 1),
		"a CloudEvent with data twice": `{"specversion":"1.0","id":"1","source":"s","type":"t",` +
			`"data":{},"data_base64":"e30="}`,
		"a CloudEvent that is not base64": `{"specversion":"1.0","id":"1",` +
			`"source":"s","type":"t","data_base64":"*"}`,
		"two shapes at once":                 `{"specversion":"1.0","Records":[]}`,
		"records of another source":          sqs("aws:s3"),
		"records of no source":               sqs(""),
		"records that are none":              `{"Records":{"a":1}}`,
		"more records than any source gives": text(t, many),
		"a list of different things": text(t, []any{cloudEvent("1", "t", object{}),
			object{"messageBody": "{}", "messageId": "2"}}),
		"a timer without a time":       `{"triggerName":"x","payload":"{}"}`,
		"EventBridge without a detail": `{"version":"0","id":"1","detail-type":"t","source":"s"}`,
		"EventBridge with a detail of text": `{"version":"0","id":"1","detail-type":"t","source":"s","detail":"` +
			planted + `"}`,
		"an unknown parameter": `{"Nmae":"hostile"}`,
		"parameters beyond a request's limits": `{"Name":"hostile","Configuration":"` +
			strings.Repeat("x", 1<<20) + `"}`,
	} {
		t.Run(name, func(t *testing.T) {
			var e envelope
			answer := s.invoke(t, "create-chat-configuration", payload)
			if err := json.Unmarshal(answer, &e); err != nil || e.Code == "" || e.RequestId == "" {
				t.Errorf("answer = %.300s, want an error", answer)
			}
			if bytes.Contains(answer, []byte(planted)) {
				t.Errorf("the answer shows what was sent: %s", answer)
			}
		})
	}
	if functions.target == targetFC { // Lambda takes nothing but JSON
		for name, payload := range map[string]string{
			"nothing": "", "half a document": inside[:20], "two documents": "{}{}",
			"what is no UTF-8": "{\"Name\":\"\xff\xfe\"}", "bytes": "\x00\x01\x02",
		} {
			t.Run(name, func(t *testing.T) {
				if c := readCreated(t, s.invoke(t, "create-chat-configuration", payload)); c.Code == "" {
					t.Errorf("answer = %+v, want an error", c)
				}
			})
		}
	} else {
		a := s.send(t, s.invocation("create-chat-configuration", `{"Name":`, nil))
		if a.status != http.StatusBadRequest {
			t.Errorf("half a document: status = %d, want 400", a.status)
		}
	}
	t.Run("too large for the cloud", func(t *testing.T) {
		if a := s.send(t, s.invocation("create-chat-configuration", `"`+strings.Repeat("x", 33<<20)+`"`,
			nil)); a.status != http.StatusRequestEntityTooLarge {
			t.Errorf("status = %d, want 413", a.status)
		}
	})
	for name, payload := range hostileRequests() {
		t.Run(name, func(t *testing.T) {
			var r struct {
				StatusCode int    `json:"statusCode"`
				Body       string `json:"body"`
			}
			answer := s.invoke(t, "api", payload)
			if err := json.Unmarshal(answer, &r); err != nil || r.StatusCode < 400 || r.StatusCode >= 500 {
				t.Errorf("answer = %.300s, want one of HTTP that refuses", answer)
			}
		})
	}
	if strings.Contains(s.stderr.String(), planted) {
		t.Errorf("the log shows what was sent")
	}
	if exits := strings.Count(s.stderr.String(), "a function's process ended"); exits > 0 {
		t.Errorf("%d processes ended", exits)
	}
	s.check(": 0 configurations, ") // but for the access key there is nothing
}

// hostileRequests are payloads that look like HTTP requests.
func hostileRequests() map[string]string {
	context := `"requestContext":{"domainName":"h","http":{"method":"POST","path":"/",` +
		`"protocol":"HTTP/1.1","sourceIp":"127.0.0.1"}}`
	return map[string]string{
		"a request of no version":      `{"rawPath":"/",` + context + `}`,
		"a request of another version": `{"version":"9",` + context + `}`,
		"a request without a context":  `{"version":"2.0","requestContext":null}`,
		"a context that is a string":   `{"version":"v1","requestContext":"x"}`,
		"an invalid method":            `{"version":"2.0","requestContext":{"http":{"method":"P O"}}}`,
		"a path that leads elsewhere":  `{"version":"2.0","rawPath":"http://evil.example/",` + context + `}`,
		"a path with a line break":     `{"version":"v1","rawPath":"/\r\nHost: evil",` + context + `}`,
		"a header with a line break":   `{"version":"2.0","rawPath":"/","headers":{"a":"b\r\nc: d"},` + context + `}`,
		"headers that are a list":      `{"version":"v1","rawPath":"/","headers":["a"],` + context + `}`,
		"a body that is not base64": `{"version":"2.0","rawPath":"/","body":"*","isBase64Encoded":true,` +
			context + `}`,
		"a body beyond what is taken": `{"version":"v1","rawPath":"/","body":"` +
			strings.Repeat("x", 300<<10) + `",` + context + `}`,
		"a request and a batch at once":  `{"version":"2.0","Records":[],` + context + `}`,
		"a request that nobody signed":   `{"version":"2.0","rawPath":"/","body":"Name=x",` + context + `}`,
		"a request for what is not here": `{"version":"v1","rawPath":"/../../etc/passwd",` + context + `}`,
	}
}

// processes returns the processes of functions that were started so far.
func (s *service) processes() (pids []int) {
	for _, m := range regexp.MustCompile(`"msg":"a function's process `+
		`was started".*?"pid":(\d+)`).FindAllStringSubmatch(s.stderr.String(), -1) {
		if pid, err := strconv.Atoi(m[1]); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// awaitProcesses returns the processes that were started, which must be n: the log that tells comes
// through a pipe.
func (s *service) awaitProcesses(n int) []int {
	s.t.Helper()
	pids := s.processes()
	for limit := time.Now().Add(5 * time.Second); len(pids) < n && time.Now().Before(limit); pids = s.processes() {
		time.Sleep(5 * time.Millisecond)
	}
	if len(pids) != n {
		s.t.Fatalf("processes = %v, want %d", pids, n)
	}
	return pids
}

// Processes of functions are killed while they work, time and again. Callers are told so; what was
// acknowledged is there, and of what was not, nothing is there by half.
func TestKillingFunctionsLosesNothingAcknowledged(t *testing.T) {
	t.Parallel()
	onlyFunctions(t)
	s := serveCrowd(t)
	const writers, each = 6, 40
	var mu sync.Mutex
	var cut atomic.Int64
	acknowledged := make(map[string]bool)
	stop := make(chan struct{})
	var open, killer sync.WaitGroup
	for w := range writers {
		open.Go(func() {
			for i := range each {
				name := fmt.Sprintf("bot-%d-%d", w, i)
				status, err := try(newACS3(s.key, "CreateChatConfiguration", "Name", name, "Type", "DingTalk",
					"Configuration", dingTalk(name)).request(t, s.endpoint))
				switch {
				case err != nil:
					t.Error(err)
				case status == http.StatusOK:
					mu.Lock()
					acknowledged[name] = true
					mu.Unlock()
				// of a trigger or a function URL; of an API Gateway
				case status == http.StatusBadGateway, status == http.StatusInternalServerError:
					cut.Add(1)
				default:
					t.Errorf("status = %d, want 200, 500 or 502", status)
				}
			}
		})
	}
	killer.Go(func() {
		killed := make(map[int]bool)
		for tick := time.NewTicker(20 * time.Millisecond); ; {
			select {
			case <-stop:
				tick.Stop()
				return
			case <-tick.C:
			}
			for _, pid := range s.processes() {
				if !killed[pid] {
					killed[pid] = true
					syscall.Kill(pid, syscall.SIGKILL)
					break
				}
			}
		}
	})
	open.Wait()
	close(stop)
	killer.Wait()
	if cut.Load() == 0 || len(acknowledged) == 0 {
		t.Errorf("%d requests were cut off and %d were not: the test proves nothing", cut.Load(), len(acknowledged))
	}
	row := 0
	await(t, "nobody meets a process that was killed any more", func() bool { // a function has sixteen at most
		status, err := try(newACS3(s.key, "ListChatConfigurations").request(t, s.endpoint))
		if row++; err != nil || status != http.StatusOK {
			row = 0
		}
		return row == 16
	})
	all, _ := walk(t, s.client(t), 100, nil)
	for name := range acknowledged {
		if !slices.Contains(all, name) {
			t.Errorf("%s was acknowledged and is gone", name)
		}
	}
	t.Logf("%d acknowledged, %d cut off, %d there", len(acknowledged), cut.Load(), len(all))
	s.check(" 0 problems")
}

// Whatever way the service ends, no process of a function is left.
func TestNoProcessIsLeft(t *testing.T) {
	t.Parallel()
	onlyFunctions(t)
	for name, end := range map[string]func(*service){"SIGTERM": (*service).stop, "SIGKILL": (*service).kill} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t)
			for _, function := range []string{"api", "get-chat-configuration", "list-chat-configurations"} {
				s.invoke(t, function, `{"Action":"GetChatConfiguration","Name":"x"}`)
			}
			pids := s.awaitProcesses(3)
			end(s)
			for _, pid := range pids {
				alive := true
				for limit := time.Now().Add(5 * time.Second); alive &&
					time.Now().Before(limit); time.Sleep(5 * time.Millisecond) {
					alive = !zombie(pid) && syscall.Kill(pid, 0) == nil
				}
				if alive {
					t.Errorf("process %d is left", pid)
				}
			}
		})
	}
}

// zombie reports whether a process has ended and waits for its parent to notice, which may be a
// machine's idle first process.
func zombie(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return strings.HasPrefix(rest, "Z")
}

// Each function has an address of its own: a path, of which it sees nothing, and a host.
func TestEachFunctionHasItsAddress(t *testing.T) {
	t.Parallel()
	onlyFunctions(t)
	s := serve(t)
	create(t, s.client(t), "ops")
	get := func() *acs3 { return newACS3(s.key, "GetChatConfiguration", "Name", "ops") }
	byPath := edited(get(), func(a *acs3) { a.path, a.signed = "/get-chat-configuration", "/" })
	s.send(t, byPath).ok(t, nil)
	v1 := newV1(s.key, "GetChatConfiguration", "Name", "ops").request(t, s.endpoint)
	v1.URL.Path = "/get-chat-configuration"
	do(t, v1).ok(t, nil)
	wrong := edited(newACS3(s.key, "ListChatConfigurations"),
		func(a *acs3) { a.path, a.signed = "/get-chat-configuration", "/" })
	s.send(t, wrong).wantFault(t, http.StatusNotFound, "InvalidApi.NotFound")

	_, port, _ := strings.Cut(s.endpoint, ":")
	host := "get-chat-configuration.localhost:" + port
	byHost := get().request(t, host)
	byHost.URL.Host = s.endpoint // whether or not the machine resolves the name
	do(t, byHost).ok(t, nil)
	byHost = newACS3(s.key, "ListChatConfigurations").request(t, host)
	byHost.URL.Host = s.endpoint
	do(t, byHost).wantFault(t, http.StatusNotFound, "InvalidApi.NotFound")

	elsewhere := edited(get(), func(a *acs3) { a.path = "/get-chat-configurations" })
	s.send(t, elsewhere).wantFault(t, http.StatusNotFound, "InvalidApi.NotFound")
	s.check(" 0 problems")
}

// The clouds' own API takes invocations from whoever has a key, waits for them or not, and refuses
// everybody else.
func TestTheInvokeAPI(t *testing.T) {
	t.Parallel()
	onlyFunctions(t)
	s := serve(t)
	async := map[string]map[string]string{
		targetFC: {"x-fc-invocation-type": "Async"}, targetLambda: {"x-amz-invocation-type": "Event"},
	}[functions.target]
	if a := s.send(t, s.invocation("create-chat-configuration", creation(t, "later"),
		async)); a.status != http.StatusAccepted || len(a.body) > 0 {
		t.Fatalf("an asynchronous invocation is answered %d %s, want 202 and nothing", a.status, a.body)
	}
	done := false
	for limit := time.Now().Add(10 * time.Second); !done && time.Now().Before(limit); time.Sleep(5 * time.Millisecond) {
		done = readCreated(t, s.invoke(t, "get-chat-configuration", `{"Name":"later"}`)).Code == ""
	}
	if !done {
		t.Error("what was invoked asynchronously is not done")
	}
	tail := map[string]map[string]string{
		targetFC: {"x-fc-log-type": "Tail"}, targetLambda: {"x-amz-log-type": "Tail"},
	}[functions.target]
	a := s.send(t, s.invocation("get-chat-configuration", `{"Name":"later"}`, tail))
	log, err := base64.StdEncoding.DecodeString(a.header.Get("X-Fc-Log-Result") + a.header.Get("X-Amz-Log-Result"))
	if err != nil || !strings.Contains(string(log), `"action":"GetChatConfiguration"`) {
		t.Errorf("the log is %q: %v", log, err)
	}
	if a := s.send(t, s.invocation("nobody", "{}", nil)); a.status != http.StatusNotFound {
		t.Errorf("a function that is not there: status = %d, want 404", a.status)
	}
	for name, edit := range map[string]func(*http.Request){
		"no signature":     func(r *http.Request) { r.Header.Del("Authorization") },
		"another function": func(r *http.Request) { r.URL.Path = strings.Replace(r.URL.Path, "get-", "delete-", 1) },
		"another body":     func(r *http.Request) { *r = *withBody(r, `{"Name":"other"}`) },
		"another date": func(r *http.Request) {
			r.Header.Set("X-Amz-Date", "20200101T000000Z")
			r.Header.Set("X-Acs-Date", "2020-01-01T00:00:00Z")
		},
		"another key": func(r *http.Request) {
			r.Header.Set("Authorization", strings.NewReplacer(s.key.ID, "CCKother", awsKey.ID,
				"AKIDOTHER").Replace(r.Header.Get("Authorization")))
		},
	} {
		req := s.invocation("get-chat-configuration", `{"Name":"later"}`, nil).request(t, s.endpoint)
		edit(req)
		if a := do(t, req); a.status != http.StatusForbidden {
			t.Errorf("%s: %d %s, want 403", name, a.status, a.body)
		}
	}
	if functions.target == targetFC {
		s.invokeThroughSDK(t)
	}
	s.check(": 1 configuration, ")
}

// invokeThroughSDK invokes a function with the core of Alibaba Cloud's SDKs, called as the one of
// Function Compute calls it.
func (s *service) invokeThroughSDK(t *testing.T) {
	t.Helper()
	endpoint := invoking.FindStringSubmatch(s.stdout.String())[1]
	client := must(openapi.NewClient(new(openapi.Config).SetEndpoint(endpoint).SetProtocol("http").SetAccessKeyId(
		s.key.ID).SetAccessKeySecret(s.key.Secret)))(t)
	params := new(openapiutil.Params).SetAction("InvokeFunction").SetVersion("2023-03-30").SetProtocol(
		"HTTP").SetMethod("POST").SetAuthType("AK").
		SetPathname("/2023-03-30/functions/get-chat-configuration/invocations").SetStyle("ROA").SetReqBodyType(
		"binary").SetBodyType("binary")
	out := must(client.DoRequest(params, new(openapiutil.OpenApiRequest).SetStream(
		strings.NewReader(`{"Name":"later"}`)), new(dara.RuntimeOptions)))(t)
	body, ok := out["body"].(io.Reader)
	if !ok {
		t.Fatalf("the answer is %v", out)
	}
	answer, err := io.ReadAll(body)
	if err != nil || readCreated(t, answer).ChatConfiguration.Name != "later" {
		t.Errorf("through the SDK: %s, %v", answer, err)
	}
}

// withBody returns a request with another body of the same signature.
func withBody(r *http.Request, body string) *http.Request {
	other, err := http.NewRequestWithContext(r.Context(), r.Method, r.URL.String(), strings.NewReader(body))
	if err != nil {
		return r
	}
	other.Header = r.Header
	return other
}

// Every function of an action answers its event.json, in the order of a configuration's life,
// through every event source of its cloud.
func TestInvokeCommand(t *testing.T) {
	t.Parallel()
	onlyFunctions(t)
	data := filepath.Join(t.TempDir(), "data")
	env := serveCommand(data).env
	invoke := func(function string, args ...string) command {
		return command{
			args: append([]string{"invoke", function, "--target", functions.target, "--dist",
				functions.dist, "--data", data}, args...),
			env: env,
		}
	}
	eventOf := func(function string) string { return filepath.Join(repository, "functions", function, "event.json") }
	life := []string{
		"create-chat-configuration", "get-chat-configuration", "update-chat-configuration",
		"rotate-chat-webhook", "copy-chat-configuration", "rotate-chat-secret", "simulate-chat-permission",
		"list-chat-commands", "get-chat-configuration-health", "check-chat-configuration", "tag-resources",
		"list-tag-resources",
		"list-tag-keys", "list-tag-values", "list-chat-configurations",
		"list-chat-configuration-revisions", "get-chat-configuration-revision", "restore-chat-configuration",
		"change-resource-group", "untag-resources", "api",
		"manage-access-keys", "reseal", "delete-chat-configuration",
	}
	folders, err := filepath.Glob(filepath.Join(repository, "functions", "*", "event.json"))
	const others = 3 // webhook, dispatch-command and redrive-commands, which serve no action: see TestFunctionsDispatch
	if err != nil || len(folders) != len(life)+others {
		t.Fatalf("there are %d events, and %d are tried: %v", len(folders), len(life), err)
	}
	for i, function := range life {
		as := []string{"direct", "http"}[i%2]
		r := invoke(function, "--event", eventOf(function), "--as", as).run(t)
		var c created
		if err := json.Unmarshal([]byte(r.ok(t)), &c); err != nil || c.Code != "" {
			t.Errorf("%s as %s = %s: %v", function, as, r.stdout, err)
		}
		if !regexp.MustCompile(`\bDuration: [0-9.]+ ms`).MatchString(r.stderr) ||
			!strings.Contains(r.stderr, `"msg":"request"`) {
			t.Errorf("%s: no report or no log:\n%s", function, r.stderr)
		}
	}
	shapes := map[string][]string{targetFC: {"mns", "cloudevent", "timer"},
		targetLambda: {"sqs", "cloudevent", "timer"}}[functions.target]
	for _, shape := range shapes {
		var out struct {
			Answer   json.RawMessage
			Duration float64
			Report   string
			Log      []string
		}
		r := invoke("create-chat-configuration", "--event", eventOf("create-chat-configuration"), "--as", shape, "--id",
			"of-all-event-sources", "-o", "json").run(t)
		if err := json.Unmarshal([]byte(r.ok(t)), &out); err != nil || out.Duration <= 0 ||
			out.Report == "" || len(out.Log) == 0 {
			t.Errorf("%s: %s: %v", shape, r.stdout, err)
		}
		if strings.Contains(string(out.Answer), `"Code"`) {
			t.Errorf("%s: %s", shape, out.Answer)
		}
	}
	nobody := filepath.Join(t.TempDir(), "event.json")
	if err := os.WriteFile(nobody, []byte(`{"Name":"nobody"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	r := invoke("get-chat-configuration", "--event", nobody, "--as", "http").run(t)
	if r.code != 1 || !strings.Contains(r.stdout, "EntityNotExists") || !strings.Contains(r.stderr, "status 404") {
		t.Errorf("a request that is refused: %+v", r)
	}
	r = invoke("get-chat-configuration", "--event", nobody).run(t)
	if r.code != 1 || !strings.Contains(r.stdout, `"Code":"EntityNotExists`) ||
		!strings.Contains(r.stderr, "get-chat-configuration refused: EntityNotExists") {
		t.Errorf("an event that is refused: %+v", r)
	}
	invoke("get-chat-configuration", "--as", "pigeon").run(t).fails(t, 2, "pigeon")
	invoke("nobody").run(t).fails(t, 2, "nobody", "get-chat-configuration")
	missing := invoke("api", "--dist", t.TempDir()).run(t)
	missing.fails(t, 1, "make build", "api.zip")
	if functions.target == targetLambda {
		command{args: invoke("api").args}.run(t).fails(t, 2, "AWS_ENDPOINT_URL_DYNAMODB")
	}
}

// What runs is what is uploaded, to the byte.
func TestWhatIsServedIsWhatIsDeployed(t *testing.T) {
	t.Parallel()
	onlyFunctions(t)
	s := serve(t)
	s.invoke(t, "list-chat-configurations", "{}")
	folder := filepath.Join(functions.dist, functions.target)
	if functions.target == targetLambda && runtime.GOARCH != "arm64" {
		folder = filepath.Join(folder, runtime.GOARCH)
	}
	archive, err := zip.OpenReader(filepath.Join(folder, "list-chat-configurations.zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	if len(archive.File) != 1 {
		t.Fatalf("the zip has %d files, want one", len(archive.File))
	}
	f, err := archive.File[0].Open()
	if err != nil {
		t.Fatal(err)
	}
	deployed, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	pids := s.awaitProcesses(1)
	if served, err := os.ReadFile(fmt.Sprintf("/proc/%d/exe", pids[0])); err != nil || !bytes.Equal(served, deployed) {
		t.Errorf("what runs has %d bytes, and what is deployed %d: %v", len(served), len(deployed), err)
	}
}

// What is not built, or not for this machine, is told before anything is made.
func TestServeWithoutFunctions(t *testing.T) {
	t.Parallel()
	onlyFunctions(t)
	data := filepath.Join(t.TempDir(), "data")
	c := serveCommand(data)
	c.args = append(c.args, "--dist", t.TempDir())
	c.run(t).fails(t, 1, "make build", "api.zip")
	if _, err := os.Stat(data); err == nil {
		t.Error("something was made all the same")
	}
	foreign := t.TempDir()
	folder := filepath.Join(foreign, functions.target)
	other := "lambda" // for arm64, or at least not where this machine looks
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if functions.target == targetFC {
		if out, err := exec.Command("cp", filepath.Join(functions.dist, other, "api.zip"),
			folder).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v", out, err)
		}
		c.args = append(c.args, "--dist", foreign)
		c.run(t).fails(t, 1, "make build", "linux/arm64")
	}
}

// One process and the functions of a cloud do the same to the same tables, whoever was there first.
func TestFunctionsAndOneProcessShareTables(t *testing.T) {
	t.Parallel()
	onlyFunctions(t)
	s := serve(t)
	key := s.key
	create(t, s.client(t), "ops")
	before := get(t, s.client(t), "ops").Body.ChatConfiguration
	s.stop()

	c := storeCommand(s.data)
	c.env = leftEnv(t, s.data)
	single := c.serve(t, s.data)
	if single.key != key {
		t.Error("one process made another access key")
	}
	after := get(t, single.client(t), "ops").Body.ChatConfiguration
	if got, want := webhookPath(t, after.Outputs), webhookPath(t, before.Outputs); got != want {
		t.Errorf("the webhook's path = %s, want %s", got, want)
	}
	must(single.client(t).UpdateChatConfiguration(&oos.UpdateChatConfigurationRequest{Name: dara.String("ops"),
		RamRole: dara.String("Role")}))(t)
	single.stop()
	if functions.target == targetFC {
		return // the emulator has the file until the test ends
	}
	s = s.restart()
	wantEqual(t, "ETag", get(t, s.client(t), "ops").Headers["etag"], `"2"`)
	s.check(": 1 configuration, ")
}
