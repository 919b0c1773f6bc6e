package callback_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"chatconf/shared/dispatch"
	"chatconf/shared/platform/callback"
	"chatconf/shared/platform/platformtest"
	"chatconf/shared/secret"
)

// serve starts a server in the place of api.example.com.
func serve(t *testing.T, handler http.HandlerFunc) *callback.Client {
	t.Helper()
	s := httptest.NewTLSServer(handler) // whose certificate is for example.com and all under it
	t.Cleanup(s.Close)
	transport := s.Client().Transport.(*http.Transport).Clone() // which trusts the certificate
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, s.Listener.Addr().String())
	}
	t.Cleanup(transport.CloseIdleConnections)
	return callback.NewClient(callback.ClientOptions{Transport: transport})
}

var hosts = []string{"api.example.com", "hooks.example.com"}

func TestDo(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.WriteHeader(201)
		fmt.Fprintf(w, `{"method":%q,"path":%q,"body":%q,"token":%q,"type":%q}`, r.Method, r.URL.RequestURI(), body,
			r.Header.Get("X-Token"), r.Header.Get("Content-Type"))
	})
	a, err := c.Do(t.Context(), callback.Call{What: "test", URL: "https://api.example.com/a%2Fb?c=d", Hosts: hosts,
		Body: []byte("{}"), Headers: map[string]secret.Text{"X-Token": "not-a-real-token"}})
	if err != nil || a.Status != 201 || a.Text("method") != "POST" || a.Text("path") != "/a%2Fb?c=d" ||
		a.Text("body") != "{}" || a.Text("token") != "not-a-real-token" ||
		!strings.HasPrefix(a.Text("type"), "application/json") {
		t.Errorf("%+v, %v", a, err)
	}
	if a, err := c.Do(t.Context(), callback.Call{What: "test", Method: "GET", URL: "https://api.example.com",
		Hosts: hosts}); err != nil || a.Text("method") != "GET" || a.Text("type") != "" {
		t.Errorf("%+v, %v", a, err)
	}
}

// An address comes with a message, whose signature may not cover it: only the platform's own hosts
// are called, by https.
func TestOtherAddressesAreNotCalled(t *testing.T) {
	var called atomic.Int32
	c := serve(t, func(http.ResponseWriter, *http.Request) { called.Add(1) })
	for _, address := range []string{
		"", "http://api.example.com/x", "https://evil.example.com/x", "https://api.example.com.evil.example.com/x",
		"https://api.example.com@evil.example.com/x",
		"https://evil.example.com#api.example.com", "https://evil.example.com\\@api.example.com/",
		"https://user:password@api.example.com/x", "https://api.example.com:8443/x",
		"https://api.example.com:443/x", "//api.example.com/x", "https:api.example.com/x", "https://API.example.com./x",
		"https://api.example.com/x#secret-fragment", "https://127.0.0.1/x",
		"https://[::1]/x", "https://api.example.com/%zz", "https://api.example.com\n/x", "file:///etc/passwd",
		"gopher://api.example.com/", "https://\u0430pi.example.com/",
	} {
		_, err := c.Do(t.Context(), callback.Call{What: "test", URL: secret.Text(address), Hosts: hosts})
		if err == nil {
			t.Errorf("%q is called", address)
		} else if got := err.Error(); strings.Contains(got, "example.com") || strings.Contains(got, "passw") {
			t.Errorf("%q: the error %q holds it", address, got)
		}
	}
	if called.Load() != 0 {
		t.Errorf("%d calls were made", called.Load())
	}
	if _, err := c.Do(t.Context(), callback.Call{What: "test", Method: "bad method",
		URL: "https://api.example.com/secret", Hosts: hosts}); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("an invalid method: %v", err)
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	var calls atomic.Int32
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		http.Redirect(w, r, "/other", http.StatusTemporaryRedirect)
	})
	a, err := c.Do(t.Context(), callback.Call{What: "test", URL: "https://api.example.com/x",
		Hosts: hosts, Body: []byte("{}")})
	if err != nil || a.Status != http.StatusTemporaryRedirect || calls.Load() != 1 || a.Keys() != 0 {
		t.Errorf("%+v after %d calls, %v", a, calls.Load(), err)
	}
}

