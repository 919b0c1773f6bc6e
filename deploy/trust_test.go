package deploy_test

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"chatconf/shared/cloud"
	"chatconf/shared/cloud/alibaba"
	"chatconf/shared/emulator/oos"
	"chatconf/shared/emulator/oos/oostest"
	"chatconf/shared/emulator/sts"
	"chatconf/shared/invoke"
)

// guidePolicies returns the trust policy and the policy of the role for commands that the guide of
// a cloud writes out, as a shell has them.
func guidePolicies(t *testing.T, folder string, environ ...string) (trust, allow string) {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(folder, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	// The last assignment of trust, and that of allow.
	block := regexp.MustCompile(`(?s)\n(trust='\{[^\n]*(?:SetSourceIdentity|"AWS").*?\]\}'\n)(allow='.*?\]\}'\n)`).
		FindSubmatch(page)
	if block == nil {
		t.Fatalf("%s: no trust policy in the guide", folder)
	}
	cmd := exec.Command("sh", "-c", string(block[1])+string(block[2])+`printf '%s\n%s' "$trust" "$allow" | tr -d '\n' `+
		`| sed 's/}{"Version"/}\n{"Version"/'`)
	cmd.Env = append(os.Environ(), environ...)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	trust, allow, ok := strings.Cut(string(out), "\n")
	if !ok || !json.Valid([]byte(trust)) || !json.Valid([]byte(allow)) {
		t.Fatalf("%s: the policies are %s", folder, out)
	}
	return trust, allow
}

// With the guide's trust policy and the policies of the functions, both functions can assume the
// role for the guide's configuration, and for no other one.
func TestTrustPolicyOfAlibabaCloud(t *testing.T) {
	const account, region = sts.DefaultAccountID, "cn-hangzhou"
	trust, allow := guidePolicies(t, "fc", "ACCOUNT_ID="+account, "PREFIX=chatconf", "REGION="+region)
	const service = `{"Version":"1","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole",
		"Principal":{"RAM":"acs:ram::` + account + `:root"}}]}`
	in := oostest.RunT(t, func(o *oostest.Options) {
		o.Account.Roles = []sts.Role{{Name: "chatconf-operator-ops", Trust: trust, Policies: []string{allow}},
			{Name: "other", Trust: trust, Policies: []string{allow}},
			{Name: "chatconf-webhook", Trust: service, Policies: []string{oostest.Everything}}}
		for _, f := range []string{"dispatch-command", "redrive-commands"} {
			file, err := os.ReadFile(filepath.Join("fc", "policies", f+".json"))
			if err != nil {
				t.Fatal(err)
			}
			text := strings.NewReplacer("${ACCOUNT_ID}", account, "${OPERATOR_ROLES}", "chatconf-operator-*").
				Replace(string(file))
			o.Account.Roles = append(o.Account.Roles, sts.Role{Name: "chatconf-" + f, Trust: service,
				Policies: []string{text}})
		}
		o.Templates = []oos.Template{{Name: "restart", Steps: []oos.Step{{Name: "reboot",
			Needs: []oos.Permission{{Action: "ecs:RebootInstance", Resource: "acs:ecs:*:*:instance/i-1"}}}}}}
	})
	assume := func(function, role, configuration string) (oostest.Credentials, error) {
		own := in.Assume(t, function, "session", nil)
		roles, err := alibaba.NewRoles(alibaba.Options{Endpoint: in.STS, Credentials: invoke.Credentials{
			AccessKeyID: own.AccessKeyID, AccessKeySecret: own.AccessKeySecret, SecurityToken: own.SecurityToken}})
		if err != nil {
			t.Fatal(err)
		}
		lease, err := roles.Assume(t.Context(), cloud.Session{Role: role, Account: account, Name: "Slack.U1",
			SourceIdentity: "Slack.U1",
			ExternalID:     "acs:oos:" + region + ":" + account + ":chatconfiguration/" + configuration})
		return oostest.Credentials{AccessKeyID: lease.Credentials.AccessKeyID,
			AccessKeySecret: lease.Credentials.AccessKeySecret, SecurityToken: lease.Credentials.SecurityToken}, err
	}
	for _, function := range []string{"chatconf-dispatch-command", "chatconf-redrive-commands"} {
		lent, err := assume(function, "chatconf-operator-ops", "ops")
		if err != nil {
			t.Errorf("%s: %v", function, err)
			continue
		}
		if a := in.Call(t, lent, "StartExecution", map[string]string{"TemplateName": "restart"}); a.Code != "" {
			t.Errorf("%s: StartExecution: %v", function, a.Body)
		}
	}
	in.Advance(time.Second)
	for _, e := range in.Server.Executions() {
		if e.Status != oos.Success {
			t.Errorf("an execution is %s: %s", e.Status, e.StatusMessage)
		}
	}
	for about, who := range map[string][3]string{
		"another configuration": {"chatconf-dispatch-command", "chatconf-operator-ops", "other"},
		"another function":      {"chatconf-webhook", "chatconf-operator-ops", "ops"},
		"another role":          {"chatconf-dispatch-command", "other", "ops"},
	} {
		var refused *cloud.RoleError
		if _, err := assume(who[0], who[1], who[2]); !errors.As(err, &refused) ||
			!strings.HasPrefix(refused.Why, "access was denied") {
			t.Errorf("%s: %v", about, err)
		}
	}
}

// The guide's trust policy of AWS allows the three actions that the functions' policies have to
// both functions, and binds the assumption to a configuration.
func TestTrustPolicyOfAWS(t *testing.T) {
	const roles = `"arn:aws:iam::123456789012:role/a","arn:aws:iam::123456789012:role/b"`
	trust, allow := guidePolicies(t, "aws", "AWS_ACCOUNT_ID=123456789012", "roles="+roles)
	type statement struct {
		Effect    string
		Principal struct{ AWS []string }
		Action    any
		Condition map[string]map[string]string
	}
	var p struct{ Statement []statement }
	if err := json.Unmarshal([]byte(trust), &p); err != nil {
		t.Fatal(err)
	}
	var actions []string
	for _, s := range p.Statement {
		list, ok := s.Action.([]any)
		if !ok {
			list = []any{s.Action}
		}
		for _, a := range list {
			actions = append(actions, a.(string))
			if id := s.Condition["StringEquals"]["sts:ExternalId"]; (a == "sts:AssumeRole") !=
				(id == "acs:oos:cn-hangzhou:123456789012:chatconfiguration/ops") {
				t.Errorf("%s has the ExternalId %q", a, id)
			}
		}
		if len(s.Principal.AWS) != 2 || s.Effect != "Allow" {
			t.Errorf("statement = %+v", s)
		}
	}
	var wanted []string
	for _, s := range readPolicy(t, "aws", "dispatch-command").Statement {
		if strings.HasSuffix(s.Resource, "role/${OPERATOR_ROLES}") {
			wanted = s.Action
		}
	}
	if slices.Sort(actions); !slices.Equal(actions, slices.Sorted(slices.Values(wanted))) {
		t.Errorf("the trust policy allows %q, the functions need %q", actions, wanted)
	}
	for _, action := range []string{"ssm:StartAutomationExecution", "ssm:GetAutomationExecution",
		"ssm:StopAutomationExecution"} {
		if !strings.Contains(allow, action) {
			t.Errorf("the role may not %s", action)
		}
	}
}
