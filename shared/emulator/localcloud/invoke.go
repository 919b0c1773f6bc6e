package localcloud

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"chatconf/shared/emulator/runtime"
	"chatconf/shared/emulator/sts"
	"chatconf/shared/rpc/sign"
)

// An invokeAPI serves the clouds' APIs for invoking functions, so that functions on this machine
// can call each other:
//
//	POST /2015-03-31/functions/{name}/invocations    Lambda's Invoke, AWS Signature Version 4
//	POST /2023-03-30/functions/{name}/invocations    Function Compute's InvokeFunction, ACS3
//
// The type of an invocation says whether the caller waits for the answer. Both APIs can invoke
// every function. A request must be signed with one of the keys, or by a session of a role that may
// invoke the function. Nonces are not checked: a process that can read the loopback interface can
// also read the keys.
type invokeAPI struct {
	host     *runtime.Host
	prepare  func(name string) error // called before a function is invoked
	keys     accessKeys
	account  *sts.Account // whose sessions may call Function Compute's API; may be nil
	region   string       // of the account's functions
	sessions *sessions    // that may call Lambda's API
	now      func() time.Time
	log      *slog.Logger
}

// accessKeys are access keys by id.
type accessKeys map[string]runtime.Credentials

func byID(keys []runtime.Credentials) accessKeys {
	out := make(accessKeys, len(keys))
	for _, key := range keys {
		out[key.AccessKeyID] = key
	}
	return out
}

// maxInvocation is the maximum size of a request: the limit of Function Compute.
const maxInvocation = 32 << 20

// ServeHTTP implements http.Handler.
func (a *invokeAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for _, d := range []*dialect{&lambdaDialect, &fcDialect} {
		rest, ours := strings.CutPrefix(r.URL.Path, d.prefix)
		if name, ok := strings.CutSuffix(rest, "/invocations"); ours && ok && r.Method == http.MethodPost {
			a.invoke(w, r, d, name)
			return
		}
	}
	const only = "Unknown path or method; use POST %s{name}/invocations or POST %s{name}/invocations."
	http.Error(w, fmt.Sprintf(only, lambdaDialect.prefix, fcDialect.prefix), http.StatusNotFound)
}

// A dialect is the API of one cloud.
type dialect struct {
	prefix    string // of paths
	kind      string // the header with the type of the invocation
	wait      string // the type that waits for the answer, and the default
	async     string // the type that does not wait
	dryRun    string // the type that only checks permission; empty if the cloud has no such type
	tail      string // the header that requests the log
	log       string // the header with the log
	requestID string // the header with the request id
	failed    string // the header that reports a failure of the function, and its value
	failure   string
	codes     map[runtime.Code]string
	verify    func(a *invokeAPI, r *http.Request, body []byte) (permission, error)
	fault     func(w http.ResponseWriter, status int, code, message string)
}

// A permission returns an error unless the caller may invoke a function.
type permission func(name string) error

// anything is the permission of the keys.
func anything(string) error { return nil }

// lambdaDialect is https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html.
var lambdaDialect = dialect{
	prefix: "/2015-03-31/functions/",
	kind:   "X-Amz-Invocation-Type", wait: "RequestResponse", async: "Event", dryRun: "DryRun",
	tail: "X-Amz-Log-Type", log: "X-Amz-Log-Result", requestID: "X-Amzn-Requestid",
	failed: "X-Amz-Function-Error", failure: "Unhandled",
	codes: map[runtime.Code]string{
		runtime.NotFound:   "ResourceNotFoundException",
		runtime.Throttled:  "TooManyRequestsException",
		runtime.TooLarge:   "RequestTooLargeException",
		runtime.BadRequest: "InvalidRequestContentException",
		runtime.Closed:     "ServiceException",
		refused:            "AccessDeniedException",
		badType:            "InvalidParameterValueException",
	},
	verify: verifyV4,
	fault: func(w http.ResponseWriter, status int, code, message string) {
		w.Header().Set("X-Amzn-Errortype", code)
		writeJSON(w, status, map[string]string{"Type": "User", "Message": message})
	},
}

// fcDialect is
// https://www.alibabacloud.com/help/en/functioncompute/fc/developer-reference/api-fc-2023-03-30-invokefunction.
// The status 200 of a failed function is an assumption.
var fcDialect = dialect{
	prefix: "/2023-03-30/functions/",
	kind:   "X-Fc-Invocation-Type", wait: "Sync", async: "Async",
	tail: "X-Fc-Log-Type", log: "X-Fc-Log-Result", requestID: "X-Fc-Request-Id",
	failed: "X-Fc-Error-Type", failure: "UnhandledInvocationError",
	codes: map[runtime.Code]string{
		runtime.NotFound:   "FunctionNotFound",
		runtime.Throttled:  "ResourceThrottled",
		runtime.TooLarge:   "EntityTooLarge",
		runtime.BadRequest: "InvalidArgument",
		runtime.Closed:     "ServiceNotAvailable",
		refused:            "AccessDenied",
		badType:            "InvalidArgument",
	},
	verify: verifyACS3,
	fault: func(w http.ResponseWriter, status int, code, message string) {
		id := w.Header().Get("X-Fc-Request-Id")
		writeJSON(w, status, map[string]string{"Code": code, "Message": message, "RequestId": id})
	},
}

