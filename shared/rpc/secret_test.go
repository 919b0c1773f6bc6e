package rpc_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"chatconf/shared/rpc"
	"chatconf/shared/rpc/sign"
)

// Whatever shape a request with a secret has, and whatever is wrong with it, neither the answer nor
// the log holds the secret. The world looks for it in every answer and line of all tests; here the
// shapes are multiplied out.
func TestNoSecretIsTold(t *testing.T) {
	const secret = planted + "-in-a-request"
	configurations := map[string]string{
		"valid":           `{"DingTalkClientId":"a","DingTalkClientSecret":"` + secret + `"}`,
		"not JSON":        `{"DingTalkClientSecret":"` + secret + `"`,
		"bare":            secret,
		"another shape":   `{"DingTalkClientId":"a","DingTalkClientSecret":["` + secret + `"]}`,
		"too long":        `{"DingTalkClientId":"a","DingTalkClientSecret":"` + strings.Repeat(secret, 20) + `"}`,
		"an unknown key":  `{"DingTalkClientId":"a","DingTalkClientSecrett":"` + secret + `"}`,
		"a key twice":     `{"DingTalkClientSecret":"` + secret + `","DingTalkClientSecret":"` + secret + `"}`,
		"of another type": `{"SlackSigningSecret":"` + secret + `"}`,
		"a bad permission": `{"DingTalkClientId":"a","DingTalkClientSecret":"` + secret +
			`","Permissions":[{"Effect":"Maybe"}]}`,
		"a control char":       "{\"DingTalkClientId\":\"a\",\"DingTalkClientSecret\":\"" + secret + "\x01\"}",
		"not UTF-8":            "{\"DingTalkClientSecret\":\"" + secret + "\xff\"}",
		"something behind":     `{"DingTalkClientId":"a","DingTalkClientSecret":"b"}` + secret,
		"a secret as a number": `{"DingTalkClientId":"a","DingTalkClientSecret":12345678}`,
	}
	faults := map[string]func(*request){
		"nothing":         func(*request) {},
		"a wrong secret":  func(r *request) { r.key = sign.Key{ID: admin.ID, Secret: "wrong"} },
		"an unknown key":  func(r *request) { r.key = sign.Key{ID: "CCKnobody", Secret: secret} },
		"a disabled key":  func(r *request) { r.key = off },
		"no permission":   func(r *request) { r.key = reader },
		"an old request":  func(r *request) { r.at = r.at.AddDate(-1, 0, 0) },
		"a replay":        func(r *request) { r.nonce = "replayed" },
		"another action":  func(r *request) { r.action = "CreateChat" },
		"another version": func(r *request) { r.version = "2014-05-26" },
		"GET":             func(r *request) { r.method = http.MethodGet },
		"another path":    func(r *request) { r.path = "/" + secret },
		"no signature":    func(r *request) { r.change = func(req *http.Request) { req.Header.Del("Authorization") } },
		"a broken query": func(r *request) {
			r.change = func(req *http.Request) {
				req.URL.RawQuery += "&%" +
					secret
			}
		},
		"a parameter twice": func(r *request) {
			r.change = func(req *http.Request) {
				req.URL.RawQuery = "Configuration=" +
					secret + "&Configuration=" + secret
			}
		},
		"another type": func(r *request) {
			r.change = func(req *http.Request) { req.Header.Set("Content-Type", "text/"+secret) }
		},
		"a bad If-Match":     func(r *request) { r.header = map[string]string{"If-Match": "x"} },
		"a token":            func(r *request) { r.key.SecurityToken = secret },
		"in XML":             func(r *request) { r.query = clone(r.query); r.query.Set("Format", "XML") },
		"a Format of secret": func(r *request) { r.query = clone(r.query); r.query.Set("Format", secret) },
	}
	w := newWorld(t, nil)
	n := 0
	for _, action := range []string{"CreateChatConfiguration", "UpdateChatConfiguration", "GetChatConfiguration"} {
		for kind, text := range configurations {
			n++
			values := url.Values{"Name": {fmt.Sprint("c", n)}, "Type": {"DingTalk"}, "Configuration": {text}}
			object, err := json.Marshal(map[string]string{"Name": values.Get("Name"),
				"Type": "DingTalk", "Configuration": text})
			if err != nil {
				t.Fatal(err)
			}
			shapes := []request{
				{query: values}, {form: values}, {json: string(object)},
				{v1: true, query: values}, {v1: true, form: values},
				{json: `{"Name":"x","Configuration":` + text + `}`}, // JSON in JSON, perhaps broken by it
			}
			for _, r := range shapes {
				for name, fault := range faults {
					if name != "nothing" && kind != "valid" && kind != "not JSON" {
						continue // refused before anybody looks at the Configuration
					}
					r := r
					r.action, r.key, r.at = action, admin, w.clock.Now()
					fault(&r)
					w.do(r)
				}
			}
		}
	}
	if all := w.log.String(); strings.Contains(all, planted) || all == "" {
		t.Errorf("a secret is in the log of %d bytes", len(all))
	}
}

