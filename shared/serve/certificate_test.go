package serve_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"chatconf/shared/invoke"
	"chatconf/shared/serve"
)

// A pair are the files of a certificate of its own and its key.
type pair struct{ cert, key string }

func newPair(t testing.TB) pair {
	dir := t.TempDir()
	return pair{filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")}
}

// makePair returns a certificate and its key in PEM, and the certificate as it is.
func makePair(t testing.TB, serial int64, until time.Time, names ...string) (cert, key []byte, leaf *x509.Certificate) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: until}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	if leaf, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), leaf
}

// write puts a new certificate into the files.
func (p pair) write(t testing.TB, serial int64, until time.Time, names ...string) *x509.Certificate {
	t.Helper()
	cert, key, leaf := makePair(t, serial, until, names...)
	put(t, p.cert, cert, 0o644)
	put(t, p.key, key, 0o600)
	return leaf
}

// put replaces a file, as a program that renews certificates does.
func put(t testing.TB, path string, text []byte, mode os.FileMode) {
	t.Helper()
	err := os.WriteFile(path+".new", text, mode)
	if err == nil {
		err = os.Chmod(path+".new", mode)
	}
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A syncBuffer is a log that a test reads while it is written.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) take() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.b.Reset()
	return b.b.String()
}

// Requests under TLS are what they are without, and are known to be secure. Nothing below TLS 1.2
// is spoken.
func TestTLS(t *testing.T) {
	files := newPair(t)
	leaf := files.write(t, 1, time.Now().Add(time.Hour), "127.0.0.1", "chatconf.example.com")
	c, err := serve.OpenCertificate(files.cert, files.key, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- serve.HTTP(ctx, c.Listen(l), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !invoke.From(r.Context()).Secure {
				t.Error("a request under TLS is not secure")
			}
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			w.Write(body)
		}), slog.New(slog.DiscardHandler), serve.Limits{})
	}()
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	client := func(config *tls.Config) *http.Client {
		config.RootCAs = pool
		transport := &http.Transport{TLSClientConfig: config}
		t.Cleanup(transport.CloseIdleConnections)
		return &http.Client{Transport: transport}
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		resp, err := client(&tls.Config{MinVersion: version, MaxVersion: version}).Post("https://"+l.Addr().String()+
			"/", "text/plain", strings.NewReader("said"))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || string(body) != "said" || resp.TLS.Version != version {
			t.Errorf("TLS %x: %q, %v, over %x", version, body, err, resp.TLS.Version)
		}
	}
	if _, err := client(&tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}).Get("https://" +
		l.Addr().String() + "/"); err == nil {
		t.Error("TLS 1.1 is spoken")
	}
	if resp, err := http.Get("http://" + l.Addr().String() + "/"); err == nil {
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			t.Error("a request in the clear is served")
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// served returns the serial number of the certificate that a listener shows.
func served(t *testing.T, l net.Listener) int64 {
	t.Helper()
	conn, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
}

// A renewed certificate is served without a restart; one that cannot be used is not, and that is
// said once.
func TestARenewedCertificateIsServed(t *testing.T) {
	files := newPair(t)
	files.write(t, 1, time.Now().Add(time.Hour), "127.0.0.1")
	var log syncBuffer
	c, err := serve.OpenCertificate(files.cert, files.key, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := c.Listen(inner)
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				conn.(*tls.Conn).Handshake()
				io.Copy(io.Discard, conn)
			}()
		}
	}()
	now := time.Now()
	serve.SetCertificateClock(c, func() time.Time { return now })
	look := func() { now = now.Add(2 * time.Second) }
	for _, step := range []struct {
		about  string
		change func()
		serial int64
		logs   string
	}{
		{"nothing changed", func() {}, 1, ""},
		{"both are renewed", func() { files.write(t, 2, time.Now().Add(time.Hour), "127.0.0.1") },
			2, "the new TLS certificate is in use"},
		{"nothing changed again", func() {}, 2, ""},
		{"the certificate comes before its key", func() {
			cert, key, _ := makePair(t, 3, time.Now().Add(time.Hour), "127.0.0.1")
			put(t, files.cert, cert, 0o644)
			put(t, files.key+".later", key, 0o600)
		}, 2, "private key does not match public key"},
		{"the key has still not come", func() {}, 2, ""},
		{"the key comes", func() {
			if err := os.Rename(files.key+".later", files.key); err != nil {
				t.Fatal(err)
			}
		}, 3, "the new TLS certificate is in use"},
		{"the files are gone", func() { os.Remove(files.cert) }, 3, "no such file"},
		{"all can read the key", func() {
			files.write(t, 4, time.Now().Add(time.Hour), "127.0.0.1")
			if err := os.Chmod(files.key, 0o644); err != nil {
				t.Fatal(err)
			}
		}, 3, "chmod 600"},
		{"only its owner can", func() { os.Chmod(files.key, 0o640) }, 4, "is in use"},
		{"one that has expired", func() { files.write(t, 5, time.Now().Add(-time.Hour), "127.0.0.1") },
			5, "the TLS certificate has expired"},
	} {
		step.change()
		look()
		if got := served(t, l); got != step.serial {
			t.Errorf("%s: certificate %d is served, want %d", step.about, got, step.serial)
		}
		if got := log.take(); !strings.Contains(got, step.logs) || (got == "") != (step.logs == "") {
			t.Errorf("%s: the log is %q, want %q", step.about, got, step.logs)
		}
	}
	files.write(t, 6, time.Now().Add(time.Hour), "127.0.0.1")
	if got := served(t, l); got != 5 {
		t.Errorf("the files are looked at in each handshake: %d", got)
	}
}

