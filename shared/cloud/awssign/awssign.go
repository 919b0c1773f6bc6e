// Package awssign signs requests to the services of AWS, with the signer of aws-sdk-go-v2.
package awssign

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"time"

	"chatconf/shared/cloud"
	"chatconf/shared/invoke"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// Options of a Signer.
type Options struct {
	Service string // as signatures name it, such as kms
	Region  string
	// Credentials sign the requests of invocations that carry none of their own. Nil is none.
	Credentials aws.CredentialsProvider
	// Now is the clock that requests are signed by. Nil is time.Now.
	Now func() time.Time
}

// A Signer signs.
type Signer struct {
	options Options
	signer  *v4.Signer
}

// New returns a signer. It does no I/O.
func New(o Options) *Signer {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Signer{o, v4.NewSigner()}
}

// Sign signs a request with the given body in the name of the invocation.
func (s *Signer) Sign(ctx context.Context, r *http.Request, body []byte) (cloud.Request, error) {
	credentials, err := s.credentials(ctx)
	if err != nil {
		return cloud.Request{}, err
	}
	hash := sha256.Sum256(body)
	err = s.signer.SignHTTP(ctx, credentials, r, hex.EncodeToString(hash[:]), s.options.Service, s.options.Region, s.options.Now())
	return cloud.Request{Request: r, Secrets: []string{credentials.SecretAccessKey, credentials.SessionToken}}, err
}

// credentials returns those of the invocation, else the signer's own.
func (s *Signer) credentials(ctx context.Context) (aws.Credentials, error) {
	if own := invoke.From(ctx).Credentials; own.AccessKeyID != "" {
		return aws.Credentials{AccessKeyID: own.AccessKeyID, SecretAccessKey: own.AccessKeySecret, SessionToken: own.SecurityToken}, nil
	}
	if s.options.Credentials == nil {
		return aws.Credentials{}, errors.New("no credentials: the invocation carries none, and there are no others")
	}
	return s.options.Credentials.Retrieve(ctx)
}
