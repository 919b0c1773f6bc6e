package dispatch_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"chatconf/shared/chat"
	"chatconf/shared/cloud"
	"chatconf/shared/command"
	"chatconf/shared/dial"
	"chatconf/shared/dispatch"
	"chatconf/shared/dispatch/function"
	"chatconf/shared/journal"
	"chatconf/shared/platform"
	"chatconf/shared/platform/callback"
	"chatconf/shared/platform/platformsim"
	"chatconf/shared/platform/platformtest"
	"chatconf/shared/secret"
	"chatconf/shared/table"
	"chatconf/shared/webhook/webhooktest"
)

const (
	targetURL    = "https://target.example.com/commands?key=PLANTED"
	targetSecret = "whsec_bm90IGEgcmVhbCBzZWNyZXQgb2YgMzIgYnl0ZXM="
	toHTTP       = `"Target":{"Type":"Http","Url":"` + targetURL + `","Secret":"` + targetSecret + `"}`
	toFunction   = `"Target":{"Type":"Function","Name":"restart-bot"}`
)

// An event is what a target received.
type event struct {
	ID   string
	Body []byte
}

// A target is a Target that is one function.
type target func(context.Context, *dispatch.Call) (dispatch.Progress, error)

// Start implements dispatch.Target.
func (t target) Start(ctx context.Context, c *dispatch.Call) (dispatch.Progress, error) {
	return t(ctx, c)
}

// An outside is what is around the service: a target and a platform.
type outside struct {
	mu     sync.Mutex
	events []event
	sent   []string
	to     []command.ReplyTo

	answer  func(ctx context.Context, n int) ([]byte, error) // of the target, to its n-th event
	refuses error                                            // of the platform
	none    error                                            // why there is no sender
	cut     func()                                           // if set, called whenever the platform is
	send    func(context.Context)                            // the same, before
}

func (o *outside) take(ctx context.Context, e event) ([]byte, error) {
	o.mu.Lock()
	o.events = append(o.events, e)
	n := len(o.events)
	o.mu.Unlock()
	if o.answer == nil {
		return []byte(`{"text":"done"}`), nil
	}
	return o.answer(ctx, n)
}

func (o *outside) Send(ctx context.Context, to command.ReplyTo, text string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.send != nil {
		o.send(ctx)
	}
	if o.cut != nil {
		o.cut()
	}
	if o.refuses != nil {
		return o.refuses
	}
	if err := ctx.Err(); err != nil && o.send == nil {
		return err
	}
	o.sent = append(o.sent, text)
	o.to = append(o.to, to)
	return nil
}

// dispatcher returns a process's dispatcher to the outside.
func (o *outside) dispatcher(p *webhooktest.Process) *dispatch.Dispatcher {
	p.Helper()
	d, err := dispatch.New(dispatch.Options{
		Open:    p.Service.OpenConfiguration,
		Journal: p.Journal,
		Targets: map[string]dispatch.Target{
			command.TargetHTTP: target(func(ctx context.Context, c *dispatch.Call) (dispatch.Progress, error) {
				if c.Target.URL != targetURL || !slices.Equal(c.Target.Secrets, []secret.Text{targetSecret}) {
					p.Errorf("started at %s", c.Target.URL.Reveal())
				}
				body, err := c.Event.MarshalJSON()
				if err != nil {
					return dispatch.Progress{}, err
				}
				answer, err := o.take(ctx, event{c.ID, body})
				return dispatch.Progress{State: journal.StateSucceeded, Text: dispatch.TextOf(answer)}, err
			}),
			command.TargetFunction: function.New("Lambda", "1", calls(func(ctx context.Context, name string,
				body []byte) ([]byte, error) {
				if name != "restart-bot" {
					p.Errorf("invoked is %s", name)
				}
				return o.take(ctx, event{Body: body})
			})),
		},
		Sessions: func(ctx context.Context, _ cloud.Session) (context.Context, error) { return ctx, nil },
		Sender: func(e *command.Endpoint) (dispatch.Sender, error) {
			if e.Settings["SlackSigningSecret"].Reveal() == "" && e.Type == "Slack" {
				p.Error("the sender has no settings")
			}
			return o, o.none
		},
		Now: p.Now,
	})
	if err != nil {
		p.Fatal(err)
	}
	return d
}

// A scene is a command that was recorded and must be dispatched.
type scene struct {
	*webhooktest.Process
	*outside
	bot *webhooktest.Bot
	d   *dispatch.Dispatcher
	ref command.Ref
}

// begin says something to a bot of a type, and leaves what follows to the test.
func begin(t testing.TB, kind, mode, text string, members ...string) *scene {
	t.Helper()
	p := webhooktest.New(t).Process()
	s := &scene{Process: p, outside: new(outside)}
	s.bot = p.Create("ops", kind, platformtest.Settings(kind), append(members, webhooktest.Open)...)
	s.d = s.dispatcher(p)
	h := p.Handler(func(_ context.Context, ref command.Ref) error { s.ref = ref; return nil })
	if out := s.bot.Post(h, s.bot.Say(mode, platformsim.Message{ID: "m1", Text: text,
		ReplyURL: "https://hooks.slack.com/commands/PLANTED"})); out.Code != http.StatusOK {
		t.Fatalf("%d %s", out.Code, p.Log())
	}
	if s.ref.ID == "" {
		t.Fatal("nothing is pending")
	}
	p.Log()
	return s
}

