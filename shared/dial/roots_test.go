package dial_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"chatconf/shared/dial"
)

// now is when the certificates of these tests are looked at.
var now = time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)

// An authority signs certificates.
type authority struct {
	testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(tb testing.TB, name string) *authority {
	a := &authority{TB: tb}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: now.AddDate(-1, 0, 0),
		NotAfter: now.AddDate(50, 0, 0),
		IsCA:     true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a.key = a.newKey()
	a.cert = a.sign(template, template, a.key)
	return a
}

func (a *authority) newKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.Fatal(err)
	}
	return key
}

func (a *authority) sign(template, parent *x509.Certificate, subject *ecdsa.PrivateKey) *x509.Certificate {
	a.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &subject.PublicKey, a.key)
	if err != nil {
		a.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.Fatal(err)
	}
	return cert
}

// leaf returns a server's certificate for host; change may spoil it.
func (a *authority) leaf(host string, change func(*x509.Certificate)) tls.Certificate {
	a.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), DNSNames: []string{host}, NotBefore: now.AddDate(0, 0, -1),
		NotAfter: now.AddDate(50, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if change != nil {
		change(template)
	}
	key := a.newKey()
	return tls.Certificate{Certificate: [][]byte{a.sign(template, a.cert, key).Raw}, PrivateKey: key}
}

func (a *authority) pem() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw}))
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// A server is a TLS server that all names lead to.
type server struct {
	addr  string
	dials int
}

func newServer(tb testing.TB, cert tls.Certificate) *server {
	tb.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "ok") }))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // of handshakes that fail, as they are to
	s.StartTLS()
	tb.Cleanup(s.Close)
	return &server{addr: s.Listener.Addr().String()}
}

func (s *server) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	s.dials++
	return new(net.Dialer).DialContext(ctx, network, s.addr)
}

// get asks for a page of host by a transport of its own.
func get(tb testing.TB, d *dial.Dialer, host string) error {
	tb.Helper()
	transport := &http.Transport{DialTLSContext: d.DialTLSContext}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Get("https://" + host + "/")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); string(body) != "ok" || err != nil {
		tb.Errorf("the answer is %q, %v", body, err)
	}
	return nil
}

