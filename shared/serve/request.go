package serve

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"chatconf/shared/invoke"
)

// maxBody is the size of a decoded body, in bytes. Handlers have limits of 1 MiB at most, with
// error messages of their own.
const maxBody = 2 << 20

// maxQuery is the number of parameters in a query that is a map.
const maxQuery = 1000

var errBodyTooLarge = fmt.Errorf("the body is too large; the limit is %d bytes", maxBody)

// The versions of HTTP payloads.
const (
	versionFC     = "v1"  // HTTP trigger of Function Compute 3.0
	versionLambda = "2.0" // function URL and API Gateway's HTTP API
)

type httpFormat uint8

const (
	noFormat httpFormat = iota // an unknown version
	fcFormat
	lambdaFormat
)

// decodeRequest reads the HTTP request of a payload of Function Compute,
// https://help.aliyun.com/zh/functioncompute/fc/http-trigger-invoking-function, or of AWS,
// https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html,
// payload format 2.0. With an error it still returns the format, for the answer.
//
// Path and query are the bytes that the client sent, because signatures cover them; a path with
// dots stays one. Function Compute delivers the query as a map; it is encoded again, sorted by
// name, and a repeated parameter is one with a comma. Repeated headers are one with a comma on both
// clouds.
//
// Policies can have conditions on the caller's address and on TLS. The address is that in
// requestContext, never X-Forwarded-For; for TLS see isSecure. The host is the header Host, because
// signatures cover it, else the gateway's domainName, never X-Forwarded-Host. A client that may
// invoke the function directly can write all of this.
func decodeRequest(ctx context.Context, v value) (*http.Request, httpFormat, error) {
	var version, rawPath, rawQuery, query, cookies, headers, requestContext, body, encoded value
	err := v.fields(field{"version", &version}, field{"rawPath", &rawPath}, field{"rawQueryString", &rawQuery},
		field{"queryParameters", &query},
		field{"cookies", &cookies}, field{"headers", &headers}, field{"requestContext", &requestContext},
		field{"body", &body}, field{"isBase64Encoded", &encoded})
	format := formatOf(version)
	switch {
	case err != nil:
		return nil, format, err
	case format == noFormat:
		return nil, format, errors.New("unknown version; use " + versionFC + " or " + versionLambda)
	}
	r := &http.Request{ProtoMajor: 1, ProtoMinor: 1, Proto: "HTTP/1.1"}
	domain, sourceIP, err := readContext(r, requestContext)
	if err != nil {
		return nil, format, err
	}
	if err := readURL(r, format, rawPath, rawQuery, query); err != nil {
		return nil, format, err
	}
	if err := readHeaders(r, headers, cookies, domain); err != nil {
		return nil, format, err
	}
	if err := readBody(r, body, encoded); err != nil {
		return nil, format, err
	}
	known := *invoke.From(ctx)
	known.SourceIP, known.Secure = sourceIP, isSecure(format, r.Header)
	return r.WithContext(invoke.With(ctx, &known)), format, nil
}

func formatOf(version value) httpFormat {
	switch text, _ := version.text(); text {
	case versionFC:
		return fcFormat
	case versionLambda:
		return lambdaFormat
	default:
		return noFormat
	}
}

// readContext reads method, protocol and the caller's address into r, and returns the domain and
// the address.
func readContext(r *http.Request, v value) (domain, sourceIP string, err error) {
	var name, inside, method, protocol, source value
	if err := v.fields(field{"domainName", &name}, field{"http", &inside}); err != nil {
		return "", "", fmt.Errorf("requestContext: %w", err)
	}
	if err := inside.fields(field{"method", &method}, field{"protocol", &protocol},
		field{"sourceIp", &source}); err != nil {
		return "", "", fmt.Errorf("requestContext.http: %w", err)
	}
	var ok bool
	if r.Method, ok = method.text(); !ok || !isToken(r.Method) {
		return "", "", errors.New("requestContext.http has no valid method")
	}
	if text, _ := protocol.text(); text != "" {
		major, minor, ok := http.ParseHTTPVersion(text)
		if !ok {
			return "", "", errors.New("requestContext.http has an invalid protocol")
		}
		r.Proto, r.ProtoMajor, r.ProtoMinor = text, major, minor
	}
	domain, _ = name.text()
	if text, _ := source.text(); text != "" {
		if address, err := netip.ParseAddr(text); err == nil {
			sourceIP = address.String()
			r.RemoteAddr = net.JoinHostPort(sourceIP, "0")
		}
	}
	return domain, sourceIP, nil
}

func readURL(r *http.Request, format httpFormat, rawPath, rawQuery, query value) error {
	path, ok := rawPath.text()
	if !ok && rawPath != nil {
		return fmt.Errorf("rawPath is %v; use a string", rawPath)
	}
	if path == "" {
		path = "/"
	}
	if path[0] != '/' || hasControl(path) || strings.ContainsAny(path, "?#") {
		return errors.New("invalid rawPath")
	}
	r.URL = &url.URL{Path: path}
	if plain, err := url.PathUnescape(path); err == nil {
		// EscapedPath returns RawPath only if it is an encoding of Path.
		r.URL.Path, r.URL.RawPath = plain, path
	}
	var err error
	if format == fcFormat {
		r.URL.RawQuery, err = queryOf(query)
	} else if r.URL.RawQuery, ok = rawQuery.text(); !ok && rawQuery != nil || hasControl(r.URL.RawQuery) {
		err = errors.New("invalid rawQueryString")
	}
	if err != nil {
		return err
	}
	r.RequestURI = r.URL.EscapedPath()
	if r.URL.RawQuery != "" {
		r.RequestURI += "?" + r.URL.RawQuery
	}
	return nil
}