// command returns the one record.
func (s *scene) command() chat.ChatCommand {
	s.Helper()
	list := s.Commands("ops")
	list = slices.DeleteFunc(list, func(c chat.ChatCommand) bool { return c.Command == command.Cancel })
	if len(list) != 1 {
		s.Fatalf("%d records, want one", len(list))
	}
	return list[0]
}

// dispatch does what is left, without an error.
func (s *scene) dispatch() {
	s.Helper()
	if err := s.d.Dispatch(s.Context(), s.ref); err != nil {
		s.Error(err)
	}
}

func TestDelivered(t *testing.T) {
	for _, target := range []string{toHTTP, toFunction} {
		s := begin(t, "Slack", "command", "restart i-1", target)
		s.dispatch()
		if len(s.events) != 1 || !slices.Equal(s.sent, []string{"done"}) ||
			s.to[0].URL.Reveal() != "https://hooks.slack.com/commands/PLANTED" {
			t.Fatalf("events = %v, sent = %q", s.events, s.sent)
		}
		var event struct {
			SpecVersion, ID, Source, Type string
			Data                          struct{ Command, UserID, RamRole string }
		}
		if err := json.Unmarshal(s.events[0].Body, &event); err != nil || event.SpecVersion != "1.0" ||
			event.ID != s.ref.ID || event.Type != "chatconf.command.v1" ||
			event.Data.Command != "restart" || event.Data.UserID != "u1" || event.Data.RamRole != "OpsRole" {
			t.Errorf("event = %s, %v", s.events[0].Body, err)
		}
		if c := s.command(); c.Outcome != "Delivered" || !c.Answered || c.Attempts != 1 || c.Detail != "" {
			t.Errorf("record = %+v", c)
		}
		if log := s.Log(); strings.Count(log, "\n") != 1 || !strings.Contains(log, `"outcome":"Delivered"`) ||
			strings.Contains(log, "PLANTED") || strings.Contains(log, targetSecret) {
			t.Errorf("log = %s", log)
		}
		s.dispatch() // once more, as the cloud may
		if len(s.events) != 1 || len(s.sent) != 1 {
			t.Errorf("done twice: events = %v, sent = %q", s.events, s.sent)
		}
	}
}

// What is said of a message that SendChatMessage made is kept: the platform, which knows nothing of
// the message, is not called, however it ends.
func TestAnswersAreKeptForSendChatMessage(t *testing.T) {
	refused := func(context.Context, int) ([]byte, error) { return nil, &dispatch.Error{Why: "gone", Refused: true} }
	for about, test := range map[string]struct {
		kind, mode, text string
		members          []string
		answer           func(ctx context.Context, n int) ([]byte, error)
		want             string
		outcome          journal.Outcome
	}{
		"an answer that the response could not carry": {"Feishu", "message", "whoami", nil,
			nil, "user:u1", journal.OutcomeDelivered},
		"that it was accepted": {"Feishu", "message", "restart", nil, nil,
			"restart was accepted.", journal.OutcomeDelivered},
		"that it was denied": {"Slack", "event", "stop", nil, nil,
			"You may not run stop here.", journal.OutcomeDelivered},
		"what the target answers": {"DingTalk", "robot", "restart", []string{toHTTP},
			nil, "done", journal.OutcomeDelivered},
		"that the target refused": {"WeChat", "app", "restart", []string{toHTTP}, refused,
			"could not be delivered", journal.OutcomeFailed},
	} {
		p := webhooktest.New(t).Process()
		s := &scene{Process: p, outside: &outside{answer: test.answer}}
		s.bot = p.Create("ops", test.kind, platformtest.Settings(test.kind), append(test.members, webhooktest.Open)...)
		s.d = s.dispatcher(p)
		h := p.Handler(func(_ context.Context, ref command.Ref) error { s.ref = ref; return nil })
		e, _, err := p.Service.OpenToSend(p.As(), "", "ops", false)
		if err != nil {
			t.Fatal(err)
		}
		callback := s.bot.Say(test.mode, platformsim.Message{ID: "m1", Text: test.text})
		proof, err := p.Service.ProveSent(e, callback.Received(p.Now()).Digest())
		if err != nil {
			t.Fatal(err)
		}
		callback.Header.Set(chat.SentHeader, proof)
		if out := s.bot.Post(h, callback); out.Code != http.StatusOK || s.ref.ID == "" {
			t.Fatalf("%s: %d %s", about, out.Code, p.Log())
		}
		s.dispatch()
		if c := s.command(); len(s.sent) > 0 || c.Outcome != test.outcome || !c.Answered {
			t.Errorf("%s: sent = %q, record = %+v", about, s.sent, c)
		}
		m, recorded, err := p.Service.FollowSent(p.Context(), e, s.command().MessageId)
		if err != nil || !recorded || !strings.Contains(m.Answer, test.want) || m.Outcome != test.outcome {
			t.Errorf("%s: kept is %+v, %v, %v, want %q", about, m, recorded, err, test.want)
		}
	}
}

