package sts_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"chatconf/shared/emulator/oos/oostest"
	"chatconf/shared/emulator/sts"
)

// account is the account of all tests.
const account = sts.DefaultAccountID

// trusts returns a trust policy that allows both actions to these RAM principals, with a condition
// if it is not empty.
func trusts(condition string, principals ...string) string {
	if condition != "" {
		condition = `,"Condition":` + condition
	}
	return fmt.Sprintf(`{"Version":"1","Statement":[{"Effect":"Allow",
		"Action":["sts:AssumeRole","sts:SetSourceIdentity"],
		"Principal":{"RAM":["acs:ram::%s:%s"]}%s}]}`, account,
		strings.Join(principals, `","acs:ram::`+account+`:`), condition)
}

// run starts an account with one role, ops, which may do everything.
func run(t *testing.T, set ...func(*oostest.Options)) *oostest.Instance {
	t.Helper()
	return oostest.RunT(t, append([]func(*oostest.Options){func(o *oostest.Options) {
		o.Account.Roles = []sts.Role{{Name: "ops", Trust: trusts("", "root"), Policies: []string{oostest.Everything}}}
	}}, set...)...)
}

// assume calls AssumeRole of the role ops, with these parameters in place of the usual.
func assume(t *testing.T, in *oostest.Instance, key oostest.Credentials, params map[string]string) oostest.Answer {
	t.Helper()
	all := map[string]string{"RoleArn": "acs:ram::" + account + ":role/ops", "RoleSessionName": "alice"}
	for name, value := range params {
		if all[name] = value; value == "" {
			delete(all, name)
		}
	}
	return in.Call(t, key, "AssumeRole", all)
}

func want(t *testing.T, a oostest.Answer, status int, code string) {
	t.Helper()
	if a.Status != status || a.Code != code {
		t.Errorf("answer = %d %q (%v), want %d %q", a.Status, a.Code, a.Body["Message"], status, code)
	}
}

func TestNewNamesWhatIsWrong(t *testing.T) {
	user := sts.User{Name: "u", KeyID: "k", KeySecret: "s"}
	role := func(set func(*sts.Role)) []sts.Role {
		r := sts.Role{Name: "r", Trust: trusts("", "root")}
		set(&r)
		return []sts.Role{r}
	}
	for _, test := range []struct {
		name string
		o    sts.Options
		want string
	}{
		{"no users", sts.Options{}, "no Users"},
		{"no key", sts.Options{Users: []sts.User{{Name: "u", KeySecret: "s"}}}, "empty key id"},
		{"no secret", sts.Options{Users: []sts.User{{Name: "u", KeyID: "k"}}}, "empty key id or secret"},
		{"temporary", sts.Options{Users: []sts.User{{KeyID: "STS.x", KeySecret: "s"}}}, "STS."},
		{"twice", sts.Options{Users: []sts.User{user, user}}, `"k" is listed twice`},
		{"user policy", sts.Options{Users: []sts.User{{Name: "u", KeyID: "k",
			KeySecret: "s", Policies: []string{"{}"}}}},
			`user "u": field Policies[0]: policy: `},
		{"no name", sts.Options{Users: []sts.User{user}, Roles: role(func(r *sts.Role) { r.Name = "" })},
			"no name of a role"},
		{"bad name", sts.Options{Users: []sts.User{user}, Roles: role(func(r *sts.Role) { r.Name = "a/b" })}, `"a/b"`},
		{"role twice", sts.Options{Users: []sts.User{user}, Roles: append(role(func(*sts.Role) {}),
			role(func(*sts.Role) {})...)},
			`"r" is listed twice`},
		{"short", sts.Options{Users: []sts.User{user}, Roles: role(func(r *sts.Role) { r.MaxSession = time.Minute })},
			"1h to 12h"},
		{"long", sts.Options{Users: []sts.User{user}, Roles: role(func(r *sts.Role) { r.MaxSession = 13 * time.Hour })},
			"1h to 12h"},
		{"role policy", sts.Options{Users: []sts.User{user},
			Roles: role(func(r *sts.Role) { r.Policies = []string{"x"} })},
			`role "r": field Policies[0]: policy: `},
	} {
		if _, err := sts.New(test.o); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error = %v, want %q in it", test.name, err, test.want)
		}
	}
}

