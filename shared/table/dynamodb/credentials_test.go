package dynamodb_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"chatconf/shared/invoke"
	"chatconf/shared/table"
	"chatconf/shared/table/dynamodb"
	"chatconf/shared/table/dynamodb/dynamotest"

	"github.com/aws/aws-sdk-go-v2/aws"
)

func environment(values map[string]string) func(string) string {
	return func(name string) string { return values[name] }
}

func TestEnvironmentRefuses(t *testing.T) {
	for what, test := range map[string]struct {
		env  map[string]string
		want string
	}{
		"nothing":                        {nil, "none of AWS_ACCESS_KEY_ID"},
		"a key without a secret":         {map[string]string{"AWS_ACCESS_KEY_ID": "AKID"}, "AWS_SECRET_ACCESS_KEY is not"},
		"another host by http":           {map[string]string{"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://example.com/creds"}, `host "example.com"`},
		"the metadata service":           {map[string]string{"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.169.254/latest"}, `host "169.254.169.254"`},
		"a name that begins like ours":   {map[string]string{"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1.example.com/"}, "host"},
		"a user that looks like a host":  {map[string]string{"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1@example.com/"}, "host"},
		"a relative URI that is a host":  {map[string]string{"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": ".example.com/"}, "host"},
		"a relative URI that is an user": {map[string]string{"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "@example.com/"}, "host"},
		"another scheme":                 {map[string]string{"AWS_CONTAINER_CREDENTIALS_FULL_URI": "ftp://127.0.0.1/"}, "scheme"},
		"no URL":                         {map[string]string{"AWS_CONTAINER_CREDENTIALS_FULL_URI": "127.0.0.1"}, "not a URL"},
	} {
		c, err := dynamodb.Environment(environment(test.env))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("Environment with %s = %v, %v, want an error with %q", what, c, err, test.want)
		}
	}
}

func TestEnvironmentKeys(t *testing.T) {
	c, err := dynamodb.Environment(environment(map[string]string{
		"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "SECRET", "AWS_SESSION_TOKEN": "TOKEN",
		"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1/", // the keys go first
	}))
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Retrieve(t.Context())
	if err != nil || got.AccessKeyID != "AKID" || got.SecretAccessKey != "SECRET" || got.SessionToken != "TOKEN" {
		t.Errorf("Retrieve = %+v, %v, want those of the environment", got, err)
	}
}

// An invocation's own credentials go before the table's; a table with neither cannot do it now.
func TestInvocationCredentials(t *testing.T) {
	f := prepare(t)
	var keys, tokens []string
	front := roundTripper(func(r *http.Request) (*http.Response, error) {
		_, after, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
		key, _, _ := strings.Cut(after, "/")
		keys, tokens = append(keys, key), append(tokens, r.Header.Get("X-Amz-Security-Token"))
		return f.RoundTrip(r)
	})
	k := table.Key{Partition: "p", Sort: "a"}
	tb := open(t, front, dynamodb.Options{})
	ctx := invoke.With(t.Context(), &invoke.Invocation{Credentials: invoke.Credentials{AccessKeyID: "PERCALL", AccessKeySecret: "s", SecurityToken: "token"}})
	for _, ctx := range []context.Context{ctx, t.Context(), ctx} {
		if _, err := tb.Get(ctx, k); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := fmt.Sprint(keys, tokens), "[PERCALL AKIDEXAMPLE PERCALL] [token  token]"; got != want {
		t.Errorf("requests are signed by %s, want %s", got, want)
	}
	tb, err := dynamodb.New("chatconf", dynamodb.Options{Region: "eu-central-1", Transport: front})
	if err != nil {
		t.Fatal(err)
	}
	dynamodb.SetSleep(tb, func(context.Context, time.Duration) error { return nil })
	if _, err := tb.Get(ctx, k); err != nil {
		t.Errorf("Get with the invocation's credentials only: %v", err)
	}
	if _, err := tb.Get(t.Context(), k); err == nil || !strings.Contains(err.Error(), "no credentials") {
		t.Errorf("Get without credentials = %v, want an error that says so", err)
	}
}

// An agent is a container's endpoint for credentials.
type agent struct {
	mu      sync.Mutex
	fetches int
	tokens  []string
	expires time.Time
	status  int
	body    string // instead of credentials
}

func (a *agent) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.fetches++
	a.tokens = append(a.tokens, r.Header.Get("Authorization"))
	if a.status != 0 {
		w.WriteHeader(a.status)
	}
	if a.body != "" {
		io.WriteString(w, a.body)
		return
	}
	fmt.Fprintf(w, `{"AccessKeyId":"KEY%d","SecretAccessKey":"secret","Token":"token","Expiration":%q,"RoleArn":"arn"}`, a.fetches, a.expires.Format(time.RFC3339))
}

// newContainer returns the credentials of an agent, and their clock.
func newContainer(t *testing.T, a *agent, env map[string]string) (aws.CredentialsProvider, *time.Time) {
	t.Helper()
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	a.expires = now.Add(time.Hour)
	all := map[string]string{"AWS_CONTAINER_CREDENTIALS_FULL_URI": server.URL + "/role"}
	maps.Copy(all, env)
	c, err := dynamodb.Environment(environment(all))
	if err != nil {
		t.Fatal(err)
	}
	dynamodb.SetContainer(c, http.DefaultTransport, func() time.Time { return now })
	return c, &now
}

func wantKey(t *testing.T, c aws.CredentialsProvider, want string) {
	t.Helper()
	if got, err := c.Retrieve(t.Context()); err != nil || got.AccessKeyID != want || got.SecretAccessKey != "secret" || got.SessionToken != "token" {
		t.Errorf("Retrieve = %+v, %v, want %s", got, err, want)
	}
}

func TestContainerRefreshes(t *testing.T) {
	a := &agent{}
	c, now := newContainer(t, a, nil)
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() { wantKey(t, c, "KEY1") }) // one fetches for all
	}
	callers.Wait()
	*now = a.expires.Add(-5*time.Minute - time.Second)
	wantKey(t, c, "KEY1")
	*now = a.expires.Add(-5 * time.Minute)
	a.expires = now.Add(time.Hour)
	wantKey(t, c, "KEY1") // still good
	dynamodb.AwaitFetch(c)
	wantKey(t, c, "KEY2")

	// A refresh that fails leaves the old credentials in use while they are good; no longer.
	old := a.expires
	*now = old.Add(-time.Minute)
	a.status = 500
	wantKey(t, c, "KEY2")
	dynamodb.AwaitFetch(c)
	*now = old
	if got, err := c.Retrieve(t.Context()); err == nil || !strings.Contains(err.Error(), "500") {
		t.Errorf("Retrieve of expired credentials = %+v, %v, want an error", got, err)
	}
	a.status, a.expires = 0, now.Add(time.Minute) // so short that the last quarter counts
	wantKey(t, c, "KEY5")
	*now = now.Add(44 * time.Second)
	wantKey(t, c, "KEY5")
	for range 3 { // who was refused KEY5 at the same time drops it, and not what has come in its place
		c.(interface{ Invalidate(string) }).Invalidate("KEY5")
		wantKey(t, c, "KEY6")
	}
}