// What a target answers is for people only if it says so, and is anything else nothing.
func TestAnswersOfTargets(t *testing.T) {
	for about, test := range map[string]struct {
		kind, mode, answer, want string
	}{
		// the sender's to escape
		"a text": {"Slack", "command", `{"text":"all <!channel> well","more":[1]}`,
			"all <!channel> well"},
		"none":                               {"Slack", "command", ``, ""},
		"no JSON":                            {"Slack", "command", `done`, ""},
		"another type":                       {"Slack", "command", `{"text":1}`, ""},
		"an empty text":                      {"Slack", "command", `{"text":""}`, ""},
		"none, where nothing was said yet":   {"Feishu", "message", ``, "restart was accepted."},
		"a text, where nothing was said yet": {"Feishu", "message", `{"text":"done"}`, "done"},
	} {
		s := begin(t, test.kind, test.mode, "restart", toHTTP)
		s.answer = func(context.Context, int) ([]byte, error) { return []byte(test.answer), nil }
		s.dispatch()
		if got := strings.Join(s.sent, "|"); got != test.want {
			t.Errorf("%s: sent = %q, want %q", about, got, test.want)
		}
		if c := s.command(); c.Outcome != "Delivered" {
			t.Errorf("%s: record = %+v", about, c)
		}
	}
}

// What a target answers where nobody can be told later is said in the record.
func TestATargetsAnswerThatNobodyCanBeTold(t *testing.T) {
	s := begin(t, "Teams", "", "restart", toHTTP)
	s.dispatch()
	if c := s.command(); c.Outcome != "Delivered" || !c.Answered ||
		c.Detail != "the target's answer was not sent: this conversation has no way to answer later" ||
		len(s.sent) > 0 {
		t.Errorf("record = %+v, sent = %q", c, s.sent)
	}
}

// A target that is busy gets the same event again, later and later, and a quarter of an hour on
// that is given up, and said.
func TestTriedAgain(t *testing.T) {
	for about, busy := range map[string]error{
		"the endpoint is busy": &dispatch.Error{Why: "busy", Again: true, Refused: true},
		"the function failed": fmt.Errorf("function: %w", &cloud.Refusal{Status: 200,
			Code: "Unhandled", Retryable: true}),
		"nobody was there":      errors.New("connection reset"),
		"its time was over":     fmt.Errorf("function: %w", context.DeadlineExceeded),
		"the endpoint was slow": &dispatch.Error{Why: "slow", Again: true},
	} {
		target := toFunction
		if _, ok := busy.(*dispatch.Error); ok {
			target = toHTTP
		}
		s := begin(t, "Slack", "command", "restart", target)
		s.answer = func(context.Context, int) ([]byte, error) { return nil, busy }
		s.dispatch()
		if c := s.command(); c.Outcome != "Pending" || c.Attempts != 1 || c.Detail == "" || len(s.sent) > 0 {
			t.Errorf("%s: record = %+v, sent = %q", about, c, s.sent)
		}
		var waits []time.Duration
		for waited := time.Duration(0); waited < time.Hour; waited += 10 * time.Second {
			n := len(s.events)
			if _, err := s.d.Redrive(s.Context()); err != nil {
				t.Fatal(err)
			}
			if len(s.events) > n {
				waits = append(waits, waited)
			}
			s.Advance(10 * time.Second)
		}
		if got, want := fmt.Sprint(waits), "[1m0s 3m0s 7m0s 15m0s]"; got != want {
			t.Errorf("%s: tried again after %s, want %s", about, got, want)
		}
		c := s.command()
		said := "It is not known how restart ended."
		if about == "the endpoint is busy" || about == "the function failed" {
			said = "restart could not be delivered." // the target answered, so it started nothing
		}
		if c.Outcome != "Failed" || c.Attempts != dispatch.Attempts || !c.Answered || len(s.sent) != 1 ||
			!strings.Contains(s.sent[0], said) || !strings.Contains(s.sent[0], c.Id) {
			t.Errorf("%s: record = %+v, sent = %q", about, c, s.sent)
		}
		for _, e := range s.events {
			if string(e.Body) != string(s.events[0].Body) {
				t.Errorf("%s: the event changed: %s", about, e.Body)
			}
		}
	}
}

