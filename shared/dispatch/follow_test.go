package dispatch_test

import (
	"context"
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
	"chatconf/shared/dispatch"
	"chatconf/shared/invoke"
	"chatconf/shared/journal"
	"chatconf/shared/platform/platformsim"
	"chatconf/shared/platform/platformtest"
	"chatconf/shared/secret"
	"chatconf/shared/webhook/webhooktest"
)

// An engine is a target whose operations continue after Start, like those of a cloud.
type engine struct {
	keyed bool // it recognises the id of a call
	// at, if set, is called before each step and may fail it.
	at func(context.Context, dispatch.Step, *dispatch.Call) error
	// progress is what an operation says at its n-th question; nil: it succeeds at the third.
	progress func(n int) dispatch.Progress
	forgets  bool // it does not know its executions
	ignores  bool // it takes requests to cancel and does nothing
	// waits, if set, is what Start does after it told the execution's id.
	waits func()

	mu     sync.Mutex
	ids    map[string]string // by call, its execution
	all    []*execution
	steps  []string
	within map[string]int // by execution, how many ask for it
}

type execution struct {
	id        string
	asked     int
	cancelled bool
}

var _ dispatch.Follower = (*engine)(nil)

func (g *engine) step(ctx context.Context, step dispatch.Step, c *dispatch.Call) error {
	g.mu.Lock()
	g.steps = append(g.steps, string(step))
	g.mu.Unlock()
	if g.at != nil {
		return g.at(ctx, step, c)
	}
	return nil
}

// Start implements dispatch.Target.
func (g *engine) Start(ctx context.Context, c *dispatch.Call) (dispatch.Progress, error) {
	if err := g.step(ctx, dispatch.StepStart, c); err != nil {
		return dispatch.Progress{}, err
	}
	id := g.idOf(c)
	if g.waits != nil {
		c.Began(id)
		g.waits()
	}
	return dispatch.Progress{State: journal.StateRunning, Execution: id}, nil
}

// idOf returns the execution of a call, a new one if the engine does not recognise it.
func (g *engine) idOf(c *dispatch.Call) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ids == nil {
		g.ids = make(map[string]string)
	}
	if id := g.ids[c.ID]; id != "" && g.keyed {
		return id
	}
	e := &execution{id: fmt.Sprint("exec-", len(g.all)+1)}
	g.all, g.ids[c.ID] = append(g.all, e), e.id
	return e.id
}

// Follow implements dispatch.Follower.
func (g *engine) Follow(ctx context.Context, c *dispatch.Call) (dispatch.Progress, error) {
	if err := g.enter(c.Execution, 1); err != nil {
		return dispatch.Progress{}, err
	}
	defer g.enter(c.Execution, -1)
	if err := g.step(ctx, dispatch.StepFollow, c); err != nil {
		return dispatch.Progress{}, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	e := g.find(c.Execution)
	if e == nil || g.forgets {
		return dispatch.Progress{State: journal.StateUnknown}, nil
	}
	if e.cancelled && !g.ignores {
		return dispatch.Progress{State: journal.StateCancelled}, nil
	}
	e.asked++
	if g.progress != nil {
		return g.progress(e.asked), nil
	}
	if e.asked < 3 {
		return dispatch.Progress{State: journal.StateRunning}, nil
	}
	return dispatch.Progress{State: journal.StateSucceeded, Text: "i-1 is up"}, nil
}

// enter counts the calls for an execution. Two at once would be two processes with one command.
func (g *engine) enter(id string, by int) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.within == nil {
		g.within = make(map[string]int)
	}
	if g.within[id] += by; g.within[id] > 1 {
		panic("two processes follow " + id)
	}
	return nil
}

// Cancel implements dispatch.Follower.
func (g *engine) Cancel(ctx context.Context, c *dispatch.Call) error {
	if err := g.step(ctx, dispatch.StepCancel, c); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if e := g.find(c.Execution); e != nil {
		e.cancelled = true
	}
	return nil
}

func (g *engine) find(id string) *execution {
	i := slices.IndexFunc(g.all, func(e *execution) bool { return e.id == id })
	if i < 0 {
		return nil
	}
	return g.all[i]
}

// follower returns a process's dispatcher to an engine, which is the target Http.
func (o *outside) follower(p *webhooktest.Process, target dispatch.Target,
	edit ...func(*dispatch.Options)) *dispatch.Dispatcher {
	p.Helper()
	options := dispatch.Options{Open: p.Service.OpenConfiguration, Journal: p.Journal, Now: p.Now,
		Targets: map[string]dispatch.Target{command.TargetHTTP: target},
		Sender:  func(*command.Endpoint) (dispatch.Sender, error) { return o, o.none }}
	for _, do := range edit {
		do(&options)
	}
	d, err := dispatch.New(options)
	if err != nil {
		p.Fatal(err)
	}
	return d
}

// follow says restart to a bot whose target is an engine, and dispatches it once.
func follow(t testing.TB, target dispatch.Target, edit ...func(*dispatch.Options)) *scene {
	t.Helper()
	s := begin(t, "Slack", "event", "restart i-1", toHTTP, `"SlackBotToken":"xoxb-planted"`)
	s.d = s.follower(s.Process, target, edit...)
	s.dispatch()
	return s
}

// pass lets time pass in steps and follows what is due, as redrive-commands does.
func (s *scene) pass(d, step time.Duration) {
	s.Helper()
	for end := s.Now().Add(d); s.Now().Before(end); {
		s.Advance(step)
		if _, err := s.d.Redrive(s.Context()); err != nil {
			s.Error(err)
		}
	}
}

