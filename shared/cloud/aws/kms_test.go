package aws_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"chatconf/shared/cloud"
	"chatconf/shared/cloud/aws"
	"chatconf/shared/cloud/cloudtest"
	"chatconf/shared/invoke"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
)

const planted = cloudtest.Planted

const ring = `{"keys":[{"id":"test","key":"` + planted + `"}]}`

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// A provider returns fixed credentials or an error.
type provider struct {
	awssdk.Credentials
	err error
}

func (p provider) Retrieve(context.Context) (awssdk.Credentials, error) { return p.Credentials, p.err }

var own = provider{Credentials: awssdk.Credentials{AccessKeyID: "AKIDOWN", SecretAccessKey: planted + "-own",
	SessionToken: planted + "-session"}}

// A service is KMS with one ciphertext.
type service struct {
	testing.TB
	sealed string            // in base64
	keys   map[string]string // secrets by access key id
	answer func(w http.ResponseWriter)
	asked  int
}

func newService(tb testing.TB) (*service, string) {
	s := &service{TB: tb, sealed: "c2VhbGVkIHJpbmc=", keys: map[string]string{"AKIDOWN": own.SecretAccessKey,
		"AKIDROLE": planted + "-role"}}
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
	w.Header().Set("X-Amzn-RequestId", "request-1")
	if s.answer != nil {
		s.answer(w)
		return
	}
	fail := func(code string) {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"__type":"com.amazonaws.kms#%s","message":"You signed %s"}`, code,
			r.Header.Get("X-Amz-Security-Token"))
	}
	if err := s.verify(r, body); err != nil {
		s.Logf("signature: %v", err)
		fail("InvalidSignatureException")
		return
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	var in struct {
		CiphertextBlob    string
		EncryptionContext map[string]string
	}
	if err := d.Decode(&in); err != nil || r.Header.Get("X-Amz-Target") != "TrentService.Decrypt" ||
		r.Header.Get("Content-Type") != "application/x-amz-json-1.1" || r.Method != "POST" || r.URL.Path != "/" {
		fail("UnknownOperationException")
		return
	}
	if in.CiphertextBlob != s.sealed || len(in.EncryptionContext) != 1 ||
		in.EncryptionContext["chatconf"] != "keyring" {
		fail("InvalidCiphertextException")
		return
	}
	fmt.Fprintf(w, `{"KeyId":"arn:aws:kms:eu-central-1:111122223333:key/1","EncryptionAlgorithm":"SYMMETRIC_DEFAULT",`+
		`"Plaintext":%q}`, base64.StdEncoding.EncodeToString([]byte(ring)))
}

// verify checks a signature from its description, not with the code that made it.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
func (s *service) verify(r *http.Request, body []byte) error {
	var id, scope, signed, signature string
	fields := strings.NewReplacer("Credential=", "", "SignedHeaders=", "", "Signature=", "", ",", " ", "/",
		" ").Replace(strings.TrimPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 "))
	var date, region, name, end string
	if _, err := fmt.Sscan(fields, &id, &date, &region, &name, &end, &signed, &signature); err != nil {
		return err
	}
	if scope = strings.Join([]string{date, region, name, end}, "/"); scope != "20261123/eu-central-1/kms/aws4_request" {
		return errors.New("scope " + scope)
	}
	names := strings.Split(signed, ";")
	for _, name := range []string{"host", "x-amz-date", "x-amz-target"} {
		if !slices.Contains(names, name) {
			return errors.New(name + " is not signed")
		}
	}
	hash := func(b []byte) string { sum := sha256.Sum256(b); return hex.EncodeToString(sum[:]) }
	canonical := "POST\n/\n\n"
	for _, name := range names {
		value := r.Header.Get(name)
		switch name {
		case "host":
			value = r.Host
		case "content-length":
			value = fmt.Sprint(r.ContentLength)
		}
		canonical += name + ":" + value + "\n"
	}
	canonical += "\n" + signed + "\n" + hash(body)
	toSign := "AWS4-HMAC-SHA256\n" + r.Header.Get("X-Amz-Date") + "\n" + scope + "\n" + hash([]byte(canonical))
	mac := func(key []byte, text string) []byte {
		m := hmac.New(sha256.New, key)
		m.Write([]byte(text))
		return m.Sum(nil)
	}
	secret, known := s.keys[id]
	key := mac(mac(mac(mac([]byte("AWS4"+secret), date), region), name), end)
	if !known || hex.EncodeToString(mac(key, toSign)) != signature || r.Header.Get("X-Amz-Date") != "20261123T120000Z" {
		return errors.New("it does not match:\n" + canonical)
	}
	if token := r.Header.Get("X-Amz-Security-Token"); id == "AKIDOWN" && token != own.SessionToken {
		return errors.New("token " + token)
	}
	return nil
}

func open(tb testing.TB, ctx context.Context, endpoint string, p awssdk.CredentialsProvider) ([]byte, error) {
	tb.Helper()
	c, err := aws.NewKeys(aws.Options{Region: "eu-central-1", Endpoint: endpoint, Credentials: p,
		Now: func() time.Time { return now }})
	if err != nil {
		tb.Fatal(err)
	}
	opened, err := c.Open(ctx, "c2VhbGVkIHJpbmc=")
	if err != nil && strings.Contains(err.Error(), planted) {
		tb.Errorf("the error holds a secret: %v", err)
	}
	return opened, err
}

func TestOpenSealed(t *testing.T) {
	_, endpoint := newService(t)
	if got, err := open(t, t.Context(), endpoint, own); string(got) != ring || err != nil {
		t.Errorf("Open with the environment's credentials = %d bytes, %v", len(got), err)
	}
	ctx := invoke.With(t.Context(), &invoke.Invocation{Credentials: invoke.Credentials{AccessKeyID: "AKIDROLE",
		AccessKeySecret: planted + "-role"}})
	if got, err := open(t, ctx, endpoint+"//", nil); string(got) != ring || err != nil {
		t.Errorf("Open with the invocation's credentials = %d bytes, %v", len(got), err)
	}
}

func TestKeysRefuse(t *testing.T) {
	s, endpoint := newService(t)
	wrong := own
	wrong.SecretAccessKey = planted + "-wrong"
	_, err := open(t, t.Context(), endpoint, wrong)
	var refused *cloud.Refusal
	if !errors.As(err, &refused) || refused.Code != "InvalidSignatureException" ||
		!strings.Contains(err.Error(), "request-1") || !strings.Contains(err.Error(), "[secret]") || s.asked != 1 {
		t.Errorf("Open with a wrong secret = %v after %d requests", err, s.asked)
	}
	s.sealed = "b3RoZXI="
	if _, err := open(t, t.Context(), endpoint, own); !errors.As(err, &refused) ||
		refused.Code != "InvalidCiphertextException" || s.asked != 2 {
		t.Errorf("Open of what was sealed otherwise = %v after %d requests", err, s.asked)
	}
	if _, err := open(t, t.Context(), endpoint, nil); err == nil || s.asked != 2 {
		t.Errorf("Open without credentials = %v after %d requests", err, s.asked)
	}
	if _, err := open(t, t.Context(), endpoint, provider{err: errors.New("no provider")}); err == nil ||
		!strings.Contains(err.Error(), "no provider") || s.asked != 2 {
		t.Errorf("Open when there is no getting credentials = %v after %d requests", err, s.asked)
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
		{200, `{"Plaintext":"` + planted + `!"}`, "no plaintext"},
		{200, `{}`, "no plaintext"},
		{404, `<html>`, "status 404"},
		{400, `{"__type":"AccessDeniedException","Message":"User: arn:aws:sts::111122223333:assumed-role/x is not ` +
			`authorized"}`, "AccessDeniedException, status 400, request request-1: \"User: arn"},
	} {
		s.answer = func(w http.ResponseWriter) { w.WriteHeader(test.status); io.WriteString(w, test.body) }
		before := s.asked
		if _, err := open(t, t.Context(), endpoint, own); err == nil || !strings.Contains(err.Error(), test.says) ||
			s.asked != before+1 {
			t.Errorf("%d %s: %v after %d requests, want %q", test.status, test.body, err, s.asked-before, test.says)
		}
	}
	// Temporary errors are retried.
	for _, code := range []string{"ThrottlingException", "LimitExceededException"} {
		n := 0
		s.answer = func(w http.ResponseWriter) {
			if n++; n == 1 {
				w.WriteHeader(400)
				io.WriteString(w, `{"__type":"`+code+`"}`)
				return
			}
			io.WriteString(w, `{"Plaintext":"cmluZw=="}`)
		}
		if got, err := open(t, t.Context(), endpoint, own); string(got) != "ring" || n != 2 || err != nil {
			t.Errorf("%s: %q, %v after %d requests", code, got, err, n)
		}
	}
}

func TestNewKeys(t *testing.T) {
	for _, o := range []aws.Options{{}, {Region: "eu-central-1", Endpoint: "kms"}, {Region: "eu central 1"}} {
		if _, err := aws.NewKeys(o); err == nil {
			t.Errorf("New(%+v): no error", o)
		}
	}
	for region, host := range map[string]string{"eu-central-1": "kms.eu-central-1.amazonaws.com",
		"cn-north-1": "kms.cn-north-1.amazonaws.com.cn"} {
		got := ""
		c, err := aws.NewKeys(aws.Options{Region: region, Credentials: own,
			Transport: transport(func(r *http.Request) (*http.Response, error) {
				got = r.URL.Scheme + "://" + r.Host
				return &http.Response{StatusCode: 400, Body: http.NoBody}, nil
			})})
		if err != nil {
			t.Fatal(err)
		}
		if c.Open(t.Context(), "AAAA"); got != "https://"+host {
			t.Errorf("the endpoint of %s is %s, want %s", region, got, host)
		}
	}
}

type transport func(*http.Request) (*http.Response, error)

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) { return t(r) }

func FuzzReadPlaintext(f *testing.F) { cloudtest.FuzzRead(f, aws.ReadPlaintext) }
