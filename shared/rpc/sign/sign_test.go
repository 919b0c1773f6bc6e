package sign_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"chatconf/shared/rpc/sign"
)

// codeOf returns the code of err, empty for nil.
func codeOf(err error) sign.Code {
	var e *sign.Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &e):
		return e.Code
	default:
		return "not a *sign.Error"
	}
}

func errorOf(t *testing.T, err error) *sign.Error {
	t.Helper()
	var e *sign.Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want a *sign.Error", err)
	}
	return e
}

func named(t *testing.T, name string) fixture {
	t.Helper()
	return readFixture(t, "testdata/"+name+".http")
}

func TestAuthorizationThatIsNotOne(t *testing.T) {
	hexes := strings.Repeat("0123456789abcdef", 4)
	const all = "host;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version"
	tests := []struct {
		name  string
		value string
		want  sign.Code
		says  string // part of the message, if another check would refuse the request too
	}{
		{"all of it", "ACS3-HMAC-SHA256 Credential=k,SignedHeaders=" + all + ",Signature=" + hexes, "", ""},
		{"parts in another order", "ACS3-HMAC-SHA256 Signature=" + hexes + ",SignedHeaders=" + all + ",Credential=k",
			"", ""},
		{"SM3", "ACS3-HMAC-SM3 Credential=k,SignedHeaders=" + all + ",Signature=" + hexes, sign.InvalidSignatureMethod,
			""},
		{"RSA", "ACS3-RSA-SHA256 Credential=k,SignedHeaders=" + all + ",Signature=" + hexes,
			sign.InvalidSignatureMethod, ""},
		{"an unknown algorithm", "ACS3-HMAC-SHA257 Credential=k", sign.InvalidSignatureMethod, ""},
		{"no algorithm", "ACS3- Credential=k", sign.InvalidSignatureMethod, ""},
		{"a tab for the space", "ACS3-HMAC-SHA256\tCredential=k", sign.InvalidSignatureMethod, ""},
		{"nothing but the algorithm", "ACS3-HMAC-SHA256", sign.IncompleteSignature, ""},
		{"two spaces", "ACS3-HMAC-SHA256  Credential=k,SignedHeaders=" + all + ",Signature=" + hexes,
			sign.IncompleteSignature, ""},
		{"a space after a comma", "ACS3-HMAC-SHA256 Credential=k, SignedHeaders=" + all + ",Signature=" + hexes,
			sign.IncompleteSignature, "has a space"},
		{"a space at the end", "ACS3-HMAC-SHA256 Credential=k,SignedHeaders=" + all + ",Signature=" + hexes +
			" ", sign.IncompleteSignature, ""},
		{"a comma at the end", "ACS3-HMAC-SHA256 Credential=k,SignedHeaders=" + all + ",Signature=" + hexes +
			",", sign.IncompleteSignature, ""},
		{"a line break", "ACS3-HMAC-SHA256 Credential=k,SignedHeaders=" + all + ",Signature=" + hexes + "\n",
			sign.IncompleteSignature, "a space or a non-ASCII character"},
		{"no Credential", "ACS3-HMAC-SHA256 SignedHeaders=" + all + ",Signature=" + hexes, sign.IncompleteSignature,
			""},
		{"no SignedHeaders", "ACS3-HMAC-SHA256 Credential=k,Signature=" + hexes, sign.IncompleteSignature, ""},
		{"no Signature", "ACS3-HMAC-SHA256 Credential=k,SignedHeaders=" + all, sign.IncompleteSignature, ""},
		{"an empty Credential", "ACS3-HMAC-SHA256 Credential=,SignedHeaders=" + all + ",Signature=" + hexes,
			sign.IncompleteSignature, ""},
		{"two Credentials", "ACS3-HMAC-SHA256 Credential=k,Credential=k,SignedHeaders=" + all + ",Signature=" + hexes,
			sign.IncompleteSignature, "Credential more than once"},
		{"two Signatures", "ACS3-HMAC-SHA256 Credential=k,SignedHeaders=" + all + ",Signature=" + hexes +
			",Signature=" + hexes, sign.IncompleteSignature, "Signature more than once"},
		{"two SignedHeaders", "ACS3-HMAC-SHA256 Credential=k,SignedHeaders=" + all + ",SignedHeaders=" + all +
			",Signature=" + hexes, sign.IncompleteSignature, "SignedHeaders more than once"},
		{"an unknown part", "ACS3-HMAC-SHA256 Credential=k,SignedHeaders=" + all + ",Signature=" + hexes + ",More=1",
			sign.IncompleteSignature, ""},
		{"a part in lower case", "ACS3-HMAC-SHA256 credential=k,SignedHeaders=" + all + ",Signature=" + hexes,
			sign.IncompleteSignature, ""},
		{"a control character in the Credential", "ACS3-HMAC-SHA256 Credential=k\x01,SignedHeaders=" + all +
			",Signature=" + hexes, sign.IncompleteSignature, ""},
		{"a Credential that is too long", "ACS3-HMAC-SHA256 Credential=" + strings.Repeat("k", 129) +
			",SignedHeaders=" + all + ",Signature=" + hexes, sign.InvalidAccessKeyID, ""},
		{"a Signature in upper case", "ACS3-HMAC-SHA256 Credential=k,SignedHeaders=" + all + ",Signature=" +
			strings.ToUpper(hexes), sign.IncompleteSignature, ""},
		{"a short Signature", "ACS3-HMAC-SHA256 Credential=k,SignedHeaders=" + all + ",Signature=" + hexes[1:],
			sign.IncompleteSignature, ""},
		{"a long Signature", "ACS3-HMAC-SHA256 Credential=k,SignedHeaders=" + all + ",Signature=0" + hexes,
			sign.IncompleteSignature, ""},
		{"a Signature not in hexadecimal", "ACS3-HMAC-SHA256 Credential=k,SignedHeaders=" + all + ",Signature=g" +
			hexes[1:], sign.IncompleteSignature, ""},
		{"a signed header twice", "ACS3-HMAC-SHA256 Credential=k,SignedHeaders=host;" + all + ",Signature=" + hexes,
			sign.IncompleteSignature, "a name more than once"},
		{"signed headers not sorted", "ACS3-HMAC-SHA256 Credential=k,SignedHeaders=" + all + ";accept,Signature=" +
			hexes, sign.IncompleteSignature, ""},
		{"a signed header in upper case", "ACS3-HMAC-SHA256 Credential=k,SignedHeaders=Accept;" + all + ",Signature=" +
			hexes, sign.IncompleteSignature, ""},
		{"a signed header without a name", "ACS3-HMAC-SHA256 Credential=k,SignedHeaders=;" + all + ",Signature=" +
			hexes, sign.IncompleteSignature, ""},
		{"a signed header that is not there", "ACS3-HMAC-SHA256 Credential=k,SignedHeaders=cookie;" + all +
			",Signature=" + hexes, sign.IncompleteSignature, ""},
		{"too many signed headers", "ACS3-HMAC-SHA256 Credential=k,SignedHeaders=" + strings.Repeat("a;", 64) +
			"b,Signature=" + hexes, sign.IncompleteSignature, "more than 64 names"},
		{"too long", "ACS3-HMAC-SHA256 Credential=k,SignedHeaders=" + strings.Repeat("a", 4096) + ",Signature=" + hexes,
			sign.IncompleteSignature, "too long"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := named(t, "acs3-published").call(t)
			c.Header.Set("Authorization", tt.value)
			if _, err := c.parse(); codeOf(err) != tt.want {
				t.Errorf("Parse: %v, want code %q", err, tt.want)
			} else if err != nil && !strings.Contains(err.Error(), tt.says) {
				t.Errorf("Parse: %v, want it to say %q", err, tt.says)
			}
		})
	}
}

