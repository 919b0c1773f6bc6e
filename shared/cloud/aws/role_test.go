package aws_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"chatconf/shared/cloud"
	"chatconf/shared/cloud/aws"
	"chatconf/shared/cloud/cloudtest"
	"chatconf/shared/invoke"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

const externalID = "acs:oos:eu-central-1:123456789012:chatconfiguration/bot"

// awsSession is a session of the role ops for one function.
func awsSession() cloud.Session {
	return cloud.Session{
		Role: "ops", Account: "123456789012", Name: "slack.U1", SourceIdentity: "slack.U1", ExternalID: externalID,
		Policy: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"lambda:InvokeFunction",` +
			`"Resource":"arn:aws:lambda:eu-central-1:123456789012:function:restart"}]}`,
		Duration: 20 * time.Minute,
		Tags:     map[string]string{"sender": "U1", "platform": "slack", "record": "r"},
	}
}

// A strict is a security token service that refuses what AWS would refuse: wrong signatures, and
// parameters that it does not know, that are given twice or have a wrong form.
type strict struct {
	t      *testing.T
	asked  []url.Values
	answer func(n int) (status int, body string) // nil: it returns a session
}

var forms = map[string]*regexp.Regexp{
	"Action":          regexp.MustCompile(`^AssumeRole$`),
	"Version":         regexp.MustCompile(`^2011-06-15$`),
	"RoleArn":         regexp.MustCompile(`^arn:aws(-cn|-us-gov)?:iam::\d{12}:role/[\w+=,.@/-]+$`),
	"RoleSessionName": regexp.MustCompile(`^[\w+=,.@-]{2,64}$`),
	"SourceIdentity":  regexp.MustCompile(`^[\w+=,.@-]{2,64}$`),
	"ExternalId":      regexp.MustCompile(`^[\w+=,.@:/-]{2,1000}$`),
	"DurationSeconds": regexp.MustCompile(`^(9\d\d|[1-9]\d{3})$`),
	"Policy":          regexp.MustCompile(`^[\x{9}\x{A}\x{D}\x{20}-\x{FF}]+$`),
}

var (
	tagName = regexp.MustCompile(`^Tags\.member\.(\d+)\.(Key|Value)$`)
	tagForm = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]{0,256}$`)
)

func (s *strict) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		s.t.Error(err)
	}
	s.checkSignature(r, body)
	form, err := url.ParseQuery(string(body))
	if err != nil || r.URL.RawQuery != "" || r.URL.Path != "/" ||
		!strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		s.t.Errorf("%s %s %v", r.URL, r.Header, err)
	}
	for name, values := range form {
		switch tag := tagName.FindStringSubmatch(name); {
		case len(values) != 1:
			s.t.Errorf("%s is given %d times", name, len(values))
		case tag != nil:
			n, _ := strconv.Atoi(tag[1])
			if n < 1 || n > 50 || !form.Has("Tags.member."+tag[1]+".Key") || !tagForm.MatchString(values[0]) ||
				tag[2] == "Key" && (values[0] == "" || len(values[0]) > 128) {
				s.t.Errorf("%s is %q", name, values[0])
			}
		case forms[name] == nil || !forms[name].MatchString(values[0]):
			s.t.Errorf("%s is %q", name, values[0])
		}
	}
	if text := form.Get("Policy"); text != "" && (!json.Valid([]byte(text)) || len(text) > 2048) {
		s.t.Errorf("Policy is %s", text)
	}
	s.asked = append(s.asked, form)
	status, text := http.StatusOK, lent("STS-lent", time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	if s.answer != nil {
		status, text = s.answer(len(s.asked))
	}
	w.Header().Set("Content-Type", "text/xml")
	w.WriteHeader(status)
	io.WriteString(w, text)
}

