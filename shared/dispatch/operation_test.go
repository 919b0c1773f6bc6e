package dispatch_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"chatconf/shared/chat"
	"chatconf/shared/cloud"
	"chatconf/shared/command"
	"chatconf/shared/dispatch"
	"chatconf/shared/journal"
	"chatconf/shared/platform/platformsim"
	"chatconf/shared/platform/platformtest"
	"chatconf/shared/secret"
	"chatconf/shared/webhook/webhooktest"
)

// operable are actions that are followed, and who may run what: u1 and u2 everything in test, u3
// only something else, u4 only in another conversation, u5 only under another role.
const operable = `"Actions":{"restart":{"Aliases":["重启"],"Parameters":[` +
	`{"Name":"env","Type":"Enum","Values":["test","prod"],"Required":true},{"Name":"password","Secret":true}],` +
	`"Target":{"Type":"Oos","TemplateName":"T","Parameters":{"Env":"{env}"},"Allow":[{"Action":"ecs:Reboot*",` +
	`"Resource":"acs:ecs:*:*:instance/{env}"}]},"RamRole":"OpsRole","TimeoutSeconds":1800}},` +
	`"Permissions":[{"Effect":"Allow","Principals":["user:u1","user:u2"],"Commands":["restart"],` +
	`"Parameters":{"env":["test"]}},` +
	`{"Effect":"Allow","Principals":["user:u3"],"Commands":["restart"],"Parameters":{"env":["prod"]}},` +
	`{"Effect":"Allow","Principals":["user:u4"],"Commands":["restart"],"Conversations":["C0OTHER"]},` +
	`{"Effect":"Allow","Principals":["user:u5"],"Commands":["restart"],"RamRole":"OtherRole"}]`

// A talk is a bot with operations, to which people say things.
type talk struct {
	*scene
	engine *engine
	said   int
	place  string        // the conversation; an example if empty
	proven bool          // the messages are of SendChatMessage
	refs   []command.Ref // what the webhook started
}

func newTalk(t testing.TB, kind string) *talk {
	p := webhooktest.New(t).Process()
	out := &talk{scene: &scene{Process: p, outside: new(outside)}, engine: &engine{keyed: true,
		progress: succeedAt(1000)}}
	out.bot = p.Create("ops", kind, platformtest.Settings(kind), operable)
	out.d = out.follower(p, nil, func(o *dispatch.Options) {
		o.Targets = map[string]dispatch.Target{command.TargetOOS: out.engine}
	})
	return out
}

// say has a person say something, does what the webhook starts, and returns the answer.
func (k *talk) say(user, text string) string {
	k.Helper()
	k.Advance(time.Second)
	k.said++
	c := k.bot.Say("command", platformsim.Message{ID: fmt.Sprint("m", k.said), User: user, Text: text,
		Conversation: k.place, ReplyURL: "https://hooks.slack.com/commands/PLANTED"})
	if k.proven {
		e, _, err := k.Service.OpenToSend(k.As(), "", "ops", false)
		if err != nil {
			k.Fatal(err)
		}
		proof, err := k.Service.ProveSent(e, c.Received(k.Now()).Digest())
		if err != nil {
			k.Fatal(err)
		}
		c.Header.Set(chat.SentHeader, proof)
	}
	out := k.bot.Post(k.Handler(func(ctx context.Context, ref command.Ref) error {
		k.refs = append(k.refs, ref)
		return nil
	}), c)
	answer := k.Read(c, out)
	for _, ref := range k.refs {
		if err := k.d.Dispatch(k.Context(), ref); err != nil {
			k.Error(err)
		}
	}
	k.refs = nil
	return answer
}

// record returns the newest record of restart.
func (k *talk) record() (id string, state journal.State) {
	k.Helper()
	for _, c := range k.Commands("ops") {
		if c.Command == "restart" {
			return c.Id, c.State
		}
	}
	k.Fatal("no restart is recorded")
	return "", ""
}

