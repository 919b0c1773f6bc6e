package http_test

import (
	"context"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"chatconf/shared/command"
	"chatconf/shared/dial"
	"chatconf/shared/dispatch"
	targethttp "chatconf/shared/dispatch/http"
	sealed "chatconf/shared/secret"
)

// The secret and signature of the specification's example.
// https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
const (
	secret   = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	at       = 1614265330
	id       = "msg_p5jXN8AQM9LWM0D4loKWxJek"
	body     = `{"test": 2432232314}`
	expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
)

var secrets = []sealed.Text{secret}

var event = targethttp.Event{ID: id, ContentType: "application/cloudevents+json", Body: []byte(body)}

// A target is an endpoint on this machine, and a client that may call it.
type target struct {
	*httptest.Server
	client *targethttp.Client

	mu       sync.Mutex
	requests []*http.Request
	bodies   []string
	waits    []time.Duration
}

func newTarget(t *testing.T, h http.HandlerFunc) *target {
	t.Helper()
	out := new(target)
	out.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		out.mu.Lock()
		out.requests, out.bodies = append(out.requests, r), append(out.bodies, string(b))
		out.mu.Unlock()
		h(w, r)
	}))
	t.Cleanup(out.Server.Close)
	authority, err := dial.ParseRoots(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE",
		Bytes: out.Certificate().Raw})))
	if err != nil {
		t.Fatal(err)
	}
	out.client = targethttp.New(targethttp.Options{
		Transport: dial.NewRestricted(func(netip.Addr) bool { return true }, authority),
		Now:       func() time.Time { return time.Unix(at, 0) },
		Wait: func(ctx context.Context, d time.Duration) error {
			out.waits = append(out.waits, d)
			return ctx.Err()
		},
	})
	t.Cleanup(out.client.Close)
	return out
}

