// Package alikms opens what Alibaba Cloud's KMS sealed.
//
// It sends one request of the RPC API of 2016-01-20. The official SDKs would add a client of fifty operations and a stack of their own
// below it.
// https://www.alibabacloud.com/help/en/kms/key-management-service/developer-reference/api-kms-2016-01-20-decrypt
package alikms

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"chatconf/shared/cloud"
	"chatconf/shared/cloud/aliapi"
	"chatconf/shared/kms"
)

const version = "2016-01-20"

// A Client opens.
type Client struct {
	api *aliapi.Client
}

// New returns a client. Inside a VPC the endpoint is https://kms-vpc.<region>.aliyuncs.com. It does no I/O.
func New(o aliapi.Options) (*Client, error) {
	if o.Endpoint == "" {
		if o.Region == "" {
			return nil, errors.New("kms: no region")
		}
		o.Endpoint = "https://kms." + o.Region + ".aliyuncs.com"
	}
	api, err := aliapi.New(version, o)
	if err != nil {
		return nil, fmt.Errorf("kms: %w", err)
	}
	return &Client{api}, nil
}

// Open returns what was sealed as the given ciphertext, the CiphertextBlob of `aliyun kms Encrypt`, under the encryption context of
// package kms. The service takes plaintexts in base64 only, and gives them back so. The key is named in the ciphertext.
func (c *Client) Open(ctx context.Context, sealed string) ([]byte, error) {
	encryptionContext, err := json.Marshal(map[string]string{kms.ContextKey: kms.ContextValue})
	if err != nil {
		return nil, fmt.Errorf("kms: Decrypt: %w", err)
	}
	form := []byte(url.Values{"CiphertextBlob": {sealed}, "EncryptionContext": {string(encryptionContext)}}.Encode())
	opened, err := c.api.Ask(ctx, "Decrypt", "/", http.Header{
		"Accept":       {"application/json"},
		"Content-Type": {"application/x-www-form-urlencoded"},
	}, form, cloud.Question{Read: read})
	if err != nil {
		return nil, fmt.Errorf("kms: Decrypt: %w", err)
	}
	return opened, nil
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
