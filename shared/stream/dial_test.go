package stream_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"chatconf/shared/dial"
	"chatconf/shared/dispatch"
	"chatconf/shared/platform/callback"
	"chatconf/shared/secret"
	"chatconf/shared/stream"
)

// address holds what no error may show.
const address = "wss://gw.example.com/planted-path?ticket=planted-ticket"

// to is a Dial to the server of the tests.
func to(change ...func(*callback.Dial)) callback.Dial {
	d := callback.Dial{What: "test: the connection", URL: address, Hosts: []string{"gw.example.com"}}
	for _, c := range change {
		c(&d)
	}
	return d
}

// listen starts a TLS server for gw.example.com, and returns a transport that reaches it.
func listen(t *testing.T, handler http.HandlerFunc) *http.Transport {
	t.Helper()
	server := httptest.NewUnstartedServer(handler) // whose certificate is for example.com and all under it
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	transport := dial.NewRedirected(map[string]string{"gw.example.com:443": server.Listener.Addr().String()},
		rootsOf(t, server.Certificate()))
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

func rootsOf(t *testing.T, cert *x509.Certificate) *dial.Roots {
	t.Helper()
	roots, err := dial.ParseRoots(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})))
	if err != nil {
		t.Fatal(err)
	}
	return roots
}

// accept is a handler that accepts a connection and hands it to do.
func accept(t *testing.T, do func(context.Context, *websocket.Conn)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer c.CloseNow()
		do(r.Context(), c)
	}
}