// The log says of a request what is known of it, who was proven to make it, and nothing of its
// parameters.
func TestLogLine(t *testing.T) {
	w := newWorld(t, nil)
	w.wantOK(w.do(create("ops")))
	for name, test := range map[string]struct {
		r              request
		level          string
		action, caller string
		status         int
		code           string
	}{
		"a success": {get("ops"), "INFO", "GetChatConfiguration", admin.ID, 200, ""},
		"an error": {get("missing"), "INFO", "GetChatConfiguration", admin.ID, 404,
			"EntityNotExists.ChatConfiguration"},
		"not allowed": {request{action: "DeleteChatConfiguration", form: parse("Name=ops"),
			key: reader}, "INFO", "DeleteChatConfiguration", reader.ID, 403, "NoPermission"},
		"not proven": {request{action: "GetChatConfiguration", query: parse("Name=ops"),
			key: sign.Key{ID: admin.ID, Secret: "x"}}, "INFO", "GetChatConfiguration",
			"", 400, "SignatureDoesNotMatch"},
		"a disabled key": {request{action: "GetChatConfiguration", query: parse("Name=ops"), key: off},
			"INFO", "GetChatConfiguration", "", 400, "InvalidAccessKeyId.Inactive"},
		"an action of the caller's own": {request{action: "Drop\"Table"}, "INFO", "", "", 404, "InvalidApi.NotFound"},
		"no action": {request{action: "GetChatConfiguration",
			change: func(r *http.Request) { r.Header.Del("Authorization") }}, "INFO", "", "",
			400, "MissingParameter.Signature"},
	} {
		t.Run(name, func(t *testing.T) {
			w.TB = t
			a := w.do(test.r)
			var line struct {
				Level, Action, Caller, Code string
				Status                      int
				Duration                    *float64 `json:"duration_ms"`
			}
			if err := json.Unmarshal([]byte(a.log), &line); err != nil {
				t.Fatal(err)
			}
			if line.Level != test.level || line.Action != test.action || line.Caller != test.caller ||
				line.Status != test.status || line.Code != test.code || line.Duration == nil {
				t.Errorf("log = %s", a.log)
			}
			for _, part := range []string{"ops", "missing", "Name", "Authorization", "nonce", "?"} {
				if strings.Contains(a.log, part) {
					t.Errorf("the log holds %q: %s", part, a.log)
				}
			}
		})
	}
}

// The log line says how long a request took, by the injected clock.
func TestLogDuration(t *testing.T) {
	var w *world
	w = newWorld(t, nil, rpc.NewAction("GetSlow", slow(func() { w.clock.Add(1_234_567_890) })))
	if a := w.do(request{action: "GetSlow"}); !strings.Contains(a.log, `"duration_ms":1234.567`) {
		t.Errorf("log = %s", a.log)
	}
}
