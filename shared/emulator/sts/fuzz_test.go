package sts_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"chatconf/shared/emulator/oos/oostest"
	"chatconf/shared/emulator/sts"
	"chatconf/shared/rpc/sign"
)

// FuzzTrust holds that no trust policy trusts somebody whom it does not name, and that one that is
// read is read without its spaces too.
func FuzzTrust(f *testing.F) {
	f.Add(trusts("", "user/bob"))
	f.Add(trusts(`{"StringLike":{"sts:ExternalId":["a*","b"]}}`, "role/x"))
	f.Add(`{"Version":"1","Statement":[{"Effect":"Deny","Action":"sts:AssumeRole","Principal":{"Service":"x"}}]}`)
	now := time.Now()
	f.Fuzz(func(t *testing.T, text string) {
		o := sts.Options{
			Users: []sts.User{{Name: "mallory", KeyID: oostest.KeyID, KeySecret: oostest.KeySecret,
				Policies: []string{oostest.Everything}}},
			Roles: []sts.Role{{Name: "ops", Trust: text}},
		}
		account, err := sts.New(o)
		if err != nil {
			return
		}
		var compact bytes.Buffer
		if err := json.Compact(&compact, []byte(text)); err != nil {
			t.Fatal(err)
		}
		o.Roles[0].Trust = compact.String()
		if _, err := sts.New(o); err != nil {
			t.Fatalf("without spaces: %v", err)
		}
		if strings.Contains(text, "mallory") || strings.Contains(text, "root") || strings.Contains(text, `\`) {
			return
		}
		form := signed(t, testKey, now, "n", map[string][]string{
			"RoleArn": {"acs:ram::" + sts.DefaultAccountID + ":role/ops"}, "RoleSessionName": {"mallory"},
		})
		r := httptest.NewRequest("POST", "/", strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		account.Handler().ServeHTTP(w, r)
		if w.Code != 403 {
			t.Errorf("mallory: %d %s", w.Code, w.Body)
		}
	})
}

// FuzzRequest holds that a request that is not signed gets an error in the envelope, whatever it
// is.
func FuzzRequest(f *testing.F) {
	f.Add("Action=AssumeRole&Version=2015-04-01", "application/x-www-form-urlencoded",
		"AccessKeyId=test-key&Signature=x",
		"")
	f.Add("", "", "", "ACS3-HMAC-SHA256 Credential=test-key,SignedHeaders=host,Signature=0")
	account, err := sts.New(sts.Options{Users: []sts.User{{Name: "u", KeyID: oostest.KeyID,
		KeySecret: "unknown to the fuzzer"}}})
	if err != nil {
		f.Fatal(err)
	}
	handler := account.Handler()
	f.Fuzz(func(t *testing.T, query, kind, body, authorization string) {
		r := httptest.NewRequest("POST", "/", strings.NewReader(body))
		r.URL.RawQuery = query
		r.Header.Set("Content-Type", kind)
		r.Header.Set("Authorization", authorization)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		a := oostest.ReadAnswer(t, w.Result())
		if a.Code == "" || a.Body["Message"] == "" || a.Status >= 500 {
			t.Errorf("answer = %d %v", a.Status, a.Body)
		}
	})
}

// FuzzSessionPolicy holds that whatever policy a session is given is kept as it was sent, and that
// its grants can be listed and are unused.
func FuzzSessionPolicy(f *testing.F) {
	f.Add(oostest.Everything)
	f.Add(oostest.Allow("acs:oos:*:*:template/*", "oos:StartExecution"))
	f.Fuzz(func(t *testing.T, text string) {
		account, err := sts.New(sts.Options{
			Users: []sts.User{{Name: "u", KeyID: oostest.KeyID, KeySecret: oostest.KeySecret,
				Policies: []string{oostest.Everything}}},
			Roles: []sts.Role{{Name: "none", Trust: trusts("", "root")}},
		})
		if err != nil {
			t.Fatal(err)
		}
		if code := assumeNone(t, account, testKey, text); code != http.StatusOK {
			return
		}
		if sessions := account.Sessions(); len(sessions) != 1 || sessions[0].Policy != text {
			t.Errorf("sessions = %+v", sessions)
		}
		for _, grant := range account.Unused() {
			if grant.Action == "" || grant.Resource == "" || grant.Wide {
				t.Errorf("grant = %+v", grant)
			}
		}
	})
}

// assumeNone assumes the role none with a session policy, and returns the status.
func assumeNone(t *testing.T, account *sts.Account, key sign.Key, policy string) int {
	form := signed(t, key, time.Now(), "n", map[string][]string{"Policy": {policy}, "RoleSessionName": {"fuzz"},
		"RoleArn": {"acs:ram::" + sts.DefaultAccountID + ":role/none"}})
	r := httptest.NewRequest("POST", "/", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	account.Handler().ServeHTTP(w, r)
	return w.Code
}
