package serve

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"
)

// lookEvery is the shortest time between two checks whether the files of a certificate have
// changed.
const lookEvery = time.Second

// A Certificate is the certificate chain and the private key of a server, each in a PEM file. A
// handshake reads changed files again, so a renewed certificate needs no restart. If they are
// invalid, that is logged, and the previous certificate stays.
type Certificate struct {
	certFile, keyFile string
	log               *slog.Logger
	now               func() time.Time

	mu     sync.Mutex
	served *tls.Certificate
	stamp  string    // of the files when they were last read, valid or not
	looked time.Time // when they were last checked
}

// OpenCertificate reads a certificate from two PEM files. The file of the key must not be readable
// for all users of the machine.
func OpenCertificate(certFile, keyFile string, log *slog.Logger) (*Certificate, error) {
	c := &Certificate{certFile: certFile, keyFile: keyFile, log: log, now: time.Now}
	c.stamp, c.looked = c.stampOf(), c.now()
	var err error
	if c.served, err = c.read(); err != nil {
		return nil, fmt.Errorf("TLS: %w", err)
	}
	c.checkDates()
	return c, nil
}

// Listen returns a listener that adds TLS 1.2 or later to the connections of l.
func (c *Certificate) Listen(l net.Listener) net.Listener {
	return tls.NewListener(l, &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.current(), nil },
	})
}

// Host returns a host name that clients can use for a server at host: host itself if the
// certificate covers it, else the first name in the certificate that is not a wildcard.
func (c *Certificate) Host(host string) string {
	leaf := c.current().Leaf
	if leaf.VerifyHostname(host) == nil {
		return host
	}
	for _, name := range leaf.DNSNames {
		if !strings.HasPrefix(name, "*") {
			return name
		}
	}
	for _, ip := range leaf.IPAddresses {
		return ip.String()
	}
	return host
}

// IsTrusted reports whether the roots of this machine verify the certificate now.
func (c *Certificate) IsTrusted() bool {
	served := c.current()
	intermediates := x509.NewCertPool()
	for _, der := range served.Certificate[1:] {
		if cert, err := x509.ParseCertificate(der); err == nil {
			intermediates.AddCert(cert)
		}
	}
	_, err := served.Leaf.Verify(x509.VerifyOptions{Intermediates: intermediates, CurrentTime: c.now()})
	return err == nil
}

func (c *Certificate) current() *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.now(); now.Sub(c.looked) >= lookEvery || now.Before(c.looked) {
		c.looked = now
		if stamp := c.stampOf(); stamp != c.stamp {
			c.stamp = stamp
			c.renewLocked()
		}
	}
	return c.served
}

func (c *Certificate) renewLocked() {
	renewed, err := c.read()
	if err != nil {
		c.log.Error("the new TLS certificate is invalid; the previous one stays in use", "error", err)
		return
	}
	c.served = renewed
	c.log.Info("the new TLS certificate is in use", "certificate", c.certFile, "until",
		renewed.Leaf.NotAfter.UTC().Format(time.RFC3339))
	c.checkDates()
}

func (c *Certificate) checkDates() {
	switch leaf, now := c.served.Leaf, c.now(); {
	case now.After(leaf.NotAfter):
		c.log.Warn("the TLS certificate has expired", "certificate", c.certFile, "on",
			leaf.NotAfter.UTC().Format(time.RFC3339))
	case now.Before(leaf.NotBefore):
		c.log.Warn("the TLS certificate is not valid yet", "certificate", c.certFile, "from",
			leaf.NotBefore.UTC().Format(time.RFC3339))
	}
}

// stampOf returns a text that changes when the files change. It is made of what is in them: two
// renewals may have the same time.
func (c *Certificate) stampOf() string {
	var b strings.Builder
	for _, file := range [...]string{c.certFile, c.keyFile} {
		info, err := os.Stat(file)
		var text []byte
		if err == nil {
			text, err = os.ReadFile(file)
		}
		if err != nil {
			fmt.Fprintf(&b, "%v;", err)
			continue
		}
		fmt.Fprintf(&b, "%x %v;", sha256.Sum256(text), info.Mode())
	}
	return b.String()
}

func (c *Certificate) read() (*tls.Certificate, error) {
	chain, err := readPEM(c.certFile, "CERTIFICATE")
	if err != nil {
		return nil, err
	}
	if err := checkMode(c.keyFile); err != nil {
		return nil, err
	}
	key, err := readPEM(c.keyFile, "PRIVATE KEY")
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return nil, fmt.Errorf("%s and %s: %w", c.certFile, c.keyFile, err)
	}
	return &pair, nil
}

// readPEM reads a file that must have an unencrypted block whose type ends with kind.
func readPEM(file, kind string) ([]byte, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	has := "no PEM block"
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		switch {
		case strings.HasPrefix(block.Type, "ENCRYPTED") || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED"):
			return nil, fmt.Errorf("%s: the private key is encrypted; remove the passphrase: openssl pkey "+
				"-in %s -out plain.pem", file, file)
		case strings.HasSuffix(block.Type, kind):
			return text, nil
		}
		has = "only " + block.Type
	}
	return nil, fmt.Errorf("%s: no -----BEGIN %s----- in the file; it has %s", file, kind, has)
}

// checkMode returns an error if all users of the machine may read or write a private key.
func checkMode(file string) error {
	info, err := os.Stat(file)
	switch {
	case err != nil:
		return err // it names the file
	case info.Mode().Perm()&0o007 != 0 && runtime.GOOS != "windows": // which has no such modes
		return fmt.Errorf("%s: all users of this machine can use the private key (mode %04o); run: chmod 600 %s",
			file, info.Mode().Perm(), file)
	}
	return nil
}
