package dynamodb_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"chatconf/shared/table"
	"chatconf/shared/table/dynamodb"
	"chatconf/shared/table/dynamodb/dynamotest"
	"chatconf/shared/table/tabletest"

	"github.com/aws/aws-sdk-go-v2/aws"
)

func TestTable(t *testing.T) {
	tabletest.Run(t, func(t *testing.T, o tabletest.Options) table.Table {
		return open(t, dynamotest.New(), dynamodb.Options{Now: o.Now, TTL: o.TTL})
	}, tabletest.Caps{TextKeys: true})
}

// open opens a table behind a transport. Its pauses take no time.
func open(t testing.TB, transport http.RoundTripper, o dynamodb.Options) *dynamodb.Table {
	t.Helper()
	o.Region, o.Transport = "eu-central-1", transport
	if o.Credentials == nil {
		o.Credentials = credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "example"}
	}
	tb, err := dynamodb.New("chatconf", o)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	dynamodb.SetSleep(tb, func(ctx context.Context, _ time.Duration) error { return ctx.Err() })
	return tb
}

type credentials aws.Credentials

func (c credentials) Retrieve(context.Context) (aws.Credentials, error) {
	return aws.Credentials(c), nil
}
