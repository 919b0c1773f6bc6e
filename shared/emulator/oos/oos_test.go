package oos_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"chatconf/shared/emulator/oos"
	"chatconf/shared/emulator/oos/oostest"
	"chatconf/shared/emulator/sts"
)

const (
	account = sts.DefaultAccountID
	prefix  = "acs:oos:cn-hangzhou:" + account + ":"
)

// trusted is a trust policy for the account and for OOS.
const trusted = `{"Version":"1","Statement":[{"Effect":"Allow","Action":["sts:AssumeRole","sts:SetSourceIdentity"],
	"Principal":{"RAM":"acs:ram::` + account + `:root","Service":"oos.aliyuncs.com"}}]}`

// templates are those of the tests.
var templates = []oos.Template{
	{Name: "restart", Version: "v1", Steps: []oos.Step{{Name: "old"}}},
	{
		Name: "restart", Version: "v2", Queued: 5 * time.Second,
		Parameters: []oos.Parameter{{Name: "InstanceId", Required: true}, {Name: "Force", Default: "false"}},
		Steps: []oos.Step{
			{Name: "stop", Action: "ACS::ECS::StopInstance", Takes: 10 * time.Second},
			{Name: "start", Action: "ACS::ECS::StartInstance", Takes: 10 * time.Second},
		},
		Outputs: map[string]string{"message": "{{ InstanceId }} restarted, force {{Force}}",
			"by": "{{ ACS::ExecutionId }} in {{ ACS::RegionId }} of {{ ACS::AccountId }}"},
	},
	{Name: "slow", Steps: []oos.Step{{Name: "wait", Endless: true}}},
	{Name: "fails", Steps: []oos.Step{{Name: "one", Takes: time.Second}, {Name: "two", Takes: time.Second,
		Fails: "no such disk"}}},
	{Name: "flaky", Steps: []oos.Step{{Name: "try", Takes: time.Second, Fails: "busy", FailTimes: 2}}},
	{Name: "approve", Steps: []oos.Step{{Name: "ask", Action: "ACS::Approve", Approve: true}, {Name: "do",
		Takes: time.Second}}},
	{Name: "twice", Steps: []oos.Step{
		{Name: "one", Approve: true, Needs: []oos.Permission{{Action: "ecs:StopInstance", Resource: "acs:ecs:a"}}},
		{Name: "two", Approve: true, Needs: []oos.Permission{{Action: "ecs:StartInstance", Resource: "acs:ecs:a"}}},
	}},
	{Name: "risky", Steps: []oos.Step{{Name: "delete", Risky: true, Takes: time.Second}}},
	{
		Name: "needs", Parameters: []oos.Parameter{{Name: "InstanceId", Required: true}, {Name: "OOSAssumeRole"}},
		RamRole: "{{ OOSAssumeRole }}",
		Steps: []oos.Step{{Name: "reboot", Takes: time.Second, Needs: []oos.Permission{
			{Action: "ecs:RebootInstance", Resource: "acs:ecs:*:*:instance/{{ InstanceId }}"}}}},
	},
}

func run(t testing.TB, set ...func(*oostest.Options)) *oostest.Instance {
	t.Helper()
	return oostest.RunT(t, append([]func(*oostest.Options){func(o *oostest.Options) {
		o.Templates = templates
		o.Account.Roles = []sts.Role{{Name: "ops", Trust: trusted, Policies: []string{oostest.Everything}}}
	}}, set...)...)
}

func want(t *testing.T, a oostest.Answer, status int, code string) {
	t.Helper()
	if a.Status != status || a.Code != code {
		t.Errorf("answer = %d %q (%v), want %d %q", a.Status, a.Code, a.Body["Message"], status, code)
	}
}

