package stream_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"chatconf/shared/chat"
	"chatconf/shared/command"
	"chatconf/shared/dispatch"
	"chatconf/shared/journal"
	"chatconf/shared/platform/callback"
	"chatconf/shared/platform/platformsim"
	"chatconf/shared/secret"
	"chatconf/shared/stream"
	"chatconf/shared/stream/streamtest"
	"chatconf/shared/webhook"
	"chatconf/shared/webhook/webhooktest"
)

// A bench is a whole service that holds the connections of a bot to a gateway.
type bench struct {
	*webhooktest.Process
	gateway    *streamtest.Gateway
	settings   callback.Settings // that the gateway knows
	bot        *webhooktest.Bot
	handler    *webhook.Handler
	dispatcher *dispatch.Dispatcher
	supervisor *stream.Supervisor
	leases     *stream.Leases // nil: no other process uses the tables

	mu         sync.Mutex
	notes      []journal.Connection
	dispatched int
	slept      time.Duration // that the wall clock is ahead
	// arrived, if set, is called after something was recorded.
	arrived func(context.Context)
}

// newBench returns a service with a bot that has settings, and starts it.
func newBench(t *testing.T, g *streamtest.Gateway, settings callback.Settings) *bench {
	t.Helper()
	b := newProcess(webhooktest.New(t), g)
	b.bot = b.Create("ops", g.Type, settings, `"Receive":"Stream"`, webhooktest.Open)
	b.start(t)
	return b
}

// newProcess returns a process of a world, without its connections.
func newProcess(w *webhooktest.World, g *streamtest.Gateway) *bench {
	w.Helper()
	b := &bench{Process: w.Process(), gateway: g, settings: streamtest.Settings(g.Type)}
	senders := b.Platforms.Senders()
	var err error
	if b.dispatcher, err = dispatch.New(dispatch.Options{Open: b.Service.OpenConfiguration, Journal: b.Journal,
		Now: b.Now, Sender: func(e *command.Endpoint) (dispatch.Sender, error) {
			late, err := senders[e.Type](callback.Settings(e.Settings), g.Client)
			return sending{b, e.Ref(), late}, err
		}}); err != nil {
		w.Fatal(err)
	}
	b.handler = b.Handler(func(ctx context.Context, ref command.Ref) error {
		b.mu.Lock()
		b.dispatched++
		b.mu.Unlock()
		go b.dispatcher.Dispatch(context.WithoutCancel(ctx), ref) // what fails is due again
		return nil
	})
	return b
}

// A sending sends over the connection what is to be sent so.
type sending struct {
	*bench
	ref  command.Ref
	late callback.Sender
}

func (s sending) Send(ctx context.Context, to command.ReplyTo, text string) error {
	if to.Kind == "stream" {
		return s.supervisor.Send(ctx, s.ref, to, text)
	}
	return s.late.Send(ctx, to, text)
}

// start starts to hold connections.
func (b *bench) start(t *testing.T) {
	t.Helper()
	var err error
	if b.supervisor, err = stream.New(stream.Options{
		Bots: func(ctx context.Context) ([]stream.Bot, error) {
			streams, err := b.Service.Streams(ctx)
			var bots []stream.Bot
			for _, s := range streams {
				bots = append(bots, stream.Bot{Ref: s.Ref, Revision: s.Revision})
			}
			return bots, err
		},
		Open: b.Service.OpenConfiguration, Streams: b.Platforms.Streams(), Client: b.gateway.Client,
		Dialer: b.gateway.Dialer, Leases: b.leases,
		Arrive: func(ctx context.Context, ref command.Ref, a callback.Answerer, received *callback.Received,
			refused error) *callback.Response {
			out := b.handler.Arrive(ctx, ref, a, received, refused)
			b.mu.Lock()
			arrived := b.arrived
			b.mu.Unlock()
			if arrived != nil {
				arrived(ctx)
			}
			return out
		},
		Note: func(_ context.Context, _ command.Ref, n journal.Connection) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.notes = append(b.notes, n)
		},
		Now: func() time.Time {
			b.mu.Lock()
			defer b.mu.Unlock()
			return time.Now().Add(b.slept)
		},
	}); err != nil {
		t.Fatal(err)
	}
	b.supervisor.Start(b.Context())
	t.Cleanup(func() {
		if err := b.supervisor.Close(); err != nil {
			t.Error(err)
		}
	})
	synctest.Wait()
}

// last returns the last note.
func (b *bench) last() journal.Connection {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.notes) == 0 {
		return journal.Connection{}
	}
	return b.notes[len(b.notes)-1]
}

