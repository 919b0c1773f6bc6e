package dynamodb

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"

	"chatconf/shared/secret"
)

// Lambda's variables for the credentials of a function's role.
// https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime
const (
	envAccessKeyID     = "AWS_ACCESS_KEY_ID"
	envAccessKeySecret = "AWS_SECRET_ACCESS_KEY"
	envSessionToken    = "AWS_SESSION_TOKEN"
)

// Environment returns the credentials in an environment. It need not refresh them: Lambda ends an
// instance before they expire.
func Environment(getenv func(name string) string) (aws.CredentialsProvider, error) {
	id, secret := getenv(envAccessKeyID), getenv(envAccessKeySecret)
	if id == "" || secret == "" {
		return nil, fmt.Errorf("table: dynamodb: no credentials: set %s and %s", envAccessKeyID, envAccessKeySecret)
	}
	return static{AccessKeyID: id, SecretAccessKey: secret, SessionToken: getenv(envSessionToken),
		Source: "environment"}, nil
}

type static aws.Credentials

// Retrieve implements aws.CredentialsProvider.
func (s static) Retrieve(context.Context) (aws.Credentials, error) { return aws.Credentials(s), nil }

// A signer provides the table's credentials for one request.
type signer struct {
	secret.Hidden

	own  aws.CredentialsProvider
	used aws.Credentials // the provided ones
}

// Retrieve implements aws.CredentialsProvider. Its error is final: the provider has retried.
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