// An operation is followed with growing pauses. Its polls are not attempts. Its result is sent.
func TestFollowed(t *testing.T) {
	g := &engine{keyed: true, progress: func(n int) dispatch.Progress {
		if n < 12 {
			return dispatch.Progress{State: journal.StateRunning}
		}
		return dispatch.Progress{State: journal.StateSucceeded, Text: "i-1 is up"}
	}}
	s := follow(t, g)
	if c := s.command(); c.State != "Running" || c.ExecutionId != "exec-1" || c.Outcome != "Pending" ||
		c.Attempts != 1 ||
		c.Duration == nil || *c.Duration != 0 || !slices.Equal(s.sent, []string{"restart was accepted."}) {
		t.Errorf("once started: %+v, sent = %q", c, s.sent)
	}
	var at []time.Duration
	for range 1000 {
		n := len(g.steps)
		s.pass(time.Second, time.Second)
		if len(g.steps) > n {
			at = append(at, s.Now().Sub(webhooktest.Start))
		}
	}
	if got, want := fmt.Sprint(at), "[2s 5s 10s 17s 28s 44s 1m7s 1m42s 2m34s 3m34s 4m34s 5m34s]"; got != want {
		t.Errorf("followed after %s, want %s", got, want)
	}
	c := s.command()
	if c.State != "Succeeded" || c.Outcome != "Delivered" || c.Attempts != 1 || !c.Answered || c.Detail != "" ||
		c.Duration == nil || *c.Duration != (5*time.Minute+34*time.Second).Milliseconds() ||
		c.Target != "Http target.example.com" {
		t.Errorf("at the end: %+v", c)
	}
	if want := []string{"restart was accepted.", "restart succeeded.\ni-1 is up"}; !slices.Equal(s.sent, want) {
		t.Errorf("sent = %q, want %q", s.sent, want)
	}
	if log := s.Log(); strings.Contains(log, "PLANTED") || strings.Contains(log, "planted") ||
		!strings.Contains(log, `"execution":"exec-1"`) || !strings.Contains(log, `"state":"Succeeded"`) {
		t.Errorf("log = %s", log)
	}
}

// How an operation ends is in the record and in the conversation.
func TestEnds(t *testing.T) {
	for about, test := range map[string]struct {
		end                 dispatch.Progress
		state, said, detail string
	}{
		"it fails": {dispatch.Progress{State: journal.StateFailed, Detail: "step 2: no such instance"},
			"Failed", "restart failed.\nstep 2: no such instance", "step 2: no such instance"},
		"it fails and says more": {dispatch.Progress{State: journal.StateFailed, Text: "no such instance",
			Detail: "step 2"},
			"Failed", "restart failed.\nno such instance", "step 2"},
		"somebody else cancels it": {dispatch.Progress{State: journal.StateCancelled},
			"Cancelled", "restart was cancelled.", ""},
		"the target ends it": {dispatch.Progress{State: journal.StateTimedOut},
			"TimedOut", "restart took too long and was stopped.", ""},
		"the target does not know it": {dispatch.Progress{State: journal.StateUnknown},
			"Unknown", "It is not known how restart ended.", "the target does not know the execution, or no longer"},
		"it says nothing": {dispatch.Progress{State: journal.StateSucceeded}, "Succeeded", "restart succeeded.", ""},
	} {
		s := follow(t, &engine{progress: func(int) dispatch.Progress { return test.end }})
		s.pass(5*time.Second, time.Second)
		c := s.command()
		if string(c.State) != test.state || c.Outcome != "Delivered" || c.Detail != test.detail {
			t.Errorf("%s: record = %+v", about, c)
		}
		if len(s.sent) != 2 || !strings.HasPrefix(s.sent[1], test.said) {
			t.Errorf("%s: sent = %q, want %q", about, s.sent, test.said)
		}
	}
}

// An operation that ends at once is answered at once.
func TestEndsAtOnce(t *testing.T) {
	for about, test := range map[string]struct {
		end  dispatch.Progress
		said string
	}{
		"with an answer": {dispatch.Progress{State: journal.StateSucceeded, Execution: "exec-1", Text: "up"}, "up"},
		"without an answer": {dispatch.Progress{State: journal.StateSucceeded, Execution: "exec-1"},
			"restart succeeded."},
		"with a failure": {dispatch.Progress{State: journal.StateFailed, Execution: "exec-1", Text: "down"},
			"restart failed.\ndown"},
		"running without an execution": {dispatch.Progress{State: journal.StateRunning},
			"It is not known how restart ended."},
	} {
		s := follow(t, quick{engine: new(engine), end: test.end})
		c := s.command()
		want := test.end.State
		if want == journal.StateRunning {
			want = journal.StateUnknown
		}
		if c.State != want || c.ExecutionId != test.end.Execution || c.Outcome != "Delivered" || c.Duration == nil {
			t.Errorf("%s: record = %+v", about, c)
		}
		if len(s.sent) != 1 || !strings.HasPrefix(s.sent[0], test.said) {
			t.Errorf("%s: sent = %q", about, s.sent)
		}
	}
}

// A quick engine's operations end in Start.
type quick struct {
	*engine
	end dispatch.Progress
}

// Start implements dispatch.Target.
func (q quick) Start(context.Context, *dispatch.Call) (dispatch.Progress, error) { return q.end, nil }

