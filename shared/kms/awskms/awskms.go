// Package awskms opens what AWS KMS sealed.
//
// It sends one JSON request. service/kms would add its fifty operations' codecs and an endpoint resolver for the sake of this one.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_Decrypt.html
package awskms

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"chatconf/shared/cloud"
	"chatconf/shared/cloud/awsapi"
	"chatconf/shared/kms"
)

// A Client opens.
type Client struct {
	api *awsapi.Client
}

// New returns a client. It does no I/O.
func New(o awsapi.Options) (*Client, error) {
	api, err := awsapi.New("kms", o)
	if err != nil {
		return nil, fmt.Errorf("kms: %w", err)
	}
	return &Client{api}, nil
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
	opened, err := c.api.Ask(ctx, "/", http.Header{
		"Content-Type": {"application/x-amz-json-1.1"},
		"X-Amz-Target": {"TrentService.Decrypt"},
	}, body, cloud.Question{Read: read})
	if err != nil {
		return nil, fmt.Errorf("kms: Decrypt: %w", err)
	}
	return opened, nil
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
