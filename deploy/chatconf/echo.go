package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	targethttp "chatconf/shared/dispatch/http"
	"chatconf/shared/secret"
)

// An echo is the HTTPS endpoint of the demo: it says what it receives.
type echo struct {
	url    string
	secret secret.Text // the signing secret
	key    []byte      // the same, decoded
	server *http.Server
}

// Format writes a placeholder for every verb.
func (*echo) Format(s fmt.State, _ rune) { io.WriteString(s, "[echo]") }

// openEcho starts the endpoint on a free port of this machine, and returns it with the file of its
// certificate.
func openEcho(dir string, log *slog.Logger) (e *echo, roots string, err error) {
	e = &echo{key: make([]byte, 32)}
	rand.Read(e.key)
	e.secret = secret.Text("whsec_" + base64.StdEncoding.EncodeToString(e.key))
	certificate, roots, err := ownCertificate(dir)
	if err != nil {
		return nil, "", err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, "", err
	}
	e.url = "https://" + listener.Addr().String() + "/echo"
	e.server = &http.Server{
		Handler:           e,
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		TLSConfig:         &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12},
	}
	go e.server.ServeTLS(listener, "", "") // until Close
	return e, roots, nil
}

// Close ends the endpoint.
func (e *echo) Close() error { return e.server.Close() }

// ServeHTTP answers an event with its parameters, if its signature is valid.
func (e *echo) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	id, at := r.Header.Get("Webhook-Id"), r.Header.Get("Webhook-Timestamp")
	want := targethttp.Sign(e.key, id, at, body)
	var event struct {
		Data struct {
			UserID     string          `json:"userId"`
			Action     string          `json:"action"`
			Parameters json.RawMessage `json:"parameters"`
		} `json:"data"`
	}
	switch {
	case err != nil:
		http.Error(w, "too large", http.StatusRequestEntityTooLarge)
	case subtle.ConstantTimeCompare([]byte(r.Header.Get("Webhook-Signature")), []byte(want)) != 1:
		http.Error(w, "invalid signature", http.StatusUnauthorized)
	case json.Unmarshal(body, &event) != nil:
		http.Error(w, "no event", http.StatusBadRequest)
	default:
		json.NewEncoder(w).Encode(map[string]string{"text": fmt.Sprintf(
			"%s sent %s with %s, and the signature is valid", event.Data.UserID, event.Data.Action,
			event.Data.Parameters)})
	}
}

// ownCertificate makes a certificate for 127.0.0.1 that is valid for a day, and writes it to a
// file. Its key is only in memory.
func ownCertificate(dir string) (certificate tls.Certificate, file string, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, "", err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "chatconf demo"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, "", err
	}
	file = filepath.Join(dir, "echo.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, file, os.WriteFile(file, text, 0o600)
}