// Progress is sent at most once a minute and only if it is new, and never where the number of
// answers is small.
func TestProgress(t *testing.T) {
	talk := func(n int) dispatch.Progress {
		return dispatch.Progress{State: journal.StateRunning, Text: fmt.Sprint("step ", min(n, 20)), Detail: "at work"}
	}
	s := follow(t, &engine{progress: talk})
	before := s.Now()
	s.pass(10*time.Minute, time.Second)
	n := len(s.sent) - 1
	if n < 5 || n > int(s.Now().Sub(before)/time.Minute) || !strings.HasPrefix(s.sent[1],
		"restart is running.\nstep ") {
		t.Errorf("sent = %q", s.sent)
	}
	if c := s.command(); c.Detail != "at work" || c.State != "Running" {
		t.Errorf("record = %+v", c)
	}
	s.pass(20*time.Minute, time.Minute)
	n = len(s.sent)
	s.pass(20*time.Minute, time.Minute)
	if len(s.sent) != n {
		t.Errorf("the same was told again: %q", s.sent)
	}

	s = begin(t, "Slack", "command", "restart i-1", toHTTP) // has five uses
	s.d = s.follower(s.Process, &engine{progress: talk})
	s.dispatch()
	s.pass(20*time.Minute, time.Second)
	if len(s.sent) != 2 {
		t.Errorf("by a response URL: sent = %q", s.sent)
	}
}

// A dispatch may wait for the end. It then sends the result itself.
func TestStays(t *testing.T) {
	for _, test := range []struct {
		stay  time.Duration
		state string
		took  time.Duration
	}{{0, "Running", 0}, {dispatch.MaxStay, "Succeeded", 9*time.Second + 500*time.Millisecond}, {5 * time.Second,
		"Running", 2 * time.Second}} {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			g := new(engine)
			s := follow(t, g, func(o *dispatch.Options) { o.Stay = test.stay })
			if c := s.command(); string(c.State) != test.state || time.Since(began) != test.took {
				t.Errorf("after %v: %+v", time.Since(began), c)
			}
			s.pass(time.Minute, time.Second)
			if c := s.command(); c.State != "Succeeded" || len(g.all) != 1 {
				t.Errorf("a minute later: %+v", c)
			}
		})
	}
	p := webhooktest.New(t).Process()
	if _, err := dispatch.New(dispatch.Options{Open: p.Service.OpenConfiguration, Journal: p.Journal,
		Sender: func(*command.Endpoint) (dispatch.Sender, error) { return nil, nil },
		Stay:   dispatch.MaxStay + 1}); err == nil {
		t.Error("a longer stay is no error")
	}
}

// An operation that takes too long is cancelled, and then it is TimedOut.
func TestTakesTooLong(t *testing.T) {
	running := func(int) dispatch.Progress { return dispatch.Progress{State: journal.StateRunning} }
	refuses := func(_ context.Context, step dispatch.Step, _ *dispatch.Call) error {
		if step == dispatch.StepCancel {
			return &dispatch.Error{Why: "forbidden", Refused: true}
		}
		return nil
	}
	for about, test := range map[string]struct {
		engine *engine
		state  string
		detail string
	}{
		"the target ends it":  {&engine{progress: running}, "TimedOut", ""},
		"the target does not": {&engine{progress: running, ignores: true}, "Unknown", "it did not end in time"},
		"the target must not": {&engine{progress: running, at: refuses}, "Unknown",
			"did not cancel it: forbidden"},
		"it ends in time, in fact": {&engine{progress: succeedAt(63), ignores: true}, "Succeeded", ""},
	} {
		s := follow(t, test.engine)
		s.pass(dispatch.DefaultTimeout-time.Minute, time.Minute)
		if c := s.command(); c.State != "Running" || slices.Contains(test.engine.steps, "Cancel") {
			t.Errorf("%s: before its time: %+v", about, c)
		}
		s.pass(30*time.Minute, time.Minute)
		if c := s.command(); string(c.State) != test.state || !strings.Contains(c.Detail, test.detail) ||
			c.Outcome != "Delivered" {
			t.Errorf("%s: %+v", about, c)
		}
		if len(s.sent) != 2 {
			t.Errorf("%s: sent = %q", about, s.sent)
		}
	}
}

func succeedAt(at int) func(int) dispatch.Progress {
	return func(n int) dispatch.Progress {
		if n < at {
			return dispatch.Progress{State: journal.StateRunning}
		}
		return dispatch.Progress{State: journal.StateSucceeded}
	}
}

// A target that does not answer for a while is asked again. If it never does, the end is Unknown.
func TestATargetDoesNotSay(t *testing.T) {
	down := true
	g := &engine{at: func(_ context.Context, step dispatch.Step, _ *dispatch.Call) error {
		if down && step == dispatch.StepFollow {
			return errors.New("connection reset")
		}
		return nil
	}}
	s := follow(t, g)
	s.pass(30*time.Minute, time.Minute)
	if c := s.command(); c.State != "Running" || !strings.Contains(c.Detail, "does not say how far it is") {
		t.Errorf("record = %+v", c)
	}
	down = false
	s.pass(time.Minute, time.Minute)
	if c := s.command(); c.State != "Running" || c.Detail != "" {
		t.Errorf("record = %+v", c)
	}
	s.pass(5*time.Minute, time.Minute)
	if c := s.command(); c.State != "Succeeded" || c.Detail != "" {
		t.Errorf("record = %+v", c)
	}

	down = true
	s = follow(t, g)
	s.pass(2*time.Hour, time.Minute)
	if c := s.command(); c.State != "Unknown" || c.Outcome != "Delivered" || len(s.sent) != 2 {
		t.Errorf("record = %+v, sent = %q", c, s.sent)
	}
}

