package sign_test

import (
	"fmt"
	"net/http"
	"net/url"
	"sort"
	"strings"
	"testing"

	"chatconf/shared/rpc/sign"
)

// The fuzzer has no secret. So a mutated fixture that still verifies must have the meaning of the
// fixture. The meaning is computed here, not in the package.

func FuzzACS3(f *testing.F) {
	genuine := map[string]bool{}
	keys := map[string]bool{}
	for _, fx := range fixtures(f, "acs3-") {
		c := fx.call(f)
		f.Add(c.Method, c.Host, c.URL.RawQuery, headerLines(c.Header), c.body)
		genuine[readingACS3(c)] = true
		keys[fx.key.Secret] = true
	}
	f.Fuzz(func(t *testing.T, method, host, query, headers string, body []byte) {
		c := call{Request: &http.Request{Method: method, Host: host, URL: &url.URL{Path: "/", RawQuery: query},
			Header: http.Header{}}, body: body}
		for line := range strings.SplitSeq(headers, "\n") {
			// As a runtime that takes headers from an event: in any case, with any content.
			name, value, _ := strings.Cut(line, ":")
			c.Header[name] = append(c.Header[name], value)
		}
		for secret := range keys {
			s, err := c.verify(secret)
			if err == nil && s.Dialect == sign.ACS3 && !genuine[readingACS3(c)] {
				t.Errorf("verifies, but equals no fixture:\n%s", readingACS3(c))
			}
			if codeOf(err) == sign.InternalError {
				t.Errorf("Parse: %v", err)
			}
		}
	})
}

func FuzzV1(f *testing.F) {
	genuine := map[string]bool{}
	keys := map[string]bool{}
	for _, fx := range fixtures(f, "v1-") {
		c := fx.call(f)
		f.Add(c.Method, c.URL.RawQuery, c.Header.Get("Content-Type"), c.body)
		genuine[readingV1(c)] = true
		keys[fx.key.Secret] = true
	}
	f.Fuzz(func(t *testing.T, method, query, contentType string, body []byte) {
		c := call{Request: &http.Request{Method: method, Host: "h", URL: &url.URL{Path: "/", RawQuery: query},
			Header: http.Header{}}, body: body}
		if contentType != "" {
			c.Header["Content-Type"] = []string{contentType}
		}
		for secret := range keys {
			s, err := c.verify(secret)
			if err == nil && s.Dialect == sign.V1 && !genuine[readingV1(c)] {
				t.Errorf("verifies, but equals no fixture:\n%s", readingV1(c))
			}
			if codeOf(err) == sign.InternalError {
				t.Errorf("Parse: %v", err)
			}
		}
	})
}

// headerLines writes headers as FuzzACS3 reads them.
func headerLines(h http.Header) string {
	var lines []string
	for name, values := range h {
		for _, value := range values {
			lines = append(lines, name+":"+value)
		}
	}
	sort.Strings(lines)
	return strings.Join(lines, "\n")
}

// readingACS3 is the part of c that a server may use and that ACS3 signs. The access key id is not
// signed; it only selects the secret.
func readingACS3(c call) string {
	lines := []string{fmt.Sprintf("%q %q %q %q", c.Method, c.Host, c.URL.Query().Encode(), c.body)}
	for name, values := range c.Header {
		name = strings.ToLower(name)
		if strings.HasPrefix(name, "x-acs-") || name == "content-type" && len(c.body) > 0 {
			for _, value := range values {
				lines = append(lines, fmt.Sprintf("%q: %q", name, strings.Trim(value, " \t")))
			}
		}
	}
	sort.Strings(lines[1:])
	return strings.Join(lines, "\n")
}

// readingV1 is the part of c that a server may use and that V1 signs.
func readingV1(c call) string {
	return fmt.Sprintf("%q %q", c.Method, c.params().Encode())
}