func TestWhichDialect(t *testing.T) {
	tests := []struct {
		name      string
		header    http.Header
		params    url.Values
		want      sign.Code
		parameter string
	}{
		{"nothing", nil, nil, sign.MissingParameter, "Signature"},
		{"another scheme", http.Header{"Authorization": {"Bearer x"}}, nil, sign.MissingParameter, "Signature"},
		{"a bearer token in a header", http.Header{"X-Acs-Bearer-Token": {"x"}}, nil, sign.InvalidSignatureMethod, ""},
		{"a bearer token in a parameter", nil, url.Values{"SignatureType": {"BEARERTOKEN"}},
			sign.InvalidSignatureMethod, ""},
		{"both", http.Header{"Authorization": {"ACS3-HMAC-SHA256 x"}}, url.Values{"Signature": {"x"}},
			sign.IncompleteSignature, ""},
		{"both, the first in a second header", http.Header{"Authorization": {"", "ACS3-"}},
			url.Values{"Signature": {""}}, sign.IncompleteSignature, ""},
		{"V1 with nothing in it", nil, url.Values{"Signature": {"x"}}, sign.MissingParameter, "Action"},
		{"V1 with no value", nil, url.Values{"Signature": nil}, sign.InvalidParameter, "Signature"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := &http.Request{Method: "POST", Host: "h", URL: &url.URL{Path: "/", RawQuery: tt.params.Encode()},
				Header: tt.header}
			_, err := sign.Parse(r, tt.params, nil)
			if e := errorOf(t, err); e.Code != tt.want || e.Parameter != tt.parameter {
				t.Errorf("Parse: %q of %q, want %q of %q", e.Code, e.Parameter, tt.want, tt.parameter)
			}
		})
	}
}

