package tablestore

import (
	"context"
	"net/http"
	"runtime/debug"
	"time"

	"chatconf/shared/invoke"
	"chatconf/shared/secret"

	"github.com/aliyun/aliyun-tablestore-go-sdk/common"
	sdk "github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"
)

const (
	// requestTimeout bounds one request. It is long enough for the slowest, and leaves time for
	// a retry on a new connection: old ones can die unnoticed while a function is frozen.
	requestTimeout = 5 * time.Second
	// maxAnswer is the size of an answer, in bytes: 100 of the largest items, and their
	// encoding.
	maxAnswer = 48 << 20
)

// A session is a client of the SDK for one request at a time. The SDK's methods take neither a
// context nor credentials, so the session provides both. Sessions are reused: a new client costs
// more than a request. All share the table's transport.
type session struct {
	secret.Hidden

	client      *sdk.TableStoreClient
	transport   http.RoundTripper
	ctx         context.Context // stored, because the SDK's methods take none
	credentials invoke.Credentials
}

func newSession(t *Table) *session {
	s := &session{transport: t.transport}
	config := &sdk.TableStoreConfig{Transport: s} // no retries: a request that is sent twice may be done twice
	s.client = sdk.NewClientWithConfig(t.endpoint, t.instance, "", "", "", config, sdk.SetCredentialsProvider(s))
	s.client.KeepDefaultRetryStrategyWhileUsingCustomizedRetryFunc = false
	s.client.CustomizedRetryFunc = func(string, string, string, int) bool { return false }
	return s
}

// RoundTrip implements http.RoundTripper.
func (s *session) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := s.transport.RoundTrip(req.WithContext(s.ctx))
	if err != nil {
		return nil, err
	}
	resp.Header.Del("Location") // follow no redirects: a signature is for one host
	resp.Body = http.MaxBytesReader(nil, resp.Body, maxAnswer)
	return resp, nil
}

// GetCredentials implements the SDK's CredentialsProvider.
func (s *session) GetCredentials() common.Credentials { return s }

// GetAccessKeyID implements the SDK's Credentials.
func (s *session) GetAccessKeyID() string { return s.credentials.AccessKeyID }

// GetAccessKeySecret implements the SDK's Credentials.
func (s *session) GetAccessKeySecret() string { return s.credentials.AccessKeySecret }

// GetSecurityToken implements the SDK's Credentials.
func (s *session) GetSecurityToken() string { return s.credentials.SecurityToken }

// credentialsOf returns the credentials of the invocation, which rotate, else those of the
// settings.
func (t *Table) credentialsOf(ctx context.Context) invoke.Credentials {
	if c := invoke.From(ctx).Credentials; c.AccessKeyID != "" {
		return c
	}
	return t.credentials()
}

// send calls fn, which sends one request. The error is a *failure.
func (t *Table) send(ctx context.Context, fn func(*sdk.TableStoreClient) error) error {
	credentials := t.credentialsOf(ctx)
	if credentials.AccessKeyID == "" || credentials.AccessKeySecret == "" {
		return errNoCredentials
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	s := t.sessions.Get().(*session)
	s.ctx, s.credentials = ctx, credentials
	err := guarded(s.client, fn)
	s.ctx, s.credentials = nil, invoke.Credentials{}
	t.sessions.Put(s)
	if err != nil {
		return mapError(err, credentials)
	}
	return nil
}

// guarded calls fn. The SDK panics over an incomplete answer; guarded returns that as an error.
func guarded(client *sdk.TableStoreClient, fn func(*sdk.TableStoreClient) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = garbled("%v\n%s", p, debug.Stack())
		}
	}()
	return fn(client)
}
