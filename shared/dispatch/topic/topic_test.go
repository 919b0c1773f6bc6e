package topic_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"

	"chatconf/shared/cloud/alibaba"
	"chatconf/shared/cloud/aws"
	"chatconf/shared/command"
	"chatconf/shared/dispatch"
	"chatconf/shared/dispatch/topic"
	"chatconf/shared/invoke"
)

const (
	sns  = "arn:aws:sns:eu-west-1:123456789012:chatconf"
	mns  = "acs:mns:cn-shanghai:1234567890123456:/topics/chatconf"
	body = `{"id":"1/cn-hangzhou/ops/7","data":{"before":"<a & b>","after":"\"é\""}}`
)

// now is the clock of the requests.
var now = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

// A fake is both clouds' topics.
type fake struct {
	t      *testing.T
	status int
	answer string
	got    []url.Values // of SNS
	posted []string     // the messages of MNS
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	if err != nil || r.Method != http.MethodPost {
		f.t.Errorf("%s: %v", r.Method, err)
	}
	if strings.HasPrefix(r.URL.Path, "/topics/") {
		f.simple(r, b)
	} else {
		f.notification(r, b)
	}
	w.WriteHeader(f.status)
	io.WriteString(w, f.answer)
}

// notification reads a request of SNS.
func (f *fake) notification(r *http.Request, b []byte) {
	params, err := url.ParseQuery(string(b))
	if err != nil || r.URL.Path != "/" {
		f.t.Errorf("%s %s: %v", r.URL, b, err)
	}
	if want := "AWS4-HMAC-SHA256 Credential=id/20261129/eu-west-1/sns/aws4_request, "; !strings.HasPrefix(
		r.Header.Get("Authorization"), want) {
		f.t.Errorf("Authorization = %q", r.Header.Get("Authorization"))
	}
	f.got = append(f.got, params)
}