func TestAnEventIsSignedAndAnswered(t *testing.T) {
	s := newTarget(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, `{"text":"done"}`) })
	status, answer, err := s.client.Post(t.Context(), s.URL+"/hook?key=planted-secret", secrets, event)
	if err != nil || status != http.StatusOK || string(answer) != `{"text":"done"}` {
		t.Fatalf("Post = %d, %q, %v", status, answer, err)
	}
	r := s.requests[0]
	for name, want := range map[string]string{
		"Webhook-Id":        id,
		"Webhook-Timestamp": "1614265330",
		"Webhook-Signature": expected,
		"Content-Type":      "application/cloudevents+json",
	} {
		if got := r.Header.Get(name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	if r.Method != http.MethodPost || s.bodies[0] != body {
		t.Errorf("%s %q, want POST %q", r.Method, s.bodies[0], body)
	}
}

// During a rotation an endpoint may know either secret.
func TestEachSecretSigns(t *testing.T) {
	s := newTarget(t, func(http.ResponseWriter, *http.Request) {})
	const other = "whsec_bm90IGEgcmVhbCBzZWNyZXQgb2YgMzIgYnl0ZXM="
	if _, _, err := s.client.Post(t.Context(), s.URL, []sealed.Text{other, secret}, event); err != nil {
		t.Fatal(err)
	}
	first := targethttp.Sign([]byte("not a real secret of 32 bytes"), id, strconv.Itoa(at), []byte(body))
	want := first + " " + expected
	if got := s.requests[0].Header.Get("Webhook-Signature"); got != want {
		t.Errorf("Webhook-Signature = %q, want %q", got, want)
	}
	for about, secrets := range map[string][]sealed.Text{"no secret": nil, "an invalid previous one": {secret, "!"}} {
		var failed *targethttp.Error
		if _, _, err := s.client.Post(t.Context(), s.URL, secrets, event); !errors.As(err, &failed) || failed.Again {
			t.Errorf("Post with %s = %v, want an error that is final", about, err)
		}
	}
	if len(s.requests) != 1 {
		t.Errorf("%d requests, want 1", len(s.requests))
	}
}

func TestAnEventOfAChangeIsDelivered(t *testing.T) {
	status := http.StatusNoContent
	s := newTarget(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
	d := dispatch.Delivery{ID: id, Body: []byte(body),
		Target: command.Target{Type: command.TargetHTTP, URL: sealed.Text(s.URL), Secrets: secrets}}
	if err := errors.Join(s.client.Check(d.Target), s.client.Deliver(t.Context(), d)); err != nil {
		t.Fatal(err)
	}
	if r := s.requests[0]; r.Header.Get("Webhook-Id") != id || r.Header.Get("Webhook-Signature") != expected ||
		r.Header.Get("Content-Type") != command.EventMediaType || s.bodies[0] != body {
		t.Errorf("received %v %q", r.Header, s.bodies[0])
	}
	status = http.StatusForbidden
	var failed *dispatch.Error
	if err := s.client.Deliver(t.Context(), d); !errors.As(err, &failed) || !failed.Refused ||
		failed.Why != "deliver: the endpoint answered 403" {
		t.Errorf("Deliver to an endpoint that refuses = %v", err)
	}
}

// After an attempt without an answer the endpoint may have the event, whatever the last answer is.
// If every attempt had an answer, it is certain that the endpoint has nothing.
func TestDoubt(t *testing.T) {
	for _, broken := range []bool{true, false} {
		n := 0
		s := newTarget(t, func(w http.ResponseWriter, _ *http.Request) {
			if n++; n == 1 && broken {
				panic(http.ErrAbortHandler)
			}
			w.WriteHeader(http.StatusServiceUnavailable)
		})
		call := &dispatch.Call{ID: id, Event: &command.Event{ID: id},
			Target: command.Target{Type: command.TargetHTTP, URL: sealed.Text(s.URL), Secrets: secrets}}
		var failed *dispatch.Error
		if _, err := s.client.Start(t.Context(), call); !errors.As(err, &failed) || failed.Refused == broken ||
			!failed.Again {
			t.Errorf("broken is %v: Start = %#v", broken, err)
		}
		s.Server.Close()
		s.client.Close() // an idle connection that broke would be in doubt
		if _, err := s.client.Start(t.Context(), call); !errors.As(err, &failed) || !failed.Refused || !failed.Again {
			t.Errorf("nobody listens: Start = %#v", err)
		}
	}
}

// What may be taken later is tried again, with longer pauses and the same id; what will not is not.
func TestAttempts(t *testing.T) {
	for _, test := range []struct {
		status, attempts int
		again            bool
	}{
		{200, 1, false}, {202, 1, false}, {204, 1, false},
		{500, 3, true}, {503, 3, true}, {429, 3, true}, {408, 3, true}, {425, 3, true},
		{501, 1, false}, {400, 1, false}, {401, 1, false}, {404, 1, false}, {410, 1, false},
		{301, 1, false}, {307, 1, false},
	} {
		s := newTarget(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "https://127.0.0.1:1/elsewhere")
			w.WriteHeader(test.status)
		})
		_, _, err := s.client.Post(t.Context(), s.URL, secrets, event)
		var failed *targethttp.Error
		if ok := test.status < 300; ok != (err == nil) || !ok &&
			(!errors.As(err, &failed) || failed.Status != test.status || failed.Again != test.again) {
			t.Errorf("%d: %#v", test.status, err)
		}
		if len(s.requests) != test.attempts {
			t.Errorf("%d: %d attempts, want %d", test.status, len(s.requests), test.attempts)
		}
		for i, r := range s.requests {
			if r.Header.Get("Webhook-Id") != id || s.bodies[i] != body {
				t.Errorf("%d: attempt %d has another id or body", test.status, i)
			}
		}
		for i, d := range s.waits {
			if least := []time.Duration{500 * time.Millisecond, 2 * time.Second}[i]; d < least || d >= 3*least {
				t.Errorf("%d: pause %d is %v", test.status, i, d)
			}
		}
	}
}

