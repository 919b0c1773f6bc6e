package alibaba_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"chatconf/shared/cloud"
	"chatconf/shared/cloud/alibaba"
	"chatconf/shared/cloud/cloudtest"
	"chatconf/shared/emulator/oos"
	"chatconf/shared/emulator/oos/oostest"
	"chatconf/shared/emulator/sts"
	"chatconf/shared/invoke"
)

const externalID = "acs:oos:cn-hangzhou:1234567890123456:chatconfiguration/bot"

// trusting is a trust policy of actions, for one configuration.
func trusting(actions string) string {
	return `{"Version":"1","Statement":[{"Effect":"Allow","Action":` + actions + `,
		"Principal":{"RAM":"acs:ram::1234567890123456:root"},
		"Condition":{"StringEquals":{"sts:ExternalId":"` + externalID + `"}}}]}`
}

// bank is an account with roles that trust one configuration.
func bank(t *testing.T) *oostest.Instance {
	return oostest.RunT(t, func(o *oostest.Options) {
		both := trusting(`["sts:AssumeRole","sts:SetSourceIdentity"]`)
		o.Account.Roles = []sts.Role{
			{Name: "ops", Trust: both, Policies: []string{oostest.Everything}},
			{Name: "anonymous", Trust: trusting(`"sts:AssumeRole"`), Policies: []string{oostest.Everything}},
		}
		o.Account.Users = append(o.Account.Users, sts.User{Name: "poor", KeyID: "poor", KeySecret: secret})
		o.Templates = []oos.Template{{Name: "restart", Steps: []oos.Step{{Name: "s"}}}}
	})
}

