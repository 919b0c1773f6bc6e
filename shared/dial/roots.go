// Package dial connects to other hosts. It knows which addresses are public, and it verifies
// servers with the few roots of their vendor or with the roots of the machine. Its errors reveal
// nothing of the internal network.
package dial

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"time"
)

// Roots are the root certificates of one vendor, and the domains of the hosts that they may vouch
// for. The certificates are parsed at the first use.
type Roots struct {
	domains []string // and all under them; empty is all hosts
	pool    func() (*x509.CertPool, error)
}

// LazyRoots returns the roots of a PEM text for the hosts under the given domains, and for these
// hosts themselves. It parses the text when the roots are used first.
func LazyRoots(text string, domains ...string) *Roots {
	return &Roots{domains, sync.OnceValues(func() (*x509.CertPool, error) { return parse(text) })}
}

// ParseRoots returns the roots of a PEM text, for the hosts under the given domains; for all hosts
// if no domain is given.
func ParseRoots(text string, domains ...string) (*Roots, error) {
	pool, err := parse(text)
	if err != nil {
		return nil, err
	}
	return &Roots{domains, func() (*x509.CertPool, error) { return pool, nil }}, nil
}

// ReadRoots returns the roots of a PEM file, for all hosts; nil if path is empty.
func ReadRoots(path string) (*Roots, error) {
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	roots, err := ParseRoots(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return roots, nil
}

func parse(text string) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(text)) {
		return nil, errors.New("dial: no certificate in PEM")
	}
	return pool, nil
}

// Covers reports whether the roots are for a host.
func (s *Roots) Covers(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	for _, domain := range s.domains {
		if host == domain || strings.HasSuffix(host, "."+domain) {
			return true
		}
	}
	return len(s.domains) == 0
}

// A Dialer makes TLS connections. Its DialTLSContext is for a http.Transport.
//
// The first TLS connection of a process costs Go about ten milliseconds, most of it to read and
// parse all roots of the machine. A function pays that at every cold start, with a fraction of a
// processor, and connects to two or three hosts of one vendor. So a Dialer verifies those hosts
// with the few roots of the vendor first. Only when that fails it connects again, with the roots of
// the machine, and that result is final. crypto/tls verifies both times: chain, dates, use and host
// name.
type Dialer struct {
	// Sets are the few roots. The first that covers a host counts.
	Sets []*Roots
	// System are the roots of the machine. Nil is the machine's own, which crypto/tls reads when
	// they are needed.
	System *x509.CertPool
	// Dial makes the connections below. Nil is that of a net.Dialer.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// HandshakeTimeout bounds one handshake. Zero: only the limit of the context.
	HandshakeTimeout time.Duration
	// Now is the clock that certificates are held against. Nil is time.Now.
	Now func() time.Time

	others sync.Map // hosts whose certificates only the machine's roots take
}

// DialTLSContext returns a connection to addr over which the host in addr has proven who it is. An
// endpoint that the few roots do not know costs a second dial once, and none later. A panic is an
// error: a transport dials in a goroutine of its own.
func (d *Dialer) DialTLSContext(ctx context.Context, network, addr string) (conn net.Conn, err error) {
	defer func() {
		if v := recover(); v != nil {
			conn, err = nil, fmt.Errorf("dial: panic: %v\n%s", v, debug.Stack())
		}
	}()
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	few, err := d.fewFor(host)
	if err != nil {
		return nil, err
	}
	if few != nil {
		conn, err := d.dial(ctx, network, addr, host, few)
		var unproven *tls.CertificateVerificationError
		if err == nil || !errors.As(err, &unproven) {
			return conn, err
		}
	}
	conn, err = d.dial(ctx, network, addr, host, d.System)
	if err == nil && few != nil {
		d.others.Store(host, nil)
	}
	return conn, err
}

// fewFor returns the few roots to try for a host, nil if none.
func (d *Dialer) fewFor(host string) (*x509.CertPool, error) {
	if _, other := d.others.Load(host); other {
		return nil, nil
	}
	for _, s := range d.Sets {
		if s.Covers(host) {
			return s.pool()
		}
	}
	return nil, nil
}

// dial connects and shakes hands, with the given roots; nil is the machine's.
func (d *Dialer) dial(ctx context.Context, network, addr, host string, roots *x509.CertPool) (net.Conn, error) {
	dial := d.Dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	below, err := dial(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	conn := tls.Client(below, &tls.Config{ServerName: host, RootCAs: roots, Time: d.Now, MinVersion: tls.VersionTLS12})
	if d.HandshakeTimeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d.HandshakeTimeout)
		defer cancel()
	}
	if err := conn.HandshakeContext(ctx); err != nil {
		below.Close()
		return nil, fmt.Errorf("tls: %s: %w", host, err)
	}
	return conn, nil
}