func TestARetryThatHelps(t *testing.T) {
	n := 0
	s := newTarget(t, func(w http.ResponseWriter, r *http.Request) {
		if n++; n < 3 {
			w.WriteHeader(http.StatusBadGateway)
		}
	})
	if _, _, err := s.client.Post(t.Context(), s.URL, secrets, event); err != nil || n != 3 {
		t.Errorf("Post = %v after %d attempts", err, n)
	}
}

// A connection that breaks may be taken later; the error does not show the URL.
func TestABrokenConnection(t *testing.T) {
	s := newTarget(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	_, _, err := s.client.Post(t.Context(), s.URL+"/?key=planted-secret", secrets, event)
	var failed *targethttp.Error
	if !errors.As(err, &failed) || !failed.Again || failed.Status != 0 || !failed.Doubt || errors.Unwrap(err) == nil {
		t.Errorf("Post = %#v", err)
	}
	if strings.Contains(err.Error(), "planted-secret") {
		t.Errorf("the error shows the URL: %v", err)
	}
	if len(s.requests) != targethttp.Attempts {
		t.Errorf("%d attempts, want %d", len(s.requests), targethttp.Attempts)
	}
}

// What an endpoint answers may repeat the URL, or hold anything. The error shows nothing of an
// answer that cannot be read, to people or to a log.
func TestAnswersThatCannotBeRead(t *testing.T) {
	for about, answer := range map[string]string{
		"another protocol":              "PLANTED-secret\r\n\r\n",
		"an invalid status":             "HTTP/1.1 PLANTED-secret\r\n\r\n",
		"an invalid header":             "HTTP/1.1 200 OK\r\nPLANTED-secret\r\n\r\n",
		"an invalid length":             "HTTP/1.1 200 OK\r\nContent-Length: PLANTED-secret\r\n\r\n",
		"an encoding that is not known": "HTTP/1.1 200 OK\r\nTransfer-Encoding: PLANTED-secret\r\n\r\n",
		"a redirect to nowhere": "HTTP/1.1 307 Temporary Redirect\r\nLocation: " +
			"https://PLANTED-secret/%zz\r\nContent-Length: 0\r\n\r\n",
	} {
		s := newTarget(t, func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			if _, err := io.WriteString(conn, answer); err != nil {
				t.Error(err)
			}
		})
		_, _, err := s.client.Post(t.Context(), s.URL, secrets, event)
		var failed *targethttp.Error
		if !errors.As(err, &failed) || !failed.Again || strings.Contains(err.Error()+dial.Cause(err), "PLANTED") {
			t.Errorf("%s: Post = %v, for the log %q", about, err, dial.Cause(err))
		}
	}
}

// transport is a function that makes one call.
type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// hangs is a body that never comes.
type hangs struct{ context.Context }

func (b hangs) Read([]byte) (int, error) { <-b.Done(); return 0, b.Err() }
func (hangs) Close() error               { return nil }

// An endpoint that hangs has ten seconds for each attempt. One that hangs after its status has
// taken the event.
func TestAnEndpointThatHangs(t *testing.T) {
	for about, test := range map[string]struct {
		call transport
		want time.Duration
		ok   bool
	}{
		"before its status": {func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil,
				r.Context().Err()
		}, 30 * time.Second, false},
		"after its status": {func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusOK, Body: hangs{r.Context()}, Request: r}, nil
		}, 10 * time.Second, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			client := targethttp.New(targethttp.Options{Transport: test.call,
				Wait: func(context.Context, time.Duration) error { return nil }})
			began := time.Now()
			_, _, err := client.Post(t.Context(), "https://target.example.com/", secrets, event)
			var failed *targethttp.Error
			if (err == nil) != test.ok || !test.ok && (!errors.As(err, &failed) || !failed.Again ||
				err.Error() != "deliver: the endpoint: there was no answer in time") {
				t.Errorf("%s: Post = %v", about, err)
			}
			if took := time.Since(began); took != test.want {
				t.Errorf("%s: it took %v, want %v", about, took, test.want)
			}
		})
	}
}

func TestACallerThatGivesUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := newTarget(t, func(w http.ResponseWriter, r *http.Request) {
		cancel()
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	if _, _, err := s.client.Post(ctx, s.URL, secrets, event); err == nil || len(s.requests) != 1 {
		t.Errorf("Post = %v after %d attempts, want an error after one", err, len(s.requests))
	}
	ctx, cancel = context.WithCancel(t.Context())
	client := targethttp.New(targethttp.Options{Transport: dial.NewRestricted(func(netip.Addr) bool { return true },
		nil), Wait: func(context.Context, time.Duration) error { cancel(); return ctx.Err() }})
	if _, _, err := client.Post(ctx, "https://127.0.0.1:1", secrets, event); err == nil {
		t.Error("Post to a closed port is no error")
	}
}

// An answer that is too long, or cut off, is no answer; the event was still accepted.
func TestAnswersThatAreLost(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"long": func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, strings.Repeat("a", targethttp.MaxAnswer+1))
		},
		"cut off": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, "a")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		},
	} {
		s := newTarget(t, h)
		if _, answer, err := s.client.Post(t.Context(), s.URL, secrets, event); answer != nil ||
			err != nil || len(s.requests) != 1 {
			t.Errorf("%s: Post = %d bytes, %v after %d attempts", name, len(answer), err, len(s.requests))
		}
	}
}

func TestWhatIsNoTarget(t *testing.T) {
	client := targethttp.New(targethttp.Options{})
	for _, test := range []struct {
		url    string
		secret sealed.Text
	}{
		{"http://example.com/", secret},
		{"ftp://example.com/", secret},
		{"https://", secret},
		{"https://example.com\x7f/", secret},
		{":", secret},
		{"https://example.com/", ""},
		{"https://example.com/", "whsec_"},
		{"https://example.com/", "not base64"},
	} {
		var failed *targethttp.Error
		_, _, err := client.Post(t.Context(), test.url, []sealed.Text{test.secret}, event)
		if !errors.As(err, &failed) || failed.Again {
			t.Errorf("Post(%q, %q) = %v, want an error that is final", test.url, test.secret, err)
		}
	}
}

// Without a transport no address is called.
func TestWithoutATransport(t *testing.T) {
	client := targethttp.New(targethttp.Options{})
	defer client.Close()
	_, _, err := client.Post(t.Context(), "https://127.0.0.1:1/", []sealed.Text{"c2VjcmV0"},
		targethttp.Event{ID: "1", ContentType: "text/plain"})
	var failed *targethttp.Error
	if !errors.As(err, &failed) || !errors.Is(err, dial.ErrForbidden) || failed.Again || failed.Doubt ||
		err.Error() != "deliver: the endpoint: the address is not a public one" {
		t.Errorf("Post = %v", err)
	}
}

// The record names the setting that would allow an internal address, and only the log the address.
func TestAForbiddenAddressIsExplained(t *testing.T) {
	client := targethttp.New(targethttp.Options{})
	defer client.Close()
	_, err := client.Start(t.Context(), &dispatch.Call{ID: "1", Event: new(command.Event),
		Target: command.Target{URL: "https://127.0.0.1:1/", Secrets: secrets}})
	var failed *dispatch.Error
	if !errors.As(err, &failed) || !failed.Refused || failed.Again ||
		failed.Why != "deliver: the endpoint: the address is not a public one; CHATCONF_TARGET_NETWORKS of the "+
			"service can allow its network, which the log names" ||
		!strings.HasSuffix(failed.Cause, "add 127.0.0.1/32 to CHATCONF_TARGET_NETWORKS of the service") {
		t.Errorf("Start = %+v", err)
	}
}
