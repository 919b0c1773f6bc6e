package runtime_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"chatconf/shared/emulator/runtime"
)

func TestEventShapes(t *testing.T) {
	c := &clock{now: time.Date(2026, 11, 23, 4, 5, 6, 7e6, time.UTC)}
	one, two := runtime.Message{ID: "m1", Body: []byte(`{"Name":"x"}`)},
		runtime.Message{ID: "m2", Body: []byte(`{"Name":"y"}`)}
	ce := func(id, source, kind, data string) string {
		return `{"id":"` + id + `","source":"` + source + `","specversion":"1.0","type":"` + kind + `",
			"datacontenttype":"application/json; charset=utf-8","subject":"acs:cn-hangzhou:1234567890123456:local",
			"time":"2026-11-23T04:05:06.007Z","aliyunaccountid":"1234567890123456",
			"aliyunpublishtime":"2026-11-23T04:05:06.007Z",
			"aliyunoriginalaccountid":"1234567890123456","aliyuneventbusname":"` + source + `",
			"aliyunregionid":"cn-hangzhou",
			"aliyunpublishaddr":"127.0.0.1","data":` + data + `}`
	}
	sqs := func(id, body, sum string) string {
		return `{"messageId":"` + id + `","receiptHandle":"handle-` + id + `","body":` + body + `,
			"md5OfBody":"` + sum + `",
			"attributes":{"ApproximateReceiveCount":"1","SentTimestamp":"1795406706007","SenderId":"123456789012",
			"ApproximateFirstReceiveTimestamp":"1795406706007"},
			"messageAttributes":{},"eventSource":"aws:sqs",
			"eventSourceARN":"arn:aws:sqs:us-east-1:123456789012:local-queue","awsRegion":"us-east-1"}`
	}
	for _, test := range []struct {
		kind     runtime.Kind
		shape    runtime.Shape
		messages []runtime.Message
		want     string // empty: an error
	}{
		{runtime.FC, runtime.Direct, []runtime.Message{one}, `{"Name":"x"}`},
		{runtime.Lambda, runtime.Direct, []runtime.Message{one}, `{"Name":"x"}`},
		{runtime.Lambda, runtime.SQS, []runtime.Message{one, two}, `{"Records":[` +
			sqs("m1", `"{\"Name\":\"x\"}"`, "1d7d17592b7569db5d310f0fad6eaf01") + `,` +
			sqs("m2", `"{\"Name\":\"y\"}"`, "437c93b2905218ac91c0732495f21f48") + `]}`},
		{runtime.FC, runtime.MNS, []runtime.Message{one, two}, `[` +
			ce("m1", "MNS-Function-local", "mns:Queue:SendMessage",
				`{"requestId":"m1","messageId":"m1","messageBody":"{\"Name\":\"x\"}"}`) + `,` +
			ce("m2", "MNS-Function-local", "mns:Queue:SendMessage",
				`{"requestId":"m2","messageId":"m2","messageBody":"{\"Name\":\"y\"}"}`) + `]`},
		{runtime.FC, runtime.CloudEvent, []runtime.Message{one},
			ce("m1", "local", "com.example.message", `{"Name":"x"}`)},
		{runtime.Lambda, runtime.CloudEvent, []runtime.Message{one}, `{"version":"0","id":"m1",
			"detail-type":"Message","source":"com.example.local",
			"account":"123456789012","time":"2026-11-23T04:05:06Z","region":"us-east-1","resources":[],
			"detail":{"Name":"x"}}`},
		{runtime.FC, runtime.Timer, []runtime.Message{one},
			`{"triggerTime":"2026-11-23T04:05:06Z","triggerName":"local-timer","payload":"{\"Name\":\"x\"}"}`},
		{runtime.Lambda, runtime.Timer, []runtime.Message{one}, `{"version":"0","id":"m1",
			"detail-type":"Scheduled Event","source":"aws.events",
			"account":"123456789012","time":"2026-11-23T04:05:06Z","region":"us-east-1",
			"resources":["arn:aws:events:us-east-1:123456789012:rule/local-timer"],"detail":{"Name":"x"}}`},
		{runtime.FC, runtime.SQS, []runtime.Message{one}, ""},
		{runtime.Lambda, runtime.MNS, []runtime.Message{one}, ""},
		{runtime.FC, "other", []runtime.Message{one}, ""},
		{runtime.FC, runtime.Timer, []runtime.Message{one, two}, ""},
		{runtime.FC, runtime.MNS, nil, ""},
		{runtime.FC, runtime.MNS, []runtime.Message{{ID: "m1", Body: []byte("no JSON")}}, `[` +
			ce("m1", "MNS-Function-local", "mns:Queue:SendMessage",
				`{"requestId":"m1","messageId":"m1","messageBody":"no JSON"}`) + `]`},
		{runtime.FC, runtime.Timer, []runtime.Message{{ID: "m1", Body: []byte("no JSON")}},
			`{"triggerTime":"2026-11-23T04:05:06Z","triggerName":"local-timer","payload":"no JSON"}`},
		{runtime.FC, runtime.MNS, []runtime.Message{{Body: []byte("no text\xff")}}, ""},
		{runtime.FC, runtime.CloudEvent, []runtime.Message{{Body: []byte("no JSON")}}, ""},
		{runtime.Lambda, runtime.Timer, []runtime.Message{{Body: []byte("no JSON")}}, ""},
		{runtime.Lambda, runtime.Direct, []runtime.Message{{Body: []byte("no JSON")}}, ""},
	} {
		h := runtime.RunT(t, runtime.Options{Clock: c}, hello(t, test.kind))
		got, err := h.Event("hello", test.shape, test.messages...)
		if (err != nil) != (test.want == "") {
			t.Errorf("%v %s: %v", test.kind, test.shape, err)
			continue
		}
		if err != nil {
			continue
		}
		var a, b any
		if err := json.Unmarshal([]byte(test.want), &b); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(got, &a); err != nil {
			t.Errorf("%v %s: %v", test.kind, test.shape, err)
		}
		if diff := cmp.Diff(b, a); diff != "" {
			t.Errorf("%v %s (-want +got):\n%s", test.kind, test.shape, diff)
		}
		if r := invoke(t, h, string(got)); r.Failure != runtime.Answered {
			t.Errorf("%v %s: %s", test.kind, test.shape, r.Payload)
		}
	}
}

// A direct invocation on FC accepts any bytes.
func TestAnyBytesAreAnEventOfFC(t *testing.T) {
	h := runtime.RunT(t, runtime.Options{}, hello(t, runtime.FC))
	for _, body := range []string{"", "no JSON", "\x00\xff"} {
		if got, err := h.Event("hello", runtime.Direct, runtime.Message{Body: []byte(body)}); err != nil ||
			string(got) != body {
			t.Errorf("%q = %q, %v", body, got, err)
		}
	}
}

func TestMessagesWithoutAnID(t *testing.T) {
	h := runtime.RunT(t, runtime.Options{}, hello(t, runtime.FC))
	messages := []runtime.Message{{Body: []byte("1")}}
	for range 2 {
		text, err := h.Event("hello", runtime.CloudEvent, messages...)
		var e struct{ ID string }
		if err := json.Unmarshal(text, &e); err != nil || e.ID == "" {
			t.Errorf("event %s: %v", text, err)
		}
		if err != nil || messages[0].ID != "" {
			t.Errorf("the message was changed: %+v, %v", messages[0], err)
		}
	}
	if _, err := h.Event("other", runtime.Direct, messages...); err == nil {
		t.Error("a function that is not there has events")
	}
}