// A target that got better gets the command, and no more.
func TestATargetRecovers(t *testing.T) {
	s := begin(t, "Slack", "command", "restart", toHTTP)
	s.answer = func(_ context.Context, n int) ([]byte, error) {
		if n < 3 {
			return nil, &dispatch.Error{Why: "busy", Again: true, Refused: true}
		}
		return []byte(`{"text":"done"}`), nil
	}
	s.dispatch()
	for range 10 {
		s.Advance(time.Minute)
		if _, err := s.d.Redrive(s.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if c := s.command(); c.Outcome != "Delivered" || c.Attempts != 3 || c.Detail != "" ||
		!slices.Equal(s.sent, []string{"done"}) || len(s.events) != 3 {
		t.Errorf("record = %+v, sent = %q, %d events", c, s.sent, len(s.events))
	}
}

// What cannot get better is given up at once, and said.
func TestGivenUp(t *testing.T) {
	for about, test := range map[string]struct {
		target string
		err    error
		detail string
	}{
		"the endpoint refuses": {toHTTP, &dispatch.Error{Why: "the endpoint answered 403", Refused: true},
			"the endpoint answered 403"},
		"there is no such function": {toFunction, fmt.Errorf("function: %w",
			&cloud.Refusal{Status: 404, Code: "ResourceNotFoundException"}), `Lambda has no function "restart-bot"`},
	} {
		s := begin(t, "Slack", "command", "restart", test.target)
		s.answer = func(context.Context, int) ([]byte, error) { return nil, test.err }
		s.dispatch()
		if c := s.command(); c.Outcome != "Failed" || !strings.Contains(c.Detail, test.detail) || !c.Answered ||
			len(s.sent) != 1 || !strings.Contains(s.sent[0], "could not be delivered") {
			t.Errorf("%s: record = %+v, sent = %q", about, c, s.sent)
		}
		if health := s.Health("ops").Health; health.Counters["Failed"] != 1 || health.LastDeliveryError == nil ||
			!strings.Contains(health.LastDeliveryError.Reason, test.detail) {
			t.Errorf("%s: health = %+v", about, health)
		}
	}
}

// A process that has no cloud around it says so.
func TestWithoutACloud(t *testing.T) {
	s := begin(t, "Slack", "command", "restart", toFunction)
	d, err := dispatch.New(dispatch.Options{Open: s.Service.OpenConfiguration, Journal: s.Journal, Now: s.Now,
		Targets: map[string]dispatch.Target{
			command.TargetFunction: dispatch.Unavailable("this service does not run in a cloud")},
		Sender: func(*command.Endpoint) (dispatch.Sender, error) { return nil, errors.New("no sender") }})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Dispatch(s.Context(), s.ref); err != nil {
		t.Fatal(err)
	}
	if c := s.command(); c.Outcome != "Failed" || !strings.Contains(c.Detail, "does not run in a cloud") ||
		!strings.Contains(c.Detail, "no sender") {
		t.Errorf("record = %+v", c)
	}
	if log := s.Log(); !strings.Contains(log, `"level":"WARN"`) {
		t.Errorf("log = %s", log)
	}
}

// permit has other statements in the configuration's Permissions.
func permit(statements string) func(*scene) error {
	return func(s *scene) error {
		text := secret.Text(`{"SlackSigningSecret":"******",` + strings.Replace(toHTTP, targetSecret, "******", 1) +
			`,"Permissions":[` + statements + `]}`)
		_, err := s.Service.Update(s.As(), &chat.UpdateRequest{Name: "ops", Configuration: &text})
		return err
	}
}

// A command of an earlier life of a name goes nowhere, however soon the name has another. Nothing
// of it shows in the present life.
func TestACommandOfAnEarlierLife(t *testing.T) {
	for about, pause := range map[string]time.Duration{"at once": 0, "a second later": time.Second} {
		s := begin(t, "Slack", "command", "restart", toHTTP)
		if _, err := s.Service.Delete(s.As(), &chat.DeleteRequest{Name: "ops"}); err != nil {
			t.Fatal(err)
		}
		s.Advance(pause)
		s.Create("ops", "Slack", platformtest.Settings("Slack"), toHTTP, webhooktest.Open)
		s.dispatch()
		if len(s.events)+len(s.sent) > 0 {
			t.Errorf("%s: events = %v, sent = %v", about, s.events, s.sent)
		}
		if _, err := s.Journal.Claim(s.Context(), s.ref, time.Minute); !errors.Is(err, journal.ErrSettled) {
			t.Errorf("%s: what is left of it: %v", about, err)
		}
		if got := s.Commands("ops"); len(got) > 0 {
			t.Errorf("%s: the present life has the records %+v", about, got)
		}
		if health := s.Health("ops").Health; health.State != chat.HealthSilent || health.Counters["Failed"]+
			health.Counters["Allowed"] > 0 || health.LastDeliveryError != nil {
			t.Errorf("%s: the present life's health is %+v", about, health)
		}
	}
}

// What changed between the record and the handing on counts: the target of now, a bot that is off,
// one that is gone.
func TestConfigurationsChange(t *testing.T) {
	for about, test := range map[string]struct {
		change func(s *scene) error
		want   chat.ChatCommand
	}{
		"the target is the journal": {func(s *scene) error {
			text := secret.Text(`{"SlackSigningSecret":"******",` + webhooktest.Open + `}`)
			_, err := s.Service.Update(s.As(), &chat.UpdateRequest{Name: "ops", Configuration: &text})
			return err
		}, chat.ChatCommand{Outcome: "Delivered", Answered: true, Target: "Journal"}},
		"nobody may any more": {
			permit(`{"Effect":"Allow","Principals":["*"],"Commands":["*"],"RamRole":"OpsRole"},{"Effect":"Deny",` +
				`"Principals":["*"],"Commands":["restart"]}`),
			chat.ChatCommand{Outcome: "Failed", Answered: true,
				Detail: "Permissions were changed in the meantime and no longer allow it",
				Target: "Http target.example.com"}},
		"they may, as another role": {
			permit(`{"Effect":"Allow","Principals":["*"],"Commands":["*"],"RamRole":"Administrator"}`),
			chat.ChatCommand{Outcome: "Failed", Answered: true,
				Detail: "Permissions were changed in the meantime and allow it only with another RamRole",
				Target: "Http target.example.com"}},
		"it is off": {func(s *scene) error {
			_, err := s.Service.Update(s.As(), &chat.UpdateRequest{Name: "ops", Status: chat.StatusInactive})
			return err
		}, chat.ChatCommand{Outcome: "Failed", Answered: true,
			Detail: "the chat configuration became inactive in the meantime", Target: "Http target.example.com"}},
	} {
		s := begin(t, "Slack", "command", "restart", toHTTP)
		if err := test.change(s); err != nil {
			t.Fatal(err)
		}
		s.dispatch()
		if c := s.command(); c.Outcome != test.want.Outcome || c.Detail != test.want.Detail ||
			c.Answered != test.want.Answered || c.Target != test.want.Target || len(s.events) > 0 {
			t.Errorf("%s: record = %+v, events = %v", about, c, s.events)
		}
	}
	s := begin(t, "Slack", "command", "restart", toHTTP)
	if _, err := s.Service.Delete(s.As(), &chat.DeleteRequest{Name: "ops"}); err != nil {
		t.Fatal(err)
	}
	s.dispatch()
	if log := s.Log(); len(s.events) > 0 || !strings.Contains(log, "was deleted in the meantime") ||
		!strings.Contains(log, `"outcome":"Failed"`) {
		t.Errorf("it is gone: events = %v, log = %s", s.events, log)
	}
}

// An answer that goes the long way is tried again as long as there is a way, and nothing goes to
// the target with it.
func TestAnswersThatAreLeft(t *testing.T) {
	s := begin(t, "Feishu", "message", "help", toHTTP)
	s.refuses = errors.New("feishu: busy")
	s.dispatch()
	if c := s.command(); c.Outcome != "Pending" || c.Detail != "the answer was not sent: feishu: busy" {
		t.Errorf("record = %+v", c)
	}
	s.refuses = nil
	s.Advance(time.Minute)
	if found, err := s.d.Redrive(s.Context()); err != nil || found != 1 {
		t.Errorf("Redrive = %d, %v", found, err)
	}
	if c := s.command(); c.Outcome != "Delivered" || !c.Answered || len(s.events) > 0 || len(s.sent) != 1 ||
		!strings.Contains(s.sent[0], "Always allowed: help, whoami.") {
		t.Errorf("record = %+v, sent = %q, events = %v", c, s.sent, s.events)
	}

	s = begin(t, "Feishu", "message", "help", toHTTP)
	s.refuses = errors.New("feishu: busy")
	s.dispatch()
	for range 60 {
		s.Advance(time.Minute)
		if _, err := s.d.Redrive(s.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if c := s.command(); c.Outcome != "Failed" || c.Attempts != dispatch.Attempts || len(s.sent) > 0 {
		t.Errorf("in the end: record = %+v", c)
	}

	// A way that ends before the next attempt may have another: the sender knows.
	s = begin(t, "Slack", "button", "help", toHTTP)
	s.refuses = errors.New("slack: busy")
	s.Advance(29*time.Minute + 30*time.Second)
	s.dispatch()
	s.refuses = nil
	s.Advance(time.Minute)
	s.dispatch()
	if c := s.command(); c.Outcome != "Delivered" || c.Attempts != 2 || s.to[0].ID != "C0EXAMPLE:u1" {
		t.Errorf("with little time: record = %+v, to %+v", c, s.to)
	}
}

// final is an error of a sender that says that it is for good.
type final struct{ error }

func (final) Retryable() bool { return false }

// What a platform refused for good is not tried again; what may pass is.
func TestAnswersThatAreRefused(t *testing.T) {
	for about, test := range map[string]struct {
		err  error
		want string
	}{
		"the bot is not there": {&callback.CallError{What: "feishu: reply", Code: "230002", Status: 400},
			"Failed"},
		"too often": {&callback.CallError{What: "feishu: reply", Code: "99991400",
			Status: 400, Again: true}, "Pending"},
		"a setting is missing":      {final{errors.New("feishu: FeishuAppId is not set")}, "Failed"},
		"the same, around it":       {fmt.Errorf("feishu: %w", final{errors.New("FeishuAppId is not set")}), "Failed"},
		"nobody was reached":        {&dial.Error{What: "feishu: reply", Err: context.DeadlineExceeded}, "Pending"},
		"an error that says naught": {errors.New("feishu: the answer is too long"), "Pending"},
	} {
		for _, making := range []bool{false, true} { // of the sender, or of the answer
			s := begin(t, "Feishu", "message", "help", toHTTP)
			if s.refuses = test.err; making {
				s.refuses, s.none = nil, test.err
			}
			s.dispatch()
			c := s.command()
			if string(c.Outcome) != test.want || c.Attempts != 1 || c.Answered ||
				c.Detail != "the answer was not sent: "+test.err.Error() {
				t.Errorf("%s: record = %+v", about, c)
			}
			s.Advance(time.Hour)
			if found, err := s.d.Redrive(s.Context()); err != nil || (found > 0) != (test.want == "Pending") {
				t.Errorf("%s: Redrive = %d, %v", about, found, err)
			}
		}
	}
}

// An event of Slack can be answered only with SlackBotToken. That it is missing, the record says at
// once.
func TestWithoutASetting(t *testing.T) {
	s := begin(t, "Slack", "event", "help", toHTTP)
	d, err := dispatch.New(dispatch.Options{Open: s.Service.OpenConfiguration, Journal: s.Journal, Now: s.Now,
		Sender: func(e *command.Endpoint) (dispatch.Sender, error) {
			return platform.All().Senders()[e.Type](callback.Settings{},
				callback.NewClient(callback.ClientOptions{Now: s.Now}))
		}})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Dispatch(s.Context(), s.ref); err != nil {
		t.Fatal(err)
	}
	if c := s.command(); c.Outcome != "Failed" || c.Attempts != 1 ||
		!strings.Contains(c.Detail, "SlackBotToken is not set") {
		t.Errorf("record = %+v", c)
	}
}

// hanging returns when ctx ends, as what is called and never answers does.
func hanging(ctx context.Context, _ int) ([]byte, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// A target that hangs is left in time to say so, to whoever gave the command and to the record.
func TestATargetHangs(t *testing.T) {
	for _, target := range []string{toHTTP, toFunction} {
		synctest.Test(t, func(t *testing.T) {
			s := begin(t, "Slack", "command", "restart", target)
			s.answer = hanging
			for n := range dispatch.Attempts {
				began := time.Now()
				s.dispatch()
				if took := time.Since(began); took != 42*time.Second {
					t.Errorf("attempt %d took %v", n+1, took)
				}
				s.Advance(time.Hour)
			}
			if c := s.command(); c.Outcome != "Failed" || !c.Answered || len(s.sent) != 1 ||
				!strings.Contains(c.Detail, "there was no answer in time") {
				t.Errorf("record = %+v, sent = %q", c, s.sent)
			}
		})
	}
}

// A platform that hangs is left as well.
func TestAPlatformHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := begin(t, "Feishu", "message", "help", toHTTP)
		s.send = func(ctx context.Context) { <-ctx.Done() }
		s.refuses = context.DeadlineExceeded
		began := time.Now()
		s.dispatch()
		if took := time.Since(began); took != 10*time.Second {
			t.Errorf("it took %v", took)
		}
		if c := s.command(); c.Outcome != "Pending" || c.Attempts != 1 {
			t.Errorf("record = %+v", c)
		}
	})
}

// A command stays claimed for longer than the slowest work on it takes: the target answers and the
// platform takes the answer at the last moment, and the journal hangs. Until then nobody else
// begins; after it somebody does.
func TestTheLeaseOutlastsTheWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := begin(t, "Slack", "command", "restart", toHTTP)
		other := s.dispatcher(s.World.Process())
		last := func(ctx context.Context) {
			deadline, ok := ctx.Deadline()
			if !ok {
				t.Error("there is time without end")
				return
			}
			took := time.Until(deadline)
			time.Sleep(took)
			s.Advance(took) // the tables' clock is the world's
		}
		s.answer = func(ctx context.Context, _ int) ([]byte, error) { last(ctx); return []byte(`{"text":"done"}`), nil }
		s.send = func(ctx context.Context) {
			last(ctx)
			s.FailAt(1, webhooktest.Fault{Takes: time.Hour}) // from here on the journal
		}
		began := time.Now()
		if err := s.d.Dispatch(s.Context(), s.ref); err == nil {
			t.Error("the journal hangs, and that is no error")
		}
		if took := time.Since(began); took != 57*time.Second {
			t.Errorf("the work took %v", took)
		}
		s.FailAt(0, webhooktest.Fault{})
		s.send, s.answer = nil, nil
		s.Advance(5 * time.Second) // which the journal took
		if err := other.Dispatch(s.Context(), s.ref); err != nil || len(s.events) != 1 {
			t.Errorf("while it was at work: %v, %d events, want one", err, len(s.events))
		}
		s.Advance(time.Minute)
		if err := other.Dispatch(s.Context(), s.ref); err != nil || len(s.events) != 2 {
			t.Errorf("after it: %v, %d events, want two", err, len(s.events))
		}
	})
}

