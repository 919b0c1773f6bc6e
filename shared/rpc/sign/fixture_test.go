package sign_test

import (
	"bufio"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"chatconf/shared/rpc/sign"
)

// A fixture is one request of testdata: raw HTTP after lines with its origin, key (id, secret and,
// for temporary credentials, token) and time.
type fixture struct {
	name string
	key  sign.Key
	time time.Time
	raw  string
}

// fixtures returns the requests of testdata whose dialect starts with prefix.
func fixtures(tb testing.TB, prefix string) []fixture {
	tb.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", prefix+"*.http"))
	if err != nil || len(paths) == 0 {
		tb.Fatalf("no fixtures of %q: %v", prefix, err)
	}
	var out []fixture
	for _, path := range paths {
		out = append(out, readFixture(tb, path))
	}
	return out
}

func readFixture(tb testing.TB, path string) fixture {
	tb.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	f := fixture{name: strings.TrimSuffix(filepath.Base(path), ".http")}
	// The files may have either line end; HTTP uses this one.
	rest := strings.ReplaceAll(string(data), "\r\n", "\n")
	for strings.HasPrefix(rest, "#") {
		var line string
		line, rest, _ = strings.Cut(rest, "\n")
		if value, ok := strings.CutPrefix(line, "# key: "); ok {
			parts := append(strings.Fields(value), "", "", "")
			f.key = sign.Key{ID: parts[0], Secret: parts[1], SecurityToken: parts[2]}
		}
		if value, ok := strings.CutPrefix(line, "# time: "); ok {
			if f.time, err = time.Parse(sign.TimeFormat, value); err != nil {
				tb.Fatalf("%s: %v", path, err)
			}
		}
	}
	f.raw = strings.ReplaceAll(rest, "\n", "\r\n")
	if f.key.Secret == "" || f.time.IsZero() {
		tb.Fatalf("%s: key or time is not given", path)
	}
	return f
}

// A call is a request as rpc sees it when it checks the signature.
type call struct {
	*http.Request
	body []byte
}

// call returns the request of f, a new one each time.
func (f fixture) call(tb testing.TB) call {
	tb.Helper()
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(f.raw)))
	if err != nil {
		tb.Fatalf("%s: %v", f.name, err)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		tb.Fatalf("%s: %v", f.name, err)
	}
	return call{Request: r, body: body}
}

// params merges query and form, as rpc does.
func (c call) params() url.Values {
	params, _ := url.ParseQuery(c.URL.RawQuery)
	for name, values := range c.form() {
		params[name] = append(params[name], values...)
	}
	return params
}

// form returns the parameters of the body, or nil if the body is not a form.
func (c call) form() url.Values {
	if c.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
		return nil
	}
	form, _ := url.ParseQuery(string(c.body))
	return form
}

func (c call) parse() (*sign.Signature, error) { return sign.Parse(c.Request, c.params(), c.body) }

// verify parses and verifies, as rpc does.
func (c call) verify(secret string, hosts ...string) (*sign.Signature, error) {
	s, err := c.parse()
	if err != nil {
		return nil, err
	}
	return s, s.Verify(secret, hosts...)
}

func (c call) isACS3() bool { return strings.HasPrefix(c.Header.Get("Authorization"), "ACS3-") }

// isSigned reports whether an ACS3 signature covers the header.
func (c call) isSigned(name string) bool {
	_, list, _ := strings.Cut(c.Header.Get("Authorization"), "SignedHeaders=")
	list, _, _ = strings.Cut(list, ",")
	return strings.Contains(";"+list+";", ";"+strings.ToLower(name)+";")
}

// editParam changes the parameters in the query or the form, wherever the named one is.
func (c *call) editParam(name string, edit func(url.Values)) {
	query, _ := url.ParseQuery(c.URL.RawQuery)
	form := c.form()
	if _, ok := form[name]; ok {
		edit(form)
		c.body = []byte(form.Encode())
		return
	}
	edit(query)
	c.URL.RawQuery = query.Encode()
}