func queryOf(v value) (string, error) {
	if v.isNothing() {
		return "", nil
	}
	if v.kind() != '{' {
		return "", fmt.Errorf("queryParameters is %v; use an object", v)
	}
	query := make(url.Values)
	n := 0
	for m := v.members(); m.next(); {
		text, ok := m.value.text()
		if !ok {
			return "", errors.New("a query parameter is " + m.value.String() + "; use a string")
		}
		if n++; n > maxQuery {
			return "", fmt.Errorf("too many query parameters; the limit is %d", maxQuery)
		}
		query.Add(string(m.key), text)
	}
	return query.Encode(), nil
}

func readHeaders(r *http.Request, headers, cookies value, domain string) error {
	if !headers.isNothing() && headers.kind() != '{' {
		return fmt.Errorf("headers is %v; use an object", headers)
	}
	r.Header = make(http.Header)
	n := 0
	for m := headers.members(); m.next(); {
		if n++; n > maxHeaderLines {
			return fmt.Errorf("too many headers; the limit is %d", maxHeaderLines)
		}
		text, ok := m.value.text()
		name := string(m.key)
		if !ok || !isToken(name) || hasLineBreak(text) {
			return errors.New("invalid header")
		}
		r.Header.Add(name, text)
	}
	if err := readCookies(r, cookies); err != nil {
		return err
	}
	switch hosts := r.Header["Host"]; len(hosts) {
	case 0:
		r.Host = domain
	case 1:
		r.Host = hosts[0]
	default:
		return errors.New("more than one header Host")
	}
	if !isHost(r.Host) {
		return errors.New("invalid host")
	}
	delete(r.Header, "Host") // as net/http has it
	return nil
}

// readCookies reads the cookies, which AWS removes from the headers.
func readCookies(r *http.Request, cookies value) error {
	if !cookies.isNothing() && cookies.kind() != '[' {
		return fmt.Errorf("cookies is %v; use a list", cookies)
	}
	all := r.Header["Cookie"]
	n := len(all)
	for items := cookies.items(); items.next(); {
		if len(all) == maxHeaderLines {
			return fmt.Errorf("too many cookies; the limit is %d", maxHeaderLines)
		}
		text, ok := items.value.text()
		if !ok || hasLineBreak(text) {
			return errors.New("invalid cookie")
		}
		all = append(all, text)
	}
	if len(all) > n {
		r.Header["Cookie"] = []string{strings.Join(all, "; ")}
	}
	return nil
}

// maxEscape is the largest number of JSON bytes for one byte of text, as in \u0022.
const maxEscape = 6

func readBody(r *http.Request, body, encoded value) error {
	if len(body) > maxEscape*maxBody {
		return errBodyTooLarge
	}
	text, ok := body.text()
	if !ok && !body.isNothing() {
		return fmt.Errorf("the body is %v; use a string", body)
	}
	switch encoded.kind() {
	case 't':
		if base64.StdEncoding.DecodedLen(len(text)) > maxBody+2 {
			return errBodyTooLarge
		}
		plain, err := base64.StdEncoding.Strict().DecodeString(text)
		if err != nil {
			return errors.New("the body is not Base64")
		}
		text = string(plain)
	case 'f', 'n', 0:
	default:
		return fmt.Errorf("isBase64Encoded is %v; use true or false", encoded)
	}
	if len(text) > maxBody {
		return errBodyTooLarge
	}
	r.ContentLength = int64(len(text))
	r.Body = http.NoBody
	if text != "" {
		r.Body = io.NopCloser(strings.NewReader(text))
	}
	return nil
}

// isSecure reports whether the client used TLS, without trusting the client.
//
// On AWS, function URLs and HTTP APIs accept only TLS. Their gateway sets X-Forwarded-Proto; the
// header can only deny TLS, as the emulator does for plain HTTP.
// https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-security.html
//
// On Function Compute the answer is no. The gateway accepts HTTP and HTTPS, and the payload does
// not tell which. No documentation says that the gateway overwrites X-Forwarded-Proto, so the
// client may have written it.
func isSecure(format httpFormat, h http.Header) bool {
	said := h["X-Forwarded-Proto"]
	return format == lambdaFormat && (len(said) == 0 || len(said) == 1 && said[0] == "https")
}

const alphanumeric = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

// isToken reports whether s is a token, as methods and header names are: RFC 9110, section 5.6.2.
func isToken(s string) bool { return s != "" && strings.Trim(s, alphanumeric+"!#$%&'*+-.^_`|~") == "" }

// isHost reports whether s has only characters of a host name, an address and a port. It may be
// empty.
func isHost(s string) bool { return strings.Trim(s, alphanumeric+"-._:[]") == "" }

// hasControl reports whether s has an ASCII control character, which no request line may have.
func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// hasLineBreak reports whether s has a character that no header value may have: RFC 9110, section
// 5.5.
func hasLineBreak(s string) bool { return strings.ContainsAny(s, "\r\n\x00") }
