package sts_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"chatconf/shared/emulator/oos/oostest"
	"chatconf/shared/emulator/sts"
	"chatconf/shared/rpc/sign"
)

// signed returns the parameters of a signed V1 request to STS.
func signed(t testing.TB, key sign.Key, at time.Time, nonce string, params url.Values) url.Values {
	t.Helper()
	values := url.Values{"Action": {"AssumeRole"}, "Version": {"2015-04-01"}, "Format": {"JSON"}}
	for name, list := range params {
		values[name] = list
	}
	if err := key.SignV1(http.MethodPost, values, at, nonce); err != nil {
		t.Fatal(err)
	}
	return values
}

// post sends a form.
func post(t testing.TB, address, form string) oostest.Answer {
	t.Helper()
	resp, err := http.Post(address, "application/x-www-form-urlencoded", strings.NewReader(form))
	if err != nil {
		t.Fatal(err)
	}
	return oostest.ReadAnswer(t, resp)
}

var testKey = sign.Key{ID: oostest.KeyID, Secret: oostest.KeySecret}

// Every request must be signed, now, once, by a key that is known.
func TestSignaturesAreVerified(t *testing.T) {
	in := run(t)
	session := in.Assume(t, "ops", "alice", map[string]string{"DurationSeconds": "900"})
	temporary := sign.Key{ID: session.AccessKeyID, Secret: session.AccessKeySecret,
		SecurityToken: session.SecurityToken}
	with := func(key sign.Key, set func(*sign.Key)) sign.Key { set(&key); return key }
	now := time.Now()
	for i, test := range []struct {
		name   string
		key    sign.Key
		at     time.Time
		params url.Values
		status int
		code   string
	}{
		{"a wrong secret", with(testKey, func(k *sign.Key) { k.Secret = "x" }), now, nil, 400, "SignatureDoesNotMatch"},
		{"an unknown key", with(testKey, func(k *sign.Key) { k.ID = "x" }), now, nil,
			404, "InvalidAccessKeyId.NotFound"},
		{"an old request", testKey, now.Add(-16 * time.Minute), nil, 400, "InvalidTimeStamp.Expired"},
		{"a request of tomorrow", testKey, now.Add(16 * time.Minute), nil, 400, "InvalidTimeStamp.Expired"},
		{"another version", testKey, now, url.Values{"Version": {"2014-01-01"}}, 400, "InvalidVersion"},
		{"another action", testKey, now, url.Values{"Action": {"GetCallerIdentity"}}, 404, "InvalidAction.NotFound"},
		{"XML", testKey, now, url.Values{"Format": {"XML"}}, 400, "InvalidParameter.Format"},
		{"a token of a key that has none", with(testKey, func(k *sign.Key) { k.SecurityToken = "x" }), now, nil, 400,
			"InvalidSecurityToken.MismatchWithAccessKey"},
		{"no token", with(temporary, func(k *sign.Key) { k.SecurityToken = "" }),
			now, nil, 400, "MissingSecurityToken"},
		{"a wrong token", with(temporary, func(k *sign.Key) { k.SecurityToken = "x" }), now, nil, 400,
			"InvalidSecurityToken.MismatchWithAccessKey"},
		{"a temporary key", temporary, now, nil, 400, "MissingRoleArn"},
	} {
		t.Run(test.name, func(t *testing.T) {
			form := signed(t, test.key, test.at, fmt.Sprint("n", i), test.params).Encode()
			want(t, post(t, in.STS, form), test.status, test.code)
		})
	}
	in.Advance(15 * time.Minute)
	want(t, post(t, in.STS, signed(t, temporary, now, "late", nil).Encode()), 400, "InvalidSecurityToken.Expired")
	form := signed(t, testKey, now, "twice", nil).Encode()
	want(t, post(t, in.STS, form), 400, "MissingRoleArn")
	want(t, post(t, in.STS, form), 400, "SignatureNonceUsed")
}