// Reasons to refuse that only this API has.
const (
	refused runtime.Code = "Refused" // the signature is invalid
	badType runtime.Code = "BadType" // the type of the invocation is unknown
)

func writeJSON(w http.ResponseWriter, status int, v any) {
	text, _ := json.Marshal(v) // a map of strings: it cannot fail
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(text)
}

// maxTail is the maximum size of the log in a header:
// https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html.
const maxTail = 4 << 10

func (a *invokeAPI) invoke(w http.ResponseWriter, r *http.Request, d *dialect, name string) {
	fail := func(status int, code runtime.Code, message string) { d.fault(w, status, d.codes[code], message) }
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxInvocation))
	var long *http.MaxBytesError
	switch {
	case errors.As(err, &long):
		fail(http.StatusRequestEntityTooLarge, runtime.TooLarge, "The payload is too large.")
		return
	case err != nil:
		fail(http.StatusBadRequest, runtime.BadRequest, "The payload is incomplete.")
		return
	}
	may, err := d.verify(a, r, body)
	if err != nil {
		fail(http.StatusForbidden, refused, err.Error())
		return
	}
	request := runtime.Request{Payload: body}
	if d == &lambdaDialect {
		text, err := base64.StdEncoding.DecodeString(r.Header.Get("X-Amz-Client-Context"))
		if err != nil {
			fail(http.StatusBadRequest, runtime.BadRequest, "The client context is not base64.")
			return
		}
		request.ClientContext = string(text)
		if i := strings.LastIndex(name, "function:"); i >= 0 { // an ARN, or the end of one
			name = name[i+len("function:"):]
		}
		name, _, _ = strings.Cut(name, ":") // the version
	}
	if err := may(name); err != nil {
		fail(http.StatusForbidden, refused, err.Error())
		return
	}
	if err := a.prepare(name); err != nil {
		a.log.Error(cannotRun, "function", name, "err", err)
		fail(http.StatusBadGateway, runtime.Closed, noFunction)
		return
	}
	switch kind := cmp.Or(r.Header.Get(d.kind), d.wait); {
	case kind == d.wait:
		a.call(w, r, d, name, request)
	case kind == d.async:
		a.callAsync(w, r, d, name, request)
	case kind == d.dryRun: // kind is not empty
		w.WriteHeader(http.StatusNoContent)
	default:
		fail(http.StatusBadRequest, badType, "Unknown invocation type.")
	}
}

// call invokes a function and writes its answer.
func (a *invokeAPI) call(w http.ResponseWriter, r *http.Request, d *dialect, name string, request runtime.Request) {
	result, err := a.host.Invoke(r.Context(), name, request)
	if err != nil {
		d.refuse(w, err)
		return
	}
	h := w.Header()
	h.Set(d.requestID, result.RequestID)
	h.Set("Content-Type", cmp.Or(result.ContentType, "application/octet-stream"))
	if d == &lambdaDialect {
		h.Set("X-Amz-Executed-Version", "$LATEST")
	}
	if result.Failure != runtime.Answered {
		h.Set(d.failed, d.failure)
	}
	if r.Header.Get(d.tail) == "Tail" {
		h.Set(d.log, base64.StdEncoding.EncodeToString(result.Log[max(0, len(result.Log)-maxTail):]))
	}
	w.Write(result.Payload)
}

// callAsync accepts an invocation. Its final failure is logged.
func (a *invokeAPI) callAsync(
	w http.ResponseWriter, r *http.Request, d *dialect, name string, request runtime.Request,
) {
	done := func(result *runtime.Result) {
		if result.Failure != runtime.Answered {
			a.log.Error("an asynchronous invocation failed finally",
				"function", name, "request", result.RequestID, "failure", string(result.Failure))
		}
	}
	id, err := a.host.InvokeAsync(context.WithoutCancel(r.Context()), name, request, done)
	if err != nil {
		d.refuse(w, err)
		return
	}
	w.Header().Set(d.requestID, id)
	w.WriteHeader(http.StatusAccepted)
}

// refuse answers an invocation that did not start.
func (d *dialect) refuse(w http.ResponseWriter, err error) {
	var e *runtime.Error
	if errors.As(err, &e) { // otherwise the caller has gone
		d.fault(w, e.Status(), d.codes[e.Code], e.Message)
	}
}

// maxNames is the maximum number of parameters in a request, and of headers in its signature. It is
// checked before they are parsed.
const maxNames = 64

