package alibaba

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"chatconf/shared/cloud"
)

// keyVersion is the API version of KMS.
// https://www.alibabacloud.com/help/en/kms/key-management-service/developer-reference/api-kms-2016-01-20-decrypt
const keyVersion = "2016-01-20"

// Keys calls the key service, KMS.
type Keys struct {
	api *Client
}

// NewKeys returns the key service. Inside a VPC the endpoint is
// https://kms-vpc.<region>.aliyuncs.com. It does no I/O.
func NewKeys(o Options) (*Keys, error) {
	api, err := newRegional("kms", keyVersion, o)
	if err != nil {
		return nil, err
	}
	return &Keys{api}, nil
}

// Open decrypts the CiphertextBlob of `aliyun kms Encrypt`, with the encryption context of a key
// ring. The service encrypts only base64 text and returns it. The ciphertext names the key.
func (k *Keys) Open(ctx context.Context, sealed string) ([]byte, error) {
	encryptionContext, err := json.Marshal(map[string]string{cloud.KeyContextKey: cloud.KeyContextValue})
	if err != nil {
		return nil, fmt.Errorf("kms: Decrypt: %w", err)
	}
	params := url.Values{"CiphertextBlob": {sealed}, "EncryptionContext": {string(encryptionContext)}}
	opened, err := k.api.askRPC(ctx, "Decrypt", params, cloud.Question{Read: readPlaintext})
	if err != nil {
		return nil, fmt.Errorf("kms: Decrypt: %w", err)
	}
	return opened, nil
}

// readPlaintext returns the plaintext in an answer.
func readPlaintext(status int, h http.Header, body []byte) ([]byte, error) {
	body, err := readRPC(status, h, body)
	if err != nil {
		return nil, err
	}
	var answer struct{ Plaintext string }
	if json.Unmarshal(body, &answer) != nil {
		// the decoder's error might show part of the plaintext
		return nil, errors.New("the answer is not the expected JSON")
	}
	opened, err := base64.StdEncoding.DecodeString(answer.Plaintext)
	if err != nil || len(opened) == 0 {
		return nil, errors.New("the answer has no base64 plaintext; encrypt the base64 text of the key ring")
	}
	return opened, nil
}
