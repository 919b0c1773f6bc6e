package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"chatconf/shared/chat"
	"chatconf/shared/fault"
	"chatconf/shared/rpc"
	"chatconf/shared/rpc/sign"
)

// onTheWire is what each code of the domain is on the wire, without and with a parameter.
var onTheWire = map[fault.Code]struct {
	status int
	code   string
	param  string // the code with the parameter X
}{
	fault.Internal:            {500, "InternalError", "InternalError"},
	fault.Unavailable:         {503, "ServiceUnavailable", "ServiceUnavailable"},
	fault.Unsupported:         {400, "UnsupportedStore", "UnsupportedStore"},
	fault.MissingParameter:    {400, "MissingParameter", "MissingParameter.X"},
	fault.InvalidParameter:    {400, "InvalidParameter", "InvalidParameter.X"},
	fault.InvalidRegion:       {404, "InvalidRegion.NotFound", "InvalidRegion.NotFound"},
	fault.InvalidNextToken:    {400, "InvalidNextToken", "InvalidNextToken"},
	fault.NotFound:            {404, "EntityNotExists.ChatConfiguration", "EntityNotExists.ChatConfiguration"},
	fault.ResourceNotFound:    {404, "InvalidResourceId.NotFound", "InvalidResourceId.NotFound"},
	fault.AlreadyExists:       {409, "EntityAlreadyExists.ChatConfiguration", "EntityAlreadyExists.ChatConfiguration"},
	fault.QuotaExceeded:       {400, "QuotaExceeded", "QuotaExceeded.X"},
	fault.Conflict:            {409, "OperationConflict", "OperationConflict"},
	fault.IdempotencyMismatch: {400, "IdempotentParameterMismatch", "IdempotentParameterMismatch"},
	fault.NoPermission:        {403, "NoPermission", "NoPermission"},
	fault.KeyNotFound:         {404, "InvalidAccessKeyId.NotFound", "InvalidAccessKeyId.NotFound"},
	fault.AccessKeyNotFound:   {404, "EntityNotExists.AccessKey", "EntityNotExists.AccessKey"},
}

// wireCodes are all codes that an answer may have, without the names of parameters.
var wireCodes = []string{
	"InternalError", "ServiceUnavailable", "MissingParameter", "InvalidParameter", "InvalidRegion",
	"InvalidNextToken", "EntityNotExists",
	"InvalidResourceId", "EntityAlreadyExists", "QuotaExceeded", "OperationConflict",
	"IdempotentParameterMismatch", "NoPermission",
	"InvalidAccessKeyId", "InvalidApi", "InvalidVersion", "UnsupportedHTTPMethod", "Throttling",
	"SignatureNonceUsed", "InvalidSecurityToken",
	"RequestEntityTooLarge", "RequestHeaderFieldsTooLarge", "ContentLengthDoesNotMatch",
	"InvalidSignatureMethod", "InvalidTimeStamp",
	"IncompleteSignature", "UnsupportedStore", "ContentMD5NotMatched", "SignatureDoesNotMatch",
}

// domainCodes returns the names of the codes in package chat, in their order.
func domainCodes(t *testing.T) []string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "../fault/fault.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, d := range f.Decls {
		group, ok := d.(*ast.GenDecl)
		if !ok || group.Tok != token.CONST {
			continue
		}
		if kind, ok := group.Specs[0].(*ast.ValueSpec).Type.(*ast.Ident); !ok || kind.Name != "Code" {
			continue
		}
		for _, spec := range group.Specs {
			names = append(names, spec.(*ast.ValueSpec).Names[0].Name)
		}
	}
	if len(names) == 0 {
		t.Fatal("no codes found in package chat")
	}
	return names
}

