// Package alisign signs requests to the services of Alibaba Cloud with package sign, which is linked in any case, because it proves the
// signatures of our own callers.
package alisign

import (
	"context"
	"errors"
	"net/http"
	"time"

	"chatconf/shared/cloud"
	"chatconf/shared/invoke"
	"chatconf/shared/rpc/sign"
)

// Options of a Signer.
type Options struct {
	// Credentials sign the requests of invocations that carry none of their own.
	Credentials invoke.Credentials
	// Now is the clock that requests are signed by. Nil is time.Now.
	Now func() time.Time
}

// A Signer signs.
type Signer struct {
	credentials func() invoke.Credentials // a function, so that they are not seen when the Signer is printed
	now         func() time.Time
}

// New returns a signer. It does no I/O.
func New(o Options) *Signer {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Signer{func() invoke.Credentials { return o.Credentials }, o.Now}
}

// Sign signs a request with the given body, whose headers say action and version, in the name of the invocation.
func (s *Signer) Sign(ctx context.Context, r *http.Request, body []byte) (cloud.Request, error) {
	credentials := invoke.From(ctx).Credentials
	if credentials.AccessKeyID == "" {
		credentials = s.credentials()
	}
	if credentials.AccessKeyID == "" {
		return cloud.Request{}, errors.New("no credentials: the invocation carries none, and there are no others")
	}
	key := sign.Key{ID: credentials.AccessKeyID, Secret: credentials.AccessKeySecret, SecurityToken: credentials.SecurityToken}
	err := key.SignACS3(r, body, s.now(), invoke.NewRequestID())
	return cloud.Request{Request: r, Secrets: []string{credentials.AccessKeySecret, credentials.SecurityToken}}, err
}
