package aws

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"chatconf/shared/cloud"
	"chatconf/shared/table"
	"chatconf/shared/table/dynamodb"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Read configures AWS from the environment, with DynamoDB as its store. The error lists every
// mistake with its variable, and no secret.
//
//	AWS_REGION                                   required, or AWS_DEFAULT_REGION
//	AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, …  required; see dynamodb.Environment
//	AWS_ENDPOINT_URL_DYNAMODB                    default AWS_ENDPOINT_URL, else that of the region
//	AWS_ENDPOINT_URL_KMS                         likewise
//	AWS_ENDPOINT_URL_LAMBDA                      likewise
//	CHATCONF_ROOTS                               see cloud.Trust
func Read(getenv func(string) string) (cloud.Cloud, error) {
	credentials, err := dynamodb.Environment(getenv)
	return read(getenv, credentials, err)
}

// ReadWith is Read with these credentials instead of those of the environment.
func ReadWith(getenv func(string) string, credentials aws.CredentialsProvider) (cloud.Cloud, error) {
	return read(getenv, credentials, nil)
}

func read(getenv func(string) string, credentials aws.CredentialsProvider, err error) (cloud.Cloud, error) {
	mistakes := []error{err}
	wrong := func(name string, err error) {
		if err != nil {
			mistakes = append(mistakes, fmt.Errorf("%s: %w", name, err))
		}
	}
	everywhere := getenv("AWS_ENDPOINT_URL")
	o := dynamodb.Options{
		Region:      cmp.Or(getenv("AWS_REGION"), getenv("AWS_DEFAULT_REGION")),
		Endpoint:    cmp.Or(getenv("AWS_ENDPOINT_URL_DYNAMODB"), everywhere),
		Credentials: credentials,
	}
	if o.Region == "" {
		wrong("AWS_REGION", errors.New("set it to a region, such as eu-central-1"))
	}
	if o.Endpoint != "" {
		wrong("AWS_ENDPOINT_URL_DYNAMODB", cloud.CheckEndpoint(o.Endpoint)) // dynamodb.New cannot name the variable
	}
	transport := dynamodb.NewTransport()
	mistakes = append(mistakes, cloud.Trust(transport, getenv, Roots))
	o.Transport = transport
	api := func(service string) Options {
		return Options{
			Region:      cmp.Or(o.Region, "region"), // already reported
			Endpoint:    cmp.Or(getenv("AWS_ENDPOINT_URL_"+service), everywhere),
			Credentials: credentials,
			Transport:   transport,
		}
	}
	keys, err := NewKeys(api("KMS"))
	wrong("AWS_ENDPOINT_URL_KMS", err)
	functions, err := NewFunctions(api("LAMBDA"))
	wrong("AWS_ENDPOINT_URL_LAMBDA", err)
	if err := errors.Join(mistakes...); err != nil {
		return cloud.Cloud{}, err
	}
	c := cloud.Cloud{
		Store:  "dynamodb",
		Engine: "DynamoDB",
		Where:  "region " + o.Region,
		OpenTable: func(name string, ttl time.Duration) (table.Table, error) {
			o := o
			o.TTL = ttl
			return dynamodb.New(name, o)
		},
		Unseal: keys.Open,
		Start:  functions.Start,
		Close:  transport.CloseIdleConnections,
	}
	if o.Endpoint != "" { // which may be an emulator's
		c.Probe = probe
	}
	return c, nil
}

// Services are the services of AWS that run commands, and STS, which issues the
// credentials of their roles.
type Services struct {
	Roles         *Roles
	Automations   *Automations
	StateMachines *StateMachines
	Functions     *Functions
	Topics        *Topics
	Close         func() // closes idle connections
}

// ReadServices configures the services from the environment, as Read does. It sends nothing.
//
//	AWS_ENDPOINT_URL_STS, …_SSM, …_SFN, …_LAMBDA,   default AWS_ENDPOINT_URL, else the region's
//	…_SNS
func ReadServices(getenv func(string) string) (Services, error) {
	credentials, err := dynamodb.Environment(getenv)
	return readServices(getenv, credentials, err)
}

// ReadServicesWith is ReadServices with these credentials instead of those of the environment.
func ReadServicesWith(getenv func(string) string, credentials aws.CredentialsProvider) (Services, error) {
	return readServices(getenv, credentials, nil)
}

func readServices(getenv func(string) string, credentials aws.CredentialsProvider, err error) (Services, error) {
	mistakes := []error{err}
	wrong := func(name string, err error) {
		if err != nil {
			mistakes = append(mistakes, fmt.Errorf("%s: %w", name, err))
		}
	}
	region := cmp.Or(getenv("AWS_REGION"), getenv("AWS_DEFAULT_REGION"))
	if region == "" {
		wrong("AWS_REGION", errors.New("set it to a region, such as eu-central-1"))
	}
	transport := dynamodb.NewTransport()
	mistakes = append(mistakes, cloud.Trust(transport, getenv, Roots))
	s := Services{Close: transport.CloseIdleConnections}
	api := func(service string) Options {
		return Options{
			Region:      cmp.Or(region, "region"), // already reported
			Endpoint:    cmp.Or(getenv("AWS_ENDPOINT_URL_"+service), getenv("AWS_ENDPOINT_URL")),
			Credentials: credentials,
			Transport:   transport,
		}
	}
	s.Roles, err = NewRoles(api("STS"))
	wrong("AWS_ENDPOINT_URL_STS", err)
	s.Automations, err = NewAutomations(api("SSM"))
	wrong("AWS_ENDPOINT_URL_SSM", err)
	s.StateMachines, err = NewStateMachines(api("SFN"))
	wrong("AWS_ENDPOINT_URL_SFN", err)
	s.Functions, err = NewFunctions(api("LAMBDA"))
	wrong("AWS_ENDPOINT_URL_LAMBDA", err)
	s.Topics, err = NewTopics(api("SNS"))
	wrong("AWS_ENDPOINT_URL_SNS", err)
	if err := errors.Join(mistakes...); err != nil {
		return Services{}, err
	}
	return s, nil
}

func probe(ctx context.Context, t table.Table) error {
	if t, ok := t.(*dynamodb.Table); ok {
		return t.Probe(ctx)
	}
	return nil
}