// Every code of the domain has its row, and no answer tells what is for the log.
func TestDomainErrorsOnTheWire(t *testing.T) {
	var next error
	fail := rpc.NewAction("GetFailure", func(*chat.Service, context.Context, *echo) (*chat.Empty, error) {
		return nil,
			next
	})
	w := newWorld(t, nil, fail)
	const cause = "dial 192.0.2.9: connection refused"
	names := domainCodes(t)
	if got, want := len(onTheWire), len(names); got != want {
		t.Errorf("the table has %d codes, package chat %d: %v", got, want, names)
	}
	for i, name := range names {
		row, ok := onTheWire[fault.Code(i)]
		if !ok {
			t.Errorf("code %s has no row", name)
			continue
		}
		for _, param := range []string{"", "X"} {
			next = &fault.Error{Code: fault.Code(i), Param: param, Message: "What is wrong with 192.0.2.8.",
				Err: errors.New(cause)}
			want := row.code
			if param != "" {
				want = row.param
			}
			for _, wrapped := range []bool{false, true} {
				if wrapped {
					next = fmt.Errorf("wrapped: %w", next)
				}
				a := w.do(request{action: "GetFailure"})
				w.want(a, row.status, want)
				if strings.Contains(a.body, "192.0.2.9") || !strings.Contains(a.log, cause) {
					t.Errorf("%s: the answer has the cause, or the log has not:\n%v\n%s", name, a, a.log)
				}
				if got, want := strings.Contains(a.body, "192.0.2.8"), row.status < 500 &&
					fault.Code(i) != fault.KeyNotFound && fault.Code(i) != fault.Unsupported; got != want {
					t.Errorf("%s: the answer has the message: %v, want %v: %v", name, got, want, a)
				}
				if a.HostId != "example.com" || a.Recommend != "https://api.aliyun.com/troubleshoot?q="+want+
					"&product=Oos" || a.Message == "" {
					t.Errorf("%s: envelope: %v", name, a)
				}
			}
		}
	}
	for _, err := range []error{errors.New(cause), fmt.Errorf("read: %w", errors.New(cause)), context.Canceled} {
		next = err
		a := w.do(request{action: "GetFailure"})
		w.want(a, 500, "InternalError")
		if strings.Contains(a.body, err.Error()) || !strings.Contains(a.log, err.Error()) {
			t.Errorf("%v: the answer has the cause, or the log has not:\n%v\n%s", err, a, a.log)
		}
	}
}

// Every code of the signature is what the gateway calls it, with its status.
func TestSignatureErrorsOnTheWire(t *testing.T) {
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) {
			if value == "" {
				r.Header.Del(name)
			} else {
				r.Header.Set(name, value)
			}
		}
	}
	param := func(name, value string) func(*http.Request) {
		return func(r *http.Request) {
			q := r.URL.Query()
			if q.Set(name, value); value == "" {
				q.Del(name)
			}
			r.URL.RawQuery = q.Encode()
		}
	}
	w := newWorld(t, nil)
	for name, test := range map[string]struct {
		v1     bool
		change func(*http.Request)
		status int
		code   string
	}{
		"no action": {false, header("X-Acs-Action", ""), 400, "MissingParameter.x-acs-action"},
		"no date":   {false, header("X-Acs-Date", ""), 400, "MissingParameter.x-acs-date"},
		"no nonce": {false, header("X-Acs-Signature-Nonce", ""), 400,
			"MissingParameter.x-acs-signature-nonce"},
		"an invalid date": {false, header("X-Acs-Date", "2026-11-22"), 400, "InvalidTimeStamp.Format"},
		"a nonce with a soft hyphen": {false, header("X-Acs-Signature-Nonce", "a\u00adb"),
			400, "InvalidParameter.x-acs-signature-nonce"},
		"a header not signed": {false, header("X-Acs-Extra", "1"), 400, "IncompleteSignature"},
		"another hash of the body": {false, header("X-Acs-Content-Sha256", strings.Repeat("0", 64)),
			400, "ContentMD5NotMatched"},
		"another algorithm": {false, header("Authorization",
			"ACS3-RSA-SHA256 Credential=a,SignedHeaders=b,Signature=c"), 400, "InvalidSignatureMethod"},
		"a broken header": {false, header("Authorization", "ACS3-HMAC-SHA256 Credential=a"),
			400, "IncompleteSignature"},
		"a bearer token": {false, func(r *http.Request) {
			header("Authorization",
				"")(r)
			param("SignatureType", "BEARERTOKEN")(r)
		}, 400, "InvalidSignatureMethod"},
		"a changed query": {false, param("Name", "other"), 400, "SignatureDoesNotMatch"},
		"a changed header": {false, header("X-Acs-Action", "ListChatConfigurations"),
			400, "SignatureDoesNotMatch"},
		"a key of impossible name": {false, header("Authorization", "ACS3-HMAC-SHA256 Credential="+
			strings.Repeat("k", 129)+",SignedHeaders=host,Signature="+strings.Repeat("0", 64)),
			404, "InvalidAccessKeyId.NotFound"},
		"V1: no action":       {true, param("Action", ""), 400, "MissingParameter.Action"},
		"V1: no key":          {true, param("AccessKeyId", ""), 400, "MissingParameter.AccessKeyId"},
		"V1: no nonce":        {true, param("SignatureNonce", ""), 400, "MissingParameter.SignatureNonce"},
		"V1: no time":         {true, param("Timestamp", ""), 400, "MissingParameter.Timestamp"},
		"V1: an invalid time": {true, param("Timestamp", "now"), 400, "InvalidTimeStamp.Format"},
		"V1: another method":  {true, param("SignatureMethod", "HMAC-SHA256"), 400, "InvalidSignatureMethod"},
		"V1: another version": {true, param("SignatureVersion", "2.0"),
			400, "InvalidParameter.SignatureVersion"},
		"V1: a broken signature": {true, param("Signature", "abc"), 400, "IncompleteSignature"},
		"V1: a parameter more":   {true, param("RamRole", "x"), 400, "SignatureDoesNotMatch"},
		"V1: an empty parameter less": {true,
			func(r *http.Request) { q := r.URL.Query(); q.Del("SignatureType"); r.URL.RawQuery = q.Encode() },
			400, "SignatureDoesNotMatch"},
	} {
		t.Run(name, func(t *testing.T) {
			w.TB = t
			r := get("ops")
			r.v1, r.change = test.v1, test.change
			w.want(w.do(r), test.status, test.code)
		})
	}
}