func set(tb testing.TB, a *authority, domains ...string) *dial.Roots {
	tb.Helper()
	s, err := dial.ParseRoots(a.pem(), domains...)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

const host = "tables.cloud.example"

func TestAHostOfTheFewIsDialledOnce(t *testing.T) {
	few, machine := newAuthority(t, "few"), newAuthority(t, "machine")
	s := newServer(t, few.leaf(host, nil))
	d := &dial.Dialer{Sets: []*dial.Roots{set(t, few, "cloud.example")}, System: machine.pool(), Dial: s.dial,
		Now: func() time.Time { return now }, HandshakeTimeout: time.Minute}
	for want := 1; want < 4; want++ {
		if err := get(t, d, host); err != nil || s.dials != want {
			t.Fatalf("get = %v after %d dials, want %d", err, s.dials, want)
		}
	}
}

func TestAnotherRootOfTheMachineWorks(t *testing.T) {
	few, machine := newAuthority(t, "few"), newAuthority(t, "machine")
	s := newServer(t, machine.leaf(host, nil))
	d := &dial.Dialer{Sets: []*dial.Roots{set(t, few)}, System: machine.pool(), Dial: s.dial,
		Now: func() time.Time { return now }}
	for _, want := range []int{2, 3, 4} { // the host is known after the first
		if err := get(t, d, host); err != nil || s.dials != want {
			t.Fatalf("get = %v after %d dials, want %d", err, s.dials, want)
		}
	}
}

func TestTheFewAreForTheirOwnHosts(t *testing.T) {
	few, machine := newAuthority(t, "few"), newAuthority(t, "machine")
	s := newServer(t, few.leaf("elsewhere.example", nil))
	d := &dial.Dialer{Sets: []*dial.Roots{set(t, few, "cloud.example")}, System: machine.pool(), Dial: s.dial,
		Now: func() time.Time { return now }}
	var unknown x509.UnknownAuthorityError
	if err := get(t, d, "elsewhere.example"); !errors.As(err, &unknown) || s.dials != 1 {
		t.Errorf("get = %v after %d dials, want an unknown authority after one", err, s.dials)
	}
}

// What the machine would refuse is refused, whichever roots its chain ends in.
func TestBadCertificatesAreRefused(t *testing.T) {
	few, machine, nobody := newAuthority(t, "few"), newAuthority(t, "machine"), newAuthority(t, "nobody")
	expired := func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Second) }
	early := func(c *x509.Certificate) { c.NotBefore = now.Add(time.Minute) }
	client := func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }
	for _, test := range []struct {
		name string
		cert tls.Certificate
		says string
	}{
		{"expired, of the few", few.leaf(host, expired), "expired"},
		{"expired, of the machine", machine.leaf(host, expired), "expired"},
		{"not valid yet, of the few", few.leaf(host, early), "not yet valid"},
		{"not valid yet, of the machine", machine.leaf(host, early), "not yet valid"},
		{"of another host, of the few", few.leaf("other.cloud.example", nil), "not " + host},
		{"of another host, of the machine", machine.leaf("other.cloud.example", nil), "not " + host},
		{"not for servers, of the few", few.leaf(host, client), "incompatible key usage"},
		{"not for servers, of the machine", machine.leaf(host, client), "incompatible key usage"},
		{"of neither", nobody.leaf(host, nil), "unknown authority"},
	} {
		s := newServer(t, test.cert)
		both := machine.pool()
		if strings.HasSuffix(test.name, "few") {
			both.AddCert(few.cert)
		}
		d := &dial.Dialer{Sets: []*dial.Roots{set(t, few)}, System: both, Dial: s.dial,
			Now: func() time.Time { return now }}
		for range 2 {
			if err := get(t, d, host); err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%s: get = %v, want %q", test.name, err, test.says)
			}
		}
		if s.dials != 4 {
			t.Errorf("%s: %d dials, want 4: a host that failed is not remembered", test.name, s.dials)
		}
	}
}

func TestWhatIsNotAboutCertificatesIsNotTriedAgain(t *testing.T) {
	few := newAuthority(t, "few")
	dials := 0
	refused := errors.New("refused")
	d := &dial.Dialer{Sets: []*dial.Roots{set(t, few)},
		Dial: func(context.Context, string, string) (net.Conn, error) { dials++; return nil, refused }}
	if _, err := d.DialTLSContext(t.Context(), "tcp", host+":443"); !errors.Is(err, refused) || dials != 1 {
		t.Errorf("dial = %v after %d dials, want that it is refused after one", err, dials)
	}
	if _, err := d.DialTLSContext(t.Context(), "tcp", host); err == nil || dials != 1 {
		t.Errorf("dial without a port = %v", err)
	}
	mute := func(context.Context, string, string) (net.Conn, error) {
		dials++
		ours, theirs := net.Pipe()
		t.Cleanup(func() { theirs.Close() })
		return ours, nil
	}
	d = &dial.Dialer{Sets: []*dial.Roots{set(t, few)}, Dial: mute, HandshakeTimeout: time.Nanosecond}
	if _, err := d.DialTLSContext(t.Context(), "tcp", host+":443"); !errors.Is(err, context.DeadlineExceeded) ||
		dials != 2 {
		t.Errorf("dial of one that says nothing = %v after %d dials", err, dials-1)
	}
}