// A panic while credentials are fetched is the error of those who wait, and not the end of the process.
func TestContainerPanics(t *testing.T) {
	a := new(agent)
	c, now := newContainer(t, a, nil)
	dynamodb.SetContainer(c, roundTripper(func(*http.Request) (*http.Response, error) { panic("planted") }), func() time.Time { return *now })
	if _, err := c.Retrieve(t.Context()); err == nil || !strings.Contains(err.Error(), "panic: planted\ngoroutine ") {
		t.Errorf("Retrieve = %v", err)
	}
	dynamodb.SetContainer(c, http.DefaultTransport, func() time.Time { return *now })
	*now = now.Add(time.Minute)
	wantKey(t, c, "KEY1")
}

// While credentials are good nobody waits for new ones, and an endpoint that does not answer is asked again after ten seconds.
func TestContainerHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := dynamodb.Environment(environment(map[string]string{"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/role"}))
		if err != nil {
			t.Fatal(err)
		}
		var fetches atomic.Int32
		expires := time.Now().Add(time.Hour)
		dynamodb.SetContainer(c, roundTripper(func(r *http.Request) (*http.Response, error) {
			if n := fetches.Add(1); n > 1 {
				<-r.Context().Done()
				return nil, r.Context().Err()
			}
			body := fmt.Sprintf(`{"AccessKeyId":"KEY1","SecretAccessKey":"secret","Token":"token","Expiration":%q}`, expires.Format(time.RFC3339))
			return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(body))}, nil
		}), time.Now)
		wantKey(t, c, "KEY1")
		time.Sleep(time.Until(expires.Add(-5 * time.Minute)))
		for range 24 { // two minutes, by half seconds: a fetch of two seconds, a pause of ten
			for range 10 {
				start := time.Now()
				wantKey(t, c, "KEY1")
				if took := time.Since(start); took > 0 {
					t.Fatalf("Retrieve of good credentials took %v, want no time", took)
				}
				time.Sleep(500 * time.Millisecond)
			}
		}
		if n := fetches.Load() - 1; n != 10 {
			t.Errorf("the endpoint was asked %d times in two minutes, want 10", n)
		}
		time.Sleep(time.Until(expires))
		start := time.Now()
		var callers sync.WaitGroup
		for range 8 {
			callers.Go(func() {
				if got, err := c.Retrieve(t.Context()); err == nil {
					t.Errorf("Retrieve of expired credentials = %+v, want an error", got)
				}
			})
		}
		callers.Wait()
		if took := time.Since(start); took != 2*time.Second {
			t.Errorf("eight callers without credentials waited %v, want 2s together", took)
		}

		// A caller does not wait longer than it has time.
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.Retrieve(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Retrieve in one second = %v, want DeadlineExceeded", err)
		}
		dynamodb.AwaitFetch(c)
	})
}

