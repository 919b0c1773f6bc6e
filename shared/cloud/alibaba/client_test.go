package alibaba_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"chatconf/shared/cloud"
	"chatconf/shared/cloud/alibaba"
	"chatconf/shared/invoke"
)

// Each request has the caller's headers and a new nonce. The caller's headers do not change, and
// printing a client shows no secret.
func TestAsk(t *testing.T) {
	var nonces []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		nonces = append(nonces, r.Header.Get("X-Acs-Signature-Nonce"))
		if r.URL.EscapedPath() != "/a%2Fb" || r.Header.Get("Accept") != "application/json" ||
			r.Header.Get("X-Acs-Action") != "Do" || r.Header.Get("X-Acs-Version") != "2026-11-23" {
			t.Errorf("request %d is %s with %v", len(nonces), r.URL, r.Header)
		}
		if len(nonces) == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer s.Close()
	client, err := alibaba.NewClient("2026-11-23", alibaba.Options{Endpoint: s.URL,
		Credentials: invoke.Credentials{AccessKeyID: "LTAIexample", AccessKeySecret: planted}})
	if err != nil {
		t.Fatal(err)
	}
	if text := fmt.Sprintf("%v %+v %#v", client, client, client); strings.Contains(text, planted) {
		t.Errorf("the client shows its credentials: %s", text)
	}
	h := http.Header{"Accept": {"application/json"}}
	_, err = client.Ask(t.Context(), "Do", "/a%2Fb", h, nil,
		cloud.Question{Read: func(status int, _ http.Header, _ []byte) ([]byte, error) {
			if status != http.StatusOK {
				return nil, &cloud.Refusal{Status: status, Retryable: cloud.Retryable(status)}
			}
			return nil, nil
		}})
	if err != nil || len(nonces) != 2 || nonces[0] == nonces[1] || len(h) != 1 {
		t.Errorf("Ask = %v after requests with the nonces %q, and the headers are %v", err, nonces, h)
	}
}