// Only people who may now run the recorded action with its values here may use status and cancel.
func TestStatusAndCancel(t *testing.T) {
	k := newTalk(t, "Slack")
	const none = "There is no unfinished operation here."
	expect := func(user, text string, wants ...string) {
		t.Helper()
		got := k.say(user, text)
		for _, want := range wants {
			if !strings.Contains(got, want) {
				t.Errorf("%s says %s: %q, want %q", user, text, got, want)
			}
		}
	}
	expect("u1", "status", none)
	expect("u1", "cancel", none)
	expect("u1", "restart test password=planted-secret", "restart was accepted.")
	id, state := k.record()
	if state != "Running" {
		t.Errorf("state = %s", state)
	}
	expect("u1", "status", "restart: Running. Its id is "+id+".",
		"The execution exec-1 started at 2026-11-23T08:00:03Z.")
	expect("u2", "status "+id, "restart: Running.")
	expect("u3", "status", none)
	expect("u3", "status "+id, "There is no operation "+id+", or you may not run its command.")
	expect("u3", "cancel "+id, "There is no operation "+id+", or you may not run its command.")
	expect("u1", "status x", "There is no operation x, or you may not run its command.")
	expect("u1", "cancel "+strings.Repeat("9", 3000), "There is no operation 999")
	for _, place := range []string{"", "C0OTHER"} {
		for _, user := range []string{"u4", "u5"} {
			k.place = place
			expect(user, "status "+id, "There is no operation "+id+", or you may not run its command.")
			expect(user, "cancel "+id, "There is no operation "+id+", or you may not run its command.")
			expect(user, "cancel", none)
		}
	}
	expect("u2", "status", none)
	expect("u2", "status "+id, "restart: Running.")
	k.place = ""
	if _, state := k.record(); state != "Running" {
		t.Errorf("state = %s", state)
	}

	expect("u2", "重启 env=test", "restart was accepted.")
	second, _ := k.record()
	expect("u1", "cancel", "Several operations are unfinished.", id, second)
	expect("u1", "cancel "+second, "restart will be cancelled.")
	if got, state := k.record(); got != second || state != "Cancelled" {
		t.Errorf("%s: state = %s", got, state)
	}
	expect("u1", "cancel "+second, "restart: Cancelled.")
	expect("u1", "status "+second, "restart: Cancelled.")
	expect("u2", "cancel", "restart will be cancelled.")
	expect("u2", "status", none)
	if want := "restart was cancelled."; strings.Join(k.sent, "|") != want+"|"+want {
		t.Errorf("sent = %q", k.sent)
	}
	if text := fmt.Sprint(k.Log(), k.sent, k.Commands("ops")); strings.Contains(text, "planted-secret") {
		t.Errorf("a secret shows: %s", text)
	}
}

// Operations of others, and many settled commands, hide nothing. Where too much is pending to find
// an operation, status and cancel say so.
func TestStatusAmongMany(t *testing.T) {
	k := newTalk(t, "Slack")
	k.say("u1", "restart test password=planted-secret")
	id, _ := k.record()
	for range 25 { // more than status lists
		k.say("u3", "restart env=prod password=planted-secret")
	}
	for range 100 {
		k.say("u1", "whoami")
	}
	if got := k.say("u1", "status"); !strings.Contains(got, "Its id is "+id+".") {
		t.Errorf("status: %q", got)
	}
	other := k.Create("other", "Slack", platformtest.Settings("Slack"), webhooktest.Open, toHTTP)
	h := k.Handler(func(context.Context, command.Ref) error { return nil })
	for i := range 1000 {
		if out := other.Post(h, other.Say("command", platformsim.Message{ID: fmt.Sprint("o", i),
			Text: "restart"})); out.Code != http.StatusOK {
			t.Fatalf("%d", out.Code)
		}
	}
	for _, word := range []string{"status", "cancel"} {
		want := "Too many operations are unfinished to find yours. Write " + word + " and its id."
		if got := k.say("u1", word); got != want {
			t.Errorf("%s: %q, want %q", word, got, want)
		}
	}
	if got := k.say("u1", "status "+id); !strings.Contains(got, "Its id is "+id+".") {
		t.Errorf("status %s: %q", id, got)
	}
}