// That nobody could be told is no reason to hand a command over once more.
func TestTheAnswerIsLost(t *testing.T) {
	s := begin(t, "Slack", "command", "restart", toHTTP)
	s.refuses = errors.New("slack: busy")
	s.dispatch()
	s.Advance(time.Hour)
	if found, err := s.d.Redrive(s.Context()); err != nil || found != 0 {
		t.Errorf("Redrive = %d, %v", found, err)
	}
	if c := s.command(); c.Outcome != "Delivered" || c.Detail != "the answer was not sent: slack: busy" ||
		len(s.events) != 1 {
		t.Errorf("record = %+v", c)
	}
}

// The process may end at any step from the callback's arrival to the settled command, or one call
// of the tables may fail there, before it was done or after. The platform delivers what it has no
// answer to again, and a timer looks for what is due. Nothing is lost: there is one record in the
// end, delivered; and what was done twice has the same id.
func TestKilledAtEveryStep(t *testing.T) {
	for _, fault := range []webhooktest.Fault{{}, {After: true}, {Dies: true}, {After: true, Dies: true}} {
		twice, steps := 0, 0
		for n := 1; ; n++ {
			w := webhooktest.New(t)
			o := new(outside)
			first := w.Process()
			bot := first.Create("ops", "Slack", platformtest.Settings("Slack"), webhooktest.Open, toHTTP)
			d := o.dispatcher(first)
			c := bot.Say("command", platformsim.Message{ID: "m1", Text: "restart i-1"})
			w.FailAt(n, fault)
			out := bot.Post(first.Handler(d.Dispatch), c)
			failed := w.Failed()
			w.FailAt(0, webhooktest.Fault{}) // from here on all is well
			second := w.Process()
			for range 3 { // the platform's retries: it has no answer of a process that died, nor of one that says so
				if out.Code == http.StatusOK && !fault.Dies {
					break
				}
				out = bot.Post(second.Handler(o.dispatcher(second).Dispatch), c)
			}
			for range 5 {
				w.Advance(time.Minute)
				if _, err := o.dispatcher(second).Redrive(w.Context()); err != nil {
					t.Fatalf("%+v at call %d: %v", fault, n, err)
				}
			}
			list := second.Commands("ops")
			if len(list) != 1 || list[0].Outcome != "Delivered" || out.Code != http.StatusOK {
				t.Errorf("%+v at call %d: records = %+v, answer %d", fault, n, list, out.Code)
			}
			if len(o.events) < 1 || len(o.events) > 2 {
				t.Errorf("%+v at call %d: %d events", fault, n, len(o.events))
			}
			for _, e := range o.events {
				if len(list) == 1 && e.ID != list[0].Id {
					t.Errorf("%+v at call %d: the event %s is not the record's", fault, n, e.ID)
				}
			}
			if len(o.events) == 2 {
				twice++
			}
			if !failed {
				break
			}
			steps = n
		}
		if steps < 5 || twice == steps {
			t.Errorf("%+v: %d steps, of which %d repeat the delivery", fault, steps, twice)
		}
	}
}

