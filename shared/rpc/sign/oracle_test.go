package sign_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sort"
	"strings"
	"testing"
	"time"

	"chatconf/shared/rpc/sign"
)

// A second implementation of both signatures, written from the vendor's description in another
// style. A mistake would have to be made twice. It refuses nothing.

// oracleEncode percent-encodes in the vendor's way: as a form, then three replacements.
func oracleEncode(s string) string {
	return strings.NewReplacer("+", "%20", "*", "%2A", "%7E", "~").Replace(url.QueryEscape(s))
}

func oracleQuery(params url.Values) string {
	var names []string
	for name := range params {
		names = append(names, name)
	}
	sort.Strings(names)
	for i, name := range names {
		names[i] = oracleEncode(name) + "=" + oracleEncode(params.Get(name))
	}
	return strings.Join(names, "&")
}

func oracleStringToSignV1(method string, params url.Values) string {
	params = maps.Clone(params)
	delete(params, "Signature")
	return method + "&" + oracleEncode("/") + "&" + oracleEncode(oracleQuery(params))
}

func oracleSignV1(secret, stringToSign string) string {
	h := hmac.New(sha1.New, []byte(secret+"&"))
	fmt.Fprint(h, stringToSign)
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

func oracleStringToSignACS3(method, host string, header http.Header, signed []string, query url.Values,
	body []byte) string {
	lines := []string{method, "/", oracleQuery(query)}
	for _, name := range signed {
		value := header.Get(name)
		if name == "host" {
			value = host
		}
		lines = append(lines, name+":"+strings.TrimSpace(value))
	}
	lines = append(lines, "", strings.Join(signed, ";"), fmt.Sprintf("%x", sha256.Sum256(body)))
	return fmt.Sprintf("ACS3-HMAC-SHA256\n%x", sha256.Sum256([]byte(strings.Join(lines, "\n"))))
}

func oracleSignACS3(secret, stringToSign string) string {
	h := hmac.New(sha256.New, []byte(secret))
	fmt.Fprint(h, stringToSign)
	return fmt.Sprintf("%x", h.Sum(nil))
}

// oracleOf returns the oracle's string to sign for c, and the signature.
func oracleOf(c call, secret string) (stringToSign, signature string) {
	if !c.isACS3() {
		stringToSign = oracleStringToSignV1(c.Method, c.params())
		return stringToSign, oracleSignV1(secret, stringToSign)
	}
	_, signed, _ := strings.Cut(c.Header.Get("Authorization"), "SignedHeaders=")
	signed, _, _ = strings.Cut(signed, ",")
	stringToSign = oracleStringToSignACS3(c.Method, c.Host, c.Header, strings.Split(signed, ";"), c.URL.Query(), c.body)
	return stringToSign, oracleSignACS3(secret, stringToSign)
}

// The oracle must agree with the vendor.
func TestOracleAgreesWithFixtures(t *testing.T) {
	for _, f := range fixtures(t, "") {
		c := f.call(t)
		_, got := oracleOf(c, f.key.Secret)
		want := c.params().Get("Signature")
		if c.isACS3() {
			_, want, _ = strings.Cut(c.Header.Get("Authorization"), "Signature=")
		}
		if got != want {
			t.Errorf("%s: the oracle signs %s, want %s", f.name, got, want)
		}
	}
}

func TestSignaturesOfRandomRequestsAreThoseOfTheOracle(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		key := sign.Key{ID: "LTAI" + randomASCII(rnd), Secret: "s" + randomText(rnd)}
		now := time.Unix(rnd.Int64N(4e9), 0)
		nonce := "n" + randomASCII(rnd)

		c := randomCall(rnd)
		c.Header.Set("x-acs-action", "A"+randomASCII(rnd))
		c.Header.Set("x-acs-version", "2019-06-01")
		for range rnd.IntN(4) {
			c.Header.Set("x-acs-"+string('a'+rune(rnd.IntN(26))), randomASCII(rnd)+"  "+randomASCII(rnd))
		}
		if err := key.SignACS3(c.Request, c.body, now, nonce); err != nil {
			t.Fatalf("SignACS3(%q): %v", c.URL.RawQuery, err)
		}
		_, want := oracleOf(c, key.Secret)
		if got := c.Header.Get("Authorization"); !strings.HasSuffix(got, ",Signature="+want) {
			t.Fatalf("SignACS3(%q): %s, want %s", c.URL.RawQuery, got, want)
		}
		checkVerifies(t, c, key, now, nonce)

		c = randomCall(rnd)
		params := c.params()
		params.Set("Action", "A"+randomASCII(rnd))
		params.Set("Version", "2019-06-01")
		if err := key.SignV1(c.Method, params, now, nonce); err != nil {
			t.Fatalf("SignV1(%q): %v", params, err)
		}
		if c.form() != nil {
			c.body, c.URL.RawQuery = []byte(params.Encode()), ""
		} else {
			c.URL.RawQuery = params.Encode()
		}
		_, want = oracleOf(c, key.Secret)
		if got := c.params().Get("Signature"); got != want {
			t.Fatalf("SignV1(%q): %s, want %s", params, got, want)
		}
		checkVerifies(t, c, key, now, nonce)
	}
}

func checkVerifies(t *testing.T, c call, key sign.Key, now time.Time, nonce string) {
	t.Helper()
	s, err := c.verify(key.Secret)
	if err != nil {
		t.Fatalf("Verify of %s %q: %v", c.Method, c.URL.RawQuery, err)
	}
	if s.AccessKeyID != key.ID || s.Nonce != nonce || !s.Time.Equal(now) {
		t.Fatalf("got %q %q %v, want %q %q %v", s.AccessKeyID, s.Nonce, s.Time, key.ID, nonce, now)
	}
	if _, err := c.verify(key.Secret + "x"); codeOf(err) != sign.SignatureDoesNotMatch {
		t.Fatalf("Verify with another secret: %v, want a mismatch", err)
	}
}

// randomCall returns an unsigned request with random parameters, in half of the cases with a form.
func randomCall(rnd *rand.Rand) call {
	values := func() url.Values {
		v := url.Values{}
		for range rnd.IntN(8) {
			v.Set(randomText(rnd), randomText(rnd))
		}
		return v
	}
	query := values()
	r := &http.Request{Method: "GET", Host: "h" + randomASCII(rnd), URL: &url.URL{Path: "/"}, Header: http.Header{}}
	c := call{Request: r}
	if rnd.IntN(2) == 0 {
		form := values()
		form.Set("Name", "x")
		for name := range form {
			query.Del(name)
		}
		r.Method = "POST"
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		c.body = []byte(form.Encode())
	}
	r.URL.RawQuery = query.Encode()
	return c
}

// randomText returns a short text with characters that encodings often get wrong.
func randomText(rnd *rand.Rand) string {
	const from = "aZ09-._~ +*%/=&;:,!'()[]{}\"\\\n\x00\x7f钉é😀\xff\x80"
	var b strings.Builder
	for range rnd.IntN(9) {
		b.WriteByte(from[rnd.IntN(len(from))]) // bytes, so that some texts are not UTF-8
	}
	return b.String()
}

func randomASCII(rnd *rand.Rand) string {
	const from = "abcXYZ019-._+/=:;"
	var b strings.Builder
	for range rnd.IntN(9) {
		b.WriteByte(from[rnd.IntN(len(from))])
	}
	return b.String()
}