// A caller whose signature is wrong is shown what was signed, as the CLI wants it, unless that
// holds a secret.
func TestStringToSignIsShownUnlessItIsSecret(t *testing.T) {
	w := newWorld(t, nil)
	for name, test := range map[string]struct {
		r     request
		shown bool
	}{
		"V1 get": {request{v1: true, action: "GetChatConfiguration",
			query: url.Values{"Name": {"ops"}}}, true},
		"V1 list, in XML": {request{v1: true, action: "ListChatConfigurations",
			query: url.Values{"Format": {"XML"}, "Filters.1.Name": {"tag:<&>"}, "Filters.1.Value": {"x"}}}, true},
		"V1 create": {request{v1: true, action: "CreateChatConfiguration",
			query: create("ops").form}, false},
		"V1 create, by form": {request{v1: true, action: "CreateChatConfiguration", form: create("ops").form},
			false},
		"V1 in a stray name": {request{v1: true, action: "GetChatConfiguration",
			query: url.Values{configuration: {""}}}, false},
		"ACS3 get": {request{action: "GetChatConfiguration", query: url.Values{"Name": {"ops"}}}, true},
		// a hash
		"ACS3 create": {request{action: "CreateChatConfiguration", query: create("ops").form}, true},
		"ACS3 create, by JSON": {request{action: "CreateChatConfiguration",
			json: `{"Configuration":` + configuration + `}`}, true},
		"V1 with a token of ours": {request{v1: true, action: "GetChatConfiguration",
			query: url.Values{"AccessKeySecret": {planted}}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			w.TB = t
			test.r.key = sign.Key{ID: admin.ID, Secret: "wrong"}
			a := w.do(test.r)
			w.want(a, 400, "SignatureDoesNotMatch")
			_, shown, _ := strings.Cut(a.Message, "server string to sign is:")
			if (shown != "") != test.shown {
				t.Errorf("string to sign is shown: %v, want %v: %v", shown != "", test.shown, a)
			}
			method := "POST&%2F&"
			if !test.r.v1 {
				method = "ACS3-HMAC-SHA256\n"
			}
			if test.shown && !strings.HasPrefix(shown, method) {
				t.Errorf("string to sign = %q", shown)
			}
			// What would have been the right signature is nowhere.
			test.r.key, test.r.nonce, test.r.at = admin, "fixed", w.clock.Now()
			right := w.build(test.r)
			if mac := right.URL.Query().Get("Signature"); mac != "" && strings.Contains(a.body, mac) {
				t.Errorf("the answer holds the signature: %v", a)
			}
		})
	}
}

// A client that reads an error of the API gets back what the domain said.
func TestFaultOfIsTheInverse(t *testing.T) {
	for code := fault.Internal; code <= fault.AccessKeyNotFound; code++ {
		want := &fault.Error{Code: code, Message: "Said."}
		if code == fault.MissingParameter || code == fault.InvalidParameter || code == fault.QuotaExceeded {
			want.Param = "Name"
		}
		status, wire := rpc.OnWire(want)
		got := rpc.FaultOf(wire, "Said.")
		if got.Code != code || got.Param != want.Param && code != fault.KeyNotFound {
			t.Errorf("FaultOf(%q), status %d = %v %q, want %v %q", wire, status, got.Code, got.Param, code, want.Param)
		}
	}
}