func TestValuesAtTheirLimits(t *testing.T) {
	tests := []struct {
		acs3, v1 string // the header or the parameter
		value    string
		want     sign.Code // of Parse; empty if only the signature does not match
	}{
		{"x-acs-signature-nonce", "SignatureNonce", strings.Repeat("n", 128), ""},
		{"x-acs-signature-nonce", "SignatureNonce", strings.Repeat("n", 129), sign.InvalidParameter},
		// PHP's
		{"x-acs-signature-nonce", "SignatureNonce", "d41d8cd98f00b204e9800998ecf8427e0.41625300 1795373176", ""},
		{"x-acs-signature-nonce", "SignatureNonce", "a  b", ""},
		{"x-acs-signature-nonce", "SignatureNonce", "é", ""},
		{"x-acs-signature-nonce", "SignatureNonce", strings.Repeat("😀", 128), ""},
		{"x-acs-signature-nonce", "SignatureNonce", strings.Repeat("😀", 129), sign.InvalidParameter},
		{"x-acs-signature-nonce", "SignatureNonce", "a\u00a0b", sign.InvalidParameter},
		{"x-acs-signature-nonce", "SignatureNonce", "a\u200bb", sign.InvalidParameter},
		{"x-acs-signature-nonce", "SignatureNonce", "a\tb", sign.InvalidParameter},
		{"x-acs-signature-nonce", "SignatureNonce", "a\xffb", sign.InvalidParameter},
		{"x-acs-date", "Timestamp", "2026-11-22T18:46:17Z", ""},
		{"x-acs-date", "Timestamp", "0000-01-01T00:00:00Z", ""},
		{"x-acs-date", "Timestamp", "9999-12-31T23:59:59Z", ""},
		{"x-acs-date", "Timestamp", "2026-11-22T18:46:16+00:00", sign.InvalidTimeFormat},
		{"x-acs-date", "Timestamp", "2026-11-22T18:46:16.5Z", sign.InvalidTimeFormat},
		{"x-acs-date", "Timestamp", "2026-11-22T8:46:16Z", sign.InvalidTimeFormat},
		{"x-acs-date", "Timestamp", "2026-11-22T8:46:16.Z", sign.InvalidTimeFormat},
		{"x-acs-date", "Timestamp", "2026-11-22t18:46:16z", sign.InvalidTimeFormat},
		{"x-acs-date", "Timestamp", "2026-02-30T18:46:16Z", sign.InvalidTimeFormat},
		{"x-acs-date", "Timestamp", "2026-11-22T18:46:60Z", sign.InvalidTimeFormat},
		{"x-acs-date", "Timestamp", "2026-11-22 18:46:16", sign.InvalidTimeFormat},
		{"x-acs-date", "Timestamp", "1795373176", sign.InvalidTimeFormat},
		{"", "AccessKeyId", strings.Repeat("k", 128), ""},
		{"", "AccessKeyId", strings.Repeat("k", 129), sign.InvalidAccessKeyID},
		{"", "AccessKeyId", "LTAI ", sign.InvalidAccessKeyID},
		{"", "AccessKeyId", "LTAI,", sign.InvalidAccessKeyID},
		{"", "SignatureMethod", "hmac-sha1", sign.InvalidSignatureMethod},
		{"", "SignatureMethod", "HMAC-SHA256", sign.InvalidSignatureMethod},
		{"", "SignatureVersion", "2.0", sign.InvalidParameter},
		{"", "SignatureType", "BEARERTOKEN", sign.InvalidSignatureMethod},
		{"", "Signature", "IoNEYfQobNklRMwgpKTnJuNMeMU", sign.IncompleteSignature},
		// the same bytes with other padding bits
		{"", "Signature", "IoNEYfQobNklRMwgpKTnJuNMeMV=", sign.IncompleteSignature},
		{"", "Signature", "IoNEYfQobNklRMwgpKTnJuNMeMU\n", sign.IncompleteSignature},
		{"", "Signature", "IoNEYfQobNklRMwg\npKTnJuNMeMU", sign.IncompleteSignature},
		{"", "Signature", "IoNEYfQobNklRMwgpKTnJuNMeMUA", sign.IncompleteSignature},
		{"", "Signature", "IoNEYfQobNklRMwgpKTnJuNMeA==", sign.IncompleteSignature},
		{"", "Signature", strings.Repeat("IoNE", 20), sign.IncompleteSignature},
		{"", "Signature", "IoNEYfQobNkl MwgpKTnJuNMeMU=", sign.IncompleteSignature},
		{"", "Signature", "IoNEYfQobNkl-wgpKTnJuNMeMU==", sign.IncompleteSignature},
	}
	for _, tt := range tests {
		t.Run(tt.v1+" "+tt.value, func(t *testing.T) {
			f := named(t, "v1-cli-list")
			c := f.call(t)
			c.editParam(tt.v1, func(v url.Values) { v.Set(tt.v1, tt.value) })
			checkRefused(t, c, f, tt.want)
			if tt.acs3 != "" {
				f := named(t, "acs3-go-sdk-list")
				c := f.call(t)
				c.Header.Set(tt.acs3, tt.value)
				checkRefused(t, c, f, tt.want)
			}
		})
	}
}