// What a trust policy says and the emulator does not know is an error: it may have been a Deny.
func TestTrustPoliciesAreReadStrictly(t *testing.T) {
	statement := func(s string) string { return `{"Version":"1","Statement":[` + s + `]}` }
	allow := func(s string) string { return statement(`{"Effect":"Allow","Action":"sts:AssumeRole"` + s + `}`) }
	ram := func(s string) string { return allow(`,"Principal":{"RAM":` + s + `}`) }
	when := func(s string) string {
		return allow(`,"Principal":{"RAM":"acs:ram::1:root"},"Condition":` + s)
	}
	for text, want := range map[string]string{
		`{`:                             "the text",
		`[]`:                            "wanted an object",
		`{"Version":"1","Id":"x"}`:      "the text.Id: unknown member",
		`{"Version":"2"}`:               `Version: wanted "1"`,
		`{"Version":"1"}`:               "Statement: wanted an array",
		statement(``):                   "Statement: wanted an array",
		statement(`1`):                  "Statement[0]: wanted an object",
		statement(`{"Sid":"x"}`):        "Statement[0].Sid: unknown member",
		statement(`{"Effect":"Maybe"}`): "Statement[0].Effect: wanted Allow or Deny",
		statement(`{"Effect":"Allow"}`): "Statement[0].Action: wanted a string",
		statement(`{"Effect":"Allow","Action":[]}`):      "Action: wanted a string",
		statement(`{"Effect":"Allow","Action":[1]}`):     "Action: wanted a string",
		statement(`{"Effect":"Allow","Action":"sts:*"}`): "wanted sts:AssumeRole or",
		allow(``):                                      `Principal: wanted an object`,
		allow(`,"Principal":{}`):                       "wanted RAM or Service",
		allow(`,"Principal":{"Federated":"x"}`):        "Federated: unknown member",
		allow(`,"Principal":{"Service":{}}`):           "Principal.Service: wanted",
		ram(`1`):                                       "Principal.RAM: wanted a string",
		ram(`"*"`):                                     "wanted acs:ram::",
		ram(`"acs:ram::1"`):                            "wanted acs:ram::",
		ram(`"acs:ram::1:group/x"`):                    "wanted acs:ram::",
		ram(`"acs:ram::1:user/*"`):                     "wanted acs:ram::",
		when(`1`):                                      "Condition: wanted an object",
		when(`{"Bool":{}}`):                            "Condition.Bool: unknown",
		when(`{"StringLike":{"acs:x":"y"}}`):           `StringLike["acs:x"]: unknown`,
		when(`{"StringLike":1}`):                       "StringLike: wanted an object",
		when(`{"StringEquals":{"sts:ExternalId":[]}}`): `["sts:ExternalId"]: wanted a string`,
		when(`{"StringEquals":{"sts:ExternalId":"a"}},"a":1`): "a: unknown",
	} {
		_, err := sts.New(sts.Options{
			Users: []sts.User{{Name: "u", KeyID: "k", KeySecret: "s"}}, Roles: []sts.Role{{Name: "r", Trust: text}},
		})
		if err == nil || !strings.Contains(err.Error(), `role "r": trust policy: `) ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%s: error = %v, want %q in it", text, err, want)
		}
	}
}

