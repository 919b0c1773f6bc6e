// Package alikms opens what Alibaba Cloud's KMS sealed.
//
// It signs one request of the RPC API of 2016-01-20 with package sign, which is linked in any case, because it proves the signatures of
// our own callers. The official SDKs would add a client of fifty operations and a stack of their own below it.
// https://www.alibabacloud.com/help/en/kms/key-management-service/developer-reference/api-kms-2016-01-20-decrypt
package alikms

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"chatconf/shared/cloud"
	"chatconf/shared/cloud/alisign"
	"chatconf/shared/invoke"
	"chatconf/shared/kms"
)

const version = "2016-01-20"

// Options of a Client.
type Options struct {
	// Region is the region of the key. It is required unless Endpoint is given.
	Region string
	// Endpoint is the URL that requests go to. Empty is the region's own that is reached from the internet; inside a VPC it is
	// https://kms-vpc.<region>.aliyuncs.com.
	Endpoint string
	// Credentials sign the requests of invocations that carry none of their own.
	Credentials invoke.Credentials
	// Transport carries the requests. Nil is http.DefaultTransport.
	Transport http.RoundTripper
	// Now is the clock that requests are signed by. Nil is time.Now.
	Now func() time.Time
}

// A Client opens.
type Client struct {
	endpoint  string
	signer    *alisign.Signer
	transport http.RoundTripper
}

// New returns a client. It does no I/O.
func New(o Options) (*Client, error) {
	if o.Endpoint == "" {
		if o.Region == "" {
			return nil, errors.New("kms: no region")
		}
		o.Endpoint = "https://kms." + o.Region + ".aliyuncs.com"
	}
	if err := cloud.CheckEndpoint(o.Endpoint); err != nil {
		return nil, fmt.Errorf("kms: endpoint: %w", err)
	}
	return &Client{o.Endpoint, alisign.New(alisign.Options{Credentials: o.Credentials, Now: o.Now}), o.Transport}, nil
}

// Open returns what was sealed as the given ciphertext, the CiphertextBlob of `aliyun kms Encrypt`, under the encryption context of
// package kms. The service takes plaintexts in base64 only, and gives them back so. The key is named in the ciphertext.
func (c *Client) Open(ctx context.Context, sealed string) ([]byte, error) {
	encryptionContext, err := json.Marshal(map[string]string{kms.ContextKey: kms.ContextValue})
	if err != nil {
		return nil, fmt.Errorf("kms: Decrypt: %w", err)
	}
	form := []byte(url.Values{"CiphertextBlob": {sealed}, "EncryptionContext": {string(encryptionContext)}}.Encode())
	opened, err := cloud.Ask(ctx, cloud.Question{
		Transport: c.transport,
		Sign:      func(ctx context.Context) (cloud.Request, error) { return c.sign(ctx, form) },
		Read:      read,
	})
	if err != nil {
		return nil, fmt.Errorf("kms: Decrypt: %w", err)
	}
	return opened, nil
}

// sign returns the request.
func (c *Client) sign(ctx context.Context, form []byte) (cloud.Request, error) {
	r, err := http.NewRequest(http.MethodPost, strings.TrimSuffix(c.endpoint, "/")+"/", bytes.NewReader(form))
	if err != nil {
		return cloud.Request{}, err
	}
	r.Header.Set("Accept", "application/json")
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("X-Acs-Action", "Decrypt")
	r.Header.Set("X-Acs-Version", version)
	return c.signer.Sign(ctx, r, form)
}

// read returns the plaintext of an answer.
func read(status int, _ http.Header, body []byte) ([]byte, error) {
	var answer struct{ Plaintext, Code, Message, RequestId string }
	err := json.Unmarshal(body, &answer)
	if status != http.StatusOK {
		return nil, &cloud.Refusal{
			Status:    status,
			Code:      answer.Code,
			Message:   answer.Message,
			RequestID: answer.RequestId,
			Passing:   cloud.Passing(status) || strings.HasPrefix(answer.Code, "Throttling"),
		}
	}
	if err != nil {
		return nil, errors.New("the answer is not what it should be") // the error might show of the plaintext
	}
	opened, err := base64.StdEncoding.DecodeString(answer.Plaintext)
	if err != nil || len(opened) == 0 {
		return nil, errors.New("the answer has no plaintext in base64, which is how the service is given it")
	}
	return opened, nil
}