// simple reads a request of Simple Message Queue, and proves it.
func (f *fake) simple(r *http.Request, b []byte) {
	mac := hmac.New(sha1.New, []byte("secret"))
	io.WriteString(mac, "POST\n\ntext/xml;charset=utf-8\nSun, 29 Nov 2026 12:00:00 GMT\nx-mns-version:2015-06-06\n"+
		"/topics/chatconf/messages")
	for name, want := range map[string]string{
		"Authorization":  "MNS id:" + base64.StdEncoding.EncodeToString(mac.Sum(nil)),
		"Content-Type":   "text/xml;charset=utf-8",
		"Date":           "Sun, 29 Nov 2026 12:00:00 GMT",
		"X-Mns-Version":  "2015-06-06",
		"Security-Token": "token",
	} {
		if got := r.Header.Get(name); got != want {
			f.t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	var in struct {
		XMLName xml.Name `xml:"http://mns.aliyuncs.com/doc/v1/ Message"`
		Body    string   `xml:"MessageBody"`
	}
	if err := xml.Unmarshal(b, &in); err != nil || r.URL.Path != "/topics/chatconf/messages" {
		f.t.Errorf("%s %s: %v", r.URL, b, err)
	}
	f.posted = append(f.posted, in.Body)
}

// targets returns the targets of both clouds, which call the fake, by the ARN of a topic.
func targets(t *testing.T, f *fake) map[string]*topic.Target {
	t.Helper()
	f.t = t
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	at := func() time.Time { return now }
	notifications, err := aws.NewTopics(aws.Options{Region: "eu-central-1", Endpoint: server.URL, Now: at,
		Credentials: awssdk.CredentialsProviderFunc(func(context.Context) (awssdk.Credentials, error) {
			return awssdk.Credentials{AccessKeyID: "id", SecretAccessKey: "secret"}, nil
		})})
	if err != nil {
		t.Fatal(err)
	}
	simple, err := alibaba.NewTopics(alibaba.Options{Region: "cn-hangzhou", Endpoint: server.URL, Now: at,
		Credentials: invoke.Credentials{AccessKeyID: "id", AccessKeySecret: "secret", SecurityToken: "token"}})
	if err != nil {
		t.Fatal(err)
	}
	return map[string]*topic.Target{sns: topic.New("SNS", notifications),
		mns: topic.New("Simple Message Queue", simple)}
}

func delivery(arn string) dispatch.Delivery {
	return dispatch.Delivery{ID: "1/cn-hangzhou/ops/7", Body: []byte(body),
		Target: command.Target{Type: command.TargetTopic, TopicArn: arn}}
}

func TestAnEventIsPublished(t *testing.T) {
	f := &fake{status: http.StatusOK}
	all := targets(t, f)
	if err := all[sns].Deliver(t.Context(), delivery(sns)); err != nil {
		t.Errorf("SNS: %v", err)
	}
	if p := f.got[0]; p.Get("Action") != "Publish" || p.Get("Version") != "2010-03-31" || p.Get("TopicArn") != sns ||
		p.Get("Message") != body || len(p) != 4 {
		t.Errorf("SNS: asked %v", p)
	}
	f.status = http.StatusCreated
	if err := all[mns].Deliver(t.Context(), delivery(mns)); err != nil {
		t.Errorf("Simple Message Queue: %v", err)
	}
	if len(f.posted) != 1 || f.posted[0] != body {
		t.Errorf("Simple Message Queue: posted %q", f.posted)
	}
}

// A FIFO topic keeps the order of a configuration, and drops what it has had.
func TestAFIFOTopicKeepsTheOrder(t *testing.T) {
	f := &fake{status: http.StatusOK}
	target := targets(t, f)[sns]
	for _, id := range []string{"1/cn-hangzhou/ops/7", "1/cn-hangzhou/ops/8", "1/cn-hangzhou/ops/7",
		"1/cn-hangzhou/dev/7"} {
		d := delivery(sns + ".fifo")
		d.ID = id
		if err := target.Deliver(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	group, id := func(i int) string { return f.got[i].Get("MessageGroupId") },
		func(i int) string { return f.got[i].Get("MessageDeduplicationId") }
	if len(group(0)) != 64 || group(0) != group(1) || group(0) == group(3) || len(id(0)) != 64 || id(0) == id(1) ||
		id(0) != id(2) || id(0) == id(3) {
		t.Errorf("asked %v", f.got)
	}
}

func TestRefusals(t *testing.T) {
	awsError := func(code string) string {
		return `<ErrorResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><Error><Type>Sender</Type><Code>` +
			code + `</Code><Message>of an account</Message></Error><RequestId>r</RequestId></ErrorResponse>`
	}
	fcError := func(code string) string {
		return `<?xml version="1.0"?><Error xmlns="http://mns.aliyuncs.com/doc/v1/"><Code>` + code +
			`</Code><Message>of an account</Message><RequestId>r</RequestId><HostId>h</HostId></Error>`
	}
	for _, test := range []struct {
		arn            string
		status         int
		answer         string
		why            string
		again, refused bool
	}{
		{sns, 403, awsError("AuthorizationError"), "this service was denied by SNS. Its policies must allow " +
			"sns:Publish on " + sns, false, true},
		{sns, 404, awsError("NotFound"), "SNS has no topic " + sns, false, true},
		{sns, 429, awsError("Throttled"), "SNS is throttled", true, true},
		{sns, 503, "not XML", "SNS answered without a code, status 503", true, false},
		{mns, 403, fcError("AccessDenied"), "this service was denied by Simple Message Queue. Its policies must " +
			"allow mns:PublishMessage on " + mns + "/messages", false, true},
		{mns, 404, fcError("TopicNotExist"), "Simple Message Queue has no topic " + mns, false, true},
		{mns, 403, fcError("QpsLimitExceeded"), "Simple Message Queue is throttled", true, true},
		{mns, 403, fcError("SignatureDoesNotMatch"), "the credentials of this service are invalid or have expired",
			true, true},
		{mns, 200, "<Message/>", "Simple Message Queue answered without a code, status 200", false, true},
	} {
		f := &fake{status: test.status, answer: test.answer}
		err := targets(t, f)[test.arn].Deliver(t.Context(), delivery(test.arn))
		var failed *dispatch.Error
		if !errors.As(err, &failed) || failed.Why != test.why || failed.Again != test.again ||
			failed.Refused != test.refused || strings.Contains(failed.Why, "account") {
			t.Errorf("%s: %+v, want %+v", test.answer, failed, test)
		}
	}
}

// A topic of the other cloud is refused, and nothing is sent. So is a command.
func TestWhatATopicDoesNotTake(t *testing.T) {
	f := new(fake)
	all := targets(t, f)
	for arn, other := range map[string]string{sns: mns, mns: sns} {
		var failed *dispatch.Error
		if err := all[arn].Deliver(t.Context(), delivery(other)); !errors.As(err, &failed) ||
			!strings.Contains(failed.Cause, "is not the ARN of a topic of") {
			t.Errorf("Deliver to %s = %v", other, err)
		}
		if err := all[arn].Check(command.Target{TopicArn: other}); err == nil ||
			!strings.Contains(err.Error(), "is not the ARN of a topic of") {
			t.Errorf("Check of %s = %v", other, err)
		}
		if err := all[arn].Check(command.Target{TopicArn: arn}); err != nil {
			t.Error(err)
		}
		if _, err := all[arn].Start(t.Context(), new(dispatch.Call)); !errors.As(err, &failed) || !failed.Refused {
			t.Errorf("Start = %v", err)
		}
	}
	if len(f.got)+len(f.posted) > 0 {
		t.Errorf("%v and %q were sent", f.got, f.posted)
	}
}

// Without an endpoint, a topic is called in its own region, and on Alibaba Cloud its own account.
func TestATopicHasItsHost(t *testing.T) {
	var hosts []string
	transport := roundTrip(func(r *http.Request) { hosts = append(hosts, r.URL.Host) })
	ctx := invoke.With(t.Context(), &invoke.Invocation{Credentials: invoke.Credentials{AccessKeyID: "id",
		AccessKeySecret: "secret"}})
	notifications, err := aws.NewTopics(aws.Options{Region: "eu-central-1", Transport: transport})
	if err != nil {
		t.Fatal(err)
	}
	simple, err := alibaba.NewTopics(alibaba.Options{Transport: transport})
	if err != nil {
		t.Fatal(err)
	}
	for _, publish := range []func() error{
		func() error { return notifications.Publish(ctx, sns, "g", "i", nil) },
		func() error { return simple.Publish(ctx, mns, "g", "i", nil) },
		func() error { return notifications.Publish(ctx, "arn:aws:sns:eu.west:1:t", "g", "i", nil) },
		func() error { return simple.Publish(ctx, "acs:mns:cn.shanghai:1:/topics/t", "g", "i", nil) },
	} {
		if err := publish(); err == nil {
			t.Error("nothing answers, and there is no error")
		}
	}
	if len(hosts) != 2 || hosts[0] != "sns.eu-west-1.amazonaws.com" ||
		hosts[1] != "1234567890123456.mns.cn-shanghai.aliyuncs.com" {
		t.Errorf("hosts = %q", hosts)
	}
	if err := simple.Publish(t.Context(), mns, "g", "i", nil); err == nil || len(hosts) != 2 {
		t.Errorf("without credentials: %v", err)
	}
	for _, endpoint := range []string{"http://sns.example.com", "planted"} {
		_, first := aws.NewTopics(aws.Options{Region: "eu-central-1", Endpoint: endpoint})
		_, second := alibaba.NewTopics(alibaba.Options{Endpoint: endpoint})
		if first == nil || second == nil {
			t.Errorf("the endpoint %s is accepted", endpoint)
		}
	}
}

// A roundTrip sees requests that have no answer, and refuses them for good.
type roundTrip func(*http.Request)

// RoundTrip implements http.RoundTripper.
func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) {
	f(r)
	return &http.Response{StatusCode: http.StatusForbidden, Body: http.NoBody, Header: make(http.Header)}, nil
}
