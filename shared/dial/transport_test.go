package dial_test

import (
	"crypto/tls"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"sync/atomic"
	"testing"

	"chatconf/shared/dial"
)

// newStandIn starts a server whose certificate is for example.com and all hosts under it. It
// returns the roots of the certificate, and how often the server was called.
func newStandIn(t *testing.T) (*httptest.Server, *dial.Roots, *atomic.Int32) {
	t.Helper()
	called := new(atomic.Int32)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called.Add(1) }))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	roots, err := dial.ParseRoots(string(text))
	if err != nil {
		t.Fatal(err)
	}
	return s, roots, called
}

// call gets a URL through a transport.
func call(t *testing.T, transport *http.Transport, address string) error {
	t.Helper()
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Get(address)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// The address is checked when it is connected to, whatever name leads to it.
func TestARestrictedTransport(t *testing.T) {
	s, roots, called := newStandIn(t)
	_, port, err := net.SplitHostPort(s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, allow := range []func(netip.Addr) bool{nil, dial.Public,
		dial.Networks{netip.MustParsePrefix("10.0.0.0/8")}.Allow} {
		for _, extra := range []*dial.Roots{nil, roots} {
			for _, host := range []string{"127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0"} {
				if err := call(t, dial.NewRestricted(allow, extra), "https://"+host+":"+
					port); !errors.Is(err, dial.ErrForbidden) {
					t.Errorf("%s: %v, want %v", host, err, dial.ErrForbidden)
				}
			}
		}
	}
	if called.Load() != 0 {
		t.Error("the server was called")
	}
	for host, want := range map[string]string{
		"127.0.0.1": "dial tcp 127.0.0.1:" + port + ": the address is not a public one; to allow it, add " +
			"127.0.0.1/32 to CHATCONF_TARGET_NETWORKS of the service",
		"0.0.0.0": "dial tcp 0.0.0.0:" + port + ": the address is not a public one",
	} {
		err := dial.NewError("the target", call(t, dial.NewRestricted(nil, nil), "https://"+host+":"+port))
		if got := dial.Cause(err); got != want || err.Error() != "the target: the address is not a public one" {
			t.Errorf("%s: %v, and in the log %q", host, err, got)
		}
	}
	loopback := dial.Networks{netip.MustParsePrefix("127.0.0.0/8")}
	if err := call(t, dial.NewRestricted(loopback.Allow, roots), s.URL); err != nil || called.Load() != 1 {
		t.Errorf("an address that is allowed: %v", err)
	}
	var stranger *tls.CertificateVerificationError
	if err := call(t, dial.NewRestricted(loopback.Allow, nil), s.URL); !errors.As(err, &stranger) {
		t.Errorf("without the roots: %v", err)
	}
	if dial.NewRestricted(nil, nil).Proxy != nil {
		t.Error("a proxy is asked, which resolves names itself")
	}
}

// A server that is called in place of a host proves that it is that host.
func TestARedirectedHostNeedsItsCertificate(t *testing.T) {
	s, roots, called := newStandIn(t)
	addresses := map[string]string{"api.example.com:443": s.Listener.Addr().String(),
		"api.example.net:443": s.Listener.Addr().String()}
	for about, c := range map[string]struct {
		extra *dial.Roots
		url   string
		ok    bool
	}{
		"the host's":       {roots, "https://api.example.com/", true},
		"another host's":   {roots, "https://api.example.net/", false},
		"not trusted here": {nil, "https://api.example.com/", false},
	} {
		if err := call(t, dial.NewRedirected(addresses, c.extra), c.url); (err == nil) != c.ok {
			t.Errorf("with a certificate that is %s: %v", about, err)
		}
	}
	if called.Load() != 1 {
		t.Errorf("%d calls arrived, want 1", called.Load())
	}
}

// A redirected host is not called through a proxy, which would lead to the real one. The extra
// roots are trusted for no other host.
func TestRedirectedHostsAlone(t *testing.T) {
	standard := http.DefaultTransport.(*http.Transport)
	before := standard.Proxy
	t.Cleanup(func() { standard.Proxy = before })
	proxy := &url.URL{Scheme: "http", Host: "proxy.example.com:3128"}
	standard.Proxy = func(*http.Request) (*url.URL, error) { return proxy, nil }
	s, roots, called := newStandIn(t)
	transport := dial.NewRedirected(map[string]string{"api.example.com:443": s.Listener.Addr().String()}, roots)
	if err := call(t, transport, "https://api.example.com/x"); err != nil || called.Load() != 1 {
		t.Errorf("the other address is not called: %v", err)
	}
	other := httptest.NewRequest(http.MethodPost, "https://hooks.example.com/x", nil)
	if got, err := transport.Proxy(other); got != proxy || err != nil {
		t.Errorf("another host is called by %v, %v, want the proxy", got, err)
	}
	var stranger *tls.CertificateVerificationError
	if conn, err := transport.DialTLSContext(t.Context(), "tcp",
		s.Listener.Addr().String()); !errors.As(err, &stranger) {
		t.Errorf("another host, with the extra roots: %v, %v", conn, err)
	}
	if got, err := dial.NewRedirected(nil, roots).Proxy(other); got != proxy || err != nil {
		t.Errorf("without addresses: %v, %v, want the proxy", got, err)
	}
}

// Somebody behind a proxy must see that the proxy is at fault, and not the platform.
func TestAProxyThatDoesNotConnect(t *testing.T) {
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusProxyAuthRequired)
	}))
	t.Cleanup(refusing.Close)
	gone := httptest.NewServer(nil)
	gone.Close()
	for address, want := range map[string]string{
		refusing.URL: "the platform: the proxy of HTTPS_PROXY refused the connection with status 407",
		gone.URL:     "the platform: the proxy of HTTPS_PROXY: the connection was refused",
	} {
		proxy, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		transport := dial.NewRedirected(nil, nil)
		transport.Proxy = http.ProxyURL(proxy)
		_, err = (&http.Client{Transport: transport}).Get("https://example.com/planted")
		if got := dial.NewError("the platform", err).Error(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
