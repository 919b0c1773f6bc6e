package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"chatconf/shared/accesskey"
	"chatconf/shared/app"
	"chatconf/shared/policy"
	"chatconf/shared/rpc"
)

// newCertificate leaves a certificate of its own for 127.0.0.1, and its key, in files.
func newCertificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writeFile(t, cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	writeFile(t, key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}))
	return cert, key
}

// runs starts a command that serves, and returns what it said when it began, and what ends it.
func runs(t *testing.T, until string, args ...string) (said string, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	root := newRoot()
	root.SetArgs(args)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	root.SetOut(w)
	done := make(chan error, 1)
	go func() {
		defer w.Close()
		done <- root.ExecuteContext(ctx)
	}()
	buffer := make([]byte, 1<<16)
	for !strings.Contains(said, until) {
		n, err := r.Read(buffer)
		if err != nil {
			t.Fatalf("%q ended: %v\n%s", args, <-done, said)
		}
		said += string(buffer[:n])
	}
	return said, func() {
		t.Helper()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		r.Close()
	}
}

// With a certificate the service speaks HTTPS: banner and endpoint file say so, the tool trusts
// what it is told to, what the service posts to itself arrives, and policies know that the
// connection is secure.
func TestServeWithTLS(t *testing.T) {
	data := newData(t)
	settings, err := localSettings(data)
	if err != nil {
		t.Fatal(err)
	}
	l, err := app.OpenLocal(t.Context(), settings, app.Actions(rpc.Actions()...))
	if err != nil {
		t.Fatal(err)
	}
	keys := make(map[string]*accesskey.Key)
	for _, secure := range []string{"true", "false"} {
		p, err := policy.Parse(
			[]byte(`{"Version":"1","Statement":[{"Effect":"Allow","Action":"oos:List*","Resource":"*",` +
				`"Condition":{"Bool":{"acs:SecureTransport":"` + secure + `"}}}]}`))
		if err == nil {
			keys[secure], err = l.Keys.Create(t.Context(), accesskey.Key{Account: app.DefaultAccountID,
				Name: "secure-" + secure, Policies: []*policy.Policy{p}})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	cert, key := newCertificate(t)
	said, stop := runs(t, "env", "serve", "--addr", "127.0.0.1:0", "--data", data, "--tls-cert", cert, "--tls-key", key)
	endpoint, err := app.ReadEndpoint(data)
	if err != nil || !strings.HasPrefix(endpoint, "https://127.0.0.1:") ||
		!strings.Contains(said, "chatconf listens on "+endpoint+"\n") ||
		!strings.Contains(said, "call --data "+data+" --ca-cert "+cert+" Create") {
		t.Errorf("the endpoint is %s, %v; serve said\n%s", endpoint, err, said)
	}
	at := []string{"--data", data, "--ca-cert", cert}
	create(t, at, "ops", "Feishu", "")
	if out := mustRun(t, append([]string{"send", "ops", "restart", "--user", "manager4220"},
		at...)...); !strings.Contains(out, "Feishu shows:\n\n  restart was accepted.\n") {
		t.Errorf("send printed %s", out)
	}
	if out := mustRun(t, append([]string{"call", "GetChatConfiguration", "Name=ops"}, at...)...); !strings.Contains(out,
		endpoint+"/webhook/") {
		t.Errorf("Outputs have another endpoint than %s: %s", endpoint, out)
	}
	for secure, want := range map[string]bool{"true": true, "false": false} {
		_, err := run(t, "", append([]string{"call", "ListChatConfigurations", "--access-key-id", keys[secure].ID,
			"--access-key-secret", keys[secure].Secret.Reveal()}, at...)...)
		if (err == nil) != want {
			t.Errorf("acs:SecureTransport %s: %v, allowed should be %v", secure, err, want)
		}
	}
	if out := mustRun(t, "env", "--data", data); !strings.Contains(out, "CHATCONF_ENDPOINT="+endpoint+"\n") {
		t.Errorf("env printed %s", out)
	}
	if _, err := run(t, "", "call", "ListChatConfigurations", "--data", data); err == nil || isUsage(err) ||
		!strings.Contains(err.Error(), "set --ca-cert or CHATCONF_ROOTS to its certificate's file") {
		t.Errorf("without the certificate: %v", err)
	}
	if _, err := run(t, "", "call", "ListChatConfigurations", "--data", data, "--ca-cert", cert, "--endpoint",
		strings.Replace(endpoint, "127.0.0.1", "localhost", 1)); err == nil ||
		!strings.Contains(err.Error(), "use a host name of the certificate in --endpoint") {
		t.Errorf("under another name: %v", err)
	}
	if _, err := run(t, "", "call", "ListChatConfigurations", "--data", data, "--endpoint",
		strings.Replace(endpoint, "https", "http", 1), "--access-key-id",
		"x", "--access-key-secret", "y"); err == nil ||
		!strings.Contains(err.Error(), "if the service has TLS, use an endpoint that begins with https://") {
		t.Errorf("without TLS: %v", err)
	}
	plain := newService(t, newData(t))
	if _, err := run(t, "", "call", "ListChatConfigurations", "--data", data, "--endpoint",
		strings.Replace(plain, "http", "https", 1), "--access-key-id", "x", "--access-key-secret", "y"); err == nil ||
		!strings.Contains(err.Error(), "if the service has no TLS, use an endpoint that begins with http://") {
		t.Errorf("with TLS where there is none: %v", err)
	}
	for file, want := range map[string]string{key: "no certificate in PEM", "/nonexistent.pem": "/nonexistent.pem"} {
		if _, err := run(t, "", "call", "ListChatConfigurations", "--data", data, "--ca-cert", file); !isUsage(err) ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("--ca-cert %s: %v", file, err)
		}
	}
	t.Setenv("CHATCONF_ROOTS", cert)
	mustRun(t, "call", "ListChatConfigurations", "--data", data)
	mustRun(t, "send", "ops", "help", "--user", "u", "--data", data)
	stop()
}

func TestOTSWithTLS(t *testing.T) {
	noEnv(t)
	cert, key := newCertificate(t)
	said, stop := runs(t, "secret", "ots", "--addr", "127.0.0.1:0", "--data", "", "--tls-cert", cert, "--tls-key", key)
	if !strings.Contains(said, "Tablestore emulator on https://127.0.0.1:") {
		t.Errorf("ots said %s", said)
	}
	stop()
}

// What is wrong with a certificate ends the start before anything is made.
func TestServeWithABadCertificate(t *testing.T) {
	noEnv(t)
	cert, key := newCertificate(t)
	open := filepath.Join(t.TempDir(), "open.pem")
	writeFile(t, open, []byte("x"))
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args  []string
		usage bool
		want  string
	}{
		{[]string{"--tls-cert", cert}, true, "--tls-cert is given without --tls-key; give both"},
		{[]string{"--tls-key", key}, true, "--tls-key is given without --tls-cert; give both"},
		{[]string{"--tls-cert", key, "--tls-key", cert}, false, key + ": no -----BEGIN CERTIFICATE-----"},
		{[]string{"--tls-cert", cert, "--tls-key", "/nonexistent.pem"}, false, "/nonexistent.pem: no such file"},
		{[]string{"--tls-cert", cert, "--tls-key", open}, false, "chmod 600 " + open},
	} {
		for _, command := range []string{"serve", "ots"} {
			data := filepath.Join(t.TempDir(), "data")
			_, err := run(t, "", append([]string{command, "--addr", "127.0.0.1:0", "--data", data}, test.args...)...)
			if err == nil || isUsage(err) != test.usage || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s %q: %v, want %s", command, test.args, err, test.want)
			}
			if _, err := os.Stat(filepath.Join(data, app.TableFile)); err == nil {
				t.Errorf("%s %q: the table was made", command, test.args)
			}
		}
	}
}