// checkRefused checks that Parse refuses c with the code. If the code is empty, Parse must succeed
// and Verify must fail.
func checkRefused(t *testing.T, c call, f fixture, want sign.Code) {
	t.Helper()
	s, err := c.parse()
	if got := codeOf(err); got != want {
		t.Errorf("%s: Parse: %v, want code %q", f.name, err, want)
	}
	if err == nil && codeOf(s.Verify(f.key.Secret)) != sign.SignatureDoesNotMatch {
		t.Errorf("%s: Verify: %v, want a mismatch", f.name, s.Verify(f.key.Secret))
	}
}

func TestErrorsNameTheParameter(t *testing.T) {
	c := named(t, "v1-cli-list").call(t)
	c.URL.RawQuery += "&Zz=1&Zz=2&MaxResults=10"
	_, err := c.parse()
	if got, want := errorOf(t, err).Parameter, "MaxResults"; got != want {
		t.Errorf("Parameter = %q, want %q", got, want)
	}
	if got, want := errorOf(t, err).Message, `Specified parameter "MaxResults" is given more than once.`; got != want {
		t.Errorf("Message = %q, want %q", got, want)
	}

	c = named(t, "v1-cli-list").call(t)
	c.URL.RawQuery += "&" + strings.Repeat("%0a", 100) + "&" + strings.Repeat("%0a", 100)
	_, err = c.parse()
	if got := errorOf(t, err).Message; strings.Contains(got, "\n") || len(got) > 300 {
		t.Errorf("Message = %q, want it short and on one line", got)
	}

	c = named(t, "acs3-go-sdk-list").call(t)
	c.Header.Del("x-acs-date")
	_, err = c.parse()
	if got, want := errorOf(t, err).Message, "x-acs-date is mandatory for this action."; got != want {
		t.Errorf("Message = %q, want %q", got, want)
	}
}

func TestVerifyAcceptsOtherHosts(t *testing.T) {
	f := named(t, "acs3-go-sdk-list")
	c := f.call(t)
	host := c.Host
	for _, inner := range []string{"inner.fc.aliyuncs.com", ""} {
		c.Host = inner
		for _, tt := range []struct {
			hosts []string
			want  sign.Code
		}{
			{nil, sign.SignatureDoesNotMatch},
			{[]string{"", "other", host + ":80"}, sign.SignatureDoesNotMatch},
			{[]string{host + "\n"}, sign.SignatureDoesNotMatch},
			{[]string{"other", host}, ""},
		} {
			if _, err := c.verify(f.key.Secret, tt.hosts...); codeOf(err) != tt.want {
				t.Errorf("Verify at %q with hosts %q: %v, want code %q", inner, tt.hosts, err, tt.want)
			}
		}
		if _, err := c.verify("another", host); codeOf(err) != sign.SignatureDoesNotMatch {
			t.Errorf("Verify with another secret: %v, want a mismatch", err)
		}
	}
}

