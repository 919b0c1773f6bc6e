// Package awskms opens what AWS KMS sealed.
//
// It signs one JSON request with the signer of aws-sdk-go-v2, which the DynamoDB adapter links in any case. service/kms would add its
// fifty operations' codecs and an endpoint resolver for the sake of this one.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_Decrypt.html
package awskms

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"chatconf/shared/cloud"
	"chatconf/shared/cloud/awssign"
	"chatconf/shared/kms"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Options of a Client.
type Options struct {
	// Region is the AWS region of the key. It is required.
	Region string
	// Endpoint is the URL that requests go to. Empty is AWS's own of the region.
	Endpoint string
	// Credentials sign the requests of invocations that carry none of their own. Nil is none.
	Credentials aws.CredentialsProvider
	// Transport carries the requests. Nil is http.DefaultTransport.
	Transport http.RoundTripper
	// Now is the clock that requests are signed by. Nil is time.Now.
	Now func() time.Time
}

// A Client opens.
type Client struct {
	endpoint  string
	signer    *awssign.Signer
	transport http.RoundTripper
}

// New returns a client. It does no I/O.
func New(o Options) (*Client, error) {
	if o.Region == "" {
		return nil, errors.New("kms: no region")
	}
	if o.Endpoint == "" {
		domain := "amazonaws.com"
		if strings.HasPrefix(o.Region, "cn-") {
			domain += ".cn"
		}
		o.Endpoint = "https://kms." + o.Region + "." + domain
	}
	if err := cloud.CheckEndpoint(o.Endpoint); err != nil {
		return nil, fmt.Errorf("kms: endpoint: %w", err)
	}
	signer := awssign.New(awssign.Options{Service: "kms", Region: o.Region, Credentials: o.Credentials, Now: o.Now})
	return &Client{o.Endpoint, signer, o.Transport}, nil
}

// Open returns what was sealed as the given ciphertext, which is in base64, as `aws kms encrypt` prints it, under the encryption
// context of package kms. The key is named in the ciphertext.
func (c *Client) Open(ctx context.Context, sealed string) ([]byte, error) {
	body, err := json.Marshal(struct {
		CiphertextBlob    string
		EncryptionContext map[string]string
	}{sealed, map[string]string{kms.ContextKey: kms.ContextValue}})
	if err != nil {
		return nil, fmt.Errorf("kms: Decrypt: %w", err)
	}
	opened, err := cloud.Ask(ctx, cloud.Question{
		Transport: c.transport,
		Sign:      func(ctx context.Context) (cloud.Request, error) { return c.sign(ctx, body) },
		Read:      read,
	})
	if err != nil {
		return nil, fmt.Errorf("kms: Decrypt: %w", err)
	}
	return opened, nil
}

// sign returns the request.
func (c *Client) sign(ctx context.Context, body []byte) (cloud.Request, error) {
	r, err := http.NewRequest(http.MethodPost, strings.TrimSuffix(c.endpoint, "/")+"/", bytes.NewReader(body))
	if err != nil {
		return cloud.Request{}, err
	}
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("X-Amz-Target", "TrentService.Decrypt")
	return c.signer.Sign(ctx, r, body)
}

// read returns the plaintext of an answer.
func read(status int, h http.Header, body []byte) ([]byte, error) {
	var answer struct {
		Plaintext string
		Type      string `json:"__type"`
		Message   string // or message, which encoding/json takes for the same
	}
	err := json.Unmarshal(body, &answer)
	if status != http.StatusOK {
		code := answer.Type[strings.LastIndexByte(answer.Type, '#')+1:] // com.amazonaws.kms#NotFoundException
		return nil, &cloud.Refusal{
			Status:    status,
			Code:      code,
			Message:   answer.Message,
			RequestID: h.Get("X-Amzn-Requestid"),
			Passing:   cloud.Passing(status) || code == "ThrottlingException" || code == "LimitExceededException",
		}
	}
	if err != nil {
		return nil, errors.New("the answer is not what it should be") // the error might show of the plaintext
	}
	opened, err := base64.StdEncoding.DecodeString(answer.Plaintext)
	if err != nil || len(opened) == 0 {
		return nil, errors.New("the answer has no plaintext")
	}
	return opened, nil
}
