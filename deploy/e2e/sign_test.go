package e2e_test

import (
	"bytes"
	"cmp"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// A signed is a request of a dialect, before it is signed.
type signed interface {
	request(t *testing.T, endpoint string) *http.Request
}

// A v1 is a request in the V1 dialect, where everything is a parameter.
// https://help.aliyun.com/zh/sdk/product-overview/rpc-mechanism
type v1 struct {
	method string            // POST unless said otherwise
	form   bool              // parameters go into the body
	params map[string]string // all but Signature
	secret string
	body   string                  // a body besides, with its content type; not with form
	kind   string                  // of the body
	tamper func(map[string]string) // what happens to the parameters after they were signed
}

// newV1 returns a request of key for an action with parameters, names and values in turn.
func newV1(key accessKey, action string, pairs ...string) *v1 {
	params := map[string]string{
		"AccessKeyId":      key.ID,
		"Action":           action,
		"Version":          "2019-06-01",
		"Format":           "JSON",
		"SignatureMethod":  "HMAC-SHA1",
		"SignatureVersion": "1.0",
		"SignatureNonce":   newNonce(),
		"Timestamp":        stamp(time.Now()),
	}
	maps.Copy(params, pairMap(pairs))
	return &v1{method: http.MethodPost, params: params, secret: key.Secret}
}

func (v *v1) request(t *testing.T, endpoint string) *http.Request {
	t.Helper()
	params := maps.Clone(v.params)
	mac := hmac.New(sha1.New, []byte(v.secret+"&"))
	io.WriteString(mac, v.stringToSign())
	params["Signature"] = base64.StdEncoding.EncodeToString(mac.Sum(nil))
	if v.tamper != nil {
		v.tamper(params)
	}
	if v.form {
		return newRequest(t, v.method, "http://"+endpoint+"/", canonical(params), "application/x-www-form-urlencoded")
	}
	return newRequest(t, v.method, "http://"+endpoint+"/?"+canonical(params), v.body, v.kind)
}

func (v *v1) stringToSign() string {
	return v.method + "&%2F&" + percent(canonical(v.params))
}

// An acs3 is a request in the ACS3 dialect, which signs headers.
// https://help.aliyun.com/zh/sdk/product-overview/v3-request-structure-and-signature
type acs3 struct {
	method  string            // POST unless said otherwise
	path    string            // / unless said otherwise
	signed  string            // the path that is signed, if it is another
	query   map[string]string // parameters in the URL
	header  map[string]string // by lower-case name, besides host and content-type
	body    string
	kind    string // of the body
	chunked bool   // the body's length is not told
	key     accessKey
	tamper  func(*http.Request) // what happens to the request after it was signed
}

// newACS3 returns a request of key for an action with parameters, names and values in turn.
func newACS3(key accessKey, action string, pairs ...string) *acs3 {
	return &acs3{
		method: http.MethodPost,
		query:  pairMap(pairs),
		header: map[string]string{
			"x-acs-action":          action,
			"x-acs-version":         "2019-06-01",
			"x-acs-date":            stamp(time.Now()),
			"x-acs-signature-nonce": newNonce(),
		},
		key: key,
	}
}

// inForm moves the parameters from the URL into a form.
func (a *acs3) inForm() *acs3 {
	a.body, a.kind, a.query = canonical(a.query), "application/x-www-form-urlencoded", nil
	return a
}

// inJSON moves the parameters from the URL into a JSON object.
func (a *acs3) inJSON() *acs3 {
	text, err := json.Marshal(a.query)
	if err != nil {
		panic(err) // a map of strings
	}
	a.body, a.kind, a.query = string(text), "application/json", nil
	return a
}

func (a *acs3) request(t *testing.T, endpoint string) *http.Request {
	t.Helper()
	path := cmp.Or(a.path, "/")
	target := "http://" + endpoint + path
	if len(a.query) > 0 {
		target += "?" + canonical(a.query)
	}
	req := newRequest(t, a.method, target, a.body, a.kind)
	if a.chunked {
		req.ContentLength = -1
	}
	hash := sha256.Sum256([]byte(a.body))
	header := maps.Clone(a.header)
	header["x-acs-content-sha256"] = hex.EncodeToString(hash[:])
	for name, value := range header {
		req.Header.Set(name, value)
	}
	header["host"] = endpoint
	if a.kind != "" {
		header["content-type"] = a.kind
	}
	names := slices.Sorted(maps.Keys(header))
	text := a.method + "\n" + cmp.Or(a.signed, path) + "\n" + canonical(a.query) + "\n"
	for _, name := range names {
		text += name + ":" + header[name] + "\n"
	}
	text += "\n" + strings.Join(names, ";") + "\n" + hex.EncodeToString(hash[:])
	hash = sha256.Sum256([]byte(text))
	mac := hmac.New(sha256.New, []byte(a.key.Secret))
	io.WriteString(mac, "ACS3-HMAC-SHA256\n"+hex.EncodeToString(hash[:]))
	req.Header.Set("Authorization", fmt.Sprintf("ACS3-HMAC-SHA256 Credential=%s,SignedHeaders=%s,Signature=%x",
		a.key.ID, strings.Join(names, ";"), mac.Sum(nil)))
	if a.tamper != nil {
		a.tamper(req)
	}
	return req
}

func newRequest(t *testing.T, method, target, body, kind string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	return req
}

// canonical returns parameters in the order of their names, as V1 and ACS3 both write them.
func canonical(params map[string]string) string {
	parts := make([]string, 0, len(params))
	for _, name := range slices.Sorted(maps.Keys(params)) {
		parts = append(parts, percent(name)+"="+percent(params[name]))
	}
	return strings.Join(parts, "&")
}

// percent encodes as RFC 3986 does: what is not a letter, a digit or one of -_.~ becomes %XX.
func percent(s string) string {
	return strings.NewReplacer("+", "%20", "*", "%2A", "%7E", "~").Replace(url.QueryEscape(s))
}

func stamp(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05Z") }

func newNonce() string { return rand.Text() }

// pairMap returns names and values in turn as a map.
func pairMap(pairs []string) map[string]string {
	m := make(map[string]string, len(pairs)/2)
	for pair := range slices.Chunk(pairs, 2) {
		m[pair[0]] = pair[1]
	}
	return m
}

// An answer is what a raw request was answered.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// send signs a request and sends it.
func (s *service) send(t *testing.T, r signed) answer {
	t.Helper()
	return do(t, r.request(t, s.endpoint))
}

// transport serves all raw requests, so that many of them share connections.
var transport = &http.Transport{MaxIdleConnsPerHost: 64}

func do(t *testing.T, req *http.Request) answer {
	t.Helper()
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	return readAnswer(t, resp)
}

func readAnswer(t *testing.T, resp *http.Response) answer {
	t.Helper()
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, body}
}

// An envelope is the body of an error.
type envelope struct {
	RequestId, HostId, Code, Message, Recommend string
	AccessDeniedDetail                          map[string]string
}

// fault asks for an error and returns it, its form checked.
func (a answer) fault(t *testing.T) envelope {
	t.Helper()
	var e envelope
	d := json.NewDecoder(bytes.NewReader(a.body))
	d.DisallowUnknownFields()
	if err := d.Decode(&e); err != nil || a.status < 400 {
		t.Fatalf("status = %d, want an error; body %s: %v", a.status, a.body, err)
	}
	if got, want := a.header.Get("Content-Type"), "application/json;charset=utf-8"; got != want {
		t.Errorf("content type = %q, want %q", got, want)
	}
	a.checkRequestID(t, e.RequestId)
	if e.HostId == "" || !strings.Contains(e.Recommend, e.Code) || e.Message == "" {
		t.Errorf("an error lacks something: %s", a.body)
	}
	return e
}

// wantFault asks for an error of a code and a status, and returns it.
func (a answer) wantFault(t *testing.T, status int, code string) envelope {
	t.Helper()
	e := a.fault(t)
	if e.Code != code || a.status != status {
		t.Errorf("answer = %d %s (%s), want %d %s", a.status, e.Code, e.Message, status, code)
	}
	return e
}

// ok asks for success and decodes the answer into out, if there is one.
func (a answer) ok(t *testing.T, out any) {
	t.Helper()
	if a.status != http.StatusOK {
		t.Fatalf("status = %d, want 200: %s", a.status, a.body)
	}
	var id struct{ RequestId string }
	if err := json.Unmarshal(a.body, &id); err != nil {
		t.Fatalf("%s: %v", a.body, err)
	}
	a.checkRequestID(t, id.RequestId)
	if out == nil {
		return
	}
	if err := json.Unmarshal(a.body, out); err != nil {
		t.Fatalf("%s: %v", a.body, err)
	}
}

// checkRequestID asks that the header of every answer shows the request id of its body.
func (a answer) checkRequestID(t *testing.T, id string) {
	t.Helper()
	if id == "" || a.header.Get("x-acs-request-id") != id {
		t.Errorf("x-acs-request-id = %q, and the body says %q", a.header.Get("x-acs-request-id"), id)
	}
}