// A request signed for no host, or for a host with a line break, cannot be sent by HTTP and is
// refused.
func TestVerifyRefusesHostsThatAreNone(t *testing.T) {
	for _, host := range []string{"", "h\nx-acs-more:1"} {
		c := named(t, "acs3-published").call(t)
		c.Host = host
		_, right := oracleOf(c, "YourAccessKeySecret")
		c.editAuthorization("Signature=", func(string) string { return right })
		if _, err := c.verify("YourAccessKeySecret"); codeOf(err) != sign.SignatureDoesNotMatch {
			t.Errorf("Verify at host %q: %v, want a mismatch", host, err)
		}
	}
}

func TestVerifyWithoutSecretIsRefused(t *testing.T) {
	for _, f := range fixtures(t, "") {
		if _, err := f.call(t).verify(""); codeOf(err) != sign.InternalError {
			t.Errorf("%s: Verify with an empty secret: %v, want InternalError", f.name, err)
		}
	}
	for _, s := range []*sign.Signature{{}, {AccessKeyID: "k"}, {AccessKeyID: "k", Dialect: 3}, {Dialect: sign.V1},
		{Dialect: sign.ACS3}} {
		if err := s.Verify("secret"); codeOf(err) != sign.InternalError {
			t.Errorf("Verify of %v, which was not parsed: %v, want InternalError", s, err)
		}
	}
	for _, s := range []*sign.Signature{{AccessKeyID: "k", Dialect: sign.V1}, {AccessKeyID: "k", Dialect: sign.ACS3}} {
		if err := s.Verify("secret", "h"); codeOf(err) != sign.SignatureDoesNotMatch {
			t.Errorf("Verify of %v, which was not parsed: %v, want a mismatch", s, err)
		}
	}
}

func TestMismatchHoldsTheStringToSignAndNotTheSignature(t *testing.T) {
	for _, f := range fixtures(t, "") {
		c := f.call(t)
		const secret = "another secret"
		wantText, right := oracleOf(c, secret)
		_, err := c.verify(secret)
		e := errorOf(t, err)
		if got := e.StringToSign; got != wantText {
			t.Errorf("%s: StringToSign = %q, want %q", f.name, got, wantText)
		}
		if got, want := e.Message, "Specified signature is not matched with our calculation."; got != want {
			t.Errorf("%s: Message = %q, want %q", f.name, got, want)
		}
		for _, no := range []string{right, url.QueryEscape(right), secret} {
			if shown := fmt.Sprintf("%v %+v %#v", e, *e, e); strings.Contains(shown, no) {
				t.Errorf("%s: the error shows %q", f.name, no)
			}
		}
		if strings.Contains(e.Error(), e.StringToSign) {
			t.Errorf("%s: Error() = %q shows the string to sign", f.name, e)
		}
		plain := func(name string) bool { return name != "Configuration" && name != "SecurityToken" }
		secretive := !c.isACS3() && (c.params().Has("Configuration") || c.params().Has("SecurityToken"))
		if got := e.Sensitive(plain); got != secretive {
			t.Errorf("%s: Sensitive() = %v, want %v", f.name, got, secretive)
		}
	}
}

func TestAStringToSignIsSensitiveUnlessEveryParameterIsKnownToBePlain(t *testing.T) {
	for name, want := range map[string]bool{"Name": false, "Timestamp ": true, "Signature2": true,
		"Configuration": true, "SecurityToken": true, "FeishuEncryptKey": true} {
		c := named(t, "v1-cli-list").call(t)
		c.URL.RawQuery += "&" + url.QueryEscape(name) + "=x"
		_, err := c.verify("another")
		plain := func(name string) bool {
			return name == "Name" || name == "RegionId" || name == "MaxResults" || strings.HasPrefix(name, "Filters.")
		}
		if got := errorOf(t, err).Sensitive(plain); got != want {
			t.Errorf("Sensitive() with the parameter %q = %v, want %v", name, got, want)
		}
	}
}

