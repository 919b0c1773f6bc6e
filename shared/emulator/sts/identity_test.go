package sts_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"chatconf/shared/emulator/oos/oostest"
	"chatconf/shared/emulator/sts"
	"chatconf/shared/secret"
)

// A permission needs the role's policies and the session policy.
func TestAuthorize(t *testing.T) {
	in := run(t, func(o *oostest.Options) {
		o.Account.Roles[0].Policies = []string{
			oostest.Allow("acs:oos:*:*:execution/*", "oos:List*", "oos:Notify*"),
			`{"Version":"1","Statement":[{"Effect":"Deny","Action":"oos:NotifyExecution","Resource":"*"}]}`,
			`{"Version":"1","Statement":[{"Effect":"Allow","Action":"oos:CancelExecution","Resource":"*",
				"Condition":{"DateLessThan":{"acs:CurrentTime":"2026-03-05T00:00:00Z"}}}]}`,
		}
	})
	execution := "acs:oos:cn-hangzhou:" + account + ":execution/"
	narrow := oostest.Allow(execution+"exec-1", "oos:ListExecutions", "oos:CancelExecution", "oos:NotifyExecution")
	for _, test := range []struct {
		name, policy, action, id string
		refused, kind            string
	}{
		{"without a session policy the role decides", "", "ListExecutions", "exec-1", "", ""},
		{"the session policy allows what the role allows", narrow, "ListExecutions", "exec-1", "", ""},
		{"a condition on the time holds", narrow, "CancelExecution", "exec-1", "", ""},
		{"the session policy is too narrow", narrow, "ListExecutions", "exec-2", "SessionPolicy", "ImplicitDeny"},
		{"the role denies what the session policy allows", narrow, "NotifyExecution", "exec-1",
			"AccountLevelIdentityBasedPolicy", "ExplicitDeny"},
		{"a session policy adds nothing", oostest.Everything, "StartExecution", "", "AccountLevelIdentityBasedPolicy",
			"ImplicitDeny"},
	} {
		t.Run(test.name, func(t *testing.T) {
			key := in.Assume(t, "ops", "alice", map[string]string{"Policy": test.policy})
			params := map[string]string{"ExecutionId": test.id}
			switch test.action {
			case "StartExecution":
				params = map[string]string{"TemplateName": "x"}
			case "NotifyExecution":
				params["NotifyType"] = "Approve"
			}
			before := len(in.Account.Decisions())
			a := in.Call(t, key, test.action, params)
			last := in.Account.Decisions()[before]
			if last.Allowed != (test.refused == "") || last.PolicyType != test.refused ||
				last.Action != "oos:"+test.action ||
				last.Principal != "acs:ram::"+account+":role/ops/alice" || !last.Time.Equal(oostest.Start) {
				t.Errorf("decision = %+v, want refused by %q", last, test.refused)
			}
			if test.refused == "" {
				if a.Code == "NoPermission" {
					t.Errorf("answer = %v, want it allowed", a.Body)
				}
				return
			}
			want(t, a, 403, "NoPermission")
			detail, _ := a.Body["AccessDeniedDetail"].(map[string]any)
			if detail["PolicyType"] != test.refused || detail["NoPermissionType"] != test.kind ||
				detail["AuthAction"] != "oos:"+test.action {
				t.Errorf("detail = %v, want %s by %s", detail, test.kind, test.refused)
			}
		})
	}
}

// Unused shows session policies that were wider than what was asked.
func TestUnused(t *testing.T) {
	execution := "acs:oos:cn-hangzhou:" + account + ":execution/"
	for _, test := range []struct {
		name, policy string
		want         []string
	}{
		{"exactly what was asked", oostest.Allow(execution+"exec-1", "oos:ListExecutions"), nil},
		{"an action in other letters", oostest.Allow(execution+"exec-1", "oos:listexecutions"), nil},
		{"a pattern of actions", oostest.Allow(execution+"exec-1", "oos:*"),
			[]string{"oos:* on " + execution + "exec-1: wider"}},
		{"a pattern of resources", oostest.Allow(execution+"*", "oos:ListExecutions"),
			[]string{"oos:ListExecutions on " + execution + "*: wider"}},
		{"any region", oostest.Allow("acs:oos:*:*:execution/exec-1", "oos:ListExecutions"),
			[]string{"execution/exec-1: wider"}},
		{"one action too many", oostest.Allow(execution+"exec-1", "oos:ListExecutions", "oos:CancelExecution"),
			[]string{"oos:CancelExecution on " + execution + "exec-1: never used"}},
		{"a refused request uses nothing", oostest.Allow(execution+"exec-2", "oos:ListExecutions"),
			[]string{"oos:ListExecutions on " + execution + "exec-2: never used"}},
		{"no policy at all", "", []string{"* on *: wider"}},
		{"a list of resources", strings.Replace(oostest.Allow("@", "oos:ListExecutions"), `"@"`,
			`["`+execution+`exec-1","`+execution+`exec-3"]`, 1),
			[]string{"oos:ListExecutions on " + execution + "exec-3: never used"}},
		{"a Deny is no grant", strings.Replace(oostest.Allow(execution+"exec-1", "oos:ListExecutions"), `"Statement":[`,
			`"Statement":[{"Effect":"Deny","Action":"ecs:*","Resource":"*"},`, 1), nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := run(t)
			key := in.Assume(t, "ops", "alice", map[string]string{"Policy": test.policy})
			in.Call(t, key, "ListExecutions", map[string]string{"ExecutionId": "exec-1"})
			in.Call(t, oostest.Key, "ListExecutions", map[string]string{"ExecutionId": "exec-2"}) // somebody else's
			got := in.Account.Unused()
			if len(got) != len(test.want) {
				t.Fatalf("unused = %v, want %q", got, test.want)
			}
			for i, grant := range got {
				if !strings.Contains(grant.String(), test.want[i]) ||
					grant.Session != "acs:ram::"+account+":role/ops/alice" {
					t.Errorf("unused = %s, want %q in it", grant, test.want[i])
				}
			}
		})
	}
}

