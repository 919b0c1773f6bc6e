package localcloud

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"chatconf/shared/emulator/runtime"
	"chatconf/shared/rpc/sign"
)

// given are the credentials of functions in these tests.
var given = runtime.Credentials{AccessKeyID: "AKIDEXAMPLE", AccessKeySecret: "not-a-real-secret",
	SecurityToken: "not-a-real-token"}

// newAPI returns the invoke API of a host of the test function, and its log.
func newAPI(t *testing.T, kind runtime.Kind) (*invokeAPI, *bytes.Buffer) {
	t.Helper()
	path := helloZip(t, kind)
	var log bytes.Buffer
	host := runtime.New(runtime.Options{RetryDelay: func(int) time.Duration { return 0 }})
	if err := host.Add(runtime.Function{Name: "hello", Kind: kind, Zip: path, MaxBody: 1000}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { host.Close(context.Background()) }) // an error where a test has closed it already
	return &invokeAPI{
		host: host, prepare: func(string) error { return nil },
		keys: accessKeys{given.AccessKeyID: given}, now: time.Now,
		log: slog.New(slog.NewTextHandler(&log, nil)),
	}, &log
}

// ask returns a signed request of a dialect.
func ask(t testing.TB, kind runtime.Kind, name, body string, header ...string) *http.Request {
	t.Helper()
	prefix := map[runtime.Kind]string{runtime.FC: fcDialect.prefix, runtime.Lambda: lambdaDialect.prefix}[kind]
	r := httptest.NewRequest(http.MethodPost, "http://127.0.0.1:1"+prefix+name+"/invocations", strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	if kind == runtime.FC {
		r.Header.Set("X-Acs-Action", "InvokeFunction")
		r.Header.Set("X-Acs-Version", "2023-03-30")
		key := sign.Key{ID: given.AccessKeyID, Secret: given.AccessKeySecret, SecurityToken: given.SecurityToken}
		if err := key.SignACS3(r, []byte(body), time.Now(), "nonce"); err != nil {
			t.Fatal(err)
		}
		return r
	}
	signV4(t, r, body, time.Now())
	return r
}

func signV4(t testing.TB, r *http.Request, body string, at time.Time) {
	t.Helper()
	signAs(t, r, body, "lambda", given, at)
}

// signAs signs a request to a service of AWS.
func signAs(t testing.TB, r *http.Request, body, service string, key runtime.Credentials, at time.Time) {
	t.Helper()
	sum := sha256.Sum256([]byte(body))
	c := aws.Credentials{AccessKeyID: key.AccessKeyID, SecretAccessKey: key.AccessKeySecret,
		SessionToken: key.SecurityToken}
	if err := v4.NewSigner().SignHTTP(context.Background(), c, r, hex.EncodeToString(sum[:]),
		service, "eu-central-1", at); err != nil {
		t.Fatal(err)
	}
}

func answerOf(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// Both dialects say the same in their own words.
func TestInvokeAPI(t *testing.T) {
	type words struct{ kind, async, tail, log, failed, requestID string }
	for kind, w := range map[runtime.Kind]words{
		runtime.FC: {"X-Fc-Invocation-Type", "Async", "X-Fc-Log-Type", "X-Fc-Log-Result",
			"X-Fc-Error-Type", "X-Fc-Request-Id"},
		runtime.Lambda: {"X-Amz-Invocation-Type", "Event", "X-Amz-Log-Type", "X-Amz-Log-Result",
			"X-Amz-Function-Error", "X-Amzn-Requestid"},
	} {
		t.Run(kind.String(), func(t *testing.T) {
			api, log := newAPI(t, kind)
			got := answerOf(api, ask(t, kind, "hello", `{"Do":"print","Arg":"a line\n"}`, w.tail, "Tail"))
			text, _ := base64.StdEncoding.DecodeString(got.Header().Get(w.log))
			if got.Code != 200 || got.Body.String() != `"printed"` || got.Header().Get(w.requestID) == "" ||
				got.Header().Get(w.failed) != "" || !strings.Contains(string(text), "a line\n") {
				t.Errorf("answer = %d %v %s with the log %q", got.Code, got.Header(), got.Body, text)
			}
			got = answerOf(api, ask(t, kind, "hello", `{"Do":"error","Arg":"on purpose"}`))
			if got.Code != 200 || got.Header().Get(w.failed) == "" ||
				!strings.Contains(got.Body.String(), "on purpose") {
				t.Errorf("a failure = %d %v %s", got.Code, got.Header(), got.Body)
			}
			got = answerOf(api, ask(t, kind, "hello", `{"Do":"error","Arg":"for good"}`, w.kind, w.async))
			if got.Code != http.StatusAccepted || got.Body.Len() > 0 || got.Header().Get(w.requestID) == "" {
				t.Errorf("asynchronously = %d %v %s", got.Code, got.Header(), got.Body)
			}
			id := got.Header().Get(w.requestID)
			for name, c := range map[string]struct {
				r      *http.Request
				status int
				says   string
			}{
				"no function":          {ask(t, kind, "nobody", `{}`), 404, "nobody"},
				"too large":            {ask(t, kind, "hello", `"`+strings.Repeat("x", 1000)+`"`), 413, ""},
				"another type":         {ask(t, kind, "hello", `{}`, w.kind, "Sometime"), 400, "type"},
				"asynchronous, nobody": {ask(t, kind, "nobody", `{}`, w.kind, w.async), 404, "nobody"},
			} {
				if got := answerOf(api, c.r); got.Code != c.status || !strings.Contains(got.Body.String(), c.says) {
					t.Errorf("%s = %d %s, want %d", name, got.Code, got.Body, c.status)
				}
			}
			broken := ask(t, kind, "hello", `{}`)
			broken.Body = cutBody{}
			if got := answerOf(api, broken); got.Code != 400 {
				t.Errorf("a body that breaks off = %d, want 400", got.Code)
			}
			long := ask(t, kind, "hello", `{}`)
			long.Body = zeroBody{}
			if got := answerOf(api, long); got.Code != 413 {
				t.Errorf("a body without end = %d, want 413", got.Code)
			}
			api.prepare = func(string) error { return errors.New("planted reason") }
			if got := answerOf(api, ask(t, kind, "hello", `{}`)); got.Code != http.StatusBadGateway ||
				strings.Contains(got.Body.String(), "planted") {
				t.Errorf("a function that cannot be unpacked = %d %s", got.Code, got.Body)
			}
			if err := api.host.Close(t.Context()); err != nil { // waits for the asynchronous one
				t.Error(err)
			}
			if !strings.Contains(log.String(), "failed finally") || !strings.Contains(log.String(), id) ||
				!strings.Contains(log.String(), "planted reason") {
				t.Errorf("the log says\n%s", log)
			}
		})
	}
}

// cutBody is a body that breaks off.
type cutBody struct{}

func (cutBody) Read([]byte) (int, error) { return 0, errors.New("cut") }
func (cutBody) Close() error             { return nil }

// zeroBody is a body without end.
type zeroBody struct{}

func (zeroBody) Read(p []byte) (int, error) { clear(p); return len(p), nil }
func (zeroBody) Close() error               { return nil }

func TestInvokeAPIOfLambda(t *testing.T) {
	api, _ := newAPI(t, runtime.Lambda)
	for name, want := range map[string]string{
		"arn:aws:lambda:eu-central-1:123456789012:function:hello":         `"hello"`,
		"arn:aws:lambda:eu-central-1:123456789012:function:hello:$LATEST": `"hello"`,
		"123456789012:function:hello":                                     `"hello"`,
		"hello:live":                                                      `"hello"`,
	} {
		if got := answerOf(api, ask(t, runtime.Lambda, name, `{}`)); got.Code != 200 || got.Body.String() != want {
			t.Errorf("%s = %d %s, want %s", name, got.Code, got.Body, want)
		}
	}
	if got := answerOf(api, ask(t, runtime.Lambda, "hello", `{}`, "X-Amz-Invocation-Type",
		"DryRun")); got.Code != http.StatusNoContent {
		t.Errorf("a dry run = %d, want 204", got.Code)
	}
	if got := answerOf(api, ask(t, runtime.Lambda, "hello", `{}`, "X-Amz-Client-Context",
		"*")); got.Code != http.StatusBadRequest {
		t.Errorf("a client context that is not base64 = %d, want 400", got.Code)
	}
	if got := answerOf(api, ask(t, runtime.Lambda, "hello", `{`)); got.Code != http.StatusBadRequest ||
		got.Header().Get("X-Amzn-Errortype") != "InvalidRequestContentException" {
		t.Errorf("what is no JSON = %d %v", got.Code, got.Header())
	}
}

func TestInvokeAPIKnowsNothingElse(t *testing.T) {
	api := &invokeAPI{}
	for _, r := range []*http.Request{
		httptest.NewRequest(http.MethodGet, lambdaDialect.prefix+"hello/invocations", nil),
		httptest.NewRequest(http.MethodPost, lambdaDialect.prefix+"hello", nil),
		httptest.NewRequest(http.MethodPost, "/2016-08-15/services/x/functions/hello/invocations", nil),
		httptest.NewRequest(http.MethodPost, "/", nil),
	} {
		if got := answerOf(api, r); got.Code != http.StatusNotFound {
			t.Errorf("%s %s = %d, want 404", r.Method, r.URL.Path, got.Code)
		}
	}
}

// What a stranger's request may have is counted before any of it is read.
func TestInvokeAPICountsFirst(t *testing.T) {
	api := &invokeAPI{keys: byID([]runtime.Credentials{given}), now: time.Now, log: slog.New(slog.DiscardHandler)}
	many := ask(t, runtime.Lambda, "hello", `{}`)
	many.Header.Set("Authorization", strings.Replace(many.Header.Get("Authorization"), "SignedHeaders=",
		"SignedHeaders="+strings.Repeat("a;", 64), 1))
	query := ask(t, runtime.FC, "hello", `{}`)
	query.URL.RawQuery = strings.Repeat("&", 64)
	for want, r := range map[string]*http.Request{"more than 64 headers": many, "more than 64 parameters": query} {
		if got := answerOf(api, r); got.Code != http.StatusForbidden || !strings.Contains(got.Body.String(), want) {
			t.Errorf("%s: %d %s", want, got.Code, got.Body)
		}
	}
}

// Nobody without a key is let in, whatever is changed.
func TestInvokeAPIRefusesStrangers(t *testing.T) {
	api := &invokeAPI{keys: byID([]runtime.Credentials{given, {AccessKeyID: "AKIDEMPTY"}}),
		sessions: new(sessions), now: time.Now, log: slog.New(slog.DiscardHandler), prepare: func(string) error {
			return errors.New("a stranger was let in")
		}}
	replace := func(header, old, new string) func(*http.Request) {
		return func(r *http.Request) {
			value := r.Header.Get(header)
			if !strings.Contains(value, old) {
				t.Errorf("%s has no %q: %s", header, old, value)
			}
			r.Header.Set(header, strings.Replace(value, old, new, 1))
		}
	}
	drop := func(header string) func(*http.Request) { return func(r *http.Request) { r.Header.Del(header) } }
	for kind, changes := range map[runtime.Kind]map[string]func(*http.Request){
		runtime.Lambda: {
			"no signature":             drop("Authorization"),
			"another algorithm":        replace("Authorization", "AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"),
			"another key":              replace("Authorization", "AKIDEXAMPLE", "AKIDOTHER"),
			"a key without a secret":   replace("Authorization", "AKIDEXAMPLE", "AKIDEMPTY"),
			"another region":           replace("Authorization", "eu-central-1", "us-east-1"),
			"another service":          replace("Authorization", "/lambda/", "/s3/"),
			"another end of the scope": replace("Authorization", "aws4_request", "aws5_request"),
			"another day":              replace("Authorization", "AKIDEXAMPLE/2", "AKIDEXAMPLE/1"),
			"no signed host":           replace("Authorization", "host;", ""),
			"no signed date":           replace("Authorization", "x-amz-date;", ""),
			"one signed header less":   replace("Authorization", ";x-amz-security-token", ""),
			"no signature in it":       replace("Authorization", "Signature=", "Sign="),
			"another signature":        replace("Authorization", "Signature=", "Signature=0"),
			"another date": func(r *http.Request) {
				r.Header.Set("X-Amz-Date",
					time.Now().UTC().Add(time.Second).Format(timeV4))
			},
			"no date":       drop("X-Amz-Date"),
			"no token":      drop("X-Amz-Security-Token"),
			"another token": replace("X-Amz-Security-Token", "not", "yes"),
			"another host":  func(r *http.Request) { r.Host = "evil.example" },
			"another function": func(r *http.Request) {
				r.URL.Path = strings.Replace(r.URL.Path,
					"hello", "other", 1)
			},
			"another query": func(r *http.Request) { r.URL.RawQuery = "Qualifier=1" },
			"another body":  func(r *http.Request) { r.Body = http.NoBody },
			"an hour ago":   func(r *http.Request) { signV4(t, r, `{}`, time.Now().Add(-time.Hour)) },
			"in an hour":    func(r *http.Request) { signV4(t, r, `{}`, time.Now().Add(time.Hour)) },
		},
		runtime.FC: {
			"no signature":           drop("Authorization"),
			"another key":            replace("Authorization", "AKIDEXAMPLE", "AKIDOTHER"),
			"a key without a secret": replace("Authorization", "AKIDEXAMPLE", "AKIDEMPTY"),
			"another signature":      replace("Authorization", "Signature=", "Signature=00"),
			"another body":           func(r *http.Request) { r.Body = http.NoBody },
			"another query":          func(r *http.Request) { r.URL.RawQuery = "qualifier=1" },
			"an invalid query":       func(r *http.Request) { r.URL.RawQuery = "%zz" },
			"another function": func(r *http.Request) {
				r.URL.Path = strings.Replace(r.URL.Path,
					"hello", "other", 1)
			},
			"without its token": func(r *http.Request) {
				r.Header.Del("X-Acs-Security-Token")
				r.Header.Del("X-Acs-Accesskey-Id")
				key := sign.Key{ID: given.AccessKeyID, Secret: given.AccessKeySecret}
				if err := key.SignACS3(r, []byte(`{}`), time.Now(), "nonce"); err != nil {
					t.Error(err)
				}
			},
			"an hour ago": func(r *http.Request) {
				key := sign.Key{ID: given.AccessKeyID, Secret: given.AccessKeySecret,
					SecurityToken: given.SecurityToken}
				if err := key.SignACS3(r, []byte(`{}`), time.Now().Add(-time.Hour), "nonce"); err != nil {
					t.Error(err)
				}
			},
		},
	} {
		for name, change := range changes {
			r := ask(t, kind, "hello", `{}`)
			change(r)
			got := answerOf(api, r)
			if got.Code != http.StatusForbidden {
				t.Errorf("%s, %s = %d %s, want 403", kind, name, got.Code, got.Body)
			}
			if text := got.Body.String(); strings.Contains(text, given.AccessKeySecret) ||
				strings.Contains(text, "not-a-real-token") {
				t.Errorf("%s, %s: the answer shows a secret", kind, name)
			}
		}
	}
}

// A signature as boto3 writes it, with the length and the type of the body signed.
func TestSignatureOverTheLength(t *testing.T) {
	r := httptest.NewRequest(http.MethodPost, "http://127.0.0.1:1"+lambdaDialect.prefix+
		"hello/invocations", strings.NewReader(`{"a":1}`))
	r.Header.Set("Content-Type", "application/json")
	signV4(t, r, `{"a":1}`, time.Now())
	if text := r.Header.Get("Authorization"); !strings.Contains(text, "content-length;content-type;host;") {
		t.Fatalf("the SDK signs %s", text)
	}
	api := &invokeAPI{keys: byID([]runtime.Credentials{given}), now: time.Now}
	if _, err := verifyV4(api, r, []byte(`{"a":1}`)); err != nil {
		t.Error(err)
	}
	if _, err := verifyV4(api, r, []byte(`{"a":2}`)); err == nil {
		t.Error("another body of that length is taken")
	}
}

// What is read of a header says all that counts: written again, it is read as the same.
func FuzzParseV4(f *testing.F) {
	f.Add("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261123/eu-central-1/lambda/aws4_request, " +
		"SignedHeaders=host;x-amz-date, Signature=abc")
	f.Add("AWS4-HMAC-SHA256 Credential=a/b/c/d/aws4_request,SignedHeaders=x-amz-date;host,Signature=0,Signature=1")
	f.Add("ACS3-HMAC-SHA256 Credential=a")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parseV4(text)
		if err != nil {
			return
		}
		if !slices.Contains(s.headers, "host") || s.signature == "" {
			t.Fatalf("%q is taken", text)
		}
		again, err := parseV4(algorithmV4 + " Credential=" +
			strings.Join([]string{s.accessKeyID, s.date, s.region, s.service, "aws4_request"}, "/") +
			",SignedHeaders=" + strings.Join(s.headers, ";") + ",Signature=" + s.signature)
		if err != nil || again.accessKeyID != s.accessKeyID || again.signature != s.signature ||
			!slices.Equal(again.headers, s.headers) {
			t.Errorf("%q is read as %+v, and that as %+v, %v", text, s, again, err)
		}
	})
}
