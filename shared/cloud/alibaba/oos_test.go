package alibaba_test

import (
	"errors"
	"fmt"
	"net/http"
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

const region = oos.DefaultRegion

func executions(t *testing.T, endpoint string) *alibaba.Executions {
	t.Helper()
	e, err := alibaba.NewExecutions(alibaba.Options{Endpoint: endpoint, Credentials: ourKey})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// An execution is started once for a token, seen while it runs and when it has ended, and
// cancelled.
func TestExecutions(t *testing.T) {
	in := oostest.RunT(t, func(o *oostest.Options) {
		o.Templates = []oos.Template{{Name: "restart", Version: "v2",
			Parameters: []oos.Parameter{{Name: "InstanceId", Required: true}},
			Steps:      []oos.Step{{Name: "reboot", Action: "ACS::ECS::RebootInstance", Takes: time.Minute}},
			Outputs:    map[string]string{"message": "{{ InstanceId }} is up"}}}
	})
	e := executions(t, in.OOS)
	request := alibaba.StartRequest{TemplateName: "restart", TemplateVersion: "v2", SafetyCheck: "Skip",
		Parameters: `{"InstanceId":"i-1 & 2"}`, ClientToken: "record-1",
		Tags: map[string]string{"chatconf-record": "1"}}
	first, err := e.Start(t.Context(), region, request)
	if err != nil {
		t.Fatal(err)
	}
	again, err := e.Start(t.Context(), region, request)
	got := in.Server.Executions()
	if err != nil || again.ID != first.ID || len(got) != 1 || got[0].Parameters["InstanceId"] != "i-1 & 2" ||
		got[0].Tags["chatconf-record"] != "1" || got[0].ClientToken != "record-1" {
		t.Errorf("Start again = %+v, %v; executions %+v", again, err, got)
	}
	running, found, err := e.Get(t.Context(), region, first.ID)
	if err != nil || !found || running.Status != "Running" || len(running.CurrentTasks) != 1 ||
		running.CurrentTasks[0] != (alibaba.Task{Name: "reboot", Action: "ACS::ECS::RebootInstance"}) {
		t.Errorf("Get = %+v, %v, %v", running, found, err)
	}
	in.Advance(time.Minute)
	ended, found, err := e.Get(t.Context(), region, first.ID)
	if err != nil || !found || ended.Status != "Success" || ended.Outputs != `{"message":"i-1 & 2 is up"}` {
		t.Errorf("Get = %+v, %v, %v", ended, found, err)
	}
	if _, found, err := e.Get(t.Context(), region, "exec-none"); found || err != nil {
		t.Errorf("Get of none = %v, %v", found, err)
	}
	request.ClientToken, request.Tags = "", nil
	other, err := e.Start(t.Context(), region, request)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Cancel(t.Context(), region, other.ID); err != nil {
		t.Error(err)
	}
	if cancelled, _, err := e.Get(t.Context(), region, other.ID); err != nil || cancelled.Status != "Cancelled" {
		t.Errorf("Get = %+v, %v", cancelled, err)
	}
	var refused *cloud.Refusal
	if err := e.Cancel(t.Context(), region, other.ID); !errors.As(err, &refused) ||
		refused.Code != "InvalidExecutionStatus" || refused.Retryable {
		t.Errorf("Cancel again = %v", err)
	}
}

func TestExecutionsAnswerOddly(t *testing.T) {
	in := oostest.RunT(t)
	e := executions(t, in.OOS)
	for about, body := range map[string]string{"no execution": "{}", "another shape": `{"Execution":[]}`,
		"no JSON": "<html>"} {
		in.SetFault(func(sts.Request) sts.Fault { return sts.Fault{Body: []byte(body)} })
		if _, err := e.Start(t.Context(), region, alibaba.StartRequest{}); err == nil {
			t.Errorf("%s: no error", about)
		}
	}
	in.SetFault(func(sts.Request) sts.Fault { return sts.Fault{Body: []byte(`{"Executions":{}}`)} })
	if _, _, err := e.Get(t.Context(), region, "exec-1"); err == nil {
		t.Error("Get of another shape: no error")
	}
	n := 0
	in.SetFault(func(sts.Request) sts.Fault { n++; return sts.Fault{Err: sts.Throttled(1)} })
	var refused *cloud.Refusal
	if _, _, err := e.Get(t.Context(), region, "exec-1"); !errors.As(err, &refused) || !refused.Retryable ||
		n != cloud.DefaultAttempts {
		t.Errorf("throttled: %v after %d requests", err, n)
	}
}

// Each region has an endpoint of its own.
func TestEndpointsOfExecutions(t *testing.T) {
	if _, err := alibaba.NewExecutions(alibaba.Options{Endpoint: "oos.example.com"}); err == nil {
		t.Error("an invalid endpoint: no error")
	}
	asked := ""
	e, err := alibaba.NewExecutions(alibaba.Options{Transport: cloudtest.Transport(func(r *http.Request) {
		asked = r.URL.Host
	}), Credentials: invoke.Credentials{AccessKeyID: "id", AccessKeySecret: secret}})
	if err != nil {
		t.Fatal(err)
	}
	for _, region := range []string{"cn-beijing", "eu-central-1"} {
		if err := e.Cancel(t.Context(), region, "x"); err == nil || asked != "oos."+region+".aliyuncs.com" {
			t.Errorf("asked %s: %v", asked, err)
		}
	}
	if err := e.Cancel(t.Context(), "", "x"); err == nil || !strings.Contains(err.Error(), "set the region") {
		t.Errorf("without a region: %v", err)
	}
	if text := fmt.Sprintf("%+v %#v", e, e); strings.Contains(text, secret) {
		t.Errorf("the executions show a secret: %s", text)
	}
}
