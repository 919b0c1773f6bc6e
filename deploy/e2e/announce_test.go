package e2e_test

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	oos "github.com/alibabacloud-go/oos-20190601/v4/client"
	"github.com/alibabacloud-go/tea/dara"
	cloudevent "github.com/cloudevents/sdk-go/v2/event"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// A changeEvent is the data of the event of a change.
type changeEvent struct {
	Configuration, Operation, Action, Caller string
	Revision                                 int64
	Changes                                  []struct{ Path, Before, After string }
}

// A listener is the target of events. It refuses those of names that begin with busy, but only
// after it is released.
type listener struct {
	t        *testing.T
	verifier *standardwebhooks.Webhook
	held     chan string
	release  chan struct{}

	mu     sync.Mutex
	events []changeEvent
}

func newListener(t *testing.T) *listener {
	return &listener{t: t, verifier: must(standardwebhooks.NewWebhook(targetSecret))(t), held: make(chan string, 100),
		release: make(chan struct{})}
}

// take takes an event.
func (l *listener) take(r *http.Request, body []byte) (int, string) {
	if err := l.verifier.Verify(body, r.Header); err != nil {
		l.t.Errorf("Standard Webhooks: %v", err)
	}
	e := l.read(body)
	if id := r.Header.Get("Webhook-Id"); !strings.HasSuffix(id, fmt.Sprintf("/%s/%d", e.Configuration, e.Revision)) {
		l.t.Errorf("Webhook-Id = %q of %s", id, body)
	}
	if strings.HasPrefix(e.Configuration, "busy") {
		l.held <- e.Configuration
		<-l.release
		return http.StatusServiceUnavailable, ""
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, e)
	return http.StatusNoContent, ""
}

// read reads an event, as the CloudEvents SDK does.
func (l *listener) read(body []byte) changeEvent {
	var e cloudevent.Event
	var data changeEvent
	err := json.Unmarshal(body, &e)
	if err == nil {
		err = e.Validate()
	}
	if err == nil {
		err = json.Unmarshal(e.Data(), &data)
	}
	if err != nil || e.Type() != "chatconf.configuration."+strings.ToLower(data.Operation)+".v1" ||
		e.Subject() != data.Configuration || !strings.HasSuffix(e.Source(), ":chatconfiguration/"+data.Configuration) {
		l.t.Errorf("CloudEvents: %v in %s", err, body)
	}
	if strings.Contains(string(body), "not-a-real") || strings.Contains(string(body), "/webhook/") {
		l.t.Errorf("a secret is in %s", body)
	}
	return data
}

// of returns the events of a name that came so far.
func (l *listener) of(name string) (all []changeEvent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.events {
		if e.Configuration == name {
			all = append(all, e)
		}
	}
	return all
}

// announcing returns the settings with which changes are announced to the listener.
func (l *listener) announcing(o *outside) []string {
	return append(slices.Clone(o.env), "CHATCONF_EVENTS="+jsonText(o.hook("/events", l.take)))
}

// announced waits for n events of a name. Functions announce when their timer says so.
func (l *listener) announced(s *service, name string, n int) []changeEvent {
	l.t.Helper()
	if functions.target != "" {
		s.redrive(l.t)
	}
	awaitLong(l.t, 30*time.Second, fmt.Sprintf("%d changes of %s are announced", n, name),
		func() bool { return len(l.of(name)) >= n })
	return l.of(name)
}

// edit makes a bot, edits it badly, and takes that back.
func edit(t *testing.T, s *service, name string) {
	t.Helper()
	settings := func(command string) *string {
		return dara.String(jsonText(object{"SlackSigningSecret": "not-a-real-secret", "Permissions": []any{
			object{"Effect": "Allow", "Principals": []any{"user:U1"}, "Commands": []any{command}}}}))
	}
	client := s.client(t)
	must(client.CreateChatConfiguration(&oos.CreateChatConfigurationRequest{Name: &name, Type: dara.String("Slack"),
		Configuration: settings("restart")}))(t)
	for _, command := range []string{"*", "restart"} {
		must(client.UpdateChatConfiguration(&oos.UpdateChatConfigurationRequest{Name: &name,
			Configuration: settings(command)}))(t)
	}
}

// wantEdit asks for the events of edit, each once and in their order.
func wantEdit(t *testing.T, s *service, events []changeEvent) {
	t.Helper()
	var got []string
	for _, e := range events {
		line := fmt.Sprint(e.Revision, " ", e.Operation, " ", e.Action)
		if e.Revision > 1 {
			for _, c := range e.Changes {
				line += fmt.Sprintf("; %s: %s to %s", c.Path, c.Before, c.After)
			}
		}
		if got = append(got, line); e.Caller != s.key.ID {
			t.Errorf("the caller is %q", e.Caller)
		}
	}
	const path = "; Configuration.Permissions[0].Commands[0]: "
	want := []string{"1 Created CreateChatConfiguration", "2 Updated UpdateChatConfiguration" + path + "restart to *",
		"3 Updated UpdateChatConfiguration" + path + "* to restart"}
	if !slices.Equal(got, want) {
		t.Errorf("announced are %q, want %q", got, want)
	}
}