// start starts an execution and returns its id.
func start(t *testing.T, in *oostest.Instance, template string, params map[string]string) string {
	t.Helper()
	all := map[string]string{"TemplateName": template}
	for name, value := range params {
		all[name] = value
	}
	a := in.Call(t, oostest.Key, "StartExecution", all)
	e, _ := a.Body["Execution"].(map[string]any)
	id, _ := e["ExecutionId"].(string)
	if a.Code != "" || !strings.HasPrefix(id, "exec-") {
		t.Fatalf("StartExecution %s = %d %s: %v", template, a.Status, a.Code, a.Body)
	}
	return id
}

// list returns one execution as ListExecutions answers it.
func list(t *testing.T, in *oostest.Instance, id string) map[string]any {
	t.Helper()
	a := in.Call(t, oostest.Key, "ListExecutions", map[string]string{"ExecutionId": id})
	executions, _ := a.Body["Executions"].([]any)
	if a.Code != "" || len(executions) != 1 {
		t.Fatalf("ListExecutions %s = %d %s: %v", id, a.Status, a.Code, a.Body)
	}
	return executions[0].(map[string]any)
}

// wantStatus asks for a status, and for what the message has in it.
func wantStatus(t *testing.T, in *oostest.Instance, id string, status oos.Status, message string) {
	t.Helper()
	e := list(t, in, id)
	if got, _ := e["StatusMessage"].(string); e["Status"] != string(status) || !strings.Contains(got, message) {
		t.Errorf("execution = %v %q, want %v %q", e["Status"], got, status, message)
	}
	if running := status == oos.Running || status == oos.Waiting; running != (len(e["CurrentTasks"].([]any)) == 1) {
		t.Errorf("%v with tasks %v", status, e["CurrentTasks"])
	}
	if status.Ended() != (e["EndDate"] != "") {
		t.Errorf("%v with EndDate %v", status, e["EndDate"])
	}
}

func TestNewNamesWhatIsWrong(t *testing.T) {
	in := run(t)
	step := []oos.Step{{Name: "s"}}
	for want, templates := range map[string][]oos.Template{
		`"a b": the name`:    {{Name: "a b", Steps: step}},
		"no Steps":           {{Name: "a"}},
		"v1 twice":           {{Name: "a", Steps: step}, {Name: "a", Version: "v1", Steps: step}},
		`parameter ""`:       {{Name: "a", Steps: step, Parameters: []oos.Parameter{{}}}},
		`parameter "p"`:      {{Name: "a", Steps: step, Parameters: []oos.Parameter{{Name: "p"}, {Name: "p"}}}},
		`parameter "ACS::`:   {{Name: "a", Steps: step, Parameters: []oos.Parameter{{Name: "ACS::RegionId"}}}},
		"Steps[0]":           {{Name: "a", Steps: []oos.Step{{}}}},
		"Steps[1]":           {{Name: "a", Steps: []oos.Step{{Name: "s"}, {Name: "s", Takes: -1}}}},
		"{{ role }} is no":   {{Name: "a", Steps: step, RamRole: "{{role}}"}},
		"{{ output }} is no": {{Name: "a", Steps: step, Outputs: map[string]string{"x": "a {{ output }} b"}}},
		"{{ InstanceId }} is no ": {{Name: "a", Steps: []oos.Step{{Name: "s",
			Needs: []oos.Permission{{Resource: "{{InstanceId}}"}}}}}},
	} {
		_, err := oos.New(oos.Options{Account: in.Account, Templates: templates})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error = %v, want %q in it", err, want)
		}
	}
	if _, err := oos.New(oos.Options{}); err == nil || !strings.Contains(err.Error(), "no Account") {
		t.Errorf("error = %v, want that there is no Account", err)
	}
}