// A long time without any process does not end an operation: the target is asked again, even if the
// first question has no answer.
func TestAfterALongTimeWithoutAProcess(t *testing.T) {
	down := true
	g := &engine{progress: succeedAt(1), at: func(_ context.Context, step dispatch.Step, _ *dispatch.Call) error {
		if down && step != dispatch.StepStart {
			return errors.New("connection reset")
		}
		return nil
	}}
	s := follow(t, g)
	s.Advance(5 * time.Hour)
	s.dispatch()
	if c := s.command(); c.State != "Running" {
		t.Errorf("record = %+v", c)
	}
	down, g.ignores = false, true
	s.pass(5*time.Minute, time.Minute)
	if c := s.command(); c.State != "Succeeded" {
		t.Errorf("record = %+v", c)
	}
}

// The final answer is worth further attempts.
func TestTheFinalAnswerIsRetried(t *testing.T) {
	for _, stays := range []bool{false, true} {
		s := follow(t, &engine{progress: succeedAt(2)})
		s.refuses = errors.New("slack: busy")
		s.pass(10*time.Second, time.Second)
		if c := s.command(); c.State != "Succeeded" || c.Outcome != "Pending" || !strings.Contains(c.Detail,
			"slack: busy") {
			t.Errorf("record = %+v", c)
		}
		if !stays {
			s.refuses = nil
		}
		s.pass(time.Hour, time.Minute)
		c := s.command()
		if c.State != "Succeeded" || c.Outcome != "Delivered" || *c.Duration != 5000 {
			t.Errorf("later: %+v", c)
		}
		if want := 2; !stays && (len(s.sent) != want || c.Detail != "") || stays && !strings.Contains(c.Detail,
			"slack: busy") {
			t.Errorf("sent = %q, record = %+v", s.sent, c)
		}
	}
}

// cancel asks to cancel the scene's command, as somebody.
func (s *scene) cancel(user string) {
	s.Helper()
	e, err := s.Service.OpenConfiguration(s.Context(), s.ref)
	if err != nil {
		s.Fatal(err)
	}
	if _, _, err := s.Journal.Record(s.Context(), e, journal.Arrival{Cancels: s.ref.ID, Command: command.Command{
		Name: command.Cancel, User: user, Conversation: "C0EXAMPLE", MessageID: "cancel by " + user}}); err != nil {
		s.Fatal(err)
	}
}

// Only people who may run a command may cancel it.
func TestCancelled(t *testing.T) {
	const only = `"Permissions":[{"Effect":"Allow","Principals":["user:u1","user:u2"],"Commands":["restart"]}]`
	open := func(g *engine) *scene {
		p := webhooktest.New(t).Process()
		s := &scene{Process: p, outside: new(outside)}
		s.bot = p.Create("ops", "Slack", platformtest.Settings("Slack"), only, toHTTP, `"SlackBotToken":"xoxb-planted"`)
		s.d = s.follower(p, g)
		h := p.Handler(func(_ context.Context, ref command.Ref) error { s.ref = ref; return nil })
		s.bot.Post(h, s.bot.Say("event", platformsim.Message{ID: "m1", Text: "restart i-1"}))
		return s
	}
	running := func(int) dispatch.Progress { return dispatch.Progress{State: journal.StateRunning} }

	g := &engine{progress: running}
	s := open(g)
	s.dispatch()
	s.cancel("u3")
	s.pass(time.Minute, time.Second)
	if c := s.command(); c.State != "Running" || slices.Contains(g.steps, "Cancel") {
		t.Errorf("by somebody else: %+v", c)
	}
	s.cancel("u2")
	s.dispatch() // at once, though the next question is not due
	if c := s.command(); c.State != "Cancelled" || c.Outcome != "Delivered" ||
		s.sent[len(s.sent)-1] != "restart was cancelled." {
		t.Errorf("by another who may: %+v, sent = %q", c, s.sent)
	}

	s = open(g)
	n := len(g.all)
	s.cancel("u1")
	s.dispatch()
	if c := s.command(); c.State != "Cancelled" || c.Outcome != "Recorded" ||
		c.Detail != "it was cancelled by u1 before it was started" ||
		len(g.all) != n || len(s.sent) != 1 || c.Duration != nil {
		t.Errorf("before it was started: %+v, sent = %q", c, s.sent)
	}

	// It may have been started: it is not started again to find out.
	g = &engine{progress: running, keyed: true}
	s = open(g)
	if _, err := s.Journal.Claim(s.Context(), s.ref, time.Minute); err != nil {
		t.Fatal(err)
	}
	s.cancel("u1")
	s.dispatch()
	if c := s.command(); c.State != "Accepted" || len(g.all) != 0 {
		t.Errorf("while another process holds it: %+v", c)
	}
	s.Advance(2 * time.Minute)
	s.dispatch()
	if c := s.command(); c.State != "Unknown" || len(g.all) != 0 || len(s.sent) != 1 ||
		c.Detail != "it was cancelled by u1; an earlier attempt may have started it" {
		t.Errorf("in doubt: %+v, sent = %q", c, s.sent)
	}

	// The cancellation is decided again: u2 may no longer run the command and cancels nothing.
	g = &engine{progress: running}
	s = open(g)
	s.dispatch()
	s.cancel("u2")
	text := secret.Text(`{"SlackSigningSecret":"******","SlackBotToken":"******",` +
		strings.Replace(toHTTP, targetSecret, "******", 1) + `,"Permissions":[]}`)
	if _, err := s.Service.Update(s.As(), &chat.UpdateRequest{Name: "ops", Configuration: &text}); err != nil {
		t.Fatal(err)
	}
	s.pass(time.Minute, time.Second)
	if c := s.command(); c.State != "Running" || slices.Contains(g.steps, "Cancel") {
		t.Errorf("after Permissions changed: %+v", c)
	}
}