// A command at which every process dies is given up in the end.
func TestEverybodyDies(t *testing.T) {
	s := begin(t, "Slack", "command", "restart", toHTTP)
	s.answer = func(context.Context, int) ([]byte, error) { panic("PLANTED") }
	for range 20 {
		if _, err := s.d.Redrive(s.Context()); err != nil && !strings.Contains(err.Error(), "panic") {
			t.Error(err)
		}
		s.Advance(time.Minute)
	}
	if c := s.command(); c.Outcome != "Failed" || len(s.events) != dispatch.Attempts || len(s.sent) != 1 {
		t.Errorf("record = %+v, %d events, sent = %q", c, len(s.events), s.sent)
	}
}

// A command whose configuration can no longer be read is given up in the end as well, though nobody
// can be told.
func TestTheConfigurationCannotBeRead(t *testing.T) {
	s := begin(t, "Slack", "command", "restart", toHTTP)
	spoilt := table.Change{Puts: []table.Put{{Sort: "c#ops", Value: []byte("PLANTED")}}}
	if err := s.Configurations.Table.Write(s.Context(), webhooktest.Account+"/"+
		webhooktest.Region, spoilt); err != nil {
		t.Fatal(err)
	}
	tried := 0
	for range 30 {
		if _, err := s.d.Redrive(s.Context()); err != nil {
			tried++
		}
		s.Advance(time.Minute)
	}
	if tried != dispatch.Attempts || len(s.events) > 0 {
		t.Errorf("tried %d times, want %d; events = %v", tried, dispatch.Attempts, s.events)
	}
	if log := s.Log(); strings.Count(log, `"outcome":"Failed"`) != 1 || strings.Contains(log, "PLANTED") {
		t.Errorf("log = %s", log)
	}
	due, err := s.Journal.Due(s.Context(), 10, 10)
	if err != nil || len(due) > 0 {
		t.Errorf("still due = %v, %v", due, err)
	}
}