// From start to success: the states follow from the clock, and the outputs from the parameters.
func TestAnExecutionSucceeds(t *testing.T) {
	in := run(t)
	a := in.Call(t, oostest.Key, "StartExecution", map[string]string{"TemplateName": "restart",
		"RegionId":   "cn-hangzhou",
		"Parameters": `{"InstanceId":"i-1","Force":true}`, "Tags": `{"platform":"slack","sender":"U1"}`,
		"Description": "asked in chat", "SafetyCheck": "Skip", "Mode": "Automatic", "ResourceGroupId": "rg-1"})
	e, _ := a.Body["Execution"].(map[string]any)
	for name, want := range map[string]any{
		"Status": "Started", "TemplateName": "restart", "TemplateVersion": "v2",
		"Mode": "Automatic", "SafetyCheck": "Skip",
		"Parameters": `{"Force":true,"InstanceId":"i-1"}`, "Outputs": "{}", "Description": "asked in chat",
		"LoopMode":   "Automatic",
		"ExecutedBy": "chatconf(" + account + ")", "ResourceGroupId": "rg-1", "CreateDate": "2026-03-04T05:06:07Z",
		"EndDate": "",
	} {
		if e[name] != want {
			t.Errorf("%s = %v, want %v", name, e[name], want)
		}
	}
	id := e["ExecutionId"].(string)
	for _, test := range []struct {
		after  time.Duration
		status oos.Status
		task   string
	}{
		{0, oos.Queued, ""}, {4 * time.Second, oos.Queued, ""}, {time.Second, oos.Running, "stop"},
		{9 * time.Second, oos.Running, "stop"}, {time.Second, oos.Running, "start"},
		{9 * time.Second, oos.Running, "start"},
		{time.Second, oos.Success, ""}, {time.Hour, oos.Success, ""},
	} {
		in.Advance(test.after)
		wantStatus(t, in, id, test.status, "")
		if tasks := list(t, in, id)["CurrentTasks"].([]any); test.task != "" &&
			tasks[0].(map[string]any)["TaskName"] != test.task {
			t.Errorf("tasks = %v, want %s", tasks, test.task)
		}
	}
	got := list(t, in, id)
	var outputs map[string]string
	if err := json.Unmarshal([]byte(got["Outputs"].(string)), &outputs); err != nil {
		t.Fatal(err)
	}
	if outputs["message"] != "i-1 restarted, force true" || outputs["by"] != id+" in cn-hangzhou of "+account {
		t.Errorf("outputs = %v", outputs)
	}
	if got["EndDate"] != "2026-03-04T05:06:32Z" || got["UpdateDate"] != got["EndDate"] {
		t.Errorf("ended %v, updated %v, want the end of the last step", got["EndDate"], got["UpdateDate"])
	}
	if p, _ := got["Parameters"].(map[string]any); p["Force"] != true || p["InstanceId"] != "i-1" {
		t.Errorf("Parameters = %v, want an object as it was given", got["Parameters"])
	}
	if c, _ := got["Counters"].(map[string]any); c["Total"] != 2.0 || c["Success"] != 2.0 {
		t.Errorf("Counters = %v", got["Counters"])
	}
	seen := in.Server.Executions()
	if len(seen) != 1 || seen[0].ID != id || seen[0].Tags["sender"] != "U1" || seen[0].Parameters["Force"] != "true" ||
		seen[0].Principal != "acs:ram::"+account+":user/chatconf" || seen[0].Status != oos.Success {
		t.Errorf("Executions = %+v", seen)
	}
}

func TestAnExecutionFails(t *testing.T) {
	in := run(t)
	id := start(t, in, "fails", nil)
	in.Advance(2 * time.Second)
	wantStatus(t, in, id, oos.Failed, "two: no such disk")
	if c, _ := list(t, in, id)["Counters"].(map[string]any); c["Failed"] != 1.0 || c["Success"] != 1.0 {
		t.Errorf("Counters = %v", c)
	}
}

func TestAnExecutionIsCancelled(t *testing.T) {
	in := run(t)
	id := start(t, in, "slow", nil)
	in.Advance(1000 * time.Hour)
	wantStatus(t, in, id, oos.Running, "")
	cancel := map[string]string{"ExecutionId": id}
	want(t, in.Call(t, oostest.Key, "CancelExecution", cancel), 200, "")
	wantStatus(t, in, id, oos.Cancelled, "")
	want(t, in.Call(t, oostest.Key, "CancelExecution", cancel), 400, "InvalidExecutionStatus")
	want(t, in.Call(t, oostest.Key, "CancelExecution", nil), 400, "MissingExecutionId")
	want(t, in.Call(t, oostest.Key, "CancelExecution", map[string]string{"ExecutionId": "exec-0"}), 404,
		"EntityNotExists.Execution")
	want(t, in.Call(t, oostest.Key, "CancelExecution", map[string]string{"ExecutionId": id, "x": "y"}), 400,
		"InvalidParameter")
}