// Status says once what the target says, and nothing about how the answer was sent.
func TestStatusShowsWhatTheTargetSays(t *testing.T) {
	k := newTalk(t, "Slack")
	k.proven = true
	k.engine.progress = func(int) dispatch.Progress {
		return dispatch.Progress{State: journal.StateRunning, Detail: "at the second step"}
	}
	k.say("u1", "restart test password=x")
	id, _ := k.record()
	k.pass(5*time.Second, time.Second)
	const execution = "\nThe execution exec-1 started at 2026-11-23T08:00:01Z."
	if got, want := k.say("u1", "status"), "restart: Running. Its id is "+id+"."+execution+
		"\nat the second step"; got != want {
		t.Errorf("running: %q, want %q", got, want)
	}
	if got := k.say("u1", "cancel"); got != "restart will be cancelled." {
		t.Errorf("cancel: %q", got)
	}
	k.pass(5*time.Minute, time.Second)
	if got, want := k.say("u1", "status "+id), "restart: Cancelled. Its id is "+id+"."+execution; got != want {
		t.Errorf("ended: %q, want %q", got, want)
	}
	for _, c := range k.Commands("ops") {
		if c.Id == id && c.Detail != journal.DetailKept {
			t.Errorf("detail = %q", c.Detail)
		}
	}
}

// Why an operation was not started is for administrators: it may name accounts and roles.
func TestStatusKeepsWhyItDidNotStart(t *testing.T) {
	const why = "role/Hidden of 1000000000000000 was denied"
	k := newTalk(t, "Slack")
	k.engine.at = func(context.Context, dispatch.Step, *dispatch.Call) error {
		return &dispatch.Error{Why: why, Refused: true}
	}
	k.say("u1", "restart test password=x")
	id, state := k.record()
	got := k.say("u1", "status "+id)
	if state != "Failed" || !strings.Contains(got, "restart: Failed.") || strings.Contains(got, why) {
		t.Errorf("state %s, status: %s", state, got)
	}
	if text := fmt.Sprint(k.Commands("ops")); !strings.Contains(text, why) {
		t.Errorf("an administrator does not see it: %s", text)
	}
}

// A secret value in what a target says is in no answer, no record and no log.
func TestATargetRepeatsASecret(t *testing.T) {
	const planted = `planted"secret`
	said := []string{planted, `{"password":"planted\"secret"}`}
	failures := []error{&dispatch.Error{Why: planted, Cause: planted, Refused: true}, errors.New(planted), nil}
	for _, step := range []dispatch.Step{dispatch.StepStart, dispatch.StepFollow, dispatch.StepCancel} {
		for i := range failures {
			k := newTalk(t, "Slack")
			k.engine.at = func(_ context.Context, now dispatch.Step, c *dispatch.Call) error {
				switch {
				case now != step:
					return nil
				case failures[i] == nil: // of a cloud, whose message is cut in the log
					return c.CloudError("OOS", &cloud.Refusal{Status: 400, Code: "Odd",
						Message: strings.Repeat("-", 290) + planted})
				}
				return failures[i]
			}
			k.engine.progress = func(n int) dispatch.Progress {
				p := dispatch.Progress{State: journal.StateRunning, Text: said[n%2], Detail: said[n%2]}
				if n > 3 {
					p.State = journal.StateFailed
				}
				return p
			}
			k.say("u1", `restart test password='`+planted+`'`)
			id, _ := k.record()
			k.pass(3*time.Minute, 30*time.Second)
			k.say("u1", "cancel "+id)
			answer := k.say("u1", "status "+id)
			k.pass(2*time.Hour, 10*time.Minute)
			text := fmt.Sprint(k.Log(), k.sent, answer, k.Commands("ops"))
			for _, part := range []string{"planted", "secret"} {
				if strings.Contains(text, part) {
					t.Errorf("%s, failure %d: %q shows: %s", step, i, part, text)
				}
			}
		}
	}
}

// In Chinese too, and where the answer comes later.
func TestStatusWhereAnswersComeLater(t *testing.T) {
	k := newTalk(t, "Feishu")
	for i, text := range []string{"restart test", "status", "cancel"} {
		k.Advance(time.Second)
		c := k.bot.Say("message", platformsim.Message{ID: fmt.Sprint("m", i), Text: text})
		var refs []command.Ref
		k.bot.Post(k.Handler(func(_ context.Context, ref command.Ref) error {
			refs = append(refs, ref)
			return nil
		}), c)
		for _, ref := range refs {
			if err := k.d.Dispatch(k.Context(), ref); err != nil {
				t.Error(err)
			}
		}
	}
	id, state := k.record()
	want := "restart was accepted.|restart: Running. Its id is " + id +
		".\nThe execution exec-1 started at 2026-11-23T08:00:01Z.|restart will be cancelled.|restart was cancelled."
	if got := strings.Join(k.sent, "|"); got != want || state != "Cancelled" {
		t.Errorf("sent = %q, want %q; state %s", got, want, state)
	}
}