func TestCheckTimeBothWays(t *testing.T) {
	for _, f := range fixtures(t, "") {
		s, err := f.call(t).parse()
		if err != nil {
			t.Fatal(err)
		}
		for _, tt := range []struct {
			after time.Duration
			want  sign.Code
		}{
			{0, ""},
			{15 * time.Minute, ""},
			{15*time.Minute + 1, sign.TimeExpired},
			{-15 * time.Minute, ""},
			{-15*time.Minute - 1, sign.TimeExpired},
			{1 << 62, sign.TimeExpired},
			{-1 << 62, sign.TimeExpired},
		} {
			if err := s.CheckTime(f.time.Add(tt.after)); codeOf(err) != tt.want {
				t.Errorf("%s: CheckTime %v after: %v, want code %q", f.name, tt.after, err, tt.want)
			}
		}
	}
	for _, far := range []string{"0000-01-01T00:00:00Z", "9999-12-31T23:59:59Z"} {
		c := named(t, "v1-cli-list").call(t)
		c.editParam("Timestamp", func(v url.Values) { v.Set("Timestamp", far) })
		s, err := c.parse()
		if err != nil {
			t.Fatal(err)
		}
		if err := s.CheckTime(time.Now()); codeOf(err) != sign.TimeExpired {
			t.Errorf("CheckTime of %s: %v, want it expired", far, err)
		}
	}
}

// A V1 signature covers the form's parameters, not the body. So the body must be an unambiguous
// form.
func TestV1BodyMustBeAForm(t *testing.T) {
	f := named(t, "v1-node-form")
	for _, tt := range []struct {
		contentType []string
		want        sign.Code
	}{
		{[]string{"application/x-www-form-urlencoded"}, ""},
		{[]string{"Application/X-WWW-Form-urlencoded ; charset=utf-8"}, ""},
		{[]string{"application/x-www-form-urlencoded", "application/x-www-form-urlencoded"}, sign.IncompleteSignature},
		{[]string{"application/json"}, sign.IncompleteSignature},
		{[]string{"multipart/form-data; boundary=x"}, sign.IncompleteSignature},
		{[]string{""}, sign.IncompleteSignature},
		{nil, sign.IncompleteSignature},
	} {
		c := f.call(t)
		params := c.params()
		c.Header["Content-Type"] = tt.contentType
		if _, err := sign.Parse(c.Request, params, c.body); codeOf(err) != tt.want {
			t.Errorf("Parse of a body of type %q: %v, want code %q", tt.contentType, err, tt.want)
		}
	}
}

// Parse refuses parameters that are not the query's, because the request is served from them.
func TestParametersThatAreNotThoseOfTheRequest(t *testing.T) {
	f := named(t, "acs3-go-sdk-list")
	for name, edit := range map[string]func(url.Values){
		"one more":      func(v url.Values) { v.Set("Name", "x") },
		"one less":      func(v url.Values) { v.Del("MaxResults") },
		"another value": func(v url.Values) { v.Set("MaxResults", "11") },
		"none":          func(v url.Values) { clear(v) },
	} {
		c := f.call(t)
		params := c.params()
		edit(params)
		if _, err := sign.Parse(c.Request, params, c.body); codeOf(err) != sign.InternalError {
			t.Errorf("Parse with %s: %v, want InternalError", name, err)
		}
	}
	c := f.call(t)
	params := c.params()
	c.URL.RawQuery += "&MaxResults=10"
	if _, err := sign.Parse(c.Request, params, c.body); codeOf(err) != sign.InvalidParameter {
		t.Errorf("Parse with a parameter twice in the query: %v, want InvalidParameter", err)
	}
}