// checkSignature compares the signature with one that the SDK's signer makes for the same request.
func (s *strict) checkSignature(r *http.Request, body []byte) {
	again, err := http.NewRequest(r.Method, "http://"+r.Host+"/", strings.NewReader(string(body)))
	if err != nil {
		s.t.Error(err)
	}
	for _, name := range []string{"Content-Type", "Accept"} {
		again.Header.Set(name, r.Header.Get(name))
	}
	c := awssdk.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: secret}
	hash := fmt.Sprintf("%x", sha256.Sum256(body))
	if err := v4.NewSigner().SignHTTP(r.Context(), c, again, hash, "sts", "eu-central-1", invokedAt); err != nil ||
		again.Header.Get("Authorization") != r.Header.Get("Authorization") {
		s.t.Errorf("signed %s, want %s, %v", r.Header.Get("Authorization"), again.Header.Get("Authorization"), err)
	}
}

// lent is the answer of AssumeRole, as in the API reference.
func lent(id, expires string) string {
	return `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<AssumeRoleResult>
<SourceIdentity>slack.U1</SourceIdentity>
<AssumedRoleUser>
  <Arn>arn:aws:sts::123456789012:assumed-role/ops/slack.U1</Arn>
  <AssumedRoleId>ARO123EXAMPLE123:slack.U1</AssumedRoleId>
</AssumedRoleUser>
<Credentials>
  <AccessKeyId>` + id + `</AccessKeyId>
  <SecretAccessKey>` + secret + `</SecretAccessKey>
  <SessionToken>token-` + secret + `</SessionToken>
  <Expiration>` + expires + `</Expiration>
</Credentials>
<PackedPolicySize>8</PackedPolicySize>
</AssumeRoleResult>
<ResponseMetadata><RequestId>c6104cbe-af31-11e0-8154-cbc7ccf896c7</RequestId></ResponseMetadata>
</AssumeRoleResponse>`
}

func refused(code, message string) string {
	return `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>` + code +
		`</Code><Message>` + message + `</Message></Error><RequestId>r-1</RequestId></ErrorResponse>`
}

// bank starts a strict service and returns its roles.
func bank(t *testing.T, region string, answer func(n int) (int, string)) (*aws.Roles, *strict) {
	t.Helper()
	s := &strict{t: t, answer: answer}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	r, err := aws.NewRoles(aws.Options{Region: region, Endpoint: server.URL, Credentials: ours,
		Now: func() time.Time { return invokedAt }})
	if err != nil {
		t.Fatal(err)
	}
	return r, s
}

var ours = awssdk.CredentialsProviderFunc(func(context.Context) (awssdk.Credentials, error) {
	return awssdk.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: secret}, nil
})

func TestAssume(t *testing.T) {
	r, s := bank(t, "eu-central-1", nil)
	lease, err := r.Assume(t.Context(), awsSession())
	if err != nil {
		t.Fatal(err)
	}
	if c := lease.Credentials; c.AccessKeyID != "STS-lent" || c.AccessKeySecret != secret ||
		c.SecurityToken != "token-"+secret || time.Until(lease.Expires) < 59*time.Minute {
		t.Errorf("the lease is %q until %v", c.AccessKeyID, lease.Expires)
	}
	want := url.Values{"Action": {"AssumeRole"}, "Version": {"2011-06-15"}, "DurationSeconds": {"1230"},
		"RoleArn": {"arn:aws:iam::123456789012:role/ops"}, "RoleSessionName": {"slack.U1"},
		"SourceIdentity": {"slack.U1"}, "ExternalId": {externalID}, "Policy": {awsSession().Policy},
		"Tags.member.1.Key": {"platform"}, "Tags.member.1.Value": {"slack"},
		"Tags.member.2.Key": {"record"}, "Tags.member.2.Value": {"r"},
		"Tags.member.3.Key": {"sender"}, "Tags.member.3.Value": {"U1"}}
	if got := s.asked[0].Encode(); got != want.Encode() {
		t.Errorf("asked %s\nwant %s", got, want.Encode())
	}
	// Only what is set is sent, and an ARN is sent as it is.
	bare := cloud.Session{Role: "arn:aws:iam::210987654321:role/a/b", Name: "ab"}
	if _, err := r.Assume(t.Context(), bare); err != nil {
		t.Error(err)
	}
	want = url.Values{"Action": {"AssumeRole"}, "Version": {"2011-06-15"}, "DurationSeconds": {"900"},
		"RoleArn": {"arn:aws:iam::210987654321:role/a/b"}, "RoleSessionName": {"ab"}}
	if got := s.asked[1].Encode(); got != want.Encode() {
		t.Errorf("asked %s\nwant %s", got, want.Encode())
	}
}

