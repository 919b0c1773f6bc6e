package tablestore

import (
	"context"
	"net/http"
	"runtime/debug"
	"time"

	"chatconf/shared/invoke"

	"github.com/aliyun/aliyun-tablestore-go-sdk/common"
	sdk "github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"
)

const (
	// requestTimeout is how long one request may take: enough for the slowest, and short enough to
	// send another on a fresh connection when the one it went out on has died in silence, as
	// connections do while a function is frozen.
	requestTimeout = 5 * time.Second
	// maxAnswer is the size of an answer in bytes: 100 of the largest items, and what holds them.
	maxAnswer = 48 << 20
)

// A session is a client of the SDK with what its present request needs. The SDK takes neither a
// context nor the credentials of one call, so a client serves one call at a time, and the session
// hands it both. Sessions are kept: making a client costs more than a request. All share the
// table's transport, and so its connections.
type session struct {
	client      *sdk.TableStoreClient
	transport   http.RoundTripper
	ctx         context.Context // stored, against all custom, because there is no other way through the SDK
	credentials invoke.Credentials
}

func newSession(t *Table) *session {
	s := &session{transport: t.transport}
	config := &sdk.TableStoreConfig{Transport: s} // no retries: a request that it sends twice may be done twice
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
	resp.Header.Del("Location") // the service redirects nobody, and a signed request goes nowhere else
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

// credentialsOf returns the credentials for a call: those of its invocation, which rotate, before
// those of the settings.
func (t *Table) credentialsOf(ctx context.Context) invoke.Credentials {
	if c := invoke.From(ctx).Credentials; c.AccessKeyID != "" {
		return c
	}
	return t.credentials()
}

// send lets fn make one request. The error is a *failure.
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

// guarded calls fn, and makes an error of the panic that an answer with something missing is to the
// SDK.
func guarded(client *sdk.TableStoreClient, fn func(*sdk.TableStoreClient) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = garbled("%v\n%s", p, debug.Stack())
		}
	}()
	return fn(client)
}