func TestFixturesVerify(t *testing.T) {
	for _, f := range fixtures(t, "") {
		t.Run(f.name, func(t *testing.T) {
			c := f.call(t)
			s, err := c.verify(f.key.Secret)
			if err != nil {
				t.Fatalf("Verify: %v", err)
			}
			if err := s.CheckTime(f.time); err != nil {
				t.Errorf("CheckTime: %v", err)
			}
			if got, want := s.AccessKeyID, f.key.ID; got != want {
				t.Errorf("AccessKeyID = %q, want %q", got, want)
			}
			if got, want := s.SecurityToken, f.key.SecurityToken; got != want {
				t.Errorf("SecurityToken = %q, want %q", got, want)
			}
			if got, want := s.Time, f.time; !got.Equal(want) {
				t.Errorf("Time = %v, want %v", got, want)
			}
			params := c.params()
			action, version, nonce, dialect := params.Get("Action"), params.Get("Version"),
				params.Get("SignatureNonce"), sign.V1
			if c.isACS3() {
				h := c.Header
				action, version, nonce, dialect = h.Get("x-acs-action"), h.Get("x-acs-version"),
					h.Get("x-acs-signature-nonce"), sign.ACS3
			}
			if s.Dialect != dialect || s.Action != action || s.Version != version || s.Nonce != nonce {
				t.Errorf("got %v %q %q %q, want %v %q %q %q", s.Dialect, s.Action, s.Version, s.Nonce, dialect, action,
					version, nonce)
			}
			if got, want := strings.HasPrefix(f.name, "acs3-"), dialect == sign.ACS3; got != want {
				t.Errorf("the fixture's name says ACS3: %v, want %v", got, want)
			}
		})
	}
}

// Signing a recorded SDK request again must give the same signature.
func TestFixturesSignedAgainAreTheSame(t *testing.T) {
	for _, f := range fixtures(t, "") {
		t.Run(f.name, func(t *testing.T) {
			c := f.call(t)
			s, err := c.parse()
			if err != nil {
				t.Fatal(err)
			}
			if c.isACS3() {
				want := c.Header.Get("Authorization")
				if err := f.key.SignACS3(c.Request, c.body, f.time, s.Nonce); err != nil {
					t.Fatal(err)
				}
				if got := c.Header.Get("Authorization"); got != want {
					t.Errorf("Authorization = %s, want %s", got, want)
				}
				return
			}
			params := c.params()
			want := params.Get("Signature")
			if err := f.key.SignV1(c.Method, params, f.time, s.Nonce); err != nil {
				t.Fatal(err)
			}
			if got := params.Get("Signature"); got != want {
				t.Errorf("Signature = %s, want %s", got, want)
			}
		})
	}
}

// A change modifies one thing of a request.
type change struct {
	name string
	do   func(*call)
	want sign.Code // empty: the request still verifies, because the changed part is not signed
}

// TestFixturesWithOneThingChanged changes every part of every fixture, one at a time.
func TestFixturesWithOneThingChanged(t *testing.T) {
	for _, f := range fixtures(t, "") {
		t.Run(f.name, func(t *testing.T) {
			c := f.call(t)
			changes := append(changesToAll(), changesToParams(c)...)
			if c.isACS3() {
				changes = append(changes, changesToACS3(c)...)
			} else {
				changes = append(changes, changesToV1(c)...)
			}
			for _, ch := range changes {
				changed := f.call(t)
				ch.do(&changed)
				_, err := changed.verify(f.key.Secret)
				if got := codeOf(err); got != ch.want {
					t.Errorf("%s: code = %q, want %q (%v)", ch.name, got, ch.want, err)
				}
			}
		})
	}
}

func changesToAll() []change {
	return []change{
		{"another path", func(c *call) { c.URL.Path = "/x" }, sign.SignatureDoesNotMatch},
		{"a path in place of none", func(c *call) { c.URL.Path = "" }, ""},
		{"another method", func(c *call) { c.Method = "PUT" }, sign.SignatureDoesNotMatch},
		{"a method in lower case", func(c *call) { c.Method = strings.ToLower(c.Method) }, sign.UnsupportedHTTPMethod},
		{"a method with more in it", func(c *call) { c.Method += "\n" }, sign.UnsupportedHTTPMethod},
		{"no method", func(c *call) { c.Method = "" }, sign.UnsupportedHTTPMethod},
	}
}