// push says something to the bot, and waits for the acknowledgement.
func (b *bench) push(m platformsim.Message) (platformsim.Pushed, error) {
	m.User = "u1"
	ctx, cancel := context.WithTimeout(b.Context(), patience)
	defer cancel()
	return b.gateway.Push(ctx, b.settings, m)
}

// shown returns the answers that people see.
func (b *bench) shown(p platformsim.Pushed) []string {
	synctest.Wait() // for answers that are sent later
	shown := b.gateway.Sent(b.settings)
	if p.Answer != "" {
		shown = append(shown, p.Answer)
	}
	return shown
}

// expectRecorded checks that these commands are recorded, once each.
func (b *bench) expectRecorded(texts ...string) {
	b.Helper()
	var got []string
	for _, c := range b.Commands("ops") {
		got = append(got, strings.Join(append([]string{c.Command}, c.Arguments...), " "))
	}
	slices.Sort(got)
	slices.Sort(texts)
	if !slices.Equal(got, texts) {
		b.Errorf("recorded are %q, want %q", got, texts)
	}
}

func TestABotAnswersOverItsConnection(t *testing.T) {
	overAll(t, func(t *testing.T, g *streamtest.Gateway) {
		b := newBench(t, g, streamtest.Settings(g.Type))
		if n := b.last(); n.State != journal.Connected {
			t.Fatalf("%+v", n)
		}
		m := platformsim.Message{ID: "m1", User: "u1", Text: "restart i-123"}
		p, err := b.push(m)
		if err != nil || p.Deliveries != 1 {
			t.Fatalf("%+v, %v", p, err)
		}
		if shown := b.shown(p); len(shown) != 1 || !strings.Contains(shown[0], "accepted") {
			t.Errorf("people see %q", shown)
		}
		b.expectRecorded("restart i-123")

		// The same message at the webhook counts once.
		if out := b.bot.Post(b.handler, b.bot.Say(byBothWays[g.Type], m)); out.Code != http.StatusOK {
			t.Errorf("the webhook answers %d", out.Code)
		}
		b.expectRecorded("restart i-123")
		if shown := b.shown(p); len(shown) != 1 {
			t.Errorf("people see %q", shown)
		}
	})
}

// The gateway tells the id of a message that was written, and the record is found by it.
func TestAMessageIsFollowed(t *testing.T) {
	written := map[string][]string{"DingTalk": {"robot"}, "Feishu": {"message", "v1"}, "Slack": {"command", "event"},
		"WeChat": {"aibot"}}
	overAll(t, func(t *testing.T, g *streamtest.Gateway) {
		b := newBench(t, g, streamtest.Settings(g.Type))
		streams, err := b.Service.Streams(b.Context())
		if err != nil || len(streams) != 1 || len(written[g.Type]) == 0 {
			t.Fatalf("%v, %v", streams, err)
		}
		e, err := b.Service.OpenConfiguration(b.Context(), streams[0].Ref)
		if err != nil {
			t.Fatal(err)
		}
		for _, mode := range written[g.Type] {
			for _, id := range []string{"", "m-" + mode} {
				said := platformsim.Message{ID: id, Text: "restart " + mode, Mode: mode, Direct: id == ""}
				p, err := b.push(said)
				if err != nil || p.MessageID == "" || id != "" && p.MessageID != g.MessageID(said) {
					t.Fatalf("%s: %+v, %v", mode, p, err)
				}
				synctest.Wait()
				m, recorded, err := b.Service.FollowSent(b.Context(), e, p.MessageID)
				if err != nil || !recorded || m.ID == "" {
					t.Errorf("%s %q: %+v, recorded %v, %v", mode, p.MessageID, m, recorded, err)
				}
			}
		}
	})
}

// Whichever call of a table fails, or ends the process after it was done: what was acknowledged is
// recorded, and nothing is recorded twice.
func TestNothingAcknowledgedIsLost(t *testing.T) {
	overAll(t, func(t *testing.T, g *streamtest.Gateway) {
		b := newBench(t, g, streamtest.Settings(g.Type))
		var said []string
		for n, fails := 1, true; fails; n++ {
			for _, after := range []bool{false, true} {
				text := fmt.Sprintf("restart i-%d%v", n, after)
				b.FailAt(n, webhooktest.Fault{After: after})
				p, err := b.push(platformsim.Message{ID: fmt.Sprintf("m%d%v", n, after), Text: text,
					Mode: again[g.Type]})
				if err != nil || p.Again {
					t.Errorf("call %d: %+v, %v", n, p, err)
				}
				synctest.Wait()
				fails = b.Failed()
				b.FailAt(0, webhooktest.Fault{})
				said = append(said, text)
			}
			if n > 50 {
				t.Fatal("every call fails")
			}
		}
		b.expectRecorded(said...)
	})
}

