// Package cloudtest holds the shared tests of the clouds.
package cloudtest

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"chatconf/shared/cloud"
)

// Planted is part of every secret in these tests.
const Planted = "PLANTED"

// FuzzRead checks the parser of a service's responses: only status 200 returns a plaintext, which
// is the decoded base64, and no error contains any of it.
func FuzzRead(f *testing.F, read func(status int, h http.Header, body []byte) ([]byte, error)) {
	f.Add(200, []byte(`{"KeyId":"k","Plaintext":"UExBTlRFRA=="}`))
	f.Add(200, []byte(`{"Plaintext":""}`))
	f.Add(400, []byte(`{"__type":"x#ThrottlingException","message":"Rate `+
		`exceeded","Code":"Throttling","RequestId":"r"}`))
	f.Add(503, []byte("<html>"))
	f.Add(200, []byte(`{"Plaintext":["PLANTED"]}`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		opened, err := read(status, http.Header{}, body)
		var refused *cloud.Refusal
		switch {
		case (err == nil) != (len(opened) > 0):
			t.Errorf("read = %q, %v", opened, err)
		case err == nil && (status != http.StatusOK || !json.Valid(body)):
			t.Errorf("%d %q opens to %q", status, body, opened)
		case errors.As(err, &refused) != (status != http.StatusOK):
			t.Errorf("%d %q is the error %v", status, body, err)
		case status == http.StatusOK && err != nil && strings.Contains(err.Error(), Planted):
			t.Errorf("the error shows the answer: %v", err)
		}
	})
}
