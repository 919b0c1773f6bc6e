package oos_test

import (
	"strings"
	"testing"
	"time"

	"chatconf/shared/emulator/oos"
	"chatconf/shared/emulator/oos/oostest"
	"chatconf/shared/emulator/sts"
)

// statements joins policies into one.
func statements(policies ...string) string {
	for i, p := range policies {
		p = strings.TrimPrefix(p, `{"Version":"1","Statement":[`)
		policies[i] = strings.TrimSuffix(p, "]}")
	}
	return `{"Version":"1","Statement":[` + strings.Join(policies, ",") + "]}"
}

// A session policy for one action: just wide enough is allowed and leaves nothing unused, narrower
// is refused, wider shows.
func TestASessionPolicyForOneAction(t *testing.T) {
	template, any := prefix+"template/slow", prefix+"execution/*"
	exact := statements(oostest.Allow(template, "oos:StartExecution"), oostest.Allow(any, "oos:StartExecution"))
	for _, test := range []struct {
		name, policy, refused string
		unused                int
	}{
		{"exact", exact, "", 0},
		{"another template", strings.ReplaceAll(exact, "template/slow", "template/other"), "template/slow", 2},
		{"no executions", oostest.Allow(template, "oos:StartExecution"), "execution/*", 0},
		{"any template", strings.ReplaceAll(exact, "template/slow", "template/*"), "", 1},
		{"any operation", strings.ReplaceAll(exact, "oos:StartExecution", "oos:*"), "", 2},
		{"everything", oostest.Everything, "", 1},
		{"none", "", "", 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := run(t)
			key := in.Assume(t, "ops", "alice", map[string]string{"Policy": test.policy, "SourceIdentity": "slack_U1"})
			a := in.Call(t, key, "StartExecution", map[string]string{"TemplateName": "slow"})
			if test.refused == "" {
				want(t, a, 200, "")
				if e := in.Server.Executions()[0]; e.Principal != "acs:ram::"+account+":role/ops/alice" ||
					e.SourceIdentity != "slack_U1" {
					t.Errorf("execution = %+v", e)
				}
			} else {
				want(t, a, 403, "NoPermission")
				if message, _ := a.Body["Message"].(string); !strings.Contains(message,
					prefix+test.refused+", refused by: SessionPolicy") {
					t.Errorf("message = %q, want %s in it", message, test.refused)
				}
			}
			if got := in.Account.Unused(); len(got) != test.unused {
				t.Errorf("unused = %v, want %d", got, test.unused)
			}
		})
	}
}

// What the steps need is asked of the caller where the template names no role: a session policy
// that allows only the start lets the execution fail.
func TestStepsNeedPermissions(t *testing.T) {
	in := run(t)
	begin := statements(oostest.Allow(prefix+"template/needs", "oos:StartExecution"),
		oostest.Allow(prefix+"execution/*",
			"oos:StartExecution"))
	reboot := oostest.Allow("acs:ecs:*:*:instance/i-1", "ecs:RebootInstance")
	params := map[string]string{"TemplateName": "needs", "Parameters": `{"InstanceId":"i-1"}`}
	for policy, status := range map[string]oos.Status{begin: oos.Failed, statements(begin, reboot): oos.Success} {
		key := in.Assume(t, "ops", "alice", map[string]string{"Policy": policy})
		a := in.Call(t, key, "StartExecution", params)
		want(t, a, 200, "")
		id := a.Body["Execution"].(map[string]any)["ExecutionId"].(string)
		in.Advance(time.Second)
		message := ""
		if status == oos.Failed {
			message = "reboot: NoPermission: You are not authorized to do this action. Action: ecs:RebootInstance"
		}
		wantStatus(t, in, id, status, message)
	}
	if got := in.Account.Unused(); len(got) != 0 {
		t.Errorf("unused = %v, want none", got)
	}
}

// A template that names a role runs under it, and who starts it must be allowed to pass it.
func TestPassRole(t *testing.T) {
	users := `{"Version":"1","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole",
		"Principal":{"RAM":"acs:ram::1:root"}}]}`
	in := run(t, func(o *oostest.Options) {
		o.Account.Roles = append(o.Account.Roles,
			sts.Role{Name: "worker", Trust: trusted,
				Policies: []string{oostest.Allow("acs:ecs:*:*:instance/i-1", "ecs:*")}},
			sts.Role{Name: "distrusting", Trust: users, Policies: []string{oostest.Everything}})
		o.Account.Users = append(o.Account.Users, sts.User{Name: "careful", KeyID: "careful", KeySecret: "s",
			Policies: []string{
				oostest.Allow("*", "oos:*"), oostest.Allow("acs:ram::"+account+":role/worker", "ram:PassRole")}})
	})
	careful := oostest.Credentials{AccessKeyID: "careful", AccessKeySecret: "s"}
	call := func(role, instance string) oostest.Answer {
		return in.Call(t, careful, "StartExecution", map[string]string{"TemplateName": "needs",
			"Parameters": `{"InstanceId":"` + instance + `","OOSAssumeRole":"` + role + `"}`})
	}
	for role, code := range map[string]string{"ops": "NoPermission", "distrusting": "NoPermission",
		"none": "NoPermission"} {
		if a := call(role, "i-1"); a.Code != code {
			t.Errorf("%s: %s, want %s", role, a.Code, code)
		}
	}
	for _, role := range []string{"distrusting", "none"} {
		want(t, in.Call(t, oostest.Key, "StartExecution", map[string]string{"TemplateName": "needs",
			"Parameters": `{"InstanceId":"i-1","OOSAssumeRole":"` + role + `"}`}), 400, "AssumeRoleNotExist")
	}
	for instance, status := range map[string]oos.Status{"i-1": oos.Success, "i-2": oos.Failed} {
		a := call("worker", instance)
		want(t, a, 200, "")
		e := a.Body["Execution"].(map[string]any)
		if e["RamRole"] != "worker" || e["ExecutedBy"] != "careful("+account+")" {
			t.Errorf("execution = %v", e)
		}
		in.Advance(time.Second)
		wantStatus(t, in, e["ExecutionId"].(string), status, "")
	}
	if got, _ := ids(t, in, map[string]string{"RamRole": "worker"}); len(got) != 2 {
		t.Errorf("by role: %v", got)
	}
}

// Each operation asks for its own permission, on the one execution.
func TestEachOperationIsAuthorized(t *testing.T) {
	in := run(t)
	id := start(t, in, "approve", nil)
	for action, params := range map[string]map[string]string{
		"ListExecutions": {"ExecutionId": id}, "NotifyExecution": {"ExecutionId": id, "NotifyType": "Approve"},
		"CancelExecution": {"ExecutionId": id},
	} {
		narrow := oostest.Allow(prefix+"execution/"+id, "oos:"+action)
		for policy, code := range map[string]string{narrow: "", strings.Replace(narrow, id, "exec-other",
			1): "NoPermission"} {
			key := in.Assume(t, "ops", "alice", map[string]string{"Policy": policy})
			if a := in.Call(t, key, action, params); a.Code != code &&
				!(code == "" && a.Code == "InvalidExecutionStatus") {
				t.Errorf("%s with %s: %s, want %q", action, policy, a.Code, code)
			}
		}
	}
	all := in.Assume(t, "ops", "alice", map[string]string{"Policy": oostest.Allow(prefix+"execution/"+id,
		"oos:ListExecutions")})
	want(t, in.Call(t, all, "ListExecutions", nil), 403, "NoPermission")
}
