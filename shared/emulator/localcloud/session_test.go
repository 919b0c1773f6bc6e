package localcloud

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"chatconf/shared/emulator/runtime"
	"chatconf/shared/emulator/sts"
	"chatconf/shared/rpc/sign"
)

// A session of the emulated account invokes the functions that both policies allow.
func TestSessionsOfAnAccountInvokeFunctions(t *testing.T) {
	api, _ := newAPI(t, runtime.FC)
	user := sign.Key{ID: "functions", Secret: "not-a-real-secret"}
	allow := func(action, resource string) string {
		return `{"Version":"1","Statement":[{"Effect":"Allow","Action":"` + action + `",
			"Resource":"` + resource + `"}]}`
	}
	var err error
	api.account, err = sts.New(sts.Options{AccountID: "1",
		Users: []sts.User{{Name: "functions", KeyID: user.ID, KeySecret: user.Secret,
			Policies: []string{allow("sts:AssumeRole", "*")}}},
		Roles: []sts.Role{{Name: "invoker", Policies: []string{allow("fc:InvokeFunction", "*")},
			Trust: `{"Version":"1","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole",
				"Principal":{"RAM":"acs:ram::1:user/functions"}}]}`}},
	})
	if err != nil {
		t.Fatal(err)
	}
	api.region = "cn-hangzhou"
	signed := func(key sign.Key, target, action, version, body, nonce string) *http.Request {
		r := httptest.NewRequest(http.MethodPost, "http://127.0.0.1:1"+target, strings.NewReader(body))
		r.Header.Set("X-Acs-Action", action)
		r.Header.Set("X-Acs-Version", version)
		if err := key.SignACS3(r, []byte(body), time.Now(), nonce); err != nil {
			t.Fatal(err)
		}
		return r
	}
	const right = "acs:fc:cn-hangzhou:1:functions/hello"
	for i, test := range []struct {
		policy string
		status int
		says   string
	}{
		{allow("fc:InvokeFunction", right), 200, `"hello"`},
		{allow("fc:InvokeFunction", right+"2"), 403, "Action: fc:InvokeFunction, resource: " + right},
		{allow("fc:GetFunction", right), 403, "SessionPolicy"},
		{"", 200, `"hello"`},
	} {
		query := url.Values{"RoleArn": {"acs:ram::1:role/invoker"}, "RoleSessionName": {"alice"}}
		if test.policy != "" {
			query.Set("Policy", test.policy)
		}
		got := answerOf(api.account.Handler(), signed(user, "/?"+query.Encode(), "AssumeRole", "2015-04-01", "",
			fmt.Sprint("assume", i)))
		var assumed struct {
			Credentials struct{ AccessKeyId, AccessKeySecret, SecurityToken string }
		}
		if err := json.Unmarshal(got.Body.Bytes(), &assumed); err != nil || got.Code != 200 {
			t.Fatalf("AssumeRole = %d %s", got.Code, got.Body)
		}
		c := assumed.Credentials
		key := sign.Key{ID: c.AccessKeyId, Secret: c.AccessKeySecret, SecurityToken: c.SecurityToken}
		invoke := func(key sign.Key, nonce string) *httptest.ResponseRecorder {
			return answerOf(api, signed(key, fcDialect.prefix+"hello/invocations", "InvokeFunction", "2023-03-30", `{}`,
				fmt.Sprint(nonce, i)))
		}
		if got := invoke(key, "good"); got.Code != test.status || !strings.Contains(got.Body.String(), test.says) {
			t.Errorf("%s: %d %s", test.policy, got.Code, got.Body)
		}
		key.Secret += "x"
		if got := invoke(key, "bad"); got.Code != 403 || strings.Contains(got.Body.String(), c.AccessKeySecret) {
			t.Errorf("another secret: %d %s", got.Code, got.Body)
		}
	}
	if got := answerOf(api, signed(user, fcDialect.prefix+"hello/invocations", "InvokeFunction", "2023-03-30", `{}`,
		"user")); got.Code != 403 || !strings.Contains(got.Body.String(), "IdentityBasedPolicy") {
		t.Errorf("a user without the right: %d %s", got.Code, got.Body)
	}
}