// That the process ends in the last attempt is not the target's refusal: whoever finds the command
// then gives it up, and says so.
func TestCutOffInTheLastAttempt(t *testing.T) {
	for about, s := range map[string]*scene{
		"a command": begin(t, "Slack", "command", "restart", toHTTP),
		"an answer": begin(t, "Feishu", "message", "help", toHTTP),
	} {
		s.answer = func(context.Context, int) ([]byte, error) {
			return nil,
				&dispatch.Error{Why: "busy", Again: true, Refused: true}
		}
		s.refuses = errors.New("busy")
		for range dispatch.Attempts - 1 {
			s.dispatch()
			s.Advance(time.Hour)
		}
		ctx, cut := context.WithCancel(s.Context())
		s.answer = func(context.Context, int) ([]byte, error) {
			cut()
			return nil, &dispatch.Error{Why: "slow", Again: true}
		}
		s.cut = cut
		if err := s.d.Dispatch(ctx, s.ref); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: Dispatch = %v", about, err)
		}
		if c := s.command(); c.Outcome != "Pending" {
			t.Errorf("%s: record = %+v", about, c)
		}
		s.refuses, s.cut = nil, nil
		s.Advance(2 * time.Minute)
		s.dispatch()
		if c := s.command(); c.Outcome != "Failed" || c.Answered != (about == "a command") || len(s.sent) > 1 {
			t.Errorf("%s: record = %+v, sent = %q", about, c, s.sent)
		}
	}
}

// A command's name that looks like a secret shows in no log, as it shows in no record.
func TestANameThatIsASecret(t *testing.T) {
	s := begin(t, "Slack", "command", "password=PLANTED", toHTTP)
	s.dispatch()
	if log := s.Log(); !strings.Contains(log, `"outcome":"Delivered"`) ||
		strings.Contains(strings.ToLower(log), "planted") {
		t.Errorf("log = %s", log)
	}
	if c := s.command(); c.Outcome != "Delivered" || strings.Contains(c.Command, "planted") {
		t.Errorf("record = %+v", c)
	}
}

