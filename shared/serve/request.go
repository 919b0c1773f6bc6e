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

// maxBody is how large the body of a request may be once it is decoded. Handlers have limits of
// their own, of 1 MiB at most, which they can explain in their own form; more is not decoded for
// anybody.
const maxBody = 2 << 20

// maxQuery is how many parameters a query may have that is given as a map.
const maxQuery = 1000

// errBodyTooLarge is the error of a body beyond maxBody.
var errBodyTooLarge = fmt.Errorf("the request body has more than %d bytes", maxBody)

// The versions of the payloads in which HTTP requests come.
const (
	versionFC     = "v1"  // HTTP trigger of Function Compute 3.0
	versionLambda = "2.0" // API Gateway's HTTP API, and function URL
)

// An httpDoor is the cloud whose HTTP payload it is.
type httpDoor uint8

const (
	noDoor httpDoor = iota // no version that is served
	fcDoor
	lambdaDoor
)

// decodeRequest reads the HTTP request of a payload: of Function Compute,
// https://help.aliyun.com/zh/functioncompute/fc/http-trigger-invoking-function; of AWS,
// https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html,
// payload format 2.0. The door is known as soon as the version is, so that an error can be answered
// too.
//
// Path and query are what the client sent, byte for byte, because signatures are made over them.
// Function Compute gives no raw query, but a map: the query is then made of it, sorted by name and
// percent-encoded anew, and a parameter that was given twice is one with a comma; so is a header on
// both clouds. Nothing is cleaned: a path with dots stays one.
//
// What conditions of policies rest on is taken from what the gateway says and never from a header
// that a client could write: the caller's address from requestContext, not from X-Forwarded-For;
// TLS as isSecure has it. The host is the client's Host, because signatures are made over it, and
// else the gateway's domainName; X-Forwarded-Host means nothing. Somebody whom the cloud allows to
// invoke the function can write the whole payload, and so all of this.
func decodeRequest(ctx context.Context, v value) (*http.Request, httpDoor, error) {
	var version, rawPath, rawQuery, query, cookies, headers, requestContext, body, encoded value
	err := v.fields(field{"version", &version}, field{"rawPath", &rawPath}, field{"rawQueryString", &rawQuery},
		field{"queryParameters", &query},
		field{"cookies", &cookies}, field{"headers", &headers}, field{"requestContext", &requestContext},
		field{"body", &body}, field{"isBase64Encoded", &encoded})
	door := doorOf(version)
	switch {
	case err != nil:
		return nil, door, err
	case door == noDoor:
		return nil, door, errors.New("its version is neither " + versionFC + " nor " + versionLambda)
	}
	r := &http.Request{ProtoMajor: 1, ProtoMinor: 1, Proto: "HTTP/1.1"}
	domain, sourceIP, err := readContext(r, requestContext)
	if err != nil {
		return nil, door, err
	}
	if err := readURL(r, door, rawPath, rawQuery, query); err != nil {
		return nil, door, err
	}
	if err := readHeaders(r, headers, cookies, domain); err != nil {
		return nil, door, err
	}
	if err := readBody(r, body, encoded); err != nil {
		return nil, door, err
	}
	known := *invoke.From(ctx)
	known.SourceIP, known.Secure = sourceIP, isSecure(door, r.Header)
	return r.WithContext(invoke.With(ctx, &known)), door, nil
}

func doorOf(version value) httpDoor {
	switch text, _ := version.text(); text {
	case versionFC:
		return fcDoor
	case versionLambda:
		return lambdaDoor
	default:
		return noDoor
	}
}