func TestAnswersThatAreNoneOrTooLong(t *testing.T) {
	for body, want := range map[string]string{"<html>banned</html>": "<html>banned</html>", "": "", "[1]": "[1]",
		`{"a":1,"a":2}`: `{"a":1,"a":2}`} {
		c := serve(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, body) })
		a, err := c.Do(t.Context(), callback.Call{What: "test", URL: "https://api.example.com/x", Hosts: hosts})
		if err != nil || a.Raw != want || a.Keys() != 0 {
			t.Errorf("%q: %+v, %v", body, a, err)
		}
	}
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, strings.Repeat(" ", 70_000)) })
	if _, err := c.Do(t.Context(), callback.Call{What: "test", URL: "https://api.example.com/x",
		Hosts: hosts}); err == nil {
		t.Error("an answer of 70 KB is read")
	}
	c = serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		io.WriteString(w, "{}")
	})
	if _, err := c.Do(t.Context(), callback.Call{What: "test", URL: "https://api.example.com/x",
		Hosts: hosts}); err == nil {
		t.Error("an answer that ends too early is taken")
	}
}

func TestErrorsHoldNoAddress(t *testing.T) {
	c := callback.NewClient(callback.ClientOptions{Transport: platformtest.RoundTripper(
		func(*http.Request) (*http.Response, error) { return nil, syscall.ECONNREFUSED })})
	_, err := c.Do(t.Context(), callback.Call{What: "test", URL: "https://hooks.example.com/secret?token=secret",
		Hosts: hosts})
	if err == nil || strings.Contains(err.Error(), "secret") || err.Error() != "test: the connection was refused" {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c = callback.NewClient(callback.ClientOptions{})
	if _, err = c.Do(ctx, callback.Call{What: "test", URL: "https://hooks.example.com/secret",
		Hosts: hosts}); !errors.Is(err, context.Canceled) || strings.Contains(err.Error(), "secret") {
		t.Errorf("%v", err)
	}
	refused := (&callback.Answer{Status: 503}).Refused("test", "a\nb "+strings.Repeat("x", 100), false)
	var e *callback.CallError
	if !errors.As(refused, &e) || !e.Again || strings.Contains(refused.Error(), "\n") || len(refused.Error()) > 120 {
		t.Errorf("%v", refused)
	}
	if got := (&callback.Answer{Status: 200}).Refused("test", "", false).Error(); !strings.Contains(got, "200") {
		t.Errorf("%s", got)
	}
}

// hangs is a body that never comes.
type hangs struct{ context.Context }

func (b hangs) Read([]byte) (int, error) { <-b.Done(); return 0, b.Err() }
func (hangs) Close() error               { return nil }

// A platform that hangs is left after ten seconds, and may answer another time.
func TestAPlatformThatHangs(t *testing.T) {
	for about, call := range map[string]platformtest.RoundTripper{
		"before its status": func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil,
				r.Context().Err()
		},
		"after its status": func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusOK, Body: hangs{r.Context()}, Request: r}, nil
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			c := callback.NewClient(callback.ClientOptions{Transport: call})
			began := time.Now()
			_, err := c.Do(t.Context(), callback.Call{What: "test",
				URL: "https://api.example.com/not-a-real-path", Hosts: hosts})
			if err == nil || !strings.Contains(err.Error(), "there was no answer in time") || !dispatch.Retryable(err) {
				t.Errorf("%s: %v", about, err)
			}
			if took := time.Since(began); took != 10*time.Second {
				t.Errorf("%s: it took %v", about, took)
			}
		})
	}
}

