// Package streamtest connects chatconf to the gateways that stand in for chat platforms, over TLS
// under the platforms' own names: in memory, where time passes as in a bubble of testing/synctest,
// or over TCP on this machine.
package streamtest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"maps"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"chatconf/shared/dial"
	"chatconf/shared/platform/callback"
	"chatconf/shared/platform/platformsim"
	"chatconf/shared/secret"
	"chatconf/shared/stream"
)

// A Gateway is a platform's gateway, and what chatconf connects to it with.
type Gateway struct {
	platformsim.Gateway
	Type      string
	Transport *http.Transport
	Client    *callback.Client
	Dialer    callback.Dialer
	Address   string // where it listens; empty in memory
	Authority []byte // the PEM of the root of its certificate

	network *network
	now     func() time.Time
	all     bool // it accepts every secret
}

// Start starts the gateway of a platform in memory. It accepts the secrets of Settings. now is the
// time of the gateway and of calls to it.
func Start(t testing.TB, platform string, now func() time.Time) *Gateway {
	t.Helper()
	g := &Gateway{Type: platform, network: newNetwork(), now: now}
	roots := x509.NewCertPool()
	g.serve(t, g.network)
	roots.AppendCertsFromPEM(g.Authority)
	g.use(t, &http.Transport{DialTLSContext: func(ctx context.Context, _, addr string) (net.Conn, error) {
		raw, err := g.network.dial(ctx)
		if err != nil {
			return nil, err
		}
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, err
		}
		secured := tls.Client(raw, &tls.Config{RootCAs: roots, ServerName: host})
		if err := secured.HandshakeContext(ctx); err != nil {
			_ = raw.Close()
			return nil, err
		}
		return secured, nil
	}})
	return g
}

// StartTCP starts the gateway of a platform on this machine.
func StartTCP(t testing.TB, platform string) *Gateway {
	t.Helper()
	return startDirect(t, &Gateway{Type: platform})
}

// StartForAll is StartTCP with a gateway that knows every app, and accepts every secret.
func StartForAll(t testing.TB, platform string) *Gateway {
	t.Helper()
	return startDirect(t, &Gateway{Type: platform, all: true})
}

func startDirect(t testing.TB, g *Gateway) *Gateway {
	t.Helper()
	addresses := g.listen(t)
	roots, err := dial.ParseRoots(string(g.Authority))
	if err != nil {
		t.Fatal(err)
	}
	g.use(t, dial.NewRedirected(addresses, roots))
	return g
}

// StartBehindProxy starts the gateway of a platform on this machine, to which only a proxy leads.
// It also returns the hosts to which the proxy has connected.
func StartBehindProxy(t testing.TB, platform string) (g *Gateway, proxied func() []string) {
	t.Helper()
	g = &Gateway{Type: platform}
	p := &proxy{addresses: g.listen(t)}
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	transport := dial.NewRedirected(nil, nil)
	transport.Proxy = http.ProxyURL(u)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(g.Authority)
	transport.TLSClientConfig = &tls.Config{RootCAs: roots}
	g.use(t, transport)
	return g, p.connected
}

// listen starts a gateway on this machine. It returns the address that each of its hosts and ports
// has.
func (g *Gateway) listen(t testing.TB) (addresses map[string]string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g.now, g.Address = time.Now, listener.Addr().String()
	g.serve(t, listener)
	addresses = make(map[string]string)
	for _, host := range g.Hosts() {
		addresses[net.JoinHostPort(host, "443")] = g.Address
	}
	return addresses
}

// serve starts the server of the gateway.
func (g *Gateway) serve(t testing.TB, listener net.Listener) {
	t.Helper()
	o := platformsim.GatewayOptions{Now: g.now}
	if !g.all {
		right := Settings(g.Type)[secretOf[g.Type]]
		o.Secret = func(string) secret.Text { return right }
	}
	var err error
	if g.Gateway, err = platformsim.NewGateway(g.Type, o); err != nil {
		t.Fatal(err)
	}
	cert, authority := newCertificate(t, g.Hosts())
	g.Authority = authority
	server := &http.Server{Handler: g.Gateway, ErrorLog: log.New(io.Discard, "", 0)}
	ended := make(chan error, 1)
	go func() {
		ended <- server.Serve(tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{cert}}))
	}()
	t.Cleanup(func() {
		g.Gateway.Close()
		_ = server.Close()
		<-ended
	})
}

// use lets calls and connections use a transport.
func (g *Gateway) use(t testing.TB, transport *http.Transport) {
	g.Transport = transport
	t.Cleanup(transport.CloseIdleConnections)
	g.Client = callback.NewClient(callback.ClientOptions{Transport: transport, Now: g.now})
	g.Dialer = stream.NewDialer(transport)
}

// Sockets returns how many network connections chatconf has open to a gateway in memory, and how
// many it has opened.
func (g *Gateway) Sockets() (open, all int) {
	g.Transport.CloseIdleConnections()
	g.network.mu.Lock()
	defer g.network.mu.Unlock()
	return g.network.open, g.network.all
}

// newCertificate returns a certificate of its own authority for hosts, and the authority. It is
// valid for the time of a bubble, too.
func newCertificate(t testing.TB, hosts []string) (tls.Certificate, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a test"},
		DNSNames: hosts, NotBefore: time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC),
		NotAfter: time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC), IsCA: true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key},
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// secretOf is the setting that proves an app to its platform, by type.
var secretOf = map[string]string{"DingTalk": "DingTalkClientSecret", "Feishu": "FeishuAppSecret",
	"Slack": "SlackAppToken", "WeChat": "WeChatBotSecret"}

// streamSettings are example settings that only connections need, by type.
var streamSettings = map[string]callback.Settings{
	"Slack":  {"SlackAppToken": "xapp-1-A0EXAMPLE-1-not-a-real-token", "SlackBotToken": "xoxb-not-a-real-token"},
	"WeChat": {"WeChatBotId": "aibexample", "WeChatBotSecret": "not-a-real-bot-secret"},
}

// Settings returns example settings of a platform, with all that a connection needs.
func Settings(platform string) callback.Settings {
	s := maps.Clone(platformsim.Of(platform).Example)
	maps.Copy(s, streamSettings[platform])
	return s
}

// Wrong returns Settings with a secret that the platform does not accept.
func Wrong(platform string) callback.Settings {
	s := Settings(platform)
	s[secretOf[platform]] += "x"
	return s
}