// verifyACS3 verifies that a request is signed with one of the keys, or with a key or by a session
// of the account.
func verifyACS3(a *invokeAPI, r *http.Request, body []byte) (permission, error) {
	if strings.Count(r.URL.RawQuery, "&") >= maxNames {
		return nil, fmt.Errorf("the query has more than %d parameters", maxNames)
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, errors.New("the query is malformed")
	}
	s, err := sign.Parse(r, query, body)
	if err != nil {
		return nil, err
	}
	key, ok := a.keys[s.AccessKeyID]
	if !ok && a.account != nil {
		who, err := a.account.Prove(s)
		if err != nil {
			return nil, err
		}
		return func(name string) error {
			return a.account.Authorize(who, "fc:InvokeFunction",
				"acs:fc:"+a.region+":"+a.account.ID()+":functions/"+name)
		}, nil
	}
	if !ok || key.AccessKeySecret == "" {
		return nil, errors.New("unknown access key")
	}
	if err := s.Verify(key.AccessKeySecret); err != nil {
		return nil, err
	}
	if !equal(s.SecurityToken, key.SecurityToken) {
		return nil, errors.New("the security token does not belong to the access key")
	}
	return anything, s.CheckTime(a.now())
}

// The names of AWS Signature Version 4.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html.
const (
	algorithmV4 = "AWS4-HMAC-SHA256"
	timeV4      = "20060102T150405Z"
	maxSkewV4   = 5 * time.Minute
)

// verifyV4 verifies that a request is signed with one of the keys, or by a session. It signs the
// request again, over the headers that the caller signed, with the signer of the SDK, and compares
// the signatures.
func verifyV4(a *invokeAPI, r *http.Request, body []byte) (permission, error) {
	s, err := parseV4(r.Header.Get("Authorization"))
	if err != nil {
		return nil, err
	}
	may := permission(anything)
	key, ok := a.keys[s.accessKeyID]
	if !ok {
		key, may, ok = a.sessions.find(s.accessKeyID, s.region, a.now())
	}
	if !ok || key.AccessKeySecret == "" {
		return nil, errors.New("unknown access key")
	}
	at, err := time.Parse(timeV4, r.Header.Get("X-Amz-Date"))
	if err != nil || at.Format("20060102") != s.date {
		return nil, errors.New("X-Amz-Date does not match the date of the signature")
	}
	u := &url.URL{Scheme: "http", Host: r.Host, Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery}
	again := &http.Request{Method: r.Method, URL: u, Host: r.Host, Header: http.Header{}}
	for _, name := range s.headers {
		switch name {
		case "host":
		case "content-length":
			again.ContentLength = r.ContentLength
		default:
			again.Header[http.CanonicalHeaderKey(name)] = r.Header.Values(name)
		}
	}
	if !equal(r.Header.Get("X-Amz-Security-Token"), key.SecurityToken) { // the signer sets the right one
		return nil, errors.New("the security token does not belong to the access key")
	}
	sum := sha256.Sum256(body)
	c := aws.Credentials{
		AccessKeyID: key.AccessKeyID, SecretAccessKey: key.AccessKeySecret, SessionToken: key.SecurityToken,
	}
	hash := hex.EncodeToString(sum[:])
	if err := v4.NewSigner().SignHTTP(r.Context(), c, again, hash, s.service, s.region, at); err != nil {
		return nil, errors.New("the signature cannot be checked")
	}
	want, err := parseV4(again.Header.Get("Authorization"))
	if err != nil || !slices.Equal(want.headers, s.headers) || !equal(want.signature, s.signature) {
		return nil, errors.New("the signature does not match, or does not cover all required headers")
	}
	// Checked after the signature, so that a forger learns nothing from the clock.
	if skew := a.now().Sub(at); skew > maxSkewV4 || skew < -maxSkewV4 {
		return nil, errors.New("the signature has expired or is not valid yet")
	}
	return may, nil
}

// equal compares two secrets in constant time.
func equal(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// A signatureV4 is a parsed Authorization header.
type signatureV4 struct {
	accessKeyID, date, region, service string
	headers                            []string
	signature                          string
}

func parseV4(authorization string) (signatureV4, error) {
	rest, ok := strings.CutPrefix(authorization, algorithmV4+" ")
	if !ok {
		return signatureV4{}, fmt.Errorf("the request is not signed with %s", algorithmV4)
	}
	var credential string
	var s signatureV4
	for part := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch name {
		case "Credential":
			credential = value
		case "SignedHeaders":
			if strings.Count(value, ";") >= maxNames {
				return signatureV4{}, fmt.Errorf("the signature names more than %d headers", maxNames)
			}
			s.headers = strings.Split(value, ";")
		case "Signature":
			s.signature = value
		}
	}
	scope := strings.Split(credential, "/")
	if len(scope) != 5 || scope[4] != "aws4_request" || s.signature == "" ||
		!slices.Contains(s.headers, "host") || !slices.Contains(s.headers, "x-amz-date") {
		return signatureV4{}, errors.New("the Authorization header is incomplete")
	}
	s.accessKeyID, s.date, s.region, s.service = scope[0], scope[1], scope[2], scope[3]
	return s, nil
}
