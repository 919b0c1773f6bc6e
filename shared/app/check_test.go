package app_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"chatconf/shared/app"
	"chatconf/shared/chat"
	"chatconf/shared/policy"
	"chatconf/shared/rpc"
)

// slackAt serves a handler as slack.com, and returns its address and the file with its root.
func slackAt(t *testing.T, handler http.HandlerFunc) (address, roots string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"slack.com"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	roots = filepath.Join(t.TempDir(), "roots.pem")
	if err := os.WriteFile(roots, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(handler)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String(), roots
}

// The role of the check, and that of a process that is alone, call the platform with the secrets of
// the configuration. The role of all actions calls none.
func TestCheckCallsThePlatform(t *testing.T) {
	address, roots := slackAt(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer xoxb-not-a-real-token" {
			fmt.Fprint(w, `{"ok":false,"error":"invalid_auth"}`)
			return
		}
		w.Header().Set("X-OAuth-Scopes", "chat:write,commands")
		fmt.Fprint(w, `{"ok":true,"channel":{"is_member":true}}`)
	})
	const all = "settings Passed, token Passed, scopes Passed, conversation Passed, webhook NotPossible"
	for about, test := range map[string]struct {
		role app.Role
		want string
	}{
		"check":      {app.Check(), all},
		"everything": {app.Everything(rpc.Actions()...), all},
		"actions":    {app.Actions(rpc.Actions()...), "settings Passed, token NotPossible, webhook NotPossible"},
	} {
		s := settings(t)
		s.Roots, s.PlatformAddresses = roots, map[string]string{"slack.com:443": address}
		l, err := app.OpenLocal(t.Context(), s, test.role)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ctx := chat.WithCaller(t.Context(), &chat.Caller{Account: s.AccountID, AccessKeyID: "CCKtest",
			Policies: []*policy.Policy{policy.Owner()}})
		if _, err := l.Service.Create(ctx, &chat.CreateRequest{Name: "ops", Type: "Slack",
			Configuration: `{"SlackSigningSecret":"not-a-real-secret","SlackBotToken":"xoxb-not-a-real-token",` +
				`"ConversationIds":["C1"]}`}); err != nil {
			t.Fatal(err)
		}
		out, err := l.Service.CheckConfiguration(ctx, &chat.CheckConfigurationRequest{Name: "ops"})
		if err != nil {
			t.Fatal(err)
		}
		var steps []string
		for _, step := range out.Check.Steps {
			steps = append(steps, step.Step+" "+step.State)
		}
		if got := strings.Join(steps, ", "); got != test.want {
			t.Errorf("%s: %s, want %s\n%+v", about, got, test.want, out.Check.Steps)
		}
	}
	s := settings(t)
	s.Roots = filepath.Join(t.TempDir(), "none.pem")
	if l, err := app.OpenLocal(t.Context(), s, app.Check()); err == nil {
		l.Close()
		t.Error("a check without its roots opens")
	}
}
