// Package dispatchtest is the suite that every target must pass: a room of package dispatch whose
// tests do not run it fails a test of this package.
package dispatchtest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"chatconf/shared/chat"
	"chatconf/shared/cloud"
	"chatconf/shared/command"
	"chatconf/shared/dispatch"
	"chatconf/shared/journal"
	"chatconf/shared/platform/platformsim"
	"chatconf/shared/platform/platformtest"
	"chatconf/shared/webhook/webhooktest"
)

// A Fault is a failure of a service that a target calls.
type Fault string

// The faults.
const (
	None    Fault = ""
	Hangs   Fault = "it never answers"
	Broken  Fault = "it does what was asked, and its answer is lost"
	Busy    Fault = "it has too many requests and says so"
	Denies  Fault = "it refuses the credentials"
	TooLong Fault = "its answer is too long"
)

var faults = []Fault{Hangs, Broken, Busy, Denies, TooLong}

// A Fixture is a target, and the service that it calls.
type Fixture struct {
	Target dispatch.Target
	// Type is the target's type, and Configuration its JSON. The operation gets Parameter and ends
	// well.
	Type, Configuration string
	// Sessions are dispatch.Options.Sessions, for a Scoped target. The role is Role of the account
	// webhooktest.Account.
	Sessions func(context.Context, cloud.Session) (context.Context, error)
	// Keyed says that the service starts one operation for an id, however often it is asked.
	Keyed bool
	// Started returns how many operations the service has started.
	Started func() int
	// End makes a running operation end. Nil: it has ended when Start returns, or it ends without
	// help.
	End func()
	// Fault sets the fault of all later requests. None ends it.
	Fault func(Fault)
	// Local says that Follow and Cancel call no service, so that they can have no fault.
	Local bool
	// Without are the faults that the service cannot have, each with the reason.
	Without map[Fault]string
	// Narrow, if set, checks that no session could do more than it did. It is called where no fault
	// kept a session from its work.
	Narrow func()
	// Secrets are what no record, log and answer may show.
	Secrets []string
}

// Role is the role that commands run as, and Parameter the one parameter of the action, a secret.
const (
	Role      = "OpsRole"
	Parameter = "password"
)

// Run runs the suite. open returns a new target with a new service.
func Run(t *testing.T, open func(t *testing.T) *Fixture) {
	run := func(name string, do func(t *testing.T)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // most of it waits
			do(t)
		})
	}
	run("an operation ends and its result is sent", func(t *testing.T) { newBench(t, open(t)).ends() })
	run("one id starts one operation", func(t *testing.T) { oneID(t, open(t)) })
	run("a process ends at any step", func(t *testing.T) { killed(t, open) })
	for _, fault := range faults {
		run("in Start, "+string(fault), func(t *testing.T) { faultyStart(t, open(t), fault) })
	}
	probe := open(t)
	if _, ok := probe.Target.(dispatch.Follower); ok {
		for _, fault := range faults {
			if probe.Local {
				break
			}
			run("in Follow, "+string(fault), func(t *testing.T) { faultyFollow(t, open, fault) })
			run("in Cancel, "+string(fault), func(t *testing.T) { faultyCancel(t, open(t), fault) })
		}
		run("a person cancels it", func(t *testing.T) { faultyCancel(t, open(t), None) })
		run("an unknown execution", func(t *testing.T) { unknown(t, open(t)) })
	}
	if _, ok := probe.Target.(dispatch.Scoped); ok {
		run("the role is refused", func(t *testing.T) { roleRefused(t, open(t)) })
	}
}

// A bench is our service with a bot whose commands go to the target.
type bench struct {
	*webhooktest.Process
	*Fixture
	dispatcher *dispatch.Dispatcher
	ref        command.Ref

	mu   sync.Mutex
	sent []string
}

