package sts

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"chatconf/shared/rpc/sign"
	"chatconf/shared/secret"
)

// maxBody is the size of the largest form, in bytes.
const maxBody = 1 << 20

// An API is one product's operations, by name. An operation returns a struct for JSON, or an error;
// of an *Error the client sees everything, of any other nothing.
type API struct {
	Product    string // as error answers name it
	Version    string
	Operations map[string]func(*Call) (any, error)
}

// A Call is one request whose signature is proven.
type Call struct {
	secret.Hidden

	Action string
	Time   time.Time
	Caller *Identity

	account *Account
	params  url.Values
}

// Get returns a parameter, empty when it is not given.
func (c *Call) Get(name string) string { return c.params.Get(name) }

// Authorize returns an error of code NoPermission unless the caller may do this.
func (c *Call) Authorize(action, resource string) error {
	return c.account.Authorize(c.Caller, action, resource)
}

// Params returns the parameters of the operation, without those of the protocol.
func (c *Call) Params() map[string]string {
	out := make(map[string]string, len(c.params))
	for name := range c.params {
		switch name {
		case "AccessKeyId", "Action", "Version", "Format", "Signature", "SignatureMethod", "SignatureVersion",
			"SignatureNonce", "SignatureType", "Timestamp", "SecurityToken":
		default:
			out[name] = c.params.Get(name)
		}
	}
	return out
}

// Serve returns the handler of an API of this account, for the root path.
func (a *Account) Serve(api API) http.Handler {
	api.Operations = maps.Clone(api.Operations)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requestID := strings.ToUpper(a.newID())
		result, err := a.serve(r, api)
		if err == nil {
			write(w, requestID, http.StatusOK, result)
			return
		}
		if errors.Is(err, errDrop) {
			panic(http.ErrAbortHandler)
		}
		e := toError(err)
		header := w.Header()
		if e.Retry > 0 {
			seconds := strconv.Itoa(e.Retry)
			header.Set("Retry-After", seconds)
			header.Set("X-Acs-Retry-After", seconds+"000") // the CLI reads milliseconds
			header.Set("X-Ratelimit-User", "Limit:1,Remain:0,TimeLeft:"+seconds)
		}
		write(w, requestID, e.Status, encode(struct {
			RequestId          string
			HostId             string
			Code               string
			Message            string
			Recommend          string
			AccessDeniedDetail *AccessDenied `json:",omitempty"`
		}{
			requestID, r.Host, e.Code, e.Message,
			"https://api.aliyun.com/troubleshoot?q=" + url.QueryEscape(e.Code) + "&product=" + api.Product, e.Denied,
		}))
	})
}

// errDrop is the error of a request whose connection a fault closes.
var errDrop = errors.New("dropped")

func (a *Account) serve(r *http.Request, api API) ([]byte, error) {
	call, err := a.open(r, api)
	if err != nil {
		return nil, err
	}
	operation := api.Operations[call.Action]
	if operation == nil {
		return nil, &Error{Status: http.StatusNotFound, Code: "InvalidAction.NotFound",
			Message: "Specified api is not found, please check your url and method."}
	}
	fault := a.fault(Request{Product: api.Product, Action: call.Action, Principal: call.Caller.arn,
		Params: call.Params()})
	if fault.Before != nil {
		select {
		case <-fault.Before:
		case <-r.Context().Done():
			return nil, errDrop
		}
	}
	lost := fault.Err != nil || fault.Drop
	var result []byte
	if !lost || fault.Applied {
		out, err := operation(call)
		if err != nil && !lost {
			return nil, err
		}
		if err == nil {
			result = encode(out)
		}
	}
	switch {
	case fault.Drop:
		return nil, errDrop
	case fault.Err != nil:
		return nil, fault.Err
	case fault.Body != nil:
		return fault.Body, nil
	}
	return result, nil
}

func (a *Account) open(r *http.Request, api API) (*Call, error) {
	if r.URL.Path != "" && r.URL.Path != "/" {
		return nil, &Error{Status: http.StatusNotFound, Code: "InvalidApi.NotFound",
			Message: "Specified api is not found, please check your url and method."}
	}
	params, body, err := readParams(r)
	if err != nil {
		return nil, err
	}
	s, err := sign.Parse(r, params, body)
	if err != nil {
		return nil, err
	}
	caller, err := a.Prove(s)
	if err != nil {
		return nil, err
	}
	if s.Version != api.Version {
		return nil, Errorf("InvalidVersion", "Specified parameter Version is not valid.")
	}
	if format := params.Get("Format"); format != "" && !strings.EqualFold(format, "JSON") {
		return nil, Errorf("InvalidParameter.Format", "The emulator answers JSON only.")
	}
	return &Call{Action: s.Action, Time: a.now(), Caller: caller, account: a, params: params}, nil
}