// A template's older version, and the parameters that have defaults.
func TestVersionsAndDefaults(t *testing.T) {
	in := run(t)
	id := start(t, in, "restart", map[string]string{"TemplateVersion": "v1"})
	wantStatus(t, in, id, oos.Success, "")
	start(t, in, "restart", map[string]string{"Parameters": `{"InstanceId":["a",{"b":1}]}`})
	if got := in.Server.Executions()[1].Parameters; got["Force"] != "false" || got["InstanceId"] != `["a",{"b":1}]` {
		t.Errorf("Parameters = %v", got)
	}
}

// NotifyExecution: what waits for a person, and what failed and is to be retried or skipped.
func TestNotify(t *testing.T) {
	for _, test := range []struct {
		name, template string
		start          map[string]string
		after          time.Duration
		waits          string // the message of the waiting execution
		notify         map[string]string
		status         oos.Status
		message        string
		later          oos.Status // after a second more
	}{
		{"approved", "approve", nil, 0, "", map[string]string{"NotifyType": "Approve"}, oos.Running, "", oos.Success},
		{"approved by the task's name", "approve", nil, 0, "",
			map[string]string{"NotifyType": "Approve", "TaskName": "ask"},
			oos.Running, "", oos.Success},
		{"rejected", "approve", nil, 0, "", map[string]string{"NotifyType": "Reject", "NotifyNote": "not today"},
			oos.Failed,
			"ask: rejected by chatconf: not today", oos.Failed},
		{"a risk approved", "risky", nil, 0, "", map[string]string{"NotifyType": "Approve"},
			oos.Running, "", oos.Success},
		{"a risk rejected", "risky", nil, 0, "", map[string]string{"NotifyType": "Reject"}, oos.Failed, "no note",
			oos.Failed},
		{"retried in vain", "flaky", map[string]string{"Mode": "FailurePause"}, time.Second, "try: busy",
			map[string]string{"NotifyType": "RetryTask"}, oos.Running, "", oos.Waiting},
		{"skipped", "fails", map[string]string{"Mode": "FailurePause"}, 2 * time.Second, "two: no such disk",
			map[string]string{"NotifyType": "SkipTask"}, oos.Success, "", oos.Success},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := run(t)
			id := start(t, in, test.template, test.start)
			in.Advance(test.after)
			wantStatus(t, in, id, oos.Waiting, test.waits)
			in.Advance(time.Hour)
			wantStatus(t, in, id, oos.Waiting, test.waits)
			test.notify["ExecutionId"] = id
			want(t, in.Call(t, oostest.Key, "NotifyExecution", test.notify), 200, "")
			wantStatus(t, in, id, test.status, test.message)
			in.Advance(time.Second)
			wantStatus(t, in, id, test.later, "")
		})
	}
	in := run(t)
	flaky := start(t, in, "flaky", map[string]string{"Mode": "FailurePause"})
	for range 2 {
		in.Advance(time.Second)
		wantStatus(t, in, flaky, oos.Waiting, "busy")
		want(t, in.Call(t, oostest.Key, "NotifyExecution", map[string]string{"ExecutionId": flaky,
			"NotifyType": "RetryTask"}), 200, "")
	}
	in.Advance(time.Second)
	wantStatus(t, in, flaky, oos.Success, "")
	wantStatus(t, in, start(t, in, "risky", map[string]string{"SafetyCheck": "Skip"}), oos.Running, "")

	waits := start(t, in, "approve", nil)
	for _, test := range []struct {
		params map[string]string
		status int
		code   string
	}{
		{map[string]string{"NotifyType": "Approve"}, 400, "MissingExecutionId"},
		{map[string]string{"ExecutionId": waits}, 400, "MissingNotifyType"},
		{map[string]string{"ExecutionId": waits, "NotifyType": "CompleteExecution"}, 400, "InvalidParameter"},
		{map[string]string{"ExecutionId": waits, "NotifyType": "RetryTask"}, 400, "InvalidExecutionStatus"},
		{map[string]string{"ExecutionId": waits, "NotifyType": "Approve", "TaskName": "do"}, 400, "InvalidParameter"},
		{map[string]string{"ExecutionId": waits, "NotifyType": "Approve", "TaskExecutionId": "x"},
			400, "InvalidParameter"},
		{map[string]string{"ExecutionId": waits, "NotifyType": "Approve", "Parameters": "{}"}, 400, "InvalidParameter"},
		{map[string]string{"ExecutionId": flaky, "NotifyType": "RetryTask"}, 400, "InvalidExecutionStatus"},
		{map[string]string{"ExecutionId": "exec-0", "NotifyType": "Approve"}, 404, "EntityNotExists.Execution"},
	} {
		want(t, in.Call(t, oostest.Key, "NotifyExecution", test.params), test.status, test.code)
	}
	wantStatus(t, in, waits, oos.Waiting, "")
}