// A call that gets no credentials is not sent, nor tried again.
func TestNoCredentials(t *testing.T) {
	asked := 0
	failing := provider(func() (aws.Credentials, error) { asked++; return aws.Credentials{}, errors.New("nobody knows") })
	tb := open(t, roundTripper(func(*http.Request) (*http.Response, error) {
		t.Error("a request without credentials was sent")
		return nil, io.EOF
	}), dynamodb.Options{Credentials: failing})
	dynamodb.SetSleep(tb, func(context.Context, time.Duration) error { t.Error("the call pauses"); return nil })
	for name, call := range calls {
		asked = 0
		if err := call.do(t.Context(), tb); !errors.Is(err, table.ErrUnavailable) || !strings.Contains(err.Error(), "nobody knows") {
			t.Errorf("%s without credentials = %v, want ErrUnavailable that says why", name, err)
		}
		if asked != 1 {
			t.Errorf("%s asked %d times for credentials, want 1", name, asked)
		}
	}
}

type provider func() (aws.Credentials, error)

func (p provider) Retrieve(context.Context) (aws.Credentials, error) { return p() }

// An answer that quotes what was signed does not bring secrets into the error, nor lines into the log.
func TestErrorsShowNoSecret(t *testing.T) {
	own := credentials{AccessKeyID: "AKID", SecretAccessKey: "PLANTED-SECRET", SessionToken: "PLANTED-TOKEN"}
	percall := invoke.Credentials{AccessKeyID: "PERCALL", AccessKeySecret: "PLANTED-SECRET-2", SecurityToken: "PLANTED-TOKEN-2"}
	for what, answer := range map[string]func(r *http.Request, echo string) (*http.Response, error){
		"message": func(r *http.Request, echo string) (*http.Response, error) {
			return dynamotest.Answer(r, 400, dynamotest.Failure{Type: "InvalidSignatureException", Message: "The Canonical String should have been\n" + echo + strings.Repeat("\nx", 1000)}), nil
		},
		"code": func(r *http.Request, echo string) (*http.Response, error) {
			return dynamotest.Answer(r, 400, dynamotest.Failure{Type: echo}), nil
		},
		"request id": func(r *http.Request, echo string) (*http.Response, error) {
			resp := dynamotest.Answer(r, 400, dynamotest.Failure{Type: "AccessDeniedException"})
			resp.Header.Set("X-Amzn-RequestId", strings.ReplaceAll(echo, "\n", " "))
			return resp, nil
		},
		"transaction": func(r *http.Request, echo string) (*http.Response, error) {
			return dynamotest.Answer(r, 400, dynamotest.Failure{Type: "TransactionCanceledException", Message: echo}), nil
		},
		"transport": func(_ *http.Request, echo string) (*http.Response, error) {
			return nil, errors.New(echo)
		},
	} {
		tb := open(t, roundTripper(func(r *http.Request) (*http.Response, error) {
			token := r.Header.Get("X-Amz-Security-Token")
			return answer(r, "host:x\nx-amz-security-token:"+token+"\n"+strings.Replace(token, "TOKEN", "SECRET", 1))
		}), dynamodb.Options{Credentials: own})
		for _, ctx := range []context.Context{t.Context(), invoke.With(t.Context(), &invoke.Invocation{Credentials: percall})} {
			for name, call := range calls {
				err := call.do(ctx, tb)
				if err == nil || strings.Contains(err.Error(), "PLANTED") || what != "transport" && strings.Contains(err.Error(), "\n") || len(err.Error()) > 600 {
					t.Errorf("%s, echo in the %s: %v, want an error of one line without secrets", name, what, err)
				}
			}
			if err := dynamodb.Ensure(ctx, tb, dynamodb.Setup{}, func(string) {}); err == nil || strings.Contains(err.Error(), "PLANTED") {
				t.Errorf("Ensure, echo in the %s: %v, want an error without secrets", what, err)
			}
		}
	}
}