// What cannot be read one way only is refused before any secret is looked at.
func TestRequestsAreReadStrictly(t *testing.T) {
	in := run(t)
	form := "application/x-www-form-urlencoded"
	values := signed(t, testKey, time.Now(), "n", nil).Encode()
	for _, test := range []struct {
		name, method, target, kind, body string
		status                           int
		code                             string
	}{
		{"nothing", "POST", "/", "", "", 400, "MissingParameter"},
		{"a path", "POST", "/x", form, values, 404, "InvalidApi.NotFound"},
		{"a parameter in query and form", "POST", "/?Action=AssumeRole", form, values, 400, "InvalidParameter"},
		{"an invalid key id", "POST", "/", form, strings.Replace(values, "test-key", "test+key", 1), 404,
			"InvalidAccessKeyId.NotFound"},
		{"a parameter twice", "POST", "/", form, values + "&Action=AssumeRole", 400, "InvalidParameter"},
		{"an invalid query", "POST", "/?a=%zz", form, values, 400, "InvalidParameter"},
		{"an invalid form", "POST", "/", form, "a=%zz", 400, "InvalidParameter"},
		{"JSON", "POST", "/", "application/json", "{}", 400, "InvalidParameter.ContentType"},
		{"no content type", "POST", "/", "", values, 400, "InvalidParameter.ContentType"},
		{"a large body", "POST", "/", form, strings.Repeat("a", 1<<20+1), 400, "InvalidParameter"},
		{"a method in lower case", "post", "/?" + values, "", "", 405, "UnsupportedHTTPMethod"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, err := http.NewRequest(test.method, in.STS+test.target, strings.NewReader(test.body))
			if err != nil {
				t.Fatal(err)
			}
			if test.kind != "" {
				r.Header.Set("Content-Type", test.kind)
			}
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			want(t, oostest.ReadAnswer(t, resp), test.status, test.code)
		})
	}
	r := httptest.NewRequest("POST", "/", io.MultiReader(strings.NewReader("a"), failing{}))
	w := httptest.NewRecorder()
	in.Account.Handler().ServeHTTP(w, r)
	want(t, oostest.ReadAnswer(t, w.Result()), 400, "InvalidParameter")
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("broken") }

