package alibaba_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"chatconf/shared/cloud"
	"chatconf/shared/cloud/alibaba"
	"chatconf/shared/cloud/cloudtest"
	"chatconf/shared/invoke"
	"chatconf/shared/rpc/sign"
)

const planted = cloudtest.Planted

const ring = `{"keys":[{"id":"test","key":"` + planted + `"}]}`

// sealed has the form of the service's ciphertexts: opaque text, partly base64.
const sealed = "DZhOWVmZDktM2QxNi00ODk0LWJkNGYtMWZjNDNmM2YyYWJm+aSl/TztSIMe43nbTH=="

var (
	now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	own = invoke.Credentials{AccessKeyID: "LTAIown", AccessKeySecret: planted + "-own"}
	// role holds the credentials of one invocation.
	role = invoke.Credentials{AccessKeyID: "STS.role", AccessKeySecret: planted + "-role", SecurityToken: planted +
		"-token"}
)

// A service is KMS with one ciphertext.
type service struct {
	testing.TB
	sealed string
	answer func(w http.ResponseWriter)
	asked  int
}

func newService(tb testing.TB) (*service, string) {
	s := &service{TB: tb, sealed: sealed}
	server := httptest.NewServer(s)
	tb.Cleanup(server.Close)
	return s, server.URL
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.asked++
	body, err := io.ReadAll(r.Body)
	if err != nil {
		s.Error(err)
	}
	if s.answer != nil {
		s.answer(w)
		return
	}
	fail := func(code string) {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"RequestId":"request-1","HostId":"kms.example","Code":%q,"Message":"You signed %s"}`, code,
			r.Header.Get("X-Acs-Security-Token"))
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		s.Error(err)
	}
	signature, err := sign.Parse(r, form, body)
	if err == nil {
		secret := map[string]string{own.AccessKeyID: own.AccessKeySecret,
			role.AccessKeyID: role.AccessKeySecret}[signature.AccessKeyID]
		err = errors.Join(signature.Verify(secret), signature.CheckTime(now))
	}
	if err != nil {
		fail("SignatureDoesNotMatch")
		return
	}
	if signature.Dialect != sign.ACS3 || signature.Action != "Decrypt" || signature.Version != "2016-01-20" ||
		signature.AccessKeyID == role.AccessKeyID && signature.SecurityToken != role.SecurityToken {
		fail("InvalidAction")
		return
	}
	if len(form) != 2 || form.Get("CiphertextBlob") != s.sealed ||
		form.Get("EncryptionContext") != `{"chatconf":"keyring"}` {
		fail("Forbidden.InvalidCiphertext")
		return
	}
	fmt.Fprintf(w, `{"KeyId":"key-1","KeyVersionId":"2","RequestId":"request-1","Plaintext":%q}`,
		base64.StdEncoding.EncodeToString([]byte(ring)))
}

func open(tb testing.TB, ctx context.Context, endpoint string, credentials invoke.Credentials) ([]byte, error) {
	tb.Helper()
	c, err := alibaba.NewKeys(alibaba.Options{Endpoint: endpoint, Credentials: credentials,
		Now: func() time.Time { return now }})
	if err != nil {
		tb.Fatal(err)
	}
	opened, err := c.Open(ctx, sealed)
	if err != nil && strings.Contains(err.Error(), planted) {
		tb.Errorf("the error holds a secret: %v", err)
	}
	if text := fmt.Sprintf("%v %+v %#v", c, c, c); strings.Contains(text, planted) {
		tb.Error("the client shows its credentials")
	}
	return opened, err
}

func TestOpenSealed(t *testing.T) {
	_, endpoint := newService(t)
	if got, err := open(t, t.Context(), endpoint, own); string(got) != ring || err != nil {
		t.Errorf("Open with the environment's credentials = %d bytes, %v", len(got), err)
	}
	ctx := invoke.With(t.Context(), &invoke.Invocation{Credentials: role})
	if got, err := open(t, ctx, endpoint+"/", own); string(got) != ring || err != nil {
		t.Errorf("Open with the invocation's credentials = %d bytes, %v", len(got), err)
	}
}

func TestKeysRefuse(t *testing.T) {
	s, endpoint := newService(t)
	wrong := role
	wrong.AccessKeySecret = planted + "-wrong"
	_, err := open(t, t.Context(), endpoint, wrong)
	var refused *cloud.Refusal
	if !errors.As(err, &refused) || refused.Code != "SignatureDoesNotMatch" ||
		!strings.Contains(err.Error(), "request-1") || !strings.Contains(err.Error(), "[secret]") || s.asked != 1 {
		t.Errorf("Open with a wrong secret = %v after %d requests", err, s.asked)
	}
	s.sealed = "other"
	if _, err := open(t, t.Context(), endpoint, own); !errors.As(err, &refused) ||
		refused.Code != "Forbidden.InvalidCiphertext" || s.asked != 2 {
		t.Errorf("Open of what was sealed otherwise = %v after %d requests", err, s.asked)
	}
	if _, err := open(t, t.Context(), endpoint, invoke.Credentials{}); err == nil || s.asked != 2 {
		t.Errorf("Open without credentials = %v after %d requests", err, s.asked)
	}
	if _, err := open(t, t.Context(), endpoint, invoke.Credentials{AccessKeyID: "id"}); err == nil || s.asked != 2 {
		t.Errorf("Open with half an access key = %v after %d requests", err, s.asked)
	}
}

func TestAnswersThatMakeNoSense(t *testing.T) {
	s, endpoint := newService(t)
	for _, test := range []struct {
		status int
		body   string
		says   string
	}{
		{200, ``, "not the expected JSON"},
		{200, `{"Plaintext":7, "x":"` + planted + `"}`, "not the expected JSON"},
		{200, `{"Plaintext":"{` + planted + `}"}`, "no base64 plaintext"},
		{200, `{}`, "no base64 plaintext"},
		{404, `<html>`, "status 404"},
		{403, `{"Code":"Forbidden.KeyNotFound","Message":"The specified key is not found.","RequestId":"r"}`,
			`Forbidden.KeyNotFound, status 403, request r: "The specified`},
	} {
		s.answer = func(w http.ResponseWriter) { w.WriteHeader(test.status); io.WriteString(w, test.body) }
		before := s.asked
		if _, err := open(t, t.Context(), endpoint, own); err == nil || !strings.Contains(err.Error(), test.says) ||
			s.asked != before+1 {
			t.Errorf("%d %s: %v after %d requests, want %q", test.status, test.body, err, s.asked-before, test.says)
		}
	}
	// Temporary errors are retried, with a new nonce.
	n := 0
	s.answer = func(w http.ResponseWriter) {
		if n++; n == 1 {
			w.WriteHeader(400)
			io.WriteString(w, `{"Code":"Throttling.User"}`)
			return
		}
		io.WriteString(w, `{"Plaintext":"cmluZw=="}`)
	}
	if got, err := open(t, t.Context(), endpoint, own); string(got) != "ring" || n != 2 || err != nil {
		t.Errorf("%q, %v after %d requests", got, err, n)
	}
}

func TestNewKeys(t *testing.T) {
	for _, o := range []alibaba.Options{{}, {Endpoint: "kms"}, {Region: "cn hangzhou"}} {
		if _, err := alibaba.NewKeys(o); err == nil {
			t.Errorf("New(%+v): no error", o)
		}
	}
	got := ""
	c, err := alibaba.NewKeys(alibaba.Options{Region: "cn-hangzhou", Credentials: own,
		Transport: transport(func(r *http.Request) (*http.Response, error) {
			got = r.URL.Scheme + "://" + r.Host
			return &http.Response{StatusCode: 400, Body: http.NoBody}, nil
		})})
	if err != nil {
		t.Fatal(err)
	}
	if c.Open(t.Context(), sealed); got != "https://kms.cn-hangzhou.aliyuncs.com" {
		t.Errorf("the endpoint is %s", got)
	}
}

type transport func(*http.Request) (*http.Response, error)

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) { return t(r) }

func FuzzReadPlaintext(f *testing.F) { cloudtest.FuzzRead(f, alibaba.ReadPlaintext) }