// dialed opens a connection that is closed with the test.
func dialed(t *testing.T, transport http.RoundTripper, d callback.Dial) callback.Socket {
	t.Helper()
	s, err := stream.NewDialer(transport).Dial(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// wantClean fails the test if an error holds something of an address.
func wantClean(t *testing.T, err error) {
	t.Helper()
	for _, part := range []string{"planted", "example.com", "127.0.0.1", "wss:", "https:"} {
		if err == nil || strings.Contains(err.Error(), part) {
			t.Errorf("the error holds %q: %v", part, err)
		}
	}
}

func TestMessagesGoBothWays(t *testing.T) {
	for _, binary := range []bool{false, true} {
		transport := listen(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "planted" || r.URL.Query().Get("ticket") != "planted-ticket" {
				http.Error(w, "no", http.StatusForbidden)
				return
			}
			accept(t, func(ctx context.Context, c *websocket.Conn) {
				c.SetReadLimit(2 << 20)
				for {
					kind, message, err := c.Read(ctx)
					if err != nil || c.Write(ctx, kind, append(message, '!')) != nil {
						return
					}
				}
			})(w, r)
		})
		s := dialed(t, transport, to(func(d *callback.Dial) {
			d.Binary, d.Headers = binary, map[string]secret.Text{"Authorization": "planted"}
		}))
		for _, message := range []string{"hello", "", strings.Repeat("x", 900<<10)} {
			if err := s.Write(t.Context(), []byte(message)); err != nil {
				t.Fatal(err)
			}
			if got, err := s.Read(t.Context()); err != nil || string(got) != message+"!" {
				t.Errorf("read %.20q: %v", got, err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := s.Read(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("read after the cancel: %v", err)
		}
	}
}

func TestOnlyHostsOfThePlatformAreDialed(t *testing.T) {
	transport := listen(t, accept(t, func(context.Context, *websocket.Conn) {}))
	for _, wrong := range []string{"", "x", "ws://gw.example.com/", "https://gw.example.com/", "wss:gw.example.com",
		"wss://user@gw.example.com/", "wss://gw.example.com/#planted", "wss://gw.example.com:8443/",
		"wss://gw.example.com.evil.example/", "wss://example.com/", "wss://agw.example.com/", "wss://127.0.0.1/",
		"wss://gw.example.com@evil.example/", "wss://GW.example.com/", "wss://gw.example.com\n/", "%zz"} {
		d := to(func(d *callback.Dial) { d.URL = secret.Text(wrong) })
		_, err := stream.NewDialer(transport).Dial(t.Context(), d)
		if err == nil || err.Error() != "test: the connection: the address is not wss at one of the platform's hosts" {
			t.Errorf("%q: %v", wrong, err)
		}
	}
	for _, hosts := range [][]string{{"gw.example.com"}, {"other.example", "gw.example.com"}, {".example.com"}} {
		dialed(t, transport, to(func(d *callback.Dial) { d.Hosts = hosts }))
	}
	dialed(t, transport, to(func(d *callback.Dial) { d.URL = "wss://gw.example.com:443/" }))
	for _, hosts := range [][]string{nil, {".gw.example.com"}, {"example.com"}, {""}} {
		d := to(func(d *callback.Dial) { d.Hosts = hosts })
		if _, err := stream.NewDialer(transport).Dial(t.Context(), d); err == nil {
			t.Errorf("hosts %q allow gw.example.com", hosts)
		}
	}
}

func TestWhyAConnectionIsNotOpened(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	at := func(address string) http.RoundTripper {
		return dial.NewRedirected(map[string]string{"gw.example.com:443": address}, nil)
	}
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	for name, test := range map[string]struct {
		transport http.RoundTripper
		want      string
	}{
		"nobody listens":       {at(closed.Addr().String()), "the connection was refused"},
		"an unknown authority": {at(server.Listener.Addr().String()), "the certificate is not valid for the host"},
		"a server without TLS": {at(plain.Listener.Addr().String()), "the server does not speak TLS"},
		"an answer with status": {listen(t, http.NotFound), "test: the connection: the answer has status 404 and " +
			"opens no WebSocket; a proxy or a firewall in between may not let it through"},
		"a redirect": {listen(t, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://gw.example.com/planted", http.StatusFound)
		}), "status 302"},
		"a wrong handshake": {listen(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Connection", "Upgrade")
			w.Header().Set("Upgrade", "websocket")
			w.Header().Set("Sec-WebSocket-Accept", "planted")
			w.WriteHeader(http.StatusSwitchingProtocols)
		}), "test: the connection: "},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := stream.NewDialer(test.transport).Dial(t.Context(), to())
			wantClean(t, err)
			if err == nil || !strings.Contains(err.Error(), test.want) || !dispatch.Retryable(err) {
				t.Errorf("%v, want %q", err, test.want)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = stream.NewDialer(at(closed.Addr().String())).Dial(ctx, to())
	wantClean(t, err)
}

func TestThePlatformsCodeForARefusedConnection(t *testing.T) {
	refusing := listen(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Handshake-Code", "1000040350")
		w.WriteHeader(http.StatusForbidden)
	})
	for header, want := range map[string]string{"Handshake-Code": "1000040350", "Other": "", "": ""} {
		_, err := stream.NewDialer(refusing).Dial(t.Context(), to(func(d *callback.Dial) { d.CodeHeader = header }))
		wantClean(t, err)
		if got := callback.CodeOf(err); got != want || !dispatch.Retryable(err) {
			t.Errorf("%q: code %q, want %q: %v", header, got, want, err)
		}
	}
}

func TestWhyAConnectionEnds(t *testing.T) {
	for name, test := range map[string]struct {
		do   func(context.Context, *websocket.Conn)
		want string
	}{
		"a message that is too long": {func(ctx context.Context, c *websocket.Conn) {
			_ = c.Write(ctx, websocket.MessageText, make([]byte, 1<<20+1))
			_, _, _ = c.Read(ctx)
		}, "the platform sent a message of more than 1048576 bytes"},
		"a message of another kind": {func(ctx context.Context, c *websocket.Conn) {
			_ = c.Write(ctx, websocket.MessageBinary, []byte("planted"))
		}, "the platform sent a message of type MessageBinary, not MessageText"},
		"a close frame": {func(_ context.Context, c *websocket.Conn) {
			_ = c.Close(4001, "planted")
		}, "the platform closed the connection with code 4001"},
		"a cut": {func(_ context.Context, c *websocket.Conn) {
			_ = c.CloseNow()
		}, "test: the connection: the connection broke"},
	} {
		t.Run(name, func(t *testing.T) {
			s := dialed(t, listen(t, accept(t, test.do)), to())
			_, err := s.Read(t.Context())
			wantClean(t, err)
			var ended *callback.Ended
			if !errors.As(err, &ended) || ended.Replaced || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want %q", err, test.want)
			}
		})
	}
}

// A side that takes everything and answers nothing, as after the network is gone, is found by its
// missing pong.
func TestAHalfOpenConnectionIsFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cert := newTestCertificate(t)
		roots := x509.NewCertPool()
		roots.AddCert(cert.Leaf)
		transport := &http.Transport{DialTLSContext: func(context.Context, string, string) (net.Conn, error) {
			near, far := net.Pipe()
			go silent(tls.Server(far, &tls.Config{Certificates: []tls.Certificate{cert}}))
			return tls.Client(near, &tls.Config{RootCAs: roots, ServerName: "gw.example.com"}), nil
		}}
		s := dialed(t, transport, to())
		began := time.Now()
		_, err := s.Read(t.Context())
		wantClean(t, err)
		if took := time.Since(began); took != 45*time.Second {
			t.Errorf("found after %v: %v", took, err)
		}
		var ended *callback.Ended
		if !errors.As(err, &ended) {
			t.Errorf("%v is not an Ended", err)
		}
	})
}