func changesToParams(c call) []change {
	acs3 := c.isACS3()
	form := c.form()
	var out []change
	// In ACS3 a form is part of the body, whose hash is compared first.
	code := func(name string, v1 sign.Code) sign.Code {
		_, inForm := form[name]
		switch {
		case acs3 && inForm:
			return sign.BodyDoesNotMatch
		case acs3, v1 == "":
			return sign.SignatureDoesNotMatch
		default:
			return v1
		}
	}
	changed := map[string]sign.Code{
		"SignatureMethod": sign.InvalidSignatureMethod, "SignatureType": sign.InvalidSignatureMethod,
		"SignatureVersion": sign.InvalidParameter,
		"Timestamp":        sign.InvalidTimeFormat, "Signature": sign.IncompleteSignature,
	}
	removed := map[string]sign.Code{}
	for _, name := range []string{"AccessKeyId", "Action", "Version", "Signature", "SignatureMethod",
		"SignatureVersion", "SignatureNonce", "Timestamp"} {
		removed[name] = sign.MissingParameter
	}
	for name := range c.params() {
		edit := func(what string, want sign.Code, edit func(url.Values)) {
			out = append(out, change{what + " " + name, func(c *call) { c.editParam(name, edit) }, want})
		}
		edit("another", code(name, changed[name]), func(v url.Values) { v.Set(name, v.Get(name)+"x") })
		edit("no", code(name, removed[name]), func(v url.Values) { v.Del(name) })
		if c.params().Get(name) != "" {
			edit("empty", code(name, removed[name]), func(v url.Values) { v.Set(name, "") })
		}
		repeat := code(name, sign.InvalidParameter)
		if repeat == sign.SignatureDoesNotMatch {
			repeat = sign.InvalidParameter
		}
		edit("the same again", repeat, func(v url.Values) { v.Add(name, v.Get(name)) })
		edit("a second", repeat, func(v url.Values) { v.Add(name, "x") })
		edit("one more beside", code(name, ""), func(v url.Values) { v.Set(name+".1", "") })
	}
	return out
}

func changesToACS3(c call) []change {
	out := []change{
		{"another host", func(c *call) { c.Host += "x" }, sign.SignatureDoesNotMatch},
		{"no host", func(c *call) { c.Host = "" }, sign.SignatureDoesNotMatch},
		{"an unsigned x-acs header", func(c *call) { c.Header.Set("X-Acs-More", "") }, sign.IncompleteSignature},
		{"an unsigned x-acs header in lower case", func(c *call) { c.Header["x-acs-more"] = []string{"1"} },
			sign.IncompleteSignature},
		{"a header that is not signed", func(c *call) { c.Header.Set("If-Match", "3") }, ""},
		{"one byte more", func(c *call) { c.body = append(c.body, 'x') }, sign.BodyDoesNotMatch},
		{"a broken escape in the query", func(c *call) { c.URL.RawQuery += "&a=%zz" }, sign.InvalidParameter},
		{"a semicolon in the query", func(c *call) { c.URL.RawQuery += "&a;b" }, sign.InvalidParameter},
		{"an ampersand too many in the query", func(c *call) { c.URL.RawQuery = "&" + c.URL.RawQuery + "&" }, ""},
		{"a Signature parameter too", func(c *call) { c.URL.RawQuery += "&Signature=" }, sign.IncompleteSignature},
		{"two Authorization headers", func(c *call) { c.Header.Add("Authorization", c.Header.Get("Authorization")) },
			sign.IncompleteSignature},
		{"another signature", func(c *call) { c.editAuthorization("Signature=", flipHex) }, sign.SignatureDoesNotMatch},
		{"another access key id", func(c *call) {
			c.editAuthorization("Credential=",
				func(s string) string { return s + "x" })
		}, ""},
	}
	if len(c.body) == 0 {
		// Without a form the content type is not signed.
		out = append(out, change{"a content type", func(c *call) { c.Header.Set("Content-Type", "text/plain") }, ""})
	}
	for i := range c.body {
		out = append(out, change{"another byte of the body", func(c *call) { c.body[i] ^= 1 }, sign.BodyDoesNotMatch})
	}
	changed := map[string]sign.Code{"X-Acs-Date": sign.InvalidTimeFormat, "X-Acs-Content-Sha256": sign.BodyDoesNotMatch}
	required := map[string]bool{"X-Acs-Action": true, "X-Acs-Version": true, "X-Acs-Date": true,
		"X-Acs-Signature-Nonce": true, "X-Acs-Content-Sha256": true}
	for name := range c.Header {
		if !c.isSigned(name) {
			if name != "Authorization" {
				out = append(out,
					change{"another " + name, func(c *call) { c.Header.Set(name, "x") }, ""},
					change{"no " + name, func(c *call) { c.Header.Del(name) }, ""})
			}
			continue
		}
		another, none := sign.SignatureDoesNotMatch, sign.IncompleteSignature
		if code, ok := changed[name]; ok {
			another = code
		}
		empty := another
		if required[name] {
			none, empty = sign.MissingParameter, sign.MissingParameter
		}
		out = append(out,
			change{"another " + name, func(c *call) { c.Header.Set(name, c.Header.Get(name)+"x") }, another},
			change{"space around " + name, func(c *call) { c.Header.Set(name, "\t "+c.Header.Get(name)+" ") }, ""},
			change{"empty " + name, func(c *call) { c.Header.Set(name, "") }, empty},
			change{"no " + name, func(c *call) { c.Header.Del(name) }, none},
			change{"no value of " + name, func(c *call) { c.Header[name] = nil }, none},
			change{"a control character in " + name, func(c *call) { c.Header.Set(name, c.Header.Get(name)+"\nx") },
				sign.InvalidParameter},
			change{"two of " + name, func(c *call) { c.Header.Add(name, c.Header.Get(name)) }, sign.InvalidParameter},
			change{"the same in lower case of " + name,
				func(c *call) { c.Header[strings.ToLower(name)] = c.Header[name] }, sign.InvalidParameter},
			change{"unsigned " + name, func(c *call) { c.unsign(name) }, sign.IncompleteSignature},
		)
	}
	return append(out, change{"unsigned host", func(c *call) { c.unsign("host") }, sign.IncompleteSignature})
}

