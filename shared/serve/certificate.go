package serve

import (
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

// lookEvery is how often, at most, the files of a certificate are looked at. A handshake that finds
// them changed reads them.
const lookEvery = time.Second

// A Certificate is what a server proves its names with: a chain of certificates and the private
// key, each in a PEM file. Files that change are read again, so a renewed certificate is served
// without a restart. What cannot be used then is logged, and the one before it stays.
type Certificate struct {
	certFile, keyFile string
	log               *slog.Logger
	now               func() time.Time

	mu     sync.Mutex
	served *tls.Certificate
	stamp  string    // of the files as they were last read, whether they could be used or not
	looked time.Time // when they were last looked at
}

// OpenCertificate reads the certificate of two PEM files. The key's file must not be readable by
// every user of the machine.
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

// Listen returns a listener whose connections are those of l under TLS 1.2 or later.
func (c *Certificate) Listen(l net.Listener) net.Listener {
	return tls.NewListener(l, &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.current(), nil },
	})
}

// Host returns a name under which clients can reach a server at host and prove that it is the right
// one: host itself if the certificate is for it, else the first name of the certificate that is no
// pattern.
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

// IsTrusted reports whether the machine's roots take the certificate now.
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

// current returns the certificate to serve.
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

// renewLocked reads the files again.
func (c *Certificate) renewLocked() {
	renewed, err := c.read()
	if err != nil {
		c.log.Error("the changed TLS certificate is not served, but the one before it", "error", err)
		return
	}
	c.served = renewed
	c.log.Info("the changed TLS certificate is served", "certificate", c.certFile, "until",
		renewed.Leaf.NotAfter.UTC().Format(time.RFC3339))
	c.checkDates()
}

// checkDates logs that clients will not take the certificate because of its dates.
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

// stampOf returns what tells the files from what they were before.
func (c *Certificate) stampOf() string {
	var b strings.Builder
	for _, file := range [...]string{c.certFile, c.keyFile} {
		info, err := os.Stat(file)
		if err != nil {
			fmt.Fprintf(&b, "%v;", err)
			continue
		}
		fmt.Fprintf(&b, "%d %d %v;", info.ModTime().UnixNano(), info.Size(), info.Mode())
	}
	return b.String()
}

// read reads the files.
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

// readPEM reads a file that must have a block of a kind: one whose type ends with it, in the clear.
func readPEM(file, kind string) ([]byte, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	has := "no PEM"
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		switch {
		case strings.HasPrefix(block.Type, "ENCRYPTED") || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED"):
			return nil, fmt.Errorf("%s: the private key is encrypted; write it without a passphrase: openssl pkey "+
				"-in %s -out plain.pem", file, file)
		case strings.HasSuffix(block.Type, kind):
			return text, nil
		}
		has = block.Type
	}
	return nil, fmt.Errorf("%s: there is no -----BEGIN %s----- in it, but %s", file, kind, has)
}

// checkMode returns an error if every user of the machine may read or write a private key.
func checkMode(file string) error {
	info, err := os.Stat(file)
	switch {
	case err != nil:
		return err // which names the file
	case info.Mode().Perm()&0o007 != 0 && runtime.GOOS != "windows": // which has no such modes
		return fmt.Errorf("%s: every user of this machine may use the private key (mode %04o); run: chmod 600 %s",
			file, info.Mode().Perm(), file)
	}
	return nil
}