func TestAssumeRoleAnswersCredentials(t *testing.T) {
	in := run(t)
	policy := oostest.Allow("*", "oos:StartExecution")
	a := assume(t, in, oostest.Key, map[string]string{"DurationSeconds": "900", "Policy": policy,
		"ExternalId": "acs:oos:cn-hangzhou:1:chatconfiguration/ops", "SourceIdentity": "slack_U1"})
	want(t, a, 200, "")
	user, _ := a.Body["AssumedRoleUser"].(map[string]any)
	c, _ := a.Body["Credentials"].(map[string]any)
	arn := "acs:ram::" + account + ":role/ops/alice"
	if user["Arn"] != arn || user["AssumedRoleId"] != "3000000000000001:alice" {
		t.Errorf("AssumedRoleUser = %v", user)
	}
	id, _ := c["AccessKeyId"].(string)
	if !strings.HasPrefix(id, "STS.FAKE") || c["Expiration"] != "2026-03-04T05:21:07Z" ||
		a.Body["SourceIdentity"] != "slack_U1" {
		t.Errorf("answer = %v", a.Body)
	}
	for name, prefix := range map[string]string{"AccessKeySecret": "fake-secret-", "SecurityToken": "fake-token-"} {
		if text, _ := c[name].(string); !strings.HasPrefix(text, prefix) {
			t.Errorf("%s = %v, want it to look fake", name, c[name])
		}
	}
	sessions := in.Account.Sessions()
	wanted := sts.Session{ARN: arn, Role: "ops", Name: "alice", Principal: "acs:ram::" + account + ":user/chatconf",
		ExternalID: "acs:oos:cn-hangzhou:1:chatconfiguration/ops", SourceIdentity: "slack_U1", Policy: policy,
		Expires: oostest.Start.Add(15 * time.Minute)}
	if len(sessions) != 1 || sessions[0] != wanted {
		t.Errorf("sessions = %+v, want %+v", sessions, wanted)
	}
	if a = assume(t, in, oostest.Key, nil); a.Body["SourceIdentity"] != nil {
		t.Errorf("SourceIdentity = %v, want none", a.Body["SourceIdentity"])
	}
	if got := in.Account.Sessions()[1].Expires; got != oostest.Start.Add(time.Hour) {
		t.Errorf("expires %v, want an hour by default", got)
	}
}

func TestAssumeRoleRefusesParameters(t *testing.T) {
	in := run(t, func(o *oostest.Options) {
		o.Account.Roles = append(o.Account.Roles, sts.Role{Name: "long", Trust: trusts("", "root"),
			MaxSession: 12 * time.Hour})
	})
	long := strings.Repeat("a", 2000)
	for _, test := range []struct {
		name   string
		params map[string]string
		status int
		code   string
	}{
		{"no role", map[string]string{"RoleArn": ""}, 400, "MissingRoleArn"},
		{"no session name", map[string]string{"RoleSessionName": ""}, 400, "MissingRoleSessionName"},
		{"a session name of one character", map[string]string{"RoleSessionName": "a"}, 400,
			"InvalidParameter.RoleSessionName"},
		{"a session name of 64", map[string]string{"RoleSessionName": long[:64]}, 200, ""},
		{"a session name of 65", map[string]string{"RoleSessionName": long[:65]}, 400,
			"InvalidParameter.RoleSessionName"},
		{"every character of a session name", map[string]string{"RoleSessionName": "aZ9.@-_"}, 200, ""},
		{"a blank in a session name", map[string]string{"RoleSessionName": "a b"}, 400,
			"InvalidParameter.RoleSessionName"},
		{"a letter that is not ASCII", map[string]string{"RoleSessionName": "钉钉"}, 400,
			"InvalidParameter.RoleSessionName"},
		{"a user's ARN", map[string]string{"RoleArn": "acs:ram::" + account + ":user/ops"},
			400, "InvalidParameter.RoleArn"},
		{"an ARN without a name", map[string]string{"RoleArn": "acs:ram::" + account + ":role/"}, 400,
			"InvalidParameter.RoleArn"},
		{"a bare name", map[string]string{"RoleArn": "ops"}, 400, "InvalidParameter.RoleArn"},
		{"an unknown role", map[string]string{"RoleArn": "acs:ram::" + account + ":role/none"},
			404, "EntityNotExist.Role"},
		{"another account", map[string]string{"RoleArn": "acs:ram::1:role/ops"}, 404, "EntityNotExist.Role"},
		{"a short ExternalId", map[string]string{"ExternalId": "a"}, 400, "InvalidParameter.ExternalId"},
		{"a long ExternalId", map[string]string{"ExternalId": long[:1225]}, 400, "InvalidParameter.ExternalId"},
		{"a blank in ExternalId", map[string]string{"ExternalId": "a b"}, 400, "InvalidParameter.ExternalId"},
		{"a SourceIdentity with a colon", map[string]string{"SourceIdentity": "acs:alice"}, 400,
			"InvalidParameter.SourceIdentity"},
		{"a long SourceIdentity", map[string]string{"SourceIdentity": long[:65]}, 400,
			"InvalidParameter.SourceIdentity"},
		{"899 seconds", map[string]string{"DurationSeconds": "899"}, 400, "InvalidParameter.DurationSeconds"},
		{"3600 seconds", map[string]string{"DurationSeconds": "3600"}, 200, ""},
		{"3601 seconds", map[string]string{"DurationSeconds": "3601"}, 400, "InvalidParameter.DurationSeconds"},
		{"12 hours of a role that allows them", map[string]string{"RoleArn": "acs:ram::" + account + ":role/long",
			"DurationSeconds": "43200"}, 200, ""},
		{"more than 12 hours", map[string]string{"RoleArn": "acs:ram::" + account + ":role/long",
			"DurationSeconds": "43201"}, 400, "InvalidParameter.DurationSeconds"},
		{"a duration that overflows", map[string]string{"DurationSeconds": "99999999999999"}, 400,
			"InvalidParameter.DurationSeconds"},
		{"no number", map[string]string{"DurationSeconds": "1h"}, 400, "InvalidParameter.DurationSeconds"},
		{"a policy of 2048 characters", map[string]string{"Policy": sized(2048)}, 200, ""},
		{"a policy of 2049 characters", map[string]string{"Policy": sized(2049)}, 400, "InvalidParameter.PolicySize"},
		{"a policy that is no policy", map[string]string{"Policy": "{}"}, 400, "InvalidParameter.PolicyGrammar"},
	} {
		t.Run(test.name, func(t *testing.T) {
			want(t, assume(t, in, oostest.Key, test.params),
				test.status, test.code)
		})
	}
}

