package dynamodb_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"chatconf/shared/table"
	"chatconf/shared/table/dynamodb"
	"chatconf/shared/table/dynamodb/dynamotest"

	"github.com/aws/aws-sdk-go-v2/aws"
)

func environment(values map[string]string) func(string) string {
	return func(name string) string { return values[name] }
}

func TestEnvironmentRefuses(t *testing.T) {
	for what, env := range map[string]map[string]string{
		"nothing":              nil,
		"a key without secret": {"AWS_ACCESS_KEY_ID": "AKID"},
		"a secret without key": {"AWS_SECRET_ACCESS_KEY": "PLANTED"},
	} {
		c, err := dynamodb.Environment(environment(env))
		if err == nil || !strings.Contains(err.Error(), "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY") ||
			strings.Contains(err.Error(), "PLANTED") {
			t.Errorf("Environment with %s = %v, %v, want an error that says what to set", what, c, err)
		}
	}
}

func TestEnvironmentKeys(t *testing.T) {
	c, err := dynamodb.Environment(environment(map[string]string{
		"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "SECRET", "AWS_SESSION_TOKEN": "TOKEN",
	}))
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Retrieve(t.Context())
	if err != nil || got.AccessKeyID != "AKID" || got.SecretAccessKey != "SECRET" || got.SessionToken != "TOKEN" {
		t.Errorf("Retrieve = %+v, %v, want those of the environment", got, err)
	}
}

// A call that gets no credentials is not sent, nor tried again.
func TestNoCredentials(t *testing.T) {
	asked := 0
	failing := provider(func() (aws.Credentials, error) {
		asked++
		return aws.Credentials{},
			errors.New("nobody knows")
	})
	tb := open(t, roundTripper(func(*http.Request) (*http.Response, error) {
		t.Error("a request without credentials was sent")
		return nil, io.EOF
	}), dynamodb.Options{Credentials: failing})
	dynamodb.SetSleep(tb, func(context.Context, time.Duration) error { t.Error("the call pauses"); return nil })
	for name, call := range calls {
		asked = 0
		if err := call.do(t.Context(), tb); !errors.Is(err, table.ErrUnavailable) ||
			!strings.Contains(err.Error(), "nobody knows") {
			t.Errorf("%s without credentials = %v, want ErrUnavailable that says why", name, err)
		}
		if asked != 1 {
			t.Errorf("%s asked %d times for credentials, want 1", name, asked)
		}
	}
}

// A table without credentials says so.
func TestTableWithoutCredentials(t *testing.T) {
	tb, err := dynamodb.New("chatconf", dynamodb.Options{Region: "eu-central-1",
		Transport: roundTripper(func(*http.Request) (*http.Response, error) {
			t.Error("a request without credentials was sent")
			return nil, io.EOF
		})})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tb.Get(t.Context(), table.Key{Partition: "p", Sort: "a"}); err == nil ||
		!strings.Contains(err.Error(), "no credentials") {
		t.Errorf("Get without credentials = %v, want an error that says so", err)
	}
}

type provider func() (aws.Credentials, error)

func (p provider) Retrieve(context.Context) (aws.Credentials, error) { return p() }

// An answer that quotes what was signed does not bring secrets into the error, nor lines into the
// log.
func TestErrorsShowNoSecret(t *testing.T) {
	own := credentials{AccessKeyID: "AKID", SecretAccessKey: "PLANTED-SECRET", SessionToken: "PLANTED-TOKEN"}
	for what, answer := range map[string]func(r *http.Request, echo string) (*http.Response, error){
		"message": func(r *http.Request, echo string) (*http.Response, error) {
			return dynamotest.Answer(r, 400, dynamotest.Failure{Type: "InvalidSignatureException",
				Message: "The Canonical String should have been\n" + echo + strings.Repeat("\nx", 1000)}), nil
		},
		"code": func(r *http.Request, echo string) (*http.Response, error) {
			return dynamotest.Answer(r, 400, dynamotest.Failure{Type: echo}), nil
		},
		"request id": func(r *http.Request, echo string) (*http.Response, error) {
			resp := dynamotest.Answer(r, 400, dynamotest.Failure{Type: "AccessDeniedException"})
			resp.Header.Set("X-Amzn-RequestId", strings.ReplaceAll(echo, "\n", " "))
			return resp, nil
		},
		"transaction": func(r *http.Request, echo string) (*http.Response, error) {
			return dynamotest.Answer(r, 400, dynamotest.Failure{Type: "TransactionCanceledException", Message: echo}),
				nil
		},
		"transport": func(_ *http.Request, echo string) (*http.Response, error) {
			return nil, errors.New(echo)
		},
	} {
		tb := open(t, roundTripper(func(r *http.Request) (*http.Response, error) {
			token := r.Header.Get("X-Amz-Security-Token")
			return answer(r, "host:x\nx-amz-security-token:"+token+"\n"+strings.Replace(token, "TOKEN", "SECRET", 1))
		}), dynamodb.Options{Credentials: own})
		for name, call := range calls {
			err := call.do(t.Context(), tb)
			if err == nil || strings.Contains(err.Error(), "PLANTED") || what != "transport" &&
				strings.Contains(err.Error(), "\n") || len(err.Error()) > 600 {
				t.Errorf("%s, echo in the %s: %v, want an error of one line without secrets", name, what, err)
			}
		}
		if err := dynamodb.Ensure(t.Context(), tb, dynamodb.Setup{}, func(string) {}); err == nil ||
			strings.Contains(err.Error(), "PLANTED") {
			t.Errorf("Ensure, echo in the %s: %v, want an error without secrets", what, err)
		}
	}
}