// newBench says restart to the bot.
func newBench(t *testing.T, f *Fixture) *bench {
	t.Helper()
	b := &bench{Process: webhooktest.New(t).Process(), Fixture: f}
	bot := b.Create("ops", "Slack", platformtest.Settings("Slack"), `"SlackBotToken":"xoxb-planted"`,
		`"Actions":{"restart":{"Target":`+f.Configuration+`,"Parameters":[{"Name":"`+Parameter+`","Secret":true}]}}`,
		`"Permissions":[{"Effect":"Allow","Principals":["*"],"Commands":["*"],`+
			`"RamRole":"`+Role+`"}]`)
	h := b.Handler(func(_ context.Context, ref command.Ref) error { b.ref = ref; return nil })
	if out := bot.Post(h, bot.Say("event", platformsim.Message{ID: "m1",
		Text: "restart " + secretValue})); out.Code != http.StatusOK ||
		b.ref.ID == "" {
		t.Fatalf("%d: nothing is to be dispatched", out.Code)
	}
	b.next()
	return b
}

// next replaces the process of our service by a new one.
func (b *bench) next(edit ...func(*dispatch.Options)) {
	b.Helper()
	b.Process = b.World.Process()
	options := dispatch.Options{Open: b.Service.OpenConfiguration, Journal: b.Journal, Now: b.Now,
		Targets: map[string]dispatch.Target{b.Type: b.Target}, Sessions: b.Sessions,
		Sender: func(*command.Endpoint) (dispatch.Sender, error) { return b, nil }}
	for _, do := range edit {
		do(&options)
	}
	var err error
	if b.dispatcher, err = dispatch.New(options); err != nil {
		b.Fatal(err)
	}
}

// Send implements dispatch.Sender.
func (b *bench) Send(_ context.Context, _ command.ReplyTo, text string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sent = append(b.sent, text)
	return nil
}

// soon is how long a service that hangs is waited for.
const soon = 300 * time.Millisecond

// redrive does what is due, for as long as a service that hangs is waited for.
func (b *bench) redrive() {
	ctx, cancel := context.WithTimeout(b.Context(), soon)
	defer cancel()
	b.dispatcher.Dispatch(ctx, b.ref) // what fails is due again
}

// pass lets minutes pass, and does what is due.
func (b *bench) pass(minutes int) {
	for range minutes {
		b.Advance(time.Minute)
		if b.End != nil {
			b.End()
		}
		if err := b.dispatcher.Dispatch(b.Context(), b.ref); err != nil {
			b.Error(err)
		}
	}
}

// record returns the record of the command.
func (b *bench) record() chat.ChatCommand {
	b.Helper()
	list := b.Commands("ops")
	i := slices.IndexFunc(list, func(c chat.ChatCommand) bool { return c.Id == b.ref.ID })
	if i < 0 {
		b.Fatal("there is no record")
	}
	return list[i]
}

// expect checks how the command ended, that its sender knows, and that nobody saw a secret.
func (b *bench) expect(states ...journal.State) chat.ChatCommand {
	b.Helper()
	c := b.record()
	if !slices.Contains(states, c.State) || c.Outcome == journal.OutcomePending || !c.Answered {
		b.Errorf("the record is %+v, want one of %v", c, states)
	}
	if len(b.sent) == 0 {
		b.Error("nobody was told")
	}
	for _, text := range b.sent {
		if len(text) > 20_000 {
			b.Errorf("an answer has %d bytes", len(text))
		}
	}
	shown := fmt.Sprint(c, b.sent, b.Log())
	for _, secret := range append(b.Secrets, "xoxb-planted", secretValue, lentSecret, lentToken) {
		if strings.Contains(shown, secret) {
			b.Errorf("the secret %q shows: %s", secret, shown)
		}
	}
	return c
}

// once checks that the operation was started once.
func (b *bench) once() {
	b.Helper()
	if n := b.Started(); n != 1 {
		b.Errorf("%d operations were started, want one", n)
	}
}

// follows reports whether the target's operations go on after Start.
func (b *bench) follows() bool {
	_, ok := b.Target.(dispatch.Follower)
	return ok
}