// A session that was issued through ForwardSTS invokes the functions that its policy allows.
func TestSessionsOfAWSInvokeFunctions(t *testing.T) {
	const policy = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["lambda:InvokeFunction"],` +
		`"Resource":["arn:aws:lambda:eu-central-1:123456789012:function:hello"]}]}`
	var hosts []string
	answers := func(w http.ResponseWriter, key, expires string) {
		fmt.Fprintf(w, `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>`+
			`<Credentials><AccessKeyId>%s</AccessKeyId><SecretAccessKey>not-a-real-secret-of-%[1]s</SecretAccessKey>`+
			`<SessionToken>token</SessionToken><Expiration>%s</Expiration></Credentials></AssumeRoleResult>`+
			`</AssumeRoleResponse>`, key, expires)
	}
	bank := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hosts = append(hosts, r.Host)
		switch name := r.FormValue("RoleSessionName"); name {
		case "refused":
			w.WriteHeader(http.StatusForbidden)
			io.WriteString(w, "<ErrorResponse/>")
		case "other":
			io.WriteString(w, "<GetCallerIdentityResponse/>")
		case "old":
			answers(w, "ASIA"+name, time.Now().Add(-time.Minute).UTC().Format(time.RFC3339))
		default:
			answers(w, "ASIA"+name, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
		}
	}))
	defer bank.Close()
	c := New(Options{})
	defer c.Close()
	endpoint, err := c.ForwardSTS(bank.URL, given)
	if err != nil {
		t.Fatal(err)
	}
	assume := func(endpoint, name, role, policy string, key runtime.Credentials) (int, string) {
		t.Helper()
		form := url.Values{"RoleArn": {role}, "RoleSessionName": {name}}
		if policy != "" {
			form.Set("Policy", policy)
		}
		r, err := http.NewRequest(http.MethodPost, endpoint, strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		signAs(t, r, form.Encode(), "sts", key, time.Now())
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(body)
	}
	api, _ := newAPI(t, runtime.Lambda)
	api.sessions = &c.sessions
	invoke := func(name string) (int, string) {
		r := httptest.NewRequest(http.MethodPost, "http://127.0.0.1:1"+lambdaDialect.prefix+"hello/invocations",
			strings.NewReader(`{}`))
		signAs(t, r, `{}`, "lambda", runtime.Credentials{AccessKeyID: "ASIA" + name,
			AccessKeySecret: "not-a-real-secret-of-ASIA" + name, SecurityToken: "token"}, time.Now())
		got := answerOf(api, r)
		return got.Code, got.Body.String()
	}
	const role = "arn:aws:iam::123456789012:role/ops"
	for _, test := range []struct {
		name, role, policy string
		assumed, invoked   int
		says               string
	}{
		{"alice", role, policy, 200, 200, `"hello"`},
		{"wide", role, "", 200, 200, `"hello"`},
		{"narrow", role, strings.Replace(policy, "hello", "other", 1), 200, 403,
			"does not allow lambda:InvokeFunction on arn:aws:lambda:eu-central-1:123456789012:function:hello"},
		{"elsewhere", strings.Replace(role, "1", "2", 1), policy, 200, 403, "eu-central-1:223456789012:function:hello"},
		{"odd", role, strings.Replace(policy, `"Action"`, `"NotAction"`, 1), 200, 403, "does not allow"},
		{"denied", role, strings.Replace(policy, "Allow", "Deny", 1), 200, 403, "does not allow"},
		{"action", role, strings.Replace(policy, "InvokeFunction", "GetFunction", 1), 200, 403, "does not allow"},
		{"norole", "ops", "", 200, 403, "no role"},
		{"old", role, policy, 200, 403, "unknown access key"},
		{"refused", role, policy, 403, 403, "unknown access key"},
		{"other", role, policy, 200, 403, "unknown access key"},
	} {
		if status, body := assume(endpoint, test.name, test.role, test.policy, given); status != test.assumed {
			t.Errorf("%s: AssumeRole = %d %s", test.name, status, body)
		}
		if status, body := invoke(test.name); status != test.invoked || !strings.Contains(body, test.says) {
			t.Errorf("%s: %d %s", test.name, status, body)
		}
	}
	// Only the functions' own key assumes roles, and the request is unchanged.
	asked := len(hosts)
	for _, host := range hosts {
		if "http://"+host != endpoint {
			t.Errorf("STS is asked as %s, want %s", host, endpoint)
		}
	}
	for name, key := range map[string]runtime.Credentials{
		"a stranger": {AccessKeyID: "AKIDOTHER", AccessKeySecret: "x"},
		"a session": {AccessKeyID: "ASIAalice", AccessKeySecret: "not-a-real-secret-of-ASIAalice",
			SecurityToken: "token"},
	} {
		if status, body := assume(endpoint, "stranger", role, "", key); status != 403 || len(hosts) != asked {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
	if status, _ := assume(endpoint, "long", role, strings.Repeat(" ", maxAssumeRole), given); status != 413 {
		t.Errorf("a long request: %d", status)
	}
	if _, err := c.ForwardSTS("http://\x00"); err == nil {
		t.Error("an endpoint that is no URL is accepted")
	}
	bank.Close()
	if status, _ := assume(endpoint, "late", role, policy, given); status != http.StatusBadGateway {
		t.Errorf("without STS: %d", status)
	}
	for _, shown := range []string{fmt.Sprintf("%+v", &c.sessions), fmt.Sprint(c.sessions.byKey)} {
		if strings.Contains(shown, "not-a-real-secret") {
			t.Errorf("sessions print as %s", shown)
		}
	}
}