// The machine's own roots are read where none are given: in another process, which finds them by
// SSL_CERT_FILE.
func TestTheMachinesOwnRoots(t *testing.T) {
	const variable = "CHATCONF_TEST_TLS_ADDR"
	if addr := os.Getenv(variable); addr != "" {
		s, few := &server{addr: addr}, newAuthority(t, "few")
		d := &dial.Dialer{Sets: []*dial.Roots{set(t, few, "amazonaws.com"), set(t, few, "aliyuncs.com")}, Dial: s.dial}
		for _, host := range []string{"dynamodb.eu-central-1.amazonaws.com", "i.cn-hangzhou.ots.aliyuncs.com", host} {
			if err := get(t, d, host); err != nil {
				t.Errorf("%s: %v", host, err)
			}
		}
		if s.dials != 5 {
			t.Errorf("%d dials, want 2 for each host of a cloud, and 1", s.dials)
		}
		return
	}
	machine := newAuthority(t, "machine")
	s := newServer(t, machine.leaf(host, func(c *x509.Certificate) {
		c.DNSNames = append(c.DNSNames, "*.eu-central-1.amazonaws.com", "*.cn-hangzhou.ots.aliyuncs.com")
		c.NotBefore = time.Now().Add(-time.Hour)
	}))
	file := filepath.Join(t.TempDir(), "roots.pem")
	if err := os.WriteFile(file, []byte(machine.pem()), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestTheMachinesOwnRoots$", "-test.v")
	cmd.Env = append(os.Environ(), variable+"="+s.addr, "SSL_CERT_FILE="+file, "SSL_CERT_DIR="+t.TempDir())
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out),
		"--- PASS: TestTheMachinesOwnRoots") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestRootsCoverTheirDomains(t *testing.T) {
	few := newAuthority(t, "few")
	for _, test := range []struct {
		roots *dial.Roots
		host  string
		want  bool
	}{
		{set(t, few, "a.example", "b.example"), "x.y.a.example", true},
		{set(t, few, "a.example", "b.example"), "X.B.Example.", true},
		{set(t, few, "a.example"), "a.example", true},
		{set(t, few, "a.example"), "nota.example", false},
		{set(t, few, "a.example"), "a.example.evil.example", false},
		{set(t, few, "a.example"), "127.0.0.1", false},
		{set(t, few), "127.0.0.1", true},
	} {
		if got := test.roots.Covers(test.host); got != test.want {
			t.Errorf("%s is covered: %v, want %v", test.host, got, test.want)
		}
	}
}

func TestATextWithoutCertificatesIsNoSet(t *testing.T) {
	for _, text := range []string{"", "PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"} {
		if s, err := dial.ParseRoots(text); err == nil {
			t.Errorf("ParseRoots(%q) = %v", text, s)
		}
	}
	d := &dial.Dialer{Sets: []*dial.Roots{dial.LazyRoots("")}}
	if _, err := d.DialTLSContext(t.Context(), "tcp", host+":443"); err == nil {
		t.Error("a set that cannot be parsed dials")
	}
}

func TestReadRoots(t *testing.T) {
	good, bad := filepath.Join(t.TempDir(), "good.pem"), filepath.Join(t.TempDir(), "bad.pem")
	if err := errors.Join(os.WriteFile(good, []byte(newAuthority(t, "few").pem()), 0o600),
		os.WriteFile(bad, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if roots, err := dial.ReadRoots(good); err != nil || !roots.Covers("any.example") {
		t.Errorf("ReadRoots = %v, %v", roots, err)
	}
	if roots, err := dial.ReadRoots(""); roots != nil || err != nil {
		t.Errorf("ReadRoots of no file = %v, %v", roots, err)
	}
	for _, path := range []string{bad, filepath.Join(t.TempDir(), "missing.pem")} {
		if _, err := dial.ReadRoots(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("ReadRoots(%s) = %v, want an error that names the file", path, err)
		}
	}
}

// A transport dials in a goroutine of its own, where a panic would end the process.
func TestPanicWhileDialling(t *testing.T) {
	d := &dial.Dialer{Dial: func(context.Context, string, string) (net.Conn, error) { panic("planted") }}
	client := &http.Client{Transport: &http.Transport{DialTLSContext: d.DialTLSContext}}
	_, err := client.Get("https://a.example.com/")
	if err == nil || !strings.Contains(err.Error(), "dial: panic: planted\ngoroutine ") {
		t.Errorf("Get = %v", err)
	}
}