// good are the states of an operation that ended well.
var good = []journal.State{journal.StateSucceeded, journal.StateAccepted}

func (b *bench) ends() {
	b.Helper()
	b.redrive()
	b.pass(5)
	c := b.expect(good...)
	b.once()
	if b.follows() && c.ExecutionId == "" {
		b.Errorf("the record has no execution: %+v", c)
	}
	if _, ok := b.Target.(dispatch.Scoped); ok && c.SessionName == "" {
		b.Errorf("the record has no session: %+v", c)
	}
	if b.Narrow != nil {
		b.Narrow()
	}
}

// oneID starts the same id twice, as after a crash between Start and the record.
func oneID(t *testing.T, f *Fixture) {
	b := newBench(t, f)
	b.FailAt(4, webhooktest.Fault{Dies: true}) // after the claim and the configuration: the execution
	b.redrive()
	b.FailAt(0, webhooktest.Fault{})
	if n := b.Started(); n != 1 {
		t.Errorf("%d operations were started, want one", n)
	}
	b.next()
	b.pass(8)
	b.expect(good...)
	if n, most := b.Started(), map[bool]int{true: 1, false: 2}[b.Keyed]; n < 1 || n > most {
		t.Errorf("%d operations were started, want %d", n, most)
	}
}

// killed ends the process at each call of the tables.
func killed(t *testing.T, open func(t *testing.T) *Fixture) {
	for _, fault := range []webhooktest.Fault{{Dies: true}, {After: true, Dies: true}} {
		for n := 1; ; n++ {
			b := newBench(t, open(t))
			b.FailAt(n, fault)
			for range 3 {
				b.redrive()
				b.Advance(20 * time.Second)
				if b.End != nil {
					b.End()
				}
			}
			failed := b.Failed()
			b.FailAt(0, webhooktest.Fault{})
			b.next()
			b.pass(8)
			b.expect(good...)
			if started := b.Started(); started < 1 || b.Keyed && started > 1 {
				t.Errorf("%+v at call %d: %d operations were started", fault, n, started)
			}
			if t.Failed() {
				t.Fatalf("%+v at call %d", fault, n)
			}
			if !failed {
				if n < 4 {
					t.Errorf("only %d calls of tables", n)
				}
				break
			}
		}
	}
}

// can reports whether the service can have the fault.
func (f *Fixture) can(t *testing.T, fault Fault) bool {
	t.Helper()
	why, without := f.Without[fault]
	if without && why == "" {
		t.Errorf("say why the service cannot have the fault: %s", fault)
	}
	return !without
}

func faultyStart(t *testing.T, f *Fixture, fault Fault) {
	b := newBench(t, f)
	if !f.can(t, fault) {
		return
	}
	f.Fault(fault)
	b.redrive()
	switch fault {
	case Denies:
		if c := b.expect(journal.StateFailed); c.Detail == "" || b.Started() > 0 {
			t.Errorf("%d were started: %+v", b.Started(), c)
		}
		return
	case Hangs, Busy, Broken:
		_, scoped := b.Target.(dispatch.Scoped)
		if c := b.record(); c.Outcome != journal.OutcomePending || c.Detail == "" || (c.SessionName != "") != scoped {
			t.Errorf("while it lasts: %+v", c)
		}
	}
	f.Fault(None)
	b.pass(8)
	b.expect(append(good, map[bool]journal.State{true: journal.StateUnknown}[fault == TooLong])...)
	if n := b.Started(); n < 1 || n > 1 && (b.Keyed || fault == Busy) {
		t.Errorf("%d operations were started", n)
	}
}

// running brings the command to where its operation runs.
func (b *bench) running() {
	b.Helper()
	b.redrive()
	if c := b.record(); c.State != journal.StateRunning || c.ExecutionId == "" {
		b.Fatalf("it does not run: %+v", c)
	}
}