func TestContainerAuthorization(t *testing.T) {
	a := &agent{}
	c, now := newContainer(t, a, map[string]string{"AWS_CONTAINER_AUTHORIZATION_TOKEN": "Bearer fixed"})
	wantKey(t, c, "KEY1")

	path := filepath.Join(t.TempDir(), "token")
	for i, token := range []string{"Bearer one\n", "Bearer two"} {
		if err := os.WriteFile(path, []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			c, now = newContainer(t, a, map[string]string{"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": path, "AWS_CONTAINER_AUTHORIZATION_TOKEN": "other"})
		}
		*now = a.expires.Add(-time.Minute)
		a.expires = now.Add(time.Hour)
		if _, err := c.Retrieve(t.Context()); err != nil {
			t.Fatal(err)
		}
		dynamodb.AwaitFetch(c)
	}
	if got, want := fmt.Sprint(a.tokens), "[Bearer fixed Bearer one Bearer two]"; got != want {
		t.Errorf("the endpoint was sent %s, want %s", got, want)
	}

	for what, env := range map[string]map[string]string{
		"a token with a line break": {"AWS_CONTAINER_AUTHORIZATION_TOKEN": "top\nsecret"},
		"a token file that is gone": {"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": path + ".gone"},
	} {
		c, _ := newContainer(t, a, env)
		if _, err := c.Retrieve(t.Context()); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("Retrieve with %s = %v, want an error without the token", what, err)
		}
	}
}

func TestContainerGarbage(t *testing.T) {
	for what, body := range map[string]string{
		"no JSON":         "<html>secret</html>",
		"no key":          `{"SecretAccessKey":"secret"}`,
		"no secret":       `{"AccessKeyId":"secret"}`,
		"expired already": `{"AccessKeyId":"A","SecretAccessKey":"secret","Expiration":"2020-01-01T00:00:00Z"}`,
		"a bad time":      `{"AccessKeyId":"A","SecretAccessKey":"secret","Expiration":"secret"}`,
		"a huge answer":   `{"AccessKeyId":"` + strings.Repeat("secret", 20_000) + `","SecretAccessKey":"secret"}`,
	} {
		c, _ := newContainer(t, &agent{body: body}, nil)
		if got, err := c.Retrieve(t.Context()); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("Retrieve of %s = %+v, %v, want an error that shows nothing of it", what, got, err)
		}
	}
	elsewhere := &agent{}
	other := httptest.NewServer(elsewhere)
	defer other.Close()
	server := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusFound))
	defer server.Close()
	c, err := dynamodb.Environment(environment(map[string]string{"AWS_CONTAINER_CREDENTIALS_FULL_URI": server.URL, "AWS_CONTAINER_AUTHORIZATION_TOKEN": "t"}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Retrieve(t.Context()); err == nil || elsewhere.fetches > 0 {
		t.Errorf("Retrieve by a redirection = %v after %d fetches elsewhere, want an error after none", err, elsewhere.fetches)
	}
}

// A relative URI is one of the address that ECS has on each machine.
func TestContainerRelative(t *testing.T) {
	c, err := dynamodb.Environment(environment(map[string]string{"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/credentials/x"}))
	if err != nil {
		t.Fatal(err)
	}
	var asked string
	dynamodb.SetContainer(c, roundTripper(func(r *http.Request) (*http.Response, error) {
		asked = r.URL.String()
		return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(`{"AccessKeyId":"KEY1","SecretAccessKey":"secret","Token":"token"}`))}, nil
	}), time.Now)
	wantKey(t, c, "KEY1")
	wantKey(t, c, "KEY1") // without an expiration, for good
	if want := "http://169.254.170.2/v2/credentials/x"; asked != want {
		t.Errorf("%s was asked, want %s", asked, want)
	}
}