// A process ends after it has recorded a message and before it has acknowledged it. Another one
// takes its place.
func TestAProcessEndsInMidMessage(t *testing.T) {
	overAll(t, func(t *testing.T, g *streamtest.Gateway) {
		first := newBench(t, g, streamtest.Settings(g.Type))
		recorded := make(chan struct{})
		var once sync.Once
		first.arrived = func(ctx context.Context) {
			once.Do(func() { close(recorded) })
			<-ctx.Done() // it does nothing more
		}
		pushed := startPush(t, g, platformsim.Message{ID: "m1", User: "u1", Text: "restart i-1", Mode: again[g.Type]})
		<-recorded
		if err := g.Disturb(first.settings, platformsim.Cut); err != nil {
			t.Error(err)
		}
		second := newProcess(first.World, g)
		second.start(t)
		p := <-pushed
		if !deliversOnce[g.Type] && (p.err != nil || p.Deliveries < 2) {
			t.Errorf("%+v", p)
		}
		first.shown(p.Pushed)
		first.expectRecorded("restart i-1")
		if n := first.dispatched + second.dispatched; n > 1 {
			t.Errorf("dispatched %d times", n)
		}
	})
}

// Two processes on the same tables hold one connection, and when one ends, the other one takes it.
func TestAnotherProcessTakesOver(t *testing.T) {
	overAll(t, func(t *testing.T, g *streamtest.Gateway) {
		w := webhooktest.New(t)
		first, second := newProcess(w, g), newProcess(w, g)
		first.bot = first.Create("ops", g.Type, first.settings, `"Receive":"Stream"`, webhooktest.Open)
		for i, b := range []*bench{first, second} {
			b.leases = stream.NewLeases(w.Configurations.Table, fmt.Sprint("process ", i))
			b.start(t)
		}
		time.Sleep(time.Minute)
		for i, text := range []string{"restart i-1", "restart i-2"} {
			if n := g.Connections(first.settings); n != 1 {
				t.Errorf("there are %d connections", n)
			}
			p, err := first.push(platformsim.Message{ID: fmt.Sprint("m", i), Text: text})
			if err != nil || p.Deliveries != 1 {
				t.Errorf("%+v, %v", p, err)
			}
			if err := first.supervisor.Close(); err != nil {
				t.Error(err)
			}
			time.Sleep(30 * time.Second)
		}
		first.expectRecorded("restart i-1", "restart i-2")
	})
}

// onlyOne are the platforms on which an app has one connection.
var onlyOne = map[string]bool{"WeChat": true}

// However a connection ends, another one takes its place, and messages come.
func TestDisturbances(t *testing.T) {
	for how, within := range map[platformsim.Disturbance]time.Duration{
		platformsim.Cut:     2 * time.Second,
		platformsim.Notice:  0,
		platformsim.Freeze:  time.Minute, // a ping is not answered
		platformsim.Silence: 31 * time.Minute,
	} {
		t.Run(string(how), func(t *testing.T) {
			overAll(t, func(t *testing.T, g *streamtest.Gateway) {
				b := newBench(t, g, streamtest.Settings(g.Type))
				if err := g.Disturb(b.settings, how); err != nil {
					t.Fatal(err)
				}
				if how == platformsim.Notice && onlyOne[g.Type] {
					within = 80 * time.Second // it looks as if another program had connected
				}
				time.Sleep(within)
				began := time.Now()
				p, err := b.push(platformsim.Message{ID: "m1", Text: "restart i-1"})
				if took := time.Since(began); err != nil || p.Deliveries != 1 || took > 2*time.Second {
					t.Errorf("%+v, %v, after %v", p, err, took)
				}
				if shown := b.shown(p); len(shown) != 1 {
					t.Errorf("people see %q", shown)
				}
				b.expectRecorded("restart i-1")
				time.Sleep(time.Minute)
				if n := g.Connections(b.settings); n != 1 {
					t.Errorf("there are %d connections", n)
				}
				if open, _ := g.Sockets(); open != 1 {
					t.Errorf("%d sockets are open", open)
				}
			})
		})
	}
}

// After a sleep the other sides have given up, and say nothing.
func TestALaptopThatSlept(t *testing.T) {
	overAll(t, func(t *testing.T, g *streamtest.Gateway) {
		b := newBench(t, g, streamtest.Settings(g.Type))
		if err := g.Disturb(b.settings, platformsim.Freeze); err != nil {
			t.Fatal(err)
		}
		b.mu.Lock()
		b.slept = 2 * time.Hour
		b.mu.Unlock()
		time.Sleep(10 * time.Second)
		if p, err := b.push(platformsim.Message{ID: "m1", Text: "restart i-1"}); err != nil || p.Deliveries != 1 {
			t.Errorf("%+v, %v", p, err)
		}
		b.expectRecorded("restart i-1")
	})
}