func TestPartitions(t *testing.T) {
	for region, want := range map[string]string{"eu-central-1": "aws", "cn-north-1": "aws-cn",
		"us-gov-west-1": "aws-us-gov"} {
		if got := aws.Partition(region); got != want {
			t.Errorf("Partition(%s) = %s, want %s", region, got, want)
		}
	}
}

// Tags have only what AWS accepts, and different texts stay different.
func TestTagValues(t *testing.T) {
	seen := make(map[string]string)
	long := strings.Repeat("é", 256)
	for text, want := range map[string]string{"": "", "U1": "U1", "alice@example.com": "alice@example.com",
		"bob@163.com": "bob@40163.com", "$:x": "@24:x", "@24:x": "@4024:x", "王伟 a/b": "王伟 a/b", "a@-": "a@40-",
		"\xff": "@FF", "\uFFFD": "@EF@BF@BD", "a\n": "a@0A", long: long, long + "a": "", long + "b": "",
		strings.Repeat("$", 86): "", "@": "@"} {
		got := aws.TagValue(text)
		if want != "" && got != want || !tagForm.MatchString(got) {
			t.Errorf("TagValue(%q) = %q, want %q", text, got, want)
		}
		if before, ok := seen[got]; ok {
			t.Errorf("%q and %q have the value %q", text, before, got)
		}
		seen[got] = text
	}
}

func FuzzTagValue(f *testing.F) {
	f.Add("$", "@24")
	f.Add("@", "@40")
	f.Add(strings.Repeat("x", 256), strings.Repeat("x", 257))
	f.Fuzz(func(t *testing.T, one, two string) {
		if a, b := aws.TagValue(one), aws.TagValue(two); !tagForm.MatchString(a) || (a == b) != (one == two) {
			t.Errorf("%q and %q are %q and %q", one, two, a, b)
		}
	})
}