// silent accepts a WebSocket connection, and never answers on it.
func silent(c net.Conn) {
	defer c.Close()
	r := bufio.NewReader(c)
	request, err := http.ReadRequest(r)
	if err != nil {
		return
	}
	recorder := hijacked{httptest.NewRecorder(), c, r}
	ws, err := websocket.Accept(recorder, request, nil)
	if err != nil {
		return
	}
	defer ws.CloseNow()
	fmt.Fprintf(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Accept: %s\r\n\r\n", recorder.Header().Get("Sec-WebSocket-Accept"))
	_, _ = io.Copy(io.Discard, r)
}

// A hijacked response writes nothing by itself.
type hijacked struct {
	*httptest.ResponseRecorder
	conn net.Conn
	r    *bufio.Reader
}

// Hijack implements http.Hijacker.
func (h hijacked) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return h.conn, bufio.NewReadWriter(h.r, bufio.NewWriter(h.conn)), nil
}

// newTestCertificate returns the certificate of httptest, which is for example.com and all under
// it.
func newTestCertificate(t *testing.T) tls.Certificate {
	server := httptest.NewUnstartedServer(nil)
	server.StartTLS()
	server.Close()
	cert := server.TLS.Certificates[0]
	cert.Leaf = server.Certificate()
	return cert
}

// proxied is the variable by which TestAConnectionGoesThroughAProxy tells its process where to
// connect.
const proxied = "CHATCONF_TEST_PROXIED"

// HTTPS_PROXY is read once a process, so this one starts another.
func TestAConnectionGoesThroughAProxy(t *testing.T) {
	if roots := os.Getenv(proxied); roots != "" {
		transport := dial.NewRedirected(nil, nil)
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM([]byte(roots))
		transport.TLSClientConfig = &tls.Config{RootCAs: pool}
		s := dialed(t, transport, to())
		if got, err := s.Read(t.Context()); err != nil || string(got) != "through" {
			t.Errorf("read %q: %v", got, err)
		}
		return
	}
	server := httptest.NewTLSServer(accept(t, func(ctx context.Context, c *websocket.Conn) {
		_ = c.Write(ctx, websocket.MessageText, []byte("through"))
		_, _, _ = c.Read(ctx)
	}))
	t.Cleanup(server.Close)
	asked := make(chan string, 10)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Method + " " + r.Host
		there, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Error(err)
			return
		}
		defer there.Close()
		here, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer here.Close()
		fmt.Fprint(here, "HTTP/1.1 200 OK\r\n\r\n")
		go func() { _, _ = io.Copy(there, here) }()
		_, _ = io.Copy(here, there)
	}))
	t.Cleanup(proxy.Close)
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestAConnectionGoesThroughAProxy$")
	cmd.Env = append(os.Environ(), "HTTPS_PROXY="+proxy.URL, "NO_PROXY=",
		proxied+"="+string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if got := <-asked; got != "CONNECT gw.example.com:443" {
		t.Errorf("the proxy was asked for %q", got)
	}
}