// Where an app has one connection, another program with the same app takes it away. They must not
// take turns in a hurry.
func TestAnotherProgramConnects(t *testing.T) {
	overAll(t, func(t *testing.T, g *streamtest.Gateway) {
		b := newBench(t, g, streamtest.Settings(g.Type))
		other := mustOpen(t, g)
		time.Sleep(10 * time.Second)
		if !onlyOne[g.Type] {
			if n := b.last(); n.State != journal.Connected || g.Connections(b.settings) != 2 {
				t.Errorf("%+v, %d connections", n, g.Connections(b.settings))
			}
			return
		}
		if n := b.last(); n.State != journal.Lost || n.Step != stream.StepReplaced {
			t.Errorf("%+v", n)
		}
		_ = other.Close()
		time.Sleep(80 * time.Second)
		if n := b.last(); n.State != journal.Connected || g.Connections(b.settings) != 1 {
			t.Errorf("%+v, %d connections", n, g.Connections(b.settings))
		}
	})
}

// A wrong secret is tried once, and the right one as soon as it is saved.
func TestAWrongSecretIsCorrected(t *testing.T) {
	overAll(t, func(t *testing.T, g *streamtest.Gateway) {
		b := newBench(t, g, streamtest.Wrong(g.Type))
		if n := b.last(); n.State != journal.Refused || n.Reason == "" {
			t.Errorf("%+v", n)
		}
		_, before := g.Sockets()
		time.Sleep(time.Hour)
		if _, all := g.Sockets(); all != before {
			t.Errorf("it was tried %d times more", all-before)
		}
		b.configure(streamtest.Settings(g.Type))
		time.Sleep(stream.DefaultPoll)
		synctest.Wait()
		if n := b.last(); n.State != journal.Connected || g.Connections(b.settings) != 1 {
			t.Errorf("%+v, %d connections", n, g.Connections(b.settings))
		}
	})
}

// configure gives the bot other settings.
func (b *bench) configure(settings callback.Settings, members ...string) {
	b.Helper()
	members = append(members, `"Receive":"Stream"`, webhooktest.Open)
	for key, value := range settings {
		members = append(members, fmt.Sprintf("%q:%q", key, value.Reveal()))
	}
	text := secret.Text("{" + strings.Join(members, ",") + "}")
	if _, err := b.Service.Update(b.As(), &chat.UpdateRequest{Name: "ops", Configuration: &text}); err != nil {
		b.Fatal(err)
	}
}

// Connections follow the configurations.
func TestADisabledBotHasNoConnection(t *testing.T) {
	overAll(t, func(t *testing.T, g *streamtest.Gateway) {
		b := newBench(t, g, streamtest.Settings(g.Type))
		expect := func(about string, connections int) {
			t.Helper()
			time.Sleep(stream.DefaultPoll)
			synctest.Wait()
			if n := g.Connections(b.settings); n != connections {
				t.Errorf("%s: %d connections, want %d", about, n, connections)
			}
		}
		for _, status := range []string{chat.StatusInactive, chat.StatusActive} {
			if _, err := b.Service.Update(b.As(), &chat.UpdateRequest{Name: "ops", Status: status}); err != nil {
				t.Fatal(err)
			}
			expect(status, map[string]int{chat.StatusActive: 1}[status])
		}
		if _, err := b.Service.Delete(b.As(), &chat.DeleteRequest{Name: "ops"}); err != nil {
			t.Fatal(err)
		}
		expect("deleted", 0)
		if open, _ := g.Sockets(); open != 0 {
			t.Errorf("%d sockets are open", open)
		}
	})
}

// A thousand connections, one after the other, leave nothing behind. A goroutine that stays would
// keep the bubble from ending. Under the race detector a hundred must do.
func TestReconnectsLeakNothing(t *testing.T) {
	times := 1000
	if underRace {
		times = 100
	}
	overAll(t, func(t *testing.T, g *streamtest.Gateway) {
		b := newBench(t, g, streamtest.Settings(g.Type))
		for i := range times {
			if err := g.Disturb(b.settings, platformsim.Cut); err != nil {
				t.Fatalf("%d: %v", i, err)
			}
			time.Sleep(65 * time.Second) // after that the next pause is a short one again
			if open, _ := g.Sockets(); open != 1 || g.Connections(b.settings) != 1 {
				t.Fatalf("%d: %d sockets, %d connections", i, open, g.Connections(b.settings))
			}
		}
		if _, all := g.Sockets(); all < times {
			t.Errorf("there were only %d sockets", all)
		}
	})
}