// readContext reads what the gateway says of the request: method, protocol and the caller's address
// into r, and the domain that was called.
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
		return "", "", errors.New("requestContext.http has no method")
	}
	if text, _ := protocol.text(); text != "" {
		major, minor, ok := http.ParseHTTPVersion(text)
		if !ok {
			return "", "", errors.New("requestContext.http has a protocol that is none")
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

// readURL reads path and query.
func readURL(r *http.Request, door httpDoor, rawPath, rawQuery, query value) error {
	path, ok := rawPath.text()
	if !ok && rawPath != nil {
		return fmt.Errorf("rawPath is %v", rawPath)
	}
	if path == "" {
		path = "/"
	}
	if path[0] != '/' || hasControl(path) || strings.ContainsAny(path, "?#") {
		return errors.New("rawPath is not one")
	}
	r.URL = &url.URL{Path: path}
	if plain, err := url.PathUnescape(path); err == nil {
		// What EscapedPath returns: RawPath where it is an encoding of Path, else one of its own.
		r.URL.Path, r.URL.RawPath = plain, path
	}
	var err error
	if door == fcDoor {
		r.URL.RawQuery, err = queryOf(query)
	} else if r.URL.RawQuery, ok = rawQuery.text(); !ok && rawQuery != nil || hasControl(r.URL.RawQuery) {
		err = errors.New("rawQueryString is not one")
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

// queryOf makes a query of a map of parameters.
func queryOf(v value) (string, error) {
	if v.isNothing() {
		return "", nil
	}
	if v.kind() != '{' {
		return "", fmt.Errorf("queryParameters are %v", v)
	}
	query := make(url.Values)
	n := 0
	for m := v.members(); m.next(); {
		text, ok := m.value.text()
		if !ok {
			return "", errors.New("a query parameter is " + m.value.String())
		}
		if n++; n > maxQuery {
			return "", fmt.Errorf("there are more than %d query parameters", maxQuery)
		}
		query.Add(string(m.key), text)
	}
	return query.Encode(), nil
}

// readHeaders reads headers, cookies and the host that was called: what the client wrote, because
// it is signed, else the gateway's name.
func readHeaders(r *http.Request, headers, cookies value, domain string) error {
	if !headers.isNothing() && headers.kind() != '{' {
		return fmt.Errorf("headers are %v", headers)
	}
	r.Header = make(http.Header)
	n := 0
	for m := headers.members(); m.next(); {
		if n++; n > maxHeaderLines {
			return fmt.Errorf("there are more than %d headers", maxHeaderLines)
		}
		text, ok := m.value.text()
		name := string(m.key)
		if !ok || !isToken(name) || hasLineBreak(text) {
			return errors.New("a header is not one")
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
		return errors.New("it has more than one host")
	}
	if !isHost(r.Host) {
		return errors.New("its host is not one")
	}
	delete(r.Header, "Host") // as net/http has it
	return nil
}

// readCookies reads the cookies, which AWS takes out of the headers.
func readCookies(r *http.Request, cookies value) error {
	if !cookies.isNothing() && cookies.kind() != '[' {
		return fmt.Errorf("cookies are %v", cookies)
	}
	all := r.Header["Cookie"]
	n := len(all)
	for items := cookies.items(); items.next(); {
		if len(all) == maxHeaderLines {
			return fmt.Errorf("there are more than %d cookies", maxHeaderLines)
		}
		text, ok := items.value.text()
		if !ok || hasLineBreak(text) {
			return errors.New("a cookie is not one")
		}
		all = append(all, text)
	}
	if len(all) > n {
		r.Header["Cookie"] = []string{strings.Join(all, "; ")}
	}
	return nil
}

// maxEscape is how many bytes of JSON one byte of text may take, as \u0022.
const maxEscape = 6

// readBody reads the body.
func readBody(r *http.Request, body, encoded value) error {
	if len(body) > maxEscape*maxBody {
		return errBodyTooLarge
	}
	text, ok := body.text()
	if !ok && !body.isNothing() {
		return fmt.Errorf("the body is %v", body)
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
		return fmt.Errorf("isBase64Encoded is %v", encoded)
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

// isSecure reports whether the client came by TLS, as far as somebody other than the client says
// so.
//
// On AWS the platform itself says it: function URLs and HTTP APIs take nothing but TLS. Its gateway
// writes X-Forwarded-Proto too; there the header can only take the word back, as the emulator's
// does, which takes plain HTTP.
// https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-security.html
//
// On Function Compute nobody says it: its gateway takes HTTP and HTTPS, the payload has no field
// for it, and no page of its documents says that the gateway overwrites X-Forwarded-Proto. The
// header may be the client's own, so it is not looked at.
func isSecure(door httpDoor, h http.Header) bool {
	said := h["X-Forwarded-Proto"]
	return door == lambdaDoor && (len(said) == 0 || len(said) == 1 && said[0] == "https")
}

// isToken reports whether s is a token of RFC 9110, section 5.6.2, as methods and header names are.
func isToken(s string) bool {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0:
		default:
			return false
		}
	}
	return s != ""
}

// isHost reports whether s may be a host name or address, with or without a port, or nothing.
func isHost(s string) bool {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case strings.IndexByte("-._:[]", c) >= 0:
		default:
			return false
		}
	}
	return true
}

// hasControl reports whether s has an ASCII control character, which no request line can carry.
func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// hasLineBreak reports whether s has what no header value may have: RFC 9110, section 5.5.
func hasLineBreak(s string) bool { return strings.ContainsAny(s, "\r\n\x00") }
