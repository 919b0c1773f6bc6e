package e2e_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// awsKey is the key of the environment that functions of Lambda are served with.
var awsKey = accessKey{"AKIDEXAMPLE", "not-a-real-secret"}

// A v4 is a POST to Lambda, signed as
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html says.
type v4 struct {
	endpoint, path string
	header         map[string]string // by lower-case name, besides host and x-amz-date
	body           string
	key            accessKey
}

func (v *v4) request(t *testing.T, _ string) *http.Request {
	t.Helper()
	now := time.Now().UTC()
	date := now.Format("20060102")
	header := map[string]string{"host": v.endpoint, "x-amz-date": now.Format("20060102T150405Z")}
	maps.Copy(header, v.header)
	req := newRequest(t, http.MethodPost, "http://"+v.endpoint+v.path, v.body, "")
	names := slices.Sorted(maps.Keys(header))
	text := "POST\n" + v.path + "\n\n"
	for _, name := range names {
		text += name + ":" + header[name] + "\n"
		if name != "host" {
			req.Header.Set(name, header[name])
		}
	}
	text += "\n" + strings.Join(names, ";") + "\n" + sum(v.body)
	scope := date + "/eu-central-1/lambda/aws4_request"
	key := []byte("AWS4" + v.key.Secret)
	for part := range strings.SplitSeq(scope, "/") {
		key = mac(key, part)
	}
	signature := mac(key, "AWS4-HMAC-SHA256\n"+header["x-amz-date"]+"\n"+scope+"\n"+sum(text))
	req.Header.Set("Authorization", fmt.Sprintf("AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%x",
		v.key.ID, scope, strings.Join(names, ";"), signature))
	return req
}

func sum(s string) string {
	h := sha256.Sum256([]byte(s))
	return hex.EncodeToString(h[:])
}

func mac(key []byte, s string) []byte {
	h := hmac.New(sha256.New, key)
	io.WriteString(h, s)
	return h.Sum(nil)
}
