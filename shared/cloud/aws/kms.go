package aws

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"chatconf/shared/cloud"
)

// Keys calls the key service, KMS.
type Keys struct {
	api *Client
}

// NewKeys returns the key service. It does no I/O.
func NewKeys(o Options) (*Keys, error) {
	api, err := NewClient("kms", o)
	if err != nil {
		return nil, fmt.Errorf("kms: %w", err)
	}
	return &Keys{api}, nil
}

// Open decrypts the base64 output of `aws kms encrypt`, with the encryption context of a key ring.
// The ciphertext names the key.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_Decrypt.html
func (k *Keys) Open(ctx context.Context, sealed string) ([]byte, error) {
	body, err := json.Marshal(struct {
		CiphertextBlob    string
		EncryptionContext map[string]string
	}{sealed, map[string]string{cloud.KeyContextKey: cloud.KeyContextValue}})
	if err != nil {
		return nil, fmt.Errorf("kms: Decrypt: %w", err)
	}
	opened, err := k.api.Ask(ctx, "/", http.Header{
		"Content-Type": {"application/x-amz-json-1.1"},
		"X-Amz-Target": {"TrentService.Decrypt"},
	}, body, cloud.Question{Read: readPlaintext})
	if err != nil {
		return nil, fmt.Errorf("kms: Decrypt: %w", err)
	}
	return opened, nil
}

// readPlaintext returns the plaintext in an answer.
func readPlaintext(status int, h http.Header, body []byte) ([]byte, error) {
	if status != http.StatusOK {
		return nil, refusalJSON(status, h, body)
	}
	var answer struct{ Plaintext string }
	if json.Unmarshal(body, &answer) != nil {
		// the decoder's error might show part of the plaintext
		return nil, errors.New("the answer is not the expected JSON")
	}
	opened, err := base64.StdEncoding.DecodeString(answer.Plaintext)
	if err != nil || len(opened) == 0 {
		return nil, errors.New("the answer has no plaintext")
	}
	return opened, nil
}
