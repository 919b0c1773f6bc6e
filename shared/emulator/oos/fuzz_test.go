package oos_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"chatconf/shared/emulator/oos"
	"chatconf/shared/emulator/oos/oostest"
	"chatconf/shared/emulator/sts"
	"chatconf/shared/rpc/sign"
)

// FuzzStart holds that what is started has the parameters and tags of the request and no others,
// and that whatever is answered is JSON.
func FuzzStart(f *testing.F) {
	f.Add(`{"InstanceId":"i-1"}`, `{"sender":"U1"}`, "token")
	f.Add(`{"InstanceId":[1,{"a":null}],"Force":true}`, `{}`, "")
	f.Add(`{"InstanceId":"{{ Force }}"}`, `[]`, "a b")
	account, err := sts.New(sts.Options{Users: []sts.User{{KeyID: oostest.KeyID, KeySecret: oostest.KeySecret}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, parameters, tags, token string) {
		server, err := oos.New(oos.Options{Account: account, Templates: templates})
		if err != nil {
			t.Fatal(err)
		}
		values := url.Values{"Action": {"StartExecution"}, "Version": {"2019-06-01"}, "TemplateName": {"restart"},
			"Parameters": {parameters}, "Tags": {tags}, "ClientToken": {token}}
		key := sign.Key{ID: oostest.KeyID, Secret: oostest.KeySecret}
		if err := key.SignV1(http.MethodPost, values, time.Now(), account.NewID()); err != nil {
			t.Skip(err)
		}
		r := httptest.NewRequest("POST", "/", strings.NewReader(values.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		server.ServeHTTP(w, r)
		a := oostest.ReadAnswer(t, w.Result())
		got := server.Executions()
		if a.Code != "" {
			if len(got) != 0 || a.Status != 400 {
				t.Errorf("%d %s, and %d executions", a.Status, a.Code, len(got))
			}
			return
		}
		var asked map[string]any
		if err := json.Unmarshal([]byte(parameters), &asked); err != nil {
			t.Fatalf("started with parameters that are no JSON: %v", err)
		}
		for name := range asked {
			if name != "InstanceId" && name != "Force" {
				t.Errorf("started with the undeclared parameter %q", name)
			}
		}
		if len(got) != 1 || len(got[0].Parameters) != 2 || got[0].ClientToken != token {
			t.Errorf("executions = %+v", got)
		}
	})
}