func TestSigningIsRefused(t *testing.T) {
	good := sign.Key{ID: "k", Secret: "s"}
	now := time.Date(2026, 11, 22, 18, 46, 16, 0, time.UTC)
	newRequest := func() *http.Request {
		r, _ := http.NewRequest("POST", "http://h/?a=1", nil)
		r.Header.Set("x-acs-action", "A")
		r.Header.Set("x-acs-version", "1")
		return r
	}
	for _, tt := range []struct {
		name  string
		key   sign.Key
		nonce string
		edit  func(*http.Request, url.Values)
		want  sign.Code
	}{
		{"never", good, "n", func(*http.Request, url.Values) {}, ""},
		{"without an access key id", sign.Key{Secret: "s"}, "n", func(*http.Request, url.Values) {},
			sign.MissingParameter},
		{"without a secret", sign.Key{ID: "k"}, "n", func(*http.Request, url.Values) {}, sign.MissingParameter},
		{"without a nonce", good, "", func(*http.Request, url.Values) {}, sign.MissingParameter},
		{"with a nonce of two words", good, "a b", func(*http.Request, url.Values) {}, ""},
		{"with a nonce that ends in a blank", good, "a ", func(*http.Request, url.Values) {}, sign.InvalidParameter},
		{"with a nonce that begins with one", good, " a", func(*http.Request, url.Values) {}, sign.InvalidParameter},
		{"with a nonce of blanks", good, "  ", func(*http.Request, url.Values) {}, sign.InvalidParameter},
		{"with a nonce of two lines", good, "a\nb", func(*http.Request, url.Values) {}, sign.InvalidParameter},
		{"without an action", good, "n", func(r *http.Request, v url.Values) {
			r.Header.Del("x-acs-action")
			v.Del(
				"Action")
		}, sign.MissingParameter},
		{"without a version", good, "n", func(r *http.Request, v url.Values) {
			r.Header.Del("x-acs-version")
			v.Del(
				"Version")
		}, sign.MissingParameter},
		{"with a parameter twice", good, "n", func(r *http.Request, v url.Values) {
			r.URL.RawQuery += "&a=2"
			v.Add("a",
				"2")
		}, sign.InvalidParameter},
		{"with an unknown type", good, "n", func(r *http.Request, v url.Values) {
			r.URL.RawQuery = "%"
			v.Set("SignatureVersion", "9")
			v.Set("a", "1")
			v["b"] = nil
		}, sign.InvalidParameter},
		{"without a host", good, "n", func(r *http.Request, v url.Values) {
			r.Host, r.URL.Host = "",
				""
			v.Del("Action")
		}, sign.MissingParameter},
	} {
		r, params := newRequest(), url.Values{"Action": {"A"}, "Version": {"1"}, "a": {"1"}}
		tt.edit(r, params)
		r.Header.Set("Authorization", "old")
		if err := tt.key.SignACS3(r, nil, now, tt.nonce); codeOf(err) != tt.want {
			t.Errorf("SignACS3 %s: %v, want code %q", tt.name, err, tt.want)
		}
		if err := tt.key.SignV1("POST", params, now, tt.nonce); codeOf(err) != tt.want {
			t.Errorf("SignV1 %s: %v, want code %q", tt.name, err, tt.want)
		}
	}
	if err := good.SignV1("post", url.Values{"Action": {"A"}, "Version": {"1"}}, now,
		"n"); codeOf(err) != sign.UnsupportedHTTPMethod {
		t.Errorf("SignV1 by a method in lower case: %v, want UnsupportedHTTPMethod", err)
	}
}

func TestSignedRequestsVerifyOverHTTP(t *testing.T) {
	key := sign.Key{ID: "LTAItestAK", Secret: "testSecret", SecurityToken: "CAISxx/+="}
	nonce := strings.Repeat("0f", 16)
	params := func() url.Values {
		return url.Values{"Name": {"钉钉-ops"}, "Configuration": {`{"a":"+ *~/="}`}, "Empty": {""}}
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s, err := call{Request: r, body: body}.verify(key.Secret)
		fmt.Fprintf(w, "%v %v", s, err)
	}))
	defer srv.Close()
	send := func(r *http.Request, want string) {
		t.Helper()
		res, err := srv.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if got, _ := io.ReadAll(res.Body); string(got) != want {
			t.Errorf("the server says %q, want %q", got, want)
		}
	}
	for _, method := range []string{"GET", "POST"} {
		r, _ := http.NewRequest(method, srv.URL+"?"+params().Encode(), nil)
		r.Header.Set("x-acs-action", "GetChatConfiguration")
		r.Header.Set("x-acs-version", "2019-06-01")
		if err := key.SignACS3(r, nil, time.Now(), nonce); err != nil {
			t.Fatal(err)
		}
		send(r, "ACS3 signature of GetChatConfiguration by LTAItestAK <nil>")

		v := params()
		v.Set("Action", "GetChatConfiguration")
		v.Set("Version", "2019-06-01")
		v.Set("SignatureType", "")
		if err := key.SignV1(method, v, time.Now(), nonce); err != nil {
			t.Fatal(err)
		}
		r, _ = http.NewRequest(method, srv.URL+"/?"+v.Encode(), nil)
		if method == "POST" {
			r, _ = http.NewRequest(method, srv.URL, strings.NewReader(v.Encode()))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		send(r, "V1 signature of GetChatConfiguration by LTAItestAK <nil>")
	}
}