func roles(t *testing.T, endpoint string, key invoke.Credentials) *alibaba.Roles {
	t.Helper()
	r, err := alibaba.NewRoles(alibaba.Options{Endpoint: endpoint, Credentials: key})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

var ourKey = invoke.Credentials{AccessKeyID: oostest.KeyID, AccessKeySecret: oostest.KeySecret}

// session is a session of the role ops for one template.
func session() cloud.Session {
	return cloud.Session{
		Role: "ops", Account: "1234567890123456", Name: "slack.U1", SourceIdentity: "slack.U1", ExternalID: externalID,
		Policy: `{"Version":"1","Statement":[{"Effect":"Allow","Action":"oos:StartExecution","Resource":[
			"acs:oos:cn-hangzhou:1234567890123456:template/restart",
			"acs:oos:cn-hangzhou:1234567890123456:execution/*"]}]}`,
		Duration: 20 * time.Minute, Tags: map[string]string{"sender": "U1"},
	}
}

// The session is as requested, and its credentials can do exactly what the policy allows.
func TestAssume(t *testing.T) {
	in := bank(t)
	sessions := cloud.NewSessions(roles(t, in.STS, ourKey).Assume, in.Now)
	ctx, err := sessions.With(t.Context(), session())
	if err != nil {
		t.Fatal(err)
	}
	got := in.Account.Sessions()
	if len(got) != 1 || got[0].Role != "ops" || got[0].Name != "slack.U1" || got[0].SourceIdentity != "slack.U1" ||
		got[0].ExternalID != externalID || got[0].Policy != session().Policy ||
		!got[0].Expires.Equal(in.Now().Add(1230*time.Second)) {
		t.Fatalf("sessions = %+v", got)
	}
	c := invoke.From(ctx).Credentials
	lent := oostest.Credentials{AccessKeyID: c.AccessKeyID, AccessKeySecret: c.AccessKeySecret,
		SecurityToken: c.SecurityToken}
	if a := in.Call(t, lent, "StartExecution", map[string]string{"TemplateName": "restart"}); a.Code != "" {
		t.Errorf("StartExecution = %v", a.Body)
	}
	if a := in.Call(t, lent, "ListExecutions", nil); a.Code != "NoPermission" {
		t.Errorf("ListExecutions = %v", a.Body)
	}
	if unused := in.Account.Unused(); len(unused) != 0 {
		t.Errorf("unused = %v", unused)
	}
	// By its ARN it is the same role; the account is not used then.
	byARN := session()
	byARN.Role, byARN.Account = "acs:ram::1234567890123456:role/ops", "1"
	if _, err := sessions.With(t.Context(), byARN); err != nil {
		t.Error(err)
	}
	// Only what is set is sent.
	bare := cloud.Session{Role: "acs:ram::1234567890123456:role/ops", Name: "ab"}
	if _, err := sessions.With(t.Context(), bare); err == nil || len(in.Account.Sessions()) != 2 {
		t.Errorf("without an ExternalID: %v", err)
	}
}

func TestAssumeIsRefused(t *testing.T) {
	in := bank(t)
	for _, test := range []struct {
		about  string
		change func(*cloud.Session)
		key    invoke.Credentials
		fault  func(sts.Request) sts.Fault
		why    string
		again  bool
	}{
		{about: "another configuration", change: func(s *cloud.Session) { s.ExternalID += "2" },
			why: "access was denied. The role's trust policy must allow sts:AssumeRole and sts:SetSourceIdentity to " +
				"the role of this service, with the sts:ExternalId " + externalID + "2 if it requires one; and the " +
				"policy of this service must allow both actions on acs:ram::1234567890123456:role/ops"},
		{about: "a role that trusts nobody's name", change: func(s *cloud.Session) { s.Role = "anonymous" },
			why: "sts:SetSourceIdentity"},
		{about: "no right to assume roles", key: invoke.Credentials{AccessKeyID: "poor", AccessKeySecret: secret},
			why: "access was denied"},
		{about: "no such role", change: func(s *cloud.Session) { s.Role = "none" },
			why: "there is no such role in account 1234567890123456"},
		{about: "no such account", change: func(s *cloud.Session) { s.Account = "2" },
			why: "there is no such role in account 2"},
		{about: "an invalid policy", change: func(s *cloud.Session) { s.Policy = "{" },
			why: "the session policy for this action is too large or invalid"},
		{about: "a large policy", change: func(s *cloud.Session) { s.Policy = strings.Repeat(" ", 2049) },
			why: "the session policy for this action is too large or invalid"},
		{about: "an unknown key", key: invoke.Credentials{AccessKeyID: "x", AccessKeySecret: secret},
			why: "the credentials of this service are invalid or have expired", again: true},
		{about: "a wrong secret", key: invoke.Credentials{AccessKeyID: oostest.KeyID, AccessKeySecret: secret},
			why: "the credentials of this service are invalid or have expired", again: true},
		{about: "an expired session of the service", key: invoke.Credentials{AccessKeyID: "STS.x",
			AccessKeySecret: secret, SecurityToken: secret},
			why: "the credentials of this service are invalid or have expired", again: true},
		{about: "throttled", fault: func(sts.Request) sts.Fault { return sts.Fault{Err: sts.Throttled(1)} },
			why: "the security token service is throttled", again: true},
		{about: "too long a session", fault: func(sts.Request) sts.Fault {
			return sts.Fault{Err: sts.Errorf("InvalidParameter.DurationSeconds", "15min")}
		}, why: "its maximum session duration is under 1230 seconds; raise it, or lower TimeoutSeconds"},
		{about: "down", fault: func(sts.Request) sts.Fault { return sts.Fault{Err: sts.Unavailable()} },
			why: "the security token service answered ServiceUnavailable, status 503", again: true},
		{about: "an unknown reason", fault: func(sts.Request) sts.Fault {
			return sts.Fault{Err: sts.Errorf("Odd", "odd")}
		}, why: "the security token service answered Odd, status 400"},
		{about: "an answer without credentials", fault: func(sts.Request) sts.Fault {
			return sts.Fault{Body: []byte(`{"Credentials":{"AccessKeySecret":"` + secret + `"}}`)}
		}, why: "the security token service gave an invalid answer", again: true},
		{about: "credentials of another shape", fault: func(sts.Request) sts.Fault {
			return sts.Fault{Body: []byte(`{"Credentials":"` + secret + `"}`)}
		}, why: "the security token service gave an invalid answer", again: true},
		{about: "no answer", fault: func(sts.Request) sts.Fault { return sts.Fault{Drop: true} },
			why: "the security token service could not be reached", again: true},
	} {
		t.Run(test.about, func(t *testing.T) {
			in.SetFault(test.fault)
			want, key := session(), ourKey
			if test.change != nil {
				test.change(&want)
			}
			if test.key.AccessKeyID != "" {
				key = test.key
			}
			checkRefused(t, roles(t, in.STS, key), want, test.why, test.again)
		})
	}
	in.SetFault(nil)
	checkRefused(t, roles(t, in.STS, invoke.Credentials{}), session(), "this service has no credentials", false)
}

// checkRefused checks the error of a session. Nothing that people or the log see has a secret.
func checkRefused(t *testing.T, r *alibaba.Roles, want cloud.Session, why string, again bool) {
	t.Helper()
	lease, err := r.Assume(t.Context(), want)
	var e *cloud.RoleError
	if !errors.As(err, &e) || !strings.Contains(e.Why, why) || e.Again != again || e.Role != want.Role ||
		e.Err == nil || lease.Credentials != (invoke.Credentials{}) {
		t.Errorf("Assume = %v, want %q, again %v", err, why, again)
		return
	}
	if text := fmt.Sprintf("%v %+v %v", e, e, e.Err); strings.Contains(text, secret) {
		t.Errorf("the error shows a secret: %s", text)
	}
	if strings.Contains(e.Why, "127.0.0.1") {
		t.Errorf("the error names a host: %s", e.Why)
	}
}

// A session is obtained even if the service is throttled for a moment.
func TestAssumeAsksAgain(t *testing.T) {
	in := bank(t)
	n := 0
	in.SetFault(func(sts.Request) sts.Fault {
		if n++; n < 3 {
			return sts.Fault{Err: sts.Throttled(1)}
		}
		return sts.Fault{}
	})
	if _, err := roles(t, in.STS, ourKey).Assume(t.Context(), session()); err != nil || n != 3 {
		t.Errorf("Assume = %v after %d requests", err, n)
	}
}

// The invocation's credentials sign. If the caller ends, that is not an error of the service.
func TestAssumeOfAnInvocation(t *testing.T) {
	in := bank(t)
	ctx := invoke.With(t.Context(), &invoke.Invocation{Credentials: ourKey})
	if _, err := roles(t, in.STS, invoke.Credentials{}).Assume(ctx, session()); err != nil {
		t.Error(err)
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := roles(t, in.STS, ourKey).Assume(ended, session()); !errors.Is(err, context.Canceled) {
		t.Errorf("of a caller that has ended: %v", err)
	}
}

func TestNewRoles(t *testing.T) {
	for about, o := range map[string]alibaba.Options{
		"no region": {}, "an invalid endpoint": {Endpoint: "sts.example.com"},
	} {
		if _, err := alibaba.NewRoles(o); err == nil || !strings.HasPrefix(err.Error(), "sts: ") {
			t.Errorf("%s: %v", about, err)
		}
	}
	asked := ""
	r, err := alibaba.NewRoles(alibaba.Options{Region: "cn-hangzhou", Credentials: ourKey,
		Transport: cloudtest.Transport(func(r *http.Request) { asked = r.URL.Host })})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Assume(t.Context(), session()); err == nil || asked != "sts.cn-hangzhou.aliyuncs.com" {
		t.Errorf("asked is %s, %v", asked, err)
	}
	// An answer that is no JSON at all.
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "<html>"+secret)
	}))
	defer server.Close()
	r = roles(t, server.URL, ourKey)
	if _, err := r.Assume(t.Context(), session()); err == nil || strings.Contains(err.Error(), secret) {
		t.Errorf("Assume = %v", err)
	}
}