// Each step is approved for itself, and has its own permissions.
func TestEachStepIsApproved(t *testing.T) {
	in := run(t, func(o *oostest.Options) {
		o.Account.Users[0].Policies = []string{oostest.Allow("*", "oos:*", "ecs:StopInstance")}
	})
	id := start(t, in, "twice", nil)
	for _, status := range []oos.Status{oos.Waiting, oos.Failed} {
		wantStatus(t, in, id, oos.Waiting, "")
		approve := map[string]string{"ExecutionId": id, "NotifyType": "Approve"}
		want(t, in.Call(t, oostest.Key, "NotifyExecution", approve), 200, "")
		wantStatus(t, in, id, status, "")
	}
	if got := in.Server.Executions()[0].StatusMessage; !strings.HasPrefix(got, "two: NoPermission: ") {
		t.Errorf("message = %q, want that of the second step", got)
	}
}

// The same ClientToken starts nothing twice, also when the first answer was lost.
func TestClientToken(t *testing.T) {
	in := run(t)
	params := map[string]string{"ClientToken": "record-1_A", "Parameters": `{"InstanceId":"i-1"}`}
	in.SetFault(func(sts.Request) sts.Fault { return sts.Fault{Err: sts.Unavailable(), Applied: true} })
	params["TemplateName"] = "restart"
	want(t, in.Call(t, oostest.Key, "StartExecution", params), 503, "ServiceUnavailable")
	in.SetFault(nil)
	in.Advance(6 * time.Second)
	first := start(t, in, "restart", params)
	if second := start(t, in, "restart", params); second != first {
		t.Errorf("two executions, %s and %s", first, second)
	}
	if n := len(in.Server.Executions()); n != 1 {
		t.Errorf("%d executions, want one", n)
	}
	wantStatus(t, in, first, oos.Running, "")
	params["Parameters"] = `{"InstanceId":"i-2"}`
	want(t, in.Call(t, oostest.Key, "StartExecution", params), 400, "IdempotentParameterMismatch")
	if other := start(t, in, "slow", nil); other == start(t, in, "slow", nil) {
		t.Error("without a token two calls started one execution")
	}
}

// Many clients at once, all with the token of one record, start one execution.
func TestOneTokenAtOnce(t *testing.T) {
	in := run(t)
	started := make(chan string)
	for range 8 {
		go func() {
			a := in.Call(t, oostest.Key, "StartExecution",
				map[string]string{"TemplateName": "slow", "ClientToken": "one"})
			e, _ := a.Body["Execution"].(map[string]any)
			id, _ := e["ExecutionId"].(string)
			started <- id
		}()
	}
	first := <-started
	for range 7 {
		if id := <-started; id != first || id == "" {
			t.Errorf("started %q and %q", first, id)
		}
	}
	if n := len(in.Server.Executions()); n != 1 {
		t.Errorf("%d executions, want one", n)
	}
}