// A dispatch that waits for the end sees a cancellation.
func TestCancelledWhileADispatchStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s *scene
		g := &engine{progress: succeedAt(100)}
		g.at = func(_ context.Context, step dispatch.Step, _ *dispatch.Call) error {
			if step == dispatch.StepFollow && len(g.steps) == 2 {
				s.cancel("u1")
				s.dispatch() // another process, which does not get it
			}
			return nil
		}
		s = begin(t, "Slack", "command", "restart", toHTTP)
		s.d = s.follower(s.Process, g, func(o *dispatch.Options) { o.Stay = dispatch.MaxStay })
		s.dispatch()
		if c := s.command(); c.State != "Cancelled" || fmt.Sprint(g.steps) != "[Start Follow Cancel Follow]" {
			t.Errorf("%v: %+v", g.steps, c)
		}
	})
}

// Before a start the decision is made again; while an operation runs only a deletion counts.
func TestChangesMeanwhile(t *testing.T) {
	running := func(int) dispatch.Progress { return dispatch.Progress{State: journal.StateRunning} }
	g := &engine{progress: running}
	s := follow(t, g)
	if _, err := s.Service.Update(s.As(), &chat.UpdateRequest{Name: "ops", Status: "Inactive"}); err != nil {
		t.Fatal(err)
	}
	s.pass(time.Minute, time.Second)
	if c := s.command(); c.State != "Running" {
		t.Errorf("inactive: %+v", c)
	}
	if _, err := s.Service.Delete(s.As(), &chat.DeleteRequest{Name: "ops"}); err != nil {
		t.Fatal(err)
	}
	s.pass(2*time.Minute, time.Second)
	c := s.command()
	if c.State != "Unknown" || c.Outcome != "Delivered" ||
		c.Detail != "the chat configuration was deleted in the meantime" {
		t.Errorf("deleted: %+v", c)
	}
}

// A process without the target leaves the operation to one that has it, until its timeout.
func TestAnotherProcessHasTheTarget(t *testing.T) {
	for why, targets := range map[string]map[string]dispatch.Target{
		`no targets of type "Http"`: nil,
		"not with this flag":        {command.TargetHTTP: dispatch.Unavailable("not with this flag")},
	} {
		s := follow(t, new(engine))
		s.d = s.follower(s.Process, nil, func(o *dispatch.Options) { o.Targets = targets })
		s.pass(10*time.Minute, time.Minute)
		if c := s.command(); c.State != "Running" || !strings.Contains(c.Detail, why) {
			t.Errorf("%s: record = %+v", why, c)
		}
		s.pass(2*time.Hour, time.Minute)
		if c := s.command(); c.State != "Unknown" || !strings.Contains(c.Detail, why) {
			t.Errorf("%s: record = %+v", why, c)
		}
	}
}

// The process may end at any step from the start to the final answer, or one call of the tables may
// fail there. A target that recognises ids starts the command once. The result is sent, and the
// record has it.
func TestKilledWhileFollowing(t *testing.T) {
	for _, fault := range []webhooktest.Fault{{}, {After: true}, {Dies: true}, {After: true, Dies: true}} {
		for _, keyed := range []bool{true, false} {
			steps, twice := 0, 0
			for n := 1; ; n++ {
				g := &engine{keyed: keyed}
				s := begin(t, "Slack", "event", "restart i-1", toHTTP, `"SlackBotToken":"xoxb-planted"`)
				first := s.follower(s.Process, g)
				s.FailAt(n, fault)
				first.Dispatch(s.Context(), s.ref)
				for range 8 {
					s.Advance(15 * time.Second)
					if _, err := first.Redrive(s.Context()); err != nil && !errors.Is(err, webhooktest.ErrFault) {
						t.Logf("%v", err)
					}
				}
				failed := s.Failed()
				s.FailAt(0, webhooktest.Fault{})
				s.d = s.follower(s.World.Process(), g)
				s.pass(8*time.Minute, time.Minute)
				c := s.command()
				if c.State != "Succeeded" || c.Outcome != "Delivered" || !c.Answered || c.ExecutionId == "" {
					t.Errorf("%+v at call %d: %+v", fault, n, c)
				}
				if !slices.Contains(s.sent, "restart succeeded.\ni-1 is up") {
					t.Errorf("%+v at call %d: sent = %q", fault, n, s.sent)
				}
				if len(g.all) > 1 {
					twice++
				}
				if !failed {
					break
				}
				steps = n
			}
			if steps < 12 || keyed && twice > 0 || !keyed && twice != map[bool]int{false: 1, true: 0}[fault.After] {
				t.Errorf("%+v: %d steps, of which %d started it twice; the target knows ids: %v", fault, steps, twice,
					keyed)
			}
		}
	}
}

// The same holds while a dispatch waits for the end of the operation.
func TestKilledWhileStaying(t *testing.T) {
	for _, fault := range []webhooktest.Fault{{}, {After: true, Dies: true}} {
		failed := true
		for n := 1; failed; n++ {
			synctest.Test(t, func(t *testing.T) {
				g := &engine{keyed: true}
				s := begin(t, "Slack", "event", "restart i-1", toHTTP, `"SlackBotToken":"xoxb-planted"`)
				s.d = s.follower(s.Process, g, func(o *dispatch.Options) { o.Stay = dispatch.MaxStay })
				s.FailAt(n, fault)
				s.d.Dispatch(s.Context(), s.ref)
				failed = s.Failed()
				s.FailAt(0, webhooktest.Fault{})
				s.d = s.follower(s.World.Process(), g)
				s.pass(8*time.Minute, time.Minute)
				if c := s.command(); c.State != "Succeeded" || !c.Answered || len(g.all) != 1 ||
					!slices.Contains(s.sent, "restart succeeded.\ni-1 is up") {
					t.Errorf("%+v at call %d: %+v, sent = %q", fault, n, c, s.sent)
				}
				if !failed && n < 8 {
					t.Errorf("%+v: only %d calls", fault, n)
				}
			})
		}
	}
}