// So is an answer, of which nobody is told.
func TestEverybodyDiesWithAnAnswer(t *testing.T) {
	s := begin(t, "Feishu", "message", "help", toHTTP)
	for range dispatch.Attempts {
		if _, err := s.Journal.Claim(s.Context(), s.ref, time.Minute); err != nil {
			t.Fatal(err)
		}
		s.Advance(time.Minute)
	}
	s.dispatch()
	if c := s.command(); c.Outcome != "Failed" || c.Detail != "every attempt ended without a result" ||
		len(s.sent) > 0 || len(s.events) > 0 {
		t.Errorf("record = %+v, sent = %q, events = %v", c, s.sent, s.events)
	}
}

// Two that look for what is due at once do nothing twice.
func TestRedriveTogether(t *testing.T) {
	w := webhooktest.New(t)
	p, o := w.Process(), new(outside)
	bot := p.Create("ops", "Slack", platformtest.Settings("Slack"), webhooktest.Open, toHTTP)
	h := p.Handler(func(context.Context, command.Ref) error { return dispatch.ErrBusy })
	const n = 50 // more than one look finds
	for i := range n {
		bot.Post(h, bot.Say("command", platformsim.Message{ID: fmt.Sprint("m", i), Text: "restart"}))
	}
	if found, err := o.dispatcher(p).Redrive(w.Context()); found != 0 || err != nil {
		t.Errorf("within a minute: Redrive = %d, %v", found, err)
	}
	w.Advance(time.Minute)
	var group sync.WaitGroup
	for range 2 {
		d := o.dispatcher(w.Process())
		group.Go(func() {
			if _, err := d.Redrive(w.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	seen := make(map[string]int)
	for _, e := range o.events {
		seen[e.ID]++
	}
	if len(seen) != n || len(o.events) != n {
		t.Errorf("%d events of %d commands, want %d", len(o.events), len(seen), n)
	}
}

// What is due is not begun when there is no time left for it, but a few always are.
func TestRedriveEnds(t *testing.T) {
	w := webhooktest.New(t)
	p, o := w.Process(), new(outside)
	bot := p.Create("ops", "Slack", platformtest.Settings("Slack"), webhooktest.Open, toHTTP)
	h := p.Handler(func(context.Context, command.Ref) error { return dispatch.ErrBusy })
	for i := range 30 {
		bot.Post(h, bot.Say("command", platformsim.Message{ID: fmt.Sprint("m", i), Text: "restart"}))
	}
	w.Advance(time.Minute)
	found, err := o.dispatcher(p).Redrive(ends{w.Context(), w.Now().Add(time.Minute - time.Second)})
	if err != nil || found != 30 || len(o.events) != 30 {
		t.Errorf("with time to begin: Redrive = %d, %v; %d events", found, err, len(o.events))
	}
	for i := range 30 {
		bot.Post(h, bot.Say("command", platformsim.Message{ID: fmt.Sprint("n", i), Text: "restart"}))
	}
	w.Advance(time.Minute)
	found, err = o.dispatcher(p).Redrive(ends{w.Context(), w.Now().Add(dispatch.WorkTime - time.Second)})
	if err != nil || found != 4 || len(o.events) != 34 {
		t.Errorf("without: Redrive = %d, %v; %d events", found, err, len(o.events))
	}
}

// ends is a context that is to end by a test's clock.
type ends struct {
	context.Context
	at time.Time
}

func (e ends) Deadline() (time.Time, bool) { return e.at, true }

// That the tables are out of reach is an error, and what was found is done all the same.
func TestRedriveWithoutTables(t *testing.T) {
	s := begin(t, "Slack", "command", "restart", toHTTP)
	s.Advance(time.Minute)
	for n := 1; n < 20; n++ {
		s.FailAt(n, webhooktest.Fault{})
		_, err := s.d.Redrive(s.Context())
		if !s.Failed() {
			break
		}
		if err == nil {
			t.Errorf("call %d: no error", n)
		}
		if log := s.Log(); n > 4 && !strings.Contains(log, `"outcome":"Unknown"`) &&
			!strings.Contains(log, `"outcome":"Delivered"`) {
			t.Errorf("call %d: log = %s", n, log)
		}
		s.Advance(3 * time.Minute)
	}
	s.FailAt(0, webhooktest.Fault{})
	if c := s.command(); c.Outcome != "Delivered" {
		t.Errorf("record = %+v", c)
	}
}

func TestNewWantsItsParts(t *testing.T) {
	p := webhooktest.New(t).Process()
	full := dispatch.Options{Open: p.Service.OpenConfiguration, Journal: p.Journal,
		Sender: func(*command.Endpoint) (dispatch.Sender, error) { return new(outside), nil }}
	if _, err := dispatch.New(full); err != nil {
		t.Error(err)
	}
	for about, take := range map[string]func(*dispatch.Options){
		"configurations": func(o *dispatch.Options) { o.Open = nil },
		"a journal":      func(o *dispatch.Options) { o.Journal = nil },
		"a sender":       func(o *dispatch.Options) { o.Sender = nil },
	} {
		o := full
		take(&o)
		if _, err := dispatch.New(o); err == nil {
			t.Errorf("without %s: no error", about)
		}
	}
}