// readParams returns the parameters of query and form together, and the body. A name that is given
// twice keeps both values, for the signature's reader to refuse.
func readParams(r *http.Request) (url.Values, []byte, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		return nil, nil, Errorf("InvalidParameter", "The body cannot be read.")
	}
	if len(body) > maxBody {
		return nil, nil, Errorf("InvalidParameter", "The body is larger than %d bytes.", maxBody)
	}
	params, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, nil, Errorf("InvalidParameter", "The query is not well formatted.")
	}
	if len(body) == 0 {
		return params, nil, nil
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil ||
		kind != "application/x-www-form-urlencoded" {
		return nil, nil, Errorf("InvalidParameter.ContentType",
			"The ContentType request header must be \"application/x-www-form-urlencoded\".")
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, nil, Errorf("InvalidParameter", "The form is not well formatted.")
	}
	for name, values := range form {
		params[name] = append(params[name], values...)
	}
	return params, body, nil
}

// Prove returns who signed a request, also one of an API that is not served by Serve. Clock, nonce
// and token are looked at only when the signature is proven.
func (a *Account) Prove(s *sign.Signature) (*Identity, error) {
	wall := a.wall()
	a.mu.Lock()
	defer a.mu.Unlock()
	keySecret, token := "", ""
	var who *Identity
	var expires time.Time
	if k := a.users[s.AccessKeyID]; k != nil {
		keySecret, who = k.keySecret, &k.who
	} else if t := a.byKey[s.AccessKeyID]; t != nil {
		keySecret, token, who, expires = t.keySecret, t.token, &t.who, t.Expires
	} else {
		return nil, &Error{Status: http.StatusNotFound, Code: "InvalidAccessKeyId.NotFound",
			Message: "Specified access key is not found."}
	}
	if err := s.Verify(keySecret); err != nil {
		return nil, err
	}
	if err := s.CheckTime(wall); err != nil {
		return nil, err
	}
	if !a.newNonceLocked(s, wall) {
		return nil, Errorf("SignatureNonceUsed", "Specified signature nonce was used already.")
	}
	switch {
	case token == "" && s.SecurityToken != "", token != "" && s.SecurityToken != "" && s.SecurityToken != token:
		return nil, Errorf("InvalidSecurityToken.MismatchWithAccessKey",
			"Specified SecurityToken mismatch with the AccessKey.")
	case token != "" && s.SecurityToken == "":
		return nil, Errorf("MissingSecurityToken", "SecurityToken is mandatory for this action.")
	case token != "" && !a.now().Before(expires):
		return nil, Errorf("InvalidSecurityToken.Expired", "Specified SecurityToken is expired.")
	}
	return who, nil
}

// newNonceLocked remembers a nonce, for as long as its request's time is accepted, and reports
// whether it is new.
func (a *Account) newNonceLocked(s *sign.Signature, now time.Time) bool {
	if now.Sub(a.swept) > time.Minute {
		maps.DeleteFunc(a.nonces, func(_ string, expires time.Time) bool { return now.After(expires) })
		a.swept = now
	}
	id := s.AccessKeyID + "\x00" + s.Nonce
	if expires, used := a.nonces[id]; used && !now.After(expires) {
		return false
	}
	a.nonces[id] = s.Time.Add(sign.MaxSkew)
	return true
}

// toError returns an error as the gateway answers it.
func toError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	var s *sign.Error
	if !errors.As(err, &s) {
		return Internal()
	}
	out := &Error{Status: http.StatusBadRequest, Code: string(s.Code), Message: s.Message}
	switch s.Code {
	case sign.InvalidAccessKeyID:
		out.Status = http.StatusNotFound
	case sign.UnsupportedHTTPMethod:
		out.Status = http.StatusMethodNotAllowed
	case sign.SignatureDoesNotMatch:
		if !s.Sensitive(func(string) bool { return false }) {
			out.Message += " server string to sign is:" + s.StringToSign
		}
	}
	return out
}

// encode returns v as JSON. Only values that always encode are answered.
func encode(v any) []byte {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		panic(fmt.Sprintf("sts: encode %T: %v", v, err))
	}
	return b.Bytes()
}

// write writes a JSON answer. An object that does not have a RequestId gets it.
func write(w http.ResponseWriter, requestID string, status int, body []byte) {
	if rest, ok := bytes.CutPrefix(body, []byte("{")); ok && !bytes.HasPrefix(rest, []byte(`"RequestId"`)) {
		head := `{"RequestId":"` + requestID + `"`
		if !bytes.HasPrefix(rest, []byte("}")) {
			head += ","
		}
		body = append([]byte(head), rest...)
	}
	w.Header().Set("Content-Type", "application/json;charset=utf-8")
	w.Header().Set("X-Acs-Request-Id", requestID)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	w.Write(body)
}