// A target whose Start waits tells the execution's id before. The record has it at once, and after
// a crash the operation is followed and not started again, even if the target recognises no ids.
func TestTheExecutionIsRecordedWhileStartWaits(t *testing.T) {
	for _, dies := range []bool{false, true} {
		for _, members := range [][]string{{toHTTP}, {toHTTP, `"SlackBotToken":"xoxb-planted"`}} {
			s := begin(t, "Slack", "event", "restart i-1", members...)
			g := new(engine)
			g.waits = func() {
				if c := s.command(); c.State != "Running" || c.ExecutionId != "exec-1" || c.Duration == nil ||
					c.Target != "Http target.example.com" || len(s.sent) > 0 {
					t.Errorf("while Start waits: %+v, sent = %q", c, s.sent)
				}
				if dies {
					s.FailAt(1, webhooktest.Fault{Dies: true})
				}
			}
			s.d = s.follower(s.Process, g)
			if err := s.d.Dispatch(s.Context(), s.ref); (err != nil) != dies {
				t.Errorf("Dispatch: %v", err)
			}
			s.FailAt(0, webhooktest.Fault{})
			s.d = s.follower(s.World.Process(), g)
			s.pass(3*time.Minute, 10*time.Second)
			if c := s.command(); c.State != "Succeeded" || c.ExecutionId != "exec-1" || len(g.all) != 1 ||
				c.Outcome != "Delivered" {
				t.Errorf("dies: %v: %+v, %d executions", dies, c, len(g.all))
			}
		}
	}
}

// If the id cannot be recorded while Start waits, it is recorded afterwards.
func TestTheExecutionIsRecordedAfterStart(t *testing.T) {
	s := begin(t, "Slack", "event", "restart i-1", toHTTP, `"SlackBotToken":"xoxb-planted"`)
	g := &engine{at: func(context.Context, dispatch.Step, *dispatch.Call) error {
		s.FailAt(1, webhooktest.Fault{})
		return nil
	}}
	g.waits = func() {
		if c := s.command(); !s.Failed() || c.State != "Accepted" || c.ExecutionId != "" {
			t.Errorf("while Start waits: %+v", c)
		}
		g.at = nil
	}
	s.d = s.follower(s.Process, g)
	s.dispatch()
	if c := s.command(); c.State != "Running" || c.ExecutionId != "exec-1" || len(s.sent) != 1 {
		t.Errorf("after Start: %+v, sent = %q", c, s.sent)
	}
}

// A hint that an operation has ended is believed as far as the target agrees. It neither disturbs a
// process that holds the operation nor hastens another attempt.
func TestLook(t *testing.T) {
	ended := false
	g := &engine{progress: func(int) dispatch.Progress {
		if ended {
			return dispatch.Progress{State: journal.StateSucceeded, Text: "i-1 is up"}
		}
		return dispatch.Progress{State: journal.StateRunning}
	}}
	s := follow(t, g)
	s.pass(3*time.Minute, 10*time.Second)
	look := func(found int, state string) {
		t.Helper()
		n, err := s.d.Look(s.Context())
		if c := s.command(); err != nil || n != found || string(c.State) != state || c.Attempts != 1 {
			t.Errorf("Look = %d, %v, want %d: %+v", n, err, found, c)
		}
	}
	s.Advance(time.Second)
	if n, err := s.d.Redrive(s.Context()); n != 0 || err != nil {
		t.Fatalf("it is due: %d, %v", n, err)
	}
	asked := len(g.steps)
	if look(1, "Running"); len(g.steps) != asked+1 {
		t.Errorf("a hint that is wrong: steps = %q", g.steps[asked:])
	}
	ended = true
	if look(1, "Succeeded"); s.sent[len(s.sent)-1] != "restart succeeded.\ni-1 is up" {
		t.Errorf("sent = %q", s.sent)
	}
	look(0, "Succeeded")

	busy := &engine{at: func(context.Context, dispatch.Step, *dispatch.Call) error {
		return &dispatch.Error{Why: "busy", Again: true, Refused: true}
	}}
	s = follow(t, busy)
	look(1, "Accepted")
	if len(busy.steps) != 1 {
		t.Errorf("a command that is to be tried again: steps = %q", busy.steps)
	}

	s = follow(t, &engine{})
	job, err := s.Journal.ClaimEarly(s.Context(), s.ref, time.Minute)
	if err != nil || job.Operation.Execution == "" {
		t.Fatalf("%+v, %v", job, err)
	}
	look(0, "Running")
	if _, err := s.Journal.ClaimEarly(s.Context(), s.ref, time.Minute); !errors.Is(err, journal.ErrTaken) {
		t.Errorf("an operation that is held: %v", err)
	}

	for n := 1; ; n++ {
		s := follow(t, g)
		s.FailAt(n, webhooktest.Fault{})
		_, err := s.d.Look(s.Context())
		if failed := s.Failed(); failed != (err != nil) {
			t.Errorf("call %d fails: %v, and Look: %v", n, failed, err)
		} else if !failed {
			break
		}
	}
}

// A worker follows a bounded number of operations in time.
func TestAWorkersTimersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if set, late := dispatch.SetTimers(2000, time.Hour); set != 1024 || late != 0 {
			t.Errorf("%d timers were set, and %d after the end", set, late)
		}
	})
}