// An error says whether another attempt may help, also from within another.
func TestPassing(t *testing.T) {
	_, host := callback.NewClient(callback.ClientOptions{}).Do(t.Context(),
		callback.Call{What: "test", URL: "https://evil.example.com/", Hosts: hosts})
	for about, test := range map[string]struct {
		err  error
		want bool
	}{
		"refused for good":   {&callback.CallError{Code: "230002", Status: 400}, false},
		"over a connection":  {new(callback.Answer).Refused("test", "40008", false), false},
		"busy":               {(&callback.Answer{Status: 503}).Refused("test", "", false), true},
		"too often":          {(&callback.Answer{Status: 429}).Refused("test", "", false), true},
		"another host":       {host, false},
		"a setting":          {callback.Final("test: %s is not set", "X"), false},
		"a setting, within":  {fmt.Errorf("send: %w", callback.Final("test: X is not set")), false},
		"one that is silent": {errors.New("x"), true},
	} {
		if strings.Contains(test.err.Error(), "status 0") {
			t.Errorf("%s: %v", about, test.err)
		}
		if got := dispatch.Retryable(test.err); got != test.want {
			t.Errorf("%s: Retryable(%v) = %v, want %v", about, test.err, got, test.want)
		}
	}
	if got := callback.Final("test: %s is not set", "X").Error(); got != "test: X is not set" {
		t.Errorf("Final = %q", got)
	}
}

// A connection is opened again and again, unless the platform says that a setting is wrong.
func TestAConnectionThatIsNotOpened(t *testing.T) {
	wrong := map[string]string{"invalid_auth": "the token is not accepted"}
	for code, again := range map[string]bool{"invalid_auth": false, "busy": true, "unheard_of": true, "": true} {
		err := (&callback.Answer{Status: 200}).NotOpened("test", code, wrong)
		if dispatch.Retryable(err) != again || again == strings.Contains(err.Error(), "is not accepted") ||
			!strings.HasPrefix(err.Error(), "test: ") {
			t.Errorf("%q: %v", code, err)
		}
	}
}

// A panic while a token is fetched is that of the one request. Those who wait for the token, and
// those who come later, fetch it themselves.
func TestPanicWhileATokenIsFetched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := callback.NewClient(callback.ClientOptions{})
		panics := func(context.Context) (secret.Text, time.Duration, error) {
			time.Sleep(time.Second)
			panic("planted")
		}
		fetch := func(context.Context) (secret.Text, time.Duration, error) { return "token", time.Hour, nil }
		var wg sync.WaitGroup
		wg.Go(func() {
			defer func() {
				if v := recover(); v != "planted" {
					t.Errorf("the request that fetched recovered %v", v)
				}
			}()
			c.Token(t.Context(), "app", panics)
		})
		synctest.Wait()
		for range 4 {
			wg.Go(func() {
				if got, err := c.Token(t.Context(), "app", fetch); got != "token" || err != nil {
					t.Errorf("one that waited: %s, %v", got.Reveal(), err)
				}
			})
		}
		wg.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if got, err := c.Token(ctx, "app", fetch); got != "token" || err != nil {
			t.Errorf("one that came later: %s, %v", got.Reveal(), err)
		}
	})
}

func TestTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := callback.NewClient(callback.ClientOptions{})
		fetched := 0
		var mu sync.Mutex
		fetch := func(context.Context) (secret.Text, time.Duration, error) {
			time.Sleep(time.Second)
			mu.Lock()
			defer mu.Unlock()
			fetched++
			return secret.Text(fmt.Sprint("token-", fetched)), 2 * time.Hour, nil
		}
		var wg sync.WaitGroup
		for range 16 { // all at once: one fetches, the others wait
			wg.Go(func() {
				if got, err := c.Token(t.Context(), "app", fetch); got != "token-1" || err != nil {
					t.Errorf("Token = %s, %v", got.Reveal(), err)
				}
			})
		}
		wg.Wait()
		time.Sleep(117 * time.Minute)
		if got, _ := c.Token(t.Context(), "app", fetch); got != "token-1" {
			t.Errorf("while it lives: %s", got.Reveal())
		}
		time.Sleep(2 * time.Minute)
		if got, _ := c.Token(t.Context(), "app", fetch); got != "token-2" {
			t.Errorf("at its end: %s", got.Reveal())
		}
		if got, _ := c.Token(t.Context(), "other app", fetch); got != "token-3" {
			t.Errorf("of another app: %s", got.Reveal())
		}
		c.Forget("app", "token-1") // an old one: another caller has a new one by now
		if got, _ := c.Token(t.Context(), "app", fetch); got != "token-2" {
			t.Errorf("after an old one was forgotten: %s", got.Reveal())
		}
		c.Forget("app", "token-2")
		c.Forget("app", "token-2")
		if got, _ := c.Token(t.Context(), "app", fetch); got != "token-4" {
			t.Errorf("after it was forgotten: %s", got.Reveal())
		}
		// Whoever waits may give up, and while a token is fetched there is none to forget.
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		go c.Token(t.Context(), "slow", fetch)
		synctest.Wait()
		c.Forget("slow", "token-5")
		if _, err := c.Token(ctx, "slow", fetch); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		time.Sleep(time.Second) // until it is there
	})
}

func TestTokensAreBounded(t *testing.T) {
	c := callback.NewClient(callback.ClientOptions{})
	fetch := func(context.Context) (secret.Text, time.Duration, error) { return "not-a-real-token", time.Hour, nil }
	for i := range callback.MaxTokens + 10 {
		if _, err := c.Token(t.Context(), fmt.Sprint("app-", i), fetch); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := callback.KeptTokens(c), callback.MaxTokens; got != want {
		t.Errorf("%d tokens are kept, want %d", got, want)
	}
}

func TestATokenThatCannotBeFetchedIsAskedForAgain(t *testing.T) {
	c := callback.NewClient(callback.ClientOptions{})
	fail := func(context.Context) (secret.Text, time.Duration, error) { return "", 0, errors.New("busy") }
	if _, err := c.Token(t.Context(), "app", fail); err == nil {
		t.Error("no error")
	}
	if err := c.WithToken(t.Context(), "app", fail, nil); err == nil {
		t.Error("no error")
	}
	short := func(context.Context) (secret.Text, time.Duration, error) { return "x", time.Minute, nil }
	for range 2 { // it lives too short to be kept, and serves once
		if got, err := c.Token(t.Context(), "app", short); got != "x" || err != nil {
			t.Errorf("%v, %v", got, err)
		}
	}
}

func TestAnExpiredTokenIsRefreshedOnce(t *testing.T) {
	c := callback.NewClient(callback.ClientOptions{})
	fetched := 0
	fetch := func(context.Context) (secret.Text, time.Duration, error) {
		fetched++
		return secret.Text(fmt.Sprint(fetched)), time.Hour, nil
	}
	var used []string
	do := func(good string) func(secret.Text) (bool, error) {
		return func(token secret.Text) (bool, error) {
			used = append(used, token.Reveal())
			if token.Reveal() == good {
				return false, nil
			}
			return true, errors.New("expired")
		}
	}
	if err := c.WithToken(t.Context(), "app", fetch, do("2")); err != nil || strings.Join(used, " ") != "1 2" {
		t.Errorf("%q, %v", used, err)
	}
	used = nil
	if err := c.WithToken(t.Context(), "app", fetch, do("none")); err == nil || strings.Join(used, " ") != "2 3" {
		t.Errorf("%q, %v", used, err)
	}
}

func TestSeconds(t *testing.T) {
	for text, want := range map[string]time.Duration{"7200": 2 * time.Hour, "": 0, "-1": 0, "1e3": 0,
		"99999999999999999999": 0, "999999": 24 * time.Hour} {
		if got := callback.Lifetime(text); got != want {
			t.Errorf("Seconds(%q) = %s, want %s", text, got, want)
		}
	}
}
