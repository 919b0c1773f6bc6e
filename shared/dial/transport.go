package dial

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
	"time"
)

// connectTime bounds how long it takes to connect, and how long the TLS handshake takes after that.
const connectTime = 5 * time.Second

// ErrForbidden is the error of a connection to an address that may not be connected to.
var ErrForbidden = errors.New("the address is not a public one")

// NewRestricted returns a transport that connects only to the addresses that allow accepts, such as
// those of Networks; none if allow is nil. It uses no proxy. Servers prove who they are with the
// roots of the machine, or with extra if that is not nil.
func NewRestricted(allow func(netip.Addr) bool, extra *Roots) *http.Transport {
	dialer := &net.Dialer{
		Timeout: connectTime,
		// Called for each address right before the connection, so a name cannot lead to another
		// address meanwhile.
		Control: func(_, address string, _ syscall.RawConn) error {
			at, err := netip.ParseAddrPort(address)
			if err == nil && allow != nil && allow(at.Addr().Unmap().WithZone("")) {
				return nil
			}
			if cure := HowToAllow(at.Addr().String()); cure != "" {
				return fmt.Errorf("%w; %s", ErrForbidden, cure)
			}
			return ErrForbidden
		},
	}
	t := &http.Transport{
		Proxy:                  nil, // a proxy would resolve the name itself
		DialContext:            dialer.DialContext,
		TLSHandshakeTimeout:    connectTime,
		MaxIdleConnsPerHost:    2,
		IdleConnTimeout:        30 * time.Second,
		MaxResponseHeaderBytes: 32 << 10,
		DisableCompression:     true, // a small answer could become a large one
	}
	if extra != nil {
		t.DialTLSContext = (&Dialer{Sets: []*Roots{extra}, Dial: dialer.DialContext,
			HandshakeTimeout: connectTime}).DialTLSContext
	}
	return t
}

// A proxyRefused is the error of a proxy that does not connect, with its status.
type proxyRefused int

// Error says which proxy that is.
func (p proxyRefused) Error() string {
	return fmt.Sprintf("the proxy of HTTPS_PROXY refused the connection with status %d", int(p))
}

// NewRedirected returns a transport that connects to other addresses in place of some hosts, by
// host and port, such as to a simulator of a platform. It uses no proxy for them. A server at such
// an address still proves that it is the host: by a certificate that chains to extra, if that is
// not nil, or to the roots of the machine. Extra is trusted for no other host.
func NewRedirected(addresses map[string]string, extra *Roots) *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.OnProxyConnectResponse = func(_ context.Context, _ *url.URL, _ *http.Request, answer *http.Response) error {
		if answer.StatusCode != http.StatusOK {
			return proxyRefused(answer.StatusCode)
		}
		return nil
	}
	if len(addresses) == 0 {
		return t
	}
	proxy, connect := t.Proxy, t.DialContext
	t.Proxy = func(r *http.Request) (*url.URL, error) {
		if _, ok := addresses[net.JoinHostPort(r.URL.Hostname(), "443")]; ok {
			return nil, nil
		}
		return proxy(r)
	}
	others := &Dialer{HandshakeTimeout: t.TLSHandshakeTimeout, Dial: connect}
	redirected := &Dialer{HandshakeTimeout: t.TLSHandshakeTimeout}
	redirected.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		return connect(ctx, network, addresses[addr])
	}
	if extra != nil {
		redirected.Sets = []*Roots{extra}
	}
	t.DialTLSContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if _, ok := addresses[addr]; ok {
			return redirected.DialTLSContext(ctx, network, addr)
		}
		return others.DialTLSContext(ctx, network, addr)
	}
	return t
}