// sized returns a policy of n characters.
func sized(n int) string {
	text := oostest.Allow("acs:oos:*:*:template/", "oos:StartExecution")
	return strings.Replace(text, "template/", "template/"+strings.Repeat("x", n-len(text)), 1)
}

// Who may assume a role: its policies and the role's trust policy must both allow it.
func TestTrust(t *testing.T) {
	deny := strings.Replace(trusts("", "root"), `"Statement":[`, `"Statement":[{"Effect":"Deny",
		"Action":"sts:AssumeRole",
		"Principal":{"RAM":"acs:ram::`+account+`:user/chatconf"}},`, 1)
	external := `{"StringEquals":{"sts:ExternalId":"bot-1"}}`
	for _, test := range []struct {
		name   string
		trust  string
		policy string
		params map[string]string
		denied string // the policy type that refuses
	}{
		{"the account is trusted", trusts("", "root"), oostest.Everything, nil, ""},
		{"the user is trusted", trusts("", "user/chatconf"), oostest.Everything, nil, ""},
		{"only another user is trusted", trusts("", "user/bob"), oostest.Everything, nil, "AssumeRolePolicy"},
		{"only a service is trusted", `{"Version":"1","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole",
			"Principal":{"Service":"oos.aliyuncs.com"}}]}`, oostest.Everything, nil, "AssumeRolePolicy"},
		{"the user is denied", deny, oostest.Everything, nil, "AssumeRolePolicy"},
		{"the user's policy does not allow", trusts("", "root"), oostest.Allow("*", "oos:*"), nil,
			"AccountLevelIdentityBasedPolicy"},
		{"the user's policy names another role", trusts("", "root"),
			oostest.Allow("acs:ram::"+account+":role/other", "sts:AssumeRole"), nil, "AccountLevelIdentityBasedPolicy"},
		{"the ExternalId is right", trusts(external, "root"), oostest.Everything,
			map[string]string{"ExternalId": "bot-1"},
			""},
		{"the ExternalId is wrong", trusts(external, "root"), oostest.Everything,
			map[string]string{"ExternalId": "bot-2"},
			"AssumeRolePolicy"},
		{"there is no ExternalId", trusts(external, "root"), oostest.Everything, nil, "AssumeRolePolicy"},
		{"the SourceIdentity matches", trusts(`{"StringLike":{"sts:SourceIdentity":"slack_*"}}`, "root"),
			oostest.Everything,
			map[string]string{"SourceIdentity": "slack_U1"}, ""},
		{"the SourceIdentity does not match", trusts(`{"StringLike":{"sts:SourceIdentity":"slack_*"}}`, "root"),
			oostest.Everything, map[string]string{"SourceIdentity": "teams_U1"}, "AssumeRolePolicy"},
		{"a negative condition holds without a value", trusts(`{"StringNotEquals":{"sts:ExternalId":"x"}}`, "root"),
			oostest.Everything, nil, ""},
		{"a negative condition fails", trusts(`{"StringNotEquals":{"sts:ExternalId":"xx"}}`, "root"),
			oostest.Everything,
			map[string]string{"ExternalId": "xx"}, "AssumeRolePolicy"},
		{"a SourceIdentity needs the user's permission", trusts("", "root"), oostest.Allow("*", "sts:AssumeRole"),
			map[string]string{"SourceIdentity": "slack_U1"}, "AccountLevelIdentityBasedPolicy"},
		{"a SourceIdentity needs the role's permission", strings.Replace(trusts("", "root"),
			`,"sts:SetSourceIdentity"`, "",
			1),
			oostest.Everything, map[string]string{"SourceIdentity": "slack_U1"}, "AssumeRolePolicy"},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := run(t, func(o *oostest.Options) {
				o.Account.Roles[0].Trust = test.trust
				o.Account.Users[0].Policies = []string{test.policy}
			})
			a := assume(t, in, oostest.Key, test.params)
			if test.denied == "" {
				want(t, a, 200, "")
				return
			}
			want(t, a, 403, "NoPermission")
			detail, _ := a.Body["AccessDeniedDetail"].(map[string]any)
			if detail["PolicyType"] != test.denied || detail["AuthPrincipalType"] != "SubUser" ||
				detail["AuthPrincipalDisplayName"] != "chatconf" || detail["AuthPrincipalOwnerId"] != account {
				t.Errorf("detail = %v, want %s", detail, test.denied)
			}
			if n := len(in.Account.Sessions()); n != 0 {
				t.Errorf("%d sessions, want none", n)
			}
		})
	}
}