// The reason of a late start is no longer shown after the start.
func TestStartedLater(t *testing.T) {
	busy := true
	g := &engine{keyed: true, at: func(context.Context, dispatch.Step, *dispatch.Call) error {
		if busy {
			return &dispatch.Error{Why: "busy", Again: true, Refused: true}
		}
		return nil
	}}
	s := follow(t, g)
	if c := s.command(); c.State != "Accepted" || c.Detail != "busy" {
		t.Errorf("not started: %+v", c)
	}
	busy = false
	s.pass(time.Minute, 10*time.Second)
	if c := s.command(); c.State != "Running" || c.ExecutionId == "" || c.Detail != "" {
		t.Errorf("started: %+v", c)
	}
}

// A target may fail, hang or panic at any step. The operation still ends.
func TestATargetFailsAtEveryStep(t *testing.T) {
	for about, fail := range map[string]func(context.Context) error{
		"no answer": func(context.Context) error { return errors.New("connection reset") },
		"busy": func(context.Context) error {
			return &dispatch.Error{Why: "Throttling", Again: true, Refused: true}
		},
		"a panic": func(context.Context) error { panic("PLANTED") },
	} {
		for n := 1; n <= 4; n++ {
			count := 0
			g := &engine{keyed: true, at: func(ctx context.Context, _ dispatch.Step, _ *dispatch.Call) error {
				if count++; count == n {
					return fail(ctx)
				}
				return nil
			}}
			s := begin(t, "Slack", "event", "restart i-1", toHTTP, `"SlackBotToken":"xoxb-planted"`)
			s.d = s.follower(s.Process, g)
			for range 100 {
				s.d.Redrive(s.Context())
				s.Advance(15 * time.Second)
			}
			if c := s.command(); c.State != "Succeeded" || len(g.all) != 1 || !c.Answered {
				t.Errorf("%s at step %d: %+v", about, n, c)
			}
		}
	}
}

// An operation ends even if every process that asks for its progress dies.
func TestEverybodyDiesWhileFollowing(t *testing.T) {
	g := &engine{at: func(_ context.Context, step dispatch.Step, _ *dispatch.Call) error {
		if step == dispatch.StepFollow {
			panic("PLANTED")
		}
		return nil
	}}
	s := follow(t, g)
	for range 150 {
		s.d.Redrive(s.Context())
		s.Advance(time.Minute)
	}
	if c := s.command(); c.State != "Unknown" || c.Outcome != "Delivered" || len(s.sent) != 2 {
		t.Errorf("record = %+v, sent = %q", c, s.sent)
	}
}

