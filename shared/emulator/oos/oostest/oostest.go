// Package oostest runs the emulators of OOS and STS in a test, as one account.
package oostest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"chatconf/shared/emulator/oos"
	"chatconf/shared/emulator/sts"
	"chatconf/shared/rpc/sign"
	"chatconf/shared/secret"
)

// The user that every account has; its policies are the caller's.
const (
	KeyID     = "test-key"
	KeySecret = "test-secret"
	User      = "chatconf"
)

// Start is the first time of an Instance's clock.
var Start = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

// Options are what an Instance is made of. Empty are a user User who may do everything, and no role
// and no template.
type Options struct {
	Account   sts.Options
	Templates []oos.Template
}

// An Instance is an account with both services running.
type Instance struct {
	STS, OOS string // http://127.0.0.1:port
	Account  *sts.Account
	Server   *oos.Server

	mu    sync.Mutex
	now   time.Time
	fault func(sts.Request) sts.Fault
	ids   atomic.Int64
}

// Everything is a policy that allows everything.
const Everything = `{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`

// Allow returns a policy that allows actions on a resource.
func Allow(resource string, actions ...string) string {
	text, err := json.Marshal(actions)
	if err != nil {
		panic(err) // strings always encode
	}
	return fmt.Sprintf(`{"Version":"1","Statement":[{"Effect":"Allow","Action":%s,"Resource":%q}]}`, text, resource)
}

// RunT starts both services for the duration of the test, with everything in memory. Each function
// in set can change the options.
func RunT(t testing.TB, set ...func(*Options)) *Instance {
	t.Helper()
	in := &Instance{now: Start}
	o := Options{Account: sts.Options{
		Users: []sts.User{{Name: User, KeyID: KeyID, KeySecret: KeySecret, Policies: []string{Everything}}},
		Now:   in.Now,
		NewID: func() string { return fmt.Sprintf("00000000-0000-0000-0000-%012d", in.ids.Add(1)) },
	}}
	for _, fn := range set {
		fn(&o)
	}
	in.fault = o.Account.Fault
	o.Account.Fault = in.ask
	var err error
	if in.Account, err = sts.New(o.Account); err != nil {
		t.Fatal(err)
	}
	if in.Server, err = oos.New(oos.Options{Account: in.Account, Templates: o.Templates}); err != nil {
		t.Fatal(err)
	}
	for address, handler := range map[*string]http.Handler{&in.OOS: in.Server, &in.STS: in.Account.Handler()} {
		server := httptest.NewServer(handler)
		*address = server.URL
		t.Cleanup(func() {
			server.CloseClientConnections() // ends requests that a fault delays
			server.Close()
		})
	}
	return in
}

// Now returns the time of the emulators.
func (in *Instance) Now() time.Time {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.now
}

// Advance moves the clock.
func (in *Instance) Advance(d time.Duration) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.now = in.now.Add(d)
}

// SetFault sets the fault hook for later requests. Nil removes it.
func (in *Instance) SetFault(hook func(sts.Request) sts.Fault) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.fault = hook
}

func (in *Instance) ask(r sts.Request) sts.Fault {
	in.mu.Lock()
	hook := in.fault
	in.mu.Unlock()
	if hook == nil {
		return sts.Fault{}
	}
	return hook(r)
}

// Credentials are an access key to sign with.
type Credentials struct {
	secret.Hidden

	AccessKeyID, AccessKeySecret, SecurityToken string
}

// Key are the credentials of User.
var Key = Credentials{AccessKeyID: KeyID, AccessKeySecret: KeySecret}

// An Answer is a service's answer. Code is empty for success.
type Answer struct {
	Status int
	Code   string
	Header http.Header
	Body   map[string]any
}

// Call signs a request in the V1 dialect and sends it.
func (in *Instance) Call(t testing.TB, key Credentials, action string, params map[string]string) Answer {
	t.Helper()
	address, version := in.OOS, "2019-06-01"
	if action == "AssumeRole" {
		address, version = in.STS, "2015-04-01"
	}
	values := url.Values{"Action": {action}, "Version": {version}, "Format": {"JSON"}}
	for name, value := range params {
		values.Set(name, value)
	}
	signer := sign.Key{ID: key.AccessKeyID, Secret: key.AccessKeySecret, SecurityToken: key.SecurityToken}
	if err := signer.SignV1(http.MethodPost, values, time.Now(), fmt.Sprintf("nonce-%d", in.ids.Add(1))); err != nil {
		t.Fatal(err)
	}
	resp, err := http.Post(address, "application/x-www-form-urlencoded", strings.NewReader(values.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	return ReadAnswer(t, resp)
}

// ReadAnswer reads a JSON answer, which must have the request id of its header.
func ReadAnswer(t testing.TB, resp *http.Response) Answer {
	t.Helper()
	defer resp.Body.Close()
	a := Answer{Status: resp.StatusCode, Header: resp.Header}
	if err := json.NewDecoder(resp.Body).Decode(&a.Body); err != nil {
		t.Fatalf("%s: %v", resp.Status, err)
	}
	if id := resp.Header.Get("X-Acs-Request-Id"); id == "" || a.Body["RequestId"] != id {
		t.Errorf("RequestId is %v, the header has %q", a.Body["RequestId"], id)
	}
	a.Code, _ = a.Body["Code"].(string)
	if (a.Status == http.StatusOK) != (a.Code == "") {
		t.Errorf("status %d with code %q", a.Status, a.Code)
	}
	return a
}

// Assume assumes a role as User, with these further parameters, and returns the credentials.
func (in *Instance) Assume(t testing.TB, role, session string, params map[string]string) Credentials {
	t.Helper()
	all := map[string]string{"RoleArn": "acs:ram::" + in.Account.ID() + ":role/" + role, "RoleSessionName": session}
	for name, value := range params {
		all[name] = value
	}
	a := in.Call(t, Key, "AssumeRole", all)
	c, _ := a.Body["Credentials"].(map[string]any)
	if a.Code != "" || c == nil {
		t.Fatalf("AssumeRole %s: %d %s: %v", role, a.Status, a.Code, a.Body["Message"])
	}
	text := func(name string) string { s, _ := c[name].(string); return s }
	return Credentials{AccessKeyID: text("AccessKeyId"), AccessKeySecret: text("AccessKeySecret"),
		SecurityToken: text("SecurityToken")}
}
