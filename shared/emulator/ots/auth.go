package ots

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"hash"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"chatconf/shared/secret"
)

// maxSkew is the largest difference between a request's date and the server's clock, either way.
const maxSkew = 15 * time.Minute

// The headers of the protocol, in the case that net/http uses.
const (
	headerDate        = "X-Ots-Date"
	headerVersion     = "X-Ots-Apiversion"
	headerAccessKey   = "X-Ots-Accesskeyid"
	headerMD5         = "X-Ots-Contentmd5"
	headerInstance    = "X-Ots-Instancename"
	headerSignature   = "X-Ots-Signature"
	headerSignatureV4 = "X-Ots-Signaturev4" // in place of headerSignature, if the client names a region
	headerSignDate    = "X-Ots-Signdate"    // used by V4, like headerSignRegion
	headerSignRegion  = "X-Ots-Signregion"
	headerToken       = "X-Ots-Ststoken"
	headerRequestID   = "X-Ots-Requestid"
	headerContentType = "X-Ots-Contenttype"
	headerPrefix      = "X-Ots-"

	headerRequestType  = "X-Ots-Request-Compress-Type"
	headerRequestSize  = "X-Ots-Request-Compress-Size"
	headerResponseType = "X-Ots-Response-Compress-Type"
	headerResponseSize = "X-Ots-Response-Compress-Size"
)

// A keyring makes and verifies the signatures of one access key.
type keyring struct {
	secret.Hidden

	id     string
	token  string    // the STS token of the key; empty if it has none
	pool   sync.Pool // of hash.Hash, keyed with the secret
	derive func(date, region string) []byte
}

func newKeyring(id, secret, token string) *keyring {
	k := &keyring{id: id, token: token}
	k.pool.New = func() any { return hmac.New(sha1.New, []byte(secret)) }
	k.derive = func(date, region string) []byte {
		key := []byte("aliyun_v4" + secret)
		for _, part := range [...]string{date, region, "ots", "aliyun_v4_request"} {
			key = sha256Of(key, []byte(part))
		}
		return base64.StdEncoding.AppendEncode(nil, key)
	}
	return k
}

func sha256Of(key, text []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(text)
	return h.Sum(nil)
}

// appendSignature appends base64(HMAC-SHA1(secret, text)) to b.
func (k *keyring) appendSignature(b, text []byte) []byte {
	h := k.pool.Get().(hash.Hash)
	defer k.pool.Put(h)
	h.Reset()
	h.Write(text)
	var sum [sha1.Size]byte
	return base64.StdEncoding.AppendEncode(b, h.Sum(sum[:0]))
}

// authenticate verifies the headers of a request, and sets the call's instance and keyring. It runs
// before the body is read, so an unauthenticated client costs no memory.
func (s *Server) authenticate(c *call, r *http.Request) error {
	required := []string{headerDate, headerVersion, headerAccessKey, headerMD5, headerInstance}
	if r.Header.Get(headerSignatureV4) != "" {
		required = append(required, headerSignDate, headerSignRegion)
	} else {
		required = append(required, headerSignature)
	}
	for _, name := range required {
		if r.Header.Get(name) == "" && !s.unsigned {
			return &Error{Code: "OTSMissingHeader", Message: "Missing header: '" + strings.ToLower(name) + "'."}
		}
	}
	if c.instance = r.Header.Get(headerInstance); !validID(c.instance) {
		return invalid("Invalid instance name: '%s'.", c.instance)
	}
	if s.unsigned {
		return nil
	}
	k := s.keys[r.Header.Get(headerAccessKey)]
	if k == nil {
		return authFailed("The AccessKeyID does not exist.")
	}
	if countSigned(r.Header) > maxSigned {
		return invalid("More than %d headers begin with %s.", maxSigned, strings.ToLower(headerPrefix))
	}
	if subtle.ConstantTimeCompare([]byte(r.Header.Get(headerToken)), []byte(k.token)) != 1 {
		return authFailed("The STS token is invalid.") // the service's wording is not known
	}
	if k = k.verify(c.scratch, r); k == nil {
		return authFailed("Signature mismatch.")
	}
	c.keyring = k
	return s.checkDate(r.Header.Get(headerDate))
}