// A cancel whose record cannot be written is delivered again, and cancels once.
func TestCancelWhenTheTablesFail(t *testing.T) {
	for _, fault := range []webhooktest.Fault{{}, {After: true}} {
		for n := 1; n < 20; n++ {
			k := newTalk(t, "Slack")
			k.say("u1", "restart test")
			k.Advance(time.Second)
			c := k.bot.Say("command", platformsim.Message{ID: "cancel", User: "u1", Text: "cancel"})
			var refs []command.Ref
			h := k.Handler(func(_ context.Context, ref command.Ref) error { refs = append(refs, ref); return nil })
			k.FailAt(n, fault)
			code := k.bot.Post(h, c).Code
			failed := k.Failed()
			k.FailAt(0, webhooktest.Fault{})
			if code != http.StatusOK {
				code = k.bot.Post(h, c).Code
			}
			k.pass(2*time.Minute, 30*time.Second)
			if _, state := k.record(); state != "Cancelled" || code != http.StatusOK {
				t.Errorf("%+v at call %d: %d, %s", fault, n, code, state)
			}
			if !failed {
				if n < 4 {
					t.Errorf("%d calls failed", n)
				}
				break
			}
		}
	}
}

// A message that is another command after a change of Actions is not run.
func TestActionsChangeMeanwhile(t *testing.T) {
	for about, test := range map[string]struct{ before, now, detail string }{
		"a parameter of another type": {`"Type":"Enum","Values":["test","prod"]`, `"Type":"String"`,
			"Actions were changed in the meantime and make another command of the message"},
		"a default that was added": {`{"Name":"password","Secret":true}`, `{"Name":"password","Default":"x"}`,
			"Actions were changed in the meantime and make another command of the message"},
		"another role": {`"RamRole":"OpsRole"`, `"RamRole":"Other"`,
			"Permissions were changed in the meantime and allow it only with another RamRole"},
	} {
		k := newTalk(t, "Slack")
		var refs []command.Ref
		h := k.Handler(func(_ context.Context, ref command.Ref) error { refs = append(refs, ref); return nil })
		k.bot.Post(h, k.bot.Say("command", platformsim.Message{ID: "m", Text: "restart test"}))
		text := secret.Text(`{"SlackSigningSecret":"******",` + strings.Replace(operable, test.before, test.now,
			1) + `}`)
		if _, err := k.Service.Update(k.As(), &chat.UpdateRequest{Name: "ops", Configuration: &text}); err != nil {
			t.Fatalf("%s: %v", about, err)
		}
		k.ref = refs[0]
		k.dispatch()
		if c := k.command(); c.State != "Failed" || c.Outcome != "Failed" || c.Detail != test.detail ||
			len(k.engine.all) > 0 || len(k.sent) != 0 {
			t.Errorf("%s: %+v, sent = %q", about, c, k.sent)
		}
	}
}

// An action's time-out is the operation's, and nothing that was not declared reaches the target.
func TestACallOfAnAction(t *testing.T) {
	k := newTalk(t, "Slack")
	var calls []*dispatch.Call
	k.engine.at = func(_ context.Context, _ dispatch.Step, c *dispatch.Call) error {
		calls = append(calls, c)
		return nil
	}
	k.say("u1", "restart --env=test --password=planted-secret")
	k.pass(5*time.Second, time.Second)
	if len(calls) != 3 {
		t.Fatalf("%d calls", len(calls))
	}
	for i, c := range calls {
		if c.Timeout != 30*time.Minute || c.Role != "OpsRole" || c.Target.TemplateName != "T" ||
			c.Command.Action != "restart" ||
			len(c.Command.Parameters) != 2 || c.Command.Parameters[1].Text != "planted-secret" ||
			(c.Execution == "exec-1") != (i > 0) || (c.Target.Allow == nil) != (i > 0) ||
			(c.Target.Parameters == nil) != (i > 0) {
			t.Errorf("call %d: %+v", i, c)
		}
	}
	k.pass(29*time.Minute, time.Minute)
	if _, state := k.record(); state != "Running" {
		t.Errorf("within its time: %s", state)
	}
	k.pass(2*time.Minute, time.Minute)
	if _, state := k.record(); state != "TimedOut" {
		t.Errorf("after its time: %s", state)
	}
}