func changesToV1(c call) []change {
	out := []change{
		{"another host", func(c *call) { c.Host += "x" }, ""},
		{"another signature", func(c *call) {
			c.editParam("Signature", func(v url.Values) { v.Set("Signature", flipBase64(v.Get("Signature"))) })
		}, sign.SignatureDoesNotMatch},
		{"an Authorization header of another kind", func(c *call) { c.Header.Set("Authorization", "Basic Og==") }, ""},
	}
	if len(c.body) == 0 {
		return append(out, change{"a body that is not a form", func(c *call) {
			c.Header.Set("Content-Type", "application/json")
			c.body = []byte("{}")
		}, sign.IncompleteSignature})
	}
	notAForm := sign.IncompleteSignature
	if _, ok := c.form()["Signature"]; ok {
		notAForm = sign.MissingParameter // without the form there is no signature
	}
	return append(out, change{"a form by another name", func(c *call) { c.Header.Set("Content-Type", "text/plain") },
		notAForm})
}

// editAuthorization changes the value that follows prefix in the Authorization header.
func (c *call) editAuthorization(prefix string, edit func(string) string) {
	before, after, _ := strings.Cut(c.Header.Get("Authorization"), prefix)
	value, rest, more := strings.Cut(after, ",")
	if more {
		rest = "," + rest
	}
	c.Header.Set("Authorization", before+prefix+edit(value)+rest)
}

// unsign takes a header out of SignedHeaders.
func (c *call) unsign(name string) {
	c.editAuthorization("SignedHeaders=", func(s string) string {
		s = strings.ReplaceAll(";"+s+";", ";"+strings.ToLower(name)+";", ";")
		return strings.Trim(s, ";")
	})
}

// flipHex returns another well-formed signature.
func flipHex(s string) string {
	if s[0] == '0' {
		return "1" + s[1:]
	}
	return "0" + s[1:]
}

// flipBase64 returns another well-formed signature.
func flipBase64(s string) string {
	if s[0] == 'A' {
		return "B" + s[1:]
	}
	return "A" + s[1:]
}

// A change of any byte of a V1 form is an error too; which error depends on the byte.
func TestV1FormWithAnyByteChangedIsRefused(t *testing.T) {
	bytes := 0
	for _, f := range fixtures(t, "v1-") {
		for i := range f.call(t).body {
			bytes++
			c := f.call(t)
			c.body[i] ^= 1
			if _, err := c.verify(f.key.Secret); codeOf(err) == "" || codeOf(err) == sign.InternalError {
				t.Errorf("%s with byte %d of the form changed: %v, want a refusal", f.name, i, err)
			}
		}
	}
	if bytes == 0 {
		t.Error("no fixture has a form")
	}
}