func TestAssumeIsRefused(t *testing.T) {
	const denied = "access was denied. Check that arn:aws:iam::123456789012:role/ops exists. Its trust policy must " +
		"allow sts:AssumeRole, sts:TagSession and sts:SetSourceIdentity to the role of this service, with the " +
		"sts:ExternalId " + externalID + " if it requires one; and the policy of this service must allow the three " +
		"actions on it"
	const stale = "the credentials of this service are invalid or have expired"
	const odd = "the security token service gave an invalid answer"
	for about, test := range map[string]struct {
		status int
		body   string
		why    string
		again  bool
		asked  int
	}{
		"denied": {403, refused("AccessDenied", "not authorized to perform: sts:AssumeRole"), denied, false, 1},
		"a policy that is too large": {400, refused("PackedPolicyTooLarge", ""),
			"the session policy for this action is too large or invalid", false, 1},
		"too long": {400, refused("ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration"),
			"the request is invalid. If the role's maximum session duration is under 1230 seconds, raise it, or " +
				"lower TimeoutSeconds", false, 1},
		"a region without it": {403, refused("RegionDisabledException", ""),
			"the security token service is not active in the region eu-central-1", false, 1},
		"an expired token": {403, refused("ExpiredToken", ""), stale, true, 1},
		"an unknown key":   {403, refused("InvalidClientTokenId", ""), stale, true, 1},
		"throttled":        {400, refused("Throttling", ""), "the security token service is throttled", true, 5},
		"an unknown reason": {400, refused("Odd", ""), "the security token service answered Odd, status 400", false,
			1},
		"no XML":         {500, "{", "the security token service answered without a code, status 500", true, 5},
		"half an answer": {200, lent("", ""), odd, true, 1},
		"no time":        {200, lent("id", "soon"), odd, true, 1},
		"another answer": {200, "<GetCallerIdentityResponse>" + secret + "</GetCallerIdentityResponse>", odd, true, 1},
		"no answer":      {200, secret, odd, true, 1},
	} {
		t.Run(about, func(t *testing.T) {
			r, s := bank(t, "eu-central-1", func(int) (int, string) { return test.status, test.body })
			_, err := r.Assume(t.Context(), awsSession())
			var e *cloud.RoleError
			if !errors.As(err, &e) || e.Why != test.why || e.Again != test.again || e.Err == nil ||
				len(s.asked) != test.asked {
				t.Fatalf("Assume = %v after %d requests, want %q", err, len(s.asked), test.why)
			}
			if text := fmt.Sprintf("%v %+v %v", e, e, e.Err); strings.Contains(text, secret) {
				t.Errorf("the error shows a secret: %s", text)
			}
		})
	}
	bare, err := aws.NewRoles(aws.Options{Region: "eu-central-1"})
	if err != nil {
		t.Fatal(err)
	}
	var e *cloud.RoleError
	if _, err := bare.Assume(t.Context(), awsSession()); !errors.As(err, &e) ||
		e.Why != "this service has no credentials" {
		t.Errorf("without credentials: %v", err)
	}
	if _, err := aws.NewRoles(aws.Options{}); err == nil || !strings.HasPrefix(err.Error(), "sts: ") {
		t.Errorf("without a region: %v", err)
	}
	asked := ""
	lost, err := aws.NewRoles(aws.Options{Region: "cn-north-1", Credentials: ours,
		Transport: cloudtest.Transport(func(r *http.Request) { asked = r.URL.Host })})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lost.Assume(t.Context(), awsSession()); !errors.As(err, &e) || !e.Again ||
		e.Why != "the security token service could not be reached" || asked != "sts.cn-north-1.amazonaws.com.cn" {
		t.Errorf("asked %s: %v", asked, err)
	}
}

// Moto's STS returns a session, which then acts under the role and the name.
func TestMotoAssume(t *testing.T) {
	o := aws.Options{Region: "eu-central-1", Endpoint: cloudtest.Moto(t), Credentials: ours}
	r, err := aws.NewRoles(o)
	if err != nil {
		t.Fatal(err)
	}
	sessions := cloud.NewSessions(r.Assume, nil)
	ctx, err := sessions.With(t.Context(), awsSession())
	if err != nil {
		t.Fatal(err)
	}
	if c := invoke.From(ctx).Credentials; !strings.HasPrefix(c.AccessKeyID, "ASIA") || c.SecurityToken == "" {
		t.Errorf("the credentials of a session are %q", c.AccessKeyID)
	}
	api, err := aws.NewClient("sts", o)
	if err != nil {
		t.Fatal(err)
	}
	body, err := api.Ask(ctx, "/", http.Header{"Content-Type": {"application/x-www-form-urlencoded"}},
		[]byte("Action=GetCallerIdentity&Version=2011-06-15"),
		cloud.Question{Read: func(_ int, _ http.Header, body []byte) ([]byte, error) { return body, nil }})
	var who struct {
		Arn string `xml:"GetCallerIdentityResult>Arn"`
	}
	if err := errors.Join(err, xml.Unmarshal(body, &who)); err != nil ||
		who.Arn != "arn:aws:sts::123456789012:assumed-role/ops/slack.U1" {
		t.Errorf("the session is %q, %v", who.Arn, err)
	}
	// It refuses a name that is too long in AWS's words.
	long := awsSession()
	long.Name = strings.Repeat("x", 65)
	var e *cloud.RoleError
	if _, err := r.Assume(t.Context(), long); !errors.As(err, &e) || e.Again ||
		!strings.HasPrefix(e.Why, "the request is invalid") {
		t.Errorf("Assume = %v", err)
	}
}