// What is wrong names the file, and what would be right.
func TestCertificatesThatCannotBeServed(t *testing.T) {
	cert, key, _ := makePair(t, 1, time.Now().Add(time.Hour), "127.0.0.1")
	other, _, _ := makePair(t, 2, time.Now().Add(time.Hour), "127.0.0.1")
	for about, test := range map[string]struct {
		cert, key []byte
		mode      os.FileMode
		want      string
	}{
		"no certificate file": {nil, key, 0o600, "cert.pem: no such file"},
		"no key file":         {cert, nil, 0o600, "key.pem: no such file"},
		"an invalid certificate": {[]byte("hello"), key, 0o600,
			"cert.pem: no -----BEGIN CERTIFICATE----- in the file; it has no PEM block"},
		"the files are exchanged": {key, cert, 0o600,
			"cert.pem: no -----BEGIN CERTIFICATE----- in the file; it has only PRIVATE KEY"},
		"an invalid key": {cert, []byte("hello"), 0o600,
			"key.pem: no -----BEGIN PRIVATE KEY----- in the file; it has no PEM block"},
		"the key of another": {other, key, 0o600, "private key does not match public key"},
		"a damaged certificate": {[]byte("-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----\n"),
			key, 0o600, "cert.pem and "},
		"a key that needs a password": {cert,
			[]byte("-----BEGIN ENCRYPTED PRIVATE KEY-----\nQUJD\n-----END ENCRYPTED PRIVATE KEY-----\n"), 0o600,
			"key.pem: the private key is encrypted"},
		"the same in the older format": {cert,
			[]byte("-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: " +
				"AES-256-CBC,00\n\nQUJD\n-----END EC PRIVATE KEY-----\n"), 0o600,
			"key.pem: the private key is encrypted"},
		"a key that all can read": {cert, key, 0o644,
			"key.pem: all users of this machine can use the private key (mode 0644); run: chmod 600 "},
		"a key that all can write": {cert, key, 0o602, "(mode 0602)"},
	} {
		files := newPair(t)
		if test.cert != nil {
			put(t, files.cert, test.cert, 0o644)
		}
		if test.key != nil {
			put(t, files.key, test.key, test.mode)
		}
		_, err := serve.OpenCertificate(files.cert, files.key, slog.New(slog.DiscardHandler))
		if err == nil || !strings.HasPrefix(err.Error(), "TLS: ") || !strings.Contains(err.Error(), test.want) ||
			strings.Contains(err.Error(), "QUJD") {
			t.Errorf("%s: %v, want %s", about, err, test.want)
		}
	}
}

// A name for the endpoint is one that the certificate proves.
func TestTheHostOfACertificate(t *testing.T) {
	for _, test := range []struct {
		names      []string
		host, want string
	}{
		{[]string{"127.0.0.1", "chatconf.example.com"}, "127.0.0.1", "127.0.0.1"},
		{[]string{"*.example.com", "chatconf.example.com", "other.example.com"}, "127.0.0.1", "chatconf.example.com"},
		{[]string{"chatconf.example.com"}, "chatconf.example.com", "chatconf.example.com"},
		{[]string{"192.0.2.7"}, "127.0.0.1", "192.0.2.7"},
		{[]string{"*.example.com"}, "127.0.0.1", "127.0.0.1"},
		{nil, "127.0.0.1", "127.0.0.1"},
	} {
		files := newPair(t)
		files.write(t, 1, time.Now().Add(time.Hour), test.names...)
		c, err := serve.OpenCertificate(files.cert, files.key, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Host(test.host); got != test.want || c.IsTrusted() {
			t.Errorf("%q for %s: %s, want %s; trusted is %v", test.names, test.host, got, test.want, c.IsTrusted())
		}
	}
}