// The ACS3 dialect, and the string to sign that clients print when the secret is wrong.
func TestACS3(t *testing.T) {
	in := run(t)
	for _, test := range []struct {
		keySecret string
		status    int
		code      string
	}{{oostest.KeySecret, 400, "MissingRoleArn"}, {"x", 400, "SignatureDoesNotMatch"}} {
		r, err := http.NewRequest("POST", in.STS+"/?Format=json", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("x-acs-action", "AssumeRole")
		r.Header.Set("x-acs-version", "2015-04-01")
		key := sign.Key{ID: oostest.KeyID, Secret: test.keySecret}
		if err := key.SignACS3(r, nil, time.Now(), "n"+test.code); err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		a := oostest.ReadAnswer(t, resp)
		want(t, a, test.status, test.code)
		message, _ := a.Body["Message"].(string)
		if test.keySecret == "x" && !strings.Contains(message, "server string to sign is:ACS3-HMAC-SHA256\n") {
			t.Errorf("message = %q, want the string to sign in it", message)
		}
	}
}

// The aliyun CLI signs V1 with everything in the query, an empty SignatureType, the type of a form
// without a body, and headers that mean nothing in V1.
func TestTheShapeOfTheCLI(t *testing.T) {
	in := run(t)
	key := in.Assume(t, "ops", "alice", nil)
	values := signed(t, sign.Key{ID: key.AccessKeyID, Secret: key.AccessKeySecret, SecurityToken: key.SecurityToken},
		time.Now(), "a175d2b890fe48d66645f1406eb81148", url.Values{"Action": {"ListExecutions"},
			"Version":  {"2019-06-01"},
			"RegionId": {"cn-hangzhou"}, "SignatureType": {""}})
	r, err := http.NewRequest("POST", in.OOS+"/?"+values.Encode(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"Content-Type": "application/x-www-form-urlencoded", "x-acs-action": "ListExecutions",
		"x-acs-version":              "2019-06-01",
		"x-acs-credentials-provider": "static_sts", "x-sdk-client": "golang/1.0.0", "x-sdk-invoke-type": "common",
	} {
		r.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	want(t, oostest.ReadAnswer(t, resp), 200, "")
}

// A nonce is forgotten when its request's time is no longer accepted.
func TestNoncesAreForgotten(t *testing.T) {
	wall := time.Now().Truncate(time.Second)
	in := run(t, func(o *oostest.Options) { o.Account.Wall = func() time.Time { return wall } })
	at := wall
	form := signed(t, testKey, at, "n", nil).Encode()
	want(t, post(t, in.STS, form), 400, "MissingRoleArn")
	wall = at.Add(sign.MaxSkew)
	want(t, post(t, in.STS, form), 400, "SignatureNonceUsed")
	wall = at.Add(sign.MaxSkew + time.Minute)
	want(t, post(t, in.STS, form), 400, "InvalidTimeStamp.Expired")
	want(t, post(t, in.STS, signed(t, testKey, wall, "n", nil).Encode()), 400, "MissingRoleArn")
}

func TestFaults(t *testing.T) {
	in := run(t)
	set := func(f sts.Fault) {
		in.SetFault(func(r sts.Request) sts.Fault {
			if r.Product != "Sts" || r.Action != "AssumeRole" || r.Principal != "acs:ram::"+account+":user/chatconf" ||
				r.Params["RoleSessionName"] != "alice" || r.Params["Signature"] != "" {
				t.Errorf("request = %+v", r)
			}
			return f
		})
	}
	sessions := func(want int) {
		t.Helper()
		if got := len(in.Account.Sessions()); got != want {
			t.Errorf("%d sessions, want %d", got, want)
		}
	}
	set(sts.Fault{Err: sts.Throttled(2)})
	a := assume(t, in, oostest.Key, nil)
	want(t, a, 400, "Throttling.User")
	for name, value := range map[string]string{"Retry-After": "2", "X-Acs-Retry-After": "2000",
		"X-Ratelimit-User": "Limit:1,Remain:0,TimeLeft:2"} {
		if got := a.Header.Get(name); got != value {
			t.Errorf("%s = %q, want %q", name, got, value)
		}
	}
	set(sts.Fault{Err: sts.Unavailable()})
	want(t, assume(t, in, oostest.Key, nil), 503, "ServiceUnavailable")
	sessions(0)
	set(sts.Fault{Err: sts.Internal(), Applied: true})
	want(t, assume(t, in, oostest.Key, nil), 500, "InternalError")
	sessions(1)
	set(sts.Fault{Body: []byte(`{"Credentials":null}`)})
	if a = assume(t, in, oostest.Key, nil); a.Status != 200 || a.Body["Credentials"] != nil {
		t.Errorf("answer = %+v, want the fault's", a)
	}
	for applied, want := range map[bool]int{false: 2, true: 3} {
		set(sts.Fault{Drop: true, Applied: applied})
		values := url.Values{"RoleArn": {"acs:ram::" + account + ":role/ops"}, "RoleSessionName": {"alice"}}
		form := signed(t, testKey, time.Now(), fmt.Sprint("drop", applied), values).Encode()
		resp, err := http.Post(in.STS, "application/x-www-form-urlencoded", strings.NewReader(form))
		if err == nil {
			resp.Body.Close()
			t.Errorf("answer = %s, want a closed connection", resp.Status)
		}
		if applied {
			sessions(want)
		}
	}
}

// A delayed request waits for the test, or for the client to go.
func TestDelays(t *testing.T) {
	in := run(t)
	release, asked := make(chan struct{}), make(chan struct{}, 2)
	in.SetFault(func(sts.Request) sts.Fault {
		asked <- struct{}{}
		return sts.Fault{Before: release}
	})
	values := url.Values{"RoleArn": {"acs:ram::" + account + ":role/ops"}, "RoleSessionName": {"alice"}}
	r := httptest.NewRequest("POST", "/", strings.NewReader(signed(t, testKey, time.Now(), "n1", values).Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan any)
	go func() {
		defer func() { gone <- recover() }()
		in.Account.Handler().ServeHTTP(httptest.NewRecorder(), r.WithContext(ctx))
	}()
	<-asked
	cancel()
	if got := <-gone; got != http.ErrAbortHandler {
		t.Errorf("a client that went: %v, want %v", got, http.ErrAbortHandler)
	}
	done := make(chan oostest.Answer)
	go func() { done <- assume(t, in, oostest.Key, nil) }()
	<-asked
	close(release)
	want(t, <-done, 200, "")
	if n := len(in.Account.Sessions()); n != 1 {
		t.Errorf("%d sessions, want that of the released request", n)
	}
}

// An operation's error that is not an *Error tells nothing, and an answer that cannot be encoded is
// a mistake in the program.
func TestServe(t *testing.T) {
	in := run(t)
	h := in.Account.Serve(sts.API{Product: "Test", Version: "1", Operations: map[string]func(*sts.Call) (any, error){
		"Fail":  func(*sts.Call) (any, error) { return nil, errors.New("secret reason") },
		"Empty": func(*sts.Call) (any, error) { return struct{}{}, nil },
		"Odd":   func(*sts.Call) (any, error) { return make(chan int), nil },
	}})
	call := func(action string) *httptest.ResponseRecorder {
		values := signed(t, testKey, time.Now(), action, url.Values{"Action": {action}, "Version": {"1"}})
		r := httptest.NewRequest("POST", "/", strings.NewReader(values.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	if w := call("Fail"); w.Code != 500 || strings.Contains(w.Body.String(), "secret reason") ||
		!strings.Contains(w.Body.String(), `"Code":"InternalError"`) {
		t.Errorf("answer = %d %s", w.Code, w.Body)
	}
	if a := oostest.ReadAnswer(t, call("Empty").Result()); len(a.Body) != 1 {
		t.Errorf("answer = %v, want the RequestId only", a.Body)
	}
	defer func() {
		if got := fmt.Sprint(recover()); !strings.Contains(got, "sts: encode chan int") {
			t.Errorf("panic = %s", got)
		}
	}()
	call("Odd")
}
