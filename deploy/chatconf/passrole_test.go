package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"chatconf/shared/accesskey"
	"chatconf/shared/app"
	"chatconf/shared/policy"
	"chatconf/shared/rpc"
)

// What refuses a role names the command that allows it, and that command does.
func TestPassRoleIsAllowedAsTheErrorSays(t *testing.T) {
	data := newData(t)
	service := newService(t, data, rpc.KeyActions()...)
	if err := os.WriteFile(filepath.Join(data, "endpoint"), []byte(service+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	path := writePolicy(t, `{"Version":"1","Statement":[{"Effect":"Allow","Action":"oos:*","Resource":"*"}]}`)
	var made struct{ AccessKeyId, AccessKeySecret string }
	if err := json.Unmarshal([]byte(mustRun(t, "keys", "create", "--data", data, "--name", "ci", "--policy", path,
		"--pass-role", "Re*", "--pass-role", "Audit", "-o", "json")), &made); err != nil {
		t.Fatal(err)
	}
	save := func(name, role string) error {
		_, err := run(t, "", "call", "CreateChatConfiguration", "Name="+name, "Type=Slack", "RamRole="+role,
			`Configuration={"SlackSigningSecret":"not-a-real-secret"}`, "--endpoint", service,
			"--access-key-id", made.AccessKeyId, "--access-key-secret", made.AccessKeySecret)
		return err
	}
	for _, role := range []string{"Report", "Audit"} {
		if err := save("a-"+role, role); err != nil {
			t.Errorf("%s: %v", role, err)
		}
	}
	refused := save("ops", "OpsRole")
	if refused == nil || !strings.Contains(refused.Error(), "NoPermission (403)") ||
		!strings.Contains(refused.Error(), "ram:PassRole on acs:ram::"+app.DefaultAccountID+
			":role/OpsRole (for RamRole)") {
		t.Fatalf("a role that the key may not pass: %v", refused)
	}
	fix := regexp.MustCompile(`run 'chatconf (keys update [^']+)'`).FindStringSubmatch(refused.Error())
	if fix == nil {
		t.Fatalf("it names no way out: %v", refused)
	}
	mustRun(t, append(strings.Fields(fix[1]), "--data", data)...)
	for _, role := range []string{"OpsRole", "Report"} { // the policy of before stays
		if err := save("b-"+role, role); err != nil {
			t.Errorf("%s after %s: %v", role, fix[1], err)
		}
	}
	if err := save("c", "OpsRole2"); err == nil {
		t.Error("a role of a longer name is allowed")
	}
	if _, err := run(t, "", append(strings.Fields(fix[1]), "--data", data)...); !isUsage(err) ||
		!strings.Contains(err.Error(), "allows it already") {
		t.Errorf("the same again: %v", err)
	}
}

// The permission is added to all that a key may do, and refused where it would change nothing.
func TestKeysWithPassRole(t *testing.T) {
	const saves = `{"Version":"1","Statement":[{"Effect":"Allow","Action":"oos:*","Resource":"*",` +
		`"Condition":{"StringEquals":{"oos:tag/env":"<dev>"}}}]}`
	const denies = `{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"},` +
		`{"Effect":"Deny","Action":"ram:*","Resource":"*"}]}`
	data := newData(t)
	parse := func(text string) *policy.Policy {
		p, err := policy.Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	settings, err := localSettings(data)
	if err != nil {
		t.Fatal(err)
	}
	l, err := app.OpenLocal(t.Context(), settings, app.Actions(rpc.Actions()...))
	if err != nil {
		t.Fatal(err)
	}
	ids := make(map[string]string)
	for name, policies := range map[string][]*policy.Policy{
		"two": {parse(saves),
			parse(`{"Version":"1","Statement":[{"Effect":"Deny","Action":"oos:Delete*","Resource":"*"}]}`)},
		"denies": {parse(denies)}, "reader": {policy.ReadOnly()}, "admin": {policy.Administrator()},
	} {
		key, err := l.Keys.Create(t.Context(), accesskey.Key{Account: app.DefaultAccountID,
			Name: name, Policies: policies})
		if err != nil {
			t.Fatal(err)
		}
		ids[name] = key.ID
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	mustRun(t, "keys", "update", ids["two"], "--pass-role", "Ops*", "--pass-role", "A?", "--data", data)
	var listed []struct {
		AccessKeyId string
		Policies    []json.RawMessage
	}
	if err := json.Unmarshal([]byte(mustRun(t, "keys", "list", "-o", "json", "--data", data)), &listed); err != nil {
		t.Fatal(err)
	}
	for _, key := range listed {
		if key.AccessKeyId != ids["two"] {
			continue
		}
		if len(key.Policies) != 1 {
			t.Fatalf("the key has %d policies", len(key.Policies))
		}
		p := parse(string(key.Policies[0]))
		dev := func(string) (string, bool) { return "<dev>", true }
		for _, c := range []struct {
			action, resource string
			want             bool
		}{
			{"oos:UpdateChatConfiguration", "acs:oos:r:1:chatconfiguration/a", true},
			{"oos:DeleteChatConfiguration", "acs:oos:r:1:chatconfiguration/a", false},
			{policy.PassRole, policy.RoleResource("1", "OpsRole"), true},
			{policy.PassRole, policy.RoleResource("1", "A1"), true},
			{policy.PassRole, policy.RoleResource("1", "A12"), false},
			{policy.PassRole, policy.RoleResource("1", "Dev"), false},
		} {
			if got := policy.Decide(policy.Request{Action: c.action, Resource: c.resource, Value: dev},
				p).Allowed; got != c.want {
				t.Errorf("%s on %s: %v, want %v by %s", c.action, c.resource, got, c.want, p)
			}
		}
	}
	for _, c := range []struct {
		says, stdin string
		args        []string
	}{
		{"may pass every role", "", []string{"create", "--name", "x", "--admin", "--pass-role", "Ops"}},
		{"may pass every role", "", []string{"update", ids["two"], "--owner", "--pass-role", "Ops"}},
		{"cannot save a configuration", "", []string{"create", "--name", "x", "--read-only", "--pass-role", "Ops"}},
		{"cannot save a configuration", "", []string{"update", ids["two"], "--read-only", "--pass-role", "Ops"}},
		{"cannot save a configuration", "", []string{"update", ids["reader"], "--pass-role", "Ops"}},
		{"allows it already", "", []string{"update", ids["admin"], "--pass-role", "Ops"}},
		{"allows it already", "", []string{"update", ids["two"], "--pass-role", "Ops*", "--pass-role", "OpsRole"}},
		{"Deny statement", "", []string{"update", ids["denies"], "--pass-role", "Ops"}},
		{"Deny statement", denies, []string{"create", "--name", "x", "--policy", "-", "--pass-role", "Ops"}},
		{"matches no role", saves, []string{"create", "--name", "x", "--policy", "-", "--pass-role", ""}},
		{"matches no role", saves, []string{"create", "--name", "x", "--policy", "-", "--pass-role", "a b"}},
		{"matches no role", saves, []string{"create", "--name", "x", "--policy", "-", "--pass-role",
			"acs:ram::1:role/"}},
		{"matches no role", saves, []string{"create", "--name", "x", "--policy", "-", "--pass-role",
			"acs:ram::1:user/Ops"}},
		{"matches no role", saves, []string{"update", ids["two"], "--policy", "-", "--pass-role",
			strings.Repeat("x", 65)}},
		{"give one of", "", []string{"create", "--name", "x", "--pass-role", "Ops"}},
		{"bytes are too long", `{"Version":"1","Statement":[{"Effect":"Allow","Action":"oos:*","Resource":"*` +
			strings.Repeat("x", policy.MaxSize-100) + `"}]}`,
			[]string{"create", "--name", "x", "--policy", "-", "--pass-role", "Ops"}},
	} {
		_, err := run(t, c.stdin, append(append([]string{"keys"}, c.args...), "--data", data)...)
		if !isUsage(err) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("keys %q = %v, want a usage error with %q", c.args, err, c.says)
		}
	}
	_, err = run(t, "", "keys", "update", "CCKnobody", "--pass-role", "Ops", "--data", data)
	if err == nil || isUsage(err) || !strings.Contains(err.Error(), "there is no access key CCKnobody") {
		t.Errorf("a key that does not exist: %v", err)
	}
	mustRun(t, "keys", "update", ids["two"], "--policy", writePolicy(t, saves), "--pass-role",
		"arn:aws:iam::210000000000:role/Ops*", "--data", data)
	if out := mustRun(t, "keys", "list", "-o", "wide", "--data", data); !lineHas(out, ids["two"],
		"acs:ram::210000000000:role/Ops*") {
		t.Errorf("keys list after --pass-role with an ARN:\n%s", out)
	}
	mustRun(t, "keys", "update", ids["two"], "--policy", writePolicy(t, saves), "--pass-role", "*", "--data", data)
	if out := mustRun(t, "keys", "list", "-o", "wide", "--data", data); !lineHas(out, ids["two"],
		"acs:ram::*:role/*") || lineHas(out, ids["two"], "Ops*") {
		t.Errorf("keys list after --policy and --pass-role:\n%s", out)
	}
}

func writePolicy(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "policy.json")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