func TestStartRefusesParameters(t *testing.T) {
	in := run(t)
	long := strings.Repeat("a", 201)
	tags := make(map[string]string)
	for i := range 21 {
		tags[fmt.Sprint("k", i)] = "v"
	}
	many, _ := json.Marshal(tags)
	for _, test := range []struct {
		name   string
		params map[string]string
		status int
		code   string
	}{
		{"no template", map[string]string{"TemplateName": ""}, 400, "MissingTemplateName"},
		{"an invalid template's name", map[string]string{"TemplateName": "a*"}, 400, "InvalidParameter"},
		{"a long template's name", map[string]string{"TemplateName": long}, 400, "InvalidParameter"},
		{"an unknown template", map[string]string{"TemplateName": "none"}, 404, "EntityNotExists.Template"},
		{"an unknown version", map[string]string{"TemplateVersion": "v3"}, 404, "EntityNotExists.Template"},
		{"a template in the request", map[string]string{"TemplateContent": "{}"}, 400, "InvalidParameter"},
		{"another region", map[string]string{"RegionId": "cn-beijing"}, 400, "InvalidRegionId"},
		{"a mode", map[string]string{"Mode": "Debug"}, 400, "InvalidParameter"},
		{"a loop mode", map[string]string{"LoopMode": "FirstBatchPause"}, 400, "InvalidParameter"},
		{"a safety check", map[string]string{"SafetyCheck": "No"}, 400, "InvalidParameter"},
		{"a token", map[string]string{"ClientToken": "a b"}, 400, "InvalidParameter"},
		{"a long token", map[string]string{"ClientToken": long[:65]}, 400, "InvalidParameter"},
		{"a long description", map[string]string{"Description": long}, 400, "InvalidParameter"},
		{"parameters that are no JSON", map[string]string{"Parameters": "{"}, 400, "InvalidParameter"},
		{"parameters that are no object", map[string]string{"Parameters": "[]"}, 400, "InvalidParameter"},
		{"a required parameter that is missing", map[string]string{"Parameters": "{}"}, 400, "MissingParameter"},
		{"no parameters", map[string]string{"Parameters": ""}, 400, "MissingParameter"},
		{"a parameter twice", map[string]string{"Parameters": `{"InstanceId":"a","InstanceId":"b"}`}, 400,
			"InvalidParameter"},
		{"an undeclared parameter", map[string]string{"Parameters": `{"InstanceId":"a","Env":"b"}`},
			400, "InvalidParameter"},
		{"tags that are no object", map[string]string{"Tags": "[]"}, 400, "InvalidParameter"},
		{"tags that are no JSON", map[string]string{"Tags": "{"}, 400, "InvalidParameter"},
		{"a tag that is a number", map[string]string{"Tags": `{"a":1}`}, 400, "InvalidParameter"},
		{"a tag without a key", map[string]string{"Tags": `{"":"v"}`}, 400, "InvalidParameter"},
		{"a long tag", map[string]string{"Tags": `{"a":"` + long[:129] + `"}`}, 400, "InvalidParameter"},
		{"21 tags", map[string]string{"Tags": string(many)}, 400, "InvalidParameter"},
	} {
		t.Run(test.name, func(t *testing.T) {
			params := map[string]string{"TemplateName": "restart", "Parameters": `{"InstanceId":"i-1"}`}
			for name, value := range test.params {
				if params[name] = value; value == "" {
					delete(params, name)
				}
			}
			want(t, in.Call(t, oostest.Key, "StartExecution", params), test.status, test.code)
		})
	}
	if n := len(in.Server.Executions()); n != 0 {
		t.Errorf("%d executions were started", n)
	}
}