// Processes that look for what is due at once follow each operation one at a time, and end it once.
func TestFollowTogether(t *testing.T) {
	w := webhooktest.New(t)
	p, o, g := w.Process(), new(outside), &engine{keyed: true}
	bot := p.Create("ops", "Slack", platformtest.Settings("Slack"), webhooktest.Open, toHTTP,
		`"SlackBotToken":"xoxb-planted"`)
	h := p.Handler(func(context.Context, command.Ref) error { return dispatch.ErrBusy })
	const n = 30
	for i := range n {
		bot.Post(h, bot.Say("event", platformsim.Message{ID: fmt.Sprint("m", i), Text: "restart"}))
	}
	all := []*dispatch.Dispatcher{o.follower(w.Process(), g), o.follower(w.Process(), g), o.follower(w.Process(), g)}
	for range 30 {
		w.Advance(time.Minute)
		var group sync.WaitGroup
		for _, d := range all {
			group.Go(func() {
				if _, err := d.Redrive(w.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
	}
	ends := 0
	for _, text := range o.sent {
		if strings.HasPrefix(text, "restart succeeded.") {
			ends++
		}
	}
	if len(g.all) != n || ends != n {
		t.Errorf("%d commands: %d were started, %d ends were told", n, len(g.all), ends)
	}
	for _, c := range p.Commands("ops") {
		if c.State != "Succeeded" {
			t.Errorf("record = %+v", c)
		}
	}
}

// A worker follows in time and does not wait for a round.
func TestAWorkerFollowsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, o, g := webhooktest.New(t).Process(), new(outside), new(engine)
		bot := p.Create("ops", "Slack", platformtest.Settings("Slack"), webhooktest.Open, toHTTP)
		began := time.Now()
		now := func() time.Time { return webhooktest.Start.Add(time.Since(began)) }
		d := o.follower(p, g, func(options *dispatch.Options) {
			options.Now = now
			options.Journal = o.journal(p, now)
		})
		w := dispatch.NewWorker(p.Context(), d)
		bot.Post(p.Handler(w.Start), bot.Say("command", platformsim.Message{ID: "m1", Text: "restart"}))
		time.Sleep(9*time.Second + 600*time.Millisecond)
		synctest.Wait()
		if c := p.Commands("ops")[0]; c.State != "Succeeded" {
			t.Errorf("ten seconds later: %+v", c)
		}
		bot.Post(p.Handler(w.Start), bot.Say("command", platformsim.Message{ID: "m2", Text: "restart"}))
		synctest.Wait()
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		n := len(g.steps)
		time.Sleep(30 * time.Minute)
		if len(g.steps) != n {
			t.Errorf("a closed worker follows: %v", g.steps)
		}
		w = dispatch.NewWorker(p.Context(), d) // the next process looks at once
		time.Sleep(time.Minute)
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		if c := p.Commands("ops")[0]; c.State != "Succeeded" || len(g.all) != 2 {
			t.Errorf("by the next process: %+v", c)
		}
	})
}

// journal returns a journal with another clock.
func (o *outside) journal(p *webhooktest.Process, now func() time.Time) *journal.Journal {
	p.Helper()
	j, err := journal.New(p.Journals, p.Ring, journal.Options{Now: now})
	if err != nil {
		p.Fatal(err)
	}
	return j
}

// A scoped engine runs under roles.
type scoped struct{ *engine }

// Policy implements dispatch.Scoped.
func (scoped) Policy(step dispatch.Step, c *dispatch.Call) string {
	return fmt.Sprintf("%s of %s by %s", step, c.Target.Type, c.Role)
}

// Each step of a Scoped target runs under the role of the command, in a session of its own for the
// sender, with the step's policy.
func TestUnderARole(t *testing.T) {
	var wanted []cloud.Session
	lend := func(ctx context.Context, want cloud.Session) (context.Context, error) {
		wanted = append(wanted, want)
		return invoke.With(ctx, &invoke.Invocation{Logger: invoke.Logger(ctx),
			Credentials: invoke.Credentials{AccessKeyID: "PLANTED-id", AccessKeySecret: "PLANTED-secret",
				SecurityToken: "PLANTED-token"}}), nil
	}
	running := func(int) dispatch.Progress { return dispatch.Progress{State: journal.StateRunning} }
	g := &engine{progress: running, at: func(ctx context.Context, _ dispatch.Step, _ *dispatch.Call) error {
		if got := invoke.From(ctx).Credentials.AccessKeySecret; got != "PLANTED-secret" {
			t.Errorf("the credentials are %q", got)
		}
		return nil
	}}
	s := follow(t, scoped{g}, func(o *dispatch.Options) { o.Sessions = lend })
	s.pass(2*time.Second, time.Second)
	s.cancel("u1")
	s.dispatch()
	if len(wanted) != 4 {
		t.Fatalf("%d sessions, want 4: %+v", len(wanted), wanted)
	}
	for i, policy := range []string{"Start", "Follow", "Cancel", "Follow"} {
		w := wanted[i]
		if w.Role != "OpsRole" || w.Account != webhooktest.Account || w.Name != "Slack.u1" ||
			w.SourceIdentity != w.Name ||
			w.ExternalID != "acs:oos:"+webhooktest.Region+":"+webhooktest.Account+":chatconfiguration/ops" ||
			w.Policy != policy+" of Http by OpsRole" || w.Tags["user"] != "u1" || w.Tags["platform"] != "Slack" ||
			w.Tags["configuration"] != "ops" {
			t.Errorf("session %d: %+v", i, w)
		}
		if want := map[bool]time.Duration{true: dispatch.DefaultTimeout,
			false: 10 * time.Second}[i == 0]; w.Duration != want {
			t.Errorf("session %d is for %v", i, w.Duration)
		}
	}
	c := s.command()
	if c.SessionName != "Slack.u1" || c.State != "Cancelled" {
		t.Errorf("record = %+v", c)
	}
	if text := fmt.Sprint(s.Log(), c, s.sent); strings.Contains(text, "PLANTED") {
		t.Errorf("a credential shows: %s", text)
	}
}

// Without a session of the role nothing is started, and the record says what to do.
func TestARoleIsRefused(t *testing.T) {
	refuse := func(err error) func(*dispatch.Options) {
		return func(o *dispatch.Options) {
			o.Sessions = func(context.Context, cloud.Session) (context.Context, error) { return nil, err }
		}
	}
	own := func(may bool) func(*dispatch.Options) {
		return func(o *dispatch.Options) {
			refuse(errors.New("not asked for"))(o)
			o.OwnRights = func(kind string) bool { return may && kind == "Http" }
		}
	}
	const roleless = `"Permissions":[{"Effect":"Allow","Principals":["*"],"Commands":["*"]}]`
	for about, test := range map[string]struct {
		permissions   string
		options       func(*dispatch.Options)
		state, detail string
	}{
		"refused": {webhooktest.Open, refuse(&cloud.RoleError{Role: "OpsRole", Why: "its trust policy must allow it",
			Err: errors.New("planted-cause")}), "Failed",
			`the role "OpsRole" could not be assumed: its trust policy must allow it`},
		"throttled": {webhooktest.Open, refuse(&cloud.RoleError{Role: "OpsRole", Why: "too many requests",
			Again: true}),
			"Accepted", "too many requests"},
		"out of reach": {webhooktest.Open, refuse(errors.New("connection reset")), "Accepted", "the target: "},
		"no cloud":     {webhooktest.Open, func(*dispatch.Options) {}, "Failed", "this service has no cloud"},
		"no role":      {roleless, own(false), "Failed", "the command has no RamRole: set RamRole"},
		"no role, and nothing is allowed": {roleless, func(*dispatch.Options) {}, "Failed",
			"the command has no RamRole: set RamRole"},
		"no role, and own rights are allowed": {roleless, own(true), "Running", ""},
	} {
		p := webhooktest.New(t).Process()
		s := &scene{Process: p, outside: new(outside)}
		s.bot = p.Create("ops", "Slack", platformtest.Settings("Slack"), test.permissions, toHTTP)
		g := new(engine)
		s.d = s.follower(p, scoped{g}, test.options)
		h := p.Handler(func(_ context.Context, ref command.Ref) error { s.ref = ref; return nil })
		if out := s.bot.Post(h, s.bot.Say("command", platformsim.Message{ID: "m1",
			Text: "restart"})); out.Code != http.StatusOK {
			t.Fatal(out.Code)
		}
		s.dispatch()
		c := s.command()
		if string(c.State) != test.state || !strings.Contains(c.Detail, test.detail) || c.SessionName != "" {
			t.Errorf("%s: %+v", about, c)
		}
		if (len(g.steps) > 0) != (test.state == "Running") {
			t.Errorf("%s: steps = %v", about, g.steps)
		}
		if strings.Contains(fmt.Sprint(c, s.sent), "planted-cause") {
			t.Errorf("%s: the cause is not for people: %+v", about, c)
		}
	}
}