// A request that was signed before with another kind of key can be signed again.
func TestSigningAgainReplaces(t *testing.T) {
	now := time.Date(2026, 11, 22, 18, 46, 16, 0, time.FixedZone("", 8*3600))
	temporary, lasting := sign.Key{ID: "STS.k", Secret: "s", SecurityToken: "t"}, sign.Key{ID: "k", Secret: "s2"}
	r, _ := http.NewRequest("POST", "http://h/?a=1", nil)
	r.Header.Set("x-acs-action", "A")
	r.Header.Set("x-acs-version", "1")
	params := url.Values{"Action": {"A"}, "Version": {"1"}}
	for _, key := range []sign.Key{temporary, lasting, temporary} {
		if err := key.SignACS3(r, nil, now, "n"); err != nil {
			t.Fatal(err)
		}
		if err := key.SignV1("POST", params, now, "n"); err != nil {
			t.Fatal(err)
		}
		v1 := &http.Request{Method: "POST", Host: "h", URL: &url.URL{RawQuery: params.Encode()}}
		for _, c := range []call{{Request: r}, {Request: v1}} {
			s, err := c.verify(key.Secret)
			if err != nil {
				t.Fatalf("Verify: %v", err)
			}
			if s.AccessKeyID != key.ID || s.SecurityToken != key.SecurityToken || s.Time.Location() != time.UTC ||
				!s.Time.Equal(now) {
				t.Errorf("got %q %q %v, want %q %q %v", s.AccessKeyID, s.SecurityToken, s.Time, key.ID,
					key.SecurityToken, now)
			}
			if got, want := c.Header.Get("x-acs-accesskey-id") != "", key.SecurityToken != "" &&
				c.isACS3(); got != want {
				t.Errorf("x-acs-accesskey-id is there: %v, want %v", got, want)
			}
		}
	}
}

func TestNothingSecretIsPrinted(t *testing.T) {
	key := sign.Key{ID: "LTAI", Secret: "hunter2", SecurityToken: "hunter3"}
	c := named(t, "v1-legacy-go-sdk-sts").call(t)
	s, err := c.parse()
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	for _, v := range []any{key, &key, s, *s, []any{key, s}, map[string]any{"k": key, "s": s}} {
		fmt.Fprintf(&b, "%v %+v %#v %s %q %x\n", v, v, v, v, v, v)
		slog.New(slog.NewTextHandler(&b, nil)).Info("m", "v", v)
		slog.New(slog.NewJSONHandler(&b, nil)).Info("m", "v", v)
		if err := json.NewEncoder(&b).Encode(v); err != nil {
			t.Fatal(err)
		}
	}
	for _, secret := range []string{"hunter", fmt.Sprintf("%x", "hunter"), "CAISxx", "DingTalkClientSecret",
		c.params().Get("Signature")} {
		if strings.Contains(b.String(), secret) {
			t.Errorf("%q is printed:\n%s", secret, b.String())
		}
	}
	if got, want := s.String(), "V1 signature of CreateChatConfiguration by LTAItestAK"; got != want {
		t.Errorf("String() = %q, want %q", got, want)
	}
	if got, want := fmt.Sprint(sign.ACS3, sign.V1, sign.Dialect(0)), "ACS3 V1 unknown"; got != want {
		t.Errorf("dialects are %q, want %q", got, want)
	}
}

func TestParseChangesNothing(t *testing.T) {
	for _, f := range fixtures(t, "") {
		c, before := f.call(t), f.call(t)
		params := c.params()
		s, err := sign.Parse(c.Request, params, c.body)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(s.Verify(f.key.Secret), s.Verify(f.key.Secret)); err != nil {
			t.Errorf("%s: Verify twice: %v", f.name, err)
		}
		if diff := cmp.Diff(before.params(), params); diff != "" {
			t.Errorf("%s: the parameters have changed: %s", f.name, diff)
		}
		if diff := cmp.Diff(before.Header, c.Header); diff != "" {
			t.Errorf("%s: the headers have changed: %s", f.name, diff)
		}
	}
}
