package dynamodb

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Where Lambda puts the credentials of a function's role.
// https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime
const (
	envAccessKeyID     = "AWS_ACCESS_KEY_ID"
	envAccessKeySecret = "AWS_SECRET_ACCESS_KEY"
	envSessionToken    = "AWS_SESSION_TOKEN"
)

// Environment returns the access key of the environment that getenv reads. It stays as it is:
// Lambda ends an instance before its key expires.
func Environment(getenv func(name string) string) (aws.CredentialsProvider, error) {
	id, secret := getenv(envAccessKeyID), getenv(envAccessKeySecret)
	if id == "" || secret == "" {
		return nil, fmt.Errorf("table: dynamodb: no credentials: set %s and %s", envAccessKeyID, envAccessKeySecret)
	}
	return static{AccessKeyID: id, SecretAccessKey: secret, SessionToken: getenv(envSessionToken),
		Source: "environment"}, nil
}

// static are credentials that stay as they are.
type static aws.Credentials

// Retrieve implements aws.CredentialsProvider.
func (s static) Retrieve(context.Context) (aws.Credentials, error) { return aws.Credentials(s), nil }

// A signer provides one request with the table's credentials.
type signer struct {
	own  aws.CredentialsProvider
	used aws.Credentials // what it has provided
}

// Retrieve implements aws.CredentialsProvider. Without credentials the request is refused: the
// provider has tried.
func (s *signer) Retrieve(ctx context.Context) (aws.Credentials, error) {
	if s.own == nil {
		return aws.Credentials{}, &verdict{refused, errors.New("no credentials: the table has none")}
	}
	own, err := s.own.Retrieve(ctx)
	if err != nil {
		return aws.Credentials{}, &verdict{refused, err}
	}
	s.used = own
	return own, nil
}