// Every change is announced once, signed, and in order, to a listener that knows Standard Webhooks
// and CloudEvents.
func TestChangesAreAnnounced(t *testing.T) {
	t.Parallel()
	o, l := newOutside(t), newListener(t)
	s := serve(t, l.announcing(o)...)
	edit(t, s, "ops")
	wantEdit(t, s, l.announced(s, "ops", 3))
	must(s.client(t).DeleteChatConfiguration(&oos.DeleteChatConfigurationRequest{Name: dara.String("ops")}))(t)
	if last := l.announced(s, "ops", 4)[3]; last.Operation != "Deleted" || last.Revision != 4 {
		t.Errorf("the last is %+v", last)
	}
	if log := s.stderr.String(); strings.Contains(log, targetSecret[len("whsec_"):]) ||
		strings.Contains(log, "planted-in-the-url") {
		t.Error("the log shows the target's secret")
	}
	s.check()
}

// A service that is killed between the write of a change and its delivery announces it after its
// next start: once, and in order.
func TestKillBetweenWriteAndDeliveryLosesNoEvent(t *testing.T) {
	t.Parallel()
	o, l := newOutside(t), newListener(t)
	env := l.announcing(o)
	s := serve(t, env...)
	if functions.target == "" { // all that announces waits for the listener
		for i := range 4 {
			edit(t, s, fmt.Sprint("busy-", i))
		}
		for range 4 {
			select {
			case <-l.held:
			case <-time.After(20 * time.Second):
				t.Fatal("nothing is announced")
			}
		}
	}
	edit(t, s, "ops")
	s.kill()
	close(l.release)
	if early := l.of("ops"); len(early) > 0 {
		t.Fatalf("before the kill, announced were %+v", early)
	}
	s = s.restart(env...)
	wantEdit(t, s, l.announced(s, "ops", 3))
	s.check()
}

// Changes are published to a topic of SNS, which moto emulates; a queue subscribes to it.
func TestChangesAreAnnouncedToATopic(t *testing.T) {
	t.Parallel()
	onlyFunctions(t, targetLambda)
	const arn = "arn:aws:sns:eu-central-1:123456789012:changes"
	const queue = "arn:aws:sqs:eu-central-1:123456789012:changes"
	ask := func(service, path string, pairs ...string) []byte {
		t.Helper()
		params := make(url.Values)
		for i := 0; i < len(pairs); i += 2 {
			params.Set(pairs[i], pairs[i+1])
		}
		req := newRequest(t, http.MethodPost, store.server.url+path, params.Encode(), "")
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+awsKey.ID+
			"/20261129/eu-central-1/"+service+"/aws4_request, SignedHeaders=host, Signature=0") // moto verifies none
		resp := must(http.DefaultClient.Do(req))(t)
		defer resp.Body.Close()
		body := must(io.ReadAll(resp.Body))(t)
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s %s", params.Get("Action"), resp.Status, body)
		}
		return body
	}
	const snsVersion, sqsVersion = "2010-03-31", "2012-11-05"
	ask("sns", "/", "Action", "CreateTopic", "Version", snsVersion, "Name", "changes")
	ask("sqs", "/", "Action", "CreateQueue", "Version", sqsVersion, "QueueName", "changes")
	ask("sns", "/", "Action", "Subscribe", "Version", snsVersion, "TopicArn", arn, "Protocol", "sqs", "Endpoint", queue,
		"Attributes.entry.1.key", "RawMessageDelivery", "Attributes.entry.1.value", "true")
	s := serve(t, "AWS_ENDPOINT_URL_SNS="+store.server.url,
		"CHATCONF_EVENTS="+jsonText(object{"Type": "Topic", "TopicArn": arn}))
	edit(t, s, "ops")
	s.redrive(t)
	l := newListener(t)
	var events []changeEvent
	awaitLong(t, 30*time.Second, "the queue has all", func() bool {
		var answer struct {
			Bodies []string `xml:"ReceiveMessageResult>Message>Body"`
		}
		if err := xml.Unmarshal(ask("sqs", "/123456789012/changes", "Action", "ReceiveMessage", "Version", sqsVersion,
			"MaxNumberOfMessages", "10"), &answer); err != nil {
			t.Fatal(err)
		}
		for _, body := range answer.Bodies {
			events = append(events, l.read([]byte(body)))
		}
		return len(events) >= 3
	})
	// a queue keeps no order
	slices.SortFunc(events, func(a, b changeEvent) int { return int(a.Revision - b.Revision) })
	wantEdit(t, s, events)
}