func TestRootMayNotAssume(t *testing.T) {
	in := run(t, func(o *oostest.Options) { o.Account.Users[0].Name = "" })
	a := assume(t, in, oostest.Key, nil)
	want(t, a, 403, "NoPermission")
	if a.Body["Message"] != "Roles may not be assumed by root accounts." {
		t.Errorf("message = %v", a.Body["Message"])
	}
}

// A chain of roles: the session of one assumes the other, and the SourceIdentity stays.
func TestChainedRoles(t *testing.T) {
	in := run(t, func(o *oostest.Options) {
		o.Account.Roles = append(o.Account.Roles,
			sts.Role{Name: "first", Trust: trusts("", "user/chatconf"), Policies: []string{oostest.Everything}})
		o.Account.Roles[0].Trust = trusts("", "role/first")
	})
	want(t, assume(t, in, oostest.Key, nil), 403, "NoPermission") // not the user itself
	first := in.Assume(t, "first", "alice", map[string]string{"SourceIdentity": "slack_U1"})
	a := assume(t, in, first, nil)
	want(t, a, 200, "")
	if a.Body["SourceIdentity"] != "slack_U1" {
		t.Errorf("SourceIdentity = %v, want that of the first session", a.Body["SourceIdentity"])
	}
	want(t, assume(t, in, first, map[string]string{"SourceIdentity": "slack_U1"}), 200, "")
	want(t, assume(t, in, first, map[string]string{"SourceIdentity": "slack_U2"}), 403, "NoPermission")
	narrow := in.Assume(t, "first", "bob", map[string]string{"Policy": oostest.Allow("*", "oos:*")})
	a = assume(t, in, narrow, nil)
	want(t, a, 403, "NoPermission")
	detail, _ := a.Body["AccessDeniedDetail"].(map[string]any)
	if detail["PolicyType"] != "SessionPolicy" || detail["AuthPrincipalType"] != "AssumedRoleUser" ||
		detail["AuthPrincipalDisplayName"] != "first:bob" {
		t.Errorf("detail = %v", detail)
	}
}