// ids returns the ids of all pages of a list, and how many pages there were.
func ids(t *testing.T, in *oostest.Instance, params map[string]string) (out []string, pages int) {
	t.Helper()
	for token := ""; pages < 20; pages++ {
		call := map[string]string{"NextToken": token}
		for name, value := range params {
			call[name] = value
		}
		a := in.Call(t, oostest.Key, "ListExecutions", call)
		if a.Code != "" {
			t.Fatalf("ListExecutions %v: %s: %v", call, a.Code, a.Body["Message"])
		}
		for _, e := range a.Body["Executions"].([]any) {
			out = append(out, e.(map[string]any)["ExecutionId"].(string))
		}
		if token, _ = a.Body["NextToken"].(string); token == "" {
			if a.Body["TotalCount"] != float64(len(out)) {
				t.Errorf("TotalCount = %v, want %d", a.Body["TotalCount"], len(out))
			}
			return out, pages + 1
		}
	}
	t.Fatal("the pages have no end")
	return nil, 0
}

func TestListFiltersAndPages(t *testing.T) {
	in := run(t)
	var all []string
	for i := range 25 {
		template, params := "slow", map[string]string{"Tags": fmt.Sprintf(`{"n":"%d","odd":"%d"}`, i, i%2)}
		if i%5 == 0 {
			template, params["Description"] = "fails", "fifth"
		}
		all = append(all, start(t, in, template, params))
		in.Advance(time.Minute)
	}
	in.Call(t, oostest.Key, "CancelExecution", map[string]string{"ExecutionId": all[1]})
	back := slices.Clone(all)
	slices.Reverse(back)
	fifth := []string{all[20], all[15], all[10], all[5], all[0]}
	for _, test := range []struct {
		name   string
		params map[string]string
		want   []string
		pages  int
	}{
		{"everything, the last first", nil, back, 1},
		{"pages of ten", map[string]string{"MaxResults": "10"}, back, 3},
		{"by status", map[string]string{"Status": "Failed"}, fifth, 1},
		{"cancelled", map[string]string{"Status": "Cancelled"}, []string{all[1]}, 1},
		{"a status that is never reached", map[string]string{"Status": "Skipped"}, nil, 1},
		{"by a tag", map[string]string{"Tags": `{"n":"7"}`}, []string{all[7]}, 1},
		{"by two tags", map[string]string{"Tags": `{"n":"7","odd":"0"}`}, nil, 1},
		{"by a tag that nothing has", map[string]string{"Tags": `{"m":"7"}`}, nil, 1},
		{"by a part of the template's name", map[string]string{"TemplateName": "ail"}, fifth, 1},
		{"by description", map[string]string{"Description": "fifth"}, fifth, 1},
		{"by who started it", map[string]string{"ExecutedBy": "somebody"}, nil, 1},
		{"by mode", map[string]string{"Mode": "Automatic", "TemplateName": "fails"}, fifth, 1},
		{"what is not there", map[string]string{"ExecutionId": "exec-0"}, nil, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, pages := ids(t, in, test.params)
			if !slices.Equal(got, test.want) || pages != test.pages {
				t.Errorf("got %d executions on %d pages: %v, want %d on %d: %v", len(got),
					pages, got, len(test.want), test.pages,
					test.want)
			}
		})
	}
	token, _ := in.Call(t, oostest.Key, "ListExecutions",
		map[string]string{"MaxResults": "10"}).Body["NextToken"].(string)
	for _, params := range []map[string]string{
		{"MaxResults": "9"}, {"MaxResults": "101"}, {"MaxResults": "many"}, {"Status": "Done"}, {"Tags": "x"},
		{"StartDateAfter": "2026-03-04T05:09:07Z"}, {"SortOrder": "Ascending"}, {"ResourceId": "i-1"},
	} {
		want(t, in.Call(t, oostest.Key, "ListExecutions", params), 400, "InvalidParameter")
	}
	for _, params := range []map[string]string{
		{"NextToken": "x"}, {"NextToken": token, "Status": "Failed"},
	} {
		want(t, in.Call(t, oostest.Key, "ListExecutions", params), 400, "InvalidNextToken")
	}
}