// verify returns the keyring that signs the answer, or nil if the request's signature is invalid.
// V4 derives a key from the secret, a date and a region, and signs requests with SHA-256. The
// answer is signed with the derived key, but with SHA-1.
func (k *keyring) verify(s *scratch, r *http.Request) *keyring {
	s.text = appendStringToSign(s.text[:0], r)
	given := r.Header.Get(headerSignatureV4)
	if given == "" {
		given = r.Header.Get(headerSignature)
		s.sum = k.appendSignature(s.sum[:0], s.text)
	} else {
		key := k.derive(r.Header.Get(headerSignDate), r.Header.Get(headerSignRegion))
		s.text = append(s.text, "ots"...)
		s.sum = base64.StdEncoding.AppendEncode(s.sum[:0], sha256Of(key, s.text))
		k = newKeyring(k.id, string(key), k.token)
	}
	if subtle.ConstantTimeCompare(s.sum, []byte(given)) != 1 {
		return nil
	}
	return k
}

// checkBody compares the body with the hash in the signed headers.
func (s *Server) checkBody(r *http.Request, body []byte) error {
	if s.unsigned {
		return nil
	}
	var want [2 * md5.Size]byte
	sum := md5.Sum(body)
	if string(base64.StdEncoding.AppendEncode(want[:0], sum[:])) != r.Header.Get(headerMD5) {
		return authFailed("Mismatch between MD5 value of request body and x-ots-contentmd5 in header.")
	}
	return nil
}

func authFailed(message string) *Error { return &Error{Code: "OTSAuthFailed", Message: message} }

// maxSigned is how many x-ots- headers a request may have. The SDKs send seven.
const maxSigned = 16

func countSigned(h http.Header) (n int) {
	for name := range h {
		if strings.HasPrefix(name, headerPrefix) {
			n++
		}
	}
	return n
}

// appendStringToSign appends the text that a request's signature covers: path, method, query
// (always empty), and all sorted x-ots- headers except the signature.
func appendStringToSign(b []byte, r *http.Request) []byte {
	b = append(b, r.URL.Path...)
	b = append(b, "\nPOST\n\n"...)
	names := make([]string, 0, 16)
	for name := range r.Header {
		if strings.HasPrefix(name, headerPrefix) && name != headerSignature && name != headerSignatureV4 {
			names = append(names, name)
		}
	}
	slices.Sort(names) // as in lower case: net/http writes a capital only after a hyphen
	for _, name := range names {
		b = appendHeader(b, name, r.Header.Get(name))
	}
	return b
}

func appendHeader(b []byte, name, value string) []byte {
	for i := range len(name) {
		c := name[i]
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		b = append(b, c)
	}
	b = append(b, ':')
	b = append(b, strings.TrimSpace(value)...)
	return append(b, '\n')
}

// checkDate compares the date of a request with the wall clock. The Go SDK's layout is wrong: it
// writes month, day and hour in place of the milliseconds. Its seconds are correct.
func (s *Server) checkDate(date string) error {
	whole, _, _ := strings.Cut(strings.TrimSuffix(date, "Z"), ".")
	t, err := time.Parse("2006-01-02T15:04:05", whole)
	if err != nil {
		if t, err = time.Parse(time.RFC1123, date); err != nil {
			return invalid("Invalid date format: %s.", date)
		}
	}
	if skew := s.wall().Sub(t); skew > maxSkew || skew < -maxSkew {
		return authFailed("Mismatch between system time and x-ots-date: " + date + ".")
	}
	return nil
}

// setHeaders sets and signs the headers of an answer. All SDKs but the one for Go verify them.
func (s *Server) setHeaders(h http.Header, c *call, body []byte) {
	sum := md5.Sum(body)
	names := []string{ // sorted
		headerMD5, headerContentType, headerDate, headerRequestID, headerResponseSize, headerResponseType,
	}
	if !c.compress {
		names = names[:4]
	}
	values := &[...]string{
		base64.StdEncoding.EncodeToString(sum[:]), "protocol buffer", s.wall().UTC().Format("2006-01-02T15:04:05.000Z"),
		c.requestID, strconv.Itoa(len(body)), compression, "",
	}
	text := c.scratch.text[:0]
	for i, name := range names {
		h[name] = values[i : i+1 : i+1]
		text = appendHeader(text, name, values[i])
	}
	if c.keyring == nil {
		return
	}
	c.scratch.text = append(append(text, '/'), c.operation...)
	c.scratch.sum = append(append(append(c.scratch.sum[:0], "OTS "...), c.keyring.id...), ':')
	c.scratch.sum = c.keyring.appendSignature(c.scratch.sum, c.scratch.text)
	last := len(values) - 1
	values[last] = string(c.scratch.sum)
	h["Authorization"] = values[last : last+1 : last+1]
}
