// Command lambda is the least that a function of Lambda can be which reads what
// GetChatConfiguration reads, through the same SDKs: one item before the first invocation and two
// in each. It checks nothing, opens nothing and logs nothing.
package main

import (
	"context"
	"net/http"
	"os"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// A handler answers with the last item that it has read.
type handler struct{ client *dynamodb.Client }

// Invoke implements lambda.Handler.
func (h handler) Invoke(ctx context.Context, _ []byte) ([]byte, error) {
	if _, err := h.get(ctx); err != nil {
		return nil, err
	}
	value, err := h.get(ctx)
	if err != nil {
		return nil, err
	}
	return append(append([]byte{'"'}, value...), '"'), nil
}

func (h handler) get(ctx context.Context) (string, error) {
	out, err := h.client.GetItem(ctx, &dynamodb.GetItemInput{
		TableName:      aws.String("chatconf"),
		ConsistentRead: aws.Bool(true),
		Key: map[string]types.AttributeValue{"p": &types.AttributeValueMemberS{Value: "peer"},
			"s": &types.AttributeValueMemberS{Value: "hello"}},
	})
	if err != nil {
		return "", err
	}
	return out.Item["s"].(*types.AttributeValueMemberS).Value, nil
}

func main() {
	key := aws.Credentials{AccessKeyID: os.Getenv("AWS_ACCESS_KEY_ID"),
		SecretAccessKey: os.Getenv("AWS_SECRET_ACCESS_KEY")}
	h := handler{dynamodb.New(dynamodb.Options{
		Region:       os.Getenv("AWS_REGION"),
		BaseEndpoint: aws.String(os.Getenv("AWS_ENDPOINT_URL_DYNAMODB")),
		Credentials:  aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return key, nil }),
		HTTPClient:   &http.Client{Transport: &http.Transport{}},
		Retryer:      aws.NopRetryer{},
	})}
	if _, err := h.get(context.Background()); err != nil {
		panic(err)
	}
	lambda.Start(h)
}
