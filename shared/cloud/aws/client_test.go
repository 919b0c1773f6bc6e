package aws_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"chatconf/shared/cloud"
	"chatconf/shared/cloud/aws"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
)

// Each request has the caller's headers and its own signature. The caller's headers do not change,
// and printing a client shows no secret.
func TestAsk(t *testing.T) {
	asked := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		if r.URL.EscapedPath() != "/a%2Fb" || len(r.Header.Values("X-Amz-Target")) != 1 ||
			len(r.Header.Values("Authorization")) != 1 {
			t.Errorf("request %d is %s with %v", asked, r.URL, r.Header)
		}
		if asked == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer s.Close()
	client, err := aws.NewClient("kms", aws.Options{Region: "eu-central-1", Endpoint: s.URL,
		Credentials: provider{Credentials: awssdk.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: planted}}})
	if err != nil {
		t.Fatal(err)
	}
	if text := fmt.Sprintf("%v %+v %#v", client, client, client); strings.Contains(text, planted) {
		t.Errorf("the client shows its credentials: %s", text)
	}
	h := http.Header{"X-Amz-Target": {"a"}}
	_, err = client.Ask(t.Context(), "/a%2Fb", h, nil,
		cloud.Question{Read: func(status int, _ http.Header, _ []byte) ([]byte, error) {
			if status != http.StatusOK {
				return nil, &cloud.Refusal{Status: status, Retryable: cloud.Retryable(status)}
			}
			return nil, nil
		}})
	if err != nil || asked != 2 || len(h) != 1 {
		t.Errorf("Ask = %v after %d requests, and the headers are %v", err, asked, h)
	}
}
