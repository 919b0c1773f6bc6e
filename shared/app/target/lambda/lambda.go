// Package lambda is AWS as a target: Lambda, DynamoDB and KMS.
package lambda

import (
	"context"
	"errors"
	"fmt"
	"time"

	"chatconf/shared/app/target"
	"chatconf/shared/cloud"
	"chatconf/shared/cloud/aws"
	runtime "chatconf/shared/serve/lambda"
	"chatconf/shared/table"
	"chatconf/shared/table/dynamodb"
)

// Read returns the target that the environment describes. The error lists every mistake, each with the variable's name, and no secret.
//
//	AWS_REGION                                     required; AWS_DEFAULT_REGION will do
//	AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, …    required; see dynamodb.Environment
//	AWS_ENDPOINT_URL_DYNAMODB                      default AWS_ENDPOINT_URL, else the region's own
//	AWS_ENDPOINT_URL_KMS                           likewise
//	AWS_ENDPOINT_URL_LAMBDA                        likewise
//	CHATCONF_ROOTS                                 see target.Dial
func Read(getenv func(string) string) (target.Target, error) {
	var mistakes []error
	wrong := func(name string, err error) {
		if err != nil {
			mistakes = append(mistakes, fmt.Errorf("%s: %w", name, err))
		}
	}
	everywhere := getenv("AWS_ENDPOINT_URL")
	o := dynamodb.Options{
		Region:   target.FirstOf(getenv("AWS_REGION"), getenv("AWS_DEFAULT_REGION")),
		Endpoint: target.FirstOf(getenv("AWS_ENDPOINT_URL_DYNAMODB"), everywhere),
	}
	if o.Region == "" {
		wrong("AWS_REGION", errors.New("wanted a region, such as eu-central-1"))
	}
	if o.Endpoint != "" {
		wrong("AWS_ENDPOINT_URL_DYNAMODB", cloud.CheckEndpoint(o.Endpoint)) // which New could not say whose mistake it is
	}
	var err error
	o.Credentials, err = dynamodb.Environment(getenv)
	mistakes = append(mistakes, err)
	transport := dynamodb.NewTransport()
	mistakes = append(mistakes, target.Dial(transport, getenv, aws.Roots))
	o.Transport = transport
	api := func(service string) aws.Options {
		return aws.Options{
			Region:      target.FirstOf(o.Region, "region"), // its absence is reported already
			Endpoint:    target.FirstOf(getenv("AWS_ENDPOINT_URL_"+service), everywhere),
			Credentials: o.Credentials,
			Transport:   transport,
		}
	}
	keys, err := aws.NewKeys(api("KMS"))
	wrong("AWS_ENDPOINT_URL_KMS", err)
	functions, err := aws.NewFunctions(api("LAMBDA"))
	wrong("AWS_ENDPOINT_URL_LAMBDA", err)
	if err := errors.Join(mistakes...); err != nil {
		return target.Target{}, err
	}
	var probe func(context.Context, table.Table) error
	if o.Endpoint != "" { // which may be that of what stands in for DynamoDB
		probe = func(ctx context.Context, t table.Table) error {
			if t, ok := t.(*dynamodb.Table); ok {
				return t.Probe(ctx)
			}
			return nil
		}
	}
	return target.Target{
		Runtime: runtime.Runtime,
		Store:   "dynamodb",
		Where:   "region " + o.Region,
		OpenTable: func(name string, ttl time.Duration) (table.Table, error) {
			o := o
			o.TTL = ttl
			return dynamodb.New(name, o)
		},
		Probe:  probe,
		Unseal: keys.Open,
		Call:   functions.Call,
		Start:  functions.Start,
		Close:  transport.CloseIdleConnections,
	}, nil
}