// A grant is used by its own session only, and only by what was allowed.
func TestUnusedCountsNeitherOthersNorRefusals(t *testing.T) {
	in := run(t, func(o *oostest.Options) { o.Account.Roles[0].Policies = []string{oostest.Allow("*", "oos:List*")} })
	execution := "acs:oos:cn-hangzhou:" + account + ":execution/exec-1"
	both := map[string]string{"Policy": oostest.Allow(execution, "oos:ListExecutions", "oos:CancelExecution")}
	alice, bob := in.Assume(t, "ops", "alice", both), in.Assume(t, "ops", "bob", both)
	want(t, in.Call(t, alice, "ListExecutions", map[string]string{"ExecutionId": "exec-1"}), 200, "")
	want(t, in.Call(t, bob, "CancelExecution", map[string]string{"ExecutionId": "exec-1"}), 403, "NoPermission")
	prefix := "acs:ram::" + account + ":role/ops/"
	wanted := []sts.Grant{
		{Session: prefix + "alice", Action: "oos:CancelExecution", Resource: execution},
		{Session: prefix + "bob", Action: "oos:ListExecutions", Resource: execution},
		{Session: prefix + "bob", Action: "oos:CancelExecution", Resource: execution},
	}
	if got := in.Account.Unused(); !slices.Equal(got, wanted) {
		t.Errorf("unused = %v, want %v", got, wanted)
	}
}

// A role that a service of the cloud acts under.
func TestServiceRole(t *testing.T) {
	in := run(t, func(o *oostest.Options) {
		o.Account.Roles = append(o.Account.Roles, sts.Role{Name: "service",
			Policies: []string{oostest.Allow("*", "ecs:*")},
			Trust: `{"Version":"1","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole",
				"Principal":{"Service":["oos.aliyuncs.com"]}}]}`})
	})
	if who, ok := in.Account.ServiceRole("ops", "oos.aliyuncs.com"); ok {
		t.Errorf("a role that trusts users only gave %v", who.ARN())
	}
	if got := fmt.Sprint(in.Account); got != secret.Mask {
		t.Errorf("an account prints as %q", got)
	}
	if _, ok := in.Account.ServiceRole("service", "fc.aliyuncs.com"); ok {
		t.Error("a role was given to a service that it does not trust")
	}
	if _, ok := in.Account.ServiceRole("none", "oos.aliyuncs.com"); ok {
		t.Error("a role that is not there was given")
	}
	who, ok := in.Account.ServiceRole("service", "oos.aliyuncs.com")
	if !ok || who.Name() != "service/oos.aliyuncs.com" ||
		fmt.Sprint(who) != "acs:ram::"+account+":role/service/oos.aliyuncs.com" || who.SourceIdentity() != "" {
		t.Fatalf("ServiceRole = %v, %v", who, ok)
	}
	if err := in.Account.Authorize(who, "ecs:RebootInstance", "acs:ecs:x"); err != nil {
		t.Error(err)
	}
	var e *sts.Error
	if err := in.Account.Authorize(who, "oos:StartExecution", "acs:oos:x"); !errors.As(err, &e) ||
		e.Code != "NoPermission" ||
		!strings.HasPrefix(err.Error(), "NoPermission: You are not authorized") {
		t.Errorf("error = %v, want NoPermission", err)
	}
}

// No secret is in anything that the account shows.
func TestNothingShowsCredentials(t *testing.T) {
	in := run(t)
	key := in.Assume(t, "ops", "alice", nil)
	in.Call(t, key, "ListExecutions", nil)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		text := fmt.Sprintf(strings.Repeat(verb, 6), in.Account.Sessions(), in.Account.Decisions(), in.Account.Unused(),
			in.Account, key, in.Server)
		for _, hidden := range []string{key.AccessKeySecret, key.SecurityToken, oostest.KeySecret} {
			if strings.Contains(text, hidden) {
				t.Errorf("%s shows a secret", verb)
			}
		}
	}
	if !slices.ContainsFunc(in.Account.Decisions(), func(d sts.Decision) bool { return d.Allowed }) {
		t.Error("no decision was logged")
	}
}