func faultyFollow(t *testing.T, open func(t *testing.T) *Fixture, fault Fault) {
	f := open(t)
	b := newBench(t, f)
	if !f.can(t, fault) {
		return
	}
	b.running()
	f.Fault(fault)
	b.Advance(time.Minute)
	if b.End != nil {
		b.End()
	}
	b.redrive()
	if c := b.record(); fault != TooLong && (c.State != journal.StateRunning || c.Detail == "") {
		t.Errorf("while it lasts: %+v", c)
	}
	f.Fault(None)
	b.pass(5)
	b.expect(good...)
	b.once()

	f = open(t)
	b = newBench(t, f)
	b.running()
	f.Fault(fault)
	for range 20 {
		b.Advance(10 * time.Minute)
		b.redrive()
	}
	b.expect(append(good, journal.StateUnknown, journal.StateTimedOut, journal.StateCancelled)...)
}

// faultyCancel cancels a command, and the request goes wrong.
func faultyCancel(t *testing.T, f *Fixture, fault Fault) {
	b := newBench(t, f)
	if !f.can(t, fault) {
		return
	}
	b.running()
	e, err := b.Service.OpenConfiguration(b.Context(), b.ref)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.Journal.Record(b.Context(), e, journal.Arrival{Cancels: b.ref.ID,
		Command: command.Command{Name: command.Cancel, User: "u1", Conversation: "C0EXAMPLE",
			MessageID: "m2"}}); err != nil {
		t.Fatal(err)
	}
	f.Fault(fault)
	b.redrive()
	f.Fault(None)
	end := b.End
	b.End = nil // it would go on
	b.pass(3)
	b.End = end
	b.pass(2)
	b.once()
	if fault != None {
		b.expect(append(good, journal.StateCancelled)...)
		return
	}
	b.expect(journal.StateCancelled)
	if b.Narrow != nil {
		b.Narrow()
	}
}

func unknown(t *testing.T, f *Fixture) {
	b := newBench(t, f)
	var target dispatch.Target = &forgetful{b.Target.(dispatch.Follower)}
	if scoped, ok := b.Target.(dispatch.Scoped); ok {
		target = &scopedForgetful{forgetful{b.Target.(dispatch.Follower)}, scoped}
	}
	b.next(func(o *dispatch.Options) { o.Targets[b.Type] = target })
	b.redrive()
	b.pass(5)
	b.expect(journal.StateUnknown)
}

// A forgetful target asks for an execution that the service does not know.
type forgetful struct{ dispatch.Follower }

// Follow implements dispatch.Follower.
func (f *forgetful) Follow(ctx context.Context, c *dispatch.Call) (dispatch.Progress, error) {
	return f.Follower.Follow(ctx, other(c))
}

// A scopedForgetful is a forgetful target that is Scoped.
type scopedForgetful struct {
	forgetful
	scoped dispatch.Scoped
}

// Policy implements dispatch.Scoped.
func (f *scopedForgetful) Policy(step dispatch.Step, c *dispatch.Call) string {
	return f.scoped.Policy(step, other(c))
}

// other returns a call with another execution of the same shape.
func other(c *dispatch.Call) *dispatch.Call {
	out := *c
	if n := len(c.Execution); n > 0 {
		last := byte('0')
		if c.Execution[n-1] == last {
			last = '9'
		}
		out.Execution = c.Execution[:n-1] + string(last)
	}
	return &out
}

func roleRefused(t *testing.T, f *Fixture) {
	for _, again := range []bool{false, true} {
		b := newBench(t, f)
		b.next(func(o *dispatch.Options) {
			o.Sessions = func(context.Context, cloud.Session) (context.Context, error) {
				return nil, &cloud.RoleError{Role: Role, Why: "its trust policy must allow it", Again: again,
					Err: errors.New("planted")}
			}
		})
		b.redrive()
		b.pass(20)
		if c := b.expect(journal.StateFailed); !strings.Contains(c.Detail, "its trust policy must allow it") ||
			b.Started() > 0 {
			t.Errorf("%d were started: %+v", b.Started(), c)
		}
	}
}
