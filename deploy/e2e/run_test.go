package e2e_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	oos "github.com/alibabacloud-go/oos-20190601/v4/client"
	"github.com/alibabacloud-go/tea/dara"
)

// An operation is what ListChatCommands shows of a command that was run.
type operation struct {
	Id, Command, Decision, RamRole, Target, State, Outcome, ExecutionId, SessionName, Detail, Reason string
	Arguments                                                                                        []string
	Duration                                                                                         *int64
}

// operations returns the latest operations of a bot, the latest first.
func (s *service) operations(t *testing.T, name string, pairs ...string) []operation {
	t.Helper()
	var page struct{ ChatCommands []operation }
	s.send(t, newACS3(s.key, "ListChatCommands", append([]string{"Name", name}, pairs...)...)).ok(t, &page)
	return page.ChatCommands
}

// A person who may restart an instance does so, in one process and through the functions. An
// execution of OOS runs under the role that Permissions name, in the person's name. Commands of
// other people, and other values, start nothing.
func TestCommandsRunInOOSUnderARole(t *testing.T) {
	t.Parallel()
	if functions.target == targetLambda {
		t.Skip("AWS has no OOS")
	}
	e := serveEmulators(t)
	const role = "chatconf-operator"
	client := e.service.client(t)
	must(client.CreateChatConfiguration(&oos.CreateChatConfigurationRequest{Name: dara.String("ops"),
		Type: dara.String("DingTalk"), Configuration: dara.String(jsonText(object{
			"DingTalkClientId": "dingexample", "DingTalkClientSecret": "not-a-real-secret",
			"Actions": object{
				"restart": object{
					"Parameters": []any{object{"Name": "instance", "Required": "true"},
						object{"Name": "env", "Type": "Enum", "Values": []any{"test", "prod"}, "Default": "test"}},
					"Target": object{"Type": "Oos", "TemplateName": "restart-instance",
						"Parameters": object{"InstanceId": "{instance}", "OOSAssumeRole": e.steps}},
				},
			},
			"Permissions": []any{
				object{"Effect": "Allow", "Principals": []any{"user:alice"}, "Commands": []any{"restart"},
					"Parameters": object{"env": []any{"test"}}, "RamRole": role}},
		}))}))(t)
	say := func(user, text string) {
		t.Helper()
		e.service.send(t, newACS3(e.service.key, "SendChatMessage", "Name", "ops", "UserId", user,
			"Text", text)).ok(t, nil)
	}
	say("alice", "restart i-123")
	var o operation
	awaitLong(t, 100*time.Second, "it succeeds", func() bool {
		o = e.service.operations(t, "ops")[0]
		return o.State == "Succeeded"
	})
	if o.RamRole != role || o.SessionName != "DingTalk.alice" || o.Duration == nil || *o.Duration < 1000 {
		t.Errorf("restart is %+v", o)
	}
	bank := e.assume(t, dialects[0].algorithm, `{"Version":"1","Statement":[{"Effect":"Allow","Resource":"*",
		"Action":"oos:ListExecutions"}]}`)
	execution := find(t, bank, o.ExecutionId)
	if got := dara.StringValue(execution.Status); got != "Success" ||
		!strings.HasPrefix(dara.StringValue(execution.ExecutedBy), role+"/DingTalk.alice(") ||
		execution.Tags["chatconf-sender"] != "alice" || execution.Tags["chatconf-record"] != o.Id {
		t.Errorf("the execution is %s by %s, tags %v", got, dara.StringValue(execution.ExecutedBy), execution.Tags)
	}

	for _, test := range []struct{ user, text string }{{"bob", "restart i-123"}, {"alice", "restart i-123 env=prod"}} {
		say(test.user, test.text)
		if o := e.service.operations(t, "ops")[0]; o.Decision != "Denied" || o.ExecutionId != "" || o.State != "" {
			t.Errorf("%s, %s: %+v", test.user, test.text, o)
		}
	}
}

// Through the functions of Lambda, an execution of a state machine runs under the role, and is
// cancelled by the person who started it; and a function is invoked under the role. Moto emulates
// STS and the state machine.
func TestCommandsRunInAWSUnderARole(t *testing.T) {
	t.Parallel()
	if functions.target != targetLambda {
		t.Skip("only the functions of Lambda run state machines")
	}
	const account, role = "123456789012", "chatconf-operator-ops"
	const machine = "arn:aws:states:eu-central-1:" + account + ":stateMachine:deploy"
	req := newRequest(t, http.MethodPost, store.server.url, `{"name":"deploy","roleArn":"arn:aws:iam::`+account+
		`:role/states","definition":"{\"StartAt\":\"a\",\"States\":{\"a\":{\"Type\":\"Pass\",\"End\":true}}}"}`, "")
	req.Header.Set("Content-Type", "application/x-amz-json-1.0")
	req.Header.Set("X-Amz-Target", "AWSStepFunctions.CreateStateMachine")
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+awsKey.ID+
		"/20261129/eu-central-1/states/aws4_request, SignedHeaders=host, Signature=0") // moto verifies none
	resp := must(http.DefaultClient.Do(req))(t)
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("CreateStateMachine: %s", resp.Status)
	}
	s := serve(t, "CHATCONF_ACCOUNT_ID="+account, "AWS_ENDPOINT_URL_STS="+store.server.url,
		"AWS_ENDPOINT_URL_SFN="+store.server.url)
	must(s.client(t).CreateChatConfiguration(&oos.CreateChatConfigurationRequest{Name: dara.String("ops"),
		Type: dara.String("DingTalk"), Configuration: dara.String(jsonText(object{
			"DingTalkClientId": "dingexample", "DingTalkClientSecret": "not-a-real-secret",
			"Actions": object{"deploy": object{"Parameters": []any{object{"Name": "version"}},
				"Target": object{"Type": "StepFunctions", "StateMachineArn": machine}},
				"list": object{"Target": object{"Type": "Function", "Name": "list-chat-configurations"}}},
			"Permissions": []any{object{"Effect": "Allow", "Principals": []any{"user:alice"},
				"Commands": []any{"*"}, "RamRole": role}},
		}))}))(t)
	for _, step := range []struct{ text, state string }{{"deploy v7", "Running"}, {"cancel", "Cancelled"}} {
		s.send(t, newACS3(s.key, "SendChatMessage", "Name", "ops", "UserId", "alice", "Text", step.text)).ok(t, nil)
		var found []operation
		awaitLong(t, 100*time.Second, step.text, func() bool {
			found = s.operations(t, "ops", "State", step.state)
			return len(found) == 1
		})
		if o := found[0]; o.ExecutionId != "arn:aws:states:eu-central-1:"+account+":execution:deploy:"+o.Id ||
			o.SessionName != "DingTalk.alice" || o.RamRole != role || o.Target != "StepFunctions "+machine {
			t.Errorf("%s: %+v", step.text, o)
		}
	}
	s.send(t, newACS3(s.key, "SendChatMessage", "Name", "ops", "UserId", "alice", "Text", "list")).ok(t, nil)
	awaitLong(t, 100*time.Second, "the function answers", func() bool {
		found := s.operations(t, "ops", "State", "Succeeded")
		return len(found) == 1 && found[0].SessionName == "DingTalk.alice" && found[0].RamRole == role
	})
}
